//! Letters: who gets which, that each arrives however the mail server behaves, and where their links lead.

mod delivery;
mod surface;

use std::time::Duration;

use keywheel::{
    auth::error::AuthError,
    domain::{
        ids::UserId,
        letter::{Letter, LetterKind},
        one_time::{OneTime, Purpose},
        origin::Origin,
    },
    mail::{MailError, Message},
    store::one_time,
};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::support::{
    ALICE, BOB, PASSWORD, TestApp, hours,
    mailbox::{link, token},
    seconds,
};

const RESET_TTL: Duration = Duration::from_mins(30);

/// Posts a letter with a link to set a password, as asking for one does.
pub(crate) async fn post_reset(app: &TestApp, email: &str) {
    let accounts = app.app().auth().accounts();
    let user = accounts.find(email).await.unwrap().unwrap();
    let now = accounts.clock.now();
    let row = OneTime {
        id: rand_id(app),
        purpose: Purpose::ResetPassword,
        user_id: Some(user.id),
        email: user.email.clone().unwrap(),
        created_at: now,
        expires_at: now + RESET_TTL,
    };
    let origin = Origin { address: Some([198, 51, 100, 7].into()), user_agent: Some("<b>curl/8</b>".into()) };
    let letter = Letter::to_address(LetterKind::ResetPassword, row.email.clone(), &origin).about(user.id);
    let (row, letter) = (&row, &letter);
    accounts
        .journal
        .transaction(|tx, notes| async move {
            one_time::insert(&tx, row, None).await?;
            notes.mail(letter.clone().with_token(row.id), RESET_TTL);
            Ok::<_, AuthError>(())
        })
        .await
        .unwrap();
}

fn rand_id(app: &TestApp) -> [u8; 16] {
    let mut id = [0; 16];
    app.app().auth().accounts().entropy.fill(&mut id);
    id
}

async fn waiting(app: &TestApp) -> i64 {
    app.database().number("SELECT count(*) FROM mails").await
}

#[track_caller]
fn only(messages: Vec<Message>) -> Message {
    let [message] = <[Message; 1]>::try_from(messages).unwrap();
    message
}

#[tokio::test]
async fn whose_token_was_stolen_is_told_once() {
    let app = TestApp::mailing("").await;
    let thief = app.client().peer("203.0.113.9").header("user-agent", "curl/8.5.0 <script>");
    let stolen = app.sign_in(ALICE).await;
    let next = app.client().refresh(&stolen.refresh).await.unwrap();
    app.wait(seconds(60));
    assert_eq!(thief.refresh(&stolen.refresh).await.unwrap_err(), "REFRESH_TOKEN_REUSED");
    // It is over for both of them; nobody is told again.
    assert_eq!(app.client().refresh(&next.refresh).await.unwrap_err(), "REFRESH_TOKEN_INVALID");
    assert_eq!(thief.refresh(&stolen.refresh).await.unwrap_err(), "REFRESH_TOKEN_REUSED");

    assert!(app.mailbox().empty().is_empty(), "nothing is sent while somebody waits for an answer");
    assert_eq!(app.deliver_mail().await, 1);
    let notice = only(app.mailbox().empty());
    assert_eq!((notice.to.as_str(), notice.subject.as_str()), (ALICE, "A copy of your sign-in was used"));
    for part in [&notice.text, &notice.html] {
        for expected in ["203.0.113.9", "curl", "2 January 2030, 03:05 UTC", "change your password"] {
            assert!(part.contains(expected), "{expected} in {part}");
        }
        assert!(!part.contains("script"), "the thief writes nothing into it: {part}");
        assert!(!part.contains("kwr_") && !part.contains("kwm_"));
    }
    assert_eq!((app.deliver_mail().await, waiting(&app).await), (0, 0));
}

#[tokio::test]
async fn what_happens_to_an_account_is_told_to_its_owner() {
    let app = TestApp::mailing("limits.enabled = true").await;
    let phone = app.client().peer("198.51.100.7").header("user-agent", "okhttp/5.0");
    phone.login(ALICE, "BODY").await.unwrap();
    app.deliver_mail().await;
    assert!(app.mailbox().empty().is_empty(), "the first session of a new account is no news");

    phone.login(ALICE, "BODY").await.unwrap();
    let elsewhere =
        app.client().peer("203.0.113.9").header("user-agent", "Mozilla/5.0 (Windows) Firefox/140.0");
    let tokens = elsewhere.login(ALICE, "BODY").await.unwrap();
    app.deliver_mail().await;
    let notice = only(app.mailbox().empty());
    assert_eq!(notice.subject, "New sign-in to your account");
    assert!(notice.text.contains("from Firefox on Windows, 203.0.113.9"), "{}", notice.text);

    let change =
        json!({ "i": { "currentPassword": PASSWORD, "newPassword": "a wholly different passphrase" } });
    let query = "mutation ($i: ChangePasswordInput!) { changePassword(input: $i) { user { id } } }";
    app.client().bearing(&tokens.access).graphql(query, change).await.data();
    app.deliver_mail().await;
    assert_eq!(app.mailbox().subjects(), ["Your password was changed"]);
}

#[tokio::test]
async fn a_device_that_is_known_is_no_news_wherever_it_is() {
    let app = TestApp::mailing("").await;
    let login = async |peer: &str, token: Option<&str>| {
        let input = json!({ "identifier": ALICE, "password": PASSWORD, "deviceToken": token });
        let query = "mutation ($i: LoginInput!) { login(input: $i) { deviceToken } }";
        let reply = app.client().peer(peer).graphql(query, json!({ "i": input })).await;
        reply.data()["login"]["deviceToken"].as_str().unwrap().to_owned()
    };
    let known = login("198.51.100.7", None).await;
    login("203.0.113.9", Some(&known)).await;
    app.deliver_mail().await;
    assert!(app.mailbox().empty().is_empty());
    login("203.0.113.10", None).await;
    app.deliver_mail().await;
    assert_eq!(app.mailbox().subjects(), ["New sign-in to your account"]);
    // An account that is no longer new has news in its first session that is still kept, too.
    app.wait(hours(25));
    app.client().login(BOB, "BODY").await.unwrap();
    app.deliver_mail().await;
    assert_eq!(app.mailbox().subjects(), ["New sign-in to your account"]);
}

#[tokio::test]
async fn a_mailbox_stays_usable_whatever_happens_to_its_account() {
    let app = TestApp::mailing("").await;
    app.sign_in(ALICE).await;
    for i in 1..=20 {
        app.client().peer(&format!("203.0.113.{i}")).login(ALICE, "BODY").await.unwrap();
    }
    app.client().peer("203.0.113.1").login(BOB, "BODY").await.unwrap();
    app.client().peer("203.0.113.2").login(BOB, "BODY").await.unwrap();
    app.deliver_mail().await;
    let sent = app.mailbox().empty();
    let to = |email: &str| sent.iter().filter(|message| message.to.as_str() == email).count();
    assert_eq!((to(ALICE), to(BOB), waiting(&app).await), (5, 1, 0));
    app.wait(Duration::from_mins(13));
    app.client().peer("203.0.113.99").login(ALICE, "BODY").await.unwrap();
    app.deliver_mail().await;
    assert_eq!(app.mailbox().empty().len(), 1);
}

#[tokio::test]
async fn a_link_comes_from_the_configuration_whatever_a_request_says() {
    let app = TestApp::mailing("public_url = \"http://auth.localhost:4000\"").await;
    let spoofed = app.client().header("host", "evil.example").header("x-forwarded-host", "evil.example");
    let spoofed = spoofed.header("forwarded", "host=evil.example").header("origin", "https://evil.example");
    spoofed.login(ALICE, "BODY").await.ok();
    post_reset(&app, ALICE).await;
    app.deliver_mail().await;
    let message = only(app.mailbox().empty());
    assert_eq!(
        link(&message),
        format!("http://auth.localhost:4000/reset-password#token={}", token(&message))
    );
    assert!(message.html.contains(&token(&message)) && !message.html.contains("evil"));
    assert!(message.text.contains("for 30 minutes"), "{}", message.text);

    let app = TestApp::mailing("mail.reset_url = \"https://app.example.com/reset?t={token}\"").await;
    post_reset(&app, ALICE).await;
    app.deliver_mail().await;
    let message = only(app.mailbox().empty());
    assert_eq!(link(&message), format!("https://app.example.com/reset?t={}", token(&message)));
}

#[tokio::test]
async fn a_link_goes_nowhere_but_to_the_address_it_is_for() {
    let app = TestApp::mailing("").await;
    // Whoever can write to the queue points a letter at himself.
    post_reset(&app, ALICE).await;
    app.sql("UPDATE mails SET address = 'mallory@example.com'").await;
    assert_eq!(app.deliver_mail().await, 1);
    // The address has changed since.
    post_reset(&app, BOB).await;
    app.sql("UPDATE users SET email = 'robert@example.com' WHERE email = 'bob@example.com'").await;
    app.deliver_mail().await;
    // The link has been used, or replaced.
    post_reset(&app, ALICE).await;
    app.sql("DELETE FROM one_time_tokens").await;
    app.deliver_mail().await;
    // The letter has lost its token.
    post_reset(&app, ALICE).await;
    app.sql("UPDATE mails SET token_id = NULL").await;
    app.deliver_mail().await;
    assert!(app.mailbox().empty().is_empty());
    assert_eq!(waiting(&app).await, 0);
}

#[tokio::test]
async fn nothing_that_waits_could_be_used() {
    let app = TestApp::mailing("").await;
    post_reset(&app, ALICE).await;
    let everything = dump(&app).await;
    app.deliver_mail().await;
    let message = only(app.mailbox().empty());
    let token = token(&message);
    assert_eq!(token.len(), 4 + 64);
    assert!(!everything.contains("kwm_") && !everything.contains(&token[4..]));
    // The inner half of the token is not in there in any other spelling.
    let bytes =
        base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, &token[4..]).unwrap();
    let hex = bytes[18..].iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    assert!(!everything.to_lowercase().contains(&hex), "{everything}");
}

/// The rows that a letter leaves, as text.
async fn dump(app: &TestApp) -> String {
    let hex = |column: &str| match app.database().kind() {
        crate::support::database::Kind::Postgres => format!("encode({column}, 'hex')"),
        _ => format!("hex({column})"),
    };
    let query = format!(
        "SELECT concat(kind, '|', coalesce(address, ''), '|', coalesce(detail, ''), '|', {}) FROM mails",
        hex("token_id")
    );
    let tokens = format!("SELECT concat(purpose, '|', email, '|', {}) FROM one_time_tokens", hex("id"));
    app.sql_text(&query).await + &app.sql_text(&tokens).await
}
