//! Extractors for handlers.
//!
//! Each fails with 500 if the middleware is not mounted.

pub(crate) mod activity;
mod confirm;
pub(crate) mod flash_messages;
#[cfg(feature = "ws")]
pub(crate) mod guard_ws;
mod live;
pub(crate) mod security_stamp;
pub(crate) mod session_handle;
pub(crate) mod session_vars;
pub(crate) mod sign_in;
#[cfg(feature = "ws")]
mod socket_guard;
pub(crate) mod takeover;

#[cfg(test)]
mod tests {
    use actix_web::{FromRequest, test::TestRequest};

    use super::{
        flash_messages::FlashMessages, session_handle::SessionHandle, session_vars::SessionVars,
    };
    use crate::error::SetupError;

    #[actix_web::test]
    async fn extraction_without_middleware_is_setup_error() {
        let req = TestRequest::default().to_http_request();
        for error in [
            SessionVars::extract(&req).await.unwrap_err(),
            FlashMessages::extract(&req).await.unwrap_err(),
            SessionHandle::extract(&req).await.unwrap_err(),
        ] {
            assert_eq!(error.as_error(), Some(&SetupError::NotMounted));
        }
    }
}
