//! Reasons with which streams end when their session ends.

use actix_web::{HttpResponse, web};
use session_expire::{
    Overflow, Policy, PublicId, Reason, SessionHandle,
    clock::Timestamp,
    live::StreamEnd,
    minutes,
    registry::{EndSessions, EndTarget, Ended},
    sign_in::SignInOptions,
};
use session_expire_tests::{Site, Watched, block_on, watch_session};

use super::{builder, end_all, routes, settle, site, wait_until};

#[test]
fn sign_out_in_another_tab_ends_the_stream() {
    let site = site();
    let alice = site.signed_in("alice");
    let stream = alice.watch("/watch");
    alice.copy().post("/sign-out", "");
    assert_eq!(stream.reason(), "logged_out");
}

#[test]
fn eviction_by_a_login_ends_the_stream() {
    let policy = Policy::new().idle(minutes(10)).max_sessions(1).overflow(Overflow::Evict);
    let site = builder().policy(policy).start();
    let stream = site.signed_in("alice").watch("/watch");
    site.browser().sign_in("alice");
    assert_eq!(stream.reason(), "evicted");
}

#[test]
fn end_by_an_administrator_has_a_reason_and_a_cause() {
    let site = site();
    let alice = site.signed_in("alice");
    let (stream, id) = (alice.watch("/watch"), alice.get("/id").body);
    let sessions = site.expire.sessions().with_cause("administrator");
    assert!(block_on(sessions.end("alice", id.parse::<PublicId>().unwrap())).unwrap());
    let cause = Some("administrator".into());
    assert_eq!(stream.wait(), StreamEnd::Ended { reason: Reason::Revoked, cause });
}

#[test]
fn end_of_all_sessions_ends_the_streams() {
    let site = site();
    let streams = [(); 2].map(|()| site.signed_in("alice").watch("/watch"));
    end_all(&site, "alice");
    assert_eq!(streams.map(Watched::reason), ["revoked"; 2]);
}

#[test]
fn end_of_everyone_ends_the_streams() {
    let site = site();
    let streams = ["alice", "bob"].map(|user| site.signed_in(user).watch("/watch"));
    block_on(site.expire.sessions().end_everyone()).unwrap();
    assert_eq!(streams.map(Watched::reason), ["revoked"; 2]);
}

#[test]
fn erasure_ends_the_stream_without_a_reason() {
    let site = site();
    let stream = site.signed_in("alice").watch("/watch");
    block_on(site.expire.sessions().erase("alice")).unwrap();
    assert_eq!(stream.reason(), "unknown");
}

#[test]
fn key_rotation_ends_streams_of_the_former_key() {
    let site = site();
    for path in ["/renew", "/confirm"] {
        let alice = site.signed_in("alice");
        let stream = alice.watch("/watch");
        assert_eq!(alice.post(path, "alice").cookies().len(), 1, "{path}");
        assert_eq!(stream.reason(), "renewed", "{path}");
        assert!(alice.watch("/watch").is_open(), "{path}");
    }
}

#[test]
fn changed_stamp_ends_the_stream() {
    async fn sign_in(session: SessionHandle) -> actix_web::Result<&'static str> {
        let options = SignInOptions::new().stamp("first");
        session.sign_in_with("alice", options).await?;
        Ok("signed in")
    }
    async fn require(session: SessionHandle) -> actix_web::Result<&'static str> {
        session.require_stamp("second").await?;
        Ok("current")
    }
    let routes = |cfg: &mut web::ServiceConfig| {
        routes(cfg);
        cfg.route("/stamped", web::post().to(sign_in)).route("/require", web::get().to(require));
    };
    let site = Site::builder().routes(routes).start();
    let alice = site.browser();
    alice.post("/stamped", "");
    let stream = alice.watch("/watch");
    assert_eq!(alice.copy().fetch("/require").status, 401);
    assert_eq!(stream.reason(), "revoked");
}

#[test]
fn login_of_another_user_ends_the_stream() {
    let site = site();
    let browser = site.signed_in("alice");
    let stream = browser.watch("/watch");
    browser.sign_in("bob");
    assert_eq!(stream.reason(), "logged_out");
}

#[test]
fn shutdown_ends_all_streams_and_refuses_new_ones() {
    let site = site();
    let alice = site.signed_in("alice");
    let stream = alice.watch("/watch");
    site.expire.close_streams();
    assert_eq!(stream.wait(), StreamEnd::ShuttingDown);
    assert_eq!(alice.watch("/watch").wait(), StreamEnd::ShuttingDown);
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn end_of_another_session_ends_no_stream() {
    let site = site();
    let mut alice = site.signed_in("alice").watch("/watch");
    let other = site.signed_in("alice");
    let (same_user, other_user) = (other.watch("/watch"), site.signed_in("bob").watch("/watch"));
    other.post("/sign-out", "");
    end_all(&site, "bob");
    assert_eq!((same_user.reason(), other_user.reason()), ("logged_out", "revoked"));
    settle(&site);
    assert!(alice.is_open());
}

#[test]
fn stream_without_an_active_session_ends_at_once() {
    let site = site();
    assert_eq!(site.browser().watch("/watch").reason(), "unknown");
    let expired = site.signed_in("alice");
    site.advance(minutes(10));
    assert_eq!(expired.watch("/watch").reason(), "idle");
    let ended = site.signed_in("alice");
    let sessions = site.expire.sessions().with_cause("password_changed");
    block_on(sessions.end_all("alice")).unwrap();
    let cause = Some("password_changed".into());
    let end = StreamEnd::Ended { reason: Reason::Revoked, cause };
    assert_eq!(ended.watch("/watch").wait(), end);
    let alice = site.signed_in("alice");
    site.registry.set_down(true);
    assert_eq!(alice.watch("/watch").wait(), StreamEnd::Unavailable);
}

#[test]
fn stream_of_a_login_in_the_same_request_ends_at_once() {
    async fn sign_in(session: SessionHandle, number: web::Path<u64>) -> HttpResponse {
        session.sign_in("alice").await.unwrap();
        watch_session(session, number).await
    }
    let routes = |cfg: &mut web::ServiceConfig| {
        cfg.route("/sign-in/{number}", web::get().to(sign_in));
    };
    let site = Site::builder().routes(routes).start();
    assert_eq!(site.browser().watch("/sign-in").reason(), "unknown");
}

#[test]
fn sign_out_in_the_same_request_ends_the_stream() {
    async fn before(session: SessionHandle, number: web::Path<u64>) -> HttpResponse {
        session.sign_out();
        watch_session(session, number).await
    }
    async fn after(
        (watched, signed_out): (SessionHandle, SessionHandle),
        number: web::Path<u64>,
    ) -> HttpResponse {
        let response = watch_session(watched, number).await;
        signed_out.sign_out();
        response
    }
    let routes = |cfg: &mut web::ServiceConfig| {
        cfg.route("/before/{number}", web::get().to(before))
            .route("/after/{number}", web::get().to(after));
    };
    let site = Site::builder().routes(routes).start();
    for path in ["/before", "/after"] {
        assert_eq!(site.signed_in("alice").watch(path).reason(), "logged_out", "{path}");
    }
}

/// The registry reports the end before the stream is open.
#[test]
fn end_between_load_and_open_ends_the_stream() {
    let site = site();
    let _is_subscribed = site.signed_in("bob").watch("/watch");
    for is_silent in [false, true] {
        let alice = site.signed_in("alice");
        settle(&site);
        site.registry.set_silent(is_silent);
        site.registry.after_next("load", |registry| {
            let ended = Ended::new(Reason::Evicted, Timestamp::from_millis(0));
            let end = EndSessions::new(EndTarget::All("alice".into()), ended);
            assert_eq!(registry.end(end).try_ready().unwrap().unwrap().len(), 1);
        });
        assert_eq!(alice.watch("/watch").reason(), "evicted", "{is_silent}");
    }
}

#[test]
fn dropped_streams_leave_nothing() {
    async fn watch_often(session: SessionHandle) -> HttpResponse {
        drop((0..1_000).map(|_| session.ended()).collect::<Vec<_>>());
        HttpResponse::Ok().finish()
    }
    let routes = |cfg: &mut web::ServiceConfig| {
        routes(cfg);
        cfg.route("/often", web::get().to(watch_often));
    };
    let site = Site::builder().routes(routes).start();
    let alice = site.signed_in("alice");
    let stream = alice.watch("/watch");
    wait_until("a subscription", || site.registry.subscriptions() == 1);
    assert_eq!(alice.get("/often").status, 200);
    drop(stream);
    let stream = alice.watch("/watch");
    settle(&site);
    assert_eq!(site.registry.subscriptions(), 1);
    end_all(&site, "alice");
    assert_eq!(stream.reason(), "revoked");
}

#[test]
fn stream_ends_with_its_application() {
    let site = site();
    let stream = site.signed_in("alice").watch("/watch");
    drop(site);
    assert_eq!(stream.wait(), StreamEnd::ShuttingDown);
}
