//! What the page of the documentation says beside the figures.

pub(crate) const INTRODUCTION: &str = "\
How fast a consumer handles a stream that is there already. The envelopes are in memory, as the pages of
JSON that a feed answers with, so that the network is not measured. Ours is a consumer as a user writes it:
it judges every event, proves the running hash, and moves its inbox with the effects. Beside it stands a
program that was written by hand for this one stream, which decodes the same pages, writes the same rows in
transactions of as many events, and keeps a cursor; it notices no hole, no other history and no other
instance, and one event that fails ends it. Both run in turn, in the same run and on the same database, and
what they wrote is compared; a ratio is the median over the rounds, each round's ours divided by its limit.
More is better.
";

pub(crate) const REPEAT: &str = "\
```sh
cargo bench -p es-runtime --all-features --bench consume                    # everything, and this page
cargo bench -p es-runtime --all-features --bench consume -- consume_inbox   # one by its name
ES_BENCH_SIZE=short cargo bench -p es-runtime --all-features --bench consume
```

It needs PostgreSQL's server binaries (`apt-get install postgresql`), and starts a server of its own in a
temporary folder. `ES_BENCH_WRITE=1` writes this page after any run.
";
