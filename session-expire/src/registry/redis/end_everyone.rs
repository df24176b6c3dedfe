//! `end_everyone`: a script for each tag, and a report after all of them.
//!
//! It runs on the thread of the connection and continues if its future is dropped. Otherwise a
//! script that a node has already received could end sessions after the last report.

use std::{sync::Arc, time::Duration};

use redis::Value;
use tokio::sync::oneshot;

use super::{
    error::OperationError,
    operations::Operations,
    script::{END_EVERYONE, REPORT_ANY},
    server::{connection::Connection, pipeline::ScriptCall},
    stored::script_args::ScriptArgs,
};

/// Scripts of all tags, and the report of their changes.
struct EndEveryone {
    connection: Arc<Connection>,
    calls: Vec<ScriptCall>,
    report: ScriptCall,
    timeout: Duration,
}

impl Operations {
    /// Ends the sessions of all tags, and returns the responses of the scripts.
    pub(super) async fn end_all_tags(
        &self,
        calls: Vec<ScriptCall>,
        arguments: ScriptArgs,
    ) -> Result<Vec<Value>, OperationError> {
        let everyone = EndEveryone {
            connection: Arc::clone(&self.connection),
            calls,
            report: self.report_of_all(arguments)?,
            timeout: self.timeout,
        };
        let (sender, outcome) = oneshot::channel();
        self.connection.spawn(everyone.run(sender));
        outcome.await.map_err(|_| OperationError::Response)?
    }
}

impl EndEveryone {
    async fn run(self, outcome: oneshot::Sender<Result<Vec<Value>, OperationError>>) {
        let responses = self.connection.run_all(&END_EVERYONE, &self.calls, self.timeout).await;
        let has_failed = responses.is_err();
        self.report().await;
        // The future may have been dropped.
        let _ = outcome.send(responses);
        if has_failed {
            // A node may run a script after the timeout.
            tokio::time::sleep(self.timeout).await;
            self.report().await;
        }
    }

    /// Reports that all sessions may have changed. Some may have, even after an error.
    async fn report(&self) {
        if let Some(cache) = &self.connection.cache {
            cache.clear();
        }
        let (keys, arguments) = &self.report;
        // If this fails, a check detects the missing report.
        let _ = self.connection.run(&REPORT_ANY, keys, &[arguments], self.timeout).await;
    }
}
