//! Cookie delivery: the table of the rule, tabs that share a jar, and who may use the cookie.

use axum::http::Method;
use futures_util::future::join_all;
use serde_json::json;

use crate::support::{
    ALICE, ORIGIN, PASSWORD, TestApp,
    client::{COOKIE, MODERN},
    hours, seconds,
};

const REFRESH: &str = "mutation { refreshToken { accessToken refreshToken } }";

#[tokio::test]
async fn the_refresh_token_is_in_the_cookie_and_nowhere_else() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let input = json!({ "identifier": ALICE, "password": PASSWORD, "delivery": "COOKIE" });
    let query = "mutation ($input: LoginInput!) { login(input: $input) { refreshToken refreshExpiresIn } }";
    let reply = browser.graphql(query, json!({ "input": input })).await;
    assert_eq!(reply.data()["login"]["refreshToken"], json!(null));
    let cookie = reply.set_cookies().remove(0);
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert!(pair.starts_with(&format!("{COOKIE}=kwr_")), "{pair}");
    assert_eq!(attributes, "HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=604800");
    assert_eq!(reply.header("cache-control"), "no-store");

    let reply = browser.query(REFRESH).await;
    assert_eq!(reply.data()["refreshToken"]["refreshToken"], json!(null));
    assert_eq!(reply.set_cookies().len(), 1);
}

#[tokio::test]
async fn a_young_token_is_kept_and_an_old_one_exchanged() {
    let app = TestApp::start().await;
    let browser = app.browser();
    browser.login(ALICE, "COOKIE").await.unwrap();
    let at_sign_in = browser.cookie();
    browser.refresh_by_cookie().await.unwrap();
    let first = browser.cookie();
    assert_ne!(first, at_sign_in, "the token of the sign-in was never rotated, so it is");

    app.wait(seconds(4));
    browser.refresh_by_cookie().await.unwrap();
    assert_eq!(browser.cookie(), first, "kept");
    app.wait(seconds(1));
    browser.refresh_by_cookie().await.unwrap();
    assert_ne!(browser.cookie(), first, "exchanged");
}

/// A page is loaded again while its refresh is slow; the next page repeats the call and has its answer first.
#[tokio::test]
async fn a_call_that_kept_the_cookie_does_so_again_when_it_arrives_late() {
    let app = TestApp::start().await;
    let browser = app.browser();
    browser.login(ALICE, "COOKIE").await.unwrap();
    browser.refresh_by_cookie().await.unwrap();
    let current = browser.cookie().unwrap();
    let call = json!({ "retryKey": "a".repeat(22) });
    browser.refresh_with(call.clone()).await.unwrap();
    for _ in 0..2 {
        app.wait(seconds(6));
        let (statements, late) = app.statements_of(browser.refresh_with(call.clone())).await;
        assert!(late.is_ok());
        assert_eq!(
            (browser.cookie().unwrap(), statements),
            (current.clone(), 1),
            "nothing is written either"
        );
    }
    browser.refresh_with(json!({ "retryKey": "b".repeat(22) })).await.unwrap();
    let next = browser.cookie().unwrap();
    assert_ne!(next, current);
    // The key was for the token of then.
    app.wait(seconds(6));
    browser.put_cookie(&current);
    assert_eq!(browser.refresh_with(call).await.unwrap_err(), "REFRESH_TOKEN_REUSED");
}

#[tokio::test]
async fn a_tab_that_comes_late_gets_the_same_successor() {
    let app = TestApp::start().await;
    let browser = app.browser();
    browser.login(ALICE, "COOKIE").await.unwrap();
    let old = browser.cookie().unwrap();
    browser.refresh_by_cookie().await.unwrap();
    let new = browser.cookie();
    app.wait(seconds(29));
    browser.put_cookie(&old);
    browser.refresh_by_cookie().await.unwrap();
    assert_eq!(browser.cookie(), new);
}

#[tokio::test]
async fn a_copied_cookie_ends_the_session_and_clears_it() {
    let app = TestApp::start().await;
    let browser = app.browser();
    browser.login(ALICE, "COOKIE").await.unwrap();
    let copied = browser.cookie().unwrap();
    browser.refresh_by_cookie().await.unwrap();
    app.wait(seconds(30));
    let thief = app.browser();
    thief.put_cookie(&copied);
    assert_eq!(thief.refresh_by_cookie().await.unwrap_err(), "REFRESH_TOKEN_REUSED");
    assert_eq!(thief.cookie(), None);
    assert_eq!(browser.refresh_by_cookie().await.unwrap_err(), "REFRESH_TOKEN_INVALID");
    assert_eq!(browser.cookie(), None, "its session is over for good");
}

#[tokio::test]
async fn a_keyed_retry_works_with_cookies_too() {
    let app = TestApp::start().await;
    let browser = app.browser();
    browser.login(ALICE, "COOKIE").await.unwrap();
    let old = browser.cookie().unwrap();
    let input = json!({ "retryKey": "kZ3vXo9cQk2mXc7vP1a0Fg" });
    browser.refresh_with(input.clone()).await.unwrap();
    let new = browser.cookie();
    app.wait(hours(3));
    browser.put_cookie(&old);
    browser.refresh_with(input).await.unwrap();
    assert_eq!(browser.cookie(), new);
}

#[tokio::test]
async fn eight_tabs_refresh_at_once_a_hundred_times() {
    let app = TestApp::start().await;
    let browser = app.browser();
    browser.login(ALICE, "COOKIE").await.unwrap();
    for round in 0..100 {
        let tabs = (0..8).map(|_| {
            let tab = browser.clone();
            tokio::spawn(async move { tab.refresh_by_cookie().await })
        });
        for tab in join_all(tabs).await {
            assert!(tab.unwrap().is_ok(), "signed out in round {round}");
        }
        app.wait(seconds(if round % 3 == 0 { 2 } else { 240 }));
    }
}

#[tokio::test]
async fn limits_and_faults_leave_the_cookie_alone() {
    let app = TestApp::start().await;
    let browser = app.browser();
    browser.login(ALICE, "COOKIE").await.unwrap();
    let old = browser.cookie().unwrap();
    browser.refresh_by_cookie().await.unwrap();
    for _ in 0..10 {
        browser.put_cookie(&old);
        browser.refresh_by_cookie().await.unwrap();
    }
    browser.put_cookie(&old);
    assert_eq!(browser.refresh_by_cookie().await.unwrap_err(), "RATE_LIMITED");
    assert_eq!(browser.cookie().as_ref(), Some(&old));

    app.app().store().clone().close().await.unwrap();
    let reply = browser.clone().accepting(MODERN).query(REFRESH).await;
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (503, "SERVICE_UNAVAILABLE"));
    assert_eq!(reply.extensions()["retryAfter"], 1);
    assert_eq!(reply.extensions()["requestId"], reply.header("x-request-id"));
    assert!(reply.set_cookies().is_empty());
}

#[tokio::test]
async fn each_token_works_in_its_own_delivery_only() {
    let app = TestApp::start().await;
    let browser = app.browser();
    browser.login(ALICE, "COOKIE").await.unwrap();
    let cookie_token = browser.cookie().unwrap();
    assert_eq!(app.client().refresh(&cookie_token).await.unwrap_err(), "REFRESH_TOKEN_INVALID");

    let body_token = app.sign_in(ALICE).await.refresh;
    let other = app.browser();
    other.put_cookie(&body_token);
    assert_eq!(other.refresh_by_cookie().await.unwrap_err(), "REFRESH_TOKEN_INVALID");

    let both = browser.refresh_reply(json!({ "refreshToken": body_token })).await;
    assert_eq!(both.code(), "BAD_USER_INPUT");
    assert_eq!(both.extensions()["fields"][0]["code"], "TWO_TOKENS");
    assert!(browser.refresh_by_cookie().await.is_ok(), "nothing was ended by any of this");
}

#[tokio::test]
async fn only_an_allowed_page_may_use_the_cookie() {
    let app = TestApp::with("allowed_origins = [\"https://app.example.com\"]\n").await;
    let browser = app.browser();
    browser.login(ALICE, "COOKIE").await.unwrap();
    let cookie = browser.cookie().unwrap();
    let with_cookie = || app.client().header("cookie", &format!("{COOKIE}={cookie}")).accepting(MODERN);

    for evil in ["https://evil.example", "null", "http://app.example.com", "http://localhost:4001"] {
        let reply = with_cookie().at_origin(evil).query(REFRESH).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (403, "ORIGIN_NOT_ALLOWED"), "{evil}");
        assert!(reply.json().get("data").is_none());
        assert!(reply.set_cookies().is_empty());
    }
    assert_eq!(with_cookie().query(REFRESH).await.code(), "ORIGIN_NOT_ALLOWED", "a page that does not say");
    let cross_site = with_cookie().header("sec-fetch-site", "cross-site");
    assert_eq!(cross_site.query(REFRESH).await.code(), "ORIGIN_NOT_ALLOWED");

    for allowed in ["https://app.example.com", ORIGIN] {
        with_cookie().at_origin(allowed).query(REFRESH).await.data();
    }
    with_cookie().header("sec-fetch-site", "same-origin").query(REFRESH).await.data();
}

#[tokio::test]
async fn a_foreign_page_can_neither_sign_anybody_in_nor_send_a_form() {
    let app = TestApp::start().await;
    for (mutation, input) in [
        ("login", json!({ "identifier": ALICE, "password": PASSWORD, "delivery": "COOKIE" })),
        ("register", json!({ "email": "c@example.com", "password": PASSWORD, "delivery": "COOKIE" })),
    ] {
        let kind = if mutation == "login" { "LoginInput" } else { "RegisterInput" };
        let query = format!("mutation ($input: {kind}!) {{ {mutation}(input: $input) {{ __typename }} }}");
        let foreign = app.client().at_origin("https://evil.example").accepting(MODERN);
        let reply = foreign.graphql(&query, json!({ "input": input })).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (403, "ORIGIN_NOT_ALLOWED"));
        assert!(reply.set_cookies().is_empty());
    }
    assert_eq!(app.client().login("c@example.com", "BODY").await.unwrap_err(), "INVALID_CREDENTIALS");

    let browser = app.browser();
    browser.login(ALICE, "COOKIE").await.unwrap();
    let body = json!({ "query": "mutation { logout { session { id } } }" }).to_string();
    for form in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""] {
        let reply =
            browser.clone().header("content-type", form).send(Method::POST, "/graphql", body.clone()).await;
        assert_eq!(reply.status, 415, "{form}");
    }
    assert!(browser.refresh_by_cookie().await.is_ok());
}

#[tokio::test]
async fn a_cookie_of_somebody_else_does_not_get_in_the_way() {
    let app = TestApp::start().await;
    let browser = app.browser();
    browser.login(ALICE, "COOKIE").await.unwrap();
    let ours = format!("{COOKIE}={}", browser.cookie().unwrap());
    for theirs in [&b"name=Zo\xc3\xab"[..], b"name=Zo\xeb", b"=;;;", b"a=\"b", b"__Host-keywheel="] {
        for line in [[theirs, b"; ", ours.as_bytes()].concat(), [ours.as_bytes(), b"; ", theirs].concat()] {
            let client = app.client().at_origin(ORIGIN).raw_header("cookie", &line);
            client.query(REFRESH).await.data();
        }
    }
}

#[tokio::test]
async fn a_get_never_uses_the_cookie() {
    let app = TestApp::start().await;
    let browser = app.browser();
    browser.login(ALICE, "COOKIE").await.unwrap();
    let reply = browser.get("/graphql?query=%7Bme%7Bid%7D%7D").await;
    assert_eq!(reply.data()["me"], json!(null));
    let reply = browser.get("/graphql?query=mutation%7Blogout%7Bsession%7Bid%7D%7D%7D").await;
    assert_eq!((reply.status.as_u16(), reply.header("allow")), (405, "POST"));
}

#[tokio::test]
async fn signing_in_again_ends_the_session_of_the_old_cookie() {
    let app = TestApp::start().await;
    let browser = app.browser();
    browser.login(ALICE, "COOKIE").await.unwrap();
    let first = browser.cookie().unwrap();
    browser.login(ALICE, "COOKIE").await.unwrap();
    let second = browser.cookie().unwrap();
    let carol = json!({ "email": "carol@example.com", "password": PASSWORD, "delivery": "COOKIE" });
    browser.register(carol).await.data();
    for old in [first, second] {
        let stale = app.browser();
        stale.put_cookie(&old);
        assert_eq!(stale.refresh_by_cookie().await.unwrap_err(), "REFRESH_TOKEN_INVALID");
    }
    assert!(browser.refresh_by_cookie().await.is_ok());
}

#[tokio::test]
async fn logging_out_clears_the_cookie_whatever_it_holds() {
    let app = TestApp::start().await;
    let logout = "mutation { logout { session { id revokedReason } } }";
    let browser = app.browser();
    let session = browser.login(ALICE, "COOKIE").await.unwrap().session;
    let reply = browser.query(logout).await;
    assert_eq!(reply.data()["logout"]["session"], json!({ "id": session, "revokedReason": "LOGOUT" }));
    assert_eq!(
        reply.set_cookies(),
        [format!("{COOKIE}=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0")]
    );
    browser.put_cookie("garbage");
    assert_eq!(browser.query(logout).await.data()["logout"]["session"], json!(null));
    assert_eq!(browser.cookie(), None);
    assert!(browser.query(logout).await.set_cookies().is_empty(), "there was none to clear");
}
