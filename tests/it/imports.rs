//! Accounts of other systems, brought by the program itself.

mod awkward;

use std::{fs, io::Write, process::Stdio};

use serde_json::{Value, json};

use crate::support::{
    PASSWORD, TestApp,
    database::Kind,
    strapi::{Imported, PASSWORDS, Source, command, empty_app, import, import_strapi, read},
};

/// A bcrypt hash of `correct horse`.
const BCRYPT: &str = "$2a$04$V4CVysTqFsHs0l3.ybnds.MUBUlk4ouUtq9W/cDbe9vstdej3TqzK";

async fn login(app: &TestApp, identifier: &str, password: &str) -> Result<Value, String> {
    let reply = app.client().login_reply(json!({ "identifier": identifier, "password": password })).await;
    match reply.tokens("login") {
        Ok(tokens) => {
            let me = "{ me { email username emailVerified blocked roles createdAt } }";
            Ok(app.client().bearing(&tokens.access).query(me).await.data()["me"].clone())
        }
        Err(code) => Err(code),
    }
}

/// Everything that an import could change, as text.
async fn contents(app: &TestApp) -> Vec<String> {
    let mut texts = Vec::new();
    for query in [
        "SELECT concat(count(*), '') FROM users",
        "SELECT concat(count(*), '') FROM imported_users",
        "SELECT concat(count(*), '') FROM audit_events",
    ] {
        texts.push(app.sql_text(query).await);
    }
    let columns = "email, username, password_hash, roles, blocked_at, created_at, auth_epoch";
    let concat = if app.database().kind() == Kind::MariaDb { "group_concat" } else { "string_agg" };
    let list = if app.database().kind() == Kind::MariaDb {
        format!("{concat}(concat_ws('|', {columns}) ORDER BY email, username SEPARATOR ' / ')")
    } else {
        format!("{concat}(concat_ws('|', {columns}), ' / ' ORDER BY email, username)")
    };
    texts.push(app.sql_text(&format!("SELECT coalesce({list}, '') FROM users")).await);
    texts
}

#[tokio::test]
async fn users_of_a_real_strapi_sign_in_with_their_old_passwords() {
    let (app, source) = (empty_app("").await, Source::five().await);
    let done = import_strapi(&app, &source, &[]);
    assert_eq!(
        done.found(),
        [
            ("row 2", false, "USERNAME_UNUSABLE"),
            ("row 4", false, "USERNAME_UNUSABLE"),
            ("row 8", false, "ROLE_LEFT_BEHIND"),
            ("row 11", false, "USERNAME_TAKEN"),
            ("row 12", true, "NO_IDENTIFIER"),
        ]
    );
    assert_eq!(
        (done.code, done.summary),
        (
            3,
            json!({ "dryRun": false, "read": 13, "imported": 12, "unchanged": 0, "erased": 0, "leftOut": 1, "withoutPassword": 1 })
        )
    );

    for (identifier, password) in PASSWORDS {
        assert_eq!(login(&app, identifier, "not the password").await.unwrap_err(), "INVALID_CREDENTIALS");
        // First against the hash of bcryptjs, then against ours.
        for _ in 0..2 {
            login(&app, identifier, password).await.unwrap_or_else(|code| panic!("{identifier}: {code}"));
        }
    }
    // What bcrypt does not read, it does not compare.
    login(&app, "bob@example.com", &"b".repeat(72)).await.unwrap();
    login(&app, "longwinded@example.com", &"x".repeat(100)).await.unwrap();
    assert_eq!(login(&app, "octocat@example.com", "").await.unwrap_err(), "INVALID_CREDENTIALS");
    assert_eq!(login(&app, "mallory@example.com", "blocked but right").await.unwrap_err(), "ACCOUNT_BLOCKED");
    assert_eq!(
        app.sql_text("SELECT concat(count(*), '') FROM users WHERE password_hash LIKE 'raw:%'").await,
        "0"
    );

    let alice = login(&app, "ALICE@example.com", "wonderland 1865").await.unwrap();
    assert_eq!(alice["username"], "alice");
    assert_eq!((&alice["emailVerified"], &alice["roles"]), (&json!(true), &json!([])));
    assert!(alice["createdAt"].as_str().unwrap().starts_with("2026-11-23T22:43:"), "{alice}");
    let trent = login(&app, "trent@example.com", "not yet confirmed").await.unwrap();
    assert_eq!(trent["emailVerified"], false);
    let editor = login(&app, "editor", "red pencil 2000").await.unwrap();
    assert_eq!(editor["roles"], json!(["editeur_en_chef"]));
    let boss = login(&app, "boss", "corner office 9").await.unwrap();
    assert_eq!(boss["roles"], json!([]), "nobody comes to power by the name of a role");
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let (app, source) = (empty_app("").await, Source::five().await);
    import_strapi(&app, &source, &[]);
    // Meanwhile people sign in, move on and are blocked here, and the source changes as well.
    login(&app, "alice", "wonderland 1865").await.unwrap();
    app.sql("UPDATE users SET email = 'zoe@elsewhere.example' WHERE email = 'zoe@example.com'").await;
    app.sql("UPDATE users SET blocked_at = 1 WHERE email = 'bob@example.com'").await;
    source.database.sql("UPDATE up_users SET email = 'new@example.com', password = NULL WHERE id = 1").await;
    let before = contents(&app).await;
    for arguments in [&["--batch", "1"][..], &["--batch", "4"], &["--dry-run"], &[]] {
        let again = import_strapi(&app, &source, arguments);
        assert_eq!(again.summary["unchanged"], 12, "{arguments:?}");
        assert_eq!(again.summary["imported"], 0, "{arguments:?}");
        assert_eq!(again.found(), [("row 12", true, "NO_IDENTIFIER")]);
        assert_eq!(contents(&app).await, before, "{arguments:?}");
    }
}

#[tokio::test]
async fn a_rehearsal_finds_the_same_and_keeps_nothing() {
    let (app, source) = (empty_app("").await, Source::five().await);
    let before = contents(&app).await;
    // Each row a batch of its own: what one would have taken, the next must find taken.
    let rehearsal = import_strapi(&app, &source, &["--dry-run", "--batch", "1"]);
    assert_eq!(contents(&app).await, before);
    let done = import_strapi(&app, &source, &["--batch", "5"]);
    assert_eq!((rehearsal.code, &rehearsal.findings), (done.code, &done.findings));
    let counts = |summary: &Value| {
        let mut summary = summary.clone();
        summary["dryRun"] = Value::Null;
        summary
    };
    assert_eq!(counts(&rehearsal.summary), counts(&done.summary));
}

#[tokio::test]
async fn the_source_is_only_read() {
    let (app, source) = (empty_app("").await, Source::five().await);
    let rows = "SELECT concat(count(*), '') FROM up_users WHERE password IS NOT NULL";
    let before = source.database.text(rows).await;
    let file = source.database.url().strip_prefix("sqlite://").map(str::to_owned);
    let bytes = file.as_ref().map(|file| fs::read(file).unwrap());
    import_strapi(&app, &source, &[]);
    assert_eq!(source.database.text(rows).await, before);
    if let Some(file) = file {
        assert_eq!(Some(fs::read(&file).unwrap()), bytes);
        let folder = fs::read_dir(std::path::Path::new(&file).parent().unwrap()).unwrap();
        assert_eq!(folder.count(), 1, "no journal beside it");
    }
}

#[tokio::test]
async fn version_4_links_its_roles_otherwise() {
    let (app, source) = (empty_app("").await, Source::four().await);
    let role = ["--role", "editeur_en_chef=editor", "--role", "admin=admin"];
    let done = import_strapi(&app, &source, &role);
    assert_eq!((done.code, &done.summary["imported"]), (3, &json!(13)));
    // Version 4 let people have passwords that bcrypt does not read to the end.
    login(&app, "long@example.com", &"l".repeat(80)).await.unwrap();
    let editor = login(&app, "editor", "red pencil 2000").await.unwrap();
    assert_eq!(editor["roles"], json!(["editor"]));
    let boss = login(&app, "boss", "corner office 9").await.unwrap();
    assert_eq!(boss["roles"], json!(["admin"]), "unless the operator says so");
    assert!(!done.found().iter().any(|(_, _, code)| *code == "ROLE_LEFT_BEHIND"));
}

#[tokio::test]
async fn what_is_here_already_is_left_alone() {
    let (app, source) = (TestApp::start().await, Source::five().await);
    let done = import_strapi(&app, &source, &[]);
    assert_eq!(done.code, 3);
    let found = done.found();
    assert!(found.contains(&("row 1", true, "EMAIL_TAKEN")), "{found:?}");
    assert!(found.contains(&("row 4", true, "EMAIL_TAKEN")), "{found:?}");
    assert_eq!(login(&app, "alice@example.com", "wonderland 1865").await.unwrap_err(), "INVALID_CREDENTIALS");
    login(&app, "alice@example.com", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn whoever_was_erased_does_not_come_back() {
    let (app, source) = (empty_app("").await, Source::five().await);
    import_strapi(&app, &source, &[]);
    let password = "cafe\u{301} noir 7";
    let tokens =
        app.client().login_with(json!({ "identifier": "renee", "password": password })).await.unwrap();
    let delete = "mutation($p: String!) { deleteAccount(input: { currentPassword: $p }) { deletedUserId } }";
    app.client().bearing(&tokens.access).graphql(delete, json!({ "p": password })).await.data();
    let again = import_strapi(&app, &source, &[]);
    assert_eq!((&again.summary["erased"], &again.summary["imported"]), (&json!(1), &json!(0)));
    assert_eq!(
        login(&app, "renee@example.com", "cafe\u{301} noir 7").await.unwrap_err(),
        "INVALID_CREDENTIALS"
    );
}

/// What a role allows is said in the configuration, and may be more than it was there.
#[tokio::test]
async fn no_role_that_allows_something_comes_by_its_name() {
    let (app, source) = (empty_app("").await, Source::five().await);
    let arguments = ["strapi", "--from", source.database.url(), "--json"];
    let mut import = command(&app, &arguments);
    let done = read(import.env("KEYWHEEL_ROLES__EDITEUR_EN_CHEF", "users:read").output().unwrap());
    assert!(
        done.found().contains(&("row 7", false, "ROLE_LEFT_BEHIND")),
        "{:?}{}",
        done.findings,
        done.complaint
    );
    let editor = login(&app, "editor", "red pencil 2000").await.unwrap();
    assert_eq!(editor["roles"], json!([]));
}

/// Their ids are the same, and their users are not.
#[tokio::test]
async fn two_projects_are_told_apart() {
    let (app, source) = (empty_app("").await, Source::five().await);
    import_strapi(&app, &source, &[]);
    let other = Source::four().await;
    let mistaken = import_strapi(&app, &other, &[]);
    assert_eq!((&mistaken.summary["imported"], &mistaken.summary["unchanged"]), (&json!(0), &json!(0)));
    assert_eq!(mistaken.findings.iter().filter(|finding| finding["code"] == "OTHER_SOURCE").count(), 11);
    let message = mistaken.findings[0]["message"].as_str().unwrap();
    assert!(message.contains("--source"), "{message}");
    let named = import_strapi(&app, &other, &["--source", "the-other"]);
    assert!(named.found().iter().all(|(_, _, code)| *code != "OTHER_SOURCE"));
}

#[tokio::test]
async fn one_event_tells_of_an_import() {
    let (app, source) = (empty_app("").await, Source::five().await);
    let before = app.sql_text("SELECT concat(count(*), '') FROM audit_events").await.parse::<u32>().unwrap();
    import_strapi(&app, &source, &["--batch", "3"]);
    let events = app.sql_text("SELECT concat(count(*), '') FROM audit_events").await.parse::<u32>().unwrap();
    assert_eq!(events, before + 1);
    let detail = app.sql_text("SELECT detail FROM audit_events WHERE action = 'accounts.imported'").await;
    assert_eq!(detail, "source=strapi read=13 imported=12 unchanged=0 erased=0 left_out=1");
}

#[tokio::test]
async fn lines_of_json_come_with_any_known_hash() {
    let app = empty_app("").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts.jsonl");
    let lines = [
        json!({ "id": 7, "email": "a@example.com", "username": "anna", "password_hash": BCRYPT, "email_verified": true,
                "roles": ["writer", "admin", "Head Of"], "created_at": "2019-02-03T04:05:06+01:00" }).to_string(),
        json!({ "email": "B@Example.com", "password_hash": "$argon2i$v=19$m=64,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$+ZM6qIHKWUY4ZEkMSTQpzAefvkLMgPC7fLokalwJpuI" }).to_string(),
        String::new(),
        json!({ "username": "carl", "blocked": true, "password_hash": BCRYPT }).to_string(),
        json!({ "email": "d@example.com", "password": "plain" }).to_string(),
        json!({ "email": "e@example.com", "password_hash": "$2b$31$V4CVysTqFsHs0l3.ybnds.MUBUlk4ouUtq9W/cDbe9vstdej3TqzK" }).to_string(),
        json!({ "email": "f@example.com", "email_verified": "yes-SECRET" }).to_string(),
        "not json at all SECRET".to_owned(),
        json!({ "id": 7, "email": "other@example.com" }).to_string(),
        json!({ "email": "A@example.com" }).to_string(),
        format!("{{\"email\": \"{}@example.com\"}}", "x".repeat(70_000)),
        json!({ "email": "g@example.com", "created_at": "yesterday" }).to_string(),
        json!({ "email": "last@example.com" }).to_string(),
    ];
    fs::write(&file, lines.join("\n")).unwrap();
    let path = file.to_str().unwrap();
    let done = import(&app, &["jsonl", path, "--batch", "2"]);
    let mut found = done.found();
    found.sort_by_key(|(place, ..)| place[5..].parse::<u32>().unwrap());
    assert_eq!(
        found,
        [
            ("line 1", false, "ROLE_LEFT_BEHIND"),
            ("line 5", true, "UNREADABLE"),
            ("line 6", true, "PASSWORD_HASH_REFUSED"),
            ("line 7", true, "UNREADABLE"),
            ("line 8", true, "UNREADABLE"),
            ("line 9", true, "ID_TWICE"),
            ("line 10", true, "EMAIL_TAKEN"),
            ("line 11", true, "UNREADABLE"),
            ("line 12", true, "UNREADABLE"),
        ]
    );
    assert_eq!((done.code, &done.summary["imported"], &done.summary["read"]), (3, &json!(4), &json!(12)));
    let printed = format!("{:?}{}", done.findings, done.complaint);
    assert!(printed.contains("unknown field `password`"), "{printed}");
    for secret in ["SECRET", "V4CVysTq", "plain\""] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }

    let anna = login(&app, "anna", "correct horse").await.unwrap();
    assert_eq!(anna["roles"], json!(["writer", "head-of"]));
    assert_eq!(anna["createdAt"], "2019-02-03T03:05:06Z");
    login(&app, "b@example.com", "correct horse").await.unwrap();
    assert_eq!(login(&app, "carl", "correct horse").await.unwrap_err(), "ACCOUNT_BLOCKED");
    assert_eq!(login(&app, "last@example.com", "").await.unwrap_err(), "INVALID_CREDENTIALS");

    let before = contents(&app).await;
    let again = import(&app, &["jsonl", path]);
    // Both lines with the id 7 are known now.
    assert_eq!((&again.summary["imported"], &again.summary["unchanged"]), (&json!(0), &json!(5)));
    assert_eq!(contents(&app).await, before);
}

#[tokio::test]
async fn lines_can_come_from_standard_input() {
    let app = empty_app("").await;
    let mut child = command(&app, &["jsonl", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"{\"email\": \"a@example.com\"}\r\n").unwrap();
    let Imported { code, summary, .. } = read(child.wait_with_output().unwrap());
    assert_eq!((code, &summary["imported"]), (0, &json!(1)), "all of them");
}

#[tokio::test]
async fn what_is_no_strapi_is_said_to_be_none() {
    let app = empty_app("").await;
    let own = app.database().url().to_owned();
    let missing = tempfile::tempdir().unwrap().path().join("nothing.db");
    for (from, why) in [(own.as_str(), "up_users"), (missing.to_str().unwrap(), "--from"), ("", "--from")] {
        let done = command(&app, &["strapi", "--from", from]).output().unwrap();
        let complaint = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{complaint}");
        assert!(complaint.contains(why), "{complaint}");
    }
    assert!(!missing.exists());
    let address = format!("{}://keywheel:very-private@127.0.0.1:1/strapi", "postgres");
    let done = command(&app, &["strapi", "--from", &address]).output().unwrap();
    let complaint = String::from_utf8(done.stderr).unwrap();
    assert!(!complaint.contains("very-private"), "{complaint}");
    for arguments in
        [["--role", "editor"], ["--role", "editor=two words"], ["--source", "two words"], ["--batch", "0"]]
    {
        let done = command(&app, &["strapi", "--from", &own, arguments[0], arguments[1]]).output().unwrap();
        assert_eq!(done.status.code(), Some(2), "{arguments:?}");
    }
}
