//! The one thread that writes the file.
//!
//! Commands that wait at the same time share one transaction, and thus one sync of the disk. A
//! batch has at most one command of each shard: every command is decided on what is committed, and
//! memory changes after the disk has. A batch that fails for one of its commands is written again
//! command by command, so that the others do not fail with it. Where every command would fail, as
//! while another program holds a lock, all fail at once: none waits for each of the others.

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
use crate::session::record::Ended;

pub(super) struct Writer {
    db: Connection,
    shared: Arc<Shared>,
    commands: Receiver<Command>,
    waiting: VecDeque<Command>,
    housekeeping: Housekeeping,
}

/// What one transaction writes.
enum Batch {
    /// At most one command of each shard.
    OfUsers(Vec<UserCommand>),
    EndEveryone(Ended, Responder<u64>),
}

impl Writer {
    pub(super) fn new(db: Connection, shared: Arc<Shared>, commands: Receiver<Command>) -> Self {
        let (waiting, housekeeping) = (VecDeque::new(), Housekeeping::new());
        Self { db, shared, commands, waiting, housekeeping }
    }

    /// Works until the registry is dropped, then saves what is left.
    pub(super) fn run(mut self) {
        while self.wait() {
            match self.next_batch() {
                Batch::OfUsers(commands) => self.commit(commands),
                Batch::EndEveryone(ended, responder) => self.end_everyone(&ended, responder),
            }
            self.housekeeping.run(&mut self.db, &self.shared);
        }
        self.housekeeping.finish(&mut self.db, &self.shared);
    }

    /// Waits for commands, or until housekeeping is due; `false` when no more can come.
    fn wait(&mut self) -> bool {
        if self.waiting.is_empty() {
            match self.commands.recv_timeout(self.housekeeping.due_in()) {
                Ok(command) => self.waiting.push_back(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        self.waiting.extend(self.commands.try_iter());
        true
    }

    /// Takes the first waiting command of each shard; later ones keep their order.
    fn next_batch(&mut self) -> Batch {
        let (mut batch, mut shards) = (vec![], HashSet::new());
        let mut waiting = std::mem::take(&mut self.waiting).into_iter();
        while let Some(command) = waiting.next() {
            match command {
                Command::OfUser(command) if shards.insert(command.shard_number()) => {
                    batch.push(command);
                }
                Command::EndEveryone(ended, responder) if shards.is_empty() => {
                    self.waiting.extend(waiting);
                    return Batch::EndEveryone(ended, responder);
                }
                Command::EndEveryone(..) => {
                    self.waiting.push_back(command);
                    break;
                }
                Command::OfUser(_) => self.waiting.push_back(command),
            }
        }
        self.waiting.extend(waiting);
        Batch::OfUsers(batch)
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

    /// Fails `writes` and the commands behind them, which have waited as long. Operations that
    /// change no more than memory complete.
    fn fail_all(&mut self, writes: impl IntoIterator<Item = PendingWrite>, error: &FileError) {
        let (db, shared) = (&self.db, &*self.shared);
        writes.into_iter().for_each(|write| write.fail(error.clone(), shared));
        for command in self.waiting.drain(..) {
            match command {
                Command::OfUser(command) => {
                    let write = command.decide(db, shared);
                    write.into_iter().for_each(|write| write.fail(error.clone(), shared));
                }
                Command::EndEveryone(_, responder) => drop(responder.send(Err(error.clone()))),
            }
        }
    }

    /// Writes the file and then memory, or returns `writes` with the error.
    fn write(&mut self, writes: Vec<PendingWrite>) -> Result<(), (FileError, Vec<PendingWrite>)> {
        let shared = &*self.shared;
        let written = transact(&mut self.db, shared, |db| {
            writes.iter().try_for_each(|write| write.write(db, shared))?;
            // Taken late: until here it may have waited for another program, and lists need not.
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
            Ok(_) => self.housekeeping.prune_all(),
            Err(_) => self.shared.put_back(unsaved),
        }
        // It fails if no receiver is left.
        let _ = responder.send(outcome);
    }
}

/// Commits all of `write` or nothing; it is on the disk when this returns.
///
/// After an error of the disk itself, some of it may come back at the next start: a login whose key
/// no client has, or an end.
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
