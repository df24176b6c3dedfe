//! Writer thread: the only one that writes the file.
//!
//! Waiting commands share one transaction, and therefore one disk sync. A batch has at most one
//! command per shard, because a command is decided on committed state and memory changes after the
//! file. If a batch fails, the writer writes its commands one by one: an error of one command must
//! not fail the others. If every command would fail, such as while another program has the file
//! locked, all fail at once.

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
};

use rusqlite::{Connection, TransactionBehavior};

use super::{
    command::{Command, Responder, UserCommand},
    end_everyone::end_everyone,
    error::FileError,
    housekeeping::Housekeeping,
    pending_write::PendingWrite,
    shared::{Shared, unpoisoned},
};
use crate::session::ended::Ended;

pub(super) struct Writer {
    db: Connection,
    shared: Arc<Shared>,
    commands: Receiver<Command>,
    queue: VecDeque<Command>,
    housekeeping: Housekeeping,
}

/// Commands of one transaction.
enum Batch {
    /// At most one command per shard.
    Users(Vec<UserCommand>),
    EndEveryone(Ended, Responder<u64>),
}

impl Writer {
    pub(super) fn new(db: Connection, shared: Arc<Shared>, commands: Receiver<Command>) -> Self {
        let (queue, housekeeping) = (VecDeque::new(), Housekeeping::new());
        Self { db, shared, commands, queue, housekeeping }
    }

    /// Executes commands until the registry is dropped, then saves all activity.
    pub(super) fn run(mut self) {
        while self.wait() {
            match self.next_batch() {
                Batch::Users(commands) => self.commit(commands),
                Batch::EndEveryone(ended, responder) => self.end_everyone(&ended, responder),
            }
            self.housekeeping.run(&mut self.db, &self.shared);
        }
        self.housekeeping.finish(&mut self.db, &self.shared);
    }

    /// Waits for commands, or until housekeeping is due. Returns `false` if the registry was
    /// dropped.
    fn wait(&mut self) -> bool {
        if self.queue.is_empty() {
            match self.commands.recv_timeout(self.housekeeping.due_in()) {
                Ok(command) => self.queue.push_back(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        self.queue.extend(self.commands.try_iter());
        true
    }

    /// Takes the first queued command of each shard. The order of the others does not change.
    fn next_batch(&mut self) -> Batch {
        let (mut batch, mut shards) = (vec![], HashSet::new());
        let mut queue = std::mem::take(&mut self.queue).into_iter();
        while let Some(command) = queue.next() {
            match command {
                Command::User(command) if shards.insert(command.shard_number()) => {
                    batch.push(command);
                }
                Command::EndEveryone(ended, responder) if shards.is_empty() => {
                    self.queue.extend(queue);
                    return Batch::EndEveryone(ended, responder);
                }
                Command::EndEveryone(..) => {
                    self.queue.push_back(command);
                    break;
                }
                Command::User(_) => self.queue.push_back(command),
            }
        }
        self.queue.extend(queue);
        Batch::Users(batch)
    }

    fn commit(&mut self, batch: Vec<UserCommand>) {
        let (db, shared) = (&self.db, &*self.shared);
        let decided = batch.into_iter().filter_map(|command| command.decide(db, shared));
        let writes: Vec<_> = decided.collect();
        if writes.is_empty() {
            return;
        }
        match self.write(writes) {
            Ok(()) => {}
            Err((error, writes)) if error.affects_all_writes() => self.fail_all(writes, &error),
            Err((_, writes)) => self.write_one_by_one(writes),
        }
    }

    fn write_one_by_one(&mut self, writes: Vec<PendingWrite>) {
        let mut writes = writes.into_iter();
        while let Some(write) = writes.next() {
            let Err((error, failed)) = self.write(vec![write]) else { continue };
            if error.affects_all_writes() {
                return self.fail_all(failed.into_iter().chain(writes), &error);
            }
            failed.into_iter().for_each(|write| write.fail(error.clone(), &self.shared));
        }
    }

    /// Fails `writes` and all queued commands, which have waited as long. Operations that only
    /// change memory complete.
    fn fail_all(&mut self, writes: impl IntoIterator<Item = PendingWrite>, error: &FileError) {
        let (db, shared) = (&self.db, &*self.shared);
        writes.into_iter().for_each(|write| write.fail(error.clone(), shared));
        for command in self.queue.drain(..) {
            match command {
                Command::User(command) => {
                    let write = command.decide(db, shared);
                    write.into_iter().for_each(|write| write.fail(error.clone(), shared));
                }
                Command::EndEveryone(_, responder) => drop(responder.send(Err(error.clone()))),
            }
        }
    }

    /// Writes the file and then memory. After an error, returns `writes` unchanged.
    fn write(&mut self, writes: Vec<PendingWrite>) -> Result<(), (FileError, Vec<PendingWrite>)> {
        let shared = &*self.shared;
        let written = transact(&mut self.db, shared, |db| {
            writes.iter().try_for_each(|write| write.write(db, shared))?;
            // Locked after the writes, which may wait for another program. Lists need not wait.
            Ok(unpoisoned(&shared.commit_lock))
        });
        match written {
            Ok(_lock) => writes.into_iter().for_each(|write| write.finish(shared)),
            Err(error) => return Err((error, writes)),
        }
        Ok(())
    }

    fn end_everyone(&mut self, ended: &Ended, responder: Responder<u64>) {
        let unsaved = self.housekeeping.take_unsaved(&self.shared);
        let outcome = end_everyone(&mut self.db, &self.shared, &unsaved, ended);
        match &outcome {
            Ok(_) => self.housekeeping.restart_pruning(),
            Err(_) => self.shared.add_unsaved(unsaved),
        }
        // The receiver may have been dropped with its request.
        let _ = responder.send(outcome);
    }
}

/// Runs `write` in a transaction, which is on the disk when this function returns.
///
/// If the disk itself fails, the file may contain a transaction that returned an error. At the next
/// start a session may then be ended, or there may be a login whose key no client has.
pub(super) fn transact<T>(
    db: &mut Connection,
    shared: &Shared,
    write: impl FnOnce(&Connection) -> Result<T, FileError>,
) -> Result<T, FileError> {
    let failed = |error| shared.error(error);
    let transaction =
        db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let written = write(&transaction)?;
    shared.check_files()?;
    transaction.commit().map_err(failed)?;
    Ok(written)
}
