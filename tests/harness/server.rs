//! A server in a thread of its own, on a free port.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::mpsc::{Sender, channel},
    thread::{self, JoinHandle},
};

use actix_web::{dev::ServerHandle, rt::System};

use crate::Browser;

/// A running server. It stops when it is dropped.
pub struct Server {
    address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Runs `serve` in a thread. It serves on the listener, on whatever runtime it likes, sends its
    /// handle, and returns when the server has stopped.
    ///
    /// # Panics
    ///
    /// If the machine has no free port, or the server does not start.
    #[must_use]
    pub fn start(serve: impl FnOnce(TcpListener, Sender<ServerHandle>) + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let (sender, started) = channel();
        let thread = thread::spawn(move || serve(listener, sender));
        let handle = started.recv().expect("the server starts");
        Self { address, handle, thread: Some(thread) }
    }

    /// A new browser at this server.
    #[must_use]
    pub fn browser(&self) -> Browser {
        Browser::new(format!("http://{}", self.address))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Runs an application in two workers; each has one of its own.
///
/// ```
/// use actix_web::{App, HttpResponse, web};
/// let server = session_expire_tests::serve!(App::new().route("/", web::to(HttpResponse::Ok)));
/// assert_eq!(server.browser().get("/").status, 200);
/// ```
#[macro_export]
macro_rules! serve {
    ($app:expr) => {
        $crate::Server::start(move |listener, tell| {
            $crate::block_on(async move {
                let server = ::actix_web::HttpServer::new(move || $app).workers(2);
                let server = server.listen(listener).unwrap().disable_signals().run();
                tell.send(server.handle()).unwrap();
                server.await.unwrap();
            })
        })
    };
}

/// Runs a future to its end.
pub fn block_on<F: Future>(future: F) -> F::Output {
    System::new().block_on(future)
}
