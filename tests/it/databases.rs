//! What is to be known of each database: how it is reached, what it compares, and what waits for its disk.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::Connection;

use crate::support::{
    ALICE, PASSWORD, TestApp,
    client::{Reply, Tokens},
    database::{Database, Kind, variable},
    instance::Instance,
    process::{Server, keywheel_on, output_of},
    proxy::Wire,
    seconds,
};

#[tokio::test]
async fn text_is_compared_byte_by_byte() {
    let app = TestApp::start().await;
    let equal = "SELECT (SELECT count(*) FROM signing_keys WHERE kid = upper(kid))
                      + (SELECT count(*) FROM users WHERE email = upper(email) OR username_key = upper(username_key))";
    assert_eq!(app.database().number(equal).await, 0);
}

/// The name of a column in a value must not be taken for the name of the index that refuses it.
#[tokio::test]
async fn what_is_taken_is_said_whatever_it_is_called() {
    let app = TestApp::start().await;
    let register = async |email: &str, username: &str| {
        app.client().register(json!({ "email": email, "username": username, "password": PASSWORD })).await
    };
    register("username_key@example.com", "email").await.data();
    let field = |reply: Reply| reply.extensions()["fields"][0]["path"].clone();
    let email = register("username_key@example.com", "other").await;
    assert_eq!(field(email), json!(["input", "email"]));
    let username = register("other@example.com", "EMAIL").await;
    assert_eq!(field(username), json!(["input", "username"]));
}

/// A crash may take rotations back that were answered; the rule makes up for them.
#[tokio::test(flavor = "multi_thread")]
async fn rotations_need_not_wait_for_the_disk_and_nobody_notices() {
    const SESSIONS: usize = 40;
    let (instance, database, folder) = Instance::start().await;
    let app =
        TestApp::on(database, folder, "database.max_connections = 40\nsessions.max_per_user = 1000\n").await;
    let mut lost = 0;
    for _ in 0..5 {
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            sessions.push(app.sign_in(ALICE).await);
        }
        let mut answered = Vec::new();
        let calls: Vec<_> = sessions
            .into_iter()
            .map(|session| {
                let client = app.client();
                tokio::spawn(async move { client.refresh(&session.refresh).await.unwrap() })
            })
            .collect();
        for call in calls {
            answered.push(call.await.unwrap());
        }
        if let Some(instance) = &instance {
            instance.kill();
            instance.restart();
        }
        recovered(&app).await;
        lost += app.database().number("SELECT count(*) FROM refresh_sessions WHERE generation = 0").await;
        for tokens in &answered {
            app.wait(seconds(1));
            let next = app.client().refresh(&tokens.refresh).await.unwrap();
            assert!(app.client().bearing(&next.access).is_signed_in().await);
        }
    }
    // PostgreSQL alone keeps what it confirms in memory for a moment; the others have given it to the system by then.
    assert_eq!(lost > 0, Kind::chosen() == Kind::Postgres, "{lost} rotations were lost");
}

/// Two rotations in a row: the second one waits, and takes the first along. Also when one session was last used by a clock
/// that was ahead.
#[tokio::test(flavor = "multi_thread")]
async fn two_rotations_are_never_lost() {
    let (instance, database, folder) = Instance::start().await;
    let app = TestApp::on(database, folder, "database.max_connections = 40\n").await;
    let ahead = app.sign_in(ALICE).await;
    let ahead = app.client().refresh(&ahead.refresh).await.unwrap();
    app.sql(
        "UPDATE refresh_sessions SET last_used_at = last_used_at + 600000, rotated_at = rotated_at + 600000",
    )
    .await;
    app.client().refresh(&ahead.refresh).await.unwrap();
    for _ in 0..4 {
        // A few at a time: PostgreSQL writes whenever a page is full.
        let (one, two) = (app.sign_in(ALICE).await, app.sign_in(ALICE).await);
        let twice = async |session: Tokens| {
            let second = app.client().refresh(&session.refresh).await.unwrap();
            app.client().refresh(&second.refresh).await.unwrap()
        };
        let (one, two) = tokio::join!(twice(one), twice(two));
        if let Some(instance) = &instance {
            instance.kill();
            instance.restart();
        }
        recovered(&app).await;
        for tokens in [one, two] {
            app.client().refresh(&tokens.refresh).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_everything_waits_for_the_disk() {
    let (instance, database, folder) = Instance::start().await;
    let app = TestApp::on(database, folder, "database.relaxed_rotations = false\n").await;
    for _ in 0..10 {
        let first = app.sign_in(ALICE).await;
        let second = app.client().refresh(&first.refresh).await.unwrap();
        if let Some(instance) = &instance {
            instance.kill();
            instance.restart();
        }
        recovered(&app).await;
        let behind = "SELECT count(*) FROM refresh_sessions WHERE generation = 0";
        assert_eq!(app.database().number(behind).await, 0);
        app.client().refresh(&second.refresh).await.unwrap();
    }
}

/// Connections that a restart has cut are noticed one by one.
async fn recovered(app: &TestApp) {
    for _ in 0..200 {
        let all =
            (0..40).map(|_| app.client()).map(|client| async move { client.get("/readyz").await.status });
        if futures_util::future::join_all(all).await.iter().all(|status| *status == 200) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not recover");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_somebody_else_holds_is_not_waited_for_for_ever() {
    let app =
        TestApp::with("database.statement_timeout_ms = 1000\ndatabase.acquire_timeout_ms = 1000\n").await;
    let tokens = app.sign_in(ALICE).await;
    let mut other = app.database().connection().await;
    let mut held = other.begin().await.unwrap();
    sqlx::query("UPDATE refresh_sessions SET replays = replays").execute(&mut *held).await.unwrap();
    let asked = Instant::now();
    let code = app.client().refresh_keyed(&tokens.refresh, &"k".repeat(22)).await.unwrap_err();
    assert_eq!(code, "SERVICE_UNAVAILABLE");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    held.rollback().await.unwrap();
    app.client().refresh_keyed(&tokens.refresh, &"k".repeat(22)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_waits_for_a_database_that_is_not_up_yet() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create(folder.path()).await;
    if database.kind() == Kind::Sqlite {
        // It is always up; a folder that is not there yet is made.
        let inside = Database::embedded(&folder.path().join("not/there/yet"));
        Server::serve(keywheel_on(&inside, &["serve", "--migrate"]));
        return;
    }
    let wire = Wire::to(database.url()).await;
    wire.cut();
    let behind = database.by_way_of(wire.url());
    let complaint = keywheel_on(&behind, &["user", "list"]).output().unwrap();
    let complaint = String::from_utf8(complaint.stderr).unwrap();
    assert!(complaint.starts_with("keywheel: opening the database named by database_url: "), "{complaint}");
    let mend = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        wire.mend();
    };
    let start = tokio::task::spawn(async move {
        let mut waited = keywheel_on(&behind, &["serve", "--migrate"]);
        waited.env("KEYWHEEL_DATABASE__ACQUIRE_TIMEOUT_MS", "500");
        let (server, line) =
            Server::start(waited, |line| line.contains("does not answer yet") || line.contains("listening"));
        assert!(line.contains("does not answer yet"), "{line}");
        server
    });
    let (server, ()) = tokio::join!(start, mend);
    assert!(server.unwrap().says(|line| line.contains("\"listening\"")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_does_not_wait_for_what_will_not_come() {
    let wrong = match Kind::chosen() {
        // A folder.
        Kind::Sqlite => "sqlite:///tmp".to_owned(),
        Kind::Postgres => Kind::Postgres.server().replace("/postgres?", "/no_such_database?"),
        Kind::MariaDb => Kind::MariaDb.server().replace("/mysql?", "/no_such_database?"),
    };
    let asked = Instant::now();
    let output = keywheel_on(&Database::at(&wrong), &["serve", "--migrate"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("database_url"), "{complaint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_is_encrypted_and_the_server_verified() {
    let (authority, verified) = match Kind::chosen() {
        // No connection to encrypt: the file is for its owner only.
        Kind::Sqlite => return a_file_is_for_its_owner_only(),
        Kind::Postgres => ("TEST_POSTGRES_CA", "sslmode=verify-full&sslrootcert="),
        Kind::MariaDb => ("TEST_MARIADB_CA", "ssl-mode=VERIFY_IDENTITY&ssl-ca="),
    };
    let authority = variable(authority).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create(folder.path()).await;
    let plain = database.url().split('?').next().unwrap().to_owned();
    let with = |query: &str| Database::at(&format!("{plain}?{query}"));
    output_of(&mut keywheel_on(&with(&format!("{verified}{authority}")), &["migrate"]));

    let (verify_only, _) = verified.split_once('&').unwrap();
    let refused = keywheel_on(&with(verify_only), &["migrate"]).output().unwrap();
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("invalid peer certificate: UnknownIssuer"),
        "{refused:?}"
    );
    let other_name = plain.replace("127.0.0.1", "localhost");
    let elsewhere = Database::at(&format!("{other_name}?{verified}{authority}"));
    let refused = keywheel_on(&elsewhere, &["migrate"]).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not valid for name"), "{refused:?}");
}

fn a_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let database = Database::embedded(folder.path());
    output_of(&mut keywheel_on(&database, &["migrate"]));
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
}

/// A session's row costs the same for ever, whatever the database.
#[tokio::test]
async fn a_refresh_is_one_read_and_one_write() {
    let app = TestApp::start().await;
    let mut tokens = app.sign_in(ALICE).await;
    for _ in 0..3 {
        app.wait(seconds(60));
        let (statements, next) = app.statements_of(app.client().refresh(&tokens.refresh)).await;
        assert_eq!(statements, 2);
        tokens = next.unwrap();
    }
    let kept = app.browser();
    kept.login(ALICE, "COOKIE").await.unwrap();
    kept.refresh_by_cookie().await.unwrap();
    let (statements, _) = app.statements_of(kept.refresh_with(Value::Null)).await;
    assert_eq!(statements, 1, "a cookie that is kept is only looked at");
}
