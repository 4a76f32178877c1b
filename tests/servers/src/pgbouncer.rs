use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::Postgres;
use crate::user::User;

/// The pool shares a server's connections among more clients, each for one transaction. Dropped,
/// it is stopped.
pub struct PgBouncer {
    folder: TempDir,
    process: Child,
}

impl PgBouncer {
    /// Starts one in transaction mode before `server`, with further lines of its configuration.
    ///
    /// # Errors
    /// What to install.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(server: &Postgres, settings: &str) -> Result<Self, String> {
        let program = find().ok_or("no PgBouncer: `apt-get install pgbouncer`")?;
        let folder = TempDir::with_prefix("es-pgbouncer-").expect("a temporary folder");
        let path = folder.path().display();
        let configuration = format!(
            "[databases]\n* = host={} user=tester\n[pgbouncer]\nauth_type = any\n\
             pool_mode = transaction\nunix_socket_dir = {path}\nlisten_port = 5432\n{settings}\n",
            server.folder().display()
        );
        let file = folder.path().join("pgbouncer.ini");
        fs::write(&file, configuration).expect("its configuration");
        let mut command = Command::new(program);
        if let Some(user) = User::other_than_root(folder.path()) {
            user.owns(folder.path());
            user.runs(&mut command);
        }
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755))
            .expect("the socket is for everyone");
        let mut process = command
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("pgbouncer runs");
        let log = BufReader::new(process.stderr.take().expect("its log"));
        let bouncer = Self { folder, process };
        let mut lines = log.lines();
        let mut said = String::new();
        for line in lines.by_ref() {
            let line = line.expect("its log is text");
            if line.contains("process up") {
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(bouncer);
            }
            said.push_str(&line);
            said.push('\n');
        }
        panic!("pgbouncer ended before it was ready:\n{said}");
    }

    /// The URL, through the pool, of the database that `url` names on the server itself.
    ///
    /// # Panics
    /// When `url` is none of [`Postgres::database`].
    pub fn url(&self, url: &str) -> String {
        let (database, _) = url.split_once("?host=").expect("a URL of the server");
        format!("{database}?host={}", self.folder.path().display())
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Debian puts it where only root looks.
fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([Path::new("/usr/sbin").to_owned()])
        .map(|folder| folder.join("pgbouncer"))
        .find(|program| program.is_file())
}
