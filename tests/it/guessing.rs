//! Guessing: what an attacker with many requests, addresses and accounts gets to try, and that the owner is not in the way.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use axum::http::Method;
use serde_json::json;

use crate::support::{
    ALICE, BOB, Client, PASSWORD, Reply, TestApp, client::MODERN, hours, process::keywheel_on, seconds,
};

/// Only what a test is about limits it.
pub(crate) const OPEN_ADDRESSES: &str = "limits.address_burst = 100000\nlimits.network_burst = 100000\n";
pub(crate) const LOGIN: &str = "mutation ($input: LoginInput!) { login(input: $input) {
    accessToken refreshToken deviceToken session { id } } }";

pub(crate) async fn try_login(
    client: &Client,
    identifier: &str,
    password: &str,
    device: Option<&str>,
) -> Reply {
    let input = json!({ "identifier": identifier, "password": password, "deviceToken": device });
    client.graphql(LOGIN, json!({ "input": input })).await
}

/// Wrong guesses, and how they were answered.
pub(crate) async fn guess(client: &Client, identifier: &str, times: usize) -> BTreeMap<String, usize> {
    let mut answers = BTreeMap::new();
    for i in 0..times {
        let code = try_login(client, identifier, &format!("wrong guess {i}"), None).await.code();
        *answers.entry(code).or_default() += 1;
    }
    answers
}

pub(crate) fn looked_at(answers: &BTreeMap<String, usize>) -> usize {
    assert!(
        answers.keys().all(|code| code == "INVALID_CREDENTIALS" || code == "RATE_LIMITED"),
        "{answers:?}"
    );
    answers.get("INVALID_CREDENTIALS").copied().unwrap_or_default()
}

pub(crate) async fn device_token(app: &TestApp, identifier: &str) -> String {
    let reply = try_login(&app.client().peer("203.0.113.200"), identifier, PASSWORD, None).await;
    reply.data()["login"]["deviceToken"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_account_takes_ten_guesses_and_then_one_each_ten_minutes() {
    for identifier in [ALICE, "nobody@example.com", "no.such.name", "not an identifier at all!"] {
        let app = TestApp::with(OPEN_ADDRESSES).await;
        assert_eq!(looked_at(&guess(&app.client(), identifier, 25).await), 10, "{identifier}");
        app.wait(seconds(599));
        assert_eq!(looked_at(&guess(&app.client(), identifier, 3).await), 0);
        app.wait(seconds(1));
        assert_eq!(looked_at(&guess(&app.client(), identifier, 3).await), 1);
    }
}

#[tokio::test]
async fn who_is_limited_is_told_for_how_long() {
    let app = TestApp::with(OPEN_ADDRESSES).await;
    guess(&app.client(), ALICE, 10).await;
    app.wait(seconds(100));
    let reply = try_login(&app.client().accepting(MODERN), ALICE, PASSWORD, None).await;
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (429, "RATE_LIMITED"));
    assert_eq!(reply.extensions()["retryAfter"], 500);
    assert_eq!(reply.header("retry-after"), "500");
    // The right password makes no difference, and neither does another spelling of the same name.
    for spelling in ["ALICE@EXAMPLE.COM", " alice@example.com ", "alice@EXAMPLE.com"] {
        assert_eq!(try_login(&app.client(), spelling, PASSWORD, None).await.code(), "RATE_LIMITED");
    }
    app.wait(seconds(500));
    try_login(&app.client(), ALICE, PASSWORD, None).await.data();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_guesses_at_once_are_no_more_than_the_burst() {
    let app = TestApp::with(&format!("{OPEN_ADDRESSES}passwords.queue = 1000\n")).await;
    let mut guesses = tokio::task::JoinSet::new();
    for i in 0..200 {
        let client = app.client().peer(&format!("198.51.{}.{}", i / 100, i % 100));
        guesses.spawn(async move { try_login(&client, ALICE, &format!("guess {i}"), None).await.code() });
    }
    let answers = guesses.join_all().await;
    assert_eq!(answers.iter().filter(|code| *code == "INVALID_CREDENTIALS").count(), 10, "{answers:?}");
    assert_eq!(answers.iter().filter(|code| *code == "RATE_LIMITED").count(), 190);
}

#[tokio::test]
async fn a_botnet_gets_no_more_than_the_account_allows_and_the_owner_is_not_in_its_way() {
    let app = TestApp::start().await;
    let known = device_token(&app, ALICE).await;
    let live = app.sign_in(ALICE).await;
    let mut evaluated = 0;
    for address in 0..100 {
        let bot = app.client().peer(&format!("198.{}.7.7", 18 + address));
        evaluated += looked_at(&guess(&bot, ALICE, 5).await);
    }
    assert_eq!(evaluated, 10);
    assert_eq!(try_login(&app.client(), ALICE, PASSWORD, None).await.code(), "RATE_LIMITED");

    try_login(&app.client(), ALICE, PASSWORD, Some(&known)).await.data();
    app.client().refresh(&live.refresh).await.unwrap();
    assert!(app.client().bearing(&live.access).is_signed_in().await);
    let (count, reason) =
        ("SELECT count(*) FROM refresh_sessions WHERE revoked_at IS NOT NULL", "limits end nothing");
    assert_eq!(app.database().number(count).await, 0, "{reason}");
}

#[tokio::test]
async fn aliases_and_fragments_try_one_password_at_most() {
    let app = TestApp::start().await;
    let field = |i: usize| {
        format!("a{i}: login(input: {{ identifier: \"{ALICE}\", password: \"guess {i}\" }}) {{ expiresIn }} ")
    };
    let fields: String = (0..100).map(field).collect();
    for query in [
        format!("mutation {{ {fields} }}"),
        format!("mutation {{ {} ...f }} fragment f on Mutation {{ {} }}", field(1), field(2)),
    ] {
        let reply = app.client().query(&query).await;
        assert_eq!(reply.code(), "OPERATION_TOO_COMPLEX");
    }
    let batch = json!([{ "query": "{ __typename }" }, { "query": "{ __typename }" }]).to_string();
    assert_eq!(app.client().send(Method::POST, "/graphql", batch).await.code(), "BAD_USER_INPUT");
    assert_eq!(app.database().number("SELECT count(*) FROM throttles").await, 0, "nothing was tried");
}

#[tokio::test]
async fn a_right_password_costs_nothing_and_refills_nothing() {
    let app = TestApp::with(OPEN_ADDRESSES).await;
    for _ in 0..30 {
        try_login(&app.client(), BOB, PASSWORD, None).await.data();
    }
    guess(&app.client(), ALICE, 9).await;
    try_login(&app.client(), ALICE, PASSWORD, None).await.data();
    assert_eq!(looked_at(&guess(&app.client(), ALICE, 5).await), 1, "nine were used, and they stay used");
}

#[tokio::test]
async fn an_address_that_signs_in_to_its_own_account_guesses_no_faster() {
    let app = TestApp::with("limits.account_burst = 1000\n").await;
    let mut evaluated = 0;
    for _ in 0..30 {
        if try_login(&app.client(), BOB, PASSWORD, None).await.json()["errors"].is_null() {
            evaluated += looked_at(&guess(&app.client(), ALICE, 1).await);
        }
    }
    assert!(evaluated <= 20, "{evaluated}");
}

#[tokio::test]
async fn an_address_and_its_network_have_limits_whatever_it_says_about_itself() {
    let app = TestApp::with(
        "limits.account_burst = 1000\nlimits.account_monthly = 10000\nlimits.network_burst = 50\n",
    )
    .await;
    // Nobody is trusted to name another address.
    let mut evaluated = 0;
    for i in 0..40 {
        let client = app.client().header("x-forwarded-for", &format!("198.51.100.{i}"));
        let client =
            client.header("forwarded", &format!("for=198.51.100.{i}")).header("x-real-ip", "10.0.0.1");
        evaluated += looked_at(&guess(&client, ALICE, 1).await);
    }
    assert_eq!(evaluated, 20);
    app.wait(seconds(15));
    assert_eq!(looked_at(&guess(&app.client(), ALICE, 3).await), 1);

    let mut network = 0;
    for host in 0..10 {
        network += looked_at(&guess(&app.client().peer(&format!("203.0.113.{host}")), BOB, 10).await);
    }
    assert_eq!(network, 50);
    let mut one_host = 0;
    for interface in 1..=30 {
        let client = app.client().peer(&format!("2001:db8:1:2::{interface:x}"));
        one_host += looked_at(&guess(&client, BOB, 1).await);
    }
    assert_eq!(one_host, 20, "an IPv6 client has a whole /64");
}

#[tokio::test]
async fn an_address_that_sprays_is_slower() {
    let app = TestApp::start().await;
    let client = app.client();
    for account in 0..10 {
        assert_eq!(looked_at(&guess(&client, &format!("user{account}@example.com"), 1).await), 1);
    }
    let mut evaluated = 0;
    for account in 10..40 {
        evaluated += looked_at(&guess(&client, &format!("user{account}@example.com"), 1).await);
        app.wait(seconds(15));
    }
    assert!(evaluated <= 4, "at a tenth of the pace: {evaluated}");
    app.wait(hours(1));
    assert_eq!(looked_at(&guess(&client, ALICE, 1).await), 1);
}

#[tokio::test]
async fn thirty_days_see_fifty_guesses_and_then_one_an_hour_until_there_were_a_hundred() {
    let app = TestApp::with(OPEN_ADDRESSES).await;
    let known = device_token(&app, ALICE).await;
    let mut evaluated = 0;
    let mut days = 0;
    while evaluated < 40 {
        evaluated += looked_at(&guess(&app.client(), ALICE, 4).await);
        app.wait(hours(24));
        days += 1;
        assert!(days <= 30, "{evaluated} after {days} days");
    }
    // What is beyond the budget comes at one an hour.
    let mut beyond = 0;
    for _ in 0..200 {
        beyond += looked_at(&guess(&app.client(), ALICE, 3).await);
        app.wait(hours(1));
    }
    assert_eq!(evaluated + beyond, 100);
    app.wait(hours(24 * 60));
    assert_eq!(looked_at(&guess(&app.client(), ALICE, 3).await), 0, "closed to devices that never signed in");
    assert_eq!(try_login(&app.client(), ALICE, PASSWORD, None).await.code(), "RATE_LIMITED");
    let closed = "SELECT count(*) FROM audit_events WHERE action = 'login.closed'";
    assert_eq!(app.database().number(closed).await, 1);

    // The owner's device opens it again.
    try_login(&app.client(), ALICE, PASSWORD, Some(&known)).await.data();
    try_login(&app.client(), ALICE, PASSWORD, None).await.data();
}

#[tokio::test]
async fn beyond_the_budget_it_is_one_an_hour_and_no_more() {
    let app = TestApp::with(OPEN_ADDRESSES).await;
    let mut at_once = 0;
    for _ in 0..24 {
        at_once += looked_at(&guess(&app.client(), ALICE, 12).await);
        app.wait(seconds(600));
    }
    // Half of the fifty at the pace of the short run; in these four hours two more beyond them, and not a third.
    assert!((25..=27).contains(&at_once), "{at_once}");
    for hour in 0..30 {
        app.wait(hours(1));
        assert_eq!(looked_at(&guess(&app.client(), ALICE, 5).await), 1, "{hour}");
        app.wait(seconds(1));
    }
}

#[tokio::test]
async fn a_clock_that_was_ahead_closes_nothing_for_as_long_as_it_was() {
    let app = TestApp::with(OPEN_ADDRESSES).await;
    app.wait(hours(24 * 400));
    guess(&app.client(), ALICE, 10).await;
    app.clock.turn_back(hours(24 * 400));
    assert_eq!(looked_at(&guess(&app.client(), ALICE, 5).await), 1, "one, and from then on as usual");
    app.wait(hours(1));
    assert_eq!(looked_at(&guess(&app.client(), ALICE, 5).await), 1);
}

#[tokio::test]
async fn an_administrator_opens_an_account_again() {
    let app = TestApp::with(OPEN_ADDRESSES).await;
    guess(&app.client(), ALICE, 12).await;
    guess(&app.client(), "alice", 12).await;
    let opened = keywheel_on(app.database(), &["user", "unlock", ALICE]).output().unwrap();
    assert!(opened.status.success(), "{opened:?}");
    for name in [ALICE, "alice"] {
        try_login(&app.client(), name, PASSWORD, None).await.data();
    }
    let facts = "SELECT count(*) FROM audit_events WHERE action = 'login.opened'";
    assert_eq!(app.database().number(facts).await, 1);
}

#[tokio::test]
async fn the_current_password_cannot_be_guessed_with_a_stolen_access_token() {
    let app = TestApp::start().await;
    let session = app.sign_in(ALICE).await;
    let client = app.client().bearing(&session.access);
    let query = "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { user { id } } }";
    let change = async |current: &str| {
        let input =
            json!({ "input": { "currentPassword": current, "newPassword": "a wholly different one" } });
        client.graphql(query, input).await
    };
    let mut codes = Vec::new();
    for i in 0..15 {
        codes.push(change(&format!("wrong {i}")).await.code());
    }
    assert!(codes[..10].iter().all(|code| code == "INVALID_CREDENTIALS"), "{codes:?}");
    assert!(codes[10..].iter().all(|code| code == "RATE_LIMITED"), "{codes:?}");
    assert_eq!(change(PASSWORD).await.code(), "RATE_LIMITED");
    // It keeps nobody from signing in.
    app.sign_in(ALICE).await;
}

#[tokio::test]
async fn a_sensitive_change_needs_a_recent_sign_in() {
    let app = TestApp::start().await;
    app.add_user("root@example.com", &["admin"]).await;
    let (alice, admin) = (app.sign_in(ALICE).await, app.sign_in("root@example.com").await);
    let change = "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { user { id } } }";
    let input = json!({ "input": { "currentPassword": PASSWORD, "newPassword": "a wholly different one" } });
    let alices_id = alice.body["user"]["id"].as_str().unwrap();
    let revoke = |user: &str| {
        format!(
            "mutation {{ revokeSessions(input: {{ scope: OTHERS, userId: \"{user}\" }}) {{ signedOut }} }}"
        )
    };

    app.wait(seconds(301));
    // Refreshing proves nothing about the person.
    let alice = app.client().refresh(&alice.refresh).await.unwrap();
    let admin = app.client().refresh(&admin.refresh).await.unwrap();
    let (as_alice, as_admin) = (app.client().bearing(&alice.access), app.client().bearing(&admin.access));
    assert_eq!(as_alice.graphql(change, input.clone()).await.code(), "REAUTHENTICATION_REQUIRED");
    assert_eq!(as_admin.query(&revoke(alices_id)).await.code(), "REAUTHENTICATION_REQUIRED");
    // Who suspects a thief must not be asked first.
    as_alice.query("mutation { revokeSessions(input: { scope: OTHERS }) { signedOut } }").await.data();

    let again = app.sign_in(ALICE).await;
    app.client().bearing(&again.access).graphql(change, input).await.data();
    let again = app.sign_in("root@example.com").await;
    app.client().bearing(&again.access).query(&revoke(alices_id)).await.data();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guess_that_was_not_looked_at_is_not_counted() {
    let busy = "passwords.queue = 1\npasswords.workers = 1\npasswords.memory_kib = 32768\n";
    let app = TestApp::with(&format!("{OPEN_ADDRESSES}{busy}")).await;
    let mut guesses = tokio::task::JoinSet::new();
    for i in 0..40 {
        let client = app.client();
        guesses.spawn(async move { try_login(&client, &format!("user{i}"), "guess", None).await.code() });
    }
    let answers = guesses.join_all().await;
    let looked_at = answers.iter().filter(|code| *code == "INVALID_CREDENTIALS").count();
    assert!(answers.iter().any(|code| code == "SERVICE_UNAVAILABLE"), "{answers:?}");
    let counted = "SELECT count(*) FROM throttles WHERE failures = 1";
    assert_eq!(app.database().number(counted).await, i64::try_from(looked_at).unwrap());
}

/// Only the lower bound is certain; it is also the one that matters: the timer decides, not the account.
#[tokio::test]
async fn no_refusal_of_a_sign_in_comes_before_the_floor() {
    let app = TestApp::with("passwords.failure_floor_ms = 200\nlimits.address_burst = 1\n").await;
    let made_up = "kwd_EAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for (name, device, code) in [
        (ALICE, None, "INVALID_CREDENTIALS"),
        (ALICE, None, "RATE_LIMITED"),
        // With a device token the account is looked up, whatever the address did.
        (ALICE, Some(made_up), "RATE_LIMITED"),
        ("nobody@example.com", Some(made_up), "RATE_LIMITED"),
    ] {
        let began = Instant::now();
        assert_eq!(try_login(&app.client(), name, "wrong", device).await.code(), code);
        assert!(began.elapsed() >= Duration::from_millis(200), "{name} {device:?}");
    }
}
