//! Connection to one node of a Cluster.
//!
//! The cluster client of redis-rs repeats a command after a failure, and follows redirects. This
//! type differs from its own type of connection in six points:
//!
//! - A script whose response was lost may have run. The cluster client would repeat it unchanged,
//!   but a repetition must be marked as one. The script therefore fails with an error after which
//!   the cluster client does nothing.
//! - `ASKING` applies to the next command of a connection. The cluster client may send another
//!   command in between, and sends only one `ASKING` for several commands.
//! - The cluster client would follow the redirect of one command with all commands of a pipeline. A
//!   [group](new_group) has commands of several slots, and gets the redirects as responses.
//! - While the cluster client connects to a node or checks one, it sends no commands to other
//!   nodes. This type connects with its first command, and responds to the checks itself.
//! - After a lost response, this type connects again even if the connection is still open: the node
//!   may have failed without closing it.
//! - A node that is cut off from the Cluster still claims its slots. This type discards the
//!   claim, so the cluster client asks another node.

use std::sync::Arc;

use redis::{
    Arg, AsyncConnectionConfig, Client, Cmd, IntoConnectionInfo, Pipeline, RedisFuture,
    ServerErrorKind, Value, aio::ConnectionLike, cluster_async::Connect,
};
use tokio::task::unconstrained;

use super::node_connection::NodeConnection;

/// Node of a Cluster. Clones share its connection.
#[derive(Clone)]
pub(crate) struct ClusterNode {
    connection: Arc<NodeConnection>,
    /// Set for a clone whose next request was redirected with `ASK`.
    is_asking: bool,
}

impl Connect for ClusterNode {
    fn connect_with_config<'a, T>(info: T, config: AsyncConnectionConfig) -> RedisFuture<'a, Self>
    where
        T: IntoConnectionInfo + Send + 'a,
    {
        Box::pin(async move {
            let client = Client::open(info.into_connection_info()?)?;
            Ok(Self { connection: NodeConnection::new(client, config), is_asking: false })
        })
    }
}

// The futures are unconstrained: see `link`.
impl ConnectionLike for ClusterNode {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(unconstrained(async move {
            match name_of(command) {
                b"ASKING" => {
                    self.is_asking = true;
                    return Ok(Value::Okay);
                }
                b"PING" => return Ok(Value::SimpleString("PONG".to_owned())),
                b"CLUSTER" => return self.connection.find_owners(command).await,
                _ => {}
            }
            let mut pipeline = Pipeline::with_capacity(1);
            pipeline.add_command(command.clone());
            let may_have_run = matches!(name_of(command), b"EVALSHA" | b"EVAL");
            let is_asking = std::mem::take(&mut self.is_asking);
            let mut responses = self.connection.send(&pipeline, is_asking, may_have_run).await?;
            Ok(responses.pop().unwrap_or(Value::Nil))
        }))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        _offset: usize,
        _count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(unconstrained(async move {
            if is_group(pipeline) {
                let responses = self.connection.send_all(pipeline, true).await?;
                return Ok(responses.into_iter().skip(1).map(enclose).collect());
            }
            // The target of a migration refuses a script, but not the test write that follows it.
            // That write would create its key there, and the source could no longer move the key.
            match std::mem::take(&mut self.is_asking) {
                true => Err((ServerErrorKind::TryAgain.into(), "the slot is moving").into()),
                false => self.connection.send(pipeline, false, true).await,
            }
        }))
    }

    fn get_db(&self) -> i64 {
        0
    }
}

/// Returns a pipeline for commands of several slots of one node. The first command only marks the
/// pipeline, and its response is left out. Each other response is an array with one element.
pub(crate) fn new_group(commands: usize) -> Pipeline {
    let mut group = Pipeline::with_capacity(commands + 1);
    group.cmd("PING");
    group
}

fn is_group(pipeline: &Pipeline) -> bool {
    pipeline.cmd_iter().next().is_some_and(|first| name_of(first) == b"PING")
}

/// Wraps a response in an array, so the cluster client does not act on an error.
fn enclose(response: Value) -> Value {
    Value::Array(vec![response])
}

fn name_of(command: &Cmd) -> &[u8] {
    match command.args_iter().next() {
        Some(Arg::Simple(name)) => name,
        _ => &[],
    }
}
