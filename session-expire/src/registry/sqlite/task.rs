//! Tasks of the writer.
//!
//! The registry sends them; the writer executes them in its transactions.

use super::{deadlines::Responder, error::FileError, write::Tx};

pub(super) type BoxedTask = Box<dyn WriteTask>;

/// Operation of the writer. It may be executed more than once, until its transaction is committed.
pub(super) trait WriteTask: Send {
    /// Executes the operation in a transaction.
    fn execute(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()>;

    /// Sends the outcome, or the error of the transaction.
    fn respond(self: Box<Self>, committed: Result<(), FileError>);

    fn options(&self) -> TaskOptions;

    /// Returns `true` if the operation must not be executed any more.
    fn is_cancelled(&self) -> bool;
}

/// How the writer executes a task.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TaskOptions {
    /// The operation need not survive a power failure.
    pub(super) is_volatile: bool,
    /// The write-ahead log must not contain deleted data afterwards.
    pub(super) truncates: bool,
    /// The operation is not executed after its deadline.
    pub(super) expires: bool,
}

/// [`WriteTask`] of a function.
pub(super) struct Task<T, F> {
    pub(super) operation: F,
    pub(super) outcome: Option<T>,
    pub(super) responder: Responder<T>,
    pub(super) options: TaskOptions,
}

impl<T, F> WriteTask for Task<T, F>
where
    T: Send + 'static,
    F: Fn(&mut Tx<'_>) -> rusqlite::Result<T> + Send,
{
    fn execute(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        self.outcome = Some((self.operation)(tx)?);
        Ok(())
    }

    fn respond(self: Box<Self>, committed: Result<(), FileError>) {
        let Self { outcome, responder, .. } = *self;
        responder.send(committed.and_then(|()| outcome.ok_or(FileError::Stopped)));
    }

    fn options(&self) -> TaskOptions {
        self.options
    }

    fn is_cancelled(&self) -> bool {
        self.options.expires && self.responder.has_expired()
    }
}
