//! `SqliteRegistry` and the faults of processes and disks: these tests kill processes of their own,
//! fill disks, hold locks and move files.

mod child;
mod full;
mod kill;
mod locked;
mod moved;
mod refused;
