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

/// Byte by byte: status, headers and body.
#[tokio::test]
async fn a_failed_sign_in_says_nothing_about_the_account() {
    let app = TestApp::with("limits.enabled = false\n").await;
    let accounts = app.app().auth().accounts();
    let bob = accounts.find(BOB).await.unwrap().unwrap();
    accounts.block(bob.id, &Origin::default()).await.unwrap();

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
