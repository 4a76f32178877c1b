//! Rules across the versions of a public stream: each that is served has its way down, and what is
//! lost on it is declared.

use std::collections::BTreeSet;

use crate::diag::{self, Errors};
use crate::model::IntegrationEnum;
use crate::model::versions::{Line, Said, What};

pub(super) fn check(model: &IntegrationEnum<'_>, errors: &Errors) {
    let versions = &model.versions;
    let generics = &model.input.generics;
    if !versions.older.is_empty() && !generics.params.is_empty() {
        errors.push(diag::versions::generic(&generics.params));
    }
    for line in &versions.lines {
        for said in &line.said {
            let older = versions.before(said.since).filter(|older| !older.own);
            if let Some(older) = older.filter(|older| line.reaches(older.number, said)) {
                way_down(said, older.number, errors);
            }
        }
    }
    for older in &versions.older {
        let (mut names, mut variants) = (BTreeSet::new(), BTreeSet::new());
        for line in versions.events(older.number) {
            let (name, ident) = (line.name_in(older.number), line.ident_in(older.number));
            // Two variants of one name in Rust are two events of one name, or nearly so.
            if !names.insert(name.to_owned()) || !variants.insert(ident.to_string()) {
                errors.push(diag::versions::two_events(
                    &line.name.at,
                    name,
                    older.number,
                ));
            }
        }
    }
}

impl Line<'_> {
    /// Whether a change concerns an event that the older version has, or had.
    fn reaches(&self, older: u32, said: &Said) -> bool {
        self.is_in(older) || matches!(said.what, What::Came | What::Merged)
    }
}

fn way_down(said: &Said, older: u32, errors: &Errors) {
    let down = said.down.is_some();
    let missing = |what| errors.push(diag::versions::no_way_down(&said.key, what, older));
    match &said.what {
        What::Came | What::Simple | What::Merged => {}
        What::Whole if !down => missing("what was made of it"),
        What::Converted if !down => missing("what it was made into"),
        What::Whole | What::Converted => {}
        What::Removed { fill, .. } if fill.is_none() && !down => missing("what was removed"),
        What::Removed { .. } | What::Went { comes_back: false } if said.lossy.is_none() => {
            errors.push(diag::versions::undeclared_loss(&said.key, older));
        }
        What::Removed { .. } | What::Went { .. } => {}
    }
}
