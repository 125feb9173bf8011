//! What nobody needs any more is deleted, a little at a time and not too early.

use std::time::Duration;

use keywheel::{
    auth::housekeeping::Housekeeping,
    clock::Clock,
    store::{StoreError, cluster},
};
use tokio::time::Instant;

use crate::support::{
    ALICE, TestApp, hours,
    process::{keywheel_on, output_of},
};

const DAY: Duration = hours(24);
const KEEP: Duration = hours(24 * 30);

async fn prune(app: &TestApp, rows_per_second: u32) -> Result<u64, StoreError> {
    let housekeeping = Housekeeping { keep_ended: KEEP, keep_events: 12 * KEEP, rows_per_second };
    housekeeping.prune(app.app().store(), &*app.clock, None).await
}

async fn rows(app: &TestApp) -> i64 {
    app.database().number("SELECT count(*) FROM refresh_sessions").await
}

/// Adds sessions of somebody with one that lives, which ended long ago, as a flood of sign-ins would have left them.
async fn add_old_sessions(app: &TestApp, count: u32) {
    let bytes = |i: u32| app.database().bytes(&format!("{i:032x}"));
    for chunk in (0..count).collect::<Vec<_>>().chunks(500) {
        let ids: Vec<String> =
            chunk.iter().map(|i| format!("SELECT {} AS id", id(app, &bytes(*i)))).collect();
        app.sql(&format!(
            "INSERT INTO refresh_sessions (id, user_id, slot, generation, replays, auth_epoch, delivery, auth_time,
               created_at, absolute_expires_at, last_used_at, device_name, revoked_at, revoked_reason)
             SELECT new.id, s.user_id, 0, 0, 0, 0, 'body', 1, 1, 1, 1, '', 1, 'logout'
             FROM refresh_sessions s CROSS JOIN ({}) new WHERE s.nonce IS NOT NULL",
            ids.join(" UNION ALL ")
        ))
        .await;
    }
}

fn id(app: &TestApp, bytes: &str) -> String {
    use crate::support::database::Kind;
    // PostgreSQL has a type of its own for them.
    if app.database().kind() == Kind::Postgres {
        format!("encode({bytes}, 'hex')::uuid")
    } else {
        bytes.to_owned()
    }
}

#[tokio::test]
async fn a_late_replay_is_recognised_for_thirty_days() {
    let app = TestApp::start().await;
    let copied = app.sign_in(ALICE).await;
    let second = app.client().refresh(&copied.refresh).await.unwrap();
    app.client().refresh(&second.refresh).await.unwrap();
    assert_eq!(app.client().refresh(&copied.refresh).await.unwrap_err(), "REFRESH_TOKEN_REUSED");

    app.wait(hours(24 * 30 - 1));
    assert_eq!(prune(&app, 1000).await.unwrap(), 0);
    assert_eq!(app.client().refresh(&copied.refresh).await.unwrap_err(), "REFRESH_TOKEN_REUSED");
    app.wait(hours(2));
    assert_eq!(prune(&app, 1000).await.unwrap(), 1);
    assert_eq!(app.client().refresh(&copied.refresh).await.unwrap_err(), "REFRESH_TOKEN_INVALID");
}

#[tokio::test]
async fn sessions_that_expired_go_and_the_living_stay() {
    let app = TestApp::start().await;
    app.sign_in(ALICE).await;
    app.wait(DAY * 59);
    let mut living = app.sign_in(ALICE).await;
    assert_eq!(prune(&app, 1000).await.unwrap(), 0, "an absolute limit of thirty days, and thirty more");
    app.wait(DAY * 2);
    living = app.client().refresh(&living.refresh).await.unwrap();
    assert_eq!(prune(&app, 1000).await.unwrap(), 1);
    assert_eq!(rows(&app).await, 1);
    assert!(app.client().refresh(&living.refresh).await.is_ok());
}

#[tokio::test]
async fn not_more_rows_are_deleted_in_a_second_than_allowed() {
    let app = TestApp::start().await;
    app.sign_in(ALICE).await;
    add_old_sessions(&app, 900).await;
    let begin = Instant::now();
    assert_eq!(prune(&app, 900).await.unwrap(), 900);
    // The first batch is at once; the last pause is between the last batch and the look that finds nothing.
    assert!(begin.elapsed() > Duration::from_millis(500), "{:?}", begin.elapsed());
    assert_eq!(rows(&app).await, 1);
}

#[tokio::test]
async fn one_node_at_a_time_prunes() {
    let app = TestApp::start().await;
    let store = app.app().store();
    let minute = Duration::from_mins(1);
    let turn = async || cluster::take_housekeeping_turn(store, app.clock.now(), minute).await.unwrap();
    assert!(turn().await);
    assert!(!turn().await, "it is another's");
    app.wait(minute);
    assert!(turn().await, "whose time is over, whether it lives or not");

    let housekeeping = Housekeeping { keep_ended: KEEP, keep_events: 12 * KEEP, rows_per_second: 1000 };
    app.sign_in(ALICE).await;
    add_old_sessions(&app, 10).await;
    assert_eq!(housekeeping.take_turn(store, &*app.clock, minute).await.unwrap(), 0);
    app.wait(minute);
    assert_eq!(housekeeping.take_turn(store, &*app.clock, minute).await.unwrap(), 10);
}

#[tokio::test]
async fn a_turn_ends_in_time_and_goes_on_the_next_time() {
    let app = TestApp::start().await;
    app.sign_in(ALICE).await;
    add_old_sessions(&app, 30).await;
    let housekeeping = Housekeeping { keep_ended: KEEP, keep_events: 12 * KEEP, rows_per_second: 10 };
    let turn = Duration::from_millis(1500);
    let pruned = housekeeping.take_turn(app.app().store(), &*app.clock, turn).await.unwrap();
    assert_eq!(pruned, 20, "a batch that ended, a batch that expired, and no time for more");
    assert_eq!(rows(&app).await, 11);
}

/// The command line, and a running server by itself: with the clock of the machine, on which these ended long ago.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_prunes_by_itself_and_the_command_line_does_too() {
    use crate::support::process::Server;
    let app = TestApp::start().await;
    app.sign_in(ALICE).await;
    add_old_sessions(&app, 300).await;
    assert_eq!(
        output_of(&mut keywheel_on(app.database(), &["prune"])),
        "Deleted 300 rows that nobody needs any more.\n"
    );
    assert_eq!(rows(&app).await, 1);

    add_old_sessions(&app, 300).await;
    let mut serve = keywheel_on(app.database(), &["serve"]);
    serve.env("KEYWHEEL_HOUSEKEEPING__INTERVAL", "1");
    let (_server, _) = Server::serve(serve);
    for _ in 0..100 {
        if rows(&app).await == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} rows are left", rows(&app).await);
}
