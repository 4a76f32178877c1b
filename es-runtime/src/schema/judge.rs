//! Whether an event may change as it did, within one version of its stream.

use serde_json::Value;

use super::contract::Level;
use super::document::{first_difference, shape};
use super::report::Finding;

/// What readers of one of the documents cannot take of the other.
pub(super) fn judge(old: &Value, new: &Value, _level: Level, subject: &str) -> Vec<Finding> {
    let (old, new) = (shape(old), shape(new));
    let Some((path, old, new)) = first_difference(&old, &new) else {
        return Vec::new();
    };
    let message = format!("`{subject}` has another shape than it was released with");
    let help = "publish it as the next version of the stream, which runs beside this one";
    let details = [
        format!("at {path}"),
        format!("released: {old}"),
        format!("now:      {new}"),
    ];
    vec![Finding::error("ES0162", subject, message, help).showing(details)]
}
