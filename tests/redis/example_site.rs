//! Registries of the example site on Redis servers with TLS, and servers that it refuses.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
};

use actix_web::rt::System;
use example_site::{RegistryKind, Settings, Site};
use session_expire_tests::{Authority, Browser, RedisServer};

use crate::tls::{TlsServer, write_file};

const OPEN: &str = "SESSION_EXPIRE_TEST_URL";
const NO_CLIENT_CERTIFICATES: [&str; 2] = ["--tls-auth-clients", "no"];

/// Starts a site. Returns its address, or the error that ends the start.
fn start(url: &str, redis_ca: Option<PathBuf>) -> Result<String, String> {
    let settings =
        Settings { registry: RegistryKind::Redis(url.into()), redis_ca, ..Settings::default() };
    let (sender, started) = mpsc::channel();
    thread::spawn(move || {
        System::new().block_on(async {
            match Site::start(settings).await {
                Ok(site) => {
                    sender.send(Ok(format!("http://{}", site.address))).unwrap();
                    site.server.await.unwrap();
                }
                Err(error) => sender.send(Err(error.to_string())).unwrap(),
            }
        });
    });
    started.recv().unwrap()
}

fn assert_signs_in(address: String) {
    let alice = Browser::new(address);
    let login = alice.post("/login", "username=alice&password=alice");
    assert_eq!((login.redirect(), alice.get("/dashboard").status), ((303, "/dashboard"), 200));
}

#[test]
fn site_signs_in_over_tls_with_user_and_password() {
    let user = ["--user", "site", "on", ">s3cret", "~*", "&*", "+@all"];
    let server = TlsServer::with_options(&[&NO_CLIENT_CERTIFICATES[..], &user].concat());
    let ca = server.files.path().join("ca.pem");
    assert_signs_in(start(&server.url_for("site:s3cret@"), Some(ca)).unwrap());
}

#[test]
fn certificates_of_the_environment_are_trusted() {
    let server = TlsServer::with_options(&NO_CLIENT_CERTIFICATES);
    let run = |ca: &str| {
        let child = "example_site::site_in_an_environment_signs_in";
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", child, "--ignored"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.env("SSL_CERT_FILE", server.files.path().join(ca));
        command.env(OPEN, server.url_for("")).status().unwrap().success()
    };
    write_file(&server.files.path().join("other.pem"), &Authority::new().pem());
    assert!(run("ca.pem"));
    assert!(!run("other.pem"));
}

#[test]
#[ignore = "a process of certificates_of_the_environment_are_trusted"]
fn site_in_an_environment_signs_in() {
    let Ok(url) = env::var(OPEN) else { return };
    assert_signs_in(start(&url, None).unwrap());
}

#[test]
fn refused_server_ends_the_start_with_words() {
    let server = TlsServer::with_options(
        &[&NO_CLIENT_CERTIFICATES[..], &["--requirepass", "s3cret"]].concat(),
    );
    let cluster = RedisServer::with_options(&["--cluster-enabled", "yes"]);
    let file = |name: &str| Some(server.files.path().join(name));
    write_file(&server.files.path().join("other.pem"), &Authority::new().pem());
    write_file(&server.files.path().join("broken.pem"), b"-----BEGIN CERTIFICATE-----\n");
    let (right, plain) = (server.url_for(":s3cret@"), cluster.url().replace("//", "//:s3cret@"));
    for (url, ca, words) in [
        (cluster.url(), None, "is in cluster mode"),
        (right.clone(), None, "invalid peer certificate"),
        (right.clone(), file("other.pem"), "invalid peer certificate"),
        (server.url_for(":s3cret-no@"), file("ca.pem"), "check the user, the password"),
        (server.url_for(""), file("ca.pem"), "Authentication required"),
        (right.clone(), file("missing.pem"), "cannot use the certificates in"),
        (right.clone(), file("broken.pem"), "cannot use the certificates in"),
        (plain, file("ca.pem"), "cannot use the certificates in"),
        (right.replace("rediss", "redi"), None, "invalid Redis URL"),
        (format!("{right}x"), file("ca.pem"), "invalid Redis URL"),
    ] {
        let error = start(&url, ca).unwrap_err();
        assert!(error.contains(words), "{url}: {error}");
        assert!(error.contains("(flag --"), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}
