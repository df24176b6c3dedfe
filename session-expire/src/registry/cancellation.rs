//! Cancellation of logins whose request was dropped.
//!
//! `Drop` cannot wait, and the runtime of the request may be shutting down. Cancellations therefore
//! run in a thread of their own, which starts with the first of them. The pending login of a
//! request context sends them.

use std::{
    sync::{
        Arc, OnceLock,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use actix_web::rt::Runtime;

use crate::{
    registry::Registry,
    session::{ended::Ended, key::RecordKey},
};

type Cancellation = (RecordKey, Ended);

/// Sender of cancellations to their thread.
#[derive(Debug, Default)]
pub(crate) struct Cancellations(OnceLock<Option<Sender<Cancellation>>>);

impl Cancellations {
    /// Cancels the login of `key`. If that fails, the reservation ends at its deadline.
    pub(crate) fn cancel(&self, registry: &Arc<dyn Registry>, key: RecordKey, ended: Ended) {
        let sender = self.0.get_or_init(|| start(Arc::clone(registry)));
        let sent = sender.as_ref().map(|sender| sender.send((key, ended)));
        if !matches!(sent, Some(Ok(()))) {
            tracing::error!(event = "sys_login_not_cancelled", "no thread for login cancellation");
        }
    }
}

fn start(registry: Arc<dyn Registry>) -> Option<Sender<Cancellation>> {
    let (sender, receiver) = channel();
    let run = move || run(&*registry, &receiver);
    thread::Builder::new().name("session-cancel".to_owned()).spawn(run).ok().map(|_| sender)
}

fn run(registry: &dyn Registry, receiver: &Receiver<Cancellation>) {
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let event = "sys_login_not_cancelled";
            return tracing::error!(event, %error, "no runtime for login cancellation");
        }
    };
    for (key, ended) in receiver {
        if let Err(error) = runtime.block_on(registry.cancel(key, ended)) {
            tracing::error!(event = "sys_registry_failure", %error, "login not cancelled");
        }
    }
}
