//! Threads of a registry: their start and their end.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use rusqlite::Connection;

use super::{
    SqliteError, SqliteRegistry,
    checkpointer::{self, CheckpointTrigger},
    queue::Queue,
    reader,
    reporter::Reporter,
    shared::Shared,
    writer::Writer,
};

impl SqliteRegistry {
    pub(super) fn new(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
            writes: Arc::new(Queue::new()),
            loads: Arc::new(Queue::new()),
            lists: Arc::new(Queue::new()),
            checkpoints: Arc::new(Queue::new()),
            threads: vec![],
            timer: None,
        }
    }

    /// Starts the threads that read. The first one is for lists.
    pub(super) fn start_readers(&mut self, readers: Vec<Connection>) -> Result<(), SqliteError> {
        for (number, db) in readers.into_iter().enumerate() {
            let tasks = Arc::clone(if number == 0 { &self.lists } else { &self.loads });
            self.spawn("session-reader", move || reader::run(&db, &tasks))?;
        }
        Ok(())
    }

    pub(super) fn start_reporter(&mut self, db: Connection) -> Result<(), SqliteError> {
        let reporter = Reporter::new(db, Arc::clone(&self.shared));
        self.spawn("session-reporter", move || reporter.run())
    }

    pub(super) fn start_writer(
        &mut self,
        writer: Connection,
        checkpointer: Connection,
        last_commit: u64,
    ) -> Result<(), SqliteError> {
        let (shared, checkpoints) = (Arc::clone(&self.shared), Arc::clone(&self.checkpoints));
        let run = move || checkpointer::run(&checkpointer, &shared, &checkpoints);
        self.spawn("session-checkpointer", run)?;
        let (shared, tasks) = (Arc::clone(&self.shared), Arc::clone(&self.writes));
        let trigger = CheckpointTrigger::new(Arc::clone(&self.checkpoints));
        let writer = Writer::new(writer, shared, tasks, trigger, last_commit);
        self.spawn("session-writer", move || writer.run())?;
        let shared = Arc::clone(&self.shared);
        let timer = move || shared.deadlines.run(|| shared.timed_out());
        self.spawn("session-timer", timer)?;
        self.timer = self.threads.pop();
        Ok(())
    }

    fn spawn(
        &mut self,
        name: &str,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<(), SqliteError> {
        let spawned = thread::Builder::new().name(name.to_owned()).spawn(run);
        let file = self.shared.file.to_path_buf();
        self.threads
            .push(spawned.map_err(|source| SqliteError::Open { file, source: source.into() })?);
        Ok(())
    }
}

impl Drop for SqliteRegistry {
    /// Waits until everything is on the disk. The last connection that is closed moves the
    /// write-ahead log into the file; if two are closed at the same moment, neither does.
    fn drop(&mut self) {
        self.lists.close();
        self.loads.close();
        self.checkpoints.close();
        self.shared.report_queue.close();
        let writer = self.threads.pop();
        self.threads.drain(..).for_each(join);
        self.shared.close_checkers();
        self.writes.close();
        writer.into_iter().for_each(join);
        self.shared.deadlines.close();
        self.timer.take().into_iter().for_each(join);
    }
}

fn join(thread: JoinHandle<()>) {
    // An error means that the thread panicked, which the panic hook has reported.
    let _ = thread.join();
}
