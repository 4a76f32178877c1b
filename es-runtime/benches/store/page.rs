//! What the page of the documentation says beside the figures.

pub(crate) const INTRODUCTION: &str = "\
Each of our rates stands beside a raw limit: the plainest program for the same database that writes
the same columns, or reads the same rows, with nothing around it. It gives no order that a reader
can rely on, checks no versions, and knows no commands that come twice; it is what one would reach
without all that. Ours and the limit run in turn, in the same run and on the same database; a ratio
is the median over the rounds, each round's ours divided by its limit. More is better.

The limits with one `INSERT` a commit run beside `pgbench`, PostgreSQL's own benchmark, with the
same statement, as many clients and as much time. A limit below 0.9 of it would be none, and its
ratio is marked as void.
";

pub(crate) const REPEAT: &str = "\
```sh
cargo bench -p es-runtime --all-features --bench store                    # everything, and this page
cargo bench -p es-runtime --all-features --bench store -- append_32       # one by its name
cargo bench -p es-runtime --all-features --bench store -- command         # all with this in the name
ES_BENCH_SIZE=short cargo bench -p es-runtime --all-features --bench store
```

It needs PostgreSQL's server binaries with `pgbench` (`apt-get install postgresql`), and starts a
server of its own in a temporary folder. `ES_BENCH_GROWTH=FROM,TO` sets the two sizes of `growth`,
which a short run does only when it is named; `ES_BENCH_WRITE=1` writes this page after any run.
";
