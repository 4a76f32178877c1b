use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};

use tempfile::TempDir;

use crate::signal;
use crate::user::User;

/// Where Debian puts the server's own script; the one on the path asks who calls it.
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// A RabbitMQ node of the test's own, with a name server of its own, on free ports. Dropped, both are
/// stopped and their files are removed.
pub struct RabbitMq {
    folder: TempDir,
    user: Option<User>,
    port: u16,
    distribution: u16,
    names: u16,
    /// The name server of Erlang's, in which the node finds itself alone.
    epmd: Child,
    node: Option<Child>,
    log: Arc<Mutex<String>>,
}

impl RabbitMq {
    /// Starts one.
    ///
    /// # Errors
    /// What to install.
    ///
    /// # Panics
    /// When it does not start: the text has its log.
    pub fn start() -> Result<Self, String> {
        if !Path::new(PROGRAM).is_file() {
            return Err(
                "no RabbitMQ: `apt-get install --no-install-recommends rabbitmq-server`".to_owned(),
            );
        }
        let folder = TempDir::with_prefix("es-rabbitmq-").expect("a temporary folder");
        let user = User::other_than_root(folder.path());
        let [port, distribution, names] = free_ports();
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::write(&file, text).expect("a file of the node's");
            fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("its own file");
            user.inspect(|user| user.owns(&file));
        };
        // Whoever knows it may command the node, which listens on this machine alone.
        write(".erlang.cookie", &format!("es{}", std::process::id()));
        write("enabled_plugins", "[].");
        write(
            "rabbitmq.conf",
            &format!(
                "listeners.tcp.1 = 127.0.0.1:{port}\nlog.console = true\nlog.console.level = info\n\
                 log.file = false\nvm_memory_high_watermark.absolute = 512MB\n\
                 disk_free_limit.absolute = 1MB\n"
            ),
        );
        user.inspect(|user| user.owns(folder.path()));
        let mut epmd = Command::new("epmd");
        epmd.args(["-port", &names.to_string(), "-address", "127.0.0.1"]);
        user.inspect(|user| user.runs(&mut epmd));
        epmd.env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let epmd = epmd.spawn().expect("epmd runs");
        let mut server = Self {
            folder,
            user,
            port,
            distribution,
            names,
            epmd,
            node: None,
            log: Arc::default(),
        };
        server.run();
        Ok(server)
    }

    /// Starts the node, again if it was stopped, and waits until it takes connections.
    ///
    /// # Panics
    /// When it does not start: the text has its log.
    pub fn run(&mut self) {
        let folder = self.folder.path();
        let mut command = Command::new(PROGRAM);
        command
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HOME", folder)
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_NODENAME", "es@localhost")
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution.to_string())
            .env("ERL_EPMD_PORT", self.names.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
            .env("RABBITMQ_LOG_BASE", folder)
            .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"))
            .env(
                "RABBITMQ_ENABLED_PLUGINS_FILE",
                folder.join("enabled_plugins"),
            )
            // So the script becomes the node, instead of a parent that a signal would not pass.
            .env("RABBITMQ_ALLOW_INPUT", "1")
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-noinput")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some(user) = self.user {
            user.runs(&mut command);
        }
        let mut node = command.spawn().expect("rabbitmq-server runs");
        let lines = BufReader::new(node.stdout.take().expect("its log")).lines();
        self.node = Some(node);
        let (ready, is_ready) = mpsc::channel();
        let log = self.log.clone();
        log.lock().expect("its log").clear();
        // Whoever writes to a closed pipe dies: somebody must read on until it ends.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line.contains("completed with") {
                    ready.send(()).ok();
                }
                log.lock().expect("its log").extend([&line, "\n"]);
            }
        });
        if is_ready.recv().is_err() {
            panic!("rabbitmq-server ended before it was ready:\n{}", self.log());
        }
    }

    /// What the node has said since it was started the last time.
    ///
    /// # Panics
    /// When the thread that reads it did.
    pub fn log(&self) -> String {
        self.log.lock().expect("its log").clone()
    }

    /// Where the node listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Stops the node as its administrator does.
    pub fn stop(&mut self) {
        self.end("TERM");
    }

    /// Kills the node at once, as a machine that dies.
    pub fn kill(&mut self) {
        self.end("KILL");
    }

    fn end(&mut self, how: &str) {
        if let Some(mut node) = self.node.take() {
            // One that is suspended hears nothing else.
            signal("CONT", node.id());
            signal(how, node.id());
            node.wait().ok();
        }
    }

    /// Suspends the node until [`resume`](Self::resume).
    pub fn suspend(&self) {
        self.node.iter().for_each(|node| signal("STOP", node.id()));
    }

    /// Lets a suspended node go on.
    pub fn resume(&self) {
        self.node.iter().for_each(|node| signal("CONT", node.id()));
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        self.kill();
        self.epmd.kill().ok();
        self.epmd.wait().ok();
    }
}

/// Ports that nobody listens on. Somebody may take one before we do; then the server says so.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("its port").port())
}
