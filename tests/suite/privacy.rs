//! Personal data: recorded clients, encrypted session data, erased users.

use std::net::IpAddr;

use actix_session::Session;
use actix_web::{HttpResponse, web};
use session_expire::{
    SessionExpireBuilder, minutes,
    registry::{Query, Registry},
    request::RecordedAddress,
};
use session_expire_tests::{Browser, Site, SiteBuilder, block_on};

async fn renew(session: Session) -> HttpResponse {
    session.renew();
    HttpResponse::Ok().finish()
}

fn sealed() -> SiteBuilder {
    let site = Site::builder().customise(|builder| builder.seal_data(true));
    site.routes(|cfg| {
        cfg.route("/renew", web::post().to(renew));
    })
}

/// Returns the stored data of the only open session.
fn stored_data(site: &Site) -> String {
    let user = block_on(site.registry.list(Query::open("alice"))).unwrap()[0].user.clone();
    let data = block_on(site.registry.export(user)).unwrap().data;
    serde_json::to_string(&data[0].1).unwrap()
}

fn visits(browser: &Browser) -> String {
    browser.get("/visits").body
}

#[test]
fn sealed_data_is_readable_in_the_session_only() {
    let site = sealed().start();
    let alice = site.browser();
    assert_eq!(visits(&alice), "1");
    alice.sign_in("alice");
    assert_eq!((visits(&alice), visits(&alice)), ("2".to_owned(), "3".to_owned()));
    alice.post("/push", "Saved in secret.");
    let stored = stored_data(&site);
    assert!(stored.contains("visits") && !stored.contains("secret"), "{stored}");
    assert!(!stored.contains("\"3\"") && !stored.contains(",3]"), "{stored}");
    assert!(alice.read_messages().contains("Saved in secret."));
    assert_eq!(alice.read_messages(), "");
    assert_eq!(visits(&alice), "4");
}

#[test]
fn sealed_data_survives_a_renewal() {
    let site = sealed().start();
    let alice = site.signed_in("alice");
    assert_eq!(visits(&alice), "1");
    let before = alice.cookie();
    assert_eq!(alice.post("/renew", "").status, 200);
    assert_ne!(alice.cookie(), before);
    assert_eq!((visits(&alice), visits(&alice)), ("2".to_owned(), "3".to_owned()));
    let stored = stored_data(&site);
    assert_eq!(stored.matches("key:").count(), 1, "{stored}");
}

#[test]
fn sealing_can_be_switched_on_and_off_while_users_are_signed_in() {
    let plain = Site::start();
    let alice = plain.signed_in("alice");
    assert_eq!(visits(&alice), "1");
    let on = sealed().registry(plain.registry.clone()).start();
    let alice = alice.moved_to(&on);
    assert_eq!(visits(&alice), "2");
    let bob = on.signed_in("bob");
    assert_eq!(visits(&bob), "1");
    let off = Site::builder().registry(plain.registry.clone()).start();
    let (alice, bob) = (alice.moved_to(&off), bob.moved_to(&off));
    assert_eq!((visits(&alice), visits(&bob)), ("3".to_owned(), "2".to_owned()));
}

#[test]
fn address_and_device_are_recorded_as_configured() {
    for (address, records_device, expected) in [
        (RecordedAddress::Whole, true, Some([127, 0, 0, 1])),
        (RecordedAddress::Network, true, Some([127, 0, 0, 0])),
        (RecordedAddress::None, false, None),
    ] {
        let customise = move |builder: SessionExpireBuilder| {
            builder.record_address(address).record_device(records_device)
        };
        let site = Site::builder().customise(customise).start();
        let alice = site.browser();
        let login = alice.request("POST", "/login").header("user-agent", "curl/8.5.0");
        login.form("user=alice").send();
        site.advance(minutes(5));
        alice.get("/private");
        let record = block_on(site.registry.list(Query::open("alice"))).unwrap().remove(0);
        let clients = record.last_client.iter().map(|client| client.ip);
        let addresses: Vec<_> = clients.chain([record.client.ip]).collect();
        let expected = expected.map(IpAddr::from);
        assert!(addresses.iter().all(|ip| *ip == expected), "{address:?}: {addresses:?}");
        assert_eq!(record.client.device.is_empty(), !records_device, "{address:?}");
    }
}

#[test]
fn erased_user_is_signed_out_and_has_no_history() {
    let site = Site::start();
    let (alice, other, bob) = (site.signed_in("alice"), site.browser(), site.signed_in("bob"));
    other.sign_in("alice");
    other.post("/logout", "");
    assert_eq!(block_on(site.registry.erase("alice".into())).unwrap(), 2);
    assert_eq!(alice.user_at("/private"), None);
    assert_eq!(bob.user_at("/private").as_deref(), Some("bob"));
    assert_eq!(block_on(site.registry.list(Query::all("alice"))).unwrap(), []);
}

async fn fill(session: Session, size: web::Path<usize>) -> HttpResponse {
    session.insert("cart", "x".repeat(*size)).unwrap();
    HttpResponse::Ok().finish()
}

#[test]
fn message_that_does_not_fit_beside_sealed_data_is_discarded() {
    let site = sealed().routes(|cfg| {
        cfg.route("/fill/{size}", web::post().to(fill));
    });
    let site = site.start();
    let alice = site.signed_in("alice");
    assert_eq!(alice.post("/fill/48800", "").status, 200);
    assert_eq!(alice.post("/push", &"m".repeat(400)).status, 303);
    assert_eq!(alice.read_messages(), "");
}
