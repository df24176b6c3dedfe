//! Site on which users confirm sessions with a passkey. `passkeys.rs` has the code of the guide.
//!
//! `cargo run` starts it and prints its address. With `--test-clock`, only the test moves the
//! clock: it writes a number of seconds to standard input, and the clock advances by that number.

mod pages;
mod passkeys;

use std::{env, error::Error, io, net::TcpListener, thread, time::Duration};

use actix_web::{
    App, HttpServer,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::ErrorForbidden,
    middleware::{DefaultHeaders, Next, from_fn},
    web,
};
use session_expire::{
    Policy, SessionExpire, clock::ManualClock, error::ConfigError, hours, minutes,
    request::is_cross_site,
};
use webauthn_rs::prelude::Url;

use crate::passkeys::Passkeys;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    // Browsers offer passkeys on https and on localhost, but not on http://127.0.0.1.
    let origin = format!("http://localhost:{}", listener.local_addr()?.port());
    let passkeys = web::Data::new(Passkeys::new("localhost", &Url::parse(&origin)?)?);
    let expire = expire()?;
    let app = move || {
        App::new()
            .app_data(web::Data::clone(&passkeys))
            .configure(pages::configure)
            .configure(passkeys::configure)
            .service(expire.endpoints())
            .wrap(from_fn(refuse_cross_site))
            .wrap(expire.clone())
            .wrap(DefaultHeaders::new().add(("content-security-policy", "default-src 'self'")))
    };
    // With actix-web's default of 5 seconds, a busy machine breaks connections of a test.
    let server = HttpServer::new(app)
        .workers(2)
        .keep_alive(minutes(5))
        .client_request_timeout(minutes(5))
        .listen(listener)?
        .run();
    println!("listening on {origin}");
    Ok(server.await?)
}

fn expire() -> Result<SessionExpire, ConfigError> {
    let policy = Policy::new().idle(hours(1)).absolute(hours(12));
    let builder = SessionExpire::builder(policy).plain_http(true);
    if env::args().all(|argument| argument != "--test-clock") {
        return builder.build();
    }
    let clock = ManualClock::default();
    let builder = builder.clock(clock.clone());
    thread::spawn(move || advance(&clock));
    builder.build()
}

/// Advances the clock by the seconds on each line of standard input, and acknowledges each.
fn advance(clock: &ManualClock) {
    for line in io::stdin().lines().map_while(Result::ok) {
        let Ok(seconds) = line.trim().parse() else { continue };
        clock.advance(Duration::from_secs(seconds));
        println!("advanced {seconds}");
    }
}

/// Middleware that responds with 403 to unsafe requests from other origins. Otherwise, another site
/// could use up the attempts of a user.
async fn refuse_cross_site(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> actix_web::Result<ServiceResponse<BoxBody>> {
    if !req.method().is_safe() && is_cross_site(req.request()) {
        return Err(ErrorForbidden("request from another site"));
    }
    Ok(next.call(req).await?.map_into_boxed_body())
}
