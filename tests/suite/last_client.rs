//! Address and device of the last activity, in addition to those of the login.

use session_expire::{
    minutes,
    registry::{Client, Query, Registry, SessionRecord},
    seconds,
};
use session_expire_tests::{Browser, Site, TestResponse, block_on};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const SAFARI: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 \
                      (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1";
const HOME: &str = "203.0.113.9";
const TRAIN: &str = "198.51.100.7";

fn site() -> Site {
    Site::builder()
        .customise(|builder| builder.trusted_proxies(["127.0.0.1".parse().unwrap()]))
        .start()
}

fn send(browser: &Browser, (method, path): (&str, &str), ip: &str, agent: &str) -> TestResponse {
    let request = browser.request(method, path).header("x-forwarded-for", ip);
    let request = request.header("user-agent", agent);
    let response = match method {
        "POST" => request.form("user=alice&idle_for=0").send(),
        _ => request.send(),
    };
    assert!(response.status < 400, "{response:?}");
    response
}

/// Signs alice in with Firefox at home.
fn at_home(site: &Site) -> Browser {
    let browser = site.browser();
    send(&browser, ("POST", "/login"), HOME, FIREFOX);
    browser
}

fn record(site: &Site) -> SessionRecord {
    block_on(site.registry.list(Query::open("alice"))).unwrap().remove(0)
}

fn last_client(site: &Site) -> Option<Client> {
    record(site).last_client.as_deref().cloned()
}

fn client(ip: &str, device: &str) -> Client {
    Client::new(ip.parse().ok(), device)
}

#[test]
fn activity_elsewhere_is_shown_beside_the_login() {
    let site = site();
    let alice = at_home(&site);
    assert_eq!(last_client(&site), None);
    site.advance(minutes(1));
    send(&alice, ("GET", "/private"), TRAIN, SAFARI);
    let record = record(&site);
    assert_eq!(record.client, client(HOME, "Firefox on Linux"));
    assert_eq!(record.last_client.as_deref(), Some(&client(TRAIN, "Safari on iPhone")));
    site.advance(minutes(1));
    send(&alice, ("GET", "/private"), HOME, FIREFOX);
    assert_eq!(last_client(&site), None, "the client of the login is shown once");
}

#[test]
fn last_client_costs_no_write_of_its_own() {
    let site = site();
    let alice = at_home(&site);
    site.registry.take_operations();
    send(&alice, ("GET", "/private"), TRAIN, SAFARI);
    assert_eq!(site.registry.take_operations(), ["load"], "within the write interval");
    assert_eq!(last_client(&site), None);
    site.registry.take_operations();
    site.advance(seconds(31));
    send(&alice, ("GET", "/private"), TRAIN, SAFARI);
    assert_eq!(site.registry.take_operations(), ["load", "update"]);
}

#[test]
fn passive_request_is_no_last_client() {
    let site = site();
    let alice = at_home(&site);
    site.advance(minutes(1));
    send(&alice, ("GET", "/poll"), TRAIN, SAFARI);
    send(&alice, ("GET", "/session/status"), TRAIN, SAFARI);
    assert_eq!(last_client(&site), None);
}

#[test]
fn keep_alive_is_activity_of_its_client() {
    let site = site();
    let alice = at_home(&site);
    site.advance(minutes(1));
    send(&alice, ("POST", "/session/keep-alive"), TRAIN, SAFARI);
    assert_eq!(last_client(&site), Some(client(TRAIN, "Safari on iPhone")));
}

#[test]
fn history_keeps_the_last_client() {
    let site = site();
    let alice = at_home(&site);
    site.advance(minutes(1));
    send(&alice, ("GET", "/private"), TRAIN, SAFARI);
    send(&alice, ("POST", "/logout"), TRAIN, SAFARI);
    let ended = block_on(site.registry.list(Query::all("alice"))).unwrap().remove(0);
    assert!(ended.ended.is_some());
    assert_eq!(ended.last_client.as_deref(), Some(&client(TRAIN, "Safari on iPhone")));
}
