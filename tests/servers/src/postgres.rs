use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use crate::user::User;
use crate::{children, run, signal};

/// How long a server that was told to stop waits for its processes until somebody looks after them.
const STOPPING: Duration = Duration::from_millis(500);

/// A PostgreSQL server of the test's own, with `fsync` on. Dropped, it is stopped and its files
/// are removed.
pub struct Postgres {
    bin: PathBuf,
    folder: TempDir,
    /// Who runs the server: it refuses to be run by root.
    user: Option<User>,
    /// What was asked for beyond the settings that all have.
    settings: Vec<String>,
    pub(crate) server: Option<Child>,
    databases: AtomicU32,
    log: Arc<Mutex<String>>,
    /// Closed when the last of the server's processes has ended.
    ended: Mutex<Option<Receiver<()>>>,
}

impl Postgres {
    /// Makes a cluster and starts it.
    ///
    /// # Panics
    /// When there are no server binaries, or they do not start: the text says what to install.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, with settings of the server such as `shared_buffers=1GB`.
    ///
    /// # Panics
    /// As [`start`](Self::start), and when the server refuses a setting.
    pub fn start_with(settings: &[&str]) -> Self {
        let mut server = Self::make();
        server.settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        run(server.initdb());
        server.run();
        server
    }

    /// Makes a cluster with its write-ahead log in a folder `wal` under `folder`, in segments of
    /// one megabyte, and starts it.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_with_wal_in(folder: &Path) -> Self {
        let mut server = Self::make();
        let mut initdb = server.initdb();
        initdb.arg("--wal-segsize=1").arg("--waldir");
        initdb.arg(server.own_folder(folder, "wal"));
        run(initdb);
        server.run();
        server
    }

    /// A place for a cluster, without one in it.
    pub(crate) fn make() -> Self {
        let bin = find_binaries().unwrap_or_else(|| {
            panic!("these tests need the PostgreSQL server binaries: `apt-get install postgresql`")
        });
        let folder = TempDir::with_prefix("es-postgres-").expect("a temporary folder");
        let user = User::other_than_root(folder.path());
        if let Some(user) = user {
            user.owns(folder.path());
        }
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755))
            .expect("the socket is for everyone");
        Self {
            bin,
            folder,
            user,
            settings: Vec::new(),
            server: None,
            databases: AtomicU32::new(0),
            log: Arc::default(),
            ended: Mutex::default(),
        }
    }

    fn initdb(&self) -> Command {
        let mut initdb = self.command("initdb");
        initdb
            .args([
                "--auth=trust",
                "--username=tester",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--pgdata",
            ])
            .arg(self.data());
        initdb
    }

    /// Starts the server, again if it was stopped, and waits until it takes connections.
    ///
    /// # Panics
    /// When it does not start: the text has its log.
    pub fn run(&mut self) {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data());
        command.arg("-c").arg(format!(
            "unix_socket_directories={}",
            self.folder.path().display()
        ));
        for setting in [
            "listen_addresses=",
            "max_connections=300",
            "shared_buffers=256MB",
        ] {
            command.arg("-c").arg(setting);
        }
        // Of two, the server takes the last.
        for setting in &self.settings {
            command.arg("-c").arg(setting);
        }
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("postgres runs");
        let lines = BufReader::new(child.stderr.take().expect("its log")).lines();
        self.server = Some(child);
        let (ready, is_ready) = mpsc::channel();
        let (running, ended) = mpsc::channel();
        self.ended = Mutex::new(Some(ended));
        let log = self.log.clone();
        log.lock().expect("its log").clear();
        // Whoever writes to a closed pipe dies: somebody must read on until it ends.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line.contains("database system is ready to accept") {
                    ready.send(()).ok();
                }
                log.lock().expect("its log").extend([&line, "\n"]);
            }
            drop((ready, running));
        });
        if is_ready.recv().is_err() {
            panic!("postgres ended before it was ready:\n{}", self.log());
        }
    }

    /// What the server has said since it was started the last time.
    ///
    /// # Panics
    /// When the thread that reads it did.
    pub fn log(&self) -> String {
        self.log.lock().expect("its log").clone()
    }

    /// Starts the server if it has ended by itself.
    ///
    /// # Panics
    /// As [`run`](Self::run).
    pub fn revive(&mut self) {
        let ended = |server: &mut Child| matches!(server.try_wait(), Ok(Some(_)));
        if self.server.as_mut().is_none_or(ended) {
            self.run();
        }
    }

    /// Stops the server as its administrator does, and starts it again.
    ///
    /// # Panics
    /// As [`run`](Self::run).
    pub fn restart(&mut self) {
        self.stop("fast");
        self.run();
    }

    /// Crashes the server, as a power cut would: no checkpoint, no goodbye.
    pub fn crash(&mut self) {
        self.stop("immediate");
    }

    fn stop(&mut self, mode: &str) {
        let Some(mut server) = self.server.take() else {
            return;
        };
        let data = self.data();
        let mut stop = self.command("pg_ctl");
        stop.arg("stop")
            .arg("-D")
            .arg(data)
            .args(["-m", mode, "-W"]);
        let told = stop.output().is_ok_and(|output| output.status.success());
        if !told || !self.ends(server.id()) {
            server.kill().ok();
        }
        server.wait().ok();
    }

    /// Whether all processes of the server end, which was told to stop.
    ///
    /// One that refuses a connection meanwhile first waits for the client's first words, up to
    /// `authentication_timeout`, a minute, and the server does not stop it. The client may be on a
    /// thread that waits for us.
    fn ends(&mut self, server: u32) -> bool {
        let Ok(Some(ended)) = self.ended.get_mut() else {
            return false;
        };
        (0..120).any(|_| match ended.recv_timeout(STOPPING) {
            Err(RecvTimeoutError::Timeout) => {
                children(server)
                    .into_iter()
                    .for_each(|child| signal("TERM", child));
                false
            }
            _ => true,
        })
    }

    /// The URL of a new, empty database.
    ///
    /// # Panics
    /// When the server does not make it.
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut create = self.client("createdb");
        create.arg(&name);
        run(create);
        self.url(&name)
    }

    /// The URL on this server, a copy of another one, of the database that `url` names there.
    ///
    /// # Panics
    /// When `url` is none of [`database`](Self::database).
    pub fn same_database(&self, url: &str) -> String {
        let (database, _) = url.split_once("?host=").expect("a URL of a server");
        let (_, name) = database.rsplit_once('/').expect("a database");
        self.url(name)
    }

    fn url(&self, name: &str) -> String {
        format!(
            "postgres://tester@localhost/{name}?host={}",
            self.folder.path().display()
        )
    }

    /// The database that `url` names, as `pg_dump` has it.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn dump(&self, url: &str) -> Vec<u8> {
        let mut dump = self.command("pg_dump");
        dump.args(["--format=custom", "--dbname", url])
            .stdout(Stdio::piped());
        run(dump).stdout
    }

    /// Fills the empty database that `url` names with a dump.
    ///
    /// # Panics
    /// When something of it is refused.
    pub fn restore(&self, url: &str, dump: &[u8]) {
        let mut restore = self.command("pg_restore");
        restore.args(["--exit-on-error", "--dbname", url]);
        let mut restore = restore
            .stdin(Stdio::piped())
            .spawn()
            .expect("pg_restore runs");
        let mut input = restore.stdin.take().expect("its input");
        input.write_all(dump).expect("it reads the dump");
        drop(input);
        let status = restore.wait().expect("pg_restore ends");
        assert!(status.success(), "pg_restore: {status}");
    }

    /// A new folder `name` under `folder` that belongs to the server: for its tablespaces.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn own_folder(&self, folder: &Path, name: &str) -> PathBuf {
        fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("everyone may enter");
        let own = folder.join(name);
        fs::create_dir(&own).expect("a folder");
        if let Some(user) = self.user {
            user.owns(&own);
        }
        own
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A program of the server's, such as `psql` or `pgbench`: run as its user, in its folder.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .current_dir(self.folder.path());
        if let Some(user) = self.user {
            user.runs(&mut command);
        }
        command
    }

    /// The same, for one that connects to the server.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut command = self.command(program);
        command.args(["-U", "tester", "-h"]).arg(self.folder.path());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop("immediate");
    }
}

/// The newest server's binaries: on the path, or where Debian puts them.
fn find_binaries() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).filter_map(|folder| {
        // Links lead to where the others are, too.
        Some(
            folder
                .join("initdb")
                .canonicalize()
                .ok()?
                .parent()?
                .to_owned(),
        )
    });
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut debian: Vec<_> = debian
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    debian.sort();
    on_path.chain(debian.into_iter().rev()).find(|bin| {
        [
            "initdb",
            "postgres",
            "pg_ctl",
            "createdb",
            "pg_basebackup",
            "pg_dump",
            "pg_restore",
        ]
        .iter()
        .all(|name| bin.join(name).is_file())
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::time::Instant;

    use super::*;

    /// A client that connects just before the server is told to stop, and says nothing.
    #[test]
    fn a_silent_client_does_not_keep_the_server() {
        for stop in ["QUIT", "INT"] {
            let mut server = Postgres::start();
            let postmaster = server.server.as_ref().unwrap().id();
            // It finds the connection and the order to stop at once.
            signal("STOP", postmaster);
            let socket = server.folder().join(".s.PGSQL.5432");
            let silent = UnixStream::connect(socket).unwrap();
            signal(stop, postmaster);
            signal("CONT", postmaster);
            let start = Instant::now();
            server.crash();
            let took = start.elapsed();
            assert!(took < Duration::from_secs(30), "{stop}: {took:?}");
            drop(silent);
        }
    }
}
