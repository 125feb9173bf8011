//! The feed of revocations, for services that verify access tokens by themselves.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use keywheel::{auth::keys::secret_use::end_sessions_of_slot, clock::Clock};
use serde_json::{Value, json};

use crate::{
    subscriptions::{
        nodes::{Held, Pair},
        revocation,
    },
    support::{
        ALICE, PASSWORD, TestApp,
        client::{Client, Reply, Tokens},
        seconds,
    },
};

#[path = "../../examples/revocations/feed.rs"]
mod consumer;

const FEED: &str = "/.well-known/keywheel/revocations";

async fn read(client: &Client, since: Option<&Value>) -> Value {
    let path = since.map_or(FEED.to_owned(), |since| format!("{FEED}?since={}", since.as_str().unwrap()));
    let reply = client.get(&path).await;
    assert_eq!(reply.status.as_u16(), 200, "{}", reply.text);
    reply.json()
}

fn sids(document: &Value) -> BTreeSet<String> {
    let entries = document["revoked"].as_array().unwrap().iter();
    entries.map(|entry| entry["sid"].as_str().unwrap().to_owned()).collect()
}

async fn end(app: &TestApp, session: &Tokens) {
    app.client().bearing(&session.access).query("mutation { logout { session { id } } }").await.data();
}

/// What is read within a second or so, since that is how fresh it is.
async fn soon(client: &Client, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut document = Value::Null;
    for _ in 0..100 {
        document = read(client, None).await;
        if wanted(&document) {
            return document;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never came true: {document}");
}

#[tokio::test]
async fn an_ended_session_is_listed_for_as_long_as_its_tokens_may_live() {
    let app = TestApp::start().await;
    let (kept, ended) = (app.sign_in(ALICE).await, app.sign_in(ALICE).await);
    let before = read(&app.client(), None).await;
    assert_eq!(
        (&before["issuer"], &before["ttl"], &before["more"]),
        (&json!("http://localhost:4000"), &json!(360), &json!(false))
    );
    assert_eq!((&before["revoked"], before.get("notBefore")), (&json!([]), None));
    end(&app, &ended).await;
    let document = soon(&app.client(), |document| document["revoked"] != json!([])).await;
    assert_eq!(
        document["revoked"],
        json!([{ "sid": ended.session, "at": app.clock.now().unix_timestamp() }])
    );
    assert!(!document.to_string().contains(&kept.session));

    app.wait(seconds(359));
    assert_eq!(sids(&read(&app.client(), None).await), BTreeSet::from([ended.session.clone()]));
    app.wait(seconds(2));
    soon(&app.client(), |document| document["revoked"] == json!([])).await;
}

/// Whoever starts to read finds what was ended before anybody read; and an expiry is no revocation.
#[tokio::test]
async fn the_first_reader_finds_what_was_ended_before() {
    let app = TestApp::with("sessions.idle_timeout = 10\n").await;
    let (ended, _expires) = (app.sign_in(ALICE).await, app.sign_in(ALICE).await);
    end(&app, &ended).await;
    app.wait(seconds(20));
    let app = app.restart_with("sessions.idle_timeout = 10\n").await.unwrap();
    assert_eq!(sids(&read(&app.client(), None).await), BTreeSet::from([ended.session]));
}

#[tokio::test]
async fn a_reader_who_goes_on_is_told_what_is_new_and_misses_nothing() {
    let app = TestApp::start().await;
    let sessions = [app.sign_in(ALICE).await, app.sign_in(ALICE).await, app.sign_in(ALICE).await];
    end(&app, &sessions[0]).await;
    app.wait(seconds(61));
    let first = soon(&app.client(), |document| document["revoked"] != json!([])).await;
    end(&app, &sessions[1]).await;
    soon(&app.client(), |document| sids(document).len() == 2).await;
    let second = read(&app.client(), Some(&first["next"])).await;
    assert_eq!(sids(&second), BTreeSet::from([sessions[1].session.clone()]), "not the first one again");
    // What is of late is told again: an older one may be committed after it.
    let again = read(&app.client(), Some(&second["next"])).await;
    assert_eq!(sids(&again), sids(&second));
    end(&app, &sessions[2]).await;
    let all = soon(&app.client(), |document| sids(document).len() == 3).await;
    let third = read(&app.client(), Some(&second["next"])).await;
    assert_eq!(sids(&third), sessions[1..].iter().map(|session| session.session.clone()).collect());
    assert_eq!(sids(&all).len(), 3);
    app.wait(seconds(61));
    let quiet = soon(&app.client(), |_| true).await;
    assert_eq!(read(&app.client(), Some(&quiet["next"])).await["revoked"], json!([]));
}

/// Its name is older than all that the reader was told, and not as old as where they go on.
#[tokio::test]
async fn an_end_that_is_committed_late_is_told_to_a_reader_who_goes_on() {
    let app = TestApp::start().await;
    let [late, early] = [app.sign_in(ALICE).await, app.sign_in(ALICE).await];
    read(&app.client(), None).await;
    end(&app, &late).await;
    let held = Held::take(app.database(), "action = 'session.revoked'").await;
    // So that nobody remembers.
    let app = app.restart().await.unwrap();
    app.wait(Duration::from_millis(1));
    end(&app, &early).await;
    soon(&app.client(), |document| sids(document).contains(&early.session)).await;
    app.wait(seconds(35));
    let told = read(&app.client(), None).await;
    assert_eq!(sids(&told), BTreeSet::from([early.session.clone()]));
    held.release().await;
    for _ in 0..500 {
        if sids(&read(&app.client(), Some(&told["next"])).await).contains(&late.session) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it was never told");
}

#[tokio::test]
async fn a_copy_is_asked_about_and_seldom_sent_again() {
    let app = TestApp::start().await;
    let session = app.sign_in(ALICE).await;
    let reply = app.client().get(FEED).await;
    assert_eq!(reply.header("cache-control"), "no-cache");
    let etag = reply.header("etag").to_owned();
    app.wait(seconds(10));
    let ask = async |etag: &str| app.client().header("if-none-match", etag).get(FEED).await;
    for tag in [etag.clone(), format!("W/{etag}"), "*".to_owned()] {
        let known = ask(&tag).await;
        assert_eq!(
            (known.status.as_u16(), known.text.as_str(), known.header("etag")),
            (304, "", etag.as_str())
        );
    }
    end(&app, &session).await;
    soon(&app.client(), |document| document["revoked"] != json!([])).await;
    let changed = ask(&etag).await;
    assert_eq!(changed.status.as_u16(), 200);
    assert_ne!(changed.header("etag"), etag);
}

#[tokio::test]
async fn it_is_for_everybody_and_for_reading_only() {
    let app = TestApp::start().await;
    let reply = app.client().at_origin("https://anywhere.example").get(FEED).await;
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    assert!(
        reply.headers.get("access-control-allow-credentials").is_none() && reply.set_cookies().is_empty()
    );
    for wrong in ["?since=", "?since=ses_01a208e5d0e87b26871202851e32cb22", "?since=7", "?since=a&since=b"] {
        let reply = app.client().get(&format!("{FEED}{wrong}")).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (400, "BAD_USER_INPUT"), "{wrong}");
    }
    assert_eq!(app.client().send(axum::http::Method::POST, FEED, "").await.status.as_u16(), 405);
}

/// As many as a thousand in one answer.
#[tokio::test]
async fn many_are_read_page_by_page() {
    let app = TestApp::start().await;
    let now = app.clock.now();
    let hex = |id: String| id.split_once('_').unwrap().1.to_owned();
    let uuid = |hex: String| match app.database().kind() {
        crate::support::database::Kind::Postgres => format!("'{hex}'"),
        _ => format!("x'{hex}'"),
    };
    let millis = now.unix_timestamp() * 1000;
    let rows = (0..2500_u32).map(|n| {
        let mut randomness = [0; 10];
        randomness[..4].copy_from_slice(&n.to_be_bytes());
        let event = uuid(hex(keywheel::domain::ids::EventId::new(now, &randomness).to_string()));
        let session = uuid(hex(keywheel::domain::ids::SessionId::new(now, &randomness).to_string()));
        format!("({event}, 'session.revoked', {session}, 'LOGOUT', {millis})")
    });
    let rows = rows.collect::<Vec<_>>().join(", ");
    app.sql(&format!("INSERT INTO audit_events (id, action, session_id, reason, created_at) VALUES {rows}"))
        .await;
    let (mut all, mut since, mut pages) = (BTreeSet::new(), None, 0);
    loop {
        let page = read(&app.client(), since.as_ref()).await;
        assert!(page["revoked"].as_array().unwrap().len() <= 1000);
        all.extend(sids(&page));
        pages += 1;
        since = Some(page["next"].clone());
        if page["more"] == false {
            break;
        }
    }
    assert_eq!((all.len(), pages), (2500, 3));
}

/// Ending the sessions of a server secret names none of them: what was issued before is over, whosever it is.
#[tokio::test]
async fn many_that_are_not_named_are_covered_by_a_time() {
    let app = TestApp::start().await;
    app.sign_in(ALICE).await;
    app.wait(Duration::from_millis(300));
    let journal = &app.app().auth().accounts().journal;
    end_sessions_of_slot(journal, 0, app.clock.now()).await.unwrap();
    let document = soon(&app.client(), |document| document.get("notBefore").is_some()).await;
    assert_eq!(
        document["notBefore"],
        app.clock.now().unix_timestamp() + 1,
        "no token of this second is taken"
    );
}

/// There is nothing left of it but what services must know for a while.
#[tokio::test]
async fn the_sessions_of_an_erased_account_are_listed() {
    let app = TestApp::start().await;
    let sessions = [app.sign_in(ALICE).await, app.sign_in(ALICE).await];
    let erase = format!(
        "mutation {{ deleteAccount(input: {{ currentPassword: \"{PASSWORD}\" }}) {{ deletedUserId }} }}"
    );
    app.client().bearing(&sessions[0].access).query(&erase).await.data();
    let document = soon(&app.client(), |document| document["revoked"] != json!([])).await;
    assert_eq!(sids(&document), sessions.map(|session| session.session).into());
}

/// A flood of readers costs the database no more than one.
#[tokio::test]
async fn readers_share_what_was_read() {
    let app = TestApp::start().await;
    read(&app.client(), None).await;
    let (statements, ()) = app
        .statements_of(async {
            for _ in 0..500 {
                read(&app.client(), None).await;
            }
        })
        .await;
    assert!(statements < 20, "{statements}");
}

/// An empty list would mean that nobody was signed out.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_there_is_no_list() {
    let app = TestApp::start().await;
    read(&app.client(), None).await;
    app.app().store().clone().close().await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let refused = |reply: &Reply| reply.status.as_u16() == 503 && reply.code() == "SERVICE_UNAVAILABLE";
    while !refused(&app.client().get(FEED).await) {
        assert!(Instant::now() < deadline, "still served");
    }
    let reply = app.client().get(FEED).await;
    assert!(refused(&reply), "{}", reply.text);
    assert_eq!(reply.header("retry-after"), "1");
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "how long it takes is worth knowing")]
async fn what_one_node_ends_is_listed_by_the_other_within_a_second() {
    let pair = Pair::start().await;
    let [here, there] = &pair.clients;
    let owner = here.login(ALICE, "BODY").await.unwrap();
    read(there, None).await;
    let mut took = Vec::new();
    for n in 0..20 {
        let victim = there.login(ALICE, "BODY").await.unwrap();
        // At any moment between two looks at the table.
        tokio::time::sleep(Duration::from_millis(n * 20)).await;
        let asked = Instant::now();
        here.clone().bearing(&owner.access).query(&revocation(&victim.session)).await.data();
        soon(there, |document| sids(document).contains(&victim.session)).await;
        took.push(asked.elapsed());
    }
    took.sort();
    println!("the feed of the other node had it after {:?}, at most {:?}", took[10], took[19]);
    assert!(took[10] < Duration::from_secs(1) && took[19] < Duration::from_secs(4), "{took:?}");
}

/// The consumer that the documentation shows.
#[tokio::test]
async fn the_example_learns_what_has_ended_and_forgets_it_in_time() {
    let app = TestApp::start().await;
    let sessions = [app.sign_in(ALICE).await, app.sign_in(ALICE).await];
    let mut revocations = consumer::Revocations::default();
    let mut learn = async |count: usize| {
        soon(&app.client(), |document| sids(document).len() == count).await;
        let url = revocations.url("");
        let (body, now) = (app.client().get(&url).await.text, app.clock.now().unix_timestamp());
        assert!(!revocations.learn(body.as_bytes(), now).unwrap());
        [0, 1].map(|n| revocations.cover(&sessions[n].session, now))
    };
    assert_eq!(learn(0).await, [false, false]);
    end(&app, &sessions[0]).await;
    assert_eq!(learn(1).await, [true, false]);
    app.wait(seconds(60));
    end(&app, &sessions[1]).await;
    assert_eq!(learn(2).await, [true, true], "what was learnt before stays");
    app.wait(seconds(301));
    assert_eq!(learn(1).await, [false, true], "for as long as it matters");
    let journal = &app.app().auth().accounts().journal;
    end_sessions_of_slot(journal, 0, app.clock.now()).await.unwrap();
    soon(&app.client(), |document| document.get("notBefore").is_some()).await;
    assert_eq!(learn(1).await, [false, true]);
    app.wait(seconds(60));
    assert_eq!(learn(0).await, [false, false], "a token of a later time is good");
}
