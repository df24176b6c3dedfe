//! What a session held when a request came in, told from what the request has written.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Where the user's name lies in memory. Writing the name anew moves it, even when the text is the
/// same: only so can a new login of the same user be told from a session that was merely renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    address: usize,
    /// What comes with a cookie has just the room that it needs; what is written has more, or by chance
    /// just as much.
    room: usize,
    length: usize,
}

impl Place {
    pub(crate) fn of(json: &String) -> Self {
        Self { address: json.as_ptr().addr(), room: json.capacity(), length: json.len() }
    }

    /// Whether it may have been written in this request.
    pub(crate) fn may_be_new(self) -> bool {
        self.room != self.length || self.room >= 128 && self.room.is_power_of_two()
    }
}

/// What a session held when the request came in.
#[derive(Debug, Default)]
pub(crate) struct Brought {
    /// Where the user's name lay.
    pub(crate) user: Option<Place>,
    rest: Vec<Mark>,
}

impl Brought {
    /// Whether there was nothing but what we and actix-identity keep.
    pub(crate) fn is_bare(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn add(&mut self, key: &str, json: &String) {
        self.rest.push(Mark::of(key, json));
    }

    /// Whether this entry was there, and nobody has written it since.
    pub(crate) fn holds(&self, key: &str, json: &String) -> bool {
        self.rest.contains(&Mark::of(key, json))
    }
}

/// By what an entry is known again. Memory that was freed is used again, so where it lies is not
/// enough: nothing that was written since may be taken for what was there before.
#[derive(Debug, PartialEq, Eq)]
struct Mark {
    place: Place,
    entry: u64,
}

impl Mark {
    fn of(key: &str, json: &String) -> Self {
        let mut hasher = DefaultHasher::new();
        (key, json).hash(&mut hasher);
        Self { place: Place::of(json), entry: hasher.finish() }
    }
}
