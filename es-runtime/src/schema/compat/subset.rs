//! Is every instance of one schema an instance of another?

use serde_json::Value;

use super::judge::{Judge, Truth};
use super::node::Nodes;
use super::number::normal;
use super::read::{As, read};
use super::solve::{Found, Solver};

/// Whether every instance that is valid under one schema is valid under another.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// Every instance is.
    Subset,
    /// Some instance is not.
    NotSubset {
        /// Where the second schema refuses it, as a JSON pointer with references followed.
        path: String,
        /// What it refuses there.
        reason: String,
        /// Such an instance. There is none where the difference is one that only typed readers see,
        /// as with `format`.
        counterexample: Option<Value>,
    },
    /// It could not be decided: take it for a no.
    Unsure {
        /// Where, as a JSON pointer; empty if it is the schema as a whole.
        path: String,
        /// What was not understood, or took too long.
        reason: String,
    },
}

impl Verdict {
    /// Only where it is certain.
    pub fn is_subset(&self) -> bool {
        *self == Self::Subset
    }

    /// The instance that shows it.
    pub fn counterexample(&self) -> Option<&Value> {
        match self {
            Self::NotSubset { counterexample, .. } => counterexample.as_ref(),
            _ => None,
        }
    }
}

/// Is every instance that is valid under `sub` valid under `sup`?
///
/// Drafts 4 to 7, and what later drafts only say in other words. Formats and contents are constraints,
/// since typed readers rely on them; a schema is taken as open or closed as it is written.
///
/// ```
/// use es_runtime::schema::compat::subset;
/// use serde_json::json;
///
/// let cents = json!({"type": "integer", "minimum": 0});
/// let amounts = json!({"type": "number"});
/// assert!(subset(&cents, &amounts).is_subset());
/// assert_eq!(subset(&amounts, &cents).counterexample(), Some(&json!(-1)));
/// ```
pub fn subset(sub: &Value, sup: &Value) -> Verdict {
    if sub == sup {
        return Verdict::Subset;
    }
    // Exclusive bounds that are booleans mean something in draft 4 alone.
    let draft_4 = says_draft_4(sup) || says_draft_4(sub) || has_boolean_bounds(sub);
    let meant = if draft_4 { As::Written } else { As::Undated };
    decide((sub, As::Written), (sup, meant))
}

/// Is every instance of one document, as it is meant, one of the other?
pub(super) fn decide(sub: (&Value, As), sup: (&Value, As)) -> Verdict {
    let mut nodes = Nodes::new();
    let inner = read(&mut nodes, sub.0, sub.1);
    let outer = read(&mut nodes, sup.0, sup.1);
    let found = Solver::new(&mut nodes).find(vec![(inner, true), (outer, false)]);
    match found {
        Found::Nothing => Verdict::Subset,
        Found::Perhaps(doubt) if doubt.claimed => Verdict::NotSubset {
            path: doubt.path,
            reason: doubt.why,
            counterexample: None,
        },
        Found::Perhaps(doubt) => Verdict::Unsure {
            path: doubt.path,
            reason: doubt.why,
        },
        Found::Instance(instance) => {
            let instance = normal(&instance);
            let mut judge = Judge::new(&mut nodes);
            let shows = judge.judge(inner, &instance) == Truth::Yes
                && judge.judge(outer, &instance) == Truth::No;
            if !shows {
                return Verdict::Unsure {
                    path: String::new(),
                    reason: format!(
                        "`{instance}` may be a counterexample, and could not be confirmed"
                    ),
                };
            }
            let failure = judge.failure(outer, &instance, "");
            let (path, reason) = failure
                .map(|failure| (failure.path, failure.why))
                .unwrap_or_default();
            Verdict::NotSubset {
                path,
                reason,
                counterexample: Some(instance),
            }
        }
    }
}

fn says_draft_4(schema: &Value) -> bool {
    let draft = schema.get("$schema").and_then(Value::as_str);
    draft.is_some_and(|draft| draft.contains("draft-04") || draft.contains("draft-03"))
}

fn has_boolean_bounds(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => members.iter().any(|(name, member)| {
            (name.starts_with("exclusiveM") && member.is_boolean()) || has_boolean_bounds(member)
        }),
        Value::Array(items) => items.iter().any(has_boolean_bounds),
        _ => false,
    }
}
