//! TLS with certificates of a test authority.

use std::{error::Error, fs, path::Path};

use session_expire::{
    RedisRegistry,
    registry::{
        RedisConnectError,
        redis_rs::{Client, ClientTlsConfig, RedisResult, TlsCertificates},
    },
};
use session_expire_tests::{Authority, RedisServer, find_free_port};
use tempfile::TempDir;

use crate::{is_open, sign_in};

/// A server that requires client certificates by default.
pub struct TlsServer {
    authority: Authority,
    server: RedisServer,
    port: u16,
    /// Contains the certificates of the authority in `ca.pem`.
    pub files: TempDir,
}

impl TlsServer {
    fn start() -> Self {
        Self::with_options(&[])
    }

    pub fn with_options(options: &[&str]) -> Self {
        let (authority, files, port) =
            (Authority::new(), TempDir::new().unwrap(), find_free_port());
        let ClientTlsConfig { client_cert, client_key } = authority.issue();
        let write = |name: &str, pem: &[u8]| write_file(&files.path().join(name), pem);
        let ca = write("ca.pem", &authority.pem());
        let (cert, key) = (write("cert.pem", &client_cert), write("key.pem", &client_key));
        let port_text = port.to_string();
        let tls = [
            "--tls-port",
            &port_text,
            "--tls-ca-cert-file",
            &ca,
            "--tls-cert-file",
            &cert,
            "--tls-key-file",
            &key,
        ];
        let server = RedisServer::with_options(&[&tls, options].concat());
        Self { authority, server, port, files }
    }

    fn url(&self) -> String {
        self.url_for("")
    }

    /// Returns the URL with `user`, such as `name:password@`.
    pub fn url_for(&self, user: &str) -> String {
        format!("rediss://{user}localhost:{}/", self.port)
    }

    fn client(
        &self,
        root: &Authority,
        certificate: Option<ClientTlsConfig>,
    ) -> RedisResult<Client> {
        let certificates = TlsCertificates { client_tls: certificate, root_cert: Some(root.pem()) };
        Client::build_with_tls(self.url(), certificates)
    }
}

pub fn write_file(path: &Path, content: &[u8]) -> String {
    fs::write(path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn client_certificate_and_own_root_are_accepted() {
    let server = TlsServer::start();
    let client = || server.client(&server.authority, Some(server.authority.issue())).unwrap();
    let registry = RedisRegistry::from_client(client()).await.unwrap();
    let caching = RedisRegistry::from_client_caching(client()).await.unwrap();
    assert!(format!("{registry:?}").contains("rediss://localhost:"), "{registry:?}");
    let key = sign_in(&registry).await.key();
    for registry in [&registry, &caching, &server.server.registry().await] {
        assert!(is_open(registry, key).await);
    }
}

#[tokio::test]
async fn connection_without_client_certificate_is_refused() {
    let server = TlsServer::start();
    let client = server.client(&server.authority, None).unwrap();
    let error = RedisRegistry::from_client(client).await.unwrap_err();
    assert!(matches!(error, RedisConnectError::Server { .. }), "{error:?}");
}

#[tokio::test]
async fn server_with_a_certificate_of_another_authority_is_refused() {
    let server = TlsServer::start();
    let client = server.client(&Authority::new(), Some(server.authority.issue())).unwrap();
    let errors = [
        RedisRegistry::from_client(client).await.unwrap_err(),
        // The root certificates of the operating system do not include the authority.
        RedisRegistry::connect(&server.url()).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, RedisConnectError::Server { .. }), "{error:?}");
        let source = error.source().unwrap().to_string();
        assert!(source.contains("invalid peer certificate"), "{source}");
    }
}
