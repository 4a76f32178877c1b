//! What people do with a log from a command line: look after the versions of its projections and of
//! what it publishes, move it to another store, keep a copy.
//!
//! [`command`] is one line of a service's `main`, and gives its binary the commands
//! `projections …`, `streams …` and `inbox …`; the program `es` has the same, for any database. Behind the feature `cli`,
//! `export` writes a log to a file of JSON Lines that everyone can read, and `import` brings it
//! into another store; both go on where they were interrupted. The book describes the commands,
//! and the file line by line.
#![cfg_attr(
    feature = "cli",
    doc = r#"
```
use es_runtime::event::{Position, Timestamp};
use es_runtime::{Store, ops};
# #[tokio::main]
# async fn main() -> es_runtime::Result<()> {
# let folder = tempfile::tempdir().unwrap();
# let file = folder.path().join("bank.jsonl.zst");
# let now = Timestamp::default();
let (old, new) = (Store::connect("memory:").await?, Store::connect("memory:").await?);
let exported = ops::export(&old, &file, Position::START, now, |_| {}).await?;
let imported = ops::import(&new, &file, |_| {}).await?;
assert_eq!(exported.position, imported.position);
# Ok(())
# }
```
"#
)]

mod command;
mod confirm;
mod inboxes;
mod projections;
mod streams;
#[cfg(feature = "cli")]
mod transfer;
mod words;

pub use command::command;
#[cfg(feature = "cli")]
pub use transfer::{Exported, Imported, Progress, export, import};
#[cfg(feature = "cli")]
#[doc(hidden)]
pub use words::duration;
