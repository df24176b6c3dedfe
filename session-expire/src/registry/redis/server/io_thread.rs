//! Thread for the I/O of a registry.
//!
//! A handler may block the event loop of its worker. The connection therefore has its own event
//! loop: requests of other workers do not wait for that handler.

use std::{convert::Infallible, io, thread};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// Thread with a runtime. Dropping it ends the thread and drops the tasks of the runtime.
pub(crate) struct IoThread {
    runtime: Handle,
    _stop: oneshot::Sender<Infallible>,
}

impl IoThread {
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let this = Self { runtime: runtime.handle().clone(), _stop: stop };
        let run = move || {
            let _ = runtime.block_on(stopped);
            // A look-up of a host name may still be running.
            runtime.shutdown_background();
        };
        thread::Builder::new().name("session-expire-redis".to_owned()).spawn(run)?;
        Ok(this)
    }

    /// Runs a task until it completes or the thread ends.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.runtime.spawn(task));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{Duration, Instant},
    };

    use super::*;

    #[test]
    fn dropped_thread_drops_its_tasks() {
        let (io, used) = (IoThread::start().unwrap(), Arc::new(()));
        let kept = Arc::clone(&used);
        io.spawn(async move {
            std::future::pending::<()>().await;
            drop(kept);
        });
        drop(io);
        let began = Instant::now();
        while Arc::strong_count(&used) > 1 {
            assert!(began.elapsed() < Duration::from_secs(10), "the thread still runs");
            thread::sleep(Duration::from_millis(1));
        }
    }
}
