//! A backup that was restored: the past does not come back to life.

use crate::support::{
    ALICE, SECRET, TestApp,
    database::Database,
    process::{Server, keywheel_on, output_of},
};

const LOG_OUT: &str = "mutation { logout { session { id } } }";

/// What a backup does to the sessions, on every kind of database: their rows are as they were.
async fn back_up(database: &Database) {
    let tables = ["users", "refresh_sessions", "signing_keys", "cluster_state"];
    for table in tables {
        database.sql(&format!("CREATE TABLE backup_of_{table} AS SELECT * FROM {table}")).await;
    }
}

async fn restore(database: &Database) {
    for table in ["refresh_sessions", "users", "signing_keys", "cluster_state"] {
        database.sql(&format!("DELETE FROM {table}")).await;
    }
    for table in ["users", "refresh_sessions", "signing_keys", "cluster_state"] {
        database.sql(&format!("INSERT INTO {table} SELECT * FROM backup_of_{table}")).await;
    }
}

fn fence(database: &Database, configured: &str) -> String {
    let mut command = keywheel_on(database, &["restore-fence"]);
    output_of(command.env("KEYWHEEL_DATABASE__RESTORE_FENCE", configured))
}

#[tokio::test]
async fn a_restored_database_is_not_served_before_it_is_fenced() {
    let app = TestApp::start().await;
    let stolen = app.sign_in(ALICE).await;
    back_up(app.database()).await;
    app.client().bearing(&stolen.access).query(LOG_OUT).await.data();
    assert!(app.client().refresh(&stolen.refresh).await.is_err());

    // The operator raises the fence first, restores, and forgets the rest.
    restore(app.database()).await;
    let database = app.database().clone();
    let (error, app) = app.restart_with("database.restore_fence = 1\n").await.err().unwrap();
    assert!(format!("{error:#}").contains("keywheel restore-fence"), "{error:#}");
    let said = fence(&database, "1");
    assert_eq!(said, "Ended 1 sessions. The fence of the database is 1 now.\n");

    let app = app.start("database.restore_fence = 1\n").await.unwrap();
    assert_eq!(app.client().refresh(&stolen.refresh).await.unwrap_err(), "REFRESH_TOKEN_INVALID");
    assert!(!app.client().bearing(&stolen.access).is_signed_in().await);
    let fresh = app.sign_in(ALICE).await;
    assert!(app.client().refresh(&fresh.refresh).await.is_ok());
    let reason = "SELECT revoked_reason FROM refresh_sessions WHERE revoked_at IS NOT NULL";
    assert_eq!(app.sql_text(reason).await, "database_restored");

    // Every backup of before is older than the fence from now on.
    restore(&database).await;
    assert!(app.restart_with("database.restore_fence = 1\n").await.is_err());
}

/// It was revoked because somebody else has it; the backup is from before.
#[tokio::test]
async fn a_revoked_signing_key_does_not_come_back() {
    let app = TestApp::start().await;
    let stolen = app.sign_in(ALICE).await.access;
    let kid = jsonwebtoken::decode_header(&stolen).unwrap().kid.unwrap();
    back_up(app.database()).await;
    app.custody("", SECRET).await.revoke(&kid).await.unwrap();
    restore(app.database()).await;
    fence(app.database(), "1");
    let app = app.restart_with("database.restore_fence = 1\n").await.unwrap();
    let published = app.client().get("/.well-known/jwks.json").await.text;
    assert!(!published.contains(&kid), "{published}");
    assert!(app.client().bearing(&app.sign_in(ALICE).await.access).is_signed_in().await);
}

#[tokio::test]
async fn fencing_without_having_raised_the_fence_says_what_to_set() {
    let app = TestApp::start().await;
    app.sign_in(ALICE).await;
    app.sign_in(ALICE).await;
    let said = fence(app.database(), "0");
    assert!(said.starts_with("Ended 2 sessions. The fence of the database is 1 now.\n"), "{said}");
    assert!(said.contains("set database.restore_fence to 1 on every node"), "{said}");
    // A node that was not told would not notice the next restore.
    let (error, app) = app.restart_with("").await.err().unwrap();
    assert!(format!("{error:#}").contains("set it to 1"), "{error:#}");
    let app = app.start("database.restore_fence = 1\n").await.unwrap();
    app.sign_in(ALICE).await;

    let said = fence(app.database(), "1");
    assert!(said.starts_with("Ended 1 sessions. The fence of the database is 2 now.\n"), "{said}");
    // A node that runs finds its sessions gone at once.
    assert!(!app.client().query("{ me { id } }").await.text.contains("usr_"));
}

#[tokio::test]
async fn a_new_database_has_the_fence_of_the_configuration() {
    let app = TestApp::with("database.restore_fence = 3\n").await;
    app.sign_in(ALICE).await;
    assert!(app.restart_with("database.restore_fence = 4\n").await.is_err());
}

/// Somebody restores a backup and forgets a node that runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_runs_stops_when_its_database_is_restored() {
    let app = TestApp::start().await;
    back_up(app.database()).await;
    fence(app.database(), "0");
    let mut serve = keywheel_on(app.database(), &["serve"]);
    serve.env("KEYWHEEL_DATABASE__RESTORE_FENCE", "1").env("KEYWHEEL_TOKENS__KEY_RELOAD", "1");
    let (server, _) = Server::serve(serve);
    restore(app.database()).await;
    assert_eq!(server.exit_code(), 1);
}

/// With the tools of the databases themselves, as the manual says.
#[tokio::test]
async fn the_documented_way_works() {
    let app = TestApp::start().await;
    let stolen = app.sign_in(ALICE).await;
    let backup = tempfile::tempdir().unwrap();
    let file = backup.path().join("backup");
    app.database().dump(&file).await;
    app.client().bearing(&stolen.access).query(LOG_OUT).await.data();

    let database = app.database().clone();
    app.app().store().clone().close().await.unwrap();
    database.load(&file);
    let (_, stopped) = app.restart_with("database.restore_fence = 7\n").await.err().unwrap();
    assert_eq!(fence(&database, "7"), "Ended 1 sessions. The fence of the database is 7 now.\n");
    let app = stopped.start("database.restore_fence = 7\n").await.unwrap();
    assert_eq!(app.client().refresh(&stolen.refresh).await.unwrap_err(), "REFRESH_TOKEN_INVALID");
}
