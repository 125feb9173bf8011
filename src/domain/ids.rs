//! Identifiers of objects: opaque to clients, prefixed, globally unique.

use std::{fmt, str::FromStr};

use time::OffsetDateTime;
use uuid::Uuid;

use super::invalid::Invalid;

/// Random bytes that a new id needs.
pub type IdRandomness = [u8; 10];

macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// What every such id begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id (UUID version 7: ordered by time, so that indexes stay compact).
            #[must_use]
            pub fn new(now: OffsetDateTime, randomness: &IdRandomness) -> Self {
                Self(uuid_v7(now, randomness))
            }

            /// The id of a stored row.
            #[must_use]
            pub fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The stored form.
            #[must_use]
            pub fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.as_simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                parse_simple(text, $prefix).map(Self)
            }
        }
    };
}

opaque_id!(
    /// Names a user: `usr_` and 32 hexadecimal digits.
    UserId,
    "usr_"
);
opaque_id!(
    /// Names a session: `ses_` and 32 hexadecimal digits.
    SessionId,
    "ses_"
);
opaque_id!(
    /// Names something that happened: `evt_` and 32 hexadecimal digits.
    EventId,
    "evt_"
);

opaque_id!(
    /// Names a letter that waits to be sent: `ltr_` and 32 hexadecimal digits.
    LetterId,
    "ltr_"
);

impl EventId {
    /// Less than every id of that moment and later, and greater than those from before.
    #[must_use]
    pub fn first_of(time: OffsetDateTime) -> Self {
        Self::new(time, &[0; 10])
    }

    /// This id, unless it is not greater than the one before it: then the next one after that.
    #[must_use]
    pub fn after(self, before: Self) -> Self {
        let next = Self(Uuid::from_u128(before.0.as_u128().saturating_add(1)));
        self.max(next)
    }
}

/// The id of any object that `node` can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeId {
    /// A user.
    User(UserId),
    /// A session.
    Session(SessionId),
    /// Something that happened.
    Event(EventId),
}

impl FromStr for NodeId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.starts_with(UserId::PREFIX) {
            text.parse().map(Self::User)
        } else if text.starts_with(EventId::PREFIX) {
            text.parse().map(Self::Event)
        } else {
            text.parse().map(Self::Session)
        }
    }
}

fn uuid_v7(now: OffsetDateTime, randomness: &IdRandomness) -> Uuid {
    let millis = u64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, randomness).into_uuid()
}

/// One spelling only: lower-case hexadecimal without dashes.
fn parse_simple(text: &str, prefix: &str) -> Result<Uuid, Invalid> {
    let malformed = || Invalid::new("INVALID_ID", "This is not an id of this server.");
    let digits = text.strip_prefix(prefix).ok_or_else(malformed)?;
    let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if digits.len() != 32 || !digits.bytes().all(lower_hex) {
        return Err(malformed());
    }
    Uuid::try_parse(digits).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = UserId::new(OffsetDateTime::UNIX_EPOCH, &[7; 10]);
        let text = id.to_string();
        assert_eq!(text.parse::<UserId>(), Ok(id));
        for wrong in [
            text.to_uppercase(),
            text.replace("usr_", "ses_"),
            format!("{text} "),
            id.as_uuid().to_string(),
            format!("usr_{}", id.as_uuid()),
        ] {
            assert!(wrong.parse::<UserId>().is_err(), "{wrong}");
        }
    }
}
