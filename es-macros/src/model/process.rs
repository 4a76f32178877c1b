use syn::{DeriveInput, Type};

use super::AggregateState;
use crate::attr::Options;
use crate::attr::inventory::PROCESS;
use crate::diag::{self, Errors};
use crate::text::pretty;

/// A process's state: an aggregate's, and whom it deals with.
pub(crate) struct ProcessState<'a> {
    pub(crate) aggregate: AggregateState<'a>,
    /// The aggregates that it sends commands to.
    pub(crate) sends: Vec<&'a Type>,
    /// The enums of others' events that it listens to.
    pub(crate) listens: Vec<&'a Type>,
}

impl<'a> ProcessState<'a> {
    pub(crate) fn read(
        input: &'a DeriveInput,
        options: &'a Options,
        errors: &Errors,
    ) -> Option<Self> {
        let aggregate = AggregateState::of(&PROCESS, "input", input, options, errors);
        let (sends, listens) = (options.types("sends"), options.types("listens"));
        let process = Self {
            sends: distinct("sends", sends, errors),
            listens: distinct("listens", listens, errors),
            aggregate: aggregate?,
        };
        Some(process)
    }
}

/// The types, of which none may be said twice.
fn distinct<'a>(
    option: &str,
    types: impl Iterator<Item = &'a Type>,
    errors: &Errors,
) -> Vec<&'a Type> {
    let mut all = Vec::<&Type>::new();
    for ty in types {
        if all.iter().any(|known| pretty(known) == pretty(ty)) {
            errors.push(diag::said_again(option, ty));
        } else {
            all.push(ty);
        }
    }
    all
}
