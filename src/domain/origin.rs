//! Where a call comes from.

use std::net::IpAddr;

use super::session::Device;

/// Where a call comes from, as far as it is known. Limits count by it, and the audit keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The `User-Agent` header, shortened.
    pub user_agent: Option<String>,
}

impl Origin {
    /// An operator at the command line.
    #[must_use]
    pub fn command_line() -> Self {
        Self { address: None, user_agent: Some("keywheel command line".to_owned()) }
    }

    /// The server, by itself.
    #[must_use]
    pub fn server() -> Self {
        Self { address: None, user_agent: Some("keywheel".to_owned()) }
    }
}

impl From<&Device> for Origin {
    fn from(device: &Device) -> Self {
        Self { address: device.ip, user_agent: device.user_agent.clone() }
    }
}
