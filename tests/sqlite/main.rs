//! `SqliteRegistry` with several processes, when processes are killed, the disk is full, another
//! program holds the lock, or a file is moved. Reports of changes between processes.

mod child;
mod full;
mod kill;
mod locked;
mod migration;
mod moved;
mod refused;
mod reports;
#[path = "../rounds.rs"]
mod rounds;
mod shared;
mod takeovers;
mod versions;
