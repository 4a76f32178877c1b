//! What the page of the documentation says beside the figures.

pub(crate) const INTRODUCTION: &str = "\
How fast a read model is built from the first event, what that costs the commands beside it, and how
soon a row shows what a command did. Ours is a service as a user writes it; beside it stands a
program that was written by hand for this one read model, which streams the same log, folds in
memory, and writes what changed with one bulk upsert for many events. It keeps all rows in memory
and cannot be stopped, watched or run twice. Both run in turn, in the same run and on the same
database, and their rows are compared; a ratio is the median over the rounds, each round's ours
divided by its limit. More is better.
";

pub(crate) const REPEAT: &str = "\
```sh
cargo bench -p es-runtime --all-features --bench projections                     # everything, and this page
cargo bench -p es-runtime --all-features --bench projections -- rebuild_keyed    # one by its name
ES_BENCH_SIZE=short cargo bench -p es-runtime --all-features --bench projections
```

It needs PostgreSQL's server binaries (`apt-get install postgresql`), and starts a server of its own
in a temporary folder. `ES_BENCH_WRITE=1` writes this page after any run.
";
