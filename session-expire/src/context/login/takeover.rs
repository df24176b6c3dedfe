//! Continuation of a login that the session limit has refused.
//!
//! A ticket proves on the next page that the user has authenticated. It is spent in the operation
//! that ends the chosen session and commits the login.

use actix_web::HttpRequest;

use super::{super::RequestContext, pending::LoginGuard};
use crate::{
    cookies::takeover_offer::TakeoverOffer,
    error::RegistryError,
    session::{
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

/// Source of the error of an offer that cannot be stored.
#[derive(Debug, thiserror::Error)]
#[error("login policy cannot be stored in a cookie")]
struct NotStorable;

impl RequestContext {
    /// Stores a ticket for a login of `user`, and offers the login in the anonymous cookie.
    pub(crate) async fn issue_ticket(
        &self,
        user: &str,
        options: SignInOptions,
    ) -> Result<TicketSecret, RegistryError> {
        let config = self.config();
        // The stamp is that of the credential which was just checked. If it changes before the
        // ticket is spent, the ticket is void.
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
        config.registry.issue_ticket(LoginTicket::new(user, now, until).with_key(key)).await?;
        *self.login_page.takeover.borrow_mut() = Some(stored);
        self.update_intent(|intent| intent.offers_takeover = true);
        Ok(ticket)
    }

    /// Returns the login that the anonymous cookie offers, and the key of `ticket`. The registry
    /// checks whether the ticket is unspent.
    pub(crate) fn offered_login(&self, ticket: &str) -> Option<(TakeoverOffer, RecordKey)> {
        let ticket = TicketSecret::parse(ticket)?;
        let offer = self.cookies.anonymous.takeover.as_ref()?.read(self.config().now())?;
        let key = offer.ticket_key(&ticket)?;
        Some((offer, key))
    }

    /// Returns `true` if the credential of the offered login is still current, as far as the
    /// builder's callback says.
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
