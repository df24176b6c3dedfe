//! Choice among the answers of several Sentinels.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Server that a Sentinel names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Primary {
    pub(super) host: String,
    pub(super) port: u16,
    /// Epoch of the failover that has made it the primary.
    pub(super) epoch: u64,
}

impl Primary {
    pub(super) fn has_address_of(&self, other: &Self) -> bool {
        (&self.host, self.port) == (&other.host, other.port)
    }
}

/// Newest answer.
#[derive(Debug, PartialEq)]
pub(super) struct Newest {
    pub(super) primary: Primary,
    /// Set if a majority of all Sentinels has given it.
    is_majority: bool,
}

/// Returns the newest of the answers, if there is one. Of several with its epoch, it is the most
/// frequent one.
pub(super) fn newest(answers: &[Primary], sentinels: usize) -> Option<Newest> {
    let count = |one: &Primary| answers.iter().filter(|other| *other == one).count();
    let newest = answers.iter().max_by_key(|one| (one.epoch, count(one)))?;
    Some(Newest { primary: newest.clone(), is_majority: 2 * count(newest) > sentinels })
}

/// Primary that the registry uses.
#[derive(Default)]
pub(super) struct KnownPrimary(Mutex<Option<Primary>>);

impl KnownPrimary {
    pub(super) fn get(&self) -> Option<Primary> {
        self.lock().clone()
    }

    /// Returns `true` if an answer is at least as new as the known primary.
    pub(super) fn is_reached_by(&self, answers: &[Primary]) -> bool {
        let epoch = self.lock().as_ref().map_or(0, |known| known.epoch);
        answers.iter().any(|answer| answer.epoch >= epoch)
    }

    /// Returns the primary to use, and `true` if its address is new.
    ///
    /// An older answer than before counts only if a majority gives it: the Sentinels watch the
    /// primary anew. Otherwise the others, which know more, do not respond.
    pub(super) fn update(&self, Newest { primary, is_majority }: Newest) -> (Primary, bool) {
        let mut known = self.lock();
        match &*known {
            Some(known) if known.epoch > primary.epoch && !is_majority => (known.clone(), false),
            former => {
                let is_same = former.as_ref().is_some_and(|one| one.has_address_of(&primary));
                *known = Some(primary.clone());
                (primary, !is_same)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Primary>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn primary(port: u16, epoch: u64) -> Primary {
        Primary { host: "10.0.0.1".to_owned(), port, epoch }
    }

    #[test]
    fn newest_answer_is_chosen() {
        let (old, new, other) = (primary(1, 4), primary(2, 5), primary(3, 5));
        for (answers, expected) in [
            (vec![], None),
            (vec![&old], Some((&old, false))),
            (vec![&old, &new, &old], Some((&new, false))),
            (vec![&new, &new, &old], Some((&new, true))),
            (vec![&other, &new, &new], Some((&new, true))),
        ] {
            let answers: Vec<_> = answers.into_iter().cloned().collect();
            let expected = expected.map(|(primary, is_majority): (&Primary, bool)| Newest {
                primary: primary.clone(),
                is_majority,
            });
            assert_eq!(newest(&answers, 3), expected);
        }
    }

    #[test]
    fn minority_does_not_lead_back_to_a_former_primary() {
        let known = KnownPrimary::default();
        let (old, new, reset) = (primary(1, 4), primary(2, 5), primary(3, 0));
        let update = |primary: &Primary, is_majority| {
            known.update(Newest { primary: primary.clone(), is_majority })
        };
        assert_eq!(update(&old, false), (old.clone(), true));
        assert_eq!(update(&old, true), (old.clone(), false));
        assert_eq!(update(&new, false), (new.clone(), true));
        assert_eq!(update(&old, false), (new.clone(), false));
        assert_eq!(update(&reset, true), (reset.clone(), true));
    }

    #[test]
    fn older_answers_do_not_reach_the_known_primary() {
        let known = KnownPrimary::default();
        let (old, new) = (primary(1, 4), primary(2, 5));
        assert!(known.is_reached_by(std::slice::from_ref(&old)));
        known.update(Newest { primary: new.clone(), is_majority: true });
        assert!(!known.is_reached_by(&[old.clone(), old.clone()]));
        assert!(known.is_reached_by(&[old, new]));
    }
}
