//! Certificate authority of a test.

use std::{fs, path::PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use session_expire::registry::redis_rs::{ClientTlsConfig, TlsCertificates};
use tempfile::TempDir;

/// Authority that issues certificates for the local host.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// Returns an authority with a new key.
    ///
    /// # Panics
    ///
    /// Panics if no key can be generated.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "each authority has another key")]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Returns the certificate of the authority.
    #[must_use]
    pub fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    /// Returns a certificate for the local host, and its key.
    ///
    /// # Panics
    ///
    /// Panics if no key can be generated.
    #[must_use]
    pub fn issue(&self) -> ClientTlsConfig {
        self.sign(local_host())
    }

    /// Returns a certificate for the local host that expired in 2020, and its key.
    ///
    /// # Panics
    ///
    /// Panics if no key can be generated.
    #[must_use]
    pub fn issue_expired(&self) -> ClientTlsConfig {
        let mut params = local_host();
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> ClientTlsConfig {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        ClientTlsConfig {
            client_cert: certificate.pem().into_bytes(),
            client_key: key.serialize_pem().into_bytes(),
        }
    }
}

fn local_host() -> CertificateParams {
    CertificateParams::new(["localhost", "127.0.0.1"].map(str::to_owned)).unwrap()
}

/// Authority, and files with a certificate for all servers of a test.
pub struct Certificates {
    /// Authority that has issued the certificate.
    pub authority: Authority,
    files: TempDir,
}

impl Certificates {
    /// Issues a certificate.
    ///
    /// # Panics
    ///
    /// Panics if no file can be written.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "each has another authority")]
    pub fn new() -> Self {
        let this = Self { authority: Authority::new(), files: TempDir::new().unwrap() };
        this.write("ca.pem", &this.authority.pem());
        this.write_certificate(&this.authority.issue());
        this
    }

    /// Replaces the certificate with an expired one. Servers read it after
    /// [`reload`](Self::reload).
    pub fn expire(&self) {
        self.write_certificate(&self.authority.issue_expired());
    }

    /// Returns the command that makes a server read the files again.
    #[must_use]
    pub fn reload(&self) -> Vec<String> {
        let options = self.options().into_iter().skip(1);
        let words = options.flat_map(|(key, file)| [key.to_owned(), file]);
        ["CONFIG", "SET"].map(str::to_owned).into_iter().chain(words).collect()
    }

    fn write_certificate(&self, issued: &ClientTlsConfig) {
        self.write("cert.pem", &issued.client_cert);
        self.write("key.pem", &issued.client_key);
    }

    fn write(&self, name: &str, pem: &[u8]) {
        fs::write(self.files.path().join(name), pem).unwrap();
    }

    /// Returns the file with the certificate of the authority.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.files.path().join("ca.pem")
    }

    /// Returns the certificates for a client.
    #[must_use]
    pub fn for_client(&self) -> TlsCertificates {
        TlsCertificates { client_tls: None, root_cert: Some(self.authority.pem()) }
    }

    /// Returns the options that name the files to a server.
    pub(crate) fn options(&self) -> [(&'static str, String); 3] {
        let file = |name| self.files.path().join(name).to_string_lossy().into_owned();
        [
            ("tls-ca-cert-file", file("ca.pem")),
            ("tls-cert-file", file("cert.pem")),
            ("tls-key-file", file("key.pem")),
        ]
    }
}
