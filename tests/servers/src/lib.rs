//! Starts servers for tests: each on its own temporary folder, reached through a socket in it or a
//! free port, so that nothing running on the machine is touched and nothing is left behind.

mod disk;
mod nats;
mod pgbouncer;
mod postgres;
mod proxy;
mod rabbitmq;
mod skip;
mod standby;
mod user;

pub use disk::SmallDisk;
pub use nats::Nats;
pub use pgbouncer::PgBouncer;
pub use postgres::Postgres;
pub use proxy::Proxy;
pub use rabbitmq::RabbitMq;
pub use skip::skip;

use std::fs;
use std::process::{Command, Output};

/// Kills a process at once, as `kill -9` does.
pub fn kill_process(pid: u32) {
    signal("KILL", pid);
}

/// Suspends a process until [`resume_process`], as a machine does that has no time for it.
pub fn suspend_process(pid: u32) {
    signal("STOP", pid);
}

/// Lets a suspended process go on.
pub fn resume_process(pid: u32) {
    signal("CONT", pid);
}

/// By the shell's own `kill`, since the standard library has none. A process that is gone
/// already is no failure.
fn signal(signal: &str, pid: u32) {
    let mut kill = Command::new("sh");
    kill.args(["-c", r#"kill -s "$0" "$1""#, signal, &pid.to_string()]);
    kill.output().expect("a shell");
}

/// The processes that a process started itself.
fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let of_parent = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // After the name, which may hold anything: the state, then the parent.
        let (_, rest) = stat.rsplit_once(") ")?;
        let found: u32 = rest.split(' ').nth(1)?.parse().ok()?;
        (found == parent).then_some(pid)
    };
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(of_parent)
        .collect()
}

fn run(mut command: Command) -> Output {
    let program = command.get_program().to_owned();
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", program.display());
    output
}
