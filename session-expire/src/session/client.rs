//! Address and device of a client.
//!
//! The middleware derives both from the request; a record stores them for a sessions page.

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
    /// IP address; `None` if it is not known.
    pub ip: Option<IpAddr>,
    /// Device name, such as `Firefox on Linux`; empty if it is not known.
    pub device: Arc<str>,
}

impl Client {
    /// Returns a client with this address and this device.
    pub fn new(ip: Option<IpAddr>, device: impl Into<Arc<str>>) -> Self {
        Self { ip, device: device.into() }
    }
}
