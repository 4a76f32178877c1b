//! The lives of projection versions under fire: late workers, dropped calls, kills, and random
//! deploys, promotions and retirements against a model.
#![cfg(all(feature = "postgres", feature = "sqlite", feature = "testing"))]

mod arrows;
mod bank;
mod check;
mod fence;
mod model;
mod place;
mod reads;
mod share;
#[path = "../until/mod.rs"]
mod until;

/// So many seeds, printed; `ES_SEED` repeats one.
fn seeds(many: usize) -> impl Iterator<Item = u64> {
    let one = std::env::var("ES_SEED").ok();
    let one = one.map(|seed| seed.parse().expect("ES_SEED is a number"));
    let many = if one.is_some() { 1 } else { many };
    let seeds = (0..many).map(move |_| one.unwrap_or_else(|| fastrand::u64(..)));
    seeds.inspect(|seed| println!("seed {seed}"))
}
