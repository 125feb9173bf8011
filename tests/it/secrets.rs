//! A new server secret, step by step, without anybody being signed out.

use std::{
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, Stdio},
};

use keywheel::app::{self, App, secrets::Written};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    ALICE, Client, SECRET, TestApp, Tokens, config_with,
    process::{keywheel, keywheel_on, output_of},
    seconds,
};

// In two pieces, so that nobody copies one that works.
const NEW: &str = concat!("APrHsLk0K0iSZ8N0Aup/bh", "RjsLTJMX8cyhNqIeJ2Hv0=");
pub(super) const INVALID: &str = "REFRESH_TOKEN_INVALID";

pub(super) fn before() -> String {
    format!("0:{SECRET}")
}

fn staged() -> String {
    format!("0:{SECRET},1:{NEW}")
}

pub(super) fn promoted() -> String {
    format!("1:{NEW},0:{SECRET}")
}

fn after() -> String {
    format!("1:{NEW}")
}

pub(super) fn client(node: &App) -> Client {
    Client::new(node.router().clone())
}

fn slot(token: &str) -> u8 {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.decode(&token[4..]).unwrap()[0] & 0x0f
}

async fn turn(node: &App) {
    node.auth().keys().turn().await.unwrap();
    node.auth().keys().reload().await.unwrap();
}

async fn count(app: &TestApp, what: &str) -> i64 {
    app.database().number(&format!("SELECT count(*) FROM {what}")).await
}

/// A device that now and then loses an answer and asks again, at whichever node answers.
struct Phone {
    tokens: Tokens,
    calls: usize,
}

impl Phone {
    async fn refresh(&mut self, nodes: [&App; 2]) {
        self.calls += 1;
        let key = format!("{:022}", self.calls);
        let (here, there) = (client(nodes[self.calls % 2]), client(nodes[(self.calls / 2) % 2]));
        let answer = here.refresh_keyed(&self.tokens.refresh, &key).await.unwrap();
        let again = there.refresh_keyed(&self.tokens.refresh, &key).await.unwrap();
        assert_eq!(again.refresh, answer.refresh, "the same successor, whoever is asked");
        assert!(there.bearing(&answer.access).is_signed_in().await);
        self.tokens = answer;
    }
}

/// The nodes are replaced one after the other, in each round; between any two steps every device refreshes on both.
#[tokio::test]
async fn two_rounds_on_two_nodes_sign_nobody_out() {
    let app = TestApp::start().await;
    let mut nodes = [app.node("", &before()).await.unwrap(), app.node("", &before()).await.unwrap()];
    let mut phones = Vec::new();
    for i in 0..6 {
        let tokens = client(&nodes[i % 2]).login(ALICE, "BODY").await.unwrap();
        phones.push(Phone { tokens, calls: i });
    }
    let quiet = client(&nodes[0]).login(ALICE, "BODY").await.unwrap();
    let copied = client(&nodes[1]).login(ALICE, "BODY").await.unwrap();
    let moved_on = client(&nodes[1]).refresh_keyed(&copied.refresh, &"c".repeat(22)).await.unwrap();

    for (round, secret) in [staged(), promoted()].iter().enumerate() {
        for replaced in 0..2 {
            nodes[replaced] = app.node("", secret).await.unwrap();
            for node in &nodes {
                turn(node).await;
            }
            for phone in &mut phones {
                phone.refresh([&nodes[0], &nodes[1]]).await;
            }
            // One that signs in on the new node is known on the old one.
            let fresh = client(&nodes[replaced]).login(ALICE, "BODY").await.unwrap();
            assert_eq!(slot(&fresh.refresh), u8::try_from(round).unwrap());
            phones.push(Phone { tokens: fresh, calls: replaced });
            app.wait(seconds(60));
        }
    }
    for _ in 0..2 {
        for phone in &mut phones {
            phone.refresh([&nodes[0], &nodes[1]]).await;
        }
    }
    assert!(phones.iter().all(|phone| slot(&phone.tokens.refresh) == 1));
    assert_eq!(count(&app, "signing_keys WHERE slot <> 1").await, 0, "sealed under the new one");
    assert_eq!(count(&app, "refresh_sessions WHERE revoked_at IS NOT NULL").await, 0);

    // A token from before both rounds is still good, and still gives a thief away.
    let quiet = client(&nodes[0]).refresh(&quiet.refresh).await.unwrap();
    assert_eq!(slot(&quiet.refresh), 1);
    assert_eq!(client(&nodes[1]).refresh(&copied.refresh).await.unwrap_err(), "REFRESH_TOKEN_REUSED");
    assert_eq!(client(&nodes[0]).refresh(&moved_on.refresh).await.unwrap_err(), INVALID);

    // The session that was quiet needs the old secret until its new token was used.
    let config = config_with(app.database(), "", &promoted());
    let retire = async || {
        let surroundings = app.surroundings();
        app::secrets::retire(&config, &surroundings, 0, false).await.map(|(written, _)| written)
    };
    let refusal = retire().await.err().unwrap().to_string();
    assert!(refusal.starts_with("1 live sessions need slot 0"), "{refusal}");
    let quiet = client(&nodes[0]).refresh(&quiet.refresh).await.unwrap();
    let Written::Environment(remaining) = retire().await.unwrap() else { panic!() };
    assert_eq!(remaining.expose_secret(), after());

    for node in &mut nodes {
        *node = app.node("", &after()).await.unwrap();
    }
    for phone in &mut phones {
        phone.refresh([&nodes[0], &nodes[1]]).await;
    }
    assert!(client(&nodes[1]).refresh(&quiet.refresh).await.is_ok());
    assert_eq!(count(&app, "refresh_sessions WHERE revoked_at IS NOT NULL").await, 1, "the copied one");
}

#[tokio::test]
async fn a_retry_with_a_token_of_the_old_secret_is_the_same_call() {
    let app = TestApp::start().await;
    let node = app.node("", &promoted()).await.unwrap();
    let old = app.sign_in(ALICE).await;
    let key = "k".repeat(22);
    let new = client(&node).refresh_keyed(&old.refresh, &key).await.unwrap();
    assert_eq!((slot(&old.refresh), slot(&new.refresh)), (0, 1));
    app.wait(seconds(3600));
    let again = client(&node).refresh_keyed(&old.refresh, &key).await.unwrap();
    assert_eq!(again.refresh, new.refresh);
    assert_eq!(
        client(&node).refresh_keyed(&old.refresh, &"x".repeat(22)).await.unwrap_err(),
        "REFRESH_TOKEN_REUSED"
    );
}

#[tokio::test]
async fn the_windows_without_a_retry_key_span_a_change_of_secret() {
    let app = TestApp::start().await;
    let node = app.node("", &promoted()).await.unwrap();
    let old = app.sign_in(ALICE).await;
    let new = client(&node).refresh(&old.refresh).await.unwrap();
    app.wait(seconds(29));
    assert_eq!(client(&node).refresh(&old.refresh).await.unwrap().refresh, new.refresh);
    app.wait(seconds(2));
    assert_eq!(client(&node).refresh(&old.refresh).await.unwrap_err(), "REFRESH_TOKEN_REUSED");
}

/// The rotation that moved the session is lost: its token is ahead of its row, and under another secret.
#[tokio::test]
async fn a_lost_commit_of_the_change_is_made_up_for() {
    let app = TestApp::start().await;
    let node = app.node("", &promoted()).await.unwrap();
    let first = app.sign_in(ALICE).await;
    app.sql("CREATE TABLE kept AS SELECT * FROM refresh_sessions").await;
    let second = client(&node).refresh(&first.refresh).await.unwrap();
    app.sql("DELETE FROM refresh_sessions; INSERT INTO refresh_sessions SELECT * FROM kept").await;

    let third = client(&node).refresh_keyed(&second.refresh, &"k".repeat(22)).await.unwrap();
    let fourth = client(&node).refresh(&third.refresh).await.unwrap();
    assert!(client(&node).bearing(&fourth.access).is_signed_in().await);
    let slots = "refresh_sessions WHERE slot = 1 AND previous_slot = 1";
    assert_eq!(count(&app, slots).await, 1);
    assert_eq!(client(&node).refresh(&second.refresh).await.unwrap_err(), "REFRESH_TOKEN_REUSED");
}

/// The same the other way about: a node that has not been given the new order yet takes over.
#[tokio::test]
async fn a_node_that_lags_behind_a_round_goes_on() {
    let app = TestApp::start().await;
    let (ahead, behind) = (app.node("", &promoted()).await.unwrap(), app.node("", &staged()).await.unwrap());
    let mut tokens = app.sign_in(ALICE).await;
    for (i, node) in [&ahead, &behind, &behind, &ahead].into_iter().enumerate() {
        turn(node).await;
        tokens = client(node).refresh_keyed(&tokens.refresh, &format!("{i:022}")).await.unwrap();
        assert_eq!(slot(&tokens.refresh), u8::from(std::ptr::eq(node, &raw const ahead)));
        assert_eq!(count(&app, "signing_keys WHERE slot = 1").await, 1, "sealed once, and not back");
    }
}

#[tokio::test]
async fn any_token_of_the_old_secret_signs_out() {
    let app = TestApp::start().await;
    let node = app.node("", &promoted()).await.unwrap();
    for rotations in 0..3 {
        let old = app.sign_in(ALICE).await;
        let mut newest = old.clone();
        for _ in 0..rotations {
            newest = client(&node).refresh(&newest.refresh).await.unwrap();
        }
        let logout = "mutation ($t: String) { logout(input: { refreshToken: $t }) { session { id } } }";
        let reply = client(&node).graphql(logout, json!({ "t": old.refresh })).await;
        assert_eq!(reply.data()["logout"]["session"]["id"], old.session);
        assert_eq!(client(&node).refresh(&newest.refresh).await.unwrap_err(), INVALID);
    }
}

#[tokio::test]
async fn a_cookie_moves_like_any_token() {
    let app = TestApp::start().await;
    let node = app.node("", &promoted()).await.unwrap();
    let browser = app.browser();
    browser.login(ALICE, "COOKIE").await.unwrap();
    let there = client(&node).in_browser(crate::support::ORIGIN);
    there.put_cookie(&browser.cookie().unwrap());
    there.refresh_by_cookie().await.unwrap();
    assert_eq!(slot(&there.cookie().unwrap()), 1);
    there.refresh_by_cookie().await.unwrap();
    assert_eq!(slot(&there.cookie().unwrap()), 1, "kept");
}

#[tokio::test]
async fn what_is_dropped_is_trusted_no_more() {
    let app = TestApp::start().await;
    let old = app.sign_in(ALICE).await;
    assert!(app.node("", &after()).await.is_err(), "its signing key cannot be opened");
    turn(&app.node("", &promoted()).await.unwrap()).await;
    let node = app.node("", &after()).await.unwrap();
    let (statements, refused) = {
        let before = node.store().statements();
        let refused = client(&node).refresh(&old.refresh).await.unwrap_err();
        (node.store().statements() - before, refused)
    };
    assert_eq!((statements, refused.as_str()), (0, INVALID));
}

/// Keys sealed under a secret that a running node was not given: it goes on with what it has.
#[tokio::test]
async fn a_node_without_the_new_secret_keeps_the_keys_that_it_has() {
    let app = TestApp::start().await;
    let tokens = app.sign_in(ALICE).await;
    turn(&app.node("", &promoted()).await.unwrap()).await;
    assert_eq!(count(&app, "signing_keys WHERE slot = 1").await, 1);
    app.turn_keys().await;
    assert!(app.client().bearing(&tokens.access).is_signed_in().await);
    assert!(app.client().refresh(&tokens.refresh).await.is_ok());
    assert_eq!(count(&app, "signing_keys WHERE slot = 1").await, 1);
}

#[tokio::test]
async fn after_a_leak_the_sessions_of_a_secret_are_ended() {
    let app = TestApp::start().await;
    let old = app.sign_in(ALICE).await;
    let node = app.node("", &promoted()).await.unwrap();
    let config = config_with(app.database(), "", &promoted());
    let retire = async || app::secrets::retire(&config, &app.surroundings(), 0, true).await;
    let refusal = retire().await.err().unwrap().to_string();
    assert!(refusal.starts_with("1 signing keys are sealed under slot 0"), "{refusal}");
    turn(&node).await;
    let new = client(&node).login(ALICE, "BODY").await.unwrap();
    let (_, ended) = retire().await.unwrap();
    assert_eq!(ended, 1);
    assert_eq!(client(&node).refresh(&old.refresh).await.unwrap_err(), INVALID);
    assert!(client(&node).refresh(&new.refresh).await.is_ok());
}

// ---- The command line ---------------------------------------------------------------------------------------------

fn with_file(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = keywheel(folder.path(), arguments);
    command.env("KEYWHEEL_SECRET_FILE", "secret");
    command
}

fn slots(folder: &TempDir) -> Vec<String> {
    let text = std::fs::read_to_string(folder.path().join("secret")).unwrap();
    text.trim().split(',').map(|entry| entry.split_once(':').unwrap_or(("bare", "")).0.to_owned()).collect()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn write_secret(folder: &TempDir, mode: u32) {
    let path = folder.path().join("secret");
    std::fs::write(&path, format!("{SECRET}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn a_file_is_rewritten_for_its_owner_alone() {
    for (before, after) in [(0o644, 0o600), (0o600, 0o600), (0o666, 0o600), (0o640, 0o640)] {
        let folder = TempDir::new().unwrap();
        output_of(&mut keywheel(folder.path(), &["migrate"]));
        write_secret(&folder, before);
        let files = || std::fs::read_dir(folder.path()).unwrap().count();
        let before_files = files();
        let said = output_of(&mut with_file(&folder, &["secret", "rotate"]));
        assert!(said.starts_with("The secret of slot 1 is current."), "{said}");
        let text = std::fs::read_to_string(folder.path().join("secret")).unwrap();
        assert!(!said.contains(&text[2..20]) && text.contains(SECRET), "{said}");
        assert_eq!(slots(&folder), ["1", "0"]);
        assert_eq!(mode(&folder.path().join("secret")), after);
        assert_eq!(files(), before_files, "nothing is left beside it");
    }
}

#[test]
fn of_several_changes_at_once_none_is_lost() {
    let folder = TempDir::new().unwrap();
    output_of(&mut keywheel(folder.path(), &["migrate"]));
    write_secret(&folder, 0o600);
    let changes: Vec<_> = (0..4)
        .map(|_| with_file(&folder, &["secret", "rotate"]).stdout(Stdio::null()).spawn().unwrap())
        .collect();
    assert!(changes.into_iter().all(|mut change| change.wait().unwrap().success()));
    assert_eq!(slots(&folder).len(), 5);
}

#[test]
fn a_secret_is_staged_then_made_current_then_retired() {
    let folder = TempDir::new().unwrap();
    write_secret(&folder, 0o600);
    // As orchestrators mount them.
    std::fs::rename(folder.path().join("secret"), folder.path().join("mounted")).unwrap();
    symlink("mounted", folder.path().join("secret")).unwrap();
    let run = |arguments: &[&str]| with_file(&folder, arguments).output().unwrap();
    let fails = |arguments: &[&str], why: &str| {
        let output = run(arguments);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && complaint.contains(why), "{complaint}");
    };
    output_of(&mut with_file(&folder, &["migrate"]));
    output_of(&mut with_file(&folder, &["secret", "rotate", "--stage"]));
    assert_eq!(slots(&folder), ["0", "1"]);
    fails(&["secret", "rotate", "--stage"], "slot 1 is taken");
    fails(&["secret", "retire", "0"], "slot 0 is the current one");
    output_of(&mut with_file(&folder, &["secret", "rotate"]));
    assert_eq!(slots(&folder), ["1", "0"]);
    assert!(folder.path().join("secret").is_symlink());
    fails(&["secret", "retire", "7"], "there is no secret in slot 7");

    let list = |json: &str| -> Value { serde_json::from_str(json).unwrap() };
    let listed = list(&output_of(&mut with_file(&folder, &["secret", "list", "--json"])));
    let old = json!({ "slot": 0, "state": "old", "sessions": 0, "signingKeys": 0 });
    assert_eq!((&listed[0]["state"], &listed[1]), (&json!("current"), &old));
    let said = output_of(&mut with_file(&folder, &["secret", "retire", "0"]));
    assert!(said.starts_with("Retired slot 0."), "{said}");
    assert_eq!(slots(&folder), ["1"]);
}

#[test]
fn for_the_environment_what_to_set_is_printed_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    output_of(&mut keywheel(folder.path(), &["migrate"]));
    let print = |arguments: &[&str], secret: &str| {
        let output = keywheel(folder.path(), arguments).env("KEYWHEEL_SECRET", secret).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        text.trim().to_owned()
    };
    let staged = print(&["secret", "rotate", "--stage"], SECRET);
    assert!(staged.starts_with(&format!("0:{SECRET},1:")), "{staged}");
    let promoted = print(&["secret", "rotate"], &staged);
    assert!(promoted.starts_with("1:") && promoted.ends_with(&format!(",0:{SECRET}")), "{promoted}");
    assert_ne!(print(&["secret", "rotate", "--stage"], SECRET), staged, "it is random");
}

#[tokio::test]
async fn keys_are_listed_and_revoked_from_the_command_line() {
    let app = TestApp::start().await;
    let tokens = app.sign_in(ALICE).await;
    let kid = jsonwebtoken::decode_header(&tokens.access).unwrap().kid.unwrap();
    let run = |arguments: &[&str]| keywheel_on(app.database(), arguments);
    let listed: Value = serde_json::from_str(&output_of(&mut run(&["keys", "list", "--json"]))).unwrap();
    assert_eq!((&listed[0]["kid"], &listed[0]["algorithm"]), (&json!(kid), &json!("ES256")));
    let said = output_of(&mut run(&["keys", "revoke", &kid]));
    assert!(said.starts_with(&format!("Revoked {kid}. ")) && said.contains("signs in its place"), "{said}");
    assert!(output_of(&mut run(&["keys", "list"])).contains("revoked"));
    let unknown = run(&["keys", "revoke", "-unknown"]).output().unwrap();
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("there is no key -unknown"));
}
