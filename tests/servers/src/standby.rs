//! Replication: a second server that repeats what the first one wrote, and takes over.

use crate::{Postgres, children, run, signal};

impl Postgres {
    /// Makes a hot standby of this server and starts it. It follows asynchronously, until the
    /// primary's `synchronous_standby_names` says otherwise.
    ///
    /// # Panics
    /// When it does not start.
    pub fn standby(&self) -> Self {
        let mut standby = Self::make();
        let mut copy = self.client("pg_basebackup");
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]);
        copy.arg("--pgdata").arg(standby.data());
        run(copy);
        standby.run();
        standby
    }

    /// Makes this standby the primary.
    ///
    /// # Panics
    /// When it cannot be.
    pub fn promote(&self) {
        let mut promote = self.command("pg_ctl");
        promote.args(["promote", "--wait", "--pgdata"]);
        promote.arg(self.data());
        run(promote);
    }

    /// Kills the server and all its processes at once, as a machine that dies.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        let mut server = self.server.take().expect("the server runs");
        // Stopped, it does not start another one meanwhile.
        signal("STOP", server.id());
        for child in children(server.id()) {
            signal("KILL", child);
        }
        server.kill().ok();
        server.wait().ok();
    }
}
