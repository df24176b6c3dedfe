//! Running loads of the watch thread.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::timeout};

use super::{load_queue::Task, table::Loaded, watcher::Shared};
use crate::{registry::Registry, session::key::RecordKey};

/// Longest time for which a slow load delays the others of its batch. Its own result is applied
/// later.
const GRACE: Duration = Duration::from_millis(250);

/// Longest time of a load or of a check. Registries have shorter timeouts of their own.
pub(super) const LOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Running loads, in the order of their start.
#[derive(Default)]
pub(super) struct RunningLoads(Vec<RunningLoad>);

struct RunningLoad {
    task: Task,
    handle: JoinHandle<Loaded>,
    loaded: Option<Loaded>,
}

impl RunningLoads {
    /// Starts a load in a task of its own, so that a panic fails only this load.
    fn start(&mut self, task: Task, shared: &Arc<Shared>) {
        let wake = WakeThread(Arc::clone(shared));
        let handle = tokio::spawn(async move {
            let registry = wake.0.registry.upgrade();
            match registry {
                Some(registry) => load(&*registry, task.key).await,
                None => Loaded::Failed,
            }
        });
        self.0.push(RunningLoad { task, handle, loaded: None });
    }

    /// Starts a batch. Returns the results of its loads that end within [`GRACE`], and of earlier
    /// loads that have ended since.
    pub(super) async fn run(
        &mut self,
        batch: Vec<Task>,
        shared: &Arc<Shared>,
    ) -> Vec<(Task, Loaded)> {
        let earlier = self.0.len();
        batch.into_iter().for_each(|task| self.start(task, shared));
        let started = &mut self.0[earlier..];
        let ends = async {
            for load in started {
                load.loaded = Some(result(&mut load.handle).await);
            }
        };
        // Loads that are still running stay in the list.
        let _ = timeout(GRACE, ends).await;
        self.take_results().await
    }

    async fn take_results(&mut self) -> Vec<(Task, Loaded)> {
        let mut results = vec![];
        for mut load in std::mem::take(&mut self.0) {
            match load.loaded {
                Some(loaded) => results.push((load.task, loaded)),
                None if load.handle.is_finished() => {
                    results.push((load.task, result(&mut load.handle).await));
                }
                None => self.0.push(load),
            }
        }
        results
    }
}

async fn load(registry: &dyn Registry, key: RecordKey) -> Loaded {
    match timeout(LOAD_TIMEOUT, registry.load(key, false)).await {
        Ok(Ok(Some(stored))) => Loaded::Record(stored.record),
        Ok(Ok(None)) => Loaded::Unknown,
        Ok(Err(_)) | Err(_) => Loaded::Failed,
    }
}

/// Returns the result of a load. A load that panics has failed.
async fn result(handle: &mut JoinHandle<Loaded>) -> Loaded {
    handle.await.unwrap_or(Loaded::Failed)
}

/// Wakes the thread when it is dropped at the end of a task.
pub(super) struct WakeThread(pub(super) Arc<Shared>);

impl Drop for WakeThread {
    fn drop(&mut self) {
        self.0.wake.notify_one();
    }
}
