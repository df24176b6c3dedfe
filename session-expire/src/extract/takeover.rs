//! Continuation of a refused login: "sign out there and continue here".
//!
//! The page between the two requests contains a one-time ticket instead of the password.

use std::fmt;

use super::{session_handle::SessionHandle, sign_in::SignInError};
use crate::{
    event::Event,
    session::{key::PublicId, login::options::SignInOptions, login::ticket::TicketSecret},
};

/// One-time ticket for a refused login, as the value of a hidden form field.
///
/// It is valid for 5 minutes, in the browser to which it was issued. `Display` writes the text: 22
/// letters and digits. `Debug` does not show it.
#[derive(Clone)]
pub struct TakeoverTicket(TicketSecret);

impl fmt::Display for TakeoverTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl fmt::Debug for TakeoverTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TakeoverTicket(…)")
    }
}

impl SessionHandle {
    /// Issues a ticket with which `user` can continue a login that the session limit has refused.
    /// On the next page, the user selects a session to end.
    ///
    /// Call it after the application has checked the credentials. `user` and `options` are those of
    /// the refused [`sign_in_with`](Self::sign_in_with). The response must show a form with the
    /// ticket in a hidden field, and the active sessions as choices. Show their devices and times,
    /// but no addresses, because the user has not signed in yet. The form's handler calls
    /// [`sign_in_taking_over`](Self::sign_in_taking_over).
    ///
    /// The response also sets the anonymous cookie, which binds the ticket to this browser. The
    /// cookie contains the user and the options, encrypted. If the request later writes entries
    /// that leave no room for the offer, the offer is discarded, and a warning
    /// (`sys_offer_too_large`) is logged.
    ///
    /// A user has at most 16 tickets; the first to expire becomes void.
    ///
    /// # Errors
    ///
    /// - [`SignInError::OfferTooLarge`] if the anonymous cookie has no room for the offer, because
    ///   of the visitor's entries or a long login policy. No ticket is issued.
    /// - [`SignInError::Registry`] if the registry is unavailable.
    /// - [`SignInError::InvalidActor`] if the actor is empty, or is `user`.
    /// - [`SignInError::ResponseSent`] if the response was already sent.
    /// - [`SignInError::AfterSignOut`] if the user signed out in the same request.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the registry may have stored a ticket that no page contains.
    ///
    /// ```
    /// use actix_web::{HttpResponse, web};
    /// use serde::Deserialize;
    /// use session_expire::{PublicId, SessionHandle, SignInError, sign_in::SignInOptions};
    ///
    /// async fn login(session: SessionHandle) -> Result<HttpResponse, SignInError> {
    ///     let (user, options) = ("alice", SignInOptions::new()); // the password was checked
    ///     match session.sign_in_with(user, options.clone()).await {
    ///         Ok(_) => Ok(HttpResponse::SeeOther().insert_header(("location", "/")).finish()),
    ///         Err(SignInError::Refused { active, .. }) => {
    ///             let ticket = session.takeover_ticket(user, options).await?;
    ///             let choices = active.iter().map(|record| {
    ///                 let (id, device) = (record.id, &record.client.device);
    ///                 format!("<label><input type=radio name=end value={id}>{device}</label>")
    ///             });
    ///             let page = format!(
    ///                 "<form method=post action=/continue><input type=hidden name=ticket \
    ///                  value={ticket}>{}<button>Sign out there and continue here</button></form>",
    ///                 choices.collect::<String>()
    ///             );
    ///             Ok(HttpResponse::Conflict().content_type("text/html").body(page))
    ///         }
    ///         Err(error) => Err(error),
    ///     }
    /// }
    ///
    /// #[derive(Deserialize)]
    /// struct Choice {
    ///     ticket: String,
    ///     end: PublicId,
    /// }
    ///
    /// async fn continue_here(
    ///     form: web::Form<Choice>,
    ///     session: SessionHandle,
    /// ) -> Result<web::Redirect, SignInError> {
    ///     session.sign_in_taking_over(&form.ticket, form.end).await?;
    ///     Ok(web::Redirect::to("/").see_other())
    /// }
    /// # let _ = (web::resource("/login").to(login), web::resource("/").to(continue_here));
    /// ```
    pub async fn takeover_ticket(
        &self,
        user: impl Into<String>,
        options: impl Into<SignInOptions>,
    ) -> Result<TakeoverTicket, SignInError> {
        let (user, options) = (user.into(), options.into());
        self.check_sign_in(&user, &options)?;
        let ticket = self.context.issue_ticket(&user, options).await;
        let ticket = ticket.inspect_err(|error| self.context.config().emit_failure(error))?;
        ticket.map(TakeoverTicket).ok_or(SignInError::OfferTooLarge)
    }

    /// Signs in the user to whom `ticket` was issued. The session `end` of that user ends, and the
    /// login takes its slot.
    ///
    /// The login takes effect with the response. One operation of the registry spends the ticket,
    /// ends the session as revoked, and signs the user in. No other login can take the slot in
    /// between. If the chosen session has already ended, the login only needs a free slot.
    ///
    /// If the operation fails, a problem replaces the response of the handler. It is a 409 if the
    /// ticket was spent, or if the session limit still refuses the login. It is a 503 if the
    /// registry is unavailable. Nothing changes, unless the response of the registry was lost.
    ///
    /// A session of another user in this browser ends after the login. If that fails, the failure
    /// is logged, and the login continues. The browser no longer has the key of that session.
    ///
    /// Each login in this browser voids the browser's tickets.
    /// [`end_others`](crate::Sessions::end_others) and [`end_all`](crate::Sessions::end_all) void
    /// all tickets of the user.
    ///
    /// # Errors
    ///
    /// - [`SignInError::TicketInvalid`] if the ticket has expired or was not issued to this
    ///   browser.
    /// - [`SignInError::Registry`], [`Session`](SignInError::Session),
    ///   [`AfterSignOut`](SignInError::AfterSignOut) and
    ///   [`ResponseSent`](SignInError::ResponseSent) as for [`sign_in`](Self::sign_in).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no session changes.
    pub async fn sign_in_taking_over(
        &self,
        ticket: &str,
        end: PublicId,
    ) -> Result<PublicId, SignInError> {
        let context = &self.context;
        let Some(offer) = context.offered_login() else { return Err(self.refuse_ticket(None)) };
        // The registry checks whether the ticket is unspent.
        let ticket = TicketSecret::parse(ticket).and_then(|ticket| offer.ticket_key(&ticket));
        let Some(key) = ticket else { return Err(self.refuse_ticket(Some(&offer.user))) };
        self.check_sign_in(&offer.user, &offer.options())?;
        let is_current = context.is_offer_current(&offer).await;
        if !is_current.inspect_err(|error| context.config().emit_failure(error))? {
            return Err(self.refuse_ticket(Some(&offer.user)));
        }
        let prepared = context.prepare_takeover(&offer, key, end, &self.req).await;
        let id = prepared.inspect_err(|error| context.config().emit_failure(error))?;
        self.write_user(offer.user).await.map(|()| id)
    }

    fn refuse_ticket(&self, user: Option<&str>) -> SignInError {
        let config = self.context.config();
        let requester = config.client(&self.req);
        config.emit(&Event::ticket_refused(user).with_requester(&requester));
        SignInError::TicketInvalid
    }
}
