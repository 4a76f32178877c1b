//! Whose fault an error of the database is, which decides what is tried again.

use std::io;

use sqlx::error::DatabaseError;

use crate::error::Error;

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The connection's or its server's: another one may do, and nobody knows what this one did.
    Connection,
    /// The database's, whatever was asked of it: nothing was done.
    Database,
    /// The statement's: what was in it cannot be done.
    Statement,
}

/// Whose fault it is, by the classes of PostgreSQL's error codes.
pub(super) fn fault(error: &sqlx::Error) -> Fault {
    let error = match error {
        sqlx::Error::Database(error) => error,
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => {
            return Fault::Connection;
        }
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::BeginFailed
        | sqlx::Error::WorkerCrashed => return Fault::Database,
        _ => return Fault::Statement,
    };
    let code = error.code().unwrap_or_default();
    match (code.get(..2).unwrap_or_default(), &*code) {
        // The server goes down or comes up, or is none that takes writes.
        ("08", _) | (_, "57P01" | "57P02" | "57P03" | "57P05" | "25006") => Fault::Connection,
        // Permissions, resources, locks, time-outs, the state of a transaction, missing tables.
        ("25" | "28" | "3D" | "40" | "42" | "53" | "55" | "57" | "58" | "XX", _) => Fault::Database,
        _ => Fault::Statement,
    }
}

/// Whether another instance came since the versions of an append were chosen.
pub(super) fn is_outdated(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.as_deref() == Some("ESI01")
}

/// Whether waiting for the server may mend what connecting to it failed with.
pub(super) fn may_pass(error: &sqlx::Error) -> bool {
    let full = |error: &dyn DatabaseError| error.code().is_some_and(|code| code.starts_with("53"));
    fault(error) == Fault::Connection || error.as_database_error().is_some_and(full)
}

/// The connection was given up.
pub(super) fn gone(why: &'static str) -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, why))
}

/// Whether the call failed with its connection.
pub(super) fn is_lost(error: &Error) -> bool {
    let cause = error.cause::<sqlx::Error>();
    cause.is_some_and(|error| fault(error) == Fault::Connection)
}
