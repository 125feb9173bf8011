//! What happens to requests while the database cannot: they are told to come back, and nothing else happens.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{
    ALICE, PASSWORD, TestApp,
    client::{MODERN, Reply, Tokens},
    database::{Database, Kind},
    instance::Instance,
    process::{Server, keywheel_on},
    proxy::Wire,
    remote::client_of,
};

const KEY: &str = "abcdefghijklmnopqrstuv";

/// Requests of every kind, with tokens that are good.
async fn ask_everything(app: &TestApp, tokens: &Tokens, cookie: &str) -> Vec<Reply> {
    let client = app.client().accepting(MODERN);
    let bearing = client.clone().bearing(&tokens.access);
    let browser = app.browser().accepting(MODERN);
    browser.put_cookie(cookie);
    let login = json!({ "input": { "identifier": ALICE, "password": PASSWORD } });
    vec![
        client.refresh_reply(json!({ "refreshToken": tokens.refresh, "retryKey": KEY })).await,
        browser.refresh_reply(serde_json::Value::Null).await,
        client.graphql("mutation ($input: LoginInput!) { login(input: $input) { expiresIn } }", login).await,
        bearing.query("mutation { revokeSessions(input: { scope: OTHERS }) { signedOut } }").await,
    ]
}

/// Nothing that a client could take for the end of its session.
#[track_caller]
fn told_to_come_back(replies: &[Reply], fault: &str) {
    for reply in replies {
        assert_eq!(reply.status.as_u16(), 503, "{fault}: {}", reply.text);
        assert_eq!(reply.code(), "SERVICE_UNAVAILABLE", "{fault}");
        assert!(reply.extensions()["retryAfter"].as_u64().unwrap() >= 1, "{fault}");
        assert!(reply.headers.contains_key("retry-after"), "{fault}");
        assert!(reply.set_cookies().is_empty(), "{fault}");
    }
}

/// The very tokens of before still work: nothing was half done.
async fn works_again(app: &TestApp, tokens: &Tokens, cookie: &str) {
    let browser = app.browser();
    browser.put_cookie(cookie);
    let deadline = Instant::now() + Duration::from_secs(10);
    while app.client().get("/readyz").await.status != 200 {
        assert!(Instant::now() < deadline, "it does not recover");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Connections that were cut are noticed one by one.
    for _ in 0..20 {
        let _ = app.client().query("{ settings { registrationOpen } }").await;
        if app.client().bearing(&tokens.access).is_signed_in().await {
            break;
        }
    }
    let next = app.client().refresh_keyed(&tokens.refresh, KEY).await.unwrap();
    assert!(app.client().bearing(&next.access).is_signed_in().await);
    browser.refresh_by_cookie().await.unwrap();
}

async fn signed_in(app: &TestApp) -> (Tokens, String) {
    let browser = app.browser();
    browser.login(ALICE, "COOKIE").await.unwrap();
    // So that a cookie is exchanged, not kept.
    app.wait(Duration::from_secs(10));
    (app.sign_in(ALICE).await, browser.cookie().unwrap())
}

/// A database behind a wire, when it is one that has a wire.
pub(crate) async fn behind_a_wire(settings: &str) -> Option<(TestApp, Wire)> {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create(folder.path()).await;
    if database.kind() == Kind::Sqlite {
        return None;
    }
    let wire = Wire::to(database.url()).await;
    let app = TestApp::on(database.by_way_of(wire.url()), folder, settings).await;
    Some((app, wire))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_has_gone_is_waited_for() {
    let Some((app, wire)) = behind_a_wire("").await else { return embedded_is_locked().await };
    let (tokens, cookie) = signed_in(&app).await;
    for _ in 0..3 {
        wire.cut();
        tokio::time::sleep(Duration::from_millis(50)).await;
        told_to_come_back(&ask_everything(&app, &tokens, &cookie).await, "gone");
        let ready = app.client().get("/readyz").await;
        assert_eq!((ready.status.as_u16(), ready.json()["database"].as_str()), (503, Some("unreachable")));
        wire.mend();
        works_again(&app, &tokens, &cookie).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_says_nothing_is_not_waited_for_for_ever() {
    let settings = "database.acquire_timeout_ms = 300\ndatabase.max_connections = 2\n";
    let Some((app, wire)) = behind_a_wire(settings).await else { return embedded_is_locked().await };
    let (tokens, cookie) = signed_in(&app).await;
    wire.silence();
    let asked = Instant::now();
    let (client, bearing) = (app.client().accepting(MODERN), app.client().bearing(&tokens.access));
    let bearing = bearing.accepting(MODERN);
    let (me, refresh) = tokio::join!(
        bearing.query("{ me { id } }"),
        client.refresh_reply(json!({ "refreshToken": tokens.refresh, "retryKey": KEY })),
    );
    told_to_come_back(&[me, refresh], "silent");
    assert!(asked.elapsed() < Duration::from_secs(12), "{:?}", asked.elapsed());
    wire.mend();
    works_again(&app, &tokens, &cookie).await;
}

/// As after a failover: the connections of before say nothing any more, and new ones are good.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_fell_silent_are_replaced() {
    let settings = "database.acquire_timeout_ms = 300\ndatabase.max_connections = 3\n";
    let Some((app, wire)) = behind_a_wire(settings).await else { return embedded_is_locked().await };
    let (tokens, cookie) = signed_in(&app).await;
    // All of them are in use when it happens.
    let asked: Vec<_> = (0..10)
        .map(|_| {
            let client = app.client().bearing(&tokens.access);
            tokio::spawn(async move { client.is_signed_in().await })
        })
        .collect();
    wire.forget_connections();
    for asked in asked {
        let _ = asked.await;
    }
    works_again(&app, &tokens, &cookie).await;
    // The driver may keep one of them for ever; that must not keep the server from stopping.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (server, _folder) = app.into_parts();
    let stopped = tokio::time::timeout(Duration::from_secs(20), server.run(listener, async {})).await;
    stopped.expect("nothing keeps the server from stopping").unwrap();
}

/// Somebody who hangs up in the middle must leave nothing behind: a connection that is given back with a transaction open
/// swallows what others write on it.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_hang_up_undo_nothing_of_what_others_were_answered() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create(folder.path()).await;
    let mut command = keywheel_on(&database, &["serve", "--migrate"]);
    command.env("KEYWHEEL_DATABASE__MAX_CONNECTIONS", "4").env("KEYWHEEL_SESSIONS__MAX_PER_USER", "1000");
    let (_server, address) = Server::serve(command);
    let client = client_of(address);
    client.register(json!({ "email": ALICE, "password": PASSWORD })).await.data();
    let logout = "mutation { logout { session { id } } }";
    for round in 0..25 {
        let mut sessions = Vec::new();
        for _ in 0..4 {
            sessions.push(client.login(ALICE, "BODY").await.unwrap());
        }
        let storm: Vec<_> = (0..6).map(|i| tokio::spawn(hang_up(address, 15, round * 6 + i))).collect();
        for storm in storm {
            storm.await.unwrap();
        }
        for session in sessions {
            client.clone().bearing(&session.access).query(logout).await.data();
        }
        // What is answered is committed: another connection sees it.
        let alive = "SELECT count(*) FROM refresh_sessions WHERE revoked_at IS NULL";
        assert_eq!(database.number(alive).await, 1, "only the session of the registration, in round {round}");
    }
}

/// Asks for something that begins a transaction, and leaves before the answer.
async fn hang_up(address: std::net::SocketAddr, times: u64, seed: u64) {
    use tokio::io::AsyncWriteExt;
    for i in 0..times {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_micros((i * 131 + seed * 397) % 1500)).await;
    }
}

/// The embedded database has no wire; what it has is a file that another process can lock.
async fn embedded_is_locked() {
    let app = TestApp::with("database.acquire_timeout_ms = 300\n").await;
    let (tokens, cookie) = signed_in(&app).await;
    let mut other = app.database().connection().await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    told_to_come_back(&ask_everything(&app, &tokens, &cookie).await, "locked");
    assert!(app.client().bearing(&tokens.access).is_signed_in().await, "reading goes on");
    assert_eq!(app.client().get("/readyz").await.status, 503);
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    works_again(&app, &tokens, &cookie).await;
}

/// The errors that the servers report, raised by a trigger at the moment of writing.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_cannot_do_now_can_be_done_later() {
    let faults: &[(&str, &str)] = match Kind::chosen() {
        Kind::Sqlite => return embedded_is_locked().await,
        Kind::Postgres => &[
            ("read-only", "25006"),
            ("disk full", "53100"),
            ("out of memory", "53200"),
            ("shutting down", "57P01"),
            ("statement timeout", "57014"),
            ("lock timeout", "55P03"),
            ("deadlock, every time", "40P01"),
            ("serialization failure, every time", "40001"),
        ],
        Kind::MariaDb => &[
            ("read-only", "1290"),
            ("read-only transaction", "1792"),
            ("disk full", "1021"),
            ("table full", "1114"),
            ("lock timeout", "1205"),
            ("statement timeout", "1969"),
            ("deadlock, every time", "1213"),
        ],
    };
    let app = TestApp::start().await;
    let (tokens, cookie) = signed_in(&app).await;
    for (fault, code) in faults {
        raise(app.database(), code, None).await;
        told_to_come_back(&ask_everything(&app, &tokens, &cookie).await, fault);
        assert!(app.client().bearing(&tokens.access).is_signed_in().await, "reading goes on");
        raise_no_more(app.database()).await;
    }
    works_again(&app, &tokens, &cookie).await;
}

/// Somebody else's transaction is in the way for a moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_collision_is_nobodys_business() {
    let app = TestApp::start().await;
    let (tokens, cookie) = signed_in(&app).await;
    let collide = async |code| {
        raise(app.database(), code, Some(3)).await;
        let replies = ask_everything(&app, &tokens, &cookie).await;
        raise_no_more(app.database()).await;
        replies
    };
    let replies = match Kind::chosen() {
        Kind::Postgres => collide("40P01").await,
        Kind::MariaDb => collide("1213").await,
        Kind::Sqlite => {
            let mut other = app.database().connection().await;
            sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
            let end = async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
            };
            tokio::join!(ask_everything(&app, &tokens, &cookie), end).0
        }
    };
    for reply in replies {
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_no_writes_is_said_to_be_so() {
    let app = match Kind::chosen() {
        Kind::Sqlite => return embedded_is_locked().await,
        Kind::Postgres => TestApp::start().await,
        Kind::MariaDb => return a_whole_server_that_is_read_only_is_said_to_be_so().await,
    };
    let (tokens, cookie) = signed_in(&app).await;
    let ready = async |app: &TestApp| {
        let ready = app.client().get("/readyz").await;
        (ready.status.as_u16(), ready.json()["database"].as_str().unwrap().to_owned())
    };
    let name = url::Url::parse(app.database().url()).unwrap().path().trim_start_matches('/').to_owned();
    app.sql(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
    let app = app.restart().await.unwrap();
    assert_eq!(ready(&app).await, (503, "read-only".to_owned()));
    told_to_come_back(&ask_everything(&app, &tokens, &cookie).await, "read-only");
    Database::at(&Kind::Postgres.server()).sql(&format!("ALTER DATABASE {name} RESET ALL")).await;
    let app = app.restart().await.unwrap();
    works_again(&app, &tokens, &cookie).await;
}

async fn a_whole_server_that_is_read_only_is_said_to_be_so() {
    let (_instance, database, folder) = Instance::start().await;
    let app = TestApp::on(database, folder, "").await;
    for (read_only, status) in [("ON", 503), ("OFF", 200)] {
        app.sql(&format!("SET GLOBAL read_only = {read_only}")).await;
        let ready = app.client().get("/readyz").await;
        assert_eq!(ready.status.as_u16(), status, "{}", ready.text);
        assert_eq!(ready.json()["database"], if status == 503 { "read-only" } else { "ok" });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_than_connections_wait_their_turn() {
    let app = TestApp::with("database.max_connections = 1\n").await;
    let tokens = app.sign_in(ALICE).await;
    let asked = (0..40).map(|_| {
        let client = app.client().bearing(&tokens.access);
        tokio::spawn(async move { client.is_signed_in().await })
    });
    for answer in asked.collect::<Vec<_>>() {
        assert!(answer.await.unwrap());
    }
}

/// A limit on the size of files stands for a disk without room: the embedded database grows into it.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_survived() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::embedded(folder.path());
    assert!(keywheel_on(&database, &["migrate"]).status().unwrap().success());
    // Whoever writes beyond the limit gets a signal, unless somebody has said not to.
    let serve = keywheel_on(&database, &["serve"]);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" serve"]).arg(serve.get_program()).env_clear();
    command.envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let (server, address) = Server::serve(command);
    let client = client_of(address).accepting(MODERN);
    client.register(json!({ "email": ALICE, "password": PASSWORD })).await.data();
    let tokens = client.login(ALICE, "BODY").await.unwrap();

    let written = std::fs::metadata(folder.path().join("keywheel.db-wal")).unwrap().len();
    server.limit_file_size(&written.to_string());
    let refused = client.refresh_reply(json!({ "refreshToken": tokens.refresh, "retryKey": KEY })).await;
    told_to_come_back(&[refused], "disk full");
    assert!(client.clone().bearing(&tokens.access).is_signed_in().await, "reading goes on");
    server.limit_file_size("unlimited");
    let next = client.refresh_keyed(&tokens.refresh, KEY).await.unwrap();
    assert!(client.clone().bearing(&next.access).is_signed_in().await);
}

/// Makes every write to a session fail with an error of the database, or only the first ones.
async fn raise(database: &Database, code: &str, times: Option<u32>) {
    let postgres = database.kind() == Kind::Postgres;
    let next = if postgres { "nextval('raised')" } else { "NEXT VALUE FOR raised" };
    let now = times.map_or("1 = 1".to_owned(), |times| format!("{next} <= {times}"));
    database.sql("CREATE SEQUENCE raised").await;
    if postgres {
        database
            .sql(&format!(
                "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                   IF {now} THEN RAISE EXCEPTION 'raised by the test' USING ERRCODE = '{code}'; END IF;
                   RETURN NEW;
                 END $$;
                 CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON refresh_sessions FOR EACH ROW EXECUTE FUNCTION fail();
                 CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION fail()"
            ))
            .await;
        return;
    }
    let state = if code == "1213" { "40001" } else { "HY000" };
    for (table, event) in
        [("refresh_sessions", "INSERT"), ("refresh_sessions", "UPDATE"), ("users", "UPDATE")]
    {
        let trigger = format!(
            "CREATE TRIGGER fail_{table}_{event} BEFORE {event} ON {table} FOR EACH ROW
             IF {now} THEN SIGNAL SQLSTATE '{state}' SET MYSQL_ERRNO = {code}; END IF"
        );
        database.sql(&trigger).await;
    }
}

async fn raise_no_more(database: &Database) {
    if database.kind() == Kind::Postgres {
        database.sql("DROP FUNCTION fail CASCADE").await;
    } else {
        for trigger in ["fail_refresh_sessions_INSERT", "fail_refresh_sessions_UPDATE", "fail_users_UPDATE"] {
            database.sql(&format!("DROP TRIGGER {trigger}")).await;
        }
    }
    database.sql("DROP SEQUENCE raised").await;
}
