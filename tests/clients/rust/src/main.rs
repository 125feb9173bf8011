//! Signs in with nothing but what was generated from the schema: `keywheel-rust-client <endpoint>`.

#![deny(warnings)]

use std::error::Error;

use graphql_client::{GraphQLQuery, Response};
use keywheel_rust_client::{
    Login, Logout, Me, MySessions, Refresh, Register, RevokeOthers, login, logout, me, my_sessions, refresh,
    register, revoke_others,
};
use serde::de::DeserializeOwned;

const EMAIL: &str = "rust@example.com";
const PASSWORD: &str = "correct horse battery staple";

struct Client {
    endpoint: String,
    agent: ureq::Agent,
}

impl Client {
    fn ask<Q: GraphQLQuery>(
        &self,
        variables: Q::Variables,
        token: Option<&str>,
    ) -> Result<Response<Q::ResponseData>, Box<dyn Error>>
    where
        Q::ResponseData: DeserializeOwned,
    {
        let mut request = self.agent.post(&self.endpoint).header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = serde_json::to_string(&Q::build_query(variables))?;
        Ok(serde_json::from_str(&request.send(body)?.body_mut().read_to_string()?)?)
    }

    fn data<Q: GraphQLQuery>(
        &self,
        variables: Q::Variables,
        token: Option<&str>,
    ) -> Result<Q::ResponseData, Box<dyn Error>>
    where
        Q::ResponseData: DeserializeOwned,
    {
        let response = self.ask::<Q>(variables, token)?;
        match (response.data, response.errors) {
            (Some(data), None) => Ok(data),
            (_, errors) => Err(format!("{errors:?}").into()),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let endpoint = std::env::args().nth(1).ok_or("usage: keywheel-rust-client <endpoint>")?;
    let client = Client { endpoint, agent: ureq::Agent::new_with_defaults() };

    // What is optional and absent goes out as null here, and means the same. What is added later does not break this.
    let input =
        register::RegisterInput { email: EMAIL.into(), password: PASSWORD.into(), ..Default::default() };
    let registered = client.data::<Register>(register::Variables { input }, None)?.register;
    assert_eq!(registered.auth.ok_or("no session")?.user.email.as_deref(), Some(EMAIL));

    let input = login::LoginInput {
        identifier: EMAIL.into(),
        password: PASSWORD.into(),
        delivery: Some(login::TokenDelivery::BODY),
        device_name: Some("graphql_client".into()),
        ..Default::default()
    };
    let login = client.data::<Login>(login::Variables { input }, None)?.login;
    assert_eq!(login.token_type, login::TokenType::BEARER);

    let me = client.data::<Me>(me::Variables, Some(&login.access_token))?;
    assert!(me.settings.error_codes.contains(&me::ErrorCode::UNAUTHENTICATED));
    assert_eq!(me.me.ok_or("nobody")?.id, login.user.id);

    let input = refresh::RefreshTokenInput {
        refresh_token: login.refresh_token,
        retry_key: Some("a2VlcC1pdC1iZXNpZGUtdGhlLXRva2Vu".into()),
    };
    let refresh = || -> Result<refresh::Auth, Box<dyn Error>> {
        Ok(client.data::<Refresh>(refresh::Variables { input: Some(input.clone()) }, None)?.refresh_token)
    };
    let (first, again) = (refresh()?, refresh()?);
    assert_eq!(first.refresh_token, again.refresh_token, "the same call again gives the same successor");
    let token = Some(again.access_token.as_str());

    let page = |first, after| -> Result<_, Box<dyn Error>> {
        let me = client.data::<MySessions>(my_sessions::Variables { first, after }, token)?.me;
        Ok(me.ok_or("nobody")?.sessions)
    };
    let newest = page(1, None)?;
    assert!(newest.page_info.has_next_page && newest.edges[0].node.current);
    assert_eq!(page(5, newest.page_info.end_cursor)?.edges.len(), 1);

    let ended = client.data::<RevokeOthers>(revoke_others::Variables, token)?.revoke_sessions.sessions;
    let reasons: Vec<_> = ended.into_iter().map(|session| session.revoked_reason).collect();
    assert_eq!(reasons, [Some(revoke_others::RevocationReason::REVOKED_BY_USER)]);
    let left = client.data::<Logout>(logout::Variables, token)?.logout.session.ok_or("no session")?;
    assert_eq!((left.id, left.revoked_reason), (login.session.id, Some(logout::RevocationReason::LOGOUT)));

    let errors = client.ask::<Me>(me::Variables, token)?.errors.ok_or("still signed in")?;
    let extensions = errors[0].extensions.as_ref().ok_or("no code")?;
    assert_eq!(
        (&extensions["code"], &extensions["reason"]),
        (&"UNAUTHENTICATED".into(), &"SESSION_REVOKED".into())
    );
    println!("ok   a Rust client signs in, refreshes, ends its sessions and signs out");
    Ok(())
}
