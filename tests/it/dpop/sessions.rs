//! Beginning, refreshing and ending bound sessions.

use keywheel::clock::Clock;
use serde_json::{Value, json};

use super::{proof_refused, refusal};
use crate::support::{ALICE, PASSWORD, TestApp, client::MODERN, dpop::Signer, hours, seconds};

fn claims_of(token: &str) -> Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_proof_at_sign_in_binds_the_session() {
    let app = TestApp::start().await;
    let carol = json!({ "email": "carol@example.com", "password": PASSWORD });
    for prover in [app.prover(), app.prover().with_key(Signer::ed25519()), app.browser_prover()] {
        let delivery = if prover.client.cookie_jar() { "COOKIE" } else { "BODY" };
        let login = prover.login_reply(ALICE, delivery).await.tokens("login").unwrap();
        assert_eq!(login.body["tokenType"], "DPOP");
        assert_eq!(claims_of(&login.access)["cnf"], json!({ "jkt": prover.signer.jkt }));
        assert!(prover.is_signed_in(&login.access).await);
        assert_eq!(prover.client.cookie().is_some(), delivery == "COOKIE");

        app.wait(hours(1));
        let input = if delivery == "COOKIE" { Value::Null } else { json!({ "refreshToken": login.refresh }) };
        let refreshed = prover.refresh_with(input).await.unwrap();
        assert_eq!((&refreshed.body["tokenType"], &refreshed.session), (&json!("DPOP"), &login.session));
        assert_eq!(claims_of(&refreshed.access)["cnf"]["jkt"], prover.signer.jkt);
        assert!(prover.is_signed_in(&refreshed.access).await);
    }
    let prover = app.thief().await;
    let registered = prover.showing(&prover.proof(None)).register(carol).await.data();
    assert_eq!(registered["register"]["auth"]["tokenType"], "DPOP");

    let unbound = app.sign_in(ALICE).await;
    assert_eq!(unbound.body["tokenType"], "BEARER");
    assert_eq!(claims_of(&unbound.access).get("cnf"), None);
}

/// Nothing at all is done for a proof without a nonce: no statement, no hash.
#[tokio::test]
async fn a_nonce_is_asked_for_before_anything_runs() {
    let app = TestApp::start().await;
    let prover = app.prover();
    let bound = prover.login(ALICE).await;
    for stale in [None, Some("AAAAAAAAAAAAAAAAAAAAAA".to_owned())] {
        for (accept, status) in [(MODERN, 400), ("application/json", 200)] {
            prover.use_nonce(stale.clone());
            let client = prover.showing(&prover.proof(None)).accepting(accept);
            let login = json!({ "identifier": ALICE, "password": PASSWORD });
            let (statements, replies) = app
                .statements_of(async {
                    [
                        client.login_reply(login.clone()).await,
                        client.register(json!({ "email": "carol@example.com", "password": PASSWORD })).await,
                        client.refresh_reply(json!({ "refreshToken": bound.refresh })).await,
                    ]
                })
                .await;
            assert_eq!(statements, 0);
            for reply in replies {
                assert_eq!((reply.status.as_u16(), reply.code().as_str()), (status, "DPOP_NONCE_REQUIRED"));
                assert!(reply.json().get("data").is_none());
                assert!(!reply.headers.contains_key("www-authenticate"));
                prover.remember(reply);
            }
            // The very same again, with the nonce.
            assert!(prover.refresh(&bound.refresh).await.is_ok());
        }
    }
}

#[tokio::test]
async fn nonces_are_renewed_ahead_and_go_stale() {
    let app = TestApp::start().await;
    let prover = app.prover();
    let mut tokens = prover.login(ALICE).await;
    let first = prover.nonce();
    // The clock of the tests begins 95 seconds into a period.
    app.wait(seconds(54));
    let reply = prover.remember(prover.bearing(&tokens.access).query("{ me { id } }").await);
    reply.data();
    assert_eq!(prover.nonce(), first);
    app.wait(seconds(1));
    prover.remember(prover.bearing(&tokens.access).query("{ me { id } }").await).data();
    let second = prover.nonce();
    assert_ne!(second, first, "told with an answer that is good");

    let once = |nonce| {
        prover.use_nonce(nonce);
        let client = prover.showing(&prover.proof(None));
        async move { client.refresh_reply(json!({ "refreshToken": tokens.refresh.clone() })).await }
    };
    app.wait(seconds(149));
    tokens = once(first.clone()).await.tokens("refreshToken").unwrap();
    app.wait(seconds(1));
    prover.use_nonce(first);
    let call = json!({ "refreshToken": tokens.refresh });
    let late = prover.showing(&prover.proof(None));
    assert_eq!(late.refresh_reply(call.clone()).await.code(), "DPOP_NONCE_REQUIRED");
    prover.use_nonce(second);
    let good = prover.showing(&prover.proof(None));
    assert!(good.refresh_reply(call).await.tokens("refreshToken").is_ok());
}

/// With proofs or without, before the nonce and after it, and whatever comes of the request.
#[tokio::test]
async fn whoever_sends_a_proof_is_told_the_nonce() {
    let app = TestApp::start().await;
    let prover = app.prover();
    for query in [
        "{ settings { registrationOpen } }",
        "{ me { id } }",
        "{ nonsense",
        "mutation { logout { session { id } } }",
    ] {
        let reply = prover.showing("x").query(query).await;
        assert!(reply.headers.contains_key("dpop-nonce"), "{query}");
        assert!(!prover.client.query(query).await.headers.contains_key("dpop-nonce"), "{query}");
    }
    let unacceptable = prover.showing("x").accepting("text/plain").query("{ me { id } }").await;
    assert_eq!(unacceptable.status, 406);
    assert!(unacceptable.headers.contains_key("dpop-nonce"));
    assert!(
        !app.client()
            .login_reply(json!({ "identifier": ALICE, "password": PASSWORD }))
            .await
            .headers
            .contains_key("dpop-nonce")
    );
}

/// A client that wants a bound session must not get another one instead.
#[tokio::test]
async fn a_wrong_proof_at_sign_in_is_refused() {
    let app = TestApp::start().await;
    let prover = app.thief().await;
    let input = json!({ "identifier": ALICE, "password": PASSWORD });
    let mut other = prover.claims(None);
    other["htu"] = "https://evil.example/graphql".into();
    let with_token = prover.proof(Some("an access token"));
    for (proof, reason) in [
        ("garbage", "PROOF_MALFORMED"),
        ("", "PROOF_MALFORMED"),
        (&prover.signer.sign(&prover.signer.header(), &other), "PROOF_FOR_OTHER_REQUEST"),
        (&with_token, "PROOF_FOR_OTHER_REQUEST"),
    ] {
        let reply = prover.showing(proof).accepting(MODERN).login_reply(input.clone()).await;
        assert_eq!((reply.status.as_u16(), refusal(&reply)), (400, proof_refused(reason)), "{proof}");
    }
    let two = prover.showing(&prover.proof(None)).header("dpop", &prover.proof(None));
    assert_eq!(refusal(&two.login_reply(input.clone()).await), proof_refused("PROOF_MALFORMED"));
    let once = prover.showing(&prover.proof(None));
    assert!(once.login_reply(input.clone()).await.tokens("login").is_ok());
    assert_eq!(refusal(&once.login_reply(input.clone()).await), proof_refused("PROOF_REPLAYED"));
    assert_eq!(app.database().number("SELECT count(*) FROM refresh_sessions").await, 1);

    // A proof that did not sign anybody in can be used again: nothing is stored for guessers.
    let guess = prover.showing(&prover.proof(None));
    let wrong = json!({ "identifier": ALICE, "password": "wrong wrong wrong" });
    for _ in 0..2 {
        assert_eq!(guess.login_reply(wrong.clone()).await.code(), "INVALID_CREDENTIALS");
    }
    assert_eq!(app.database().number("SELECT count(*) FROM dpop_proofs").await, 1);
}

/// Each wrong call, to a session in the body and to one in a cookie: neither is ended, and no cookie touched.
#[tokio::test]
async fn a_wrong_proof_changes_nothing() {
    let app = TestApp::start().await;
    let owner = app.prover();
    let tokens = owner.login(ALICE).await;
    let input = json!({ "refreshToken": tokens.refresh });
    let browser = app.browser_prover();
    browser.login_reply(ALICE, "COOKIE").await.tokens("login").unwrap();
    let cookie = browser.client.cookie();

    for age in [0, 7200] {
        app.wait(seconds(age));
        let thief = app.thief().await;
        for (client, reason) in [
            (app.client(), "PROOF_MISSING"),
            (thief.showing(&thief.proof(None)), "PROOF_BY_OTHER_KEY"),
            (thief.showing("x"), "PROOF_MALFORMED"),
            (thief.showing(&thief.proof(Some(&tokens.access))), "PROOF_FOR_OTHER_REQUEST"),
        ] {
            let reply = client.refresh_reply(input.clone()).await;
            assert_eq!(refusal(&reply), proof_refused(reason));
            assert!(reply.headers.contains_key("dpop-nonce"), "{reason}");
        }
        let in_browser = |proof: Option<&str>| {
            let client = app.browser();
            client.put_cookie(cookie.as_ref().unwrap());
            proof.map_or(client.clone(), |proof| client.header("dpop", proof))
        };
        for proof in [None, Some("x"), Some(thief.proof(None).as_str())] {
            let client = in_browser(proof);
            let reply = client.refresh_reply(Value::Null).await;
            assert_eq!(reply.code(), "DPOP_PROOF_INVALID");
            assert!(reply.set_cookies().is_empty());
        }
    }
    assert!(owner.refresh(&tokens.refresh).await.is_ok());
    assert!(browser.refresh_with(Value::Null).await.is_ok());
    assert_ne!(browser.client.cookie(), cookie);
}

/// Once a minute for each session, however often the thief tries; and no honest client is taken for one.
#[tokio::test]
async fn the_owner_can_see_that_somebody_has_a_copy() {
    let app = TestApp::start().await;
    let owner = app.prover();
    let tokens = owner.login(ALICE).await;
    let thief = app.thief().await;
    let told = async || -> Vec<Value> {
        let query = "{ auditEvents { nodes { action detail ipAddress session { id } } } }";
        let events = owner.bearing(&tokens.access).query(query).await.data();
        let nodes = events["auditEvents"]["nodes"].as_array().unwrap().clone();
        nodes.into_iter().filter(|node| node["action"] == "session.proof_rejected").collect()
    };
    let event = |detail: &str| {
        json!({ "action": "session.proof_rejected", "detail": detail, "ipAddress": "198.51.100.7",
                "session": { "id": tokens.session } })
    };
    let call = json!({ "refreshToken": tokens.refresh });
    owner.use_nonce(None);
    owner.refresh_with(call.clone()).await.unwrap();
    assert_eq!(told().await, Vec::<Value>::new());
    let mut expected = Vec::new();
    for (client, detail) in [
        (app.client(), "there is no proof"),
        (thief.showing(&thief.proof(None)), "the proof is by another key"),
    ] {
        for _ in 0..3 {
            client.clone().peer("198.51.100.7").refresh_reply(call.clone()).await;
        }
        expected.insert(0, event(detail));
        assert_eq!(told().await, expected);
        app.wait(seconds(60));
    }
    let with_bearer = app.client().bearing(&tokens.access).peer("198.51.100.7");
    assert_eq!(with_bearer.query("{ me { id } }").await.code(), "UNAUTHENTICATED");
    expected.insert(0, event("there is no proof"));
    assert_eq!(told().await, expected);
    app.wait(seconds(60));
    thief.bearing(&tokens.access).peer("198.51.100.7").query("{ me { id } }").await;
    expected.insert(0, event("the proof is by another key"));
    assert_eq!(told().await, expected);
}

/// The rule forgives a lost answer at any time to whoever has the key, without a retry key; and nobody else.
#[tokio::test]
async fn the_predecessor_is_a_replay_with_the_key_and_nothing_without() {
    let app = TestApp::with("tokens.race_window_ms = 0\ntokens.retry_window_ms = 0\n").await;
    let owner = app.prover();
    let first = owner.login(ALICE).await;
    let second = owner.refresh(&first.refresh).await.unwrap();
    app.wait(hours(3));
    let thief = app.thief().await;
    assert_eq!(thief.refresh(&first.refresh).await.unwrap_err(), "DPOP_PROOF_INVALID");
    assert_eq!(app.client().refresh(&first.refresh).await.unwrap_err(), "DPOP_PROOF_INVALID");
    for _ in 0..12 {
        assert_eq!(owner.refresh(&first.refresh).await.unwrap().refresh, second.refresh);
    }
    let third = owner.refresh(&second.refresh).await.unwrap();
    assert_eq!(thief.refresh(&first.refresh).await.unwrap_err(), "DPOP_PROOF_INVALID");
    assert!(owner.is_signed_in(&third.access).await, "not even a token that was replaced twice ends it");
    // With the key it is reuse: the one who has the successor has used it.
    assert_eq!(owner.refresh(&first.refresh).await.unwrap_err(), "REFRESH_TOKEN_REUSED");
    assert_eq!(owner.refresh(&third.refresh).await.unwrap_err(), "REFRESH_TOKEN_INVALID");
}

/// A lost answer: the client repeats the call with the same retry key and a new proof.
#[tokio::test]
async fn a_repeated_call_has_a_new_proof_and_the_same_answer() {
    let app = TestApp::start().await;
    let owner = app.prover();
    let tokens = owner.login(ALICE).await;
    let call = json!({ "refreshToken": tokens.refresh, "retryKey": "kZ3vXo9cQk2mXc7vP1a0Fg" });
    let proof = owner.proof(None);
    let lost = owner.showing(&proof).refresh_reply(call.clone()).await.tokens("refreshToken").unwrap();
    let repeated = owner.showing(&proof).refresh_reply(call.clone()).await;
    assert_eq!(refusal(&repeated), proof_refused("PROOF_REPLAYED"));
    app.wait(hours(2));
    assert_eq!(owner.refresh_with(call).await.unwrap().refresh, lost.refresh);
}

/// Or a thief could bind what was stolen.
#[tokio::test]
async fn a_session_is_never_bound_later() {
    let app = TestApp::start().await;
    let unbound = app.sign_in(ALICE).await;
    let prover = app.prover();
    let refreshed = prover.refresh(&unbound.refresh).await.unwrap();
    assert_eq!(refreshed.body["tokenType"], "BEARER");
    assert_eq!(claims_of(&refreshed.access).get("cnf"), None);
    assert!(app.client().bearing(&refreshed.access).is_signed_in().await);
    assert!(app.client().refresh(&refreshed.refresh).await.is_ok());
    // The header counts all the same: it is checked before the session is known.
    let reply = prover.showing("x").refresh_reply(json!({ "refreshToken": refreshed.refresh })).await;
    assert_eq!(refusal(&reply), proof_refused("PROOF_MALFORMED"));
}

/// The row is what binds; somebody who can write to it gains nothing.
#[tokio::test]
async fn a_row_cannot_be_unbound() {
    let app = TestApp::start().await;
    let owner = app.prover();
    let tokens = owner.login(ALICE).await;
    app.sql("UPDATE refresh_sessions SET jkt = NULL").await;
    assert_eq!(app.client().refresh(&tokens.refresh).await.unwrap_err(), "REFRESH_TOKEN_INVALID");
    assert!(!owner.is_signed_in(&tokens.access).await);
    assert!(!app.client().bearing(&tokens.access).is_signed_in().await);
}

/// Whoever finds a token may end its session (RFC 7009): that is no worse than to leave it alive.
#[tokio::test]
async fn any_authentic_token_signs_out() {
    let app = TestApp::start().await;
    let owner = app.prover();
    let logout = |token: &str| {
        format!("mutation {{ logout(input: {{ refreshToken: \"{token}\" }}) {{ session {{ id }} }} }}")
    };
    let tokens = owner.login(ALICE).await;
    let reply = app.client().query(&logout(&tokens.refresh)).await.data();
    assert_eq!(reply["logout"]["session"]["id"], tokens.session);
    assert!(!owner.is_signed_in(&tokens.access).await);

    let browser = app.browser_prover();
    browser.login_reply(ALICE, "COOKIE").await.tokens("login").unwrap();
    let reply = browser.client.query("mutation { logout { session { id } } }").await.data();
    assert!(reply["logout"]["session"]["id"].is_string());
    assert_eq!(browser.client.cookie(), None);
}

#[tokio::test]
async fn used_proofs_are_forgotten_when_nobody_takes_them_any_more() {
    use keywheel::auth::housekeeping::Housekeeping;
    let app = TestApp::with("limits.enabled = false\n").await;
    let owner = app.prover();
    let tokens = owner.login(ALICE).await;
    let proof = owner.proof(None);
    let again = owner.showing(&proof);
    let call = json!({ "refreshToken": tokens.refresh });
    assert!(again.refresh_reply(call.clone()).await.tokens("refreshToken").is_ok());
    let housekeeping = Housekeeping { keep_ended: hours(1), keep_events: hours(1), rows_per_second: 1000 };
    let prune = async || {
        housekeeping.prune(app.app().store(), &*app.clock, None).await.unwrap();
        app.database().number("SELECT count(*) FROM dpop_proofs").await
    };
    // Until the nonce is taken no more: as long as the proof would be good but for that it was used.
    loop {
        let reply = again.refresh_reply(call.clone()).await;
        if reply.code() == "DPOP_NONCE_REQUIRED" {
            break;
        }
        assert_eq!(refusal(&reply), proof_refused("PROOF_REPLAYED"));
        assert_eq!(prune().await, 2, "{}", app.clock.now());
        app.wait(seconds(1));
    }
    app.wait(seconds(6));
    assert_eq!(prune().await, 0);
}
