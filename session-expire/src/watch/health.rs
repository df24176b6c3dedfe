//! Availability of the registry, derived from the results of loads.

use super::table::SessionNumber;

/// Availability of the registry.
///
/// A load may fail although the registry is available. The failure of one session therefore does
/// not delay the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Health {
    #[default]
    Up,
    /// The load of this session has failed, and no load has succeeded since.
    Suspect(SessionNumber),
    Down,
}

impl Health {
    /// Returns the health after loads: `has_success` if one has succeeded, and the sessions whose
    /// loads have failed.
    pub(super) fn after(self, has_success: bool, failed: &[SessionNumber]) -> Self {
        match (self, failed) {
            _ if has_success => Self::Up,
            (health, []) => health,
            (Self::Up, [one]) => Self::Suspect(*one),
            (Self::Suspect(before), [one]) if before == *one => self,
            _ => Self::Down,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_is_down_after_two_sessions_have_failed() {
        use Health::{Down, Suspect, Up};
        const ROWS: [(Health, bool, &[SessionNumber], Health); 10] = [
            (Up, false, &[], Up),
            (Up, false, &[1], Suspect(1)),
            (Up, true, &[1, 2], Up),
            (Up, false, &[1, 2], Down),
            (Suspect(1), false, &[], Suspect(1)),
            (Suspect(1), false, &[1], Suspect(1)),
            (Suspect(1), false, &[2], Down),
            (Suspect(1), true, &[1], Up),
            (Down, false, &[1], Down),
            (Down, true, &[], Up),
        ];
        for row @ (health, has_success, failed, expected) in ROWS {
            assert_eq!(health.after(has_success, failed), expected, "{row:?}");
        }
    }
}
