//! Starting a session, and the tokens that go with it. Every way to sign in ends here.

use std::time::Duration;

use secrecy::SecretString;
use time::OffsetDateTime;

use super::{
    Auth,
    error::AuthError,
    journal::Notes,
    proof::{self, Proof},
};
use crate::{
    crypto::{entropy::random, jwt::Subject, signing_key::KeyError},
    domain::{
        audit::{Action, Fact},
        ids::SessionId,
        origin::Origin,
        rotation::Chain,
        session::{Delivery, Device, EndReason, Nonce, Session},
        user::User,
    },
    store::{Tx, sessions},
};

/// How a sign-in wants its session to begin.
pub struct Start {
    /// How the refresh token is to travel.
    pub delivery: Delivery,
    /// Where the user signs in.
    pub device: Device,
    /// The key that the session is to be bound to, with the proof that the client has it.
    pub proof: Option<Proof>,
    /// The refresh token in the cookie that this sign-in replaces.
    pub replaced_cookie: Option<SecretString>,
}

/// The tokens of a session, ready to be handed out.
pub struct SignedIn {
    /// For the `Authorization` header.
    pub access_token: SecretString,
    /// How long it is good for.
    pub expires_in: Duration,
    /// For the next refresh. It leaves in the way that the session's delivery says.
    pub refresh_token: SecretString,
    /// How long the session lives unless it is refreshed.
    pub refresh_expires_in: Duration,
    /// Proves at the next sign-in that this device has signed in before; after a refresh there is none.
    pub device_token: Option<SecretString>,
    /// The session.
    pub session: Session,
    /// Its user.
    pub user: User,
}

impl Auth {
    /// A new session of a user, not yet stored.
    pub(super) fn new_session(
        &self,
        user: &User,
        delivery: Delivery,
        device: Device,
        proof: Option<&Proof>,
    ) -> Session {
        let now = self.clock().now();
        Session {
            id: SessionId::new(now, &random(&**self.entropy())),
            user_id: user.id,
            nonce: Some(Nonce::new(random(&**self.entropy()))),
            slot: self.refresh_tokens.current_slot(),
            previous_slot: None,
            chain: Chain::default(),
            auth_epoch: user.auth_epoch,
            delivery,
            jkt: proof.map(Proof::jkt),
            auth_time: now,
            created_at: now,
            absolute_expires_at: now + self.settings.absolute_timeout,
            last_used_at: now,
            device,
            ended: None,
        }
    }

    /// Stores a new session and makes room for it. The proof that binds it is used up with it, or neither happens.
    pub(super) async fn store_session(
        &self,
        tx: &Tx,
        session: &Session,
        proof: Option<&Proof>,
        notes: &Notes,
    ) -> Result<(), AuthError> {
        if let Some(proof) = proof {
            proof::use_up_in(tx, proof).await?;
        }
        sessions::insert(tx, session).await?;
        let (most, idle_timeout) = (self.settings.max_per_user, self.accounts.idle_timeout);
        let surplus = sessions::end_surplus(tx, session, most, idle_timeout).await?;
        let (user, origin) = (session.user_id, Origin::from(&session.device));
        notes.add(Fact::new(Action::LoginSucceeded, &origin).of(user).with(session.id));
        let ended = |id| Fact::ended(user, id, EndReason::SessionLimit, &origin);
        notes.extend(surplus.into_iter().map(ended));
        Ok(())
    }

    /// Ends the session of the cookie that a new one replaces. The browser forgets the old cookie with this answer, so
    /// nobody could end that session any more.
    pub(super) async fn end_replaced(&self, session: &Session, cookie: Option<SecretString>) {
        if let Some(token) = cookie.filter(|_| session.delivery == Delivery::Cookie)
            && let Err(error) =
                self.end_session_of(&token, Delivery::Cookie, &Origin::from(&session.device)).await
        {
            tracing::warn!(error = %error, "the session that a sign-in replaced was not ended");
        }
    }

    /// Signs an access token for a session.
    pub(super) fn sign_access_token(
        &self,
        session: &Session,
        user: &User,
    ) -> Result<SecretString, AuthError> {
        let subject = Subject {
            user_id: user.id,
            session_id: session.id,
            token_id: random(&**self.entropy()),
            auth_time: session.auth_time,
            roles: user.roles.clone(),
            jkt: session.jkt,
        };
        Ok(self.access_tokens.sign(&subject, self.clock().now())?)
    }

    /// The answer for a session whose current token is to be handed out.
    pub(super) fn signed_in(
        &self,
        session: Session,
        user: User,
        access_token: SecretString,
    ) -> Result<SignedIn, AuthError> {
        let refresh_token =
            self.refresh_tokens.issue(&session, session.chain.generation).ok_or(KeyError::Missing)?;
        Ok(SignedIn {
            access_token,
            expires_in: self.access_tokens.ttl(),
            refresh_token,
            refresh_expires_in: until(session.ends_at(self.accounts.idle_timeout), self.clock().now()),
            device_token: None,
            session,
            user,
        })
    }
}

fn until(end: OffsetDateTime, now: OffsetDateTime) -> Duration {
    (end - now).try_into().unwrap_or(Duration::ZERO)
}
