//! Signals that stop the site.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    Error,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Server, ServiceRequest, ServiceResponse},
    middleware::Next,
    rt::{
        signal::unix::{Signal, SignalKind, signal},
        time::{sleep, timeout},
    },
    web::{Bytes, Data},
};
use session_expire::SessionExpire;
use tokio::{select, sync::watch};

/// Time for requests in progress to finish when the site stops.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Time for the server to send the end of the last responses, and to close the connections.
const FLUSH_TIME: Duration = Duration::from_millis(100);

/// Counts the requests in progress of all workers.
#[derive(Clone, Default)]
pub(crate) struct Requests(Arc<watch::Sender<usize>>);

/// Request in progress. It ends when its response body is sent or dropped.
struct RequestInProgress(Requests);

impl Requests {
    fn begin(&self) -> RequestInProgress {
        self.0.send_modify(|count| *count += 1);
        RequestInProgress(self.clone())
    }

    async fn wait_until_done(&self) {
        // Waiting fails only without a sender, which `self` holds.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for RequestInProgress {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

/// Response body of a request in progress.
pub(crate) struct CountedBody {
    body: BoxBody,
    _request: RequestInProgress,
}

impl MessageBody for CountedBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

/// Middleware that counts requests.
pub(crate) async fn count(
    requests: Data<Requests>,
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<CountedBody>, Error> {
    let request = requests.begin();
    let res = next.call(req).await?.map_into_boxed_body();
    Ok(res.map_body(|_, body| CountedBody { body, _request: request }))
}

/// Serves requests until a signal stops the site. SIGTERM stops it after the requests in progress,
/// SIGINT or a second signal at once.
///
/// A graceful stop of [`Server`] checks only once a second whether its connections are closed, and
/// waits for clients that do not close a WebSocket. This function waits for the responses instead.
pub(crate) async fn serve(
    server: Server,
    mut signals: Signals,
    expire: SessionExpire,
    requests: Requests,
) -> io::Result<()> {
    let handle = server.handle();
    let stop = async {
        let is_graceful = signals.wait().await;
        // An open stream is a request in progress.
        expire.close_streams();
        // Closes idle connections at once, and the others after their response.
        let _stopped = handle.stop(is_graceful);
        if is_graceful {
            finish_or_cancel(&requests, &mut signals).await;
        }
    };
    select! {
        result = server => result,
        () = stop => Ok(()),
    }
}

/// Waits until all requests are done and their responses are sent, or until a second signal.
async fn finish_or_cancel(requests: &Requests, signals: &mut Signals) {
    let finish = async {
        finish(requests, STOP_TIMEOUT).await;
        sleep(FLUSH_TIME).await;
    };
    select! {
        () = finish => {}
        _ = signals.wait() => {
            tracing::warn!("requests in progress were cancelled by a second signal");
        }
    }
}

/// Waits until all requests are done, but not longer than `limit`.
async fn finish(requests: &Requests, limit: Duration) {
    if timeout(limit, requests.wait_until_done()).await.is_err() {
        tracing::warn!("requests in progress were cancelled");
    }
}

/// Signals that stop the site.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Installs the signal handlers. Before the first call, a signal ends the process.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Returns `true` at SIGTERM, `false` at SIGINT.
    async fn wait(&mut self) -> bool {
        select! {
            _ = self.terminate.recv() => true,
            _ = self.interrupt.recv() => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    #[actix_web::test]
    async fn stop_waits_for_the_last_request() {
        let requests = Requests::default();
        finish(&requests, LONG).await;
        let (first, second) = (requests.begin(), requests.begin());
        drop(first);
        let mut finished = Box::pin(finish(&requests, LONG));
        assert!(timeout(Duration::ZERO, &mut finished).await.is_err());
        drop(second);
        finished.await;
    }

    #[actix_web::test]
    async fn stop_does_not_wait_longer_than_the_limit() {
        let requests = Requests::default();
        let _request = requests.begin();
        finish(&requests, Duration::from_millis(1)).await;
    }
}
