//! Each letter arrives, however the mail server behaves and whoever crashes.

use super::*;

#[tokio::test]
async fn a_letter_is_tried_again_ever_more_rarely_until_it_is_delivered_once() {
    let app = TestApp::mailing("").await;
    app.mailbox().refuse(Some(MailError::Temporary("451".to_owned())));
    post_reset(&app, ALICE).await;
    for pause in [15, 30, 60, 120, 240] {
        assert_eq!(app.deliver_mail().await, 1);
        app.wait(seconds(pause - 1));
        assert_eq!(app.deliver_mail().await, 0, "after {pause} seconds and no sooner");
        app.wait(seconds(1));
    }
    app.mailbox().refuse(None);
    assert_eq!(app.deliver_mail().await, 1);
    let message = only(app.mailbox().empty());
    assert!(message.text.contains("for 23 minutes"), "what is left of them: {}", message.text);
    app.wait(hours(2));
    assert_eq!(app.deliver_mail().await, 0);
}

#[tokio::test]
async fn what_cannot_be_delivered_is_given_up_and_written_down() {
    let app = TestApp::mailing("").await;
    let given_up = async || {
        let query = "SELECT detail FROM audit_events WHERE action = 'mail.given_up' ORDER BY id DESC LIMIT 1";
        app.sql_text(query).await
    };
    app.mailbox().refuse(Some(MailError::Refused("550 5.1.1".to_owned())));
    post_reset(&app, ALICE).await;
    assert_eq!((app.deliver_mail().await, waiting(&app).await), (1, 0));
    assert_eq!(given_up().await, "reset-password: 550 5.1.1");

    app.mailbox().refuse(Some(MailError::Temporary("connection refused".to_owned())));
    post_reset(&app, BOB).await;
    let mut tries = 0;
    for _ in 0..RESET_TTL.as_secs() {
        tries += app.deliver_mail().await;
        app.wait(seconds(1));
    }
    assert_eq!(
        (tries, waiting(&app).await),
        (7, 0),
        "15 + 30 + 60 + 120 + 240 + 480 seconds, and no time for 960 more"
    );
    assert_eq!(given_up().await, "reset-password: connection refused");

    app.mailbox().refuse(None);
    post_reset(&app, ALICE).await;
    app.wait(RESET_TTL);
    assert_eq!((app.deliver_mail().await, waiting(&app).await), (1, 0));
    assert_eq!(given_up().await, "reset-password: expired");
    assert!(app.mailbox().empty().is_empty());
}

#[tokio::test]
async fn one_node_sends_a_letter_and_another_after_a_crash() {
    let app = TestApp::mailing("").await;
    post_reset(&app, ALICE).await;
    let post = app.app().post().unwrap();
    let taken = post.take(10).await.unwrap();
    assert_eq!(taken.len(), 1);
    let other = app.node("", crate::support::SECRET).await.unwrap();
    let other = other.post().unwrap();
    assert_eq!(other.deliver_due().await.unwrap(), 0, "it is taken");
    // The first is never heard of again.
    drop(taken);
    app.wait(seconds(121));
    assert_eq!((other.deliver_due().await.unwrap(), post.deliver_due().await.unwrap()), (1, 0));
    let first = only(app.mailbox().empty());
    assert!(first.id.to_string().starts_with("ltr_"));

    // Twenty nodes look at once.
    post_reset(&app, ALICE).await;
    let looks = (0..20).map(|_| async { post.take(10).await.unwrap().len() });
    let taken: usize = futures_util::future::join_all(looks).await.into_iter().sum();
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn nothing_is_sent_out_of_a_database_that_was_restored() {
    let app = TestApp::mailing("").await;
    post_reset(&app, ALICE).await;
    app.sql("UPDATE cluster_state SET value = value + 1 WHERE name = 'restore_fence'").await;
    assert_eq!((app.deliver_mail().await, waiting(&app).await), (0, 1));
    app.sql("UPDATE cluster_state SET value = value - 1 WHERE name = 'restore_fence'").await;
    assert_eq!(app.deliver_mail().await, 1);
}

#[tokio::test]
async fn who_has_no_address_any_more_gets_nothing() {
    let app = TestApp::mailing("").await;
    let user = app.add_user("carol@example.com", &[]).await.parse::<UserId>().unwrap();
    let accounts = app.app().auth().accounts();
    let letter = &Letter::to_user(LetterKind::TokenReused, user, &Origin::server());
    accounts
        .journal
        .transaction(|_, notes| async move {
            notes.mail(letter.clone(), hours(1));
            Ok::<_, AuthError>(())
        })
        .await
        .unwrap();
    app.sql("DELETE FROM audit_events").await;
    app.sql("DELETE FROM users WHERE email = 'carol@example.com'").await;
    assert_eq!((app.deliver_mail().await, waiting(&app).await), (1, 0));
    assert!(app.mailbox().empty().is_empty());
}

#[tokio::test]
async fn a_letter_that_nobody_can_read_keeps_no_other() {
    let app = TestApp::mailing("").await;
    for email in [ALICE, BOB] {
        post_reset(&app, email).await;
    }
    app.sql("UPDATE mails SET tries = -1 WHERE address = 'alice@example.com'").await;
    app.sql("UPDATE mails SET next_try_at = next_try_at - 1000 WHERE address = 'alice@example.com'").await;
    app.deliver_mail().await;
    app.deliver_mail().await;
    assert_eq!(only(app.mailbox().empty()).to.as_str(), BOB);
    // One of a later version stays for the nodes that know it.
    app.sql("UPDATE mails SET tries = 0, kind = 'from-the-future', next_try_at = 0").await;
    assert_eq!((app.deliver_mail().await, waiting(&app).await), (0, 1));
}

#[tokio::test]
async fn a_server_without_mail_keeps_no_letters() {
    let app = TestApp::start().await;
    app.sign_in(ALICE).await;
    app.client().peer("203.0.113.9").login(ALICE, "BODY").await.unwrap();
    assert!(app.app().post().is_none());
    assert_eq!(waiting(&app).await, 0);
    for path in ["/verify-email", "/reset-password", "/mail-pages/page.js", "/dev/mail"] {
        assert_eq!(app.client().get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn letters_that_nobody_sends_are_deleted() {
    let app = TestApp::mailing("").await;
    post_reset(&app, ALICE).await;
    app.sql("UPDATE mails SET kind = 'from-the-future'").await;
    let prune = async || {
        let month = hours(24 * 30);
        let housekeeping = keywheel::auth::housekeeping::Housekeeping {
            keep_ended: month,
            keep_events: month,
            rows_per_second: 1000,
        };
        housekeeping.prune(app.app().store(), &*app.clock, None).await.unwrap()
    };
    app.wait(hours(24));
    prune().await;
    assert_eq!(waiting(&app).await, 1);
    app.wait(hours(1));
    prune().await;
    assert_eq!(waiting(&app).await, 0);
}

#[tokio::test]
async fn a_letter_goes_on_whatever_the_time_is() {
    let app = TestApp::mailing("").await;
    post_reset(&app, ALICE).await;
    app.clock.turn_back(hours(1));
    assert_eq!(app.deliver_mail().await, 0, "not yet, says this clock");
    app.wait(hours(1));
    assert_eq!(app.deliver_mail().await, 1);
    let message = only(app.mailbox().empty());
    assert_eq!(message.written_at, OffsetDateTime::from_unix_timestamp(1_893_553_445).unwrap());
}
