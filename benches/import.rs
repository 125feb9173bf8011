//! How long does it take to move a Strapi project?
//!
//! `cargo bench --bench import`, with the number of users after `--` (100 000 otherwise). A database as Strapi's is made, with
//! bcrypt hashes of cost 10; `keywheel import strapi` brings it into an embedded database, and its time and memory are taken.
//! Then some of the users sign in with their passwords, a second run must find nothing to do, and the costs of single hashes
//! are shown beside the floor of failed sign-ins. For two cores: `taskset -c 0,1 cargo bench --bench import`.

#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use base64::{
    Engine, alphabet,
    engine::{GeneralPurpose, general_purpose::NO_PAD, general_purpose::STANDARD},
};
use keywheel::{
    app::{App, Surroundings},
    auth::{
        Start,
        login::{Login, login},
    },
    config::{Config, Profile},
    crypto::{
        entropy::{OsEntropy, random},
        hasher::{Hasher, HasherSettings},
        stored_hash,
    },
    domain::{
        password::Plaintext,
        session::{Delivery, Device},
    },
};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

/// Different passwords; each user has one of them.
const PASSWORDS: usize = 32;
const SAMPLE: usize = 300;

#[tokio::main]
async fn main() -> Result<()> {
    let users = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let folder = tempfile::tempdir()?;
    let source = folder.path().join("strapi.db");
    println!("Making a project with {users} users …");
    make_project(&source, users).await?;
    let run = |arguments: &[&str]| keywheel(folder.path(), arguments);
    run(&["migrate"])?;

    let from = source.display().to_string();
    let import = ["import", "strapi", "--from", &from];
    let (took, peak) = run(&[&import[..], &["--dry-run"]].concat())?;
    println!("  a rehearsal      {:7.1} s            peak {peak:4} MiB", took.as_secs_f64());
    let (took, peak) = run(&import)?;
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = users as f64 / took.as_secs_f64();
    println!("  the import       {:7.1} s  {rate:6.0}/s  peak {peak:4} MiB", took.as_secs_f64());
    sign_in(folder.path(), users).await?;
    let (took, _) = run(&import)?;
    println!("  a second run     {:7.1} s", took.as_secs_f64());
    show_costs().await
}

async fn make_project(file: &Path, users: usize) -> Result<()> {
    fs::write(file, "")?;
    let mut source = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await?;
    let tables = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
        CREATE TABLE up_users (id integer PRIMARY KEY AUTOINCREMENT NOT NULL, document_id varchar(255), username varchar(255),
          email varchar(255), provider varchar(255), password varchar(255), reset_password_token varchar(255),
          confirmation_token varchar(255), confirmed boolean, blocked boolean, created_at datetime, updated_at datetime,
          published_at datetime, created_by_id integer, updated_by_id integer, locale varchar(255));
        CREATE TABLE up_roles (id integer PRIMARY KEY AUTOINCREMENT NOT NULL, name varchar(255), type varchar(255));
        CREATE TABLE up_users_role_lnk (id integer PRIMARY KEY AUTOINCREMENT NOT NULL, user_id integer, role_id integer,
          user_ord float);
        CREATE INDEX up_users_role_lnk_fk ON up_users_role_lnk (user_id);
        INSERT INTO up_roles (name, type) VALUES ('Authenticated', 'authenticated'), ('Editor', 'editor');";
    sqlx::raw_sql(tables).execute(&mut source).await?;
    let hashes: Vec<_> = (0..PASSWORDS).map(|n| bcrypt_of(&password(n), 10)).collect();
    let ids: Vec<_> = (1..=users).collect();
    for ids in ids.chunks(1000) {
        let row = |id: &usize| {
            let (hash, at) = (&hashes[id % PASSWORDS], 1_600_000_000_000 + id * 1000);
            format!(
                "('doc{id}', 'user{id}', 'user{id}@example.com', 'local', '{hash}', 1, 0, {at}, {at}, {at})"
            )
        };
        let rows: Vec<_> = ids.iter().map(row).collect();
        let links: Vec<_> =
            ids.iter().map(|id| format!("({id}, {}, 1)", 1 + usize::from(id % 50 == 0))).collect();
        let insert = format!(
            "INSERT INTO up_users (document_id, username, email, provider, password, confirmed, blocked, created_at, updated_at,
               published_at) VALUES {}; INSERT INTO up_users_role_lnk (user_id, role_id, user_ord) VALUES {}",
            rows.join(","),
            links.join(",")
        );
        sqlx::raw_sql(AssertSqlSafe(insert)).execute(&mut source).await?;
    }
    Ok(source.close().await?)
}

fn password(n: usize) -> String {
    format!("the password number {n}")
}

fn bcrypt_of(password: &str, cost: u32) -> String {
    let base64 = GeneralPurpose::new(&alphabet::BCRYPT, NO_PAD);
    let salt: [u8; 16] = random(&OsEntropy);
    let key: Vec<u8> = password.bytes().chain([0]).collect();
    let output = bcrypt::bcrypt(cost, salt, &key);
    format!("$2a${cost:02}${}{}", base64.encode(salt), base64.encode(&output[..23]))
}

/// Runs the program to its end: how long it took, and the most memory that it had.
fn keywheel(folder: &Path, arguments: &[&str]) -> Result<(Duration, u64)> {
    let begin = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_keywheel"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("KEYWHEEL_DATABASE_URL", "sqlite://keywheel.db")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut peak = 0;
    let code = loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak =
            peak.max(line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    ensure!(code.success(), "keywheel {}: {code}", arguments.join(" "));
    Ok((begin.elapsed(), peak / 1024))
}

async fn sign_in(folder: &Path, users: usize) -> Result<()> {
    let file = format!("database_url = \"sqlite://{}\"", folder.join("keywheel.db").display());
    let secret = STANDARD.encode(random::<32>(&OsEntropy));
    let config = Config::parse(&file, [("KEYWHEEL_SECRET".to_owned(), secret)], Profile::Serve)?;
    let app = App::build(&config, Surroundings::default()).await?;
    let sample = SAMPLE.min(users);
    for turn in 0..sample {
        let id = 1 + turn * (users - 1) / sample.max(2).saturating_sub(1);
        let request = Login {
            identifier: format!("user{id}@example.com"),
            password: password(id % PASSWORDS).into(),
            device_token: None,
            start: Start {
                delivery: Delivery::Body,
                device: Device { name: "bench".to_owned(), user_agent: None, ip: None },
                proof: None,
                replaced_cookie: None,
            },
        };
        login(app.auth(), request).await.with_context(|| format!("user {id}"))?;
    }
    println!("  {sample} of them have signed in with their old passwords");
    app.store().clone().close().await?;
    Ok(())
}

/// What a guess costs, beside the 300 ms that a failed sign-in takes at least.
async fn show_costs() -> Result<()> {
    let settings = HasherSettings {
        memory_kib: 19_456,
        iterations: 2,
        parallelism: 1,
        workers: 1,
        queue: 8,
        deadline: Duration::from_mins(1),
    };
    let hasher = Hasher::start(&settings, Arc::new(OsEntropy))?;
    let (salt, output) = ("MDEyMzQ1Njc4OWFiY2RlZg", "+ZM6qIHKWUY4ZEkMSTQpzAefvkLMgPC7fLokalwJpuI");
    let bcrypt = (10..=14).map(|cost| (format!("bcrypt, cost {cost}"), bcrypt_of("right", cost)));
    let others = [
        ("Argon2id, ours", "$argon2id$v=19$m=19456,t=2,p=1"),
        ("Argon2id, the most", "$argon2id$v=19$m=131072,t=10,p=1"),
        ("scrypt, ln=14", "$scrypt$ln=14,r=8,p=1"),
        ("scrypt, ln=17", "$scrypt$ln=17,r=8,p=1"),
        ("scrypt, the most", "$scrypt$ln=17,r=8,p=2"),
        ("PBKDF2, 600 000", "$pbkdf2-sha256$i=600000"),
        ("PBKDF2, the most", "$pbkdf2-sha256$i=2000000"),
    ];
    let others = others.map(|(name, head)| (name.to_owned(), format!("{head}${salt}${output}")));
    println!("A guess costs:");
    for (name, hash) in bcrypt.chain(others) {
        let stored = stored_hash::import(&hash)?;
        let mut times = Vec::new();
        for _ in 0..5 {
            let offered = Plaintext::offered(&"wrong".into()).context("a password")?;
            let begin = Instant::now();
            hasher.verify(offered, stored.clone()).await?;
            times.push(begin.elapsed());
        }
        times.sort();
        println!("  {name:<20} {:7.0} ms", times[2].as_secs_f64() * 1e3);
    }
    Ok(())
}
