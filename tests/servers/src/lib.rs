//! Starts servers for tests: each on its own temporary folder, reached through a socket in it, so
//! that nothing running on the machine is touched and nothing is left behind.

mod postgres;

pub use postgres::Postgres;
