use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// A PostgreSQL server of the test's own, with `fsync` on. Dropped, it is stopped and its files
/// are removed.
pub struct Postgres {
    bin: PathBuf,
    folder: TempDir,
    /// Who runs the server: it refuses to be run by root.
    user: Option<User>,
    /// What was asked for beyond the settings that all have.
    settings: Vec<String>,
    server: Option<Child>,
    databases: AtomicU32,
}

#[derive(Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
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
        let bin = find_binaries().unwrap_or_else(|| {
            panic!("these tests need the PostgreSQL server binaries: `apt-get install postgresql`")
        });
        let folder = TempDir::with_prefix("es-postgres-").expect("a temporary folder");
        let user = other_user(folder.path());
        let mut server = Self {
            bin,
            folder,
            user,
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            server: None,
            databases: AtomicU32::new(0),
        };
        if let Some(User { uid, gid }) = user {
            chown(server.folder.path(), Some(uid), Some(gid)).expect("the folder changes hands");
        }
        fs::set_permissions(server.folder.path(), Permissions::from_mode(0o755))
            .expect("the socket is for everyone");
        let data = server.data();
        let made = server
            .command("initdb")
            .args([
                "--auth=trust",
                "--username=tester",
                "--encoding=UTF8",
                "--locale=C",
                "--pgdata",
            ])
            .arg(&data)
            .output()
            .expect("initdb runs");
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        server.run();
        server
    }

    /// Starts the server, again if it was stopped, and waits until it takes connections.
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
        let log = BufReader::new(child.stderr.take().expect("its log"));
        self.server = Some(child);
        let mut lines = log.lines();
        let mut said = String::new();
        for line in lines.by_ref() {
            let line = line.expect("its log is text");
            if line.contains("database system is ready to accept connections") {
                // Whoever writes to a closed pipe dies: somebody must go on reading.
                std::thread::spawn(move || lines.for_each(drop));
                return;
            }
            said.push_str(&line);
            said.push('\n');
        }
        panic!("postgres ended before it was ready:\n{said}");
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
        if stop.output().is_ok_and(|output| output.status.success()) {
            server.wait().ok();
        } else {
            server.kill().ok();
            server.wait().ok();
        }
    }

    /// The URL of a new, empty database.
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut create = self.command("createdb");
        create
            .args(["-U", "tester", "-h"])
            .arg(self.folder.path())
            .arg(&name);
        let made = create.output().expect("createdb runs");
        assert!(
            made.status.success(),
            "createdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        format!(
            "postgres://tester@localhost/{name}?host={}",
            self.folder.path().display()
        )
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A program of the server's, such as `psql` or `pgbench`: run as its user, in its folder.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .current_dir(self.folder.path());
        if let Some(User { uid, gid }) = self.user {
            command.uid(uid).gid(gid);
        }
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
        ["initdb", "postgres", "pg_ctl", "createdb"]
            .iter()
            .all(|name| bin.join(name).is_file())
    })
}

/// Whom to run the server as, if we are root.
fn other_user(folder: &Path) -> Option<User> {
    let root = fs::metadata(folder).expect("the folder is there").uid() == 0;
    root.then(|| {
        let named = |name| user(name).ok().flatten();
        named("postgres")
            .or_else(|| named("nobody"))
            .expect("a user who is not root")
    })
}

fn user(name: &str) -> io::Result<Option<User>> {
    let users = fs::read_to_string("/etc/passwd")?;
    let fields = users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let mut named = fields.filter(|fields| fields.len() > 3 && fields[0] == name);
    Ok(named.find_map(|fields| {
        Some(User {
            uid: fields[2].parse().ok()?,
            gid: fields[3].parse().ok()?,
        })
    }))
}
