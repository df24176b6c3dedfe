//! Page token: the limits under which a page was rendered, signed, so that no client can token laxer
//! ones.
//!
//! It proves that these limits are what the policies of the page say today. The signature covers a
//! digest of the policies that are known at start: a restart with others voids it. The token names
//! the [policy of its handler](crate::policy::handler_policies) if that is not known at start.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::{
    policy::{Policy, PolicyPatch, handler_policies::PolicyId, limit::Limit},
    session::key::{PublicId, SigningKey},
};

/// What a token says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PageLimits {
    pub(crate) limits: PolicyPatch,
    pub(crate) handler: PolicyId,
}

impl PageLimits {
    /// Returns `true` if neither limit is laxer than that of `policy`.
    pub(crate) fn is_within(&self, policy: &Policy) -> bool {
        let is_within = |own: Option<Limit<Duration>>, limit: Limit<Duration>| {
            own.is_some_and(|own| own.stricter(limit) == own)
        };
        is_within(self.limits.idle, policy.idle) && is_within(self.limits.absolute, policy.absolute)
    }
}

/// Returns the limits of `policy`, which `handler` is part of, signed with the signing key of the
/// session.
///
/// Only the registry has the key: a client cannot sign a laxer policy, and a token of one session is
/// void for another. Each process that shares the registry accepts it, also after a restart.
pub(crate) fn issue(
    policy: &Policy,
    handler: PolicyId,
    digest: &[u8],
    signing_key: &SigningKey,
) -> String {
    let limits = format!(
        "{}.{}.{}.{handler:x}",
        millis(policy.idle),
        millis(policy.absolute),
        policy.warning().map_or_else(|| "-".to_owned(), |warn| warn.as_millis().to_string()),
    );
    let signature = signature(&limits, digest, signing_key).finalize().into_bytes();
    format!("{limits}.{}", hex::encode(signature))
}

/// Returns the limits in `token`; `None` unless it was issued for this session.
pub(crate) fn verify(token: &str, digest: &[u8], signing_key: &SigningKey) -> Option<PageLimits> {
    let (limits, signed) = token.rsplit_once('.')?;
    let signed = hex::decode(signed).ok()?;
    signature(limits, digest, signing_key).verify_slice(&signed).ok()?;
    let (limits, handler) = limits.rsplit_once('.')?;
    let mut fields = limits.split('.').map(limit);
    let limits = PolicyPatch::new().idle(fields.next()??).absolute(fields.next()??);
    let handler = PolicyId::from_str_radix(handler, 16).ok()?;
    Some(PageLimits { limits: limits.warn(fields.next()??), handler })
}

/// Returns the session that a page is made for, with a hash of its user.
///
/// The hash is no secret: it can be compared with the hash of a known name.
pub(crate) fn page_id(id: PublicId, user: &str) -> String {
    let digest = Sha256::new().chain_update(id.as_str()).chain_update(user).finalize();
    format!("{id}.{}", hex::encode(&digest[..8]))
}

/// Returns `true` if a page that was [made for](page_id) this session was made for `user`.
pub(crate) fn is_page_of(page: &str, user: &str) -> bool {
    let id = page.split('.').next().and_then(PublicId::parse);
    id.is_some_and(|id| page_id(id, user) == page)
}

fn millis(limit: Limit<Duration>) -> String {
    limit.at().map_or_else(|| "-".to_owned(), |limit| limit.as_millis().to_string())
}

fn limit(field: &str) -> Option<Limit<Duration>> {
    match field {
        "-" => Some(Limit::Off),
        millis => millis.parse().ok().map(|millis| Limit::At(Duration::from_millis(millis))),
    }
}

fn signature(limits: &str, digest: &[u8], signing_key: &SigningKey) -> Hmac<Sha256> {
    // HMAC takes keys of any length; the empty one it falls back to would sign nothing we accept,
    // because every signing_key has 16 bytes.
    let mut mac = Hmac::<Sha256>::new_from_slice(signing_key.bytes())
        .unwrap_or_else(|_| Hmac::new(&Default::default()));
    mac.update(digest);
    mac.update(limits.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{hours, minutes};

    #[test]
    fn a_token_names_the_limits_it_was_issued_for() {
        let signing_key = SigningKey::random();
        let policy = Policy::new().idle(hours(1)).absolute(Limit::Off);
        let page = verify(&issue(&policy, 0xfe, b"1", &signing_key), b"1", &signing_key).unwrap();
        let limits = PolicyPatch::new().idle(hours(1)).absolute(Limit::Off).warn(minutes(2));
        assert_eq!(page, PageLimits { limits, handler: 0xfe });
    }

    #[test]
    fn limits_are_within_a_policy_that_is_as_lax() {
        let page = |idle, absolute| PageLimits {
            limits: PolicyPatch::new().idle(idle).absolute(absolute),
            handler: 0,
        };
        let (hour, two, off) = (Limit::At(hours(1)), Limit::At(hours(2)), Limit::Off);
        for (idle, absolute, is_within) in
            [(hour, two, true), (two, two, false), (hour, off, false), (off, two, false)]
        {
            let policy = Policy::new().idle(hour).absolute(two);
            assert_eq!(page(idle, absolute).is_within(&policy), is_within, "{idle:?} {absolute:?}");
        }
        assert!(page(off, off).is_within(&Policy::new().idle(off).absolute(off)));
    }

    #[test]
    fn forged_token_is_refused() {
        let (signing_key, other) = (SigningKey::random(), SigningKey::random());
        let token = issue(&Policy::new(), 0, b"1", &signing_key);
        let (_, signature) = token.rsplit_once('.').unwrap();
        assert_eq!(verify(&token, b"2", &signing_key), None, "other policies");
        assert_eq!(verify(&token, b"1", &other), None);
        for forged in [
            "",
            ".",
            "-.-.-",
            "-.-.-.",
            "-.-.-.0.",
            "...",
            "ä",
            &format!("-.-.-.{signature}"),
            &format!("-.-.-.{}", "0".repeat(64)),
            &format!("-.-.-.0.{}", "0".repeat(64)),
            &format!("{token}0"),
            &token[1..],
            &token[..token.len() - 1],
            &token.to_uppercase().replace('.', ".."),
        ] {
            assert_eq!(verify(forged, b"1", &signing_key), None, "{forged}");
        }
    }
}
