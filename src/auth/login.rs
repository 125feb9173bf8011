//! Signing in with a password.

use std::time::Duration;

use secrecy::SecretString;
use tokio::time::{Instant, sleep_until};

use super::{
    Auth, SignedIn, Start,
    error::{AuthError, Fault},
    limits::{Charge, Target, canonical},
};
use crate::{
    crypto::{
        device_token::DeviceId,
        entropy::random,
        hasher::{HasherError, Verdict},
    },
    domain::{
        audit::{Action, Fact},
        origin::Origin,
        password::Plaintext,
        session::Session,
        user::{Identifier, User},
    },
    store::{
        Tx, sessions,
        users::{self, Credential},
    },
};

/// What a sign-in brings along.
pub struct Login {
    /// Email address or username, as typed.
    pub identifier: String,
    /// The password, as typed.
    pub password: SecretString,
    /// What an earlier sign-in left on this device.
    pub device_token: Option<SecretString>,
    /// How the session is to begin.
    pub start: Start,
}

/// For so long after it was made an account is expected to see its first session.
const NEW_ACCOUNT: Duration = Duration::from_hours(24);

/// Signs a user in and starts a session.
///
/// # Errors
/// [`AuthError::InvalidCredentials`], which never says which of the two is wrong and takes as long for an
/// account that does not exist; [`AuthError::RateLimited`] before the password is looked at;
/// [`AuthError::AccountBlocked`] and [`AuthError::EmailNotVerified`] once the password was right; [`Fault::Contended`] when the account changed meanwhile.
pub async fn login(auth: &Auth, request: Login) -> Result<SignedIn, AuthError> {
    let answer_at = Instant::now() + auth.settings.failure_floor;
    let outcome = sign_in(auth, request).await;
    // By a timer, so that what a failure is about cannot be told from how long it takes. A refusal by a limit may come after
    // the account was looked up: whoever provokes it would learn which accounts there are, and no limit would count that.
    let tells = matches!(outcome, Err(AuthError::InvalidCredentials | AuthError::RateLimited { .. }));
    if tells && auth.settings.failure_floor > Duration::ZERO {
        sleep_until(answer_at).await;
    }
    outcome
}

async fn sign_in(auth: &Auth, request: Login) -> Result<SignedIn, AuthError> {
    let Start { delivery, device, proof, replaced_cookie } = request.start;
    let origin = Origin::from(&device);
    let guess = Guess {
        identifier: &request.identifier,
        password: &request.password,
        device_token: request.device_token.as_ref(),
        origin: &origin,
    };
    let Proven { user, password_hash, device_id, charge } = auth.prove_password(&guess).await?;
    let (owner, spent) = (&user, &charge);
    if let Err(refused) = auth.may_sign_in(owner) {
        let action = if owner.blocked() { Action::LoginBlocked } else { Action::LoginUnverified };
        let refusal = || Fact::new(action, &origin).of(owner.id);
        auth.journal()
            .transaction(|tx, notes| async move {
                notes.add(refusal());
                auth.limits.was_right(&tx, spent, owner).await
            })
            .await?;
        auth.limits.put_back_to_address(&charge);
        return Err(refused);
    }
    let session = auth.new_session(&user, delivery, device, proof.as_ref());
    let access_token = auth.sign_access_token(&session, &user)?;

    let begun = &session;
    auth.journal()
        .transaction(|tx, notes| async move {
            // While the password was being compared it may have been changed, or the account blocked, or everybody
            // signed out. The next try finds out which.
            if !users::hold_at(&tx, owner.id, owner.auth_epoch).await? {
                return Err(Fault::Contended.into());
            }
            auth.limits.was_right(&tx, spent, owner).await?;
            let is_new = device_id.is_none() && auth.is_new_place(&tx, owner, begun).await?;
            auth.store_session(&tx, begun, proof.as_ref(), &notes).await?;
            if is_new {
                notes.add(
                    Fact::new(Action::LoginNewDevice, &Origin::from(&begun.device))
                        .of(owner.id)
                        .with(begun.id),
                );
            }
            Ok::<_, AuthError>(())
        })
        .await?;

    auth.limits.put_back_to_address(&charge);
    auth.end_replaced(&session, replaced_cookie).await;
    let device_id = device_id.unwrap_or_else(|| random(&**auth.entropy()));
    let device_token = auth.device_tokens.issue(device_id, user.id, &password_hash);
    Ok(SignedIn { device_token, ..auth.signed_in(session, user, access_token)? })
}

/// Somebody says who they are.
struct Guess<'a> {
    identifier: &'a str,
    password: &'a SecretString,
    device_token: Option<&'a SecretString>,
    origin: &'a Origin,
}

/// A guess that was right.
struct Proven {
    /// With the epoch of the moment before the password was compared.
    user: User,
    /// The hash that the user has now.
    password_hash: SecretString,
    /// The device that was recognised, and paid from its own bucket.
    device_id: Option<DeviceId>,
    /// What the guess took from the limits.
    charge: Charge,
}

impl Auth {
    /// The user whom identifier and password name. The limits are asked first: whoever is over one learns nothing about the
    /// password and costs no hash.
    async fn prove_password(&self, guess: &Guess<'_>) -> Result<Proven, AuthError> {
        let offered = Plaintext::offered(guess.password).ok_or(AuthError::InvalidCredentials)?;
        let from_address = self.limits.guess_from(guess.origin.address);
        if guess.device_token.is_none()
            && let Err(limited) = from_address
        {
            return Err(limited);
        }
        let credential = match guess.identifier.parse::<Identifier>() {
            Ok(identifier) => users::find_credential(self.store(), &identifier).await?,
            Err(_) => None,
        };
        let device_id = guess.device_token.zip(credential.as_ref()).and_then(|(token, credential)| {
            self.device_tokens.recognise(token, credential.user.id, &credential.password_hash)
        });
        let account = canonical(guess.identifier);
        let (target, charge) =
            self.charge(credential.as_ref().zip(device_id), &account, from_address).await?;

        let compared = match &credential {
            Some(credential) => self.accounts.hasher.verify(offered, credential.password_hash.clone()).await,
            None => self.accounts.hasher.verify_nothing(offered).await.map(|()| Verdict::Wrong),
        };
        let verdict = self.unless_too_busy(compared, &charge).await?;
        match (credential, verdict) {
            (Some(credential), Verdict::Right { outdated }) => {
                let renewed =
                    if outdated { self.renew_hash(&credential, guess.password).await } else { None };
                let Credential { user, password_hash } = credential;
                let password_hash = renewed.unwrap_or(password_hash);
                // A device that had to pay like any other, and knew the password, begins anew.
                let device_id = device_id.filter(|_| matches!(target, Target::Device(..)));
                Ok(Proven { user, password_hash, device_id, charge })
            }
            (credential, Verdict::Wrong | Verdict::Right { .. }) => {
                self.note_wrong(target, credential.as_ref(), guess.origin).await?;
                Err(AuthError::InvalidCredentials)
            }
        }
    }

    /// Whether nobody has signed in to the account in this way before. Clients that keep no device token are known by their
    /// address and program. The first session of a new account is no news to whoever has just made it.
    async fn is_new_place(&self, tx: &Tx, user: &User, session: &Session) -> Result<bool, AuthError> {
        if sessions::seen_before(tx, user.id, &session.device).await? {
            return Ok(false);
        }
        let is_young = session.created_at - user.created_at < NEW_ACCOUNT;
        Ok(!is_young || sessions::any(tx, user.id).await?)
    }

    /// Takes what a guess costs. A device that is known pays from its own bucket, even when its address is over a limit;
    /// when that is empty, it is like any other.
    async fn charge<'a>(
        &self,
        known: Option<(&Credential, DeviceId)>,
        account: &'a str,
        from_address: Result<Charge, AuthError>,
    ) -> Result<(Target<'a>, Charge), AuthError> {
        if let Some((credential, device)) = known {
            let target = Target::Device(credential.user.id, device);
            let mut charge = Charge::default();
            match self.limits.guess_at(target, &mut charge).await {
                Err(AuthError::RateLimited { .. }) => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    // A wrong password costs its address nothing then: only this device can guess in this way.
                    if let Ok(unused) = from_address {
                        self.limits.put_back_to_address(&unused);
                    }
                    return Ok((target, charge));
                }
            }
        }
        // What the account does not take any more still counts for the address: asking costs the database something.
        let (target, mut charge) = (Target::Account(account), from_address?);
        self.limits.guess_at(target, &mut charge).await?;
        Ok((target, charge))
    }

    /// Whoever floods the hashing queue must not use up the tries of those who cannot get in meanwhile.
    pub(super) async fn unless_too_busy(
        &self,
        compared: Result<Verdict, HasherError>,
        charge: &Charge,
    ) -> Result<Verdict, AuthError> {
        if compared.is_err() {
            self.limits.was_not_looked_at(charge).await;
        }
        Ok(compared?)
    }

    async fn note_wrong(
        &self,
        target: Target<'_>,
        credential: Option<&Credential>,
        origin: &Origin,
    ) -> Result<(), AuthError> {
        let about = |action| {
            let fact = Fact::new(action, origin);
            credential.map_or(fact.clone(), |credential| fact.of(credential.user.id))
        };
        let closed = self.limits.was_wrong(target, origin.address).await?;
        let (failed, closed) = (about(Action::LoginFailed), closed.then(|| about(Action::LoginClosed)));
        let facts = [Some(failed), closed];
        let facts = &facts;
        self.journal()
            .transaction(|_, notes| async move {
                notes.extend(facts.iter().flatten().cloned());
                Ok::<_, AuthError>(())
            })
            .await
    }

    /// Renews a hash that was made with other parameters. That it cannot be is no reason to refuse a right password.
    async fn renew_hash(&self, credential: &Credential, typed: &SecretString) -> Option<SecretString> {
        let renewed = async {
            let Some(password) = Plaintext::offered(typed) else { return Ok(None) };
            let renewed = self.accounts.hasher.hash(password).await?;
            let (id, old, new) = (credential.user.id, &credential.password_hash, &renewed);
            let replaced = self
                .store()
                .transaction(|tx| async move { users::replace_password_hash(&tx, id, old, new).await })
                .await?;
            Ok::<_, AuthError>(replaced.then_some(renewed))
        };
        renewed.await.unwrap_or_else(|error| {
            tracing::warn!(error = %error, user_id = %credential.user.id, "a password hash was not renewed");
            None
        })
    }
}
