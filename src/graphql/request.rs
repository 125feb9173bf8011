//! What a resolver knows about the request it works for, and what it wants done with the answer.

use std::{
    net::IpAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use secrecy::SecretString;

use super::error::{ApiError, ErrorCode};
use crate::{
    auth::{Caller, proof::Proof},
    domain::{
        ids::SessionId,
        origin::Origin,
        session::{Delivery, Device},
    },
};

/// One request, as far as resolvers need to know it.
#[derive(Default)]
pub struct RequestContext {
    /// Who makes it, when the gate found out.
    pub caller: Option<Caller>,
    /// The proof of possession that came with a sign-in or a refresh.
    pub proof: Option<Proof>,
    /// The refresh token in the cookie.
    pub cookie: Option<SecretString>,
    /// The device token in its cookie.
    pub device_cookie: Option<SecretString>,
    origin_allowed: bool,
    client_address: Option<IpAddr>,
    user_agent: Option<String>,
    started: AtomicBool,
    lost_track: AtomicBool,
    spent: AtomicUsize,
    effects: Mutex<Effects>,
}

/// Fields of entities that one request may ask for: every plain field of each of a hundred.
pub const BUDGET: usize = 1000;

/// What the answer does besides its body.
#[derive(Default)]
pub struct Effects {
    /// What becomes of the cookie.
    pub cookie: Option<CookieEffect>,
    /// A device token that the browser is to keep.
    pub device_cookie: Option<SecretString>,
    /// The session that the request was made with, or began.
    pub session_id: Option<SessionId>,
}

/// What becomes of the session cookie.
pub enum CookieEffect {
    /// The browser is to keep this token.
    Set {
        /// The refresh token.
        token: SecretString,
        /// For as long as the session lives unless it is refreshed.
        max_age: Duration,
    },
    /// The session is over.
    Clear,
}

impl RequestContext {
    /// What is known of a request before its body was read.
    #[must_use]
    pub fn new(origin_allowed: bool, client_address: IpAddr, user_agent: Option<String>) -> Self {
        Self { origin_allowed, client_address: Some(client_address), user_agent, ..Self::default() }
    }

    /// Who makes the request.
    ///
    /// # Errors
    /// UNAUTHENTICATED. The gate has said so already; this makes sure.
    pub fn caller(&self) -> Result<&Caller, ApiError> {
        self.caller.as_ref().ok_or_else(ApiError::token_missing)
    }

    /// The device that the request comes from, under the name that its client gives it.
    #[must_use]
    pub fn device(&self, name: Option<&str>) -> Device {
        Device::described(name, self.user_agent.as_deref(), self.client_address)
    }

    /// The client's address.
    #[must_use]
    pub fn client_address(&self) -> Option<IpAddr> {
        self.client_address
    }

    /// Where the request comes from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin::from(&self.device(None))
    }

    /// Whether the page that sent the request may use the cookie.
    #[must_use]
    pub fn origin_allowed(&self) -> bool {
        self.origin_allowed
    }

    /// Refuses to set a cookie for a page that may not use it: it would sign somebody in as somebody else.
    ///
    /// # Errors
    /// `ORIGIN_NOT_ALLOWED`.
    pub fn allow_delivery(&self, delivery: Delivery) -> Result<(), ApiError> {
        if delivery == Delivery::Cookie && !self.origin_allowed {
            return Err(ApiError::origin_not_allowed());
        }
        Ok(())
    }

    /// Notes what becomes of the cookie.
    pub fn affect_cookie(&self, effect: CookieEffect) {
        self.lock_effects().cookie = Some(effect);
    }

    /// Notes that the session is over which the request was made with. A cookie beside the access token of a body session is
    /// some other session's.
    pub fn forget_cookie_of(&self, caller: &Caller) {
        if caller.session.delivery == Delivery::Cookie && self.cookie.is_some() {
            self.affect_cookie(CookieEffect::Clear);
        }
    }

    /// Notes a device token that the browser is to keep.
    pub fn trust_device(&self, token: SecretString) {
        self.lock_effects().device_cookie = Some(token);
    }

    /// Notes the session that the request was made with, or began.
    pub fn belongs_to(&self, session: SessionId) {
        self.lock_effects().session_id = Some(session);
    }

    /// The session that the request was made with, or began.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        let caller = self.caller.as_ref().map(Caller::session_id);
        caller.or_else(|| self.lock_effects().session_id)
    }

    /// Takes what was noted.
    #[must_use]
    pub fn take_effects(&self) -> Effects {
        std::mem::take(&mut *self.lock_effects())
    }

    /// Notes that the operation was accepted and runs.
    pub fn mark_started(&self) {
        self.started.store(true, Ordering::Relaxed);
    }

    /// Whether the operation was accepted and ran.
    #[must_use]
    pub fn started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }

    /// Notes that whoever follows may have missed something, so that their connection ends and they look again.
    pub fn lose_track(&self) {
        self.lost_track.store(true, Ordering::Relaxed);
    }

    /// Whether whoever follows may have missed something.
    #[must_use]
    pub fn lost_track(&self) -> bool {
        self.lost_track.load(Ordering::Relaxed)
    }

    /// Counts what cannot be seen in the document: how much more its variables make of it.
    ///
    /// # Errors
    /// `OPERATION_TOO_COMPLEX` beyond [`BUDGET`], for the whole request together.
    pub fn spend(&self, fields: usize) -> Result<(), ApiError> {
        let before = self.spent.fetch_add(fields.min(BUDGET + 1), Ordering::Relaxed);
        if before + fields <= BUDGET {
            return Ok(());
        }
        let message = "The operation asks for more than 1000 fields of entities, or for the schema twice.";
        Err(ApiError::new(ErrorCode::OperationTooComplex, message))
    }

    fn lock_effects(&self) -> std::sync::MutexGuard<'_, Effects> {
        self.effects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
