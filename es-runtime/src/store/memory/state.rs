//! What the store has, and how it changes while its lock is held.

use std::collections::HashSet;

use super::State;
use crate::error::Result;
use crate::event::{CommandId, Position, StoredEvent, StreamId};
use crate::store::segment::{
    elsewhere, keys_at_the_seam, new_commands, other_version, there_already,
};
use crate::store::unique::{Changes, check};
use crate::store::{
    AcceptedCommand, Advance, Advanced, Append, Appended, Found, Outcome, ProcessPage, Row,
    Segment, StreamPage, StreamQuery, Table, Written, plan, tasks_of,
};

impl State {
    pub(super) fn head(&self) -> Position {
        Position::new(self.log.len() as u64)
    }

    pub(super) fn found(&self, append: &Append) -> Found {
        let version = self.version(&append.stream);
        let done = if append.is_kept() {
            self.done(&append.stream, append.command_id)
        } else {
            self.next(append)
                .and_then(|next| append.done_by(next.position, next.command_id))
        };
        Found { version, done }
    }

    /// The event after the version that the append expects.
    pub(super) fn next(&self, append: &Append) -> Option<&StoredEvent> {
        let events = self.streams.get(&append.stream)?;
        let next = events.get(usize::try_from(append.expected).ok()?)?;
        self.log.get(*next)
    }

    pub(super) fn version(&self, stream: &StreamId) -> u64 {
        let events = self.streams.get(stream);
        events.map_or(0, |events| events.len() as u64)
    }

    pub(super) fn done(&self, stream: &StreamId, command: CommandId) -> Option<Outcome> {
        let command = self.commands.get(&(stream.clone(), command));
        command.map(|command| command.outcome)
    }

    pub(super) fn keep(&mut self, command: AcceptedCommand) {
        self.commands.insert(command.key(), command);
    }

    pub(super) fn push(&mut self, event: StoredEvent) {
        let stream = self.streams.entry(event.stream.clone()).or_default();
        stream.push(self.log.len());
        self.log.push(event);
    }

    /// Adds the segment if it continues what is there.
    pub(super) fn import(&mut self, segment: Segment) -> Result<Position> {
        let streams = segment.check()?;
        if segment.after != self.head() {
            return elsewhere(segment.after, self.head());
        }
        for (stream, version) in streams {
            if self.version(stream) != version {
                return other_version(stream.as_str(), self.version(stream), version);
            }
        }
        let seam = keys_at_the_seam(&segment);
        let there: Vec<_> = seam
            .iter()
            .filter_map(|key| self.commands.get(key).cloned())
            .collect();
        let new: Vec<_> = new_commands(&segment, &there)?
            .into_iter()
            .cloned()
            .collect();
        if new.iter().any(|c| self.commands.contains_key(&c.key())) {
            return there_already();
        }
        segment
            .events
            .into_iter()
            .for_each(|event| self.push(event));
        new.into_iter().for_each(|command| self.keep(command));
        Ok(self.head())
    }

    pub(super) fn append(&mut self, append: &Append) -> Result<(Appended, Position)> {
        let found = self.found(append);
        let plan = plan(std::slice::from_ref(append), &[found], self.head());
        let result = plan.results[0];
        if let Appended::New(outcome) = result {
            if append.is_kept() {
                self.keep(AcceptedCommand {
                    stream: append.stream.clone(),
                    command_id: append.command_id,
                    outcome,
                    time: append.time,
                    correlation: append.correlation.clone(),
                });
            }
            for event in append.stored(outcome) {
                self.push(event.to_stored()?);
            }
        }
        Ok((result, plan.head))
    }

    /// The events of a stream after a version.
    pub(super) fn stream(&self, stream: &StreamId, query: StreamQuery) -> StreamPage {
        let events = self.streams.get(stream).map_or(&[][..], Vec::as_slice);
        StreamPage::pick(query, events.iter().map(|&i| &self.log[i]))
    }

    /// Writes rows if the cursor stands where the mover believes, or refuses them all.
    pub(super) fn advance_rows(
        &mut self,
        advance: &Advance,
        table: &Table,
        written: Written,
    ) -> Result<Advanced> {
        let id = &advance.projection;
        if !self.lives.stands(advance)? || !self.lives.parked.allows(id, &written.parked) {
            return Ok(Advanced::Fenced);
        }
        let Changes { rows: new, gone } = Changes::new(written.rows);
        let rows = self.rows.entry(table.into()).or_default();
        let changed: HashSet<_> = new.iter().map(|(key, _)| key).chain(&gone).collect();
        let others = rows.iter().filter(|(key, _)| !changed.contains(key));
        check(table, others.map(|(key, row)| (&**key, row)), &new)?;
        for key in gone {
            rows.remove(&key);
        }
        rows.extend(new);
        self.lives.parked.write(id, written.parked);
        self.reactions.add(&id.name, id.version, written.reactions);
        self.lives.advance(advance)
    }

    pub(super) fn advance_process(
        &mut self,
        advance: &Advance,
        page: ProcessPage,
    ) -> Result<Advanced> {
        let id = &advance.projection;
        if !self.lives.stands(advance)? || !self.lives.parked.allows(id, &page.parked) {
            return Ok(Advanced::Fenced);
        }
        self.lives.parked.write(id, page.parked);
        self.reactions
            .add(&tasks_of(&id.name), id.version, page.tasks);
        self.timers.change(&id.name, &page.timers);
        self.lives.advance(advance)
    }

    pub(super) fn rows_of(&self, table: &Table) -> impl Iterator<Item = (&str, &Row)> {
        let rows = self.rows.get(&table.into()).into_iter().flatten();
        rows.map(|(key, row)| (&**key, row))
    }

    pub(super) fn rows_of_keys(&self, table: &Table, keys: Vec<String>) -> Vec<(String, Row)> {
        let Some(rows) = self.rows.get(&table.into()) else {
            return Vec::new();
        };
        let row = |key: String| rows.get(&key).cloned().map(|row| (key, row));
        keys.into_iter().filter_map(row).collect()
    }
}
