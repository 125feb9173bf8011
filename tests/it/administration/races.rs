//! Administrators who do things to each other at the same time.

use serde_json::json;

use super::{id_of, update};
use crate::support::{Client, PASSWORD, SECRET, TestApp, Tokens};

const ADMINS: &str = "SELECT count(*) FROM users WHERE blocked_at IS NULL AND roles LIKE '%\"admin\"%'";

async fn two_administrators(app: &TestApp, round: usize) -> [Tokens; 2] {
    app.sql("UPDATE users SET roles = '[]'").await;
    let mut admins = Vec::new();
    for side in ["one", "two"] {
        let email = format!("{side}{round}@example.com");
        app.add_user(&email, &["admin"]).await;
        admins.push(app.sign_in(&email).await);
    }
    admins.try_into().unwrap()
}

/// On two nodes, each takes the other's power: one of them keeps it, every time.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_administrators_who_demote_each_other_one_stays() {
    let app = TestApp::with("limits.enabled = false\n").await;
    let node = app.node("limits.enabled = false\n", SECRET).await.unwrap();
    for round in 0..12 {
        let [one, two] = two_administrators(&app, round).await;
        let (here, there) =
            (app.client().bearing(&one.access), Client::new(node.router().clone()).bearing(&two.access));
        let against = |whom: &Tokens| match round % 3 {
            0 => json!({ "id": id_of(whom), "roles": [] }),
            1 => json!({ "id": id_of(whom), "blocked": true }),
            _ => json!({ "id": id_of(whom), "roles": ["guest"], "blocked": true }),
        };
        let calls = [(here, against(&two)), (there, against(&one))];
        let calls = calls.map(|(client, input)| tokio::spawn(async move { update(&client, input).await }));
        let mut codes = Vec::new();
        for call in calls {
            let reply = call.await.unwrap();
            codes.push(if reply.json().get("errors").is_none() { "done".to_owned() } else { reply.code() });
        }
        codes.sort();
        assert!(codes == ["FORBIDDEN", "done"] || codes == ["UNAUTHENTICATED", "done"], "{codes:?}");
        assert_eq!(app.database().number(ADMINS).await, 1, "round {round}");
    }
}

/// Both leave at once, each by their own hand: in all the ways that there are to leave.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_administrators_who_leave_at_once_one_stays() {
    let app = TestApp::with("limits.enabled = false\n").await;
    for round in 0..12 {
        let [one, two] = two_administrators(&app, round).await;
        let leave = |who: &Tokens, how: usize| {
            let client = app.client().bearing(&who.access);
            let id = id_of(who);
            let delete =
                "mutation ($input: DeleteAccountInput!) { deleteAccount(input: $input) { deletedUserId } }";
            tokio::spawn(async move {
                match how {
                    0 => client.graphql(delete, json!({ "input": { "currentPassword": PASSWORD } })).await,
                    1 => update(&client, json!({ "id": id, "blocked": true })).await,
                    _ => update(&client, json!({ "id": id, "roles": [] })).await,
                }
            })
        };
        let calls = [leave(&one, round % 3), leave(&two, round / 3 % 3)];
        let mut refused = Vec::new();
        for call in calls {
            let reply = call.await.unwrap();
            if reply.json().get("errors").is_some() {
                refused.push(reply.extensions()["fields"][0]["code"].clone());
            }
        }
        assert_eq!(refused, [json!("LAST_ADMIN")], "round {round}");
        assert_eq!(app.database().number(ADMINS).await, 1, "round {round}");
    }
}
