//! Redis servers of the flag `--registry`: one server, a Cluster, or servers behind Sentinels.

use std::{fmt, fs, path::Path, str::FromStr};

use session_expire::{
    RedisRegistry,
    registry::{
        RedisConnectError,
        redis_rs::{
            Client, ConnectionAddr, TlsCertificates, TlsMode,
            sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
        },
    },
};

use crate::{error::SiteError, settings::Settings};

/// Password that is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl FromStr for Password {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

/// Options of a connection that are not in the URL.
pub(crate) struct RedisOptions<'a> {
    ca: Option<&'a Path>,
    sentinel_password: Option<&'a Password>,
}

impl<'a> From<&'a Settings> for RedisOptions<'a> {
    fn from(settings: &'a Settings) -> Self {
        let sentinel_password = settings.redis_sentinel_password.as_ref();
        Self { ca: settings.redis_ca.as_deref(), sentinel_password }
    }
}

impl RedisOptions<'_> {
    /// Connects to the servers at `url`. Their certificates must be valid under the root
    /// certificates of the options, or else under those of the operating system.
    pub(crate) async fn connect(&self, url: &str) -> Result<RedisRegistry, SiteError> {
        match url.split_once("://").map(|(scheme, _)| scheme) {
            Some("redis+cluster" | "rediss+cluster") => self.connect_to_cluster(url).await,
            Some("redis+sentinel" | "rediss+sentinel") => self.connect_to_sentinels(url).await,
            _ => Ok(RedisRegistry::from_client(self.client(url)?).await?),
        }
    }

    async fn connect_to_cluster(&self, url: &str) -> Result<RedisRegistry, SiteError> {
        let nodes = Servers::parse(url).ok_or(SiteError::ClusterUrl)?;
        let nodes: Vec<_> = nodes.urls(nodes.user, nodes.path).collect();
        // Checked here, because an error of the registry would not name the flag `--redis-ca`.
        nodes.iter().try_for_each(|node| self.client(node).map(drop))?;
        let registry = match self.ca {
            Some(path) => {
                let certificates = read_certificates(path)?;
                RedisRegistry::cluster_with_certificates(nodes, certificates).await
            }
            None => RedisRegistry::cluster(nodes).await,
        };
        Ok(registry?)
    }

    async fn connect_to_sentinels(&self, url: &str) -> Result<RedisRegistry, SiteError> {
        let servers = Servers::parse(url).ok_or(SiteError::SentinelUrl)?;
        let (name, database) = servers.path.split_once('/').unwrap_or((servers.path, ""));
        if name.is_empty() {
            return Err(SiteError::SentinelUrl);
        }
        let urls: Vec<_> = servers.urls(servers.user, database).collect();
        if self.ca.is_none() && self.sentinel_password.is_none() {
            // Its errors name the addresses.
            return Ok(RedisRegistry::sentinel(name, urls).await?);
        }
        let sentinels = urls.iter().map(|url| self.sentinel(name, url));
        let sentinels = sentinels.collect::<Result<Vec<_>, _>>()?;
        Ok(RedisRegistry::from_sentinel(name, sentinels).await?)
    }

    /// Returns a client of one Sentinel. `url` has its address, and the settings of the servers.
    fn sentinel(&self, name: &str, url: &str) -> Result<SentinelClient, SiteError> {
        let client = self.client(url)?;
        let (address, settings) =
            (client.get_connection_info().addr(), client.get_connection_info().redis_settings());
        let kind = SentinelServerType::Master;
        let mut builder = SentinelClientBuilder::new([address.clone()], name, kind)
            .map_err(url_error)?
            .set_client_to_redis_db(settings.db());
        if let Some(user) = settings.username() {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = settings.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        if let Some(Password(password)) = self.sentinel_password {
            builder = builder.set_client_to_sentinel_password(password);
        }
        if matches!(address, ConnectionAddr::TcpTls { .. }) {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
        }
        // The certificates for the Sentinel itself are part of the address.
        if let Some(path) = self.ca {
            builder = builder.set_client_to_redis_certificates(read_certificates(path)?);
        }
        builder.build().map_err(url_error)
    }

    fn client(&self, url: &str) -> Result<Client, SiteError> {
        let client = Client::open(url).map_err(url_error)?;
        let Some(path) = self.ca else { return Ok(client) };
        let info = client.get_connection_info().clone();
        Client::build_with_tls(info, read_certificates(path)?)
            .map_err(|error| unusable(path, error))
    }
}

fn read_certificates(path: &Path) -> Result<TlsCertificates, SiteError> {
    let root_cert = Some(fs::read(path).map_err(|error| unusable(path, error))?);
    Ok(TlsCertificates { client_tls: None, root_cert })
}

fn unusable(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> SiteError {
    SiteError::RedisCa { path: path.to_owned(), source: error.into() }
}

fn url_error(error: impl std::error::Error + Send + Sync + 'static) -> SiteError {
    RedisConnectError::Url(error.into()).into()
}

/// Parts of a URL with several addresses.
#[derive(Debug, PartialEq)]
struct Servers<'a> {
    /// `redis` or `rediss`.
    scheme: &'a str,
    /// User and password, such as `name:password@`; empty if the URL has none.
    user: &'a str,
    addresses: Vec<&'a str>,
    /// Text after the addresses, without the slash.
    path: &'a str,
}

impl<'a> Servers<'a> {
    /// Parses a URL such as `redis+cluster://USER:PASSWORD@HOST:PORT,HOST:PORT/PATH`.
    fn parse(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once('+')?;
        let (_, rest) = rest.split_once("://")?;
        let (user, rest) = rest.split_at(rest.rfind('@').map_or(0, |at| at + 1));
        let (addresses, path) = rest.split_once('/').unwrap_or((rest, ""));
        let addresses: Vec<_> = addresses.split(',').collect();
        let is_complete = addresses.iter().all(|address| !address.is_empty());
        is_complete.then_some(Self { scheme, user, addresses, path })
    }

    /// Returns the URL of each server.
    fn urls(&self, user: &str, path: &str) -> impl Iterator<Item = String> {
        let url = move |address| format!("{}://{user}{address}/{path}", self.scheme);
        self.addresses.iter().map(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_with_several_addresses_is_split() {
        let parse = |url| {
            let servers: Servers<'_> = Servers::parse(url)?;
            Some(servers.urls(servers.user, servers.path).collect::<Vec<_>>())
        };
        for (url, expected) in [
            ("redis+cluster://a:1", &["redis://a:1/"][..]),
            ("rediss+cluster://u:p@a:1,b/", &["rediss://u:p@a:1/", "rediss://u:p@b/"]),
            ("redis+sentinel://u:p@a:1,b/n/3", &["redis://u:p@a:1/n/3", "redis://u:p@b/n/3"]),
            ("redis+cluster://[::1]:1,[::2]:1", &["redis://[::1]:1/", "redis://[::2]:1/"]),
            ("redis+sentinel://u:p@s@a/n", &["redis://u:p@s@a/n"]),
        ] {
            assert_eq!(parse(url).unwrap(), expected, "{url}");
        }
        for url in ["redis+cluster://", "redis+cluster://a,,b", "redis+cluster:a", "redis://a"] {
            assert_eq!(parse(url), None, "{url}");
        }
    }

    #[test]
    fn password_is_left_out_of_debug_text() {
        assert_eq!(format!("{:?}", Password("s3cret".to_owned())), "Password(…)");
    }
}
