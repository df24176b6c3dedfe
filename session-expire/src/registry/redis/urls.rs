//! URLs of servers.

use redis::Client;

use super::{error::RedisConnectError, server::servers::is_tls};

pub(super) fn parse(url: &str) -> Result<Client, RedisConnectError> {
    Client::open(url).map_err(|error| RedisConnectError::Url(error.into()))
}

pub(super) fn parse_all(
    urls: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<Vec<Client>, RedisConnectError> {
    urls.into_iter().map(|url| parse(url.as_ref())).collect()
}

/// Checks that clients differ only in their addresses.
pub(super) fn check_same(clients: &[Client]) -> Result<(), RedisConnectError> {
    let settings = |client: &Client| {
        let info = client.get_connection_info();
        let settings = info.redis_settings();
        let [user, password] = [settings.username(), settings.password()];
        (is_tls(info), user.map(str::to_owned), password.map(str::to_owned), settings.db())
    };
    let mut all = clients.iter().map(settings);
    let first = all.next();
    match all.all(|other| first.as_ref() == Some(&other)) {
        true => Ok(()),
        false => Err(RedisConnectError::MixedUrls),
    }
}
