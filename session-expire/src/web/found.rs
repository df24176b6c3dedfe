//! Who is asking, by the session and the registry.

use std::sync::Arc;

use actix_identity::IdentityExt;
use actix_web::HttpRequest;

use super::{
    advice,
    ledger::{Ledger, Signed},
    registered::{Registered, prepare},
    setup::Setup,
};
use crate::{
    error::{RegistryError, StackError},
    event::Event,
    facts::Facts,
    policy::{Policy, PolicyPatch},
    registry::{Loaded, LoginOutcome, key::RecordKey, login::NewLogin, record::SessionRecord},
    time::Timestamp,
};

/// What the session and the registry say about who is asking.
pub(crate) enum Found {
    Nobody,
    /// A key that no living or dead login has.
    Unknown,
    /// The record, and how many the user has that are open.
    Login(RecordKey, Arc<SessionRecord>, u32),
    /// The registry could not be asked, perhaps about this key.
    Unreachable(Option<RecordKey>),
}

impl Found {
    /// What there is to judge; `None` while that cannot be asked.
    pub(crate) fn facts(&self) -> Option<Facts> {
        match self {
            Self::Nobody => Some(Facts::Nobody),
            Self::Unknown => Some(Facts::Unknown),
            Self::Login(_, record, _) => Some(record.facts()),
            Self::Unreachable(_) => None,
        }
    }

    pub(crate) fn login(&self) -> Option<(RecordKey, &SessionRecord)> {
        match self {
            Self::Login(key, record, _) => Some((*key, record)),
            _ => None,
        }
    }

    /// How many sessions the user has open.
    pub(crate) fn open(&self) -> usize {
        match self {
            Self::Login(.., open) => usize::try_from(*open).unwrap_or(usize::MAX),
            _ => 0,
        }
    }

    /// What was chosen at this login.
    pub(crate) fn choice(&self) -> Option<&PolicyPatch> {
        self.login()?.1.choice.as_deref()
    }

    /// `policy` with what the user of this login has of their own on top.
    pub(crate) fn topped(&self, policy: &Arc<Policy>) -> Arc<Policy> {
        match self {
            Self::Login(_, record, _) => match &record.patch {
                Some(patch) => Arc::new(patch.over(policy)),
                None => Arc::clone(policy),
            },
            _ => Arc::clone(policy),
        }
    }
}

pub(crate) async fn find(
    setup: &Arc<Setup>,
    ledger: &Ledger,
    req: &HttpRequest,
    now: Timestamp,
) -> Result<Found, StackError> {
    let Some(key) = ledger.signed() else {
        return match req.get_identity() {
            Ok(_) => Err(StackError::IdentityKey),
            Err(_) => Ok(Found::Nobody),
        };
    };
    Ok(match key {
        Signed::With(key) => load(setup, ledger, key).await,
        Signed::Missing if setup.adopt_until.is_some_and(|end| now < end) => {
            adopt(setup, ledger, req, now).await
        }
        Signed::Missing | Signed::Garbage => unknown(),
    })
}

async fn load(setup: &Setup, ledger: &Ledger, key: RecordKey) -> Found {
    match setup.registry.load(key).await {
        Ok(Some(Loaded { record, open })) if ledger.is_user(&record.user) == Some(true) => {
            Found::Login(key, record, open)
        }
        Ok(_) => unknown(),
        Err(error) => {
            setup.registry_failed(&error);
            Found::Unreachable(Some(key))
        }
    }
}

fn unknown() -> Found {
    advice::notice_unknown();
    Found::Unknown
}

/// A session from before this middleware was installed counts as a login that happens now.
async fn adopt(setup: &Arc<Setup>, ledger: &Ledger, req: &HttpRequest, now: Timestamp) -> Found {
    let Some(user) = ledger.user() else { return Found::Unknown };
    match register(setup, user, req, now).await {
        Ok((key, LoginOutcome::Committed { record, ended })) if ledger.set_key(key).is_ok() => {
            setup.tell_ended(&ended);
            setup.tell(&Event::LoggedIn { user: &record.user, id: record.id });
            Found::Login(key, Arc::new(record), 1)
        }
        Ok(_) => Found::Unknown,
        Err(error) => {
            setup.registry_failed(&error);
            Found::Unreachable(None)
        }
    }
}

async fn register(
    setup: &Arc<Setup>,
    user: String,
    req: &HttpRequest,
    now: Timestamp,
) -> Result<(RecordKey, LoginOutcome), RegistryError> {
    let login = prepare(setup, user, &setup.policy, PolicyPatch::new(), req).await?;
    // Not a moment later than the request, which would see a login from the future.
    let login = NewLogin { at: now, ..login };
    let (key, mut registered) = (login.key, Registered::new(setup, &login));
    let admission = setup.registry.login(login).await?;
    registered.keep();
    Ok((key, admission))
}
