//! Address and device of a client.

use std::{net::IpAddr, sync::Arc};

/// Address and device of a client.
///
/// ```
/// use session_expire::{registry::Client, request::device_name};
/// let client = Client::new("203.0.113.9".parse().ok(), device_name("curl/8.5.0"));
/// assert_eq!(&*client.device, "curl");
/// assert_eq!(Client::default().ip, None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Client {
    /// Address, if it is known.
    pub ip: Option<IpAddr>,
    /// Device in words, such as `Firefox on Linux`; empty if it is not known.
    pub device: Arc<str>,
}

impl Client {
    /// Returns a client with this address and this device.
    pub fn new(ip: Option<IpAddr>, device: impl Into<Arc<str>>) -> Self {
        Self { ip, device: device.into() }
    }
}
