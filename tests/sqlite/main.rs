//! `SqliteRegistry` against what happens to processes and disks: these tests kill, starve and lock out
//! processes of their own.

mod child;
mod full;
mod kill;
mod locked;
mod moved;
mod refused;
