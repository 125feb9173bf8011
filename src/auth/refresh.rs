//! Exchanging a refresh token for new tokens.

use secrecy::{ExposeSecret, SecretString};

use super::{
    Auth, SignedIn,
    error::{AuthError, Fault, FieldError},
    proof::{self, Proof, ProofRefused},
};
use crate::{
    crypto::{refresh_token::OpenedToken, sha256},
    domain::{
        audit::Fact,
        invalid::Invalid,
        origin::Origin,
        rotation::{self, Chain, Decision, Presented, RetryHash},
        session::{Delivery, EndReason, Session, Standing},
        user::User,
    },
    store::sessions::{self, Rotation},
};

/// What a refresh brings along.
pub struct Refresh {
    /// The refresh token.
    pub token: SecretString,
    /// How it came; it must be the way in which it was handed out.
    pub channel: Delivery,
    /// The key that tells a retry by the same holder from a second holder.
    pub retry_key: Option<SecretString>,
    /// The proof that the client has a key. It says nothing about a session that is bound to none, and does not bind it: or a
    /// thief could bind what was stolen.
    pub proof: Option<Proof>,
    /// Where it comes from.
    pub origin: Origin,
}

/// How often a call that lost its race against another looks again.
const TRIES: usize = 3;
/// 128 bits in base64url.
const RETRY_KEY_MIN: usize = 22;
const RETRY_KEY_MAX: usize = 128;

/// Exchanges a refresh token for new tokens, by the rule of [`rotation::decide`].
///
/// # Errors
/// [`AuthError::RefreshTokenReused`] after the session was ended for it; [`AuthError::RefreshTokenInvalid`] for
/// whatever cannot be refreshed. Neither is ever the answer to a fault. [`AuthError::ProofRefused`] for a token of a bound
/// session without its proof, and [`AuthError::RateLimited`], change nothing.
pub async fn refresh(auth: &Auth, request: Refresh) -> Result<SignedIn, AuthError> {
    let address = request.origin.address;
    let outcome = exchange(auth, request).await;
    if matches!(outcome, Err(AuthError::RefreshTokenInvalid)) {
        auth.limits.bad_token(address)?;
    }
    outcome
}

async fn exchange(auth: &Auth, request: Refresh) -> Result<SignedIn, AuthError> {
    let retry_hash = request.retry_key.as_ref().map(hash_retry_key).transpose()?;
    // Garbage ends here, before the database hears of it.
    let token = auth.refresh_tokens.open(&request.token).ok_or(AuthError::RefreshTokenInvalid)?;

    let mut unused = request.proof;
    for attempt in 0..TRIES {
        let (session, user) =
            sessions::find(auth.store(), token.session_id()).await?.ok_or(AuthError::RefreshTokenInvalid)?;
        let admitted = auth.admit(&token, &request, &session, &user);
        let sender_proven = auth.noted(admitted, &session, &request.origin).await?;
        // Only what the session's own client can send counts for it: others could keep it waiting.
        if attempt == 0 {
            auth.limits.refresh(session.id)?;
        }
        if sender_proven && let Some(proof) = unused.take() {
            let outcome = proof::use_up(auth.store(), &proof).await;
            auth.noted(outcome, &session, &request.origin).await?;
        }
        let presented =
            Presented { generation: token.generation(), retry_hash: retry_hash.as_ref(), sender_proven };
        if let Some(answer) =
            auth.follow_rule(presented, token.slot(), session, user, &request.origin).await?
        {
            return Ok(answer);
        }
    }
    Err(Fault::Contended.into())
}

impl Auth {
    /// Lets through a token that belongs to the session, as long as the session can be used; says whether it is bound to a
    /// key and came with the proof of it.
    fn admit(
        &self,
        token: &OpenedToken,
        request: &Refresh,
        session: &Session,
        user: &User,
    ) -> Result<bool, AuthError> {
        if let Some(ended) = session.ended {
            return Err(refusal_of_ended(token, session, ended.reason, user));
        }
        let authentic = self.refresh_tokens.authenticates(token, session)
            && self.refresh_tokens.may_go_on_from(token, session);
        if !authentic || session.delivery != request.channel {
            return Err(AuthError::RefreshTokenInvalid);
        }
        let sender_proven = prove(session, request.proof)?;
        match session.standing(user, self.clock().now(), self.accounts.idle_timeout) {
            Standing::Live => Ok(sender_proven),
            Standing::OwnerBlocked => Err(AuthError::AccountBlocked),
            Standing::Revoked | Standing::Expired => Err(AuthError::RefreshTokenInvalid),
        }
    }

    /// Decides and carries out. `slot` is that of the token. `None` when another call changed the session first.
    async fn follow_rule(
        &self,
        presented: Presented<'_>,
        slot: u8,
        session: Session,
        user: User,
        origin: &Origin,
    ) -> Result<Option<SignedIn>, AuthError> {
        let now = self.clock().now();
        let retry_hash = presented.retry_hash;
        let decision =
            rotation::decide(presented, &session.chain, session.delivery, now, &self.settings.rotation);
        tracing::debug!(session_id = %session.id, generation = presented.generation, ?decision, "refresh");
        match decision {
            Decision::Rotate { from, to } => self.rotate(session, user, slot, (from, to), retry_hash).await,
            Decision::Keep { remember: false } | Decision::Replay { counted: false } => {
                self.answer(session, user).map(Some)
            }
            Decision::Keep { remember: true } => {
                let generation = session.chain.generation;
                let kept = sessions::remember_kept(self.store(), session.id, generation, retry_hash).await?;
                if kept { self.answer(session, user).map(Some) } else { Ok(None) }
            }
            Decision::Replay { counted: true } => {
                let counted =
                    sessions::count_replay(self.store(), session.id, session.chain.generation).await?;
                if counted { self.answer(session, user).map(Some) } else { Ok(None) }
            }
            Decision::TooManyReplays => Err(AuthError::TooManyReplays),
            Decision::Reuse => {
                self.end_for(&session, EndReason::RefreshTokenReused, origin).await?;
                tracing::warn!(session_id = %session.id, user_id = %user.id, "a copied refresh token came back");
                Err(AuthError::RefreshTokenReused)
            }
            Decision::RolledBack => {
                self.end_for(&session, EndReason::DatabaseRestored, origin).await?;
                tracing::error!(
                    session_id = %session.id,
                    "a refresh token is ahead of the database: was it restored from a backup?"
                );
                Err(AuthError::RefreshTokenInvalid)
            }
        }
    }

    /// Moves the session to its next token. The access token is signed first: once the swap is made, nothing is
    /// left that could fail.
    async fn rotate(
        &self,
        mut session: Session,
        user: User,
        replaced_slot: u8,
        (from, to): (u64, u64),
        retry_hash: Option<&RetryHash>,
    ) -> Result<Option<SignedIn>, AuthError> {
        let access_token = self.sign_access_token(&session, &user)?;
        let read_at = self.clock().now();
        // The clock of this node may run behind that of the node that rotated before.
        let now = read_at.max(session.last_used_at);
        let idle_timeout = self.accounts.idle_timeout;
        let (id, user_id, rotated_at) = (session.id, user.id, session.chain.rotated_at);
        let slot = self.refresh_tokens.current_slot();
        let rotation = Rotation {
            id,
            user_id,
            from,
            to,
            slot,
            replaced_slot,
            rotated_at,
            retry_hash,
            now,
            read_at,
            idle_timeout,
        };
        if !sessions::rotate(self.store(), &rotation).await? {
            return Ok(None);
        }
        let retry_hash = retry_hash.copied();
        session.chain = Chain { generation: to, rotated_at: Some(now), retry_hash, ..Chain::default() };
        session.last_used_at = now;
        session.slot = slot;
        session.previous_slot = Some(replaced_slot);
        self.signed_in(session, user, access_token).map(Some)
    }

    /// Ends a session for what its refresh token gave away. The refusal is an answer, so the end of it is committed.
    async fn end_for(&self, session: &Session, reason: EndReason, origin: &Origin) -> Result<(), AuthError> {
        let now = self.clock().now();
        self.journal()
            .transaction(|tx, notes| async move {
                if sessions::end(&tx, session.id, reason, now).await? {
                    notes.add(Fact::ended(session.user_id, session.id, reason, origin));
                }
                Ok(())
            })
            .await
    }

    fn answer(&self, session: Session, user: User) -> Result<SignedIn, AuthError> {
        let access_token = self.sign_access_token(&session, &user)?;
        self.signed_in(session, user, access_token)
    }
}

/// Whether the session is bound to a key and the proof is by that key.
fn prove(session: &Session, proof: Option<Proof>) -> Result<bool, ProofRefused> {
    let Some(jkt) = &session.jkt else { return Ok(false) };
    proof::by_key(proof.ok_or(ProofRefused::Missing)?, jkt).map(|_| true)
}

/// The row of an ended session has no nonce, so the inner MAC cannot be checked any more; nothing is changed on the
/// strength of the outer one, only the answer is chosen.
fn refusal_of_ended(token: &OpenedToken, session: &Session, reason: EndReason, user: &User) -> AuthError {
    if user.blocked() {
        AuthError::AccountBlocked
    } else if reason == EndReason::RefreshTokenReused && token.generation() < session.chain.generation {
        AuthError::RefreshTokenReused
    } else {
        AuthError::RefreshTokenInvalid
    }
}

fn hash_retry_key(key: &SecretString) -> Result<RetryHash, FieldError> {
    let key = key.expose_secret();
    let base64url = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !(RETRY_KEY_MIN..=RETRY_KEY_MAX).contains(&key.len()) || !key.bytes().all(base64url) {
        let message = "A retry key is 128 random bits or more, in base64url: 22 to 128 characters.";
        return Err(FieldError::at(&["input", "retryKey"], Invalid::new("INVALID_RETRY_KEY", message)));
    }
    Ok(sha256(key.as_bytes()))
}
