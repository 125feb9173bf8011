//! What can be done.

use async_graphql::{Context, Object};
use secrecy::SecretString;

use super::{
    error::ApiError,
    inputs::{
        ChangeEmailInput, ChangePasswordInput, ExchangeTokenInput, LoginInput, LogoutInput,
        RefreshTokenInput, RegisterInput, RequestEmailVerificationInput, RequestPasswordResetInput,
        ResetPasswordInput, RevokeSessionsInput, TokenDelivery, VerifyEmailInput, non_empty, non_empty_text,
    },
    request::{CookieEffect, RequestContext},
    types::{
        User,
        administration::{DeleteAccountInput, DeleteAccountPayload, UpdateUserInput, UpdateUserPayload},
        auth,
        mailed::{EmailSentPayload, ResetPasswordPayload, VerifyEmailPayload},
        payloads::{
            AuthPayload, ChangePasswordPayload, LogoutPayload, RegisterPayload, RevokeSessionsPayload,
            hand_out_device_token,
        },
        request,
        sessions::Session,
    },
};
use crate::{
    auth::{
        Auth, Start,
        administration::{self, Changed},
        deletion::{self, DeleteAccount},
        email_change::{self, ChangeEmail},
        error::{AuthError, FieldError},
        exchange::{self, Exchange},
        login::{self, Login},
        password::{self, ChangePassword},
        recovery::{self, Reset},
        refresh::{Refresh, refresh},
        register::{self, Register},
        sessions::{self, Revoke, SignOut, SignedOut},
        verification::{self, Verify},
    },
    domain::{invalid::Invalid, session::Delivery},
};

pub(super) struct Mutation;

/// What can be done.
#[Object]
impl Mutation {
    /// Sign in with an email address or username, and start a session.
    async fn login(&self, ctx: &Context<'_>, input: LoginInput) -> Result<AuthPayload, ApiError> {
        let (auth, request) = (auth(ctx)?, request(ctx)?);
        let start = start(auth, request, input.delivery, input.device_name.as_deref())?;
        let device_token = non_empty(input.device_token).or_else(|| request.device_cookie.clone());
        let login = Login { identifier: input.identifier, password: input.password, device_token, start };
        Ok(AuthPayload::hand_out(login::login(auth, login).await?, request))
    }

    /// Create an account. Answers the same whether or not the email address is already taken, when it must be verified.
    async fn register(&self, ctx: &Context<'_>, input: RegisterInput) -> Result<RegisterPayload, ApiError> {
        let (auth, request) = (auth(ctx)?, request(ctx)?);
        let start = start(auth, request, input.delivery, input.device_name.as_deref())?;
        let username = non_empty_text(input.username);
        let register = Register { email: input.email, password: input.password, username, start };
        let email_verification_required = auth.settings().require_verification;
        let signed_in = register::register(auth, register).await?;
        let auth = signed_in.map(|signed_in| AuthPayload::hand_out(signed_in, request));
        Ok(RegisterPayload { auth, email_verification_required })
    }

    /// Begin a session with a token of the system that accounts were brought from, once, instead of a password. Only while
    /// the operator keeps the way over open: FORBIDDEN otherwise. A token that is not taken is `REFRESH_TOKEN_INVALID`: sign in with the password.
    async fn exchange_token(
        &self,
        ctx: &Context<'_>,
        input: ExchangeTokenInput,
    ) -> Result<AuthPayload, ApiError> {
        let (auth, request) = (auth(ctx)?, request(ctx)?);
        let start = start(auth, request, input.delivery, input.device_name.as_deref())?;
        let exchange = Exchange { token: input.token, start };
        Ok(AuthPayload::hand_out(exchange::exchange(auth, exchange).await?, request))
    }

    /// Exchange the refresh token (from the cookie, or from the input) for new tokens. The `Authorization` header is ignored.
    /// Repeating a call whose answer was lost returns the same successor; using a token that was already replaced ends the session.
    async fn refresh_token(
        &self,
        ctx: &Context<'_>,
        input: Option<RefreshTokenInput>,
    ) -> Result<AuthPayload, ApiError> {
        let (request, input) = (request(ctx)?, input.unwrap_or_default());
        let (token, channel) =
            the_token(request, non_empty(input.refresh_token))?.ok_or(AuthError::RefreshTokenInvalid)?;
        let retry_key = non_empty(input.retry_key);
        let exchange = Refresh { token, channel, retry_key, proof: request.proof, origin: request.origin() };
        let refreshed = refresh(auth(ctx)?, exchange).await;
        if channel == Delivery::Cookie && refreshed.as_ref().is_err_and(AuthError::ends_session) {
            request.affect_cookie(CookieEffect::Clear);
        }
        Ok(AuthPayload::hand_out(refreshed?, request))
    }

    /// End this session. Never fails: with nothing to end, `session` is null. Clears the cookie.
    async fn logout(&self, ctx: &Context<'_>, input: Option<LogoutInput>) -> Result<LogoutPayload, ApiError> {
        let request = request(ctx)?;
        let which = SignOut {
            in_body: input.and_then(|input| non_empty(input.refresh_token)),
            in_cookie: request.cookie.clone(),
            caller: request.caller.as_ref(),
            origin: request.origin(),
        };
        let SignedOut { session, cookie_spent } = sessions::log_out(auth(ctx)?, which).await?;
        if cookie_spent {
            request.affect_cookie(CookieEffect::Clear);
        }
        if let Some(session) = &session {
            request.belongs_to(session.id);
        }
        Ok(LogoutPayload { session: session.map(Session::from) })
    }

    /// End sessions of the signed-in user (or, with `users:write`, of another one).
    async fn revoke_sessions(
        &self,
        ctx: &Context<'_>,
        input: RevokeSessionsInput,
    ) -> Result<RevokeSessionsPayload, ApiError> {
        let request = request(ctx)?;
        let caller = request.caller()?;
        let revoke = Revoke {
            scope: input.scope.into(),
            ids: input.ids.unwrap_or_default().into_iter().map(String::from).collect(),
            user_id: input.user_id.map(String::from),
            origin: request.origin(),
        };
        let ended = sessions::revoke(auth(ctx)?, caller, revoke).await?;
        let signed_out = ended.iter().any(|session| session.id == caller.session_id());
        if signed_out {
            request.forget_cookie_of(caller);
        }
        Ok(RevokeSessionsPayload { sessions: ended.into_iter().map(Session::from).collect(), signed_out })
    }

    /// Change the password, knowing the current one. This session stays signed in.
    async fn change_password(
        &self,
        ctx: &Context<'_>,
        input: ChangePasswordInput,
    ) -> Result<ChangePasswordPayload, ApiError> {
        let request = request(ctx)?;
        let caller = request.caller()?;
        let change = ChangePassword {
            current: input.current_password,
            new: input.new_password,
            revoke_other_sessions: input.revoke_other_sessions,
            origin: request.origin(),
        };
        let password::Changed { ended, device_token } = password::change(auth(ctx)?, caller, change).await?;
        Ok(ChangePasswordPayload {
            user: User(caller.user.clone()),
            revoked_sessions: ended.into_iter().map(Session::from).collect(),
            device_token: hand_out_device_token(device_token, caller.session.delivery, request),
        })
    }

    /// Send a password reset link, if there is such an account. The answer never tells.
    async fn request_password_reset(
        &self,
        ctx: &Context<'_>,
        input: RequestPasswordResetInput,
    ) -> Result<EmailSentPayload, ApiError> {
        let origin = request(ctx)?.origin();
        Ok(recovery::request(auth(ctx)?, &input.email, &origin).await?.into())
    }

    /// Set a new password with the token from the email. Ends every session; then sign in again.
    async fn reset_password(
        &self,
        ctx: &Context<'_>,
        input: ResetPasswordInput,
    ) -> Result<ResetPasswordPayload, ApiError> {
        let origin = request(ctx)?.origin();
        let reset = Reset { token: &input.token, new_password: &input.new_password, origin };
        let user = User(recovery::reset(auth(ctx)?, reset).await?);
        Ok(ResetPasswordPayload { user })
    }

    /// Send the verification email again, if there is such an account. The answer never tells.
    async fn request_email_verification(
        &self,
        ctx: &Context<'_>,
        input: RequestEmailVerificationInput,
    ) -> Result<EmailSentPayload, ApiError> {
        let origin = request(ctx)?.origin();
        Ok(verification::request(auth(ctx)?, &input.email, &origin).await?.into())
    }

    /// Verify an email address with the token from the email: it makes the account that was registered, or moves an account to
    /// its new address. Nobody is signed in by it. A new address ends the sessions of its user, all but the one that sends this.
    async fn verify_email(
        &self,
        ctx: &Context<'_>,
        input: VerifyEmailInput,
    ) -> Result<VerifyEmailPayload, ApiError> {
        let request = request(ctx)?;
        let password = non_empty(input.password);
        let (caller, origin) = (request.caller.as_ref(), request.origin());
        let verify = Verify { token: &input.token, password: password.as_ref(), caller, origin };
        Ok(VerifyEmailPayload { user: User(verification::verify(auth(ctx)?, verify).await?) })
    }

    /// Ask to move the account to another email address; it moves when the link sent there is opened.
    async fn change_email(
        &self,
        ctx: &Context<'_>,
        input: ChangeEmailInput,
    ) -> Result<EmailSentPayload, ApiError> {
        let request = request(ctx)?;
        let (caller, origin) = (request.caller()?, request.origin());
        let change = ChangeEmail { new_email: input.new_email, password: input.current_password, origin };
        Ok(email_change::request(auth(ctx)?, caller, change).await?.into())
    }

    /// Erase the signed-in user's account with everything kept about it.
    async fn delete_account(
        &self,
        ctx: &Context<'_>,
        input: DeleteAccountInput,
    ) -> Result<DeleteAccountPayload, ApiError> {
        let request = request(ctx)?;
        let caller = request.caller()?;
        let delete = DeleteAccount { current_password: input.current_password, origin: request.origin() };
        let deleted = deletion::delete(auth(ctx)?, caller, delete).await?;
        request.forget_cookie_of(caller);
        Ok(DeleteAccountPayload { deleted_user_id: deleted.to_string().into() })
    }

    /// Block, unblock or re-role a user. Requires the permission `users:write`.
    async fn update_user(
        &self,
        ctx: &Context<'_>,
        input: UpdateUserInput,
    ) -> Result<UpdateUserPayload, ApiError> {
        let request = request(ctx)?;
        let caller = request.caller()?;
        let update = input.into_request(request.origin());
        let Changed { user, ended } = administration::update(auth(ctx)?, caller, update).await?;
        if ended.iter().any(|session| session.id == caller.session_id()) {
            request.forget_cookie_of(caller);
        }
        Ok(UpdateUserPayload::new(user, ended))
    }
}

/// How a new session is to begin, if the page may have what it asks for.
fn start(
    auth: &Auth,
    request: &RequestContext,
    delivery: Option<TokenDelivery>,
    device_name: Option<&str>,
) -> Result<Start, ApiError> {
    let delivery = delivery.map_or(auth.settings().default_delivery, Delivery::from);
    request.allow_delivery(delivery)?;
    Ok(Start {
        delivery,
        device: request.device(device_name),
        proof: request.proof,
        replaced_cookie: request.cookie.clone(),
    })
}

/// The refresh token of a request, and how it came. Two at once would leave open which session is meant.
fn the_token(
    request: &RequestContext,
    in_body: Option<SecretString>,
) -> Result<Option<(SecretString, Delivery)>, ApiError> {
    match (in_body, &request.cookie) {
        (Some(_), Some(_)) => {
            let message = "There is a refresh token in the cookie and another one in the input.";
            let invalid = Invalid::new("TWO_TOKENS", message);
            Err(ApiError::bad_input(FieldError::at(&["input", "refreshToken"], invalid)))
        }
        (Some(token), None) => Ok(Some((token, Delivery::Body))),
        (None, Some(token)) => Ok(Some((token.clone(), Delivery::Cookie))),
        (None, None) => Ok(None),
    }
}
