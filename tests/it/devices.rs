//! Devices that signed in before: what their tokens are good for, and what not.

use serde_json::{Value, json};

use crate::{
    guessing::{LOGIN, OPEN_ADDRESSES, device_token, guess, try_login},
    support::{ALICE, BOB, PASSWORD, TestApp, process::keywheel_on, seconds},
};

#[tokio::test]
async fn a_device_token_is_no_password_and_runs_out_like_one() {
    let app = TestApp::with(OPEN_ADDRESSES).await;
    let known = device_token(&app, ALICE).await;
    let with_device = async |identifier: &str, password: &str, token: &str| {
        let reply = try_login(&app.client(), identifier, password, Some(token)).await;
        if reply.json()["errors"].is_null() { "OK".to_owned() } else { reply.code() }
    };
    assert_eq!(with_device(ALICE, "wrong", &known).await, "INVALID_CREDENTIALS");
    // Ten guesses of the device, then ten more like anybody's.
    let mut evaluated = 1;
    for i in 0..40 {
        evaluated +=
            usize::from(with_device(ALICE, &format!("wrong {i}"), &known).await == "INVALID_CREDENTIALS");
    }
    assert_eq!(evaluated, 20);
    app.wait(seconds(180));
    assert_eq!(with_device(ALICE, PASSWORD, &known).await, "OK");
    // It is of no use at another account, and neither is one that was made up.
    guess(&app.client(), BOB, 10).await;
    for token in [known.as_str(), "kwd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "", "nonsense"] {
        assert_eq!(with_device(BOB, PASSWORD, token).await, "RATE_LIMITED", "{token}");
    }
}

#[tokio::test]
async fn a_stolen_device_token_is_good_for_a_hundred_guesses_and_no_more() {
    let app = TestApp::with(OPEN_ADDRESSES).await;
    let known = device_token(&app, ALICE).await;
    // What the device does not pay for, nobody does.
    app.sql("UPDATE throttles SET failures = 100").await;
    let mut evaluated = 0;
    for i in 0..150 {
        let reply = try_login(&app.client(), ALICE, &format!("wrong {i}"), Some(&known)).await;
        evaluated += usize::from(reply.code() == "INVALID_CREDENTIALS");
        app.wait(seconds(180));
    }
    assert_eq!(evaluated, 100);
    assert_eq!(try_login(&app.client(), ALICE, PASSWORD, Some(&known)).await.code(), "RATE_LIMITED");

    // Once the owner has shown to know the password, the device is known again, under another name.
    let opened = keywheel_on(app.database(), &["user", "unlock", ALICE]).output().unwrap();
    assert!(opened.status.success(), "{opened:?}");
    let reply = try_login(&app.client(), ALICE, PASSWORD, Some(&known)).await;
    let renewed = reply.data()["login"]["deviceToken"].as_str().unwrap().to_owned();
    guess(&app.client(), ALICE, 30).await;
    assert_eq!(try_login(&app.client(), ALICE, PASSWORD, Some(&known)).await.code(), "RATE_LIMITED");
    try_login(&app.client(), ALICE, PASSWORD, Some(&renewed)).await.data();
}

#[tokio::test]
async fn a_browser_keeps_its_device_token_in_a_cookie_of_its_own() {
    let app = TestApp::with(OPEN_ADDRESSES).await;
    let browser = app.browser();
    let input = json!({ "identifier": ALICE, "password": PASSWORD, "delivery": "COOKIE" });
    let reply = browser.graphql(LOGIN, json!({ "input": input })).await;
    assert_eq!(reply.data()["login"]["deviceToken"], Value::Null);
    let cookies = reply.set_cookies();
    let kept = cookies.iter().find(|cookie| cookie.starts_with("__Host-keywheel-device=kwd_")).unwrap();
    for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=31536000"] {
        assert!(kept.contains(attribute), "{kept}");
    }
    assert!(!kept.contains("Domain"));
    let kept = kept.split(';').next().unwrap();

    guess(&app.client(), ALICE, 10).await;
    let from = |origin: &str| app.client().at_origin(origin).header("cookie", kept);
    try_login(&from("http://localhost:4000"), ALICE, PASSWORD, None).await.data();
    assert_eq!(try_login(&from("https://evil.example"), ALICE, PASSWORD, None).await.code(), "RATE_LIMITED");
    let signed_out = browser.query("mutation { logout { session { id } } }").await.set_cookies();
    assert!(signed_out.iter().all(|cookie| !cookie.contains("keywheel-device")), "{signed_out:?}");
}

#[tokio::test]
async fn a_new_password_ends_the_trust_in_devices_but_for_the_one_that_set_it() {
    let app = TestApp::with(OPEN_ADDRESSES).await;
    let old = device_token(&app, ALICE).await;
    let session = app.sign_in(ALICE).await;
    let query = "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { deviceToken } }";
    let input = json!({ "input": { "currentPassword": PASSWORD, "newPassword": "a wholly different one" } });
    let reply = app.client().bearing(&session.access).graphql(query, input).await;
    let new = reply.data()["changePassword"]["deviceToken"].as_str().unwrap().to_owned();
    guess(&app.client(), ALICE, 10).await;
    let login =
        async |token: &str| try_login(&app.client(), ALICE, "a wholly different one", Some(token)).await;
    assert_eq!(login(&old).await.code(), "RATE_LIMITED");
    login(&new).await.data();
}
