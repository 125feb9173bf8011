//! The letters that wait to be sent, with their tokens, and what is done with those.

use std::sync::Arc;

use keywheel::{
    crypto::mail_token::MailTokens,
    domain::letter::{LetterKind, Recipient},
    store::{mails, one_time},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{Client, ORIGIN, Reply, SECRET, TestApp};

/// A letter on its way.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    pub(crate) kind: LetterKind,
    /// `None` when it goes to the address that its user has then.
    pub(crate) to: Option<String>,
    /// Empty when there is none in it, or it was used up meanwhile.
    pub(crate) token: String,
}

impl TestApp {
    /// The letters that were posted since the last time, the oldest first. Their tokens are made as the sender makes them.
    pub(crate) async fn posted(&self) -> Vec<Posted> {
        let tokens = MailTokens::new(Arc::new(SECRET.parse().unwrap()), ORIGIN.to_owned());
        let (store, now) = (self.app().store(), self.surroundings().clock.now());
        let mut queue = mails::due(store, now, 1000).await.unwrap().letters;
        queue.sort_by_key(|queued| queued.id.as_uuid());
        let mut posted = Vec::new();
        for queued in queue {
            mails::remove(store, queued.id).await.unwrap();
            let row = match queued.letter.token {
                Some(id) => one_time::find(store, &id, now).await.unwrap(),
                None => None,
            };
            let token = row.and_then(|(row, _)| tokens.issue(&row));
            let to = match queued.letter.to {
                Recipient::Address(address) => Some(address.to_string()),
                Recipient::User => None,
            };
            let token = token.map_or(String::new(), |token| token.expose_secret().to_owned());
            posted.push(Posted { kind: queued.letter.kind, to, token });
        }
        posted
    }

    /// The only letter that was posted since the last time.
    pub(crate) async fn letter(&self) -> Posted {
        let mut posted = self.posted().await;
        assert_eq!(posted.len(), 1, "{posted:?}");
        posted.remove(0)
    }

    /// Which letters were posted since the last time.
    pub(crate) async fn kinds(&self) -> Vec<LetterKind> {
        self.posted().await.into_iter().map(|letter| letter.kind).collect()
    }
}

impl Client {
    pub(crate) async fn ask_for_reset(&self, email: &str) -> Reply {
        let query = "mutation ($i: RequestPasswordResetInput!) {
            requestPasswordReset(input: $i) { expiresIn retryAfter } }";
        self.graphql(query, json!({ "i": { "email": email } })).await
    }

    pub(crate) async fn reset(&self, token: &str, password: &str) -> Reply {
        let query = "mutation ($i: ResetPasswordInput!) { resetPassword(input: $i) { user { id email emailVerified } } }";
        self.graphql(query, json!({ "i": { "token": token, "newPassword": password } })).await
    }

    pub(crate) async fn ask_for_verification(&self, email: &str) -> Reply {
        let query = "mutation ($i: RequestEmailVerificationInput!) {
            requestEmailVerification(input: $i) { expiresIn retryAfter } }";
        self.graphql(query, json!({ "i": { "email": email } })).await
    }

    pub(crate) async fn verify(&self, token: &str) -> Reply {
        self.verify_with(json!({ "token": token })).await
    }

    pub(crate) async fn verify_with(&self, input: Value) -> Reply {
        let query = "mutation ($i: VerifyEmailInput!) {
            verifyEmail(input: $i) { user { id email username emailVerified } } }";
        self.graphql(query, json!({ "i": input })).await
    }

    pub(crate) async fn change_email(&self, new: &str, password: &str) -> Reply {
        let query = "mutation ($i: ChangeEmailInput!) { changeEmail(input: $i) { expiresIn retryAfter } }";
        self.graphql(query, json!({ "i": { "newEmail": new, "currentPassword": password } })).await
    }

    pub(crate) async fn login_as(&self, identifier: &str, password: &str) -> Result<super::Tokens, String> {
        self.login_with(json!({ "identifier": identifier, "password": password })).await
    }
}
