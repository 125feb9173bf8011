//! What one address may do. An IPv6 client has a whole /64, so that is what counts as one address there.

use std::{
    net::IpAddr,
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ipnet::IpNet;
use lru::LruCache;

use super::buckets::Buckets;
use crate::{domain::throttle::Rate, store::throttles::Key};

/// How much an address, and the network around it, may do.
#[derive(Debug, Clone)]
pub struct AddressLimits {
    /// Wrong passwords from one address.
    pub guesses: Rate,
    /// Wrong passwords from one network: /24, or /48 in IPv6.
    pub network_guesses: Rate,
    /// New accounts from one address.
    pub registrations: Rate,
    /// New accounts from one network.
    pub network_registrations: Rate,
    /// Letters that one address asks for.
    pub mail_requests: Rate,
    /// Tokens from one address that are none of ours, or of sessions that are over.
    pub bad_tokens: Rate,
    /// GraphQL requests from one address.
    pub requests: Rate,
}

/// So many different accounts within [`SPRAY_WINDOW`], in milliseconds, are no forgetful person.
const SPRAYED_ACCOUNTS: usize = 10;
const SPRAY_WINDOW: i64 = 10 * 60 * 1000;
/// How much slower an address gets its tokens back that tries one account after another.
const SPRAY_FACTOR: u32 = 10;
const MOST_SPRAYERS: NonZeroUsize = NonZeroUsize::new(50_000).unwrap();

pub(super) struct Addresses {
    limits: AddressLimits,
    guesses: Buckets<IpNet>,
    registrations: Buckets<IpNet>,
    mail_requests: Buckets<IpNet>,
    bad_tokens: Buckets<IpNet>,
    requests: Buckets<IpNet>,
    failures: Mutex<LruCache<IpNet, Failures>>,
}

/// The accounts that an address failed at lately.
struct Failures {
    since: i64,
    accounts: Vec<Key>,
}

impl Addresses {
    pub(super) fn new(limits: AddressLimits) -> Self {
        Self {
            limits,
            guesses: Buckets::default(),
            registrations: Buckets::default(),
            mail_requests: Buckets::default(),
            bad_tokens: Buckets::default(),
            requests: Buckets::default(),
            failures: Mutex::new(LruCache::new(MOST_SPRAYERS)),
        }
    }

    pub(super) fn request(&self, address: IpAddr, now: i64) -> Result<(), Duration> {
        self.requests.take(host(address), &self.limits.requests, now)
    }

    pub(super) fn bad_token(&self, address: IpAddr, now: i64) -> Result<(), Duration> {
        self.bad_tokens.take(host(address), &self.limits.bad_tokens, now)
    }

    pub(super) fn registration(&self, address: IpAddr, now: i64) -> Result<(), Duration> {
        let (one, around) = (&self.limits.registrations, &self.limits.network_registrations);
        both(&self.registrations, address, (one, around), now)
    }

    pub(super) fn mail_request(&self, address: IpAddr, now: i64) -> Result<(), Duration> {
        self.mail_requests.take(host(address), &self.limits.mail_requests, now)
    }

    pub(super) fn guess(&self, address: IpAddr, now: i64) -> Result<(), Duration> {
        let one = self.rate_of_guesses(host(address), now);
        both(&self.guesses, address, (&one, &self.limits.network_guesses), now)
    }

    pub(super) fn put_back_guess(&self, address: IpAddr) {
        self.guesses.put_back(&host(address), &self.limits.guesses);
        self.guesses.put_back(&network(address), &self.limits.network_guesses);
    }

    /// Remembers at which account an address failed.
    pub(super) fn note_failure(&self, address: IpAddr, account: &Key, now: i64) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let lately =
            failures.get_or_insert_mut(host(address), || Failures { since: now, accounts: Vec::new() });
        if now - lately.since >= SPRAY_WINDOW {
            *lately = Failures { since: now, accounts: Vec::new() };
        }
        if lately.accounts.len() < SPRAYED_ACCOUNTS && !lately.accounts.contains(account) {
            lately.accounts.push(*account);
            if lately.accounts.len() == SPRAYED_ACCOUNTS {
                // From now on it is slower; once a window is often enough to say so.
                lately.since = now;
                tracing::warn!(network = %host(address), "one address tries many accounts");
            }
        }
    }

    fn rate_of_guesses(&self, host: IpNet, now: i64) -> Rate {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let sprays = failures.peek(&host).is_some_and(|lately| {
            lately.accounts.len() >= SPRAYED_ACCOUNTS && now - lately.since < SPRAY_WINDOW
        });
        let Rate { burst, refill } = self.limits.guesses;
        // The same time to a full bucket, with fewer tokens in it.
        if sprays {
            Rate { burst: (burst / SPRAY_FACTOR).max(1), refill: refill * SPRAY_FACTOR }
        } else {
            self.limits.guesses
        }
    }
}

/// Takes a token from an address and one from its network, or none from either.
fn both(
    buckets: &Buckets<IpNet>,
    address: IpAddr,
    (one, around): (&Rate, &Rate),
    now: i64,
) -> Result<(), Duration> {
    buckets.take(host(address), one, now)?;
    buckets.take(network(address), around, now).inspect_err(|_| buckets.put_back(&host(address), one))
}

/// What counts as one address.
#[must_use]
pub fn host(address: IpAddr) -> IpNet {
    within(address, 32, 64)
}

fn network(address: IpAddr) -> IpNet {
    within(address, 24, 48)
}

fn within(address: IpAddr, v4: u8, v6: u8) -> IpNet {
    let address = address.to_canonical();
    let length = if address.is_ipv4() { v4 } else { v6 };
    IpNet::new(address, length).map_or(IpNet::from(address), |network| network.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_client_is_a_whole_network_and_an_ipv4_client_one_address() {
        let of = |text: &str| {
            let address = text.parse().unwrap();
            (host(address).to_string(), network(address).to_string())
        };
        assert_eq!(of("203.0.113.9"), ("203.0.113.9/32".to_owned(), "203.0.113.0/24".to_owned()));
        assert_eq!(of("::ffff:203.0.113.9"), of("203.0.113.9"));
        assert_eq!(
            of("2001:db8:1:2:3:4:5:6"),
            ("2001:db8:1:2::/64".to_owned(), "2001:db8:1::/48".to_owned())
        );
    }
}
