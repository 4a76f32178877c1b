//! Schemas of a service, and the code held to what was released of it.
//!
//! Each version of the domain is a module, as if it were the code of one day; the repository is a
//! folder that is thrown away.

mod documents;
mod domain;
#[cfg(feature = "feed")]
mod feed;
mod released;
mod repository;
