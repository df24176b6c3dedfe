//! Page token: the signed limits under which a page was rendered.
//!
//! A client cannot forge a token with laxer limits. The signature covers a digest of the policies
//! that are known at startup, so a restart with other policies voids the token. The token names the
//! [policy of its handler](crate::policy::handler_policies) if that is not known at startup.
//!
//! The dialog puts the token into the page. The status and keep-alive endpoints verify it.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::{
    policy::{Policy, PolicyPatch, handler_policies::PolicyId, limit::Limit},
    session::{key::PublicId, signing_key::SigningKey},
};

/// Prefix of the token of a page to which declared standards do not apply.
const EXEMPT: &str = "x.";

/// Limits and handler policy that a token names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PageLimits {
    pub(crate) limits: PolicyPatch,
    pub(crate) handler: PolicyId,
    /// `true` if declared standards do not apply to the page.
    pub(crate) is_exempt: bool,
}

/// Layers of the page for which a token is issued.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PageLayers {
    /// Handler policy that was merged into the policy.
    pub(crate) handler: PolicyId,
    /// `true` if declared standards do not apply to the page.
    pub(crate) is_exempt: bool,
}

impl PageLimits {
    /// Returns `true` if neither limit is laxer than the same limit of `policy`.
    pub(crate) fn is_within(&self, policy: &Policy) -> bool {
        let is_within = |own: Option<Limit<Duration>>, limit: Limit<Duration>| {
            own.is_some_and(|own| own.stricter(limit) == own)
        };
        is_within(self.limits.idle, policy.idle) && is_within(self.limits.absolute, policy.absolute)
    }
}

/// Returns a token with the limits of `policy`, signed with the signing key of the session.
///
/// Only the registry has the signing key. A client cannot sign a laxer policy, and a token of one
/// session is void for another. Every process that shares the registry accepts the token, even
/// after a restart.
pub(crate) fn issue(
    policy: &Policy,
    page: PageLayers,
    digest: &[u8],
    signing_key: &SigningKey,
) -> String {
    let PageLayers { handler, is_exempt } = page;
    let limits = format!(
        "{}{}.{}.{}.{handler:x}",
        if is_exempt { EXEMPT } else { "" },
        format_limit(policy.idle),
        format_limit(policy.absolute),
        policy.warning().map_or_else(|| "-".to_owned(), |warn| warn.as_millis().to_string()),
    );
    let signature = sign(&limits, digest, signing_key).finalize().into_bytes();
    format!("{limits}.{}", hex::encode(signature))
}

/// Returns the limits in `token`; `None` unless the token was issued for this session under the
/// same policies.
pub(crate) fn verify(token: &str, digest: &[u8], signing_key: &SigningKey) -> Option<PageLimits> {
    let (limits, signature) = token.rsplit_once('.')?;
    let signature = hex::decode(signature).ok()?;
    sign(limits, digest, signing_key).verify_slice(&signature).ok()?;
    let exempt = limits.strip_prefix(EXEMPT);
    let (limits, handler) = exempt.unwrap_or(limits).rsplit_once('.')?;
    let mut fields = limits.split('.').map(parse_limit);
    let limits = PolicyPatch::new().idle(fields.next()??).absolute(fields.next()??);
    let handler = PolicyId::from_str_radix(handler, 16).ok()?;
    let limits = limits.warn(fields.next()??);
    Some(PageLimits { limits, handler, is_exempt: exempt.is_some() })
}

/// Separator of the user and the actor in a hash. No UTF-8 text contains this byte.
const SEPARATOR: [u8; 1] = [0xff];

/// Returns the page id: the public id of the session, and a hash of the id, the user and the actor
/// of an impersonation.
///
/// The hash does not hide the user, because a known user id can be hashed and compared.
pub(crate) fn page_id(id: PublicId, user: &str, actor: Option<&str>) -> String {
    let mut hash = Sha256::new().chain_update(id.as_str()).chain_update(user);
    if let Some(actor) = actor {
        hash = hash.chain_update(SEPARATOR).chain_update(actor);
    }
    format!("{id}.{}", hex::encode(&hash.finalize()[..8]))
}

/// Returns `true` if `page`, a [page id](page_id), belongs to a session of `user` with this actor.
pub(crate) fn is_page_of(page: &str, user: &str, actor: Option<&str>) -> bool {
    session_of(page).is_some_and(|id| page_id(id, user, actor) == page)
}

/// Returns the public id of the session for which a page was rendered.
pub(crate) fn session_of(page: &str) -> Option<PublicId> {
    page.split('.').next().and_then(PublicId::parse)
}

fn format_limit(limit: Limit<Duration>) -> String {
    limit.at().map_or_else(|| "-".to_owned(), |limit| limit.as_millis().to_string())
}

fn parse_limit(field: &str) -> Option<Limit<Duration>> {
    match field {
        "-" => Some(Limit::Off),
        millis => millis.parse().ok().map(|millis| Limit::At(Duration::from_millis(millis))),
    }
}

fn sign(limits: &str, digest: &[u8], signing_key: &SigningKey) -> Hmac<Sha256> {
    // HMAC accepts keys of any length, so the fallback to an empty key cannot happen.
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
    fn verified_token_contains_the_issued_limits() {
        let signing_key = SigningKey::random();
        let policy = Policy::new().idle(hours(1)).absolute(Limit::Off);
        let limits = PolicyPatch::new().idle(hours(1)).absolute(Limit::Off).warn(minutes(2));
        for is_exempt in [false, true] {
            let layers = PageLayers { handler: 0xfe, is_exempt };
            let token = issue(&policy, layers, b"1", &signing_key);
            let page = verify(&token, b"1", &signing_key);
            let limits = limits.clone();
            assert_eq!(page, Some(PageLimits { limits, handler: 0xfe, is_exempt }));
        }
    }

    #[test]
    fn page_id_names_session_user_and_actor() {
        let (id, other) = (PublicId::parse("AAAAAAAAAAAAAAAA").unwrap(), PublicId::random());
        let page = page_id(id, "alice", None);
        // The format is fixed, because pages stay open during an update of this crate.
        assert_eq!(page, "AAAAAAAAAAAAAAAA.3c74955969379ce5");
        assert_eq!((session_of(&page), session_of("x")), (Some(id), None));
        let ids =
            [("alice", None), ("alice", Some("root")), ("alice", Some("")), ("aliceroot", None)];
        for (user, actor) in ids {
            let page = page_id(id, user, actor);
            let owners = ids.iter().filter(|(user, actor)| is_page_of(&page, user, *actor));
            assert_eq!(owners.collect::<Vec<_>>(), [&(user, actor)]);
            assert!(!is_page_of(&page.replace(id.as_str(), other.as_str()), user, actor));
        }
    }

    #[test]
    fn limits_are_within_an_equal_or_laxer_policy() {
        let page = |idle, absolute| PageLimits {
            limits: PolicyPatch::new().idle(idle).absolute(absolute),
            handler: 0,
            is_exempt: false,
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
        let token = issue(&Policy::new(), PageLayers::default(), b"1", &signing_key);
        let (_, signature) = token.rsplit_once('.').unwrap();
        assert_eq!(verify(&token, b"2", &signing_key), None, "other policies");
        assert_eq!(verify(&token, b"1", &other), None, "other signing key");
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
            &format!("x.{token}"),
            &token[..token.len() - 1],
            &token.to_uppercase().replace('.', ".."),
        ] {
            assert_eq!(verify(forged, b"1", &signing_key), None, "{forged}");
        }
    }
}
