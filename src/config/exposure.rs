//! Settings that would let others in: refused where no good use is known, mentioned where there is one.

use std::net::{IpAddr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};
use url::{Host, Url};

use super::{Config, ConfigError};

/// The widest private networks: 10.0.0.0/8, and `fc00::/7` (RFC 1918, RFC 4193).
const WIDEST: (u8, u8) = (8, 7);

impl Config {
    /// What an operator should know, and may want: one sentence each, the key first.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let exposed = is_exposed(self.listen);
        let mut warnings = Vec::new();
        let mut warn = |when: bool, text: &str| {
            if when {
                warnings.push(text.to_owned());
            }
        };
        warn(
            exposed && is_loopback(self.public_url.host()),
            "public_url: is this machine, although `listen` lets others in; set it to the URL that clients use, for it is \
             the issuer of tokens",
        );
        warn(
            self.allow_http && clear_text(self).is_some(),
            "allow_http: passwords and tokens travel in clear text, and browsers keep no `Secure` cookie; only behind a \
             network you trust",
        );
        warn(
            self.mail.is_clear_text(),
            "mail.smtp_url: letters travel to the mail server in clear text, links to set a password among them; only within a \
             network you trust",
        );
        warn(
            self.bridge.is_some(),
            "bridge: whoever has a token of the other system is signed in; only for as long as people move",
        );
        warn(
            !self.limits.enabled,
            "limits.enabled: nobody is slowed down who guesses passwords; only for tests",
        );
        warn(
            !self.registration.domains.is_empty() && !self.registration.require_verification,
            "registration.domains: anybody can write down an address of these domains; set require_verification",
        );
        warn(
            self.graphql.explorer,
            "graphql.explorer: everybody is shown the explorer; only for development",
        );
        warn(
            self.graphql.introspection,
            "graphql.introspection: everybody may query the schema; only for development",
        );
        warnings
    }
}

/// Whether other machines can reach an address.
#[must_use]
pub fn is_exposed(listen: SocketAddr) -> bool {
    !listen.ip().to_canonical().is_loopback()
}

/// Refuses URLs over which passwords and tokens would travel in clear text.
pub(super) fn check_clear_text(config: &Config) -> Result<(), ConfigError> {
    match clear_text(config) {
        Some(key) if !config.allow_http => {
            let why = "http sends passwords and tokens in clear text; use https, with a proxy that terminates TLS, or set \
                       allow_http = true behind a network you trust";
            Err(ConfigError::invalid(key, &why))
        }
        _ => Ok(()),
    }
}

/// The setting that names an `http` URL of another machine.
fn clear_text(config: &Config) -> Option<&'static str> {
    let is_clear = |url: &Url| url.scheme() == "http" && !is_loopback(url.host());
    if is_clear(&config.public_url) {
        return Some("public_url");
    }
    if config.allowed_origins.iter().any(is_clear) {
        return Some("allowed_origins");
    }
    let links = config.mail.links().into_iter();
    links.filter(|(_, link)| link.url().as_ref().is_some_and(is_clear)).map(|(key, _)| key).next()
}

/// Whether a host is this machine.
pub(super) fn is_loopback<S: AsRef<str>>(host: Option<Host<S>>) -> bool {
    match host {
        Some(Host::Domain(name)) => name.as_ref() == "localhost" || name.as_ref().ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).to_canonical().is_loopback(),
        None => false,
    }
}

/// Networks whose `X-Forwarded-For` is believed. Who believes everybody lets each client choose its own address.
pub(super) fn proxies(texts: &[String]) -> Result<Vec<IpNet>, ConfigError> {
    let networks = texts.iter().map(|text| network(text)).collect::<Result<Vec<_>, _>>()?;
    // Neighbours together: two halves are a whole.
    let too_wide = IpNet::aggregate(&networks).iter().any(|network| match network {
        IpNet::V4(network) => network.prefix_len() < WIDEST.0,
        IpNet::V6(network) => network.prefix_len() < WIDEST.1,
    });
    if too_wide {
        let why = "a network this wide holds clients too, who could claim any address then; name the proxies, such as \
                   10.0.0.0/8 or 192.0.2.1";
        return Err(ConfigError::invalid("trusted_proxies", &why));
    }
    Ok(networks)
}

fn network(text: &str) -> Result<IpNet, ConfigError> {
    let single = || text.parse::<IpAddr>().map(IpNet::from).ok();
    text.parse().ok().or_else(single).map(canonical).ok_or_else(|| {
        ConfigError::invalid("trusted_proxies", &"must be addresses or networks such as 10.0.0.0/8")
    })
}

/// IPv4 addresses that are written as IPv6 are compared as IPv4.
fn canonical(network: IpNet) -> IpNet {
    if let IpNet::V6(mapped) = network
        && let Some(address) = mapped.addr().to_ipv4_mapped()
        && let Some(prefix) = mapped.prefix_len().checked_sub(96)
        && let Ok(network) = Ipv4Net::new(address, prefix)
    {
        return network.into();
    }
    network
}
