//! Public session id on the span of a request.
//!
//! The log lines of the application then contain it.

use tracing::{Span, field, level_filters::LevelFilter};

use crate::session::key::PublicId;

/// Field of the current span that receives the public session id.
const FIELD: &str = "session_id";

/// Records the public session id on the current span, if the span declares the field.
pub(crate) fn record_session_id(id: PublicId) {
    // Without a subscriber, this costs one atomic load.
    if LevelFilter::current() != LevelFilter::OFF {
        Span::current().record(FIELD, field::display(id));
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use std::{
        fmt::Debug,
        sync::{Arc, Mutex},
    };

    use actix_web::{
        App, HttpResponse,
        dev::Service,
        http::Method,
        test::{TestRequest, call_service, init_service},
        web,
    };
    use tracing::{Instrument, Subscriber, field::Visit, span};
    use tracing_subscriber::{
        Layer, Registry,
        layer::{Context, SubscriberExt},
    };

    use super::*;
    use crate::{Policy, SessionExpire, SessionHandle};

    /// Collects the values that are recorded on spans.
    #[derive(Clone, Default)]
    struct Records(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Records {
        fn on_record(&self, _: &span::Id, values: &span::Record<'_>, _: Context<'_, S>) {
            values.record(&mut self.clone());
        }
    }

    impl Visit for Records {
        fn record_debug(&mut self, field: &field::Field, value: &dyn Debug) {
            self.0.lock().unwrap().push(format!("{}={value:?}", field.name()));
        }
    }

    async fn login(session: SessionHandle) -> HttpResponse {
        let id = session.sign_in("alice").await.unwrap();
        HttpResponse::Ok().insert_header(("x-id", id.to_string())).finish()
    }

    /// Returns what a login and a page of its session record on a span that has `session_id` only
    /// if `declares_field` is set.
    async fn recorded(declares_field: bool) -> (String, Vec<String>) {
        let records = Records::default();
        let subscriber = Registry::default().with(records.clone());
        let _guard = tracing::subscriber::set_default(subscriber);
        let expire = SessionExpire::builder(Policy::new()).plain_http(true).build().unwrap();
        let app = App::new().route("/", web::post().to(login)).wrap(expire);
        let app = init_service(app.wrap_fn(move |req, service| {
            let span = match declares_field {
                true => tracing::info_span!("request", session_id = field::Empty),
                false => tracing::info_span!("request", user_id = field::Empty),
            };
            span.in_scope(|| service.call(req)).instrument(span)
        }))
        .await;
        let request = TestRequest::with_uri("/").method(Method::POST).to_request();
        let response = call_service(&app, request).await;
        let id = response.headers().get("x-id").unwrap().to_str().unwrap().to_owned();
        let cookie = response.response().cookies().next().unwrap().into_owned();
        call_service(&app, TestRequest::with_uri("/").cookie(cookie).to_request()).await;
        let values = records.0.lock().unwrap().clone();
        (id, values)
    }

    #[actix_web::test]
    async fn session_id_is_recorded_at_login_and_on_later_requests() {
        let (id, values) = recorded(true).await;
        assert_eq!(values, [format!("session_id={id}"), format!("session_id={id}")]);
    }

    #[actix_web::test]
    async fn span_without_the_field_records_nothing() {
        assert_eq!(recorded(false).await.1, [""; 0]);
    }
}
