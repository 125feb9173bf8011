//! Sessions: one signed-in device or app, and the life of one refresh token through all its rotations.

use std::{net::IpAddr, time::Duration};

use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{
    ids::{SessionId, UserId},
    rotation::Chain,
    user::User,
};

/// A session as it is stored: one row for its whole life.
#[derive(Debug)]
pub struct Session {
    /// The id, public.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// What its refresh tokens are derived from; gone once the session has ended, so that no later write of this server can revive it.
    pub nonce: Option<Nonce>,
    /// Which server secret its tokens are derived from.
    pub slot: u8,
    /// The slot of the token before the current one; `None` until there is one.
    pub previous_slot: Option<u8>,
    /// Where its refresh token stands.
    pub chain: Chain,
    /// The user's epoch at sign-in; another epoch means that all sessions from before are over.
    pub auth_epoch: i64,
    /// How its refresh token travels.
    pub delivery: Delivery,
    /// Thumbprint of the key that it is bound to, if it is sender-constrained (RFC 9449 §6.1).
    pub jkt: Option<[u8; 32]>,
    /// When the user last proved who they are.
    pub auth_time: OffsetDateTime,
    /// When it began.
    pub created_at: OffsetDateTime,
    /// When it ends, however busy it is.
    pub absolute_expires_at: OffsetDateTime,
    /// When it was last rotated, or began.
    pub last_used_at: OffsetDateTime,
    /// What it was started from.
    pub device: Device,
    /// Set once it was ended before its time.
    pub ended: Option<Ended>,
}

/// What a refusal of a session rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It can be used.
    Live,
    /// It was ended, one by one or with all others of its epoch.
    Revoked,
    /// It was idle for too long, or reached its absolute limit.
    Expired,
    /// Its user may not sign in.
    OwnerBlocked,
}

impl Session {
    /// Whether the session can be used at `now` by `owner`.
    #[must_use]
    pub fn standing(&self, owner: &User, now: OffsetDateTime, idle_timeout: Duration) -> Standing {
        if owner.blocked() {
            Standing::OwnerBlocked
        } else if self.ended.is_some() || self.nonce.is_none() || self.auth_epoch != owner.auth_epoch {
            Standing::Revoked
        } else if self.ends_at(idle_timeout) <= now {
            Standing::Expired
        } else {
            Standing::Live
        }
    }

    /// When it ends unless it is refreshed.
    #[must_use]
    pub fn ends_at(&self, idle_timeout: Duration) -> OffsetDateTime {
        let idle_timeout = idle_timeout.try_into().unwrap_or(time::Duration::MAX);
        self.absolute_expires_at.min(self.last_used_at.saturating_add(idle_timeout))
    }
}

/// 32 random bytes, made at sign-in. Worth protecting, though useless without the server secret.
pub struct Nonce(Zeroizing<[u8; 32]>);

impl Nonce {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for Nonce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nonce(…)")
    }
}

/// How the refresh token of a session travels; fixed at sign-in.
///
/// A cookie session never gets its token in a body: a script injected into the page could otherwise ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// In an `HttpOnly` cookie.
    Cookie,
    /// In the payload.
    Body,
}

/// What a session was started from, for the person who reads the list of their sessions.
#[derive(Debug, Clone)]
pub struct Device {
    /// Given by the client, else derived from the user agent.
    pub name: String,
    /// The `User-Agent` header, shortened.
    pub user_agent: Option<String>,
    /// The client's address at sign-in.
    pub ip: Option<IpAddr>,
}

const MAX_NAME_CHARS: usize = 64;
const MAX_USER_AGENT_CHARS: usize = 256;

impl Device {
    /// Describes a device by what its client says. Nothing here is checked or trusted; it is shortened and
    /// freed of control characters.
    #[must_use]
    pub fn described(name: Option<&str>, user_agent: Option<&str>, ip: Option<IpAddr>) -> Self {
        let user_agent = user_agent.map(|text| printable(text, MAX_USER_AGENT_CHARS));
        let given = name.map(|text| printable(text, MAX_NAME_CHARS)).filter(|name| !name.is_empty());
        let name = given.unwrap_or_else(|| derived_name(user_agent.as_deref().unwrap_or_default()));
        Self { name, user_agent, ip }
    }
}

fn printable(text: &str, max_chars: usize) -> String {
    let clean: String = text.chars().filter(|c| !is_invisible(*c)).take(max_chars).collect();
    clean.trim().to_owned()
}

/// Control characters, and those that have no width or turn the direction of the text: a name made of them could pass
/// for another. The joiner that emoji are made with stays.
pub(super) fn is_invisible(c: char) -> bool {
    const ZERO_WIDTH_JOINER: char = '\u{200d}';
    let formatting =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    c.is_control() || formatting && c != ZERO_WIDTH_JOINER
}

/// Order matters: most browsers also claim to be the ones before them in history.
fn derived_name(user_agent: &str) -> String {
    const PROGRAMS: [(&str, &str); 9] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("okhttp", "Android app"),
        ("CFNetwork", "Apple app"),
        ("curl/", "curl"),
        ("node", "Node.js"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let find = |known: &[(&str, &'static str)]| {
        known.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    match (find(&PROGRAMS), find(&SYSTEMS)) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "Unknown device".to_owned(),
    }
}

/// A session that was ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: OffsetDateTime,
    /// Why.
    pub reason: EndReason,
}

/// Why a session was ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The client signed out.
    Logout,
    /// The user ended it from a list of sessions.
    RevokedByUser,
    /// An administrator ended it.
    RevokedByAdmin,
    /// The user's password was changed.
    PasswordChanged,
    /// The user's password was reset by mail.
    PasswordReset,
    /// The account was blocked.
    AccountBlocked,
    /// A replaced refresh token came back from a second holder.
    RefreshTokenReused,
    /// It made room for a newer session.
    SessionLimit,
    /// Its token was ahead of its row by more than a crash explains: the database had been rolled back.
    DatabaseRestored,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_after_what_it_says_or_is() {
        let name = |given, agent| Device::described(given, Some(agent), None).name;
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        assert_eq!(name(Some("Kitchen tablet"), firefox), "Kitchen tablet");
        assert_eq!(name(Some(" \u{7} "), firefox), "Firefox on Linux");
        assert_eq!(name(None, "curl/8.5.0"), "curl");
        assert_eq!(name(Some("x\u{202e}gnp.exe"), ""), "xgnp.exe");
        assert_eq!(name(Some("\u{200b}\u{200b}"), "curl/8.5.0"), "curl");
        assert_eq!(name(Some("👩\u{200d}💻"), ""), "👩\u{200d}💻");
        assert_eq!(name(None, ""), "Unknown device");
        assert_eq!(name(Some(&"x".repeat(500)), "").len(), MAX_NAME_CHARS);
    }
}
