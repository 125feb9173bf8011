//! A consumer of the revocation feed of Keywheel. It knows no HTTP: bring the client that you have.

use std::collections::HashMap;

use serde::Deserialize;

/// The sessions that have ended, as far as it was read.
#[derive(Debug, Default)]
pub(crate) struct Revocations {
    /// Until when each of them matters, in seconds since 1970.
    ended: HashMap<String, i64>,
    not_before: i64,
    since: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    ttl: i64,
    #[serde(default)]
    not_before: i64,
    revoked: Vec<Entry>,
    next: String,
    more: bool,
}

#[derive(Deserialize)]
struct Entry {
    sid: String,
    at: i64,
}

impl Revocations {
    /// Where to send the next GET, about twice a second.
    pub(crate) fn url(&self, issuer: &str) -> String {
        let since = self.since.as_ref().map(|since| format!("?since={since}")).unwrap_or_default();
        format!("{issuer}/.well-known/keywheel/revocations{since}")
    }

    /// Takes over the body of a 200 (a 304 has none); `true` when there is more to be read at once. Any other status leaves
    /// what is known as it is: it does not mean that nobody was signed out.
    pub(crate) fn learn(&mut self, body: &[u8], now: i64) -> Result<bool, serde_json::Error> {
        let page: Page = serde_json::from_slice(body)?;
        self.ended.retain(|_, until| *until >= now);
        self.ended.extend(page.revoked.into_iter().map(|entry| (entry.sid, entry.at + page.ttl)));
        self.not_before = self.not_before.max(page.not_before);
        self.since = Some(page.next);
        Ok(page.more)
    }

    /// Whether a verified access token is of a session that has ended.
    pub(crate) fn cover(&self, sid: &str, iat: i64) -> bool {
        self.ended.contains_key(sid) || iat < self.not_before
    }
}
