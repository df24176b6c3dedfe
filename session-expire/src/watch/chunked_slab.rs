//! Slab that grows by chunks, and never moves its values.

use std::ops::{Index, IndexMut};

use slab::Slab;

/// Number of values in a chunk.
const CHUNK: usize = 256;

pub(super) struct ChunkedSlab<T> {
    chunks: Vec<Slab<T>>,
    /// All chunks before this one are full.
    first_free: usize,
    len: usize,
}

impl<T> Default for ChunkedSlab<T> {
    fn default() -> Self {
        Self { chunks: vec![], first_free: 0, len: 0 }
    }
}

impl<T> ChunkedSlab<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a value, and returns its number.
    pub(super) fn insert(&mut self, value: T) -> usize {
        let is_free = |chunk: &Slab<T>| chunk.len() < CHUNK;
        let free = self.chunks[self.first_free..].iter().position(is_free);
        self.first_free = free.map_or(self.chunks.len(), |index| self.first_free + index);
        if free.is_none() {
            self.chunks.push(Slab::with_capacity(CHUNK));
        }
        self.len += 1;
        self.first_free * CHUNK + self.chunks[self.first_free].insert(value)
    }

    /// Removes a value.
    ///
    /// # Panics
    ///
    /// Panics if there is no value with this number.
    pub(super) fn remove(&mut self, number: usize) -> T {
        let value = self.chunks[number / CHUNK].remove(number % CHUNK);
        self.len -= 1;
        while self.chunks.last().is_some_and(Slab::is_empty) {
            self.chunks.pop();
        }
        self.first_free = self.first_free.min(number / CHUNK).min(self.chunks.len());
        value
    }

    pub(super) fn get(&self, number: usize) -> Option<&T> {
        self.chunks.get(number / CHUNK)?.get(number % CHUNK)
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.chunks.get_mut(number / CHUNK)?.get_mut(number % CHUNK)
    }

    /// Returns the values with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.chunks.iter().enumerate().flat_map(|(index, chunk)| {
            chunk.iter().map(move |(number, value)| (index * CHUNK + number, value))
        })
    }
}

impl<T> Index<usize> for ChunkedSlab<T> {
    type Output = T;

    fn index(&self, number: usize) -> &T {
        &self.chunks[number / CHUNK][number % CHUNK]
    }
}

impl<T> IndexMut<usize> for ChunkedSlab<T> {
    fn index_mut(&mut self, number: usize) -> &mut T {
        &mut self.chunks[number / CHUNK][number % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_and_are_used_again() {
        let mut slab = ChunkedSlab::default();
        let numbers: Vec<_> = (0..3 * CHUNK).map(|value| slab.insert(value)).collect();
        assert_eq!(numbers, (0..3 * CHUNK).collect::<Vec<_>>());
        let removed = [CHUNK + 3, 7, 2 * CHUNK];
        assert_eq!(removed.map(|number| slab.remove(number)), removed);
        assert!(slab.get(7).is_none() && slab.get_mut(3 * CHUNK).is_none());
        assert_eq!((slab[8], slab.len()), (8, 3 * CHUNK - 3));
        assert_eq!([0, 1, 2, 3].map(|value| slab.insert(value)), [7, CHUNK + 3, 2 * CHUNK, 768]);
        assert_eq!(slab.iter().count(), 3 * CHUNK + 1);
    }

    #[test]
    fn empty_slab_needs_no_memory() {
        let mut slab = ChunkedSlab::default();
        (0..3 * CHUNK).for_each(|value| _ = slab.insert(value));
        (0..3 * CHUNK).for_each(|number| _ = slab.remove(number));
        assert!(slab.chunks.is_empty() && slab.len() == 0);
        assert_eq!(slab.insert(1), 0);
    }
}
