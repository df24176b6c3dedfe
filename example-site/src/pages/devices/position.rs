//! Position in the paginated lists of the devices page, as part of its URL.

use std::fmt;

use serde::Deserialize;
use session_expire::{PublicId, clock::Timestamp};

/// Position of a session in a list: the time of the login and the id.
type Cursor = (Timestamp, PublicId);

/// Number of pages that the link "Newer" can go back. The limit keeps URLs below 1,024 bytes.
const MAX_CURSORS: usize = 12;

/// Cursors of the pages from the second to the shown one. Empty on the first page.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Trail(Vec<Cursor>);

impl Trail {
    /// Parses the output of `Display`. Ignores invalid cursors.
    fn parse(text: &str) -> Self {
        let parse = |part: &str| {
            let (at, id) = part.split_once('.')?;
            Some((Timestamp::from_millis(at.parse().ok()?), PublicId::parse(id)?))
        };
        let mut cursors: Vec<_> = text.split('~').filter_map(parse).collect();
        cursors.drain(..cursors.len().saturating_sub(MAX_CURSORS));
        Self(cursors)
    }

    /// Returns the cursor of the shown page; `None` on the first page.
    pub(super) fn cursor(&self) -> Option<Cursor> {
        self.0.last().copied()
    }

    pub(super) fn is_first_page(&self) -> bool {
        self.0.is_empty()
    }

    fn newer(&self) -> Self {
        Self(self.0[..self.0.len().saturating_sub(1)].to_vec())
    }

    fn older(&self, next: Cursor) -> Self {
        let skipped = (self.0.len() + 1).saturating_sub(MAX_CURSORS);
        Self(self.0.iter().copied().skip(skipped).chain([next]).collect())
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (at, id)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "~" };
            write!(f, "{separator}{}.{id}", at.as_millis())?;
        }
        Ok(())
    }
}

/// Query parameters of the page.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Params {
    active: String,
    past: String,
}

/// Current pages of the two lists. Displays the query string, including its question mark.
#[derive(Clone, Default)]
pub(super) struct Position {
    pub(super) active: Trail,
    pub(super) past: Trail,
}

impl Position {
    pub(super) fn new(params: &Params) -> Self {
        Self { active: Trail::parse(&params.active), past: Trail::parse(&params.past) }
    }

    /// Returns `true` if both lists show their first page.
    pub(super) fn is_first(&self) -> bool {
        self.active.is_first_page() && self.past.is_first_page()
    }

    /// Returns the links of the list of active sessions.
    pub(super) fn active_links(&self, next: Option<Cursor>) -> Links {
        let position = |active| Self { active, ..self.clone() };
        Links::new(&self.active, next, "active", position)
    }

    /// Returns the links of the list of past sessions.
    pub(super) fn past_links(&self, next: Option<Cursor>) -> Links {
        let position = |past| Self { past, ..self.clone() };
        Links::new(&self.past, next, "past", position)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = '?';
        for (name, trail) in [("active", &self.active), ("past", &self.past)] {
            if !trail.is_first_page() {
                write!(f, "{separator}{name}={trail}")?;
                separator = '&';
            }
        }
        Ok(())
    }
}

/// URLs of the neighbouring pages of a list.
pub(super) struct Links {
    pub(super) newer: Option<String>,
    pub(super) older: Option<String>,
}

impl Links {
    fn new(
        shown: &Trail,
        next: Option<Cursor>,
        heading: &str,
        position: impl Fn(Trail) -> Position,
    ) -> Self {
        let url = |trail| format!("/devices{}#{heading}", position(trail));
        Self {
            newer: (!shown.is_first_page()).then(|| url(shown.newer())),
            older: next.map(|next| url(shown.older(next))),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.newer.is_none() && self.older.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(at: i64) -> Cursor {
        (Timestamp::from_millis(at), PublicId::parse("AAAAAAAAAAAAAAAA").unwrap())
    }

    #[test]
    fn trail_is_read_as_it_was_written() {
        let trail = Trail::default().older(cursor(2)).older(cursor(1));
        assert_eq!(trail.to_string(), "2.AAAAAAAAAAAAAAAA~1.AAAAAAAAAAAAAAAA");
        assert_eq!(Trail::parse(&trail.to_string()), trail);
        assert_eq!(trail.newer().cursor(), Some(cursor(2)));
        assert!(trail.newer().newer().newer().is_first_page());
    }

    #[test]
    fn unreadable_cursor_is_left_out() {
        for text in ["", "~", "1", "1.", ".AAAAAAAAAAAAAAAA", "x.AAAAAAAAAAAAAAAA", "1.<b>"] {
            assert!(Trail::parse(text).is_first_page(), "{text}");
        }
    }

    #[test]
    fn trail_has_latest_cursors_only() {
        let trail = (0..40).rev().fold(Trail::default(), |trail, at| trail.older(cursor(at)));
        assert_eq!((trail.0.len(), trail.cursor()), (MAX_CURSORS, Some(cursor(0))));
        let long = (0..40).map(|at| format!("{at}.AAAAAAAAAAAAAAAA")).collect::<Vec<_>>();
        let parsed = Trail::parse(&long.join("~"));
        assert_eq!((parsed.0.len(), parsed.cursor()), (MAX_CURSORS, Some(cursor(39))));
    }

    #[test]
    fn link_of_one_list_keeps_page_of_other() {
        let first = Position::default();
        assert!(first.active_links(None).is_empty());
        let past = Position { past: Trail::default().older(cursor(7)), ..Position::default() };
        let links = past.active_links(Some(cursor(9)));
        let url = "/devices?active=9.AAAAAAAAAAAAAAAA&past=7.AAAAAAAAAAAAAAAA#active";
        assert_eq!((links.older.as_deref(), links.newer), (Some(url), None));
        assert_eq!(past.past_links(None).newer.as_deref(), Some("/devices#past"));
    }
}
