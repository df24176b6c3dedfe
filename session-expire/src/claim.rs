//! Page token: the limits under which a page was rendered, signed, so that no client can claim laxer
//! ones.

use std::time::Duration;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::{
    limit::Limit,
    policy::{Policy, PolicyPatch},
    registry::key::{PublicId, SigningKey, to_hex},
};

/// Returns the limits of `policy`, signed with the signing key of the session.
///
/// Only the registry has the key: a client cannot sign a laxer policy, and a token of one session is
/// void for another. Each process that shares the registry accepts it, also after a restart.
pub(crate) fn issue(policy: &Policy, digest: &[u8], seal: &SigningKey) -> String {
    let limits = format!(
        "{}.{}.{}",
        millis(policy.idle),
        millis(policy.absolute),
        policy.warning().map_or_else(|| "-".to_owned(), |warn| warn.as_millis().to_string()),
    );
    let signature = signature(&limits, digest, seal).finalize().into_bytes();
    format!("{limits}.{}", to_hex(&signature))
}

/// Returns the limits in `claim`; `None` unless it was issued for this session.
pub(crate) fn redeem(claim: &str, digest: &[u8], seal: &SigningKey) -> Option<PolicyPatch> {
    let (limits, signed) = claim.rsplit_once('.')?;
    let signed = hex(signed)?;
    signature(limits, digest, seal).verify_slice(&signed).ok()?;
    let mut fields = limits.split('.').map(limit);
    let patch = PolicyPatch::new().idle(fields.next()??).absolute(fields.next()??);
    Some(patch.warn(fields.next()??))
}

/// Returns the session that a page is made for, with a hash of its user.
///
/// The hash is no secret: it can be compared with the hash of a known name.
pub(crate) fn made_for(id: PublicId, user: &str) -> String {
    let digest = Sha256::new().chain_update(id.as_str()).chain_update(user).finalize();
    format!("{id}.{}", to_hex(&digest[..8]))
}

/// Returns `true` if a page that was [made for](made_for) this session was made for `user`.
pub(crate) fn is_made_for(page: &str, user: &str) -> bool {
    let id = page.split('.').next().and_then(PublicId::parse);
    id.is_some_and(|id| made_for(id, user) == page)
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

fn signature(limits: &str, digest: &[u8], seal: &SigningKey) -> Hmac<Sha256> {
    // HMAC takes keys of any length; the empty one it falls back to would sign nothing we accept,
    // because every seal has 16 bytes.
    let mut mac = Hmac::<Sha256>::new_from_slice(seal.bytes())
        .unwrap_or_else(|_| Hmac::new(&Default::default()));
    mac.update(digest);
    mac.update(limits.as_bytes());
    mac
}

fn hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let mut bytes = [0; 32];
    if digits.len() != 2 * bytes.len() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{hours, minutes};

    #[test]
    fn a_claim_names_the_limits_it_was_issued_for() {
        let seal = SigningKey::random();
        let policy = Policy::new().idle(hours(1)).absolute(Limit::Off);
        let patch = redeem(&issue(&policy, b"1", &seal), b"1", &seal).unwrap();
        let expected = PolicyPatch::new().idle(hours(1)).absolute(Limit::Off).warn(minutes(2));
        assert_eq!(patch, expected);
    }

    #[test]
    fn forged_claim_is_refused() {
        let (seal, other) = (SigningKey::random(), SigningKey::random());
        let claim = issue(&Policy::new(), b"1", &seal);
        let (_, signature) = claim.rsplit_once('.').unwrap();
        assert_eq!(redeem(&claim, b"2", &seal), None, "other policies");
        assert_eq!(redeem(&claim, b"1", &other), None);
        for forged in [
            "",
            ".",
            "-.-.-",
            "-.-.-.",
            "...",
            "ä",
            &format!("-.-.-.{signature}"),
            &format!("-.-.-.{}", "0".repeat(64)),
            &format!("{claim}0"),
            &claim[1..],
            &claim[..claim.len() - 1],
            &claim.to_uppercase().replace('.', ".."),
        ] {
            assert_eq!(redeem(forged, b"1", &seal), None, "{forged}");
        }
    }
}
