//! Projection versions in memory.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::parked::Parked;
use crate::error::{Error, Kind, Result};
use crate::event::{Clock, Position, SystemClock, Timestamp};
use crate::runtime::without;
use crate::store::life::{self, Effect, Occasion};
use crate::store::share::Shares;
use crate::store::{
    Advance, Advanced, Change, Claim, Claimed, ConsumerState, DueReaction, LifeEntry, Lineage,
    Noted, Phase, ProjectionId, ProjectionKind, ProjectionState, Sighting, SliceState, Table,
};

/// The lives of all versions.
#[derive(Clone, Debug, Default)]
pub(super) struct Lives {
    lineages: BTreeMap<(ProjectionKind, String), Lineage>,
    columns: BTreeMap<ProjectionId, String>,
    /// Until when a part belongs to its owner.
    leases: BTreeMap<(ProjectionId, u16), Instant>,
    /// Until when somebody would work on a part.
    workers: BTreeMap<(ProjectionId, u16), BTreeMap<String, Instant>>,
    told: Vec<LifeEntry>,
    pub(super) parked: Parked,
}

fn subject(id: &ProjectionId) -> (ProjectionKind, String) {
    (id.kind, id.name.clone())
}

fn now() -> Timestamp {
    SystemClock.now()
}

fn unknown(id: &ProjectionId) -> Error {
    let what = format!("`{id}`");
    Error::new(Kind::Unregistered { what })
}

impl Lives {
    pub(super) fn prepare_table(
        &mut self,
        table: &Table,
        head: Position,
    ) -> Result<ProjectionState> {
        let id = ProjectionId::from(table);
        let declared = table.fingerprint();
        let stored = self.columns.entry(id.clone()).or_insert(declared);
        life::same_columns(table, stored)?;
        self.prepare(&id, table.slices, head)
    }

    pub(super) fn prepare(
        &mut self,
        id: &ProjectionId,
        slices: u16,
        head: Position,
    ) -> Result<ProjectionState> {
        let lineage = self.lineages.entry(subject(id)).or_default();
        let at = Occasion::new(now(), head);
        life::prepare(lineage, id.version, slices, &at);
        self.find(id).ok_or_else(|| unknown(id))
    }

    /// All versions as they are at this moment: holds and leases end by themselves, and parked keys
    /// are counted.
    fn at_present(&self, id: &ProjectionId) -> Option<Lineage> {
        let mut lineage = self.lineages.get(&subject(id))?.clone();
        life::expire_holds(&mut lineage, now());
        let now = Instant::now();
        for (version, state) in &mut lineage.versions {
            let version = ProjectionId {
                version: *version,
                ..id.clone()
            };
            state.parked = self.parked.count(&version);
            for slice in &mut state.slices {
                let lease = self.leases.get(&(version.clone(), slice.slices.start));
                slice.owner = slice
                    .owner
                    .take()
                    .filter(|_| lease.is_some_and(|until| *until > now));
            }
        }
        Some(lineage)
    }

    pub(super) fn find(&self, id: &ProjectionId) -> Option<ProjectionState> {
        self.at_present(id)?.versions.remove(&id.version)
    }

    pub(super) fn lineage(&self, id: &ProjectionId) -> Lineage {
        self.at_present(id).unwrap_or_default()
    }

    /// Keeps why somebody gave a reaction up.
    pub(super) fn drop_reaction(
        &mut self,
        dropped: &DueReaction,
        reason: &str,
        by: &str,
    ) -> Result<()> {
        let id = dropped.projection();
        let stands = dropped.stands(self.find(&id));
        let stands = stands.ok_or_else(|| unknown(&id))?;
        self.told.push(dropped.told(stands, reason, by, now()));
        Ok(())
    }

    pub(super) fn is_retired(&self, id: &ProjectionId) -> bool {
        self.find(id)
            .is_some_and(|state| state.phase == Phase::Retired)
    }

    pub(super) fn all(&self) -> Vec<(ProjectionId, ProjectionState)> {
        let mut all = Vec::new();
        for ((kind, name), lineage) in &self.lineages {
            for version in lineage.versions.keys() {
                let id = ProjectionId {
                    kind: *kind,
                    name: name.clone(),
                    version: *version,
                };
                all.extend(self.find(&id).map(|state| (id, state)));
            }
        }
        all
    }

    /// Answers the lineage, and the versions whose rows are to go.
    pub(super) fn change(
        &mut self,
        id: &ProjectionId,
        change: &Change,
        by: &str,
        head: Position,
        consumers: Vec<ConsumerState>,
    ) -> Result<(Lineage, Vec<u32>)> {
        let before = self.at_present(id).ok_or_else(|| unknown(id))?;
        let mut after = before.clone();
        let at = Occasion {
            consumers,
            ..Occasion::new(now(), head)
        };
        let effects = life::change(id, &mut after, change, &at)?;
        let mut told = life::told(id, &before, &after, change, by, &at);
        let mut emptied = Vec::new();
        for effect in effects {
            match effect {
                Effect::Empty(version) => {
                    self.parked.clear(id);
                    emptied.push(version);
                }
                Effect::ForgetParked => self.parked.clear(id),
                Effect::RetryParked(key) => {
                    let requested = self.parked.request(id, key.as_deref());
                    if let Some(key) = key.filter(|_| requested == 0) {
                        return Err(life::not_parked(id, change, &key));
                    }
                }
                Effect::DropParked(key) => {
                    let Some(parked) = self.parked.give_up(id, &key) else {
                        return Err(life::not_parked(id, change, &key));
                    };
                    life::tell_given_up(&mut told, &parked);
                }
                Effect::PointView(_) | Effect::DropView => {}
            }
        }
        self.told.extend(told);
        self.lineages.insert(subject(id), after);
        Ok((self.lineage(id), emptied))
    }

    pub(super) fn told(&self, id: &ProjectionId) -> Vec<LifeEntry> {
        let same = |entry: &&LifeEntry| subject(&entry.projection) == subject(id);
        self.told.iter().filter(same).cloned().collect()
    }

    fn slice(&mut self, id: &ProjectionId, slice: u16) -> Option<(&mut SliceState, u64)> {
        let state = self.lineages.get_mut(&subject(id))?;
        let state = state.versions.get_mut(&id.version)?;
        let epoch = state.epoch;
        let slices = &mut state.slices;
        let slice = slices.iter_mut().find(|s| s.slices.start == slice)?;
        Some((slice, epoch))
    }

    pub(super) fn claim(&mut self, claim: &Claim) -> Result<Claimed> {
        let id = &claim.projection;
        let key = (id.clone(), claim.slices.start);
        let now = Instant::now();
        let expired = self.leases.get(&key).is_none_or(|until| *until <= now);
        let shares = claim.is_divided().then(|| self.shares(claim));
        let may_take = shares.as_ref().is_none_or(|s| s.may_take(&claim.owner));
        let gives_up = shares.as_ref().is_some_and(|s| s.gives_up(&claim.owner));
        let mut owned = false;
        let mut cursor = Position::START;
        if let Some((slice, _)) = self.slice(id, claim.slices.start) {
            let own = !expired && slice.owner.as_ref() == Some(&claim.owner);
            let free = expired || slice.owner.is_none();
            owned = own && !gives_up || free && may_take;
            if owned || own {
                slice.owner = owned.then(|| claim.owner.clone());
            }
            cursor = slice.cursor;
        }
        if owned {
            self.leases.insert(key, now + claim.lease);
        }
        let lineage = self.at_present(id).ok_or_else(|| unknown(id))?;
        Ok(Claimed {
            owned,
            cursor,
            lineage,
            parked: self.parked.list(id, None, usize::MAX),
        })
    }

    /// How the parts are shared now, among those who would work on this one.
    fn shares(&mut self, claim: &Claim) -> Shares {
        let (id, now) = (&claim.projection, Instant::now());
        let key = (id.clone(), claim.slices.start);
        let workers = self.workers.entry(key).or_default();
        workers.insert(claim.owner.clone(), now + claim.lease);
        workers.retain(|_, until| *until > now);
        let workers: Vec<_> = workers.keys().cloned().collect();
        let state = self.find(id);
        let slices = state.iter().flat_map(|state| &state.slices);
        let owners: Vec<_> = slices.map(|slice| slice.owner.as_deref()).collect();
        let of = |who: Option<&str>| owners.iter().filter(|owner| **owner == who).count() as u64;
        let shared = |who: String| (who.clone(), of(Some(&who)));
        Shares {
            parts: workers.into_iter().map(shared).collect(),
            free: of(None),
        }
    }

    pub(super) fn release(&mut self, owner: &str) {
        for workers in self.workers.values_mut() {
            workers.remove(owner);
        }
        for ((kind, name), lineage) in &mut self.lineages {
            for (version, state) in &mut lineage.versions {
                for slice in &mut state.slices {
                    if slice.owner.as_deref() == Some(owner) {
                        slice.owner = None;
                        let id = ProjectionId {
                            kind: *kind,
                            name: name.clone(),
                            version: *version,
                        };
                        self.leases.remove(&(id, slice.slices.start));
                    }
                }
            }
        }
    }

    /// Whether the cursor stands where the mover believes, and nothing changed that it must know.
    pub(super) fn stands(&mut self, advance: &Advance) -> Result<bool> {
        let id = &advance.projection;
        match self.slice(id, advance.slice) {
            Some((slice, epoch)) => {
                let from = slice.cursor == advance.from || without(Advance::FROM);
                let knows = epoch == advance.epoch || without(Advance::KNOWING);
                Ok(from && knows)
            }
            None => self.find(id).map(|_| false).ok_or_else(|| unknown(id)),
        }
    }

    /// Moves the cursor if it stands where the mover believes, and nothing changed that it must
    /// know.
    pub(super) fn advance(&mut self, advance: &Advance) -> Result<Advanced> {
        if !self.stands(advance)? {
            return Ok(Advanced::Fenced);
        }
        let id = &advance.projection;
        if let Some((slice, _)) = self.slice(id, advance.slice) {
            slice.cursor = advance.to;
            slice.failure = None;
        }
        if let Some(lineage) = self.lineages.get_mut(&subject(id))
            && let Some(state) = lineage.versions.get_mut(&id.version)
        {
            state.cursor = life::slowest(&state.slices);
        }
        Ok(Advanced::Moved)
    }

    pub(super) fn note_failure(&mut self, stands: &Advance, reason: &str) {
        if let Some((slice, epoch)) = self.slice(&stands.projection, stands.slice)
            && slice.cursor == stands.from
            && epoch == stands.epoch
        {
            let reason = reason.to_owned();
            slice.failure = Some(Noted { reason, at: now() });
        }
    }

    pub(super) fn note_seen(&mut self, who: &str, run: &[ProjectionId], read: &[ProjectionId]) {
        let sighting = Sighting {
            who: who.to_owned(),
            at: now(),
        };
        let mut note = |ids: &[ProjectionId], what: fn(&mut ProjectionState, Sighting)| {
            for id in ids {
                let lineage = self.lineages.get_mut(&subject(id));
                if let Some(state) = lineage.and_then(|l| l.versions.get_mut(&id.version)) {
                    what(state, sighting.clone());
                }
            }
        };
        note(run, |state, sighting| state.run = Some(sighting));
        note(read, |state, sighting| state.read = Some(sighting));
    }
}
