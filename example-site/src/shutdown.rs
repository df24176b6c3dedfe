//! Signals that stop the site.

use actix_web::{
    dev::ServerHandle,
    rt::signal::unix::{Signal, SignalKind, signal},
};
use session_expire::SessionExpire;
use tokio::select;

/// Stops the server after the open requests at SIGTERM, and at once at SIGINT.
///
/// Closes all streams first, because a graceful stop would wait for them.
pub(crate) async fn stop_at_signal(expire: SessionExpire, server: ServerHandle) {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
        tracing::error!("no signal handlers");
        return;
    };
    let is_graceful = select! {
        () = next(&mut terminate) => true,
        () = next(&mut interrupt) => false,
    };
    expire.close_streams();
    server.stop(is_graceful).await;
}

async fn next(signal: &mut Signal) {
    signal.recv().await;
}
