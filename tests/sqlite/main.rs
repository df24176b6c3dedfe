//! `SqliteRegistry` with several processes, when processes are killed, the disk is full, another
//! program holds the lock, or a file is moved.

mod child;
mod full;
mod kill;
mod locked;
mod migration;
mod moved;
mod refused;
#[path = "../rounds.rs"]
mod rounds;
mod shared;
mod takeovers;
mod versions;
