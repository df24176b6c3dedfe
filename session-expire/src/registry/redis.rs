//! Not written yet.

/// Not written yet.
#[derive(Debug)]
pub struct RedisRegistry;
