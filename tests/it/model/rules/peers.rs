//! The rules of other servers, each told again in a few lines: what decides over a refresh token, and nothing else.
//!
//! They were read in the sources of August 2026 or later, except where noted. Lifetimes are settings and left out: no
//! session here ends for its age.

use super::{Answer, FIRST, Presented, Rule, Token};
use crate::model::schedule::SECOND;

const REFUSED: Answer = Answer::Refused("refused");

/// Supabase Auth with refresh tokens of version 2 (`internal/tokens/service.go`) and the interval of its hosted service.
///
/// A session has a counter, a token too. A token that is one step behind gets the current one, at any time; any older
/// one does within the interval since the last call that was answered. Else the session is deleted.
#[derive(Clone)]
pub(crate) struct Supabase {
    counter: u64,
    refreshed_at: Option<u64>,
    deleted: bool,
}

impl Supabase {
    const REUSE_INTERVAL: u64 = 10 * SECOND;

    pub(crate) fn new() -> Self {
        Self { counter: FIRST.0, refreshed_at: None, deleted: false }
    }
}

impl Rule for Supabase {
    fn refresh(&mut self, presented: Presented, now: u64) -> Answer {
        let steps_behind = self.counter - presented.token.0;
        let in_interval = self.refreshed_at.is_some_and(|at| now < at + Self::REUSE_INTERVAL);
        self.deleted |= steps_behind > 1 && !in_interval;
        if self.deleted {
            return REFUSED;
        }
        self.counter += u64::from(steps_behind == 0);
        self.refreshed_at = Some(now);
        Answer::Tokens(Token(self.counter))
    }
}

/// Strapi 5 in refresh mode (`services/session-manager.ts`).
///
/// A token that was exchanged gets the same child again, as long as the child was not exchanged itself. An older one
/// is refused, and nothing follows from it.
#[derive(Clone)]
pub(crate) struct Strapi {
    youngest: Token,
}

impl Strapi {
    pub(crate) fn new() -> Self {
        Self { youngest: FIRST }
    }
}

impl Rule for Strapi {
    fn refresh(&mut self, presented: Presented, _now: u64) -> Answer {
        if presented.token == self.youngest {
            self.youngest = Token(self.youngest.0 + 1);
        }
        let is_parent = presented.token.0 + 1 == self.youngest.0;
        if is_parent { Answer::Tokens(self.youngest) } else { REFUSED }
    }
}

/// `SuperTokens` core with CDI 5.6 or later (`Session.java`).
///
/// The previous token is taken for thirty seconds from its first exchange, and each time another successor is made
/// that displaces the one before. Any other token that is not the current one ends the session.
#[derive(Clone)]
pub(crate) struct SuperTokens {
    made: Token,
    previous: Option<Token>,
    rotated_at: u64,
    revoked: bool,
}

impl SuperTokens {
    const GRACE: u64 = 30 * SECOND;

    pub(crate) fn new() -> Self {
        Self { made: FIRST, previous: None, rotated_at: 0, revoked: false }
    }
}

impl Rule for SuperTokens {
    fn refresh(&mut self, presented: Presented, now: u64) -> Answer {
        let is_current = presented.token == self.made;
        let in_grace = self.previous == Some(presented.token) && now < self.rotated_at + Self::GRACE;
        self.revoked |= !is_current && !in_grace;
        if self.revoked {
            return REFUSED;
        }
        if is_current {
            self.previous = Some(self.made);
            self.rotated_at = now;
        }
        self.made = Token(self.made.0 + 1);
        Answer::Tokens(self.made)
    }
}

/// Matrix Authentication Service (`handlers/src/oauth2/token.rs`).
///
/// A token that was exchanged is taken again as long as neither the refresh token nor the access token of its
/// successor was used; another successor is made then and the first one revoked. Else it is refused, and the
/// session lives on.
#[derive(Clone)]
pub(crate) struct Mas {
    made: Token,
    parent: Option<Token>,
    access_used: bool,
}

impl Mas {
    pub(crate) fn new() -> Self {
        Self { made: FIRST, parent: None, access_used: false }
    }
}

impl Rule for Mas {
    fn refresh(&mut self, presented: Presented, _now: u64) -> Answer {
        let is_current = presented.token == self.made;
        let successor_unused = self.parent == Some(presented.token) && !self.access_used;
        if !is_current && !successor_unused {
            return REFUSED;
        }
        self.parent = Some(presented.token);
        self.made = Token(self.made.0 + 1);
        self.access_used = false;
        Answer::Tokens(self.made)
    }

    fn access_used(&mut self, token: Token) {
        self.access_used |= token == self.made;
    }
}

/// hasura-auth (`go/sql/query.sql`): the hash of the token is replaced where it is found. A token that was exchanged is
/// not found.
#[derive(Clone)]
pub(crate) struct Hasura {
    current: Token,
}

impl Hasura {
    pub(crate) fn new() -> Self {
        Self { current: FIRST }
    }
}

impl Rule for Hasura {
    fn refresh(&mut self, presented: Presented, _now: u64) -> Answer {
        if presented.token != self.current {
            return REFUSED;
        }
        self.current = Token(self.current.0 + 1);
        Answer::Tokens(self.current)
    }
}

/// rauthy (read in June 2026): a token that is used lives for five more seconds. Each use makes another one, which is
/// independent of its siblings.
#[derive(Clone)]
pub(crate) struct Rauthy {
    made: Token,
    /// The tokens that work, with their end if it is near.
    alive: Vec<(Token, Option<u64>)>,
}

impl Rauthy {
    const GRACE: u64 = 5 * SECOND;

    pub(crate) fn new() -> Self {
        Self { made: FIRST, alive: vec![(FIRST, None)] }
    }
}

impl Rule for Rauthy {
    fn refresh(&mut self, presented: Presented, now: u64) -> Answer {
        self.alive.retain(|(_, ends_at)| ends_at.is_none_or(|at| now < at));
        let Some((_, ends_at)) = self.alive.iter_mut().find(|(token, _)| *token == presented.token) else {
            return REFUSED;
        };
        ends_at.get_or_insert(now + Self::GRACE);
        self.made = Token(self.made.0 + 1);
        self.alive.push((self.made, None));
        Answer::Tokens(self.made)
    }
}

/// A token that never changes: the session token of better-auth, the refresh tokens of Saleor and (read in 2024) of
/// accounts-js.
#[derive(Clone)]
pub(crate) struct Static;

impl Rule for Static {
    fn refresh(&mut self, presented: Presented, _now: u64) -> Answer {
        Answer::Tokens(presented.token)
    }
}
