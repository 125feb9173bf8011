//! Who has an account here is nobody's business.

use axum::http::HeaderMap;
use keywheel::domain::origin::Origin;
use serde_json::{Value, json};

use crate::support::{ALICE, BOB, Client, PASSWORD, Reply, TestApp, client::MODERN};

const WRONG: &str = "not the password";

/// An answer without what is different in every answer.
fn bare(reply: Reply) -> (u16, HeaderMap, String) {
    let mut headers = reply.headers;
    headers.remove("x-request-id");
    headers.remove("date");
    (reply.status.as_u16(), headers, reply.text)
}

/// Registering, asking for letters: byte by byte, for addresses with and without an account.
#[tokio::test]
async fn what_is_mailed_says_who_has_an_account_and_no_answer_does() {
    let verifying = "limits.enabled = false\nregistration.require_verification = true\n";
    let app = TestApp::mailing(verifying).await;
    let accounts = app.app().auth().accounts();
    let alice = accounts.find(ALICE).await.unwrap().unwrap();
    accounts.set_verified(&alice, &Origin::default()).await.unwrap();
    app.set_blocked(BOB, true).await;
    let clients: [fn(&TestApp) -> Client; 4] = [
        |app| app.client(),
        |app| app.client().accepting(MODERN),
        |app| app.browser(),
        |app| app.browser().accepting(MODERN),
    ];
    for client in clients {
        let mut answers: [Vec<_>; 3] = Default::default();
        for email in [ALICE, BOB, "nobody@example.com", "Nobody@Example.org"] {
            let input = json!({ "email": email, "password": PASSWORD, "username": "newcomer" });
            answers[0].push((email, bare(client(&app).register(input).await)));
            answers[1].push((email, bare(client(&app).ask_for_reset(email).await)));
            answers[2].push((email, bare(client(&app).ask_for_verification(email).await)));
        }
        for answers in answers {
            let (_, expected) = answers[0].clone();
            for (email, answer) in answers {
                assert_eq!(answer, expected, "{email}");
            }
        }
    }
    assert!(!app.posted().await.is_empty());
}

/// Where there is nobody to write to, the database works as well: what differs is the row of the token and that of its letter.
#[tokio::test]
async fn asking_for_a_letter_is_a_transaction_for_any_address() {
    let app = TestApp::mailing("").await;
    let mut statements = Vec::new();
    for email in [ALICE, "nobody@example.com"] {
        let reset = app.statements_of(app.client().ask_for_reset(email)).await.0;
        let verification = app.statements_of(app.client().ask_for_verification(email)).await.0;
        statements.push([reset, verification]);
    }
    for (with, without) in statements[0].into_iter().zip(statements[1]) {
        assert!(with.abs_diff(without) <= 3 && without >= 5, "{statements:?}");
    }
    let asked = "SELECT count(*) FROM audit_events WHERE action LIKE '%requested'";
    assert_eq!(app.database().number(asked).await, 4);
}

/// Byte by byte: status, headers and body.
#[tokio::test]
async fn a_failed_sign_in_says_nothing_about_the_account() {
    let app = TestApp::with("limits.enabled = false\n").await;
    app.set_blocked(BOB, true).await;

    let clients: [fn(&TestApp) -> Client; 4] = [
        |app| app.client(),
        |app| app.client().accepting(MODERN),
        |app| app.browser(),
        |app| app.browser().accepting(MODERN),
    ];
    for client in clients {
        for delivery in [Value::Null, json!("BODY"), json!("COOKIE")] {
            let mut answers = Vec::new();
            for (identifier, password) in [
                (ALICE, WRONG),
                ("alice", WRONG),
                (BOB, WRONG),
                ("bob", WRONG),
                ("nobody@example.com", WRONG),
                ("nobody", PASSWORD),
                ("@", WRONG),
                ("\u{0}", WRONG),
                (ALICE, ""),
                ("nobody", ""),
            ] {
                let input = json!({ "identifier": identifier, "password": password, "delivery": delivery });
                answers.push((identifier, bare(client(&app).login_reply(input).await)));
            }
            let (_, expected) = &answers[0];
            for (identifier, answer) in &answers {
                assert_eq!(answer, expected, "{identifier:?}, {delivery}");
            }
        }
    }
    assert_eq!(
        app.client().login(ALICE, "BODY").await.map(|_| ()),
        Ok(()),
        "the right one is another matter"
    );
}
