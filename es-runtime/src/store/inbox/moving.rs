//! A consumer that moves from one version of a stream to another: one inbox is closed, and another one
//! goes on where it stood. The rules are pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{HeldEvent, InboxId, InboxKey, InboxPart, StreamCursor};
use crate::event::{Position, Timestamp};
#[cfg(feature = "runtime")]
use crate::runtime::without;

/// A consumer's inboxes, of all versions of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxVersions {
    /// Each that there is, or was.
    pub inboxes: BTreeMap<u32, InboxVersion>,
    /// The versions of those at work who take over from older ones, each with the oldest.
    pub movers: BTreeSet<(u32, u32)>,
}

/// The inbox of one version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboxVersion {
    /// Its parts, by their slices.
    pub parts: Vec<InboxPart>,
    /// The version as which it goes on, if it is closed.
    pub moved_to: Option<u32>,
}

/// Where the inbox is that somebody would work on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whereabouts {
    /// It is theirs to claim.
    #[default]
    Here,
    /// It is the inbox of this version: theirs, once they have taken it over.
    In(u32),
    /// Instances of this newer version are at work, and have it.
    With(u32),
    /// Beside this one there is an inbox of that version, and neither goes on as the other.
    Beside(u32),
}

/// Somebody takes an inbox over for another version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxTakeover {
    /// The inbox that goes on.
    pub inbox: InboxId,
    /// The oldest version that the taker's takes over from by itself, if there is one.
    pub continues: Option<u32>,
    /// The version whose inbox is closed.
    pub from: u32,
    /// Its parts as the taker knows them, and where each goes on, with its origin.
    pub parts: Vec<(InboxPart, StreamCursor, Position)>,
    /// Its keys that are set aside, as the taker knows them: first event, and how many wait.
    pub keys: Vec<(String, Position, u64)>,
    /// What they are in the version that goes on.
    pub carried: Vec<CarriedKey>,
}

/// A key that is set aside in the version that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedKey {
    /// The key.
    pub key: String,
    /// Its events, in order; at least one.
    pub events: Vec<HeldEvent>,
    /// Why it failed last.
    pub reason: String,
    /// How often it failed.
    pub attempts: u32,
    /// When the key was set aside.
    pub since: Timestamp,
    /// When it failed last.
    pub failed_at: Timestamp,
}

#[cfg(feature = "runtime")]
impl InboxTakeover {
    /// The guards that no event is handled in two versions.
    const STANDS: &str = "an inbox moves from where it stands";
    const CLOSED: &str = "an inbox that moves is closed to its workers";

    /// By how much the epoch of the parts that are closed is raised: no move from before counts.
    pub(crate) fn closes() -> u64 {
        u64::from(!without(Self::CLOSED))
    }
}

#[cfg(feature = "runtime")]
impl InboxVersions {
    /// Where the inbox of a version is, for one who takes over from older ones down to `continues`.
    ///
    /// The newest version wins while somebody of it works; when nobody does, whoever is there takes the
    /// inbox back.
    pub(crate) fn whereabouts(&self, version: u32, continues: Option<u32>) -> Whereabouts {
        let newer = |&&(mover, oldest): &&(u32, u32)| mover > version && oldest <= version;
        if let Some((newer, _)) = self.movers.iter().rfind(newer) {
            return Whereabouts::With(*newer);
        }
        let own = self.inboxes.get(&version);
        if own.is_some_and(|own| own.moved_to.is_some()) {
            return Whereabouts::In(self.holder(version));
        }
        let open = |(_, inbox): &(&u32, &InboxVersion)| inbox.moved_to.is_none();
        let older = continues.unwrap_or(version).min(version)..version;
        match self.inboxes.range(older).rfind(open) {
            None => Whereabouts::Here,
            Some((older, _)) if own.is_none() => Whereabouts::In(*older),
            Some((older, _)) => Whereabouts::Beside(*older),
        }
    }

    /// As which version an inbox goes on.
    fn holder(&self, version: u32) -> u32 {
        let (mut holder, mut seen) = (version, BTreeSet::new());
        while let Some(next) = self.inboxes.get(&holder).and_then(|inbox| inbox.moved_to)
            && seen.insert(holder)
        {
            holder = next;
        }
        holder
    }

    /// The parts with which the other inbox goes on, unless something is not as the taker believes.
    pub(crate) fn take_over(
        &self,
        takeover: &InboxTakeover,
        keys: &[InboxKey],
    ) -> Option<Vec<InboxPart>> {
        let version = takeover.inbox.stream.version;
        let whereabouts = self.whereabouts(version, takeover.continues);
        let from = self.inboxes.get(&takeover.from)?;
        let place = |part: &InboxPart| (part.slices.clone(), part.epoch);
        let divided = from.parts.iter().map(place);
        let same = divided.eq(takeover.parts.iter().map(|(part, ..)| place(part)));
        let stands = from.parts.iter().map(|part| part.cursor);
        let stands = stands.eq(takeover.parts.iter().map(|(part, ..)| part.cursor));
        let stands = stands || without(InboxTakeover::STANDS);
        let known = takeover.keys.iter();
        let known = known.map(|(key, position, waiting)| (key.as_str(), *position, *waiting));
        let aside = keys
            .iter()
            .map(|key| (key.key.as_str(), key.position, key.waiting));
        let may = whereabouts == Whereabouts::In(takeover.from) && same && stands;
        if !may || !aside.eq(known) {
            return None;
        }
        let own = self.inboxes.get(&version).into_iter();
        let all = own.chain([from]).flat_map(|inbox| &inbox.parts);
        let epoch = all.map(|part| part.epoch).max().unwrap_or_default() + 1;
        let part = |(part, cursor, origin): &(InboxPart, StreamCursor, Position)| InboxPart {
            slices: part.slices.clone(),
            cursor: *cursor,
            origin: *origin,
            epoch,
            owner: None,
        };
        Some(takeover.parts.iter().map(part).collect())
    }
}

#[cfg(all(test, feature = "runtime"))]
mod tests {
    use super::Whereabouts::{Beside, Here, In, With};
    use super::*;

    fn inboxes(versions: &[(u32, Option<u32>)], movers: &[(u32, u32)]) -> InboxVersions {
        let inbox = |(version, moved_to): &(u32, Option<u32>)| {
            let parts = Vec::new();
            let moved_to = *moved_to;
            (*version, InboxVersion { parts, moved_to })
        };
        InboxVersions {
            inboxes: versions.iter().map(inbox).collect(),
            movers: movers.iter().copied().collect(),
        }
    }

    #[test]
    fn the_newest_that_works_has_the_inbox_and_then_whoever_is_there() {
        let nobody = inboxes(&[], &[]);
        assert_eq!(nobody.whereabouts(2, Some(1)), Here);
        let first = inboxes(&[(1, None)], &[]);
        assert_eq!(first.whereabouts(1, None), Here);
        assert_eq!(first.whereabouts(2, Some(1)), In(1));
        // Who does not say that it takes over is another consumer's beginning.
        assert_eq!(first.whereabouts(2, None), Here);

        // A deploy: the newer release is heard of before it has taken over.
        let coming = inboxes(&[(1, None)], &[(2, 1)]);
        assert_eq!(coming.whereabouts(1, None), With(2));
        assert_eq!(coming.whereabouts(2, Some(1)), In(1));
        let moved = inboxes(&[(1, Some(2)), (2, None)], &[(2, 1)]);
        assert_eq!(moved.whereabouts(1, None), With(2));
        assert_eq!(moved.whereabouts(2, Some(1)), Here);
        // Rolled back: nobody of the newer one is left.
        let left = inboxes(&[(1, Some(2)), (2, None)], &[]);
        assert_eq!(left.whereabouts(1, None), In(2));
        assert_eq!(left.whereabouts(2, Some(1)), Here);
        let back = inboxes(&[(1, None), (2, Some(1))], &[]);
        assert_eq!(back.whereabouts(1, None), Here);
        assert_eq!(back.whereabouts(2, Some(1)), In(1));
    }

    #[test]
    fn an_inbox_is_found_over_several_versions() {
        let third = inboxes(&[(1, Some(2)), (2, Some(3)), (3, None)], &[]);
        assert_eq!(third.whereabouts(1, None), In(3));
        assert_eq!(third.whereabouts(2, Some(1)), In(3));
        let skipped = inboxes(&[(1, None)], &[(3, 1), (2, 1)]);
        assert_eq!(skipped.whereabouts(2, Some(1)), With(3));
        assert_eq!(skipped.whereabouts(3, Some(1)), In(1));
        // Who takes over from version 2 alone has nothing to do with version 1.
        let apart = inboxes(&[(1, None)], &[(3, 2)]);
        assert_eq!(apart.whereabouts(1, None), Here);
        let both = inboxes(&[(1, None), (2, None)], &[]);
        assert_eq!(both.whereabouts(2, Some(1)), Beside(1));
        assert_eq!(both.whereabouts(2, None), Here);
    }
}
