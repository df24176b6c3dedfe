//! Continuation of a login that the session limit has refused.
//!
//! On the next page, a ticket proves that the user has authenticated. The operation that ends the
//! chosen session and commits the login also spends the ticket.

use actix_web::HttpRequest;

use super::{super::RequestContext, pending::LoginGuard};
use crate::{
    cookies::{
        anonymous::AnonymousState,
        takeover_offer::{StoredOffer, TakeoverOffer},
    },
    error::RegistryError,
    session::{
        data::DataTooLarge,
        ended::Ended,
        key::{PublicId, RecordKey},
        login::options::SignInOptions,
        login::ticket::{LoginTicket, Takeover, TicketSecret},
        reason::Reason,
    },
    time::minutes,
};

/// Lifetime of a ticket.
const VALID_FOR: std::time::Duration = minutes(5);

/// Error source if an offer cannot be stored.
#[derive(Debug, thiserror::Error)]
#[error("login policy cannot be stored in a cookie")]
struct NotStorable;

impl RequestContext {
    /// Stores a ticket for a login of `user`, and offers the login in the anonymous cookie. Returns
    /// `None` if the cookie has no room for the offer.
    pub(crate) async fn issue_ticket(
        &self,
        user: &str,
        options: SignInOptions,
    ) -> Result<Option<TicketSecret>, RegistryError> {
        let config = self.config();
        // The application has just checked the credential of this stamp. If the credential changes
        // before the ticket is spent, the ticket is void.
        let stamp = match options.security_stamp() {
            None => config.current_stamp(user).await?,
            stamp => stamp,
        };
        let (now, ticket) = (config.now(), TicketSecret::random());
        let until = now.plus(VALID_FOR);
        let offer = TakeoverOffer::new(user, &options.with_stamp(stamp), until);
        let (Some(key), Some(stored)) = (offer.ticket_key(&ticket), offer.store()) else {
            return Err(RegistryError::new("issue a ticket", NotStorable));
        };
        if !self.has_room_for(&stored) {
            return Ok(None);
        }
        config.registry.issue_ticket(LoginTicket::new(user, now, until).with_key(key)).await?;
        *self.login_page.takeover.borrow_mut() = Some(stored);
        self.update_intent(|intent| intent.offers_takeover = true);
        Ok(Some(ticket))
    }

    /// Returns `true` if the anonymous cookie can contain `offer` and the entries of the visitor.
    /// Messages do not count, because they can be discarded.
    fn has_room_for(&self, offer: &StoredOffer) -> bool {
        let is_active = self.access().is_active();
        let state = match is_active {
            true => self.cookies.anonymous.clone(),
            false => match self.anonymous_state(true) {
                Ok(state) => state,
                Err(DataTooLarge) => return false,
            },
        };
        let takeover = Some(offer.clone());
        let state = AnonymousState { takeover, messages: vec![], ..state };
        self.config().cookies.has_room_for(state, self.now)
    }

    /// Returns the login that the anonymous cookie offers; `None` without a valid offer.
    pub(crate) fn offered_login(&self) -> Option<TakeoverOffer> {
        self.cookies.anonymous.takeover.as_ref()?.read(self.config().now())
    }

    /// Returns `true` if the credential of the offered login is still current, or if the builder
    /// has no callback to check it.
    pub(crate) async fn is_offer_current(
        &self,
        offer: &TakeoverOffer,
    ) -> Result<bool, RegistryError> {
        if !self.config().checks_stamps() {
            return Ok(true);
        }
        let current = self.config().current_stamp(&offer.user).await?;
        Ok(current.is_some() && current == offer.options().security_stamp())
    }

    /// Prepares the offered login, which ends the session `end` and takes its slot. It reserves no
    /// slot.
    pub(crate) async fn prepare_takeover(
        &self,
        offer: &TakeoverOffer,
        ticket: RecordKey,
        end: PublicId,
        req: &HttpRequest,
    ) -> Result<PublicId, RegistryError> {
        let client = self.config().client(req);
        let mut login = self.new_login(offer.user.clone(), &offer.options(), client).await?;
        let ended = Ended::new(Reason::Revoked, login.at).by(login.client.device.clone());
        login.takeover = Some(Takeover::new(ticket, end, ended));
        let (id, guard) = (login.id, LoginGuard::new(self.config(), login.key));
        self.set_pending_login(login, guard);
        Ok(id)
    }
}
