//! From the newest version back to the first: what each version held, and what made the next one.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::Ident;

use super::change::{FieldChange, Said, VariantChange, of_field};
use super::{Change, Field, History, Shape, Step};
use crate::attr::serde::{self, Names};
use crate::attr::{Became, Inventory, Options, Place};
use crate::diag::{self, Errors};

pub(super) struct Context<'a> {
    pub(super) errors: &'a Errors,
    pub(super) inventory: &'static Inventory,
    pub(super) names: &'a Names,
    /// What the fields are of, for messages.
    pub(super) owner: &'a Ident,
    /// How many errors there were before its attributes were read.
    pub(super) told: usize,
}

/// A field on the way back, as it was in the version at hand.
struct Node {
    field: Field,
    /// What happened to it before that, oldest first.
    changes: Vec<Said<FieldChange>>,
}

/// A payload on the way back.
struct Payload {
    named: bool,
    nodes: Vec<Node>,
}

impl Payload {
    fn shape(&self) -> Shape {
        Shape {
            named: self.named,
            fields: self.nodes.iter().map(|node| node.field.clone()).collect(),
        }
    }
}

impl Context<'_> {
    pub(super) fn walk(
        &self,
        fields: &[syn::Field],
        named: bool,
        mut said: Vec<Said<VariantChange>>,
        newest: Option<u32>,
    ) -> History {
        let mut made = BTreeMap::new();
        for change in &said {
            made.entry(change.since)
                .or_insert_with(|| change.key.clone());
        }
        let nodes = self.nodes(fields, named, &mut made);
        // What is listed is read here, once: its changes are versions, too.
        let mut listed: Vec<_> = said
            .iter()
            .map(|change| self.listed_by(&change.what, change.since, &mut made))
            .collect();
        // What could not be read may be what made a version that is missing.
        if newest.is_none() && self.errors.count() == self.told {
            self.gaps(&made);
        }
        // Only those that something made, if it is for them to say: a number far off is a gap, which
        // was told, and no reason to go through all that are missing.
        let versions: Vec<_> = match newest {
            Some(newest) => (2..=newest).collect(),
            None => made.keys().copied().collect(),
        };
        nodes.iter().for_each(|node| self.ascending(node));
        let mut payload = Payload { named, nodes };
        let mut history = History {
            shapes: vec![payload.shape()],
            steps: Vec::new(),
        };
        for since in versions.into_iter().rev() {
            self.alone(&said, since);
            // A version's changes are one: what they take is looked for in the version after, and
            // what they took comes back when all have looked.
            let (mut steps, mut back) = (Vec::new(), Vec::new());
            while let Some(i) = said.iter().rposition(|change| change.since == since) {
                let (change, sources) = (said.remove(i), listed.remove(i));
                steps.extend(self.undo(&mut payload, change, sources, &mut back));
            }
            steps.reverse();
            steps.extend(self.undo_fields(&mut payload, since));
            payload.nodes.extend(back);
            self.unique(&payload, since - 1);
            history.steps.extend(steps.into_iter().rev());
            history.shapes.push(payload.shape());
        }
        history.steps.reverse();
        history.shapes.reverse();
        self.reused(&history);
        history
    }

    /// The fields with their own histories.
    fn nodes(
        &self,
        fields: &[syn::Field],
        named: bool,
        made: &mut BTreeMap<u32, Ident>,
    ) -> Vec<Node> {
        let read = |syntax: &syn::Field| {
            let owner = syntax.ident.as_ref().unwrap_or(self.owner);
            let options = Options::read(
                self.errors,
                self.inventory,
                Place::Field,
                &syntax.attrs,
                owner,
            );
            let changes: Vec<_> = options
                .changes()
                .iter()
                .filter_map(|options| of_field(self.errors, options))
                .collect();
            let attribute = self.inventory.attribute;
            let mut field = Field::new(self.names, syntax);
            field.attrs.retain(|attr| !attr.path().is_ident(attribute));
            let (skipped, flattened) = (serde::skips(&field.attrs), serde::flattens(&field.attrs));
            if let Some(change) = changes.first().filter(|_| !named || skipped || flattened) {
                self.errors
                    .push(diag::history::no_history(&change.key, named));
                return (!skipped).then_some(Node {
                    field,
                    changes: Vec::new(),
                });
            }
            for change in &changes {
                made.entry(change.since)
                    .or_insert_with(|| change.key.clone());
            }
            (!skipped).then_some(Node { field, changes })
        };
        fields.iter().filter_map(read).collect()
    }

    /// The fields that a change lists, which were there until it.
    fn listed_by(
        &self,
        change: &VariantChange,
        since: u32,
        made: &mut BTreeMap<u32, Ident>,
    ) -> Vec<Node> {
        let fields = match change {
            VariantChange::Name(_) | VariantChange::Merged => return Vec::new(),
            VariantChange::Removed { fields, .. } | VariantChange::Whole { fields, .. } => fields,
            VariantChange::Converted { listed, .. } | VariantChange::Moved(listed) => {
                &listed.fields
            }
        };
        let named = fields.iter().all(|field| field.ident.is_some());
        let context = Context {
            names: &Names::plain(),
            ..*self
        };
        let nodes = context.nodes(fields, named, made);
        for node in &nodes {
            self.ascending(node);
            if let Some(late) = node.changes.iter().find(|change| change.since >= since) {
                self.errors.push(diag::history::after_the_end(
                    &late.key,
                    &node.field.name,
                    since,
                ));
            }
        }
        nodes
    }

    /// A field's changes stand in the order in which they happened.
    fn ascending(&self, node: &Node) {
        for pair in node.changes.windows(2) {
            if pair[0].since >= pair[1].since {
                self.errors
                    .push(diag::history::disorder(&pair[1].key, pair[0].since));
            }
        }
    }

    /// Every version up to the newest was made by something.
    fn gaps(&self, made: &BTreeMap<u32, Ident>) {
        let mut last = 1;
        for (&since, key) in made {
            if since > last + 1 {
                self.errors
                    .push(diag::history::gap(key, self.owner, last + 1, since));
            }
            last = since;
        }
    }

    /// Takes back a change of the variant.
    fn undo(
        &self,
        payload: &mut Payload,
        Said { since, key, what }: Said<VariantChange>,
        sources: Vec<Node>,
        back: &mut Vec<Node>,
    ) -> Option<Step> {
        let from = || {
            sources
                .iter()
                .map(|node| node.field.clone())
                .collect::<Vec<_>>()
        };
        let change = match what {
            VariantChange::Name(was) => Change::Name { was },
            VariantChange::Merged => Change::Merged,
            VariantChange::Removed { down, .. } => Change::Converted {
                from: from(),
                to: Vec::new(),
                up: None,
                down,
            },
            VariantChange::Converted {
                ref listed,
                ref up,
                ref down,
            } => Change::Converted {
                from: from(),
                to: self.take(payload, &listed.became, since)?,
                up: Some(up.clone()),
                down: down.clone(),
            },
            VariantChange::Moved(ref listed) => {
                let to = self.take(payload, &listed.became, since)?;
                match (&*from(), &*to) {
                    ([from], _) => Change::Flattened {
                        from: from.clone(),
                        to,
                    },
                    (from, [to]) => Change::Nested {
                        from: from.to_vec(),
                        to: to.clone(),
                    },
                    _ => return None,
                }
            }
            VariantChange::Whole { up, down, .. } => {
                for node in payload.nodes.drain(..) {
                    self.begins(&node, since);
                }
                payload.named = sources.iter().all(|node| node.field.ident.is_some());
                payload.nodes = sources;
                return Some(Step {
                    since,
                    change: Change::Whole { up, down },
                });
            }
        };
        if !payload.named && !sources.is_empty() {
            self.errors.push(diag::history::no_history(&key, false));
            return None;
        }
        back.extend(sources);
        Some(Step { since, change })
    }

    /// Reports what is said to have happened in the version of an upcast, which replaces all.
    fn alone(&self, said: &[Said<VariantChange>], since: u32) {
        let whole = |change: &&Said<VariantChange>| {
            change.since == since && matches!(change.what, VariantChange::Whole { .. })
        };
        let inner = |change: &&Said<VariantChange>| {
            let outside = matches!(change.what, VariantChange::Name(_) | VariantChange::Merged);
            change.since == since && !outside
        };
        if said.iter().any(|change| whole(&change)) {
            for other in said.iter().filter(inner).skip(1) {
                self.errors.push(diag::history::two_changes(&other.key));
            }
        }
    }

    /// Takes the fields that a change made out of the payload.
    fn take(&self, payload: &mut Payload, became: &[Became], since: u32) -> Option<Vec<Field>> {
        let mut taken = Vec::new();
        for became in became {
            let here = |node: &Node| node.field.name == became.name;
            let Some(i) = payload.nodes.iter().position(here) else {
                let names = payload.nodes.iter().map(|node| &*node.field.name);
                let error = diag::history::no_such_field(became, since, names);
                self.errors.push(error);
                return None;
            };
            let node = payload.nodes.remove(i);
            self.begins(&node, since);
            taken.push(node.field);
        }
        Some(taken)
    }

    /// Reports what is said to have happened to a field before it was there.
    fn begins(&self, node: &Node, since: u32) {
        if let Some(early) = node.changes.last() {
            let name = &node.field.name;
            self.errors
                .push(diag::history::before_the_beginning(&early.key, name, since));
        }
    }

    /// Takes back what happened to the fields themselves.
    fn undo_fields(&self, payload: &mut Payload, since: u32) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut nodes = Vec::new();
        for mut node in std::mem::take(&mut payload.nodes) {
            let Some(said) = node.changes.pop_if(|change| change.since == since) else {
                nodes.push(node);
                continue;
            };
            let to = node.field.clone();
            match said.what {
                FieldChange::Added(value) => {
                    self.begins(&node, since);
                    let change = Change::Added { field: to, value };
                    steps.push(Step { since, change });
                    continue;
                }
                FieldChange::Changed { was, retyped } => {
                    if was.as_ref() == Some(&to.name) {
                        self.errors
                            .push(diag::history::same_again(&said.key, &to.name));
                    }
                    let from = &mut node.field;
                    from.name = was.unwrap_or_else(|| to.name.clone());
                    let change = match retyped {
                        None => Change::Renamed {
                            from: from.clone(),
                            to,
                        },
                        Some(retyped) => {
                            from.ty = retyped.ty;
                            from.attrs.retain(|attr| !attr.path().is_ident("serde"));
                            Change::Converted {
                                from: vec![from.clone()],
                                to: vec![to],
                                up: Some(retyped.up),
                                down: retyped.down,
                            }
                        }
                    };
                    steps.push(Step { since, change });
                    nodes.push(node);
                }
            }
        }
        payload.nodes = nodes;
        steps
    }

    /// Reports two fields of one name.
    fn unique(&self, payload: &Payload, version: u32) {
        let mut seen = BTreeSet::new();
        for node in payload.nodes.iter().filter(|_| payload.named) {
            let field = &node.field;
            if !serde::flattens(&field.attrs) && !seen.insert(&field.name) {
                self.errors.push(diag::history::two_fields(field, version));
            }
        }
    }

    /// Reports a name that came back with another type: old readers would misread it.
    fn reused(&self, history: &History) {
        let mut last: BTreeMap<String, (u32, String)> = BTreeMap::new();
        let mut told = BTreeSet::new();
        for (version, shape) in (1..).zip(&history.shapes).filter(|(_, shape)| shape.named) {
            for field in &shape.fields {
                let text = field.type_text();
                let now = (version, text.clone());
                let Some((seen, before)) = last.insert(field.name.clone(), now) else {
                    continue;
                };
                if seen + 1 < version && before != text && told.insert(field.name.clone()) {
                    self.errors
                        .push(diag::history::reused(field, &before, seen));
                }
            }
        }
    }
}
