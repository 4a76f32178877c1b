//! What the page of the documentation says beside the figures.

pub(crate) const INTRODUCTION: &str = "\
How fast an integration stream is filled from the first event, how fast it goes out over RabbitMQ,
and how fast it is read. Ours is a service as a user writes it; beside it stands a program that was
written by hand for this one stream, which reads the same log, maps with the states of all accounts
in memory, and writes the same columns, the running hash among them, with one bulk insert for many
events. It cannot be stopped, watched or run twice. Both run in turn, in the same run and on the
same database, and what they wrote is compared; a ratio is the median over the rounds, each round's
ours divided by its limit. More is better.
";

pub(crate) const REPEAT: &str = "\
```sh
cargo bench -p es-runtime --all-features --bench publish                  # everything, and this page
cargo bench -p es-runtime --all-features --bench publish -- feed_pages    # one by its name
ES_BENCH_SIZE=short cargo bench -p es-runtime --all-features --bench publish
```

It needs PostgreSQL's server binaries (`apt-get install postgresql`) and RabbitMQ's (`apt-get install
--no-install-recommends rabbitmq-server`), and starts servers of its own in temporary folders.
`ES_BENCH_WRITE=1` writes this page after any run.
";
