//! Chat: a page, and a WebSocket that ends with the session.

use actix_web::{HttpResponse, Result, routes, rt, web};
use askama::Template;
use session_expire::{
    FlashMessages, SessionHandle, SessionVars, live::GuardedSocket, session_policy,
};

use super::html;
use crate::{
    layout::Layout,
    room::{MAX_MESSAGE_BYTES, Member, Room},
    users::SignedIn,
};

/// Path of the WebSocket.
pub(crate) const SOCKET: &str = "/chat/socket";

#[derive(Template)]
#[template(path = "chat.html")]
struct Chat {
    user: Option<SignedIn>,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
}

#[routes]
#[get("/chat")]
#[head("/chat")]
pub(super) async fn page(
    user: SignedIn,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
) -> Result<HttpResponse> {
    html(&Chat { user: Some(user), session, messages, layout })
}

/// Opens the WebSocket. The request is passive, because the script reconnects without user
/// activity.
#[session_policy(passive)]
#[routes]
#[get("/chat/socket")]
pub(super) async fn socket(
    user: Option<SignedIn>,
    handle: SessionHandle,
    payload: web::Payload,
    room: web::Data<Room>,
) -> Result<HttpResponse> {
    let GuardedSocket { response, session, messages, .. } = handle.guard_ws(payload)?;
    if let Some(user) = user {
        let messages = messages.max_frame_size(MAX_MESSAGE_BYTES).join_fragments(MAX_MESSAGE_BYTES);
        let (user, end) = (user.account().name, handle.ended());
        let member = Member { user, session, messages, end, waiting: None };
        rt::spawn(Room::clone(&room).host(member));
    }
    Ok(response)
}
