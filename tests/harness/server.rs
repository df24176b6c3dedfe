//! HTTP server in a thread of its own, on a free port.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::mpsc::{Sender, channel},
    thread::{self, JoinHandle},
    time::Duration,
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
    /// Runs `serve` in a thread. It serves on the listener, sends the handle of the server, and
    /// returns when the server has stopped.
    ///
    /// # Panics
    ///
    /// Panics if no port is free, or if the server does not start.
    #[must_use]
    pub fn start(serve: impl FnOnce(TcpListener, Sender<ServerHandle>) + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let (sender, started) = channel();
        let thread = thread::spawn(move || serve(listener, sender));
        let handle = started.recv().expect("the server starts");
        Self { address, handle, thread: Some(thread) }
    }

    /// Returns a new browser at this server.
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

/// Time for which a server keeps an idle connection, and waits for the head of a request.
///
/// With actix-web's default of 5 seconds, a busy machine breaks connections of a test.
pub const CONNECTION_TIMEOUT: Duration = Duration::from_secs(300);

/// Starts a [`Server`] with two workers. The expression builds the `App` of each.
///
/// ```
/// use actix_web::{App, HttpResponse, web};
/// let server = session_expire_tests::serve!(App::new().route("/", web::to(HttpResponse::Ok)));
/// assert_eq!(server.browser().get("/").status, 200);
/// ```
#[macro_export]
macro_rules! serve {
    ($app:expr) => {
        $crate::Server::start(move |listener, sender| {
            $crate::block_on(async move {
                let server = ::actix_web::HttpServer::new(move || $app).workers(2);
                let server = server
                    .keep_alive($crate::CONNECTION_TIMEOUT)
                    .client_request_timeout($crate::CONNECTION_TIMEOUT);
                let server = server.listen(listener).unwrap().disable_signals().run();
                sender.send(server.handle()).unwrap();
                server.await.unwrap();
            })
        })
    };
}

/// Runs a future to completion on an actix `System`.
pub fn block_on<F: Future>(future: F) -> F::Output {
    System::new().block_on(future)
}
