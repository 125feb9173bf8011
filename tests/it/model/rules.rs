//! What a server does with a refresh token that comes in.

pub(super) mod keywheel;
pub(super) mod peers;

/// A refresh token: a generation, or for servers that make tokens at random a number that no other token has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token(pub(super) u64);

/// A retry key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(pub(super) u64);

/// What comes with a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Presented {
    pub(super) token: Token,
    /// Servers other than Keywheel know nothing of it.
    pub(super) key: Option<Key>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// An access token, and the refresh token to go on with.
    Tokens(Token),
    /// This token will not do; with the code of the error.
    Refused(&'static str),
    /// Not now.
    Later,
}

/// The sign-in hands out this one.
pub(super) const FIRST: Token = Token(0);

/// A rule, playing one session from its sign-in at the time zero.
pub(super) trait Rule: Clone {
    fn refresh(&mut self, presented: Presented, now: u64) -> Answer;

    /// Somebody uses the access token that came together with `token`.
    fn access_used(&mut self, _token: Token) {}
}

/// A rule that can be asked what it would do.
pub(super) trait Server {
    fn refresh(&mut self, presented: Presented, now: u64) -> Answer;
    fn access_used(&mut self, token: Token);
    fn would_take(&self, presented: Presented, now: u64) -> bool;
}

impl<R: Rule> Server for R {
    fn refresh(&mut self, presented: Presented, now: u64) -> Answer {
        Rule::refresh(self, presented, now)
    }

    fn access_used(&mut self, token: Token) {
        Rule::access_used(self, token);
    }

    fn would_take(&self, presented: Presented, now: u64) -> bool {
        matches!(Rule::refresh(&mut self.clone(), presented, now), Answer::Tokens(_))
    }
}
