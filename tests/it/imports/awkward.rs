//! Sources with what nobody expects in them: one row is named, and the others come.

use std::{fs, path::Path};

use serde_json::json;

use super::{BCRYPT, login};
use crate::support::{
    database::Database,
    strapi::{Source, command, empty_app, import, import_strapi},
};

/// A column of SQLite holds whatever was written into it.
#[tokio::test]
async fn columns_of_sqlite_hold_anything() {
    let (app, source) = (empty_app("").await, Source::four().await);
    let user = |id: u32, columns: &str, values: &str| {
        format!("INSERT INTO up_users (id, password, {columns}) VALUES ({id}, '{BCRYPT}', {values});")
    };
    let rows = [
        user(100, "email", "CAST(x'ff61406578616d706c652e636f6d' AS TEXT)"),
        user(101, "email, username", "'crlf@example.com' || char(13, 10) || 'Bcc: a@example.com', 'crlf'"),
        user(102, "email", "'victim@example.com' || char(0) || '.evil.example'"),
        user(103, "email, blocked", "'word@example.com', 'true'"),
        user(104, "email, created_at, confirmed", "'time@example.com', 1e300, 'perhaps'"),
        user(105, "email, created_at", "'blob@example.com', x'00ff'"),
        // What is behind so many blanks must not be cut off.
        user(106, "email", &format!("'cut@example.com{}x'", " ".repeat(1_000_000))),
    ];
    source.change(&format!("DELETE FROM up_users; {}", rows.concat())).await;
    let done = import_strapi(&app, &source, &[]);
    assert_eq!(
        done.found(),
        [
            ("row 100", true, "NO_IDENTIFIER"),
            ("row 101", false, "EMAIL_UNUSABLE"),
            ("row 102", true, "NO_IDENTIFIER"),
            ("row 106", true, "NO_IDENTIFIER"),
        ],
        "{}",
        done.complaint
    );
    let blocked = "SELECT email FROM users WHERE blocked_at IS NOT NULL";
    assert_eq!(app.database().rows(blocked).await, ["word@example.com"]);
    assert_eq!(login(&app, "time@example.com", "correct horse").await.unwrap()["emailVerified"], false);
}

/// Or the import would never end.
#[tokio::test]
async fn a_table_without_a_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data.db");
    fs::write(&file, "").unwrap();
    let source = Database::at(&format!("sqlite://{}", file.display()));
    source.sql("CREATE TABLE up_users (id TEXT, email TEXT)").await;
    source.sql("INSERT INTO up_users VALUES ('one', 'a@example.com'), ('two', 'b@example.com')").await;
    let app = empty_app("").await;
    let done = import(&app, &["strapi", "--from", source.url()]);
    assert_eq!(done.code, 1);
    assert!(done.complaint.contains("not in order"), "{}", done.complaint);
}

#[tokio::test]
async fn a_path_is_taken_as_it_is() {
    let (app, source) = (empty_app("").await, Source::four().await);
    let folder = tempfile::tempdir().unwrap();
    for name in ["my data.db", "100%25.db", "what?.db", "c#.db", "a:b.db"] {
        let copy = folder.path().join(name);
        fs::copy(source.database.url().strip_prefix("sqlite://").unwrap(), &copy).unwrap();
        for (from, at) in [(copy.to_str().unwrap(), Path::new("/")), (name, folder.path())] {
            let mut import = command(&app, &["strapi", "--from", from, "--dry-run", "--json"]);
            let output = import.current_dir(at).output().unwrap();
            assert_eq!(output.status.code(), Some(3), "{from}: {output:?}");
        }
    }
}

/// A password is often pasted into an address as it is.
#[tokio::test]
async fn an_address_that_is_none_is_refused_without_a_word_of_it() {
    let app = empty_app("").await;
    for from in [
        "postgres://strapi:very/private@localhost/strapi",
        "postgres://strapi:very-private@localhost:port/strapi",
        "postgres://strapi:very-private@localhost",
        "mariadb://strapi:very-private@localhost/strapi",
        "sqlite://very private/data.db",
    ] {
        let done = command(&app, &["strapi", "--from", from]).output().unwrap();
        let complaint = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{complaint}");
        assert!(complaint.starts_with("keywheel: --from: must "), "{complaint}");
        assert!(!complaint.contains("very"), "{complaint}");
    }
}

/// Databases do not agree on which texts are equal, and some take no zero byte.
#[tokio::test]
async fn ids_are_texts_that_every_database_tells_apart() {
    let app = empty_app("").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts.jsonl");
    let ids = ["a", "A", "\u{e4}", "a ", " a", "\0", "a\nb", ""];
    let line =
        |(at, id): (usize, &&str)| json!({ "id": id, "email": format!("u{at}@example.com") }).to_string();
    let lines: Vec<_> = ids.iter().enumerate().map(line).collect();
    fs::write(&file, lines.join("\n")).unwrap();
    let path = file.to_str().unwrap();
    let done = import(&app, &["jsonl", path]);
    let unusable = ["line 4", "line 5", "line 6", "line 7", "line 8"].map(|line| (line, true, "ID_UNUSABLE"));
    assert_eq!(done.found(), unusable, "{}", done.complaint);
    assert_eq!(import(&app, &["jsonl", path]).summary["unchanged"], 3);
}

/// The report says how to bring it, whatever it is called there.
#[tokio::test]
async fn a_role_of_power_comes_under_the_name_that_the_report_gave() {
    let app = empty_app("").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts.jsonl");
    fs::write(&file, json!({ "email": "a@example.com", "roles": ["Admin"] }).to_string()).unwrap();
    let path = file.to_str().unwrap();
    let without = import(&app, &["jsonl", path, "--dry-run"]);
    let message = without.findings[0]["message"].as_str().unwrap();
    assert!(message.contains("--role admin=admin"), "{message}");
    assert!(import(&app, &["jsonl", path, "--role", "admin=admin"]).findings.is_empty());
    assert_eq!(app.sql_text("SELECT roles FROM users").await, r#"["admin"]"#);
}

/// An id stays, so that the account does not come back; that must not say who it was.
#[tokio::test]
async fn of_an_erased_account_only_its_id_there_is_left() {
    let app = empty_app("").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts.jsonl");
    let made = "2019-02-03T04:05:06Z";
    let line = |id: &str, email: &str| json!({ "id": id, "email": email, "created_at": made }).to_string();
    let lines = [line("17", "a@example.com"), line("b@example.com", "b@example.com")];
    fs::write(&file, lines.join("\n")).unwrap();
    let path = file.to_str().unwrap();
    import(&app, &["jsonl", path]);
    assert_eq!(
        app.database().number("SELECT count(*) FROM imported_users WHERE made_at IS NOT NULL").await,
        2
    );
    for email in ["a@example.com", "b@example.com"] {
        app.delete_user(email).await;
    }
    let left = "SELECT source_id FROM imported_users WHERE user_id IS NULL AND made_at IS NULL ORDER BY 1";
    let left = app.database().rows(left).await;
    assert_eq!((left.len(), left[0].as_str()), (2, "17"));
    assert!(left[1].starts_with("sha256-"), "{left:?}");
    assert_eq!(import(&app, &["jsonl", path]).summary["erased"], 2);
}
