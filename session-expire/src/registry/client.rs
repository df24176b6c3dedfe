//! Address and device of a client.

use std::{net::IpAddr, sync::Arc};

/// Address and device of a client.
///
/// ```
/// use session_expire::{Client, device_name};
/// let client = Client { ip: "203.0.113.9".parse().ok(), device: device_name("curl/8.5.0").into() };
/// assert_eq!(&*client.device, "curl");
/// assert_eq!(Client::default().ip, None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Client {
    /// Address, if it is known.
    pub ip: Option<IpAddr>,
    /// Device in words, such as `Firefox on Linux`; empty if it is not known.
    pub device: Arc<str>,
}
