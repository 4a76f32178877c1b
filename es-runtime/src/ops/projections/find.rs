//! Finds what a name on the command line means.

use super::{Refusal, failed};
use crate::store::{EventStore, Lineage, ProjectionId, ProjectionKind, Store};

/// A projection as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ops) struct Named {
    pub(in crate::ops) name: String,
    pub(in crate::ops) version: Option<u32>,
    /// Of which kind, if somebody said.
    pub(in crate::ops) kind: Option<ProjectionKind>,
}

impl Named {
    /// Reads `balances` or `balances@2`.
    pub(in crate::ops) fn parse(text: &str) -> Result<Self, String> {
        let (name, version) = match text.split_once('@') {
            None => (text, None),
            Some((name, version)) => {
                let wrong = |_| format!("`{version}` is no version: say {name}@1");
                (name, Some(version.parse().map_err(wrong)?))
            }
        };
        let (name, kind) = (name.to_owned(), None);
        match name.is_empty() {
            true => Err(format!("`{text}` has no name: say balances@1")),
            false => Ok(Self {
                name,
                version,
                kind,
            }),
        }
    }

    fn means(&self, id: &ProjectionId) -> bool {
        id.name == self.name && self.kind.is_none_or(|kind| id.kind == kind)
    }
}

/// All versions of what is named, and which of them is meant, if one was said.
pub(in crate::ops) struct Found {
    /// The version that was said, or any other.
    pub(in crate::ops) id: ProjectionId,
    pub(in crate::ops) version: Option<u32>,
    pub(in crate::ops) lineage: Lineage,
}

impl Found {
    /// Its versions by name, those that are meant.
    pub(in crate::ops) fn ids(&self) -> impl Iterator<Item = ProjectionId> {
        let meant = |version: &&u32| self.version.is_none_or(|one| one == **version);
        let versions = self.lineage.versions.keys().filter(meant);
        versions.map(|version| self.of(*version))
    }

    /// Another version of it.
    pub(in crate::ops) fn of(&self, version: u32) -> ProjectionId {
        ProjectionId {
            version,
            ..self.id.clone()
        }
    }
}

/// What the name means on this log.
pub(in crate::ops) async fn find(store: &Store, named: Option<&Named>) -> Result<Found, Refusal> {
    let Some(named) = named else {
        return failed("say which projection");
    };
    let all = store.projections().await?.into_iter().map(|(id, _)| id);
    let all = all.filter(|id| named.kind.is_none_or(|kind| id.kind == kind));
    let all: Vec<_> = all.collect();
    let meant: Vec<_> = all.iter().filter(|id| named.means(id)).collect();
    let wanted = |id: &&&ProjectionId| named.version.is_none_or(|version| version == id.version);
    let wanted: Vec<_> = meant.iter().copied().filter(|id| wanted(&id)).collect();
    let Some(&id) = wanted.first() else {
        return failed(missing(named, &all, &meant));
    };
    if wanted.iter().any(|other| other.kind != id.kind) {
        let name = &named.name;
        return Err(Refusal::Misused(format!(
            "a read model and a stream are both named `{name}`: say --kind read-model or stream"
        )));
    }
    Ok(Found {
        id: id.clone(),
        version: named.version,
        lineage: store.lineage(id).await?,
    })
}

fn missing(named: &Named, all: &[ProjectionId], meant: &[&ProjectionId]) -> String {
    let there = match meant {
        [] => all.iter().map(ToString::to_string).collect(),
        versions => versions.iter().map(ToString::to_string).collect::<Vec<_>>(),
    };
    let what = match named.version {
        Some(version) => format!("{}@{version}", named.name),
        None => named.name.clone(),
    };
    match there.as_slice() {
        [] => format!("no instance has ever run `{what}` on this log, nor any other projection"),
        there => format!(
            "no instance has ever run `{what}` on this log; there is {}",
            there.join(", ")
        ),
    }
}
