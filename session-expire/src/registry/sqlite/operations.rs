//! [`Registry`] of SQLite: operations in memory, or on a thread of the registry.
//!
//! An operation that only needs memory completes at once. The reader and the writer execute all
//! others; keys are hashed before they are sent.

use std::sync::{Arc, mpsc::Sender};

use tokio::sync::oneshot;

use super::{
    SqliteRegistry,
    command::{Command, Responder, UserCommand},
    error::FileError,
    file::rows::hashed,
    reader::ReadRequest,
};
use crate::{
    error::RegistryError,
    registry::{
        Registry, StoredSession, UserExport,
        end::EndSessions,
        future::RegistryFuture,
        query::Query,
        rotation::{KeyRotation, RotationOutcome},
    },
    session::{
        ended::Ended,
        key::RecordKey,
        limit::SessionLimit,
        login::{LoginOutcome, NewLogin, Reservation, ReserveOutcome},
        record::{SessionRecord, SessionRef},
        update::{SessionUpdate, UpdateOutcome},
    },
    time::Timestamp,
};

impl SqliteRegistry {
    /// Sends a command to the writer. An error message names the `operation`.
    fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        command: impl FnOnce(Responder<T>) -> Command,
    ) -> RegistryFuture<'static, T> {
        send(operation, self.commands.as_ref(), command)
    }

    fn write_user<T: Send + 'static>(
        &self,
        operation: &'static str,
        command: impl FnOnce(Responder<T>) -> UserCommand,
    ) -> RegistryFuture<'static, T> {
        self.write(operation, |responder| Command::User(command(responder)))
    }

    fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        request: impl FnOnce(Responder<T>) -> ReadRequest,
    ) -> RegistryFuture<'static, T> {
        send(operation, self.requests.as_ref(), request)
    }
}

/// Sends a message to a thread at once, and returns the future of its response.
fn send<M, T: Send + 'static>(
    operation: &'static str,
    thread: Option<&Sender<M>>,
    message: impl FnOnce(Responder<T>) -> M,
) -> RegistryFuture<'static, T> {
    let (responder, response) = oneshot::channel();
    // If the thread has ended, the responder is dropped and the future returns `Stopped`.
    let _ = thread.map(|thread| thread.send(message(responder)));
    RegistryFuture::boxed(async move {
        let outcome = response.await.unwrap_or(Err(FileError::Stopped));
        outcome.map_err(|error| RegistryError::new(operation, error))
    })
}

fn ready<'a, T>(outcome: T) -> RegistryFuture<'a, T> {
    RegistryFuture::ready(Ok(outcome))
}

impl Registry for SqliteRegistry {
    fn load(&self, key: RecordKey, count_open: bool) -> RegistryFuture<'_, Option<StoredSession>> {
        let key = hashed(key);
        let loaded = self.shared.index.shard(key.partition_key()).load(&key, count_open);
        match loaded {
            Some(loaded) => ready(Some(loaded)),
            None => self.read("load a session", |responder| ReadRequest::Load {
                key,
                count_open,
                responder,
            }),
        }
    }

    fn reserve(&self, mut reservation: Reservation) -> RegistryFuture<'_, ReserveOutcome> {
        reservation.key = hashed(reservation.key);
        match self.shared.try_reserve(&reservation) {
            Some(outcome) => ready(outcome),
            None => self.write_user("reserve a login", |to| UserCommand::Reserve(reservation, to)),
        }
    }

    fn commit(&self, mut login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        login.key = hashed(login.key);
        self.write_user("commit a login", |to| UserCommand::Commit(Box::new(login), to))
    }

    fn cancel(&self, key: RecordKey, ended: Ended) -> RegistryFuture<'_, ()> {
        // Only the writer knows the login if its commit has not been executed yet.
        self.write_user("cancel a login", |to| UserCommand::Cancel(hashed(key), ended, to))
    }

    fn update(
        &self,
        session: SessionRef,
        update: SessionUpdate,
    ) -> RegistryFuture<'_, UpdateOutcome> {
        match self.shared.try_update(&session, &update) {
            Some(outcome) => ready(outcome),
            None => self.write_user("update a session", |to| {
                UserCommand::Update(session, Box::new(update), to)
            }),
        }
    }

    fn rotate(&self, mut rotation: KeyRotation) -> RegistryFuture<'_, RotationOutcome> {
        rotation.from = hashed(rotation.from);
        rotation.to = hashed(rotation.to);
        self.write_user("rotate a key", |to| UserCommand::Rotate(Box::new(rotation), to))
    }

    fn end(&self, end: EndSessions) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.write_user("end sessions", |to| UserCommand::End(end, to))
    }

    fn enforce_limit(
        &self,
        session: SessionRef,
        limit: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.write_user("enforce a session limit", |to| {
            UserCommand::EnforceLimit(session, limit, ended, to)
        })
    }

    fn list(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        if query.ended == Some(false) {
            return ready(self.shared.index.list(&query));
        }
        self.read("list sessions", |to| ReadRequest::List(query, to))
    }

    fn end_everyone(&self, ended: Ended) -> RegistryFuture<'_, u64> {
        self.write("end all sessions", |to| Command::EndEveryone(ended, to))
    }

    fn erase(&self, user: Arc<str>) -> RegistryFuture<'_, u64> {
        self.write_user("erase a user", |to| UserCommand::Erase(user, to))
    }

    fn export(&self, user: Arc<str>) -> RegistryFuture<'_, UserExport> {
        self.read("export a user", |to| ReadRequest::Export(user, to))
    }

    fn enforces_limits(&self) -> bool {
        true
    }

    fn on_start(&self, now: Timestamp) {
        for session in self.shared.index.ahead_of(now) {
            // The update is executed even if its future is dropped.
            drop(self.update(session, SessionUpdate::new(now)));
        }
    }

    fn is_shared(&self) -> bool {
        false
    }
}
