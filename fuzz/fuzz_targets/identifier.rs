//! Email addresses and usernames: the canonical form is a fixed point, and an account has one name only.

#![no_main]

use keywheel::domain::{
    email::EmailAddress,
    ids::{SessionId, UserId},
    user::{Identifier, Username},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(email) = text.parse::<EmailAddress>() {
        let canonical = email.as_str();
        assert!(canonical.is_ascii() && canonical.len() <= 254, "{canonical}");
        assert!(
            canonical.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()),
            "{canonical}"
        );
        assert_eq!(canonical.matches('@').count(), 1, "{canonical}");
        assert_eq!(canonical.parse::<EmailAddress>().as_ref().map(EmailAddress::as_str), Ok(canonical));
        assert!(canonical.starts_with(email.local_part()));
    }
    if let Ok(username) = text.parse::<Username>() {
        assert!(!username.as_str().contains('@'));
        let key = username.key();
        assert_eq!(key.parse::<Username>().map(|again| again.key()), Ok(key));
    }
    match text.parse::<Identifier>() {
        Ok(Identifier::Email(email)) => assert!(text.contains('@') && email.as_str().contains('@')),
        Ok(Identifier::Username(_)) => assert!(!text.contains('@')),
        Err(_) => {}
    }
    if let Ok(id) = text.parse::<UserId>() {
        assert_eq!(id.to_string(), text);
    }
    if let Ok(id) = text.parse::<SessionId>() {
        assert_eq!(id.to_string(), text);
    }
});
