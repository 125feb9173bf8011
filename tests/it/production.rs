//! What a server shows of itself in production, and what it refuses to start with.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use axum::http::Method;
use base64::{Engine, engine::general_purpose::STANDARD};
use keywheel::crypto::secret::ServerSecrets;
use tempfile::TempDir;

use crate::support::{Reply, SECRET, TestApp, client::MODERN, process};

const AS_SERVED: &str = "graphql.explorer = false\ngraphql.introspection = false\n";

/// One answer of every kind.
async fn answers(app: &TestApp) -> Vec<(&'static str, Reply)> {
    let client = || app.client().accepting(MODERN);
    let post = async |body: &'static str| client().send(Method::POST, "/graphql", body).await;
    let preflight = app.browser().header("access-control-request-method", "POST");
    let answers = vec![
        ("200", client().query("{ __typename }").await),
        ("a page", app.client().get("/explorer").await),
        ("200, JWKS", client().get("/.well-known/jwks.json").await),
        ("200, health", client().get("/healthz").await),
        ("200, schema", client().get("/graphql/schema.graphql").await),
        ("400, not JSON", post("not JSON").await),
        ("400, not GraphQL", client().query("{").await),
        ("400, not our GraphQL", client().query("{ nothing }").await),
        ("401", client().bearing("x").query("{ me { id } }").await),
        ("404", client().get("/nothing/here").await),
        ("405, GraphQL", client().send(Method::PUT, "/graphql", "").await),
        ("405, health", client().send(Method::DELETE, "/healthz", "").await),
        ("406", app.client().accepting("text/csv").query("{ __typename }").await),
        ("413", client().send(Method::POST, "/graphql", "x".repeat(70_000)).await),
        ("415", app.client().header("content-type", "text/plain").query("{ __typename }").await),
        ("OPTIONS", preflight.send(Method::OPTIONS, "/graphql", "").await),
    ];
    app.app().store().clone().close().await.unwrap();
    let login = "mutation { login(input: { identifier: \"a\", password: \"b\" }) { expiresIn } }";
    answers
        .into_iter()
        .chain([("503", client().query(login).await), ("503, readiness", client().get("/readyz").await)])
        .collect()
}

#[tokio::test]
async fn every_answer_has_the_headers_of_a_careful_server() {
    // Two are texts for people, and random letters can spell anything.
    let tells_by_nature = ["a page", "200, schema", "200, JWKS"];
    for settings in ["", AS_SERVED] {
        let app = TestApp::with(&format!("public_url = \"https://auth.example.com\"\n{settings}")).await;
        for (kind, reply) in answers(&app).await {
            assert_eq!(reply.header("strict-transport-security"), "max-age=63072000", "{kind}");
            assert_eq!(reply.header("x-content-type-options"), "nosniff", "{kind}");
            assert_eq!(reply.header("referrer-policy"), "no-referrer", "{kind}");
            let policy = reply.header("content-security-policy");
            assert!(
                policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
                "{kind}"
            );
            assert!(
                ["no-store", "no-cache", "public, max-age=300"].contains(&reply.header("cache-control")),
                "{kind}"
            );
            for header in ["server", "x-powered-by", "via"] {
                assert!(reply.headers.get(header).is_none(), "{kind}: {header}");
            }
            let headers = format!("{:?}", reply.headers).to_lowercase();
            let body = reply.text.to_lowercase();
            for name in [env!("CARGO_PKG_VERSION"), "hyper", "axum", "async-graphql", "rust", "sqlite"] {
                assert!(!headers.contains(name), "{kind}: {headers}");
                assert!(tells_by_nature.contains(&kind) || !body.contains(name), "{kind}: {body}");
            }
        }
    }
}

#[tokio::test]
async fn without_https_nobody_is_told_to_insist_on_it() {
    let app = TestApp::start().await;
    for (kind, reply) in answers(&app).await {
        assert!(reply.headers.get("strict-transport-security").is_none(), "{kind}");
    }
}

/// Each of them is one letter from something that is there.
const MISSPELT: [&str; 8] = [
    "{ setings { registrationOpen } }",
    "{ settings { registrationOpn } }",
    "{ nod(id: \"usr_1\") { id } }",
    "{ node(id: \"usr_1\") { ... on Usr { id } } }",
    "{ node(idd: \"usr_1\") { id } }",
    "mutation { logn(input: { identifier: \"a\", password: \"b\" }) { expiresIn } }",
    "mutation { login(input: { identifer: \"a\", password: \"b\" }) { expiresIn } }",
    "mutation { login(input: { identifier: \"a\", password: \"b\", delivery: COOKI }) { expiresIn } }",
];

#[tokio::test]
async fn mistakes_are_not_corrected() {
    let suggests = |reply: &Reply| reply.text.contains("id you mean");
    let dev = TestApp::start().await;
    let mut corrected = 0;
    for query in MISSPELT {
        corrected += usize::from(suggests(&dev.client().query(query).await));
    }
    assert!(corrected > 0, "there is something to suggest");
    let app = TestApp::with(AS_SERVED).await;
    for query in MISSPELT {
        let reply = app.client().query(query).await;
        assert!(reply.json()["errors"].is_array(), "{query}");
        assert!(!suggests(&reply), "{query}: {}", reply.text);
    }
    assert_eq!(app.client().query("{ __typename me { __typename } }").await.data()["__typename"], "Query");
    for path in ["/explorer", "/playground", "/"] {
        assert_eq!(app.client().get(path).await.status, 404, "{path}");
    }
}

/// What a program says that must end by itself. One that serves instead is stopped.
fn ended(mut command: Command) -> Output {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    for _ in 0..600 {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let _ = child.kill();
    child.wait_with_output().unwrap()
}

struct Operator(TempDir);

impl Operator {
    fn check(&self, variables: &[(&str, &str)]) -> Output {
        let mut command = process::keywheel(self.0.path(), &["config", "check"]);
        command.env("KEYWHEEL_SECRET", SECRET).envs(variables.iter().copied());
        command.output().unwrap()
    }

    #[track_caller]
    fn is_refused(&self, variables: &[(&str, &str)]) -> String {
        let output = self.check(variables);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{variables:?}: {complaint}");
        assert!(output.stdout.is_empty());
        for (name, value) in variables {
            assert!(!name.ends_with("SECRET") || !complaint.contains(value), "it quotes the secret");
        }
        complaint
    }
}

#[test]
fn a_server_does_not_start_with_what_would_let_others_in() {
    let operator = Operator(TempDir::new().unwrap());
    let ascending = STANDARD.encode((0..32).collect::<Vec<u8>>());
    let typed = STANDARD.encode("changeme".repeat(5));
    let twice = format!("1:{SECRET},0:{SECRET}");
    for (name, value, key, remedy) in [
        ("KEYWHEEL_SECRET", ascending.as_str(), "KEYWHEEL_SECRET", "openssl rand"),
        ("KEYWHEEL_SECRET", &STANDARD.encode([7; 32]), "KEYWHEEL_SECRET", "openssl rand"),
        ("KEYWHEEL_SECRET", &typed, "KEYWHEEL_SECRET", "openssl rand"),
        ("KEYWHEEL_SECRET", &"changeme".repeat(6), "KEYWHEEL_SECRET", "openssl rand"),
        ("KEYWHEEL_SECRET", &SECRET[..30], "KEYWHEEL_SECRET", "32"),
        ("KEYWHEEL_SECRET", &twice, "KEYWHEEL_SECRET", "two slots"),
        ("KEYWHEEL_ALLOWED_ORIGINS", "*", "allowed_origins", "https://app.example.com"),
        ("KEYWHEEL_ALLOWED_ORIGINS", "https://a.example,null", "allowed_origins", "https://app.example.com"),
        ("KEYWHEEL_ALLOWED_ORIGINS", "http://a.example", "allowed_origins", "allow_http"),
        ("KEYWHEEL_PUBLIC_URL", "http://auth.example.com", "public_url", "allow_http"),
        ("KEYWHEEL_TRUSTED_PROXIES", "0.0.0.0/0", "trusted_proxies", "10.0.0.0/8"),
    ] {
        let complaint = operator.is_refused(&[(name, value)]);
        assert!(complaint.starts_with(&format!("keywheel: {key}: ")), "{complaint}");
        assert!(complaint.contains(remedy), "{complaint}");
    }
    let serve = |secret: &str, public_url: &str| {
        let mut command = process::keywheel(operator.0.path(), &["serve", "--migrate"]);
        command.env("KEYWHEEL_SECRET", secret).env("KEYWHEEL_PUBLIC_URL", public_url);
        ended(command)
    };
    let refused = serve(SECRET, "http://auth.example.com");
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("public_url: "));
    assert_eq!(serve(&ascending, "https://auth.example.com").status.code(), Some(1));
    assert!(!operator.0.path().join("keywheel-data").exists(), "nothing was begun");
}

#[test]
fn an_operator_who_insists_is_warned() {
    let operator = Operator(TempDir::new().unwrap());
    let http = [("KEYWHEEL_PUBLIC_URL", "http://auth.internal"), ("KEYWHEEL_ALLOW_HTTP", "true")];
    let output = operator.check(&http);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "The configuration can be used.\n");
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("warning: allow_http: "));
    let quiet = operator.check(&[("KEYWHEEL_PUBLIC_URL", "https://auth.example.com")]);
    assert!(quiet.status.success() && quiet.stderr.is_empty(), "{quiet:?}");

    let mut serve = process::keywheel(operator.0.path(), &["serve", "--migrate"]);
    serve.env("KEYWHEEL_SECRET", SECRET).envs(http);
    let (server, line) = process::Server::start(serve, |line| line.contains("\"WARN\""));
    assert!(line.contains("allow_http: "), "{line}");
    assert!(server.says(|line| line.contains("\"listening\"")));
    assert_eq!(server.terminate(), 0);
}

#[test]
fn dev_stays_on_the_machine_unless_it_is_told_otherwise() {
    let folder = TempDir::new().unwrap();
    let dev = |arguments: &[&str]| {
        let mut command = process::keywheel(folder.path(), &[&["dev"], arguments].concat());
        command.env("KEYWHEEL_LISTEN", "0.0.0.0:0");
        command
    };
    let refused = ended(dev(&[]));
    let complaint = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(complaint.starts_with("keywheel: listen: ") && complaint.contains("--expose"), "{complaint}");
    assert!(!folder.path().join("keywheel-data").exists(), "nothing was begun");
    let (server, _) = process::Server::start(dev(&["--expose"]), |line| line.contains("Password"));
    assert_eq!(server.terminate(), 0);
}

/// People copy what is printed.
#[test]
fn no_secret_that_is_printed_in_this_project_is_taken() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files =
        vec![project.join("README.md"), project.join("keywheel.example.toml"), project.join("CHANGELOG.md")];
    for folder in
        ["docs", "src", "tests/it", "tests/web", "scripts", ".ci", "migration/src", "fuzz/src", "benches"]
    {
        files.extend(texts(&project.join(folder)));
    }
    let mut looked_at = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        // The names of signing keys look like secrets, and stand beside the word now and then.
        let about_secrets =
            |line: &&str| line.to_lowercase().contains("secret") && !line.contains("signing key");
        for line in text.lines().filter(about_secrets) {
            let base64 = |c: char| c.is_ascii_alphanumeric() || "+/=-_".contains(c);
            for word in line.split(|c| !base64(c)).filter(|word| word.len() > 32) {
                looked_at += 1;
                assert!(word.parse::<ServerSecrets>().is_err(), "{}: {word} would be taken", file.display());
            }
        }
    }
    assert!(looked_at > 2, "{looked_at}");
}

fn texts(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("node_modules") && !path.ends_with("explorer"));
    paths.flat_map(|path| if path.is_dir() { texts(&path) } else { vec![path] }).collect()
}
