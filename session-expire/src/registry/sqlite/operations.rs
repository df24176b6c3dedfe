//! [`Registry`] implementation. Every operation is a task of the writer or of a reader.
//!
//! Only a load from the cache completes at once. Keys are hashed before they are sent.

use std::{
    pin::Pin,
    sync::{Arc, mpsc},
    task::{Context, Poll, Waker},
};

use rusqlite::Connection;

use super::{
    SqliteRegistry,
    deadlines::{Responder, Response},
    error::FileError,
    file::{lists, rows::hashed},
    queue::{Priority, Queue},
    reader::{self, ReadTask},
    report_queue,
    shared::Shared,
    task::{BoxedTask, Task, TaskOptions},
    write::{
        Tx,
        changes::{self, is_activity},
        logins,
    },
};
use crate::{
    error::RegistryError,
    registry::{
        Registry, StoredSession, UserExport,
        change::{ChangeListener, Subscription},
        end::EndSessions,
        future::RegistryFuture,
        query::Query,
        rotation::{KeyRotation, RotationOutcome},
    },
    session::{
        ended::Ended,
        key::RecordKey,
        limit::SessionLimit,
        login::ticket::LoginTicket,
        login::{LoginOutcome, NewLogin, Reservation, ReserveOutcome},
        record::{SessionRecord, SessionRef},
        update::{SessionUpdate, UpdateOutcome},
    },
    time::Timestamp,
};

/// Options of an operation that must be durable.
const DURABLE: TaskOptions = TaskOptions { is_volatile: false, truncates: false, expires: true };

/// Options of an operation that ends sessions, even after its deadline.
const ENDING: TaskOptions = TaskOptions { expires: false, ..DURABLE };

/// Options of an operation that a crash may lose.
const VOLATILE: TaskOptions = TaskOptions { is_volatile: true, ..DURABLE };

impl SqliteRegistry {
    /// Sends an operation to the writer at once, and returns the future of its outcome.
    fn write<T: Send + 'static>(
        &self,
        name: &'static str,
        options: TaskOptions,
        priority: Priority,
        operation: impl Fn(&mut Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> RegistryFuture<'static, T> {
        let (responder, response) = self.shared.deadlines.responder(self.shared.options().timeout);
        let task: BoxedTask = Box::new(Task { operation, outcome: None, responder, options });
        if let Err(task) = self.writes.push(task, priority) {
            task.respond(Err(self.shared.overloaded()));
        }
        outcome(name, response)
    }

    fn write_durably<T: Send + 'static>(
        &self,
        name: &'static str,
        operation: impl Fn(&mut Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> RegistryFuture<'static, T> {
        self.write(name, DURABLE, Priority::High, operation)
    }

    /// Sends an operation to a reader. It is not executed if its outcome is not awaited any more.
    fn read<T: Send + 'static>(
        &self,
        name: &'static str,
        queue: &Queue<ReadTask>,
        read: impl FnOnce(&Connection, &Shared, &Responder<T>) -> rusqlite::Result<T> + Send + 'static,
    ) -> RegistryFuture<'static, T> {
        let (responder, response) = self.shared.deadlines.responder(self.shared.options().timeout);
        let shared = Arc::clone(&self.shared);
        let task: ReadTask = Box::new(move |db| match db {
            Ok(_) if responder.is_abandoned() => {}
            Ok(db) => {
                let outcome = read(db, &shared, &responder).map_err(|error| shared.error(error));
                responder.send(outcome);
            }
            Err(error) => responder.send(Err(error)),
        });
        if let Err(task) = queue.push(task, Priority::High) {
            task(Err(self.shared.overloaded()));
        }
        outcome(name, response)
    }
}

/// Returns the outcome of an operation. An error message names the operation.
pub(super) fn outcome<T: Send + 'static>(
    name: &'static str,
    response: Response<T>,
) -> RegistryFuture<'static, T> {
    RegistryFuture::boxed(async move {
        // A thread that has ended drops its responders.
        let outcome = response.await.unwrap_or(Err(FileError::Stopped));
        outcome.map_err(|error| RegistryError::new(name, error))
    })
}

impl Registry for SqliteRegistry {
    fn load(&self, key: RecordKey, count_open: bool) -> RegistryFuture<'_, Option<StoredSession>> {
        let key = hashed(key);
        match self.shared.cached(&key, count_open) {
            Some(session) => RegistryFuture::ready(Ok(Some(session))),
            None => self.read("load a session", &self.loads, move |db, shared, _| {
                reader::load(db, shared, key, count_open)
            }),
        }
    }

    fn reserve(&self, mut reservation: Reservation) -> RegistryFuture<'_, ReserveOutcome> {
        reservation.key = hashed(reservation.key);
        self.write("reserve a login", VOLATILE, Priority::High, move |tx| {
            logins::reserve(tx, &reservation)
        })
    }

    fn commit(&self, mut login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        login.key = hashed(login.key);
        if let Some(takeover) = &mut login.takeover {
            takeover.ticket = hashed(takeover.ticket);
        }
        self.write_durably("commit a login", move |tx| logins::commit(tx, &login))
    }

    fn issue_ticket(&self, mut ticket: LoginTicket) -> RegistryFuture<'_, ()> {
        ticket.key = hashed(ticket.key);
        self.write("issue a ticket", VOLATILE, Priority::High, move |tx| {
            logins::issue_ticket(tx, &ticket)
        })
    }

    fn count_confirmation_attempt(
        &self,
        session: SessionRef,
        ended: Ended,
    ) -> RegistryFuture<'_, Option<SessionRecord>> {
        // The failure may end the session. A lost failure would allow one more guess.
        self.write("count a confirmation attempt", ENDING, Priority::High, move |tx| {
            changes::count_confirmation_attempt(tx, &session, &ended)
        })
    }

    fn cancel(&self, key: RecordKey, ended: Ended) -> RegistryFuture<'_, ()> {
        let key = hashed(key);
        self.write("cancel a login", ENDING, Priority::High, move |tx| {
            logins::cancel(tx, &key, &ended)
        })
    }

    fn update(
        &self,
        session: SessionRef,
        update: SessionUpdate,
    ) -> RegistryFuture<'_, UpdateOutcome> {
        let (options, priority) = match is_activity(&update) {
            true => (VOLATILE, Priority::Low),
            false => (DURABLE, Priority::High),
        };
        self.write("update a session", options, priority, move |tx| {
            changes::update(tx, &session, &update)
        })
    }

    fn rotate(&self, mut rotation: KeyRotation) -> RegistryFuture<'_, RotationOutcome> {
        rotation.from = hashed(rotation.from);
        rotation.to = hashed(rotation.to);
        self.write_durably("rotate a key", move |tx| changes::rotate(tx, &rotation))
    }

    fn end(&self, end: EndSessions) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.write("end sessions", ENDING, Priority::High, move |tx| changes::end(tx, &end))
    }

    fn enforce_limit(
        &self,
        session: SessionRef,
        limit: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.write_durably("enforce a session limit", move |tx| {
            changes::enforce_limit(tx, &session, limit, &ended)
        })
    }

    fn list(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.read("list sessions", &self.lists, move |db, _, responder| {
            lists::list(db, &query, || responder.is_abandoned())
        })
    }

    fn end_everyone(&self, ended: Ended) -> RegistryFuture<'_, u64> {
        self.write("end all sessions", ENDING, Priority::High, move |tx| {
            changes::end_everyone(tx, &ended)
        })
    }

    fn erase(&self, user: Arc<str>) -> RegistryFuture<'_, u64> {
        let options = TaskOptions { truncates: true, ..DURABLE };
        self.write("erase a user", options, Priority::High, move |tx| changes::erase(tx, &user))
    }

    fn export(&self, user: Arc<str>) -> RegistryFuture<'_, UserExport> {
        self.read("export a user", &self.lists, move |db, _, _| lists::export(db, &user))
    }

    fn subscribe(&self, listener: ChangeListener) -> Box<dyn Subscription> {
        report_queue::subscribe(&self.shared, listener)
    }

    fn enforces_limits(&self) -> bool {
        true
    }

    /// Waits until the first records have been corrected. The processes of one machine share its
    /// clock, so a record that is ahead of `now` is ahead for all of them.
    fn on_start(&self, now: Timestamp) {
        // The writer drops the operation, and the sender with it, after it has sent the outcome.
        let (sender, is_dropped) = mpsc::channel::<()>();
        let mut outcome = self.write_durably("compare session times with the clock", move |tx| {
            let _ = &sender;
            changes::correct_times(tx, now);
            Ok(())
        });
        let _ = is_dropped.recv_timeout(self.shared.options().timeout);
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(Err(error)) = Pin::new(&mut outcome).poll(&mut context) {
            let event = "sys_times_not_corrected";
            tracing::warn!(event, %error, "session times not compared with the clock");
        }
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn server_time(&self) -> Option<Timestamp> {
        None
    }
}
