//! The statements that decide races, each condition by itself.

use keywheel::{
    domain::{ids::SessionId, session::Session},
    store::sessions::{self, Rotation},
};

use crate::support::{ALICE, TestApp, hours, seconds};

async fn read(app: &TestApp, id: &str) -> Session {
    let id: SessionId = id.parse().unwrap();
    sessions::find(app.app().store(), id).await.unwrap().unwrap().0
}

async fn rotate(app: &TestApp, session: &Session) -> bool {
    let from = session.chain.generation;
    let rotation = Rotation {
        id: session.id,
        user_id: session.user_id,
        from,
        to: from + 1,
        slot: 1,
        replaced_slot: session.slot,
        rotated_at: session.chain.rotated_at,
        retry_hash: Some(&[7; 32]),
        now: keywheel::clock::Clock::now(&*app.clock),
        read_at: keywheel::clock::Clock::now(&*app.clock),
        idle_timeout: hours(1),
    };
    sessions::rotate(app.app().store(), &rotation).await.unwrap()
}

/// Everything that a swap writes.
async fn row(app: &TestApp) -> String {
    let retry_hash = app.database().hex("retry_hash");
    let row = format!(
        "SELECT concat(generation, ' ', slot, ' ', coalesce(previous_slot, -1), ' ', coalesce(rotated_at, 0), ' ', coalesce({retry_hash}, '-'), ' ', replays, ' ',
         last_used_at) FROM refresh_sessions"
    );
    app.sql_text(&format!("SELECT coalesce(({row}), 'none')")).await
}

/// Whatever happens between reading a session and swapping its generation, the swap itself finds out.
#[tokio::test]
async fn a_swap_finds_out_what_happened_since_the_row_was_read() {
    for meanwhile in [
        "UPDATE refresh_sessions SET generation = generation + 1",
        "UPDATE refresh_sessions SET revoked_at = 1, revoked_reason = 'logout'",
        "UPDATE refresh_sessions SET auth_epoch = auth_epoch + 1",
        "UPDATE users SET auth_epoch = auth_epoch + 1",
        "UPDATE users SET blocked_at = 1",
        "UPDATE refresh_sessions SET absolute_expires_at = 1",
        "UPDATE refresh_sessions SET last_used_at = 1",
        "DELETE FROM refresh_sessions",
    ] {
        let app = TestApp::start().await;
        let session = read(&app, &app.sign_in(ALICE).await.session).await;
        app.sql(meanwhile).await;
        let before = row(&app).await;
        assert!(!rotate(&app, &session).await, "{meanwhile}");
        assert_eq!(row(&app).await, before, "{meanwhile}");
    }
}

#[tokio::test]
async fn a_swap_succeeds_once() {
    let app = TestApp::start().await;
    let session = read(&app, &app.sign_in(ALICE).await.session).await;
    app.wait(seconds(60));
    assert!(rotate(&app, &session).await);
    assert!(!rotate(&app, &session).await);
    let after = read(&app, &session.id.to_string()).await;
    assert_eq!((after.chain.generation, after.chain.retry_hash), (1, Some([7; 32])));
    assert_eq!(after.last_used_at, session.last_used_at + seconds(60));
    assert_eq!(after.chain.rotated_at, Some(after.last_used_at));
}

#[tokio::test]
async fn replays_are_counted_to_ten_and_only_for_the_living() {
    let app = TestApp::start().await;
    let session = read(&app, &app.sign_in(ALICE).await.session).await;
    let count =
        async |generation| sessions::count_replay(app.app().store(), session.id, generation).await.unwrap();
    assert!(!count(1).await, "another generation");
    for _ in 0..10 {
        assert!(count(0).await);
    }
    assert!(!count(0).await);
    app.sql("UPDATE refresh_sessions SET replays = 0, revoked_at = 1, revoked_reason = 'logout'").await;
    assert!(!count(0).await);
}
