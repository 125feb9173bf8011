//! The program as a person or a script runs it.

use std::{
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    SECRET,
    process::{self, Server},
};

fn keywheel(folder: &TempDir, arguments: &[&str]) -> Command {
    process::keywheel(folder.path(), arguments)
}

fn output(folder: &TempDir, arguments: &[&str]) -> Output {
    keywheel(folder, arguments).output().unwrap()
}

#[track_caller]
fn succeeds(folder: &TempDir, arguments: &[&str]) -> String {
    let output = output(folder, arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn fails(folder: &TempDir, arguments: &[&str]) -> String {
    let output = output(folder, arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_schema_is_printed() {
    assert_eq!(succeeds(&TempDir::new().unwrap(), &["schema"]), keywheel::app::sdl());
    let federated = succeeds(&TempDir::new().unwrap(), &["schema", "--federation"]);
    assert_eq!(federated, keywheel::app::federated_sdl());
}

#[test]
fn serving_needs_a_secret_and_says_how_to_make_one() {
    let folder = TempDir::new().unwrap();
    let complaint = fails(&folder, &["config", "check"]);
    assert!(
        complaint.contains("KEYWHEEL_SECRET") && complaint.contains("openssl rand -base64 32"),
        "{complaint}"
    );
    let served = output(&folder, &["serve", "--migrate"]);
    assert_eq!(served.status.code(), Some(1));
    assert!(!folder.path().join("keywheel-data").exists(), "nothing was begun");

    let check = |secret: &str| {
        keywheel(&folder, &["config", "check"]).env("KEYWHEEL_SECRET", secret).output().unwrap()
    };
    let weak = check("c2VjcmV0");
    assert!(!weak.status.success());
    assert!(!String::from_utf8_lossy(&weak.stderr).contains("c2VjcmV0"));
    assert!(check(SECRET).status.success());

    std::fs::write(folder.path().join("secret"), format!("{SECRET}\n")).unwrap();
    std::fs::write(folder.path().join("keywheel.toml"), "secret_file = \"secret\"\n").unwrap();
    succeeds(&folder, &["config", "check"]);
}

#[test]
fn an_older_schema_is_refused_until_it_is_migrated() {
    let folder = TempDir::new().unwrap();
    let serve = |extra: &[&str]| {
        let mut command = keywheel(&folder, &[&["serve"], extra].concat());
        command.env("KEYWHEEL_SECRET", SECRET);
        command
    };
    let refused = serve(&[]).output().unwrap();
    let complaint = String::from_utf8(refused.stderr).unwrap();
    assert!(
        complaint.contains("17 migrations are missing") && complaint.contains("keywheel migrate"),
        "{complaint}"
    );
    assert!(fails(&folder, &["user", "list"]).contains("migrate"));

    assert!(succeeds(&folder, &["migrate"]).starts_with("Migrated: m20261123_000001_create_users, "));
    assert_eq!(succeeds(&folder, &["migrate"]), "The schema is up to date.\n");
    let (server, line) = Server::start(serve(&[]), |line| line.contains("\"listening\""));
    let line: Value = serde_json::from_str(&line).unwrap();
    assert!(line["address"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(server.terminate(), 0);
}

#[test]
fn accounts_are_kept_from_the_command_line() {
    let folder = TempDir::new().unwrap();
    succeeds(&folder, &["migrate"]);
    let made: Value = serde_json::from_str(&succeeds(
        &folder,
        &["user", "create", "root@example.com", "--admin", "--json"],
    ))
    .unwrap();
    assert_eq!(made["user"]["roles"][0], "admin");
    assert_eq!(made["password"].as_str().unwrap().len(), 20);

    let mut create = keywheel(&folder, &["user", "create", "alice@example.com", "--password-stdin"]);
    let mut child = create.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"correct horse battery staple\n").unwrap();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(said.starts_with("Made alice@example.com (usr_") && !said.contains("horse"), "{said}");

    assert!(
        fails(&folder, &["user", "create", "alice@example.com"]).contains("Another account has this email")
    );
    assert!(fails(&folder, &["user", "create", "nonsense"]).contains("not an email address"));
    assert!(fails(&folder, &["user", "block", "nobody@example.com"]).contains("there is no account"));
    assert_eq!(
        succeeds(&folder, &["user", "block", "alice@example.com"]),
        "Blocked alice@example.com; 0 sessions ended.\n"
    );
    let list: Value = serde_json::from_str(&succeeds(&folder, &["user", "list", "--json"])).unwrap();
    let states: Vec<_> =
        list.as_array().unwrap().iter().map(|user| user["blocked"].as_bool().unwrap()).collect();
    assert_eq!(states, [false, true]);
    assert!(succeeds(&folder, &["user", "list"]).contains("alice@example.com  blocked"));
    succeeds(&folder, &["user", "unblock", "alice@example.com"]);
    assert_eq!(succeeds(&folder, &["user", "sessions", "alice@example.com", "--json"]), "[]\n");
    assert_eq!(
        succeeds(&folder, &["user", "revoke", "alice@example.com"]),
        "Ended 0 sessions of alice@example.com.\n"
    );
}

#[test]
fn users_are_administered_from_the_command_line() {
    let folder = TempDir::new().unwrap();
    succeeds(&folder, &["migrate"]);
    std::fs::write(folder.path().join("keywheel.toml"), "[roles]\nsupport = [\"users:read\"]\n").unwrap();
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(&succeeds(&folder, &[arguments, &["--json"]].concat())).unwrap()
    };
    for email in ["alice@example.com", "albert@example.com", "bob@example.com"] {
        succeeds(&folder, &["user", "create", email]);
    }
    let id = json(&["user", "show", "alice@example.com"])["id"].as_str().unwrap().to_owned();

    let given = output(&folder, &["user", "role", &id, "support", "billing:write"]);
    assert_eq!(
        String::from_utf8_lossy(&given.stdout),
        format!("{id} has these roles now: support, billing:write.\n")
    );
    let warned = String::from_utf8(given.stderr).unwrap();
    assert!(warned.contains("`billing:write`") && !warned.contains("`support`"), "{warned}");
    let shown = json(&["user", "show", &id]);
    assert_eq!(shown["roles"], serde_json::json!(["support", "billing:write"]));
    assert_eq!((&shown["permissions"], &shown["sessions"]), (&serde_json::json!(["users:read"]), &0.into()));
    let page = succeeds(&folder, &["user", "show", "alice@example.com"]);
    assert!(page.contains("Email        alice@example.com (not verified)\n"), "{page}");
    assert_eq!(output(&folder, &["user", "role", &id]).status.code(), Some(2), "nothing is no list of roles");
    assert_eq!(output(&folder, &["user", "role", &id, "support", "--none"]).status.code(), Some(2));
    assert!(fails(&folder, &["user", "role", &id, "Support"]).contains("small letters"));
    assert_eq!(json(&["user", "role", &id, "--none"])["user"]["roles"], serde_json::json!([]));

    let found = json(&["user", "list", "--search", "AL"]);
    let emails: Vec<_> =
        found.as_array().unwrap().iter().map(|user| user["email"].as_str().unwrap()).collect();
    assert_eq!(emails, ["alice@example.com", "albert@example.com"], "the oldest first");
    assert_eq!(
        json(&["user", "block", &id]),
        serde_json::json!({ "user": json(&["user", "list", "--search", "alice"])[0], "ended_sessions": 0 })
    );
    assert_eq!(json(&["user", "unblock", &id])["user"]["blocked"], false);
    assert_eq!(json(&["user", "revoke", &id])["ended_sessions"], 0);

    assert!(fails(&folder, &["user", "delete", "bob@example.com"]).contains("--yes"));
    let deleted = json(&["user", "delete", "bob@example.com", "--yes"])["deleted_user_id"].clone();
    assert!(fails(&folder, &["user", "show", deleted.as_str().unwrap()]).contains("there is no account"));
    succeeds(&folder, &["user", "create", "bob@example.com"]);
    assert_ne!(json(&["user", "show", "bob@example.com"])["id"], deleted);
}

#[test]
fn the_last_administrator_is_touched_only_on_purpose() {
    let folder = TempDir::new().unwrap();
    succeeds(&folder, &["migrate"]);
    let root = "root@example.com";
    for (email, purpose) in [(root, "--admin"), ("alice@example.com", "--json")] {
        succeeds(&folder, &["user", "create", email, purpose]);
    }
    for attempt in [
        &["user", "block", root][..],
        &["user", "role", root, "--none"],
        &["user", "role", root, "support"],
        &["user", "delete", root, "--yes"],
    ] {
        let refused = fails(&folder, attempt);
        assert!(refused.contains("last administrator") && refused.contains("--even-last-admin"), "{refused}");
    }
    succeeds(&folder, &["user", "block", root, "--even-last-admin"]);
    succeeds(&folder, &["user", "unblock", root]);
    succeeds(&folder, &["user", "role", root, "support", "--even-last-admin"]);
    succeeds(&folder, &["user", "role", root, "admin"]);
    succeeds(&folder, &["user", "role", "alice@example.com", "admin"]);
    succeeds(&folder, &["user", "delete", root, "--yes"]);
    assert!(fails(&folder, &["user", "delete", "alice@example.com", "--yes"]).contains("last administrator"));
}

#[test]
fn dev_needs_nothing_and_keeps_what_it_made() {
    let folder = TempDir::new().unwrap();
    let start = || Server::start(keywheel(&folder, &["dev"]), |line| line.contains("Password"));
    let (server, first) = start();
    assert_eq!(server.terminate(), 0);
    for file in ["secret", "demo-account.json", "keywheel.db"] {
        let path = folder.path().join("keywheel-data").join(file);
        assert_eq!(mode(&path), 0o600, "{file}");
    }
    let (server, second) = start();
    assert_eq!(first, second, "the same demo account as before");
    assert_eq!(server.terminate(), 0);
    let demo = succeeds(&folder, &["user", "show", "demo@example.com"]);
    assert!(demo.contains("(verified)"), "it signs in whatever is required: {demo}");
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
