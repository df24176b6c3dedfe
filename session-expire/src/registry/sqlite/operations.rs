//! [`Registry`] implementation. Every operation is a task of the writer or of a reader.
//!
//! Only a load from the cache completes at once. Keys are hashed before they are sent.

use std::sync::{Arc, mpsc};

use super::{
    SqliteRegistry,
    deadlines::{Responder, Response},
    error::FileError,
    file::rows::hashed,
    queue::{Priority, Queue},
    reader::ReadTask,
    task::{BoxedTask, Task, TaskOptions, WriteTask},
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

/// Options of an operation that must be durable, and that is executed even after its deadline.
const DURABLE: TaskOptions = TaskOptions { is_volatile: false, truncates: false, expires: false };

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
        let (responder, response) = self.shared.deadlines.responder(self.shared.timeout());
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

    fn read<T: Send + 'static>(
        &self,
        name: &'static str,
        queue: &Queue<ReadTask>,
        task: impl FnOnce(Responder<T>) -> ReadTask,
    ) -> RegistryFuture<'static, T> {
        let (responder, response) = self.shared.deadlines.responder(self.shared.timeout());
        if let Err(task) = queue.push(task(responder), Priority::High) {
            task.fail(self.shared.overloaded());
        }
        outcome(name, response)
    }
}

/// Returns the outcome of an operation. An error message names the operation.
fn outcome<T: Send + 'static>(
    name: &'static str,
    response: Response<T>,
) -> RegistryFuture<'static, T> {
    RegistryFuture::boxed(async move {
        // A thread that has ended drops its responders.
        let outcome = response.await.unwrap_or(Err(FileError::Stopped));
        outcome.map_err(|error| RegistryError::new(name, error))
    })
}

/// Correction of times that are ahead of the clock.
struct CorrectTimes {
    now: Timestamp,
    done: mpsc::Sender<()>,
}

impl WriteTask for CorrectTimes {
    fn execute(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        changes::correct_times(tx, self.now);
        Ok(())
    }

    fn respond(self: Box<Self>, committed: Result<(), FileError>) {
        if let Err(error) = committed {
            let event = "sys_times_not_corrected";
            tracing::warn!(event, %error, "session times not corrected");
        }
        // The receiver may have stopped waiting.
        let _ = self.done.send(());
    }

    fn options(&self) -> TaskOptions {
        DURABLE
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

impl Registry for SqliteRegistry {
    fn load(&self, key: RecordKey, count_open: bool) -> RegistryFuture<'_, Option<StoredSession>> {
        let key = hashed(key);
        match self.shared.cached(&key, count_open) {
            Some(session) => RegistryFuture::ready(Ok(Some(session))),
            None => self.read("load a session", &self.loads, |responder| {
                ReadTask::Load(key, count_open, responder)
            }),
        }
    }

    fn reserve(&self, mut reservation: Reservation) -> RegistryFuture<'_, ReserveOutcome> {
        reservation.key = hashed(reservation.key);
        let options = TaskOptions { expires: true, ..VOLATILE };
        self.write("reserve a login", options, Priority::High, move |tx| {
            logins::reserve(tx, &reservation)
        })
    }

    fn commit(&self, mut login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        login.key = hashed(login.key);
        let options = TaskOptions { expires: true, ..DURABLE };
        self.write("commit a login", options, Priority::High, move |tx| logins::commit(tx, &login))
    }

    fn cancel(&self, key: RecordKey, ended: Ended) -> RegistryFuture<'_, ()> {
        let key = hashed(key);
        self.write_durably("cancel a login", move |tx| logins::cancel(tx, &key, &ended))
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
        self.write_durably("end sessions", move |tx| changes::end(tx, &end))
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
        self.read("list sessions", &self.lists, |responder| ReadTask::List(query, responder))
    }

    fn end_everyone(&self, ended: Ended) -> RegistryFuture<'_, u64> {
        self.write_durably("end all sessions", move |tx| changes::end_everyone(tx, &ended))
    }

    fn erase(&self, user: Arc<str>) -> RegistryFuture<'_, u64> {
        let options = TaskOptions { truncates: true, ..DURABLE };
        self.write("erase a user", options, Priority::High, move |tx| changes::erase(tx, &user))
    }

    fn export(&self, user: Arc<str>) -> RegistryFuture<'_, UserExport> {
        self.read("export a user", &self.lists, |responder| ReadTask::Export(user, responder))
    }

    fn enforces_limits(&self) -> bool {
        true
    }

    /// Waits until the first records have been corrected. The processes of one machine share its
    /// clock, so a record that is ahead of `now` is ahead for all of them.
    fn on_start(&self, now: Timestamp) {
        let (done, is_done) = mpsc::channel();
        if self.writes.push(Box::new(CorrectTimes { now, done }), Priority::High).is_ok() {
            let _ = is_done.recv_timeout(self.shared.timeout());
        }
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn server_time(&self) -> Option<Timestamp> {
        None
    }
}
