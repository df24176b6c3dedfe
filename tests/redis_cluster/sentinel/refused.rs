//! Mistakes that prevent a start.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use session_expire::{
    RedisRegistry,
    registry::{RedisConnectError, redis_rs::TlsCertificates},
};
use session_expire_tests::{Authority, RedisServer, SentinelTrio, find_free_port};

use super::MARGIN;

const NAME: &str = SentinelTrio::NAME;

async fn refused(name: &str, urls: &[String]) -> (RedisConnectError, Duration) {
    let began = Instant::now();
    (RedisRegistry::sentinel(name, urls).await.unwrap_err(), began.elapsed())
}

#[tokio::test]
async fn unknown_name_is_refused_at_once() {
    let trio = SentinelTrio::start();
    let (error, took) = refused("session", &trio.urls()).await;
    assert!(matches!(error, RedisConnectError::UnknownName { .. }), "{error:?}");
    assert!(took < Duration::from_secs(1) + MARGIN / 5, "{took:?}");
    assert!(error.to_string().contains("/session "), "{error}");
}

#[tokio::test]
async fn server_that_is_no_sentinel_is_refused_at_once() {
    let server = RedisServer::start();
    let (error, took) = refused(NAME, &[server.url()]).await;
    assert!(matches!(error, RedisConnectError::NotASentinel { .. }), "{error:?}");
    assert!(took < Duration::from_secs(1) + MARGIN / 5, "{took:?}");
}

#[tokio::test]
async fn sentinel_given_to_connect_is_refused() {
    let trio = SentinelTrio::start();
    let error = RedisRegistry::connect(&trio.urls()[0]).await.unwrap_err();
    assert!(matches!(error, RedisConnectError::Sentinel { .. }), "{error:?}");
}

#[tokio::test]
async fn missing_sentinels_are_named() {
    let urls = [find_free_port(), find_free_port()].map(|port| format!("redis://127.0.0.1:{port}"));
    let (error, _) = refused(NAME, &urls).await;
    assert!(matches!(error, RedisConnectError::Sentinels { .. }), "{error:?}");
    let source = error.source().unwrap().to_string();
    assert!(source.contains("no Sentinel responds"), "{source}");
    let (error, _) = refused(NAME, &[]).await;
    assert_eq!(error.to_string(), "the list of Sentinels is empty");
}

#[tokio::test]
async fn silent_sentinels_are_named() {
    let mut trio = SentinelTrio::start();
    (0..3).for_each(|n| trio.pause_sentinel(n));
    let (error, _) = refused(NAME, &trio.urls()).await;
    assert!(matches!(error, RedisConnectError::Sentinels { .. }), "{error:?}");
}

#[tokio::test]
async fn wrong_passwords_are_refused_at_once() {
    let trio = SentinelTrio::with_passwords();
    let began = Instant::now();
    // The Sentinels have a password that these URLs do not name.
    let error = RedisRegistry::sentinel(NAME, trio.urls()).await.unwrap_err();
    assert!(matches!(error, RedisConnectError::Sentinels { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("password@"), "{error:?}");
    let wrong = trio.clients_with(":s3cret@", "site:site-password@", None);
    let error = RedisRegistry::from_sentinel(NAME, wrong).await.unwrap_err();
    assert!(matches!(error, RedisConnectError::Sentinels { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    let wrong = trio.clients_with(":sentinel-password@", "site:s3cret@", None);
    let error = RedisRegistry::from_sentinel(NAME, wrong).await.unwrap_err();
    assert!(matches!(error, RedisConnectError::Server { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(3) + MARGIN / 5, "{:?}", began.elapsed());
}

#[tokio::test]
async fn certificate_of_another_authority_is_refused_at_once() {
    let trio = SentinelTrio::with_tls();
    let root_cert = Some(Authority::new().pem());
    let certificates = TlsCertificates { client_tls: None, root_cert };
    let other = trio.clients_with("", "", Some(&certificates));
    let began = Instant::now();
    let errors = [
        RedisRegistry::from_sentinel(NAME, other).await.unwrap_err(),
        // The root certificates of the operating system do not include the authority.
        RedisRegistry::sentinel(NAME, trio.urls()).await.unwrap_err(),
    ];
    assert!(began.elapsed() < Duration::from_secs(3) + MARGIN / 5, "{:?}", began.elapsed());
    for error in &errors {
        let source = error.source().unwrap().to_string();
        assert!(source.contains("invalid peer certificate"), "{error:?}");
    }
    assert!(matches!(errors[0], RedisConnectError::Sentinels { .. }), "{:?}", errors[0]);
}

#[tokio::test]
async fn database_of_the_servers_is_selected() {
    let trio = SentinelTrio::start();
    let urls: Vec<_> = trio.urls().iter().map(|url| format!("{url}3")).collect();
    let registry = RedisRegistry::sentinel(NAME, urls).await.unwrap();
    super::sign_in(&registry).await;
    let keyspace: String = trio.server(trio.primary()).command(&["INFO", "keyspace"]);
    assert!(keyspace.contains("db3:keys"), "{keyspace}");
    assert!(format!("{registry:?}").contains("redis+sentinel://127.0.0.1:"), "{registry:?}");
}

#[tokio::test]
async fn expired_certificates_are_refused() {
    let trio = SentinelTrio::with_tls();
    let certificates = trio.certificates().unwrap();
    certificates.expire();
    let reload = certificates.reload();
    let reload: Vec<_> = reload.iter().map(String::as_str).collect();
    let _: String = trio.server(trio.primary()).command(&reload);
    let error = RedisRegistry::from_sentinel(NAME, trio.clients()).await.unwrap_err();
    assert!(matches!(error, RedisConnectError::Server { .. }), "{error:?}");
    assert!(error.source().unwrap().to_string().to_lowercase().contains("expired"), "{error:?}");
}
