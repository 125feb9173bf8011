//! What is told to the owner of an account without being asked for.

use std::time::Duration;

use super::{
    audit::{Action, Fact},
    letter::{Letter, LetterKind},
};

/// After three days a notice is history: whoever was without mail for so long reads it in the audit.
pub const WORTH: Duration = Duration::from_hours(72);

/// What is worth a letter. Where a use case knows more than the fact says, such as a former address, it posts the letter itself.
const NOTICES: [(Action, LetterKind); 4] = [
    (Action::LoginNewDevice, LetterKind::NewDevice),
    (Action::LoginClosed, LetterKind::SignInClosed),
    (Action::PasswordChanged, LetterKind::PasswordChanged),
    (Action::SessionReuseDetected, LetterKind::TokenReused),
];

/// The letter that a fact is worth, to the user whom it happened to.
#[must_use]
pub fn letter_about(fact: &Fact) -> Option<Letter> {
    let (_, kind) = NOTICES.into_iter().find(|(action, _)| *action == fact.action)?;
    Some(Letter::to_user(kind, fact.user_id?, &fact.origin))
}

/// Whether nobody asked for such a letter: then there can be too many of them.
#[must_use]
pub fn is_notice(kind: LetterKind) -> bool {
    NOTICES.iter().any(|(_, notice)| *notice == kind)
}
