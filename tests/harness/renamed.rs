//! Former names, for the test targets that still use them.

use std::time::Duration;

use crate::{Browser, RedisServer, Site, TestResponse};

/// A response.
pub type Answer = TestResponse;

impl Browser {
    /// Is now [`Browser::copy`].
    #[must_use]
    pub fn stolen(&self) -> Self {
        self.copy()
    }
}

impl Site {
    /// Is now [`Site::advance`].
    pub fn pass(&self, time: Duration) {
        self.advance(time);
    }

    /// Is now [`Site::take_events`].
    pub fn events(&self) -> Vec<String> {
        self.take_events()
    }
}

impl RedisServer {
    /// Is now [`RedisServer::with_options`].
    pub fn with(options: &[&str]) -> Self {
        Self::with_options(options)
    }

    /// Is now [`RedisServer::restart`].
    pub fn start_again(&mut self) {
        self.restart();
    }

    /// Is now [`RedisServer::command`].
    pub fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        self.command(words)
    }
}
