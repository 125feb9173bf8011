//! Seeing other users: one of them, pages of them, and those whose names begin so.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{id_of, start};
use crate::support::{
    ALICE, BOB, Client, PASSWORD, Reply, TestApp,
    database::{Database, Kind},
    seconds,
};

async fn users(client: &Client, arguments: &Value) -> Reply {
    let query = "query ($first: Int! = 20, $after: String, $search: String) {
        users(first: $first, after: $after, search: $search) {
          nodes { id email username } edges { cursor node { id } }
          pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";
    client.graphql(query, arguments.clone()).await
}

fn emails(reply: &Reply) -> Vec<String> {
    let nodes = reply.data()["users"]["nodes"].clone();
    nodes.as_array().unwrap().iter().map(|node| node["email"].as_str().unwrap().to_owned()).collect()
}

async fn found(client: &Client, search: &str) -> Vec<String> {
    let mut found = emails(&users(client, &json!({ "search": search })).await);
    found.sort();
    found
}

#[tokio::test]
async fn one_user_is_seen_with_sessions() {
    let (app, root, helper) = start().await;
    let alice = app.sign_in(ALICE).await;
    let query = "query ($id: ID!) { user(id: $id) { id email username blocked roles emailVerified createdAt
                 sessions { nodes { id current } } } }";
    for client in [&root, &helper] {
        let seen = client.graphql(query, json!({ "id": id_of(&alice) })).await.data()["user"].clone();
        assert_eq!((&seen["email"], &seen["username"]), (&json!(ALICE), &json!("alice")));
        assert_eq!(seen["sessions"]["nodes"], json!([{ "id": alice.session, "current": false }]));
    }
    for unknown in ["usr_00000000000000000000000000000000", "nonsense", "", &alice.session] {
        assert_eq!(root.graphql(query, json!({ "id": unknown })).await.data()["user"], Value::Null);
    }
    // Not even themselves: that is what `me` is for.
    let own = app.client().bearing(&alice.access);
    assert_eq!(own.graphql(query, json!({ "id": id_of(&alice) })).await.code(), "FORBIDDEN");
    assert_eq!(users(&own, &json!({})).await.code(), "FORBIDDEN");
}

#[tokio::test]
async fn pages_of_users_follow_one_another_without_gaps() {
    let (app, root, _) = start().await;
    for n in 0..8 {
        app.wait(seconds(1));
        app.add_user(&format!("user{n}@example.com"), &[]).await;
    }
    let whole = emails(&users(&root, &json!({ "first": 100 })).await);
    assert_eq!((whole.len(), whole[0].as_str()), (12, "user7@example.com"), "the newest first");
    assert_eq!(whole[8..].iter().collect::<BTreeSet<_>>().len(), 4);
    let mut paged = Vec::new();
    let mut after = Value::Null;
    loop {
        let reply = users(&root, &json!({ "first": 5, "after": after })).await;
        paged.extend(emails(&reply));
        let info = reply.data()["users"]["pageInfo"].clone();
        assert_eq!(info["hasPreviousPage"], json!(!after.is_null()));
        let edges = reply.data()["users"]["edges"].clone();
        assert_eq!(edges[0]["cursor"], info["startCursor"]);
        if info["hasNextPage"] == false {
            break;
        }
        // Whoever comes in meanwhile is in none of the pages that follow, and shifts none of them.
        app.wait(seconds(1));
        app.add_user(&format!("late{}@example.com", paged.len()), &[]).await;
        after = info["endCursor"].clone();
    }
    assert_eq!(paged, whole);
    for wrong in
        [json!({ "first": 101 }), json!({ "first": -1 }), json!({ "after": "ses_1" }), json!({ "after": "" })]
    {
        assert_eq!(users(&root, &wrong).await.code(), "BAD_USER_INPUT", "{wrong}");
    }
    let none = users(&root, &json!({ "first": 0 })).await.data()["users"].clone();
    assert_eq!((&none["nodes"], &none["pageInfo"]["hasNextPage"]), (&json!([]), &json!(true)));
}

#[tokio::test]
async fn users_are_found_by_how_their_names_begin() {
    let (app, root, _) = start().await;
    for email in
        ["alfred@example.com", "a%b@example.com", "a_c@example.com", "axc@example.com", "zoe@bücher.example"]
    {
        app.client().register(json!({ "email": email, "password": PASSWORD })).await.data();
    }
    let named = json!({ "email": "x@example.org", "username": "Alpha.One", "password": PASSWORD });
    app.client().register(named).await.data();

    assert_eq!(found(&root, "al").await, ["alfred@example.com", ALICE, "x@example.org"]);
    assert_eq!(found(&root, " ALICE@Exam").await, [ALICE]);
    assert_eq!(found(&root, "alpha.o").await, ["x@example.org"]);
    assert_eq!(found(&root, BOB).await, [BOB]);
    // The signs that stand for anything elsewhere stand for themselves.
    assert_eq!(found(&root, "a%").await, ["a%b@example.com"]);
    assert_eq!(found(&root, "a_").await, ["a_c@example.com"]);
    for nobody in
        ["%", "_", "%alice", "lice", "alice'", "a\\", "example.com", "a b", "é", "alice\0", "' OR '1'='1"]
    {
        assert_eq!(found(&root, nobody).await, [""; 0], "{nobody}");
    }
    let zoe = ["zoe@xn--bcher-kva.example"];
    for written in ["zoe@bücher.example", "ZOE@BÜCHER.exam", "zoe@xn--bcher", "zoe@bu\u{308}cher.e"] {
        assert_eq!(found(&root, written).await, zoe, "{written}");
    }
    let everybody = found(&root, "").await;
    assert_eq!((everybody.len(), found(&root, "  ").await), (10, everybody.clone()));
    let page = users(&root, &json!({ "search": "a", "first": 2 })).await;
    let after = page.data()["users"]["pageInfo"]["endCursor"].clone();
    let mut all = emails(&page);
    all.extend(emails(&users(&root, &json!({ "search": "a", "first": 100, "after": after })).await));
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 6, "{all:?}");
}

/// Byte by byte, whatever order of letters the database was made with: in that of a language `{` comes before `z`.
#[tokio::test]
async fn names_are_found_in_a_database_that_sorts_as_people_do() {
    let folder = tempfile::tempdir().unwrap();
    let database = match Kind::chosen() {
        Kind::Postgres => {
            let people = "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'";
            Database::on(&Kind::Postgres.server(), people).await
        }
        Kind::Sqlite | Kind::MariaDb => Database::create(folder.path()).await,
    };
    let app = TestApp::on(database, folder, "").await;
    app.add_user("fizz@example.com", &["admin"]).await;
    for email in ["f-x@example.com", "f_x@example.com", "f~@example.com"] {
        app.client().register(json!({ "email": email, "password": PASSWORD })).await.data();
    }
    let root = app.client().bearing(&app.sign_in("fizz@example.com").await.access);
    for (search, email) in [("fiz", "fizz@example.com"), ("f_", "f_x@example.com"), ("f~", "f~@example.com")]
    {
        assert_eq!(found(&root, search).await, [email]);
    }
}

/// The first page of many users, a later one, and a search are answered by indexes.
#[tokio::test]
async fn no_page_reads_the_whole_table() {
    let app = TestApp::start().await;
    let (id, series, plan) = match app.database().kind() {
        Kind::Sqlite => (
            "randomblob(16)",
            "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 20000) SELECT n FROM s",
            "EXPLAIN QUERY PLAN",
        ),
        Kind::Postgres => ("gen_random_uuid()", "SELECT n FROM generate_series(1, 20000) s(n)", "EXPLAIN"),
        Kind::MariaDb => ("unhex(md5(seq))", "SELECT seq AS n, seq FROM seq_1_to_20000", "EXPLAIN"),
    };
    let email = if app.database().kind() == Kind::MariaDb {
        "concat('u', n, '@example.com')"
    } else {
        "'u' || n || '@example.com'"
    };
    app.sql(&format!(
        "INSERT INTO users (id, email, password_hash, email_verified, roles, auth_epoch, created_at)
         SELECT {id}, {email}, '', {}, '[]', 0, 0 FROM ({series}) AS numbers",
        if app.database().kind() == Kind::Postgres { "false" } else { "0" }
    ))
    .await;
    app.sql(if app.database().kind() == Kind::MariaDb { "ANALYZE TABLE users" } else { "ANALYZE" }).await;
    let (from, below) = ("'u1234'", "'u1235'");
    let older = match app.database().kind() {
        Kind::Postgres => "'80000000-0000-0000-0000-000000000000'",
        _ => "x'80000000000000000000000000000000'",
    };
    for condition in [
        "1 = 1".to_owned(),
        format!("id < {older}"),
        format!("email >= {from} AND email < {below} OR username_key >= {from} AND username_key < {below}"),
    ] {
        let query = format!("{plan} SELECT * FROM users WHERE {condition} ORDER BY id DESC LIMIT 21");
        let steps = app.database().rows(&query).await;
        let whole = match app.database().kind() {
            Kind::Sqlite => steps.iter().any(|step| step.contains("SCAN users") && !step.contains("INDEX")),
            Kind::Postgres => steps.iter().any(|step| step.contains("Seq Scan")),
            Kind::MariaDb => steps.iter().any(|step| step.contains("ALL")),
        };
        assert!(!whole, "{condition}:\n{}", steps.join("\n"));
    }
}
