//! The sessions that were ended of late, for services that verify access tokens by themselves: a token of one of these is
//! good for nothing any more, whatever its signature says.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use super::{Auth, error::Fault, events::Ended};
use crate::{
    crypto::sha256,
    domain::ids::{EventId, SessionId},
};

/// For how long an end is remembered beyond the life of an access token: a service may allow for clocks that differ, and a
/// token may be on its way while its session ends.
pub const LEEWAY: std::time::Duration = std::time::Duration::from_mins(1);
/// So far back a reader is told again what they know. The ends of sessions are not committed in the order of their names: one
/// that the tail finds late, even after it saw nothing for a while, must not lie behind the reader.
const AGAIN: std::time::Duration = std::time::Duration::from_mins(1);
/// Sessions of one answer.
const PAGE: usize = 1000;

/// Which sessions were ended: a document, and a tag that changes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocations {
    /// The document.
    pub json: String,
    /// Quoted, as HTTP wants it (RFC 9110 §8.8.3).
    pub etag: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    issuer: &'a str,
    /// Seconds for which an entry matters, from its time on.
    ttl: u64,
    /// Tokens that were issued before are to be refused, whatever their session.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<i64>,
    revoked: Vec<Entry>,
    /// Where to go on.
    next: String,
    /// There are more already.
    more: bool,
}

#[derive(Serialize)]
struct Entry {
    /// Written out with the rest: whoever reads what has ended is in the way of those who add to it.
    #[serde(serialize_with = "as_text")]
    sid: SessionId,
    at: i64,
}

fn as_text<S: Serializer>(id: &SessionId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// The sessions that were ended and may have living access tokens: from where the last answer left off, or all of them.
/// As it was at most a second before.
///
/// # Errors
/// When the database cannot answer. Nobody may take that for an empty list.
pub async fn revocations(auth: &Arc<Auth>, since: Option<EventId>) -> Result<Revocations, Fault> {
    let now = auth.clock().now();
    let (issuer, ttl) = (auth.access_tokens.issuer(), (auth.access_tokens.ttl() + LEEWAY).as_secs());
    let document = auth.events().read_ended(|ended| Document::new(ended, since, now, issuer, ttl)).await?;
    let json = serde_json::to_string(&document).unwrap_or_default();
    let digest = sha256(json.as_bytes());
    let etag = format!("\"{:032x}\"", u128::from_be_bytes(digest[..16].try_into().unwrap_or_default()));
    Ok(Revocations { json, etag })
}

impl<'a> Document<'a> {
    fn new(ended: &Ended, since: Option<EventId>, now: OffsetDateTime, issuer: &'a str, ttl: u64) -> Self {
        let beginning = EventId::first_of(OffsetDateTime::UNIX_EPOCH);
        let mut entries: Vec<_> = ended.after(since.unwrap_or(beginning)).take(PAGE + 1).collect();
        let more = entries.len() > PAGE;
        entries.truncate(PAGE);
        // Not the last one: who goes on there would miss what is committed late. And nothing that moves by itself, or the
        // tag would change with nothing to tell.
        let next = if more { entries.last().map(|(id, ..)| *id) } else { ended.last_before(now - AGAIN) };
        let revoked = entries.iter().map(|(_, session, at)| Entry { sid: *session, at: seconds(*at) });
        Self {
            issuer,
            ttl,
            not_before: ended.unnamed().map(seconds),
            revoked: revoked.collect(),
            next: next.unwrap_or(beginning).to_string(),
            more,
        }
    }
}

/// Rounded up, as the end of a token is: `iat` is rounded down.
fn seconds(time: OffsetDateTime) -> i64 {
    time.unix_timestamp() + i64::from(time.nanosecond() > 0)
}
