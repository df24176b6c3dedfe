//! Offer to continue a login that the session limit has refused.
//!
//! The anonymous cookie contains it. The offer and the ticket of the page are valid only together,
//! because the registry stores a key that is derived from both. Once the ticket is spent, a copy of
//! the cookie is useless. An unreadable offer is ignored.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    policy::PolicyPatch,
    session::{
        key::RecordKey,
        login::options::SignInOptions,
        login::stamp::Stamp,
        login::ticket::{TicketSecret, ticket_key},
    },
    time::Timestamp,
};

/// Offer to continue a login.
#[derive(Serialize, Deserialize)]
pub(crate) struct TakeoverOffer {
    #[serde(rename = "b")]
    binding: TicketSecret,
    #[serde(rename = "u")]
    pub(crate) user: String,
    #[serde(rename = "e")]
    until: i64,
    #[serde(rename = "p")]
    policy: PolicyPatch,
    #[serde(rename = "c")]
    is_uncounted: bool,
    #[serde(rename = "a")]
    actor: Option<String>,
    #[serde(rename = "s")]
    stamp: Option<u64>,
}

/// Text of an offer in the anonymous cookie. It is parsed only when it is used: an offer of another
/// version of the crate must not invalidate the rest of the cookie.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct StoredOffer(Box<str>);

impl TakeoverOffer {
    /// Returns an offer with a new binding for a login of `user`, valid until `until`.
    pub(crate) fn new(user: &str, options: &SignInOptions, until: Timestamp) -> Self {
        Self {
            binding: TicketSecret::random(),
            user: user.into(),
            until: until.as_millis(),
            policy: options.login_policy(),
            is_uncounted: options.is_uncounted(),
            actor: options.actor().map(ToString::to_string),
            stamp: options.security_stamp().map(Stamp::to_number),
        }
    }

    /// Returns the key under which the registry stores `ticket`.
    pub(crate) fn ticket_key(&self, ticket: &TicketSecret) -> Option<RecordKey> {
        ticket_key(&self.user, ticket, &self.binding)
    }

    /// Returns the options of the login.
    pub(crate) fn options(&self) -> SignInOptions {
        let options = SignInOptions::from(self.policy.clone());
        let options = match &self.actor {
            Some(actor) => options.impersonated_by(actor.as_str()),
            None if self.is_uncounted => options.uncounted(),
            None => options,
        };
        options.with_stamp(self.stamp.and_then(Stamp::from_number))
    }

    /// Returns the text for the cookie.
    pub(crate) fn store(&self) -> Option<StoredOffer> {
        serde_json::to_string(self).ok().map(|json| StoredOffer(json.into()))
    }
}

impl StoredOffer {
    /// Returns the offer; `None` if it has expired or cannot be read.
    pub(crate) fn read(&self, now: Timestamp) -> Option<TakeoverOffer> {
        let offer: TakeoverOffer = serde_json::from_str(&self.0).ok()?;
        (now < Timestamp::from_millis(offer.until)).then_some(offer)
    }
}

impl fmt::Debug for StoredOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredOffer(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{days, minutes, seconds};

    const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

    #[test]
    fn offer_keeps_the_options_until_it_expires() {
        let until = NOON.plus(minutes(5));
        let policy = PolicyPatch::new().message("Bye.");
        for options in [
            SignInOptions::new(),
            SignInOptions::from(policy.clone()).stamp("hash"),
            SignInOptions::from(policy).uncounted(),
            SignInOptions::new().impersonated_by("root"),
        ] {
            let stored = TakeoverOffer::new("alice", &options, until).store().unwrap();
            let offer = stored.read(until.minus(seconds(1))).unwrap();
            assert_eq!((offer.user.as_str(), offer.options()), ("alice", options));
            assert!(stored.read(until).is_none());
        }
        let kept = SignInOptions::new().persistent(days(30));
        let offer = TakeoverOffer::new("alice", &kept, until);
        assert_eq!(offer.options().login_policy(), kept.login_policy());
    }

    #[test]
    fn ticket_key_needs_user_ticket_and_binding() {
        let offer = |user| TakeoverOffer::new(user, &SignInOptions::new(), NOON);
        let (first, second) = (offer("alice"), offer("alice"));
        let bob = TakeoverOffer { user: "bob".into(), ..offer("bob") };
        let [ticket, other] = [(); 2].map(|()| TicketSecret::random());
        let key = first.ticket_key(&ticket);
        assert!(key.is_some() && key == first.ticket_key(&ticket));
        for differing in [
            first.ticket_key(&other),
            second.ticket_key(&ticket),
            TakeoverOffer { binding: first.binding.clone(), ..bob }.ticket_key(&ticket),
        ] {
            assert_ne!(differing, key);
        }
    }

    #[test]
    fn unreadable_offer_is_none() {
        let offer = TakeoverOffer::new("alice", &SignInOptions::new(), NOON.plus(minutes(5)));
        let text = offer.store().unwrap().0.into_string();
        let binding = offer.binding.as_str();
        for broken in [
            "",
            "{}",
            "[]",
            &text[1..],
            &text.replace(binding, &binding[1..]),
            &text.replace(binding, &format!("{}-", &binding[1..])),
            &text.replace("\"p\":{", "\"p\":{\"unknown\":1"),
        ] {
            assert!(StoredOffer(broken.into()).read(NOON).is_none(), "{broken}");
        }
        assert!(!format!("{:?}", StoredOffer(text.into())).contains(binding));
    }
}
