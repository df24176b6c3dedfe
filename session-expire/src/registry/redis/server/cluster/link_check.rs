//! Comparison of a subscription with the connection of the registry.
//!
//! After a failover, the connection of the registry may still lead to the former primary, which may
//! return the former state of a session until it learns of the failover.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use super::{slots::slot_of, subscribed_node::SubscribedNode};
use crate::registry::{
    change::Change,
    redis::{
        error::OperationError,
        server::{
            channel::Channel, check::CHECK_TIMEOUT, connection::Connection, pipeline::convert,
        },
    },
};

/// Pause between two comparisons.
const INTERVAL: Duration = Duration::from_millis(100);

/// Waits until the connection of the registry leads to these new nodes. Reports [`Change::Any`] if
/// loads may have read from a former primary before: if the connection did not lead to the nodes at
/// once, or if the nodes replace earlier ones.
pub(crate) async fn report_again(
    registry: Arc<Connection>,
    nodes: Vec<Weak<SubscribedNode>>,
    channel: Arc<Channel>,
    is_replacement: bool,
) {
    let mut has_read_elsewhere = is_replacement && !nodes.is_empty();
    for node in nodes {
        while let Some(node) = node.upgrade().filter(|node| node.is_open()) {
            if leads_to(&registry, &node).await.unwrap_or(false) {
                break;
            }
            has_read_elsewhere = true;
            drop(node);
            tokio::time::sleep(INTERVAL).await;
        }
    }
    if has_read_elsewhere {
        channel.report(Change::Any);
    }
}

/// Returns `true` if the connection sends the commands for a channel of the node to it.
async fn leads_to(
    registry: &Arc<Connection>,
    node: &SubscribedNode,
) -> Result<bool, OperationError> {
    let Some(name) = &node.name else { return Ok(true) };
    let id = redis::cmd("CLUSTER").arg("MYID").take();
    let id: String = convert(registry.query_slot(slot_of(name), &id, CHECK_TIMEOUT).await?)?;
    if id != node.primary.id {
        // The former primary responds with a redirect, and the connection follows it.
        registry.query(redis::cmd("GET").arg(name), CHECK_TIMEOUT).await?;
    }
    Ok(id == node.primary.id)
}
