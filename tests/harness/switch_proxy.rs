//! TCP proxy whose target a test can switch, as a load balancer does at a failover.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU16, Ordering},
    },
    thread,
    time::Duration,
};

const PASSING: u8 = 0;
const HOLDING: u8 = 1;
const CUT: u8 = 2;

/// A proxy on a free port. A switch applies to new connections; open connections keep their server.
pub struct SwitchProxy {
    target: Arc<AtomicU16>,
    state: Arc<AtomicU8>,
    /// Port of the proxy.
    pub port: u16,
}

impl SwitchProxy {
    /// Starts a proxy to a local port.
    ///
    /// # Panics
    ///
    /// Panics if no port is free.
    #[must_use]
    pub fn new(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self { target: Arc::new(AtomicU16::new(target)), state: <_>::default(), port };
        let (target, state) = (Arc::clone(&proxy.target), Arc::clone(&proxy.state));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", target.load(Ordering::SeqCst)));
                // Without a server, the connection closes.
                if let Ok(server) = server {
                    forward(client, server, &state);
                }
            }
        });
        proxy
    }

    /// Sends new connections to another local port.
    pub fn switch(&self, target: u16) {
        self.target.store(target, Ordering::SeqCst);
    }

    /// Holds back all data until the next call.
    pub fn hold(&self) {
        self.state.store(HOLDING, Ordering::SeqCst);
    }

    /// Sends data again, starting with the data that was held back.
    pub fn release(&self) {
        self.state.store(PASSING, Ordering::SeqCst);
    }

    /// Discards the data that is held back, and closes the connections.
    pub fn cut(&self) {
        self.state.store(CUT, Ordering::SeqCst);
    }

    /// Returns the URL of a Redis server behind the proxy.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }
}

fn forward(client: TcpStream, server: TcpStream, state: &Arc<AtomicU8>) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let [there, back] = [0; 2].map(|_| Arc::clone(state));
    thread::spawn(move || copy(from, to, &there));
    thread::spawn(move || copy(server, client, &back));
}

fn copy(mut from: TcpStream, mut to: TcpStream, state: &AtomicU8) {
    let mut buffer = [0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        while state.load(Ordering::SeqCst) == HOLDING {
            thread::sleep(Duration::from_millis(1));
        }
        if state.load(Ordering::SeqCst) == CUT || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
