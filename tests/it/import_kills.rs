//! An import that is killed, again and again, is complete in the end.

use std::{
    fmt::Write,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{
    TestApp,
    database::Database,
    strapi::{Source, command, empty_app, import_strapi},
};

const USERS: usize = 3000;
/// A bcrypt hash of `correct horse`.
const BCRYPT: &str = "$2a$04$V4CVysTqFsHs0l3.ybnds.MUBUlk4ouUtq9W/cDbe9vstdej3TqzK";

async fn number(database: &Database, query: &str) -> usize {
    database.number(query).await.try_into().unwrap()
}

/// Many users beside those that Strapi made.
async fn add_users(source: &Source) {
    let ids: Vec<_> = (0..USERS).collect();
    for ids in ids.chunks(500) {
        let mut insert =
            String::from("INSERT INTO up_users (id, username, email, password, confirmed) VALUES ");
        for id in ids {
            let comma = if *id == ids[0] { "" } else { ", " };
            // Some usernames are twice there.
            write!(
                insert,
                "{comma}({}, 'user{}', 'user{id}@example.org', '{BCRYPT}', {})",
                1000 + id,
                id % 2900,
                confirmed(source)
            )
            .unwrap();
        }
        source.change(&insert).await;
    }
}

fn confirmed(source: &Source) -> &'static str {
    if source.database.url().starts_with("postgres") { "true" } else { "1" }
}

/// Runs an import until so many accounts are there, and kills it.
async fn kill_in_the_middle(app: &TestApp, mut import: Command, at: usize) -> bool {
    let mut child = import.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begin = Instant::now();
    loop {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if number(app.database(), "SELECT count(*) FROM users").await >= at {
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
        assert!(begin.elapsed() < Duration::from_mins(2), "it makes no progress");
    }
}

#[tokio::test]
async fn a_killed_import_is_completed_by_the_next() {
    let (app, source) = (empty_app("").await, Source::five().await);
    add_users(&source).await;
    let arguments = ["strapi", "--from", source.database.url(), "--batch", "20"];
    let mut kills = 0;
    for at in [1, 400, 900, 1500, 2200] {
        kills += u32::from(kill_in_the_middle(&app, command(&app, &arguments), at).await);
        let half = "SELECT count(*) FROM users LEFT JOIN imported_users ON user_id = users.id WHERE source_id IS NULL";
        assert_eq!(
            number(app.database(), half).await,
            0,
            "no account without the note of where it came from"
        );
        let accounts = number(app.database(), "SELECT count(*) FROM users").await;
        assert_eq!(number(app.database(), "SELECT count(*) FROM imported_users").await, accounts);
    }
    assert!(kills >= 3, "killed {kills} times only");
    let last = import_strapi(&app, &source, &["--batch", "20"]);
    assert_eq!((last.code, &last.summary["leftOut"]), (3, &json!(1)), "the row without any identifier");
    assert_eq!(number(app.database(), "SELECT count(*) FROM users").await, 12 + USERS);
    assert_eq!(
        number(app.database(), "SELECT count(DISTINCT source_id) FROM imported_users").await,
        12 + USERS
    );
    assert_eq!(
        number(app.database(), "SELECT count(*) FROM users WHERE username_key LIKE 'user%'").await,
        2900
    );
    for id in [0, 1234, USERS - 1] {
        let input = json!({ "identifier": format!("user{id}@example.org"), "password": "correct horse" });
        app.client().login_with(input).await.unwrap();
    }
    let again = import_strapi(&app, &source, &[]);
    assert_eq!((&again.summary["imported"], &again.summary["unchanged"]), (&json!(0), &json!(12 + USERS)));
}
