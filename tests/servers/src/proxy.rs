use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Stands between a client and a server, so that a test can cut their connections. Dropped, it
/// lets nobody through any more.
pub struct Proxy {
    port: u16,
    open: Arc<Mutex<Vec<TcpStream>>>,
    ended: Arc<AtomicBool>,
}

impl Proxy {
    /// Listens on a free port and leads to `server`, which need not run yet.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn to(server: impl Into<String>) -> Self {
        let server = server.into();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its port").port();
        let (open, ended) = (Arc::<Mutex<Vec<TcpStream>>>::default(), Arc::default());
        let proxy = Self { port, open, ended };
        let (open, ended) = (proxy.open.clone(), proxy.ended.clone());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                // Who is not let in is hung up on.
                if let Ok(server) = TcpStream::connect(&server) {
                    join(&client, &server, &open).ok();
                }
            }
        });
        proxy
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Cuts all connections; new ones are let through.
    ///
    /// # Panics
    /// When one of its threads did.
    pub fn cut(&self) {
        for stream in self.open.lock().expect("its streams").drain(..) {
            stream.shutdown(Shutdown::Both).ok();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        self.cut();
        // Wakes the one who listens.
        TcpStream::connect(self.address()).ok();
    }
}

/// Copies both ways until one side ends.
fn join(client: &TcpStream, server: &TcpStream, open: &Mutex<Vec<TcpStream>>) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let streams = [client.try_clone()?, server.try_clone()?];
    open.lock().expect("its streams").extend(streams);
    for (from, to) in [(client, server), (server, client)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        thread::spawn(move || {
            let mut bytes = vec![0; 1 << 16];
            while let Ok(read @ 1..) = from.read(&mut bytes) {
                if to.write_all(&bytes[..read]).is_err() {
                    break;
                }
            }
            from.shutdown(Shutdown::Both).ok();
            to.shutdown(Shutdown::Both).ok();
        });
    }
    Ok(())
}
