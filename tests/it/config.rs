//! Configuration: where it comes from, and what is refused.

use std::{fs, path::Path};

use keywheel::{
    config::{Config, ConfigError, Profile},
    domain::permission::Permission,
};
use secrecy::ExposeSecret;

fn parse(file: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment = environment.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    Config::parse(file, environment, Profile::Serve)
}

#[test]
fn the_example_says_what_the_defaults_are() {
    let example =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("keywheel.example.toml")).unwrap();
    let mut written = parse(&example, &[]).unwrap();
    assert!(written.given.contains(&"tokens.access_ttl = 300".to_owned()), "{:?}", written.given);
    written.given.clear();
    assert_eq!(format!("{written:?}"), format!("{:?}", parse("", &[]).unwrap()));
    assert_eq!(written.database_url.expose_secret(), parse("", &[]).unwrap().database_url.expose_secret());
}

#[test]
fn every_setting_is_in_the_example_and_explained() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = fs::read_to_string(project.join("keywheel.example.toml")).unwrap();
    let chapter = fs::read_to_string(project.join("docs/configuration.md")).unwrap();
    let raw = fs::read_to_string(project.join("src/config/raw.rs")).unwrap();
    let settings: Vec<&str> = raw
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub(super) ")?.split_once(": "))
        .filter(|(_, kind)| !kind.starts_with("Raw"))
        .map(|(name, _)| name.trim_start_matches('_'))
        .collect();
    assert!(settings.len() > 25, "{settings:?}");
    for name in settings {
        assert!(example.contains(&format!("{name} = ")), "keywheel.example.toml lacks {name}");
        assert!(chapter.contains(name), "docs/configuration.md lacks {name}");
    }
}

#[test]
fn the_environment_goes_over_the_file() {
    let file =
        "listen = \"127.0.0.1:1\"\nallowed_origins = [\"https://a.example\"]\n[sessions]\nidle_timeout = 5\n";
    let config = parse(
        file,
        &[
            ("KEYWHEEL_SESSIONS__IDLE_TIMEOUT", "7"),
            ("KEYWHEEL_TOKENS__RACE_WINDOW_MS", "0"),
            ("KEYWHEEL_ALLOWED_ORIGINS", "https://b.example, https://c.example"),
            ("KEYWHEEL_TRUSTED_PROXIES", "10.0.0.0/8,192.0.2.1"),
            ("KEYWHEEL_LIMITS__ENABLED", "false"),
            ("KEYWHEEL_GRAPHQL__EXPLORER", "true"),
            ("KEYWHEEL_DATA_DIR", "/srv/keywheel"),
            ("KEYWHEEL_CONFIG", "elsewhere.toml"),
            ("KEYWHEEL_SERVICE_HOST", "10.0.0.1"),
            ("KEYWHEEL_PORT", "tcp://10.0.0.1:4000"),
            ("UNRELATED", "x"),
        ],
    )
    .unwrap();
    assert_eq!(config.sessions.idle_timeout.as_secs(), 7);
    assert!(config.tokens.race_window.is_zero());
    assert_eq!(config.listen.port(), 1);
    assert_eq!(config.public_url.as_str(), "http://localhost:1/");
    assert_eq!(config.allowed_origins.len(), 2);
    assert_eq!(config.trusted_proxies.len(), 2);
    assert!(config.graphql.explorer && !config.graphql.introspection);
    assert_eq!(config.database_url.expose_secret(), "sqlite:///srv/keywheel/keywheel.db");
}

#[test]
fn what_makes_no_sense_is_refused_by_its_name() {
    for (file, named) in [
        ("sesions.idle_timeout = 1", "sesions"),
        ("sessions.idel_timeout = 1", "sessions.idel_timeout"),
        ("secret = \"x\"", "secret"),
        ("listen = \"nowhere\"", "listen"),
        ("public_url = \"ftp://x\"", "public_url"),
        ("public_url = \"http://auth.example.com\"", "public_url"),
        ("mail.smtp_url = \"smtps://me:hunter2@h\"", "mail.from"),
        ("mail.from = \"Keywheel\"", "mail.from"),
        ("mail.from = \"a@example.com\"\nmail.smtp_url = \"http://me:hunter2@h\"", "mail.smtp_url"),
        ("mail.reply_to = \"me\"", "mail.reply_to"),
        ("mail.product = \" \"", "mail.product"),
        ("mail.verify_url = \"verify\"", "mail.verify_url"),
        ("mail.email_change_url = \"ftp://app.example.com\"", "mail.email_change_url"),
        ("mail.reset_url = \"//evil.example/reset\"", "mail.reset_url"),
        ("mail.reset_url = \"http://app.example.com/reset\"", "mail.reset_url"),
        ("mail.unknown = 1", "mail.unknown"),
        ("public_url = \"http://10.0.0.7:4000\"", "public_url"),
        ("public_url = \"https://user:pw@x\"", "public_url"),
        ("database_url = \"redis://u:hunter2@h/d\"", "database_url"),
        ("database_url = \"mariadb://u:hunter2@h/d\"", "database_url"),
        ("database_url = \"postgres://u:hunter2#x@h/d\"", "database_url"),
        ("database_url = \"postgres://u:hunter2@h:99999/d\"", "database_url"),
        ("database_url = \"mysql://u:hunter2@h/\"", "database_url"),
        ("database_url = \"sqlite::memory:\"", "database_url"),
        ("allowed_origins = [\"*\"]", "allowed_origins"),
        ("allowed_origins = [\"null\"]", "allowed_origins"),
        ("allowed_origins = [\"http://app.example.com\"]", "allowed_origins"),
        ("allowed_origins = [\"https://*.example.com\"]", "allowed_origins"),
        ("allowed_origins = [\"https://a.example/path\"]", "allowed_origins"),
        ("trusted_proxies = [\"everybody\"]", "trusted_proxies"),
        ("trusted_proxies = [\"0.0.0.0/0\"]", "trusted_proxies"),
        ("trusted_proxies = [\"::/0\"]", "trusted_proxies"),
        ("trusted_proxies = [\"::ffff:0:0/96\"]", "trusted_proxies"),
        ("trusted_proxies = [\"10.0.0.0/8\", \"0.0.0.0/1\", \"128.0.0.0/1\"]", "trusted_proxies"),
        ("trusted_proxies = [\"8.0.0.0/8\", \"9.0.0.0/8\"]", "trusted_proxies"),
        ("overload.max_in_flight = 0", "overload.max_in_flight"),
        ("overload.max_connections = 0", "overload.max_connections"),
        ("database.max_connections = 0", "database.max_connections"),
        ("database.acquire_timeout_ms = 0", "database.acquire_timeout_ms"),
        ("database.statement_timeout_ms = 10001", "database.statement_timeout_ms"),
        ("database.restore_fence = -1", "database.restore_fence"),
        ("housekeeping.rows_per_second = 0", "housekeeping.rows_per_second"),
        ("tokens.key_reload = 0", "tokens.key_reload"),
        ("tokens.key_reload = 301", "tokens.key_reload"),
        ("tokens.access_ttl = 0", "tokens.access_ttl"),
        ("tokens.access_ttl = 3601", "tokens.access_ttl"),
        ("tokens.access_ttl = \"5m\"", "tokens.access_ttl"),
        ("tokens.retry_window_ms = 60001", "tokens.retry_window_ms"),
        ("tokens.race_window_ms = -1", "tokens.race_window_ms"),
        ("tokens.algorithm = \"none\"", "tokens.algorithm"),
        ("tokens.audience = \"\"", "tokens.audience"),
        ("sessions.idle_timeout = 0", "sessions.idle_timeout"),
        ("sessions.max_per_user = 0", "sessions.max_per_user"),
        ("sessions.default_delivery = \"MAIL\"", "sessions.default_delivery"),
        ("passwords.min_length = 7", "passwords.min_length"),
        ("passwords.memory_kib = 7", "passwords.memory_kib"),
        ("passwords.queue = 0", "passwords.queue"),
        ("registration.require_verification = true", "registration.require_verification"),
        ("registration.domains = [\"com\"]", "registration.domains"),
        ("registration.domains = [\"@example.com\"]", "registration.domains"),
        ("links.reset_ttl = 0", "links.reset_ttl"),
        ("links.confirm_ttl = 604801", "links.confirm_ttl"),
        ("limits.mail_burst = 0", "limits.mail_burst"),
        ("graphql.explorer = 1", "graphql.explorer"),
        ("roles.support = [\"users:delete\"]", "roles.support"),
        ("roles.support = [\"users:read\", 7]", "roles.support"),
        ("roles.support = true", "roles.support"),
        ("roles.Support = []", "roles.Support"),
        ("roles.\"two words\" = []", "roles.two words"),
        ("roles.admin = [\"users:read\"]", "roles.admin"),
        ("roles.admin = []", "roles.admin"),
        ("roles = [\"admin\"]", "roles"),
    ] {
        let error = parse(file, &[]).map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{named}: ")), "{file}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn roles_carry_what_is_written() {
    let config = parse(
        "[roles]\nsupport = [\"users:read\"]\n\"billing:write\" = []\nadmin = [\"audit:read\", \"users:read\", \"users:write\"]\n",
        &[("KEYWHEEL_ROLES__CLERK", "users:write, audit:read"), ("KEYWHEEL_ROLES__SUPPORT", "audit:read")],
    )
    .unwrap();
    let may = |role: &str| {
        let authority = config.roles.authority_of(&[role.to_owned()]);
        let allowed = Permission::ALL.into_iter().filter(|permission| authority.may(*permission));
        allowed.map(Permission::name).collect::<Vec<_>>().join(",")
    };
    let all = ["admin", "support", "clerk", "billing:write", "other"].map(may);
    assert_eq!(all, ["users:read,users:write,audit:read", "audit:read", "users:write,audit:read", "", ""]);
    assert!(config.roles.know("billing:write") && !config.roles.know("other"));
    assert_eq!(parse("", &[]).unwrap().roles, parse("[roles]\n", &[]).unwrap().roles);
}

#[test]
fn nothing_secret_is_printed() {
    let secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let config =
        parse("database_url = \"sqlite://private/path.db\"", &[("KEYWHEEL_SECRET", secret)]).unwrap();
    let printed = format!("{config:?}");
    assert!(!printed.contains(secret) && !printed.contains("private/path"), "{printed}");

    let from = ("KEYWHEEL_MAIL__FROM", "auth@example.com");
    let url = ("KEYWHEEL_MAIL__SMTP_URL", "smtps://me:hunter2@smtp.example.com");
    let config = parse("", &[from, url]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!(config.given, ["mail.from = auth@example.com"], "what is written down of it");
}

#[test]
fn a_variable_that_is_no_setting_is_refused() {
    for (name, named) in
        [("KEYWHEEL_PORT", "port"), ("KEYWHEEL_TOKENS__TTL", "tokens.ttl"), ("KEYWHEEL_TOKENS", "tokens")]
    {
        let error = parse("", &[(name, "4000")]).map(|_| ()).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{named}: ")) && error.ends_with("(in the environment)"),
            "{error}"
        );
    }
}

#[test]
fn clear_text_needs_to_be_asked_for() {
    for harmless in [
        "public_url = \"https://auth.example.com\"",
        "public_url = \"http://127.8.0.1:4000\"",
        "public_url = \"http://[::1]:4000\"",
        "public_url = \"http://keywheel.localhost\"",
        "allowed_origins = [\"http://localhost:3000\", \"https://app.example.com\"]",
    ] {
        assert_eq!(parse(harmless, &[]).unwrap().warnings(), [""; 0], "{harmless}");
    }
    let error = parse("public_url = \"http://auth.example.com\"", &[]).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("https") && error.contains("allow_http = true"), "{error}");
    for asked in ["public_url = \"http://auth.internal\"", "allowed_origins = [\"http://app.internal\"]"] {
        let config = parse(&format!("allow_http = true\n{asked}"), &[]).unwrap();
        let warnings = config.warnings();
        assert!(warnings.len() == 1 && warnings[0].starts_with("allow_http: "), "{warnings:?}");
    }
    let on_a_phone = "public_url = \"http://192.168.1.5:4000\"\nlisten = \"192.168.1.5:4000\"";
    assert!(Config::parse(on_a_phone, [], Profile::Dev).is_ok(), "`dev` is for trying things out");
}

#[test]
fn what_may_be_meant_is_mentioned() {
    for (file, key) in [
        ("listen = \"0.0.0.0:4000\"", "public_url"),
        ("graphql.explorer = true", "graphql.explorer"),
        ("graphql.introspection = true", "graphql.introspection"),
        ("limits.enabled = false", "limits.enabled"),
        ("registration.domains = [\"example.com\"]", "registration.domains"),
    ] {
        let warnings = parse(file, &[]).unwrap().warnings();
        assert!(warnings.len() == 1 && warnings[0].starts_with(&format!("{key}: ")), "{file}: {warnings:?}");
    }
    let behind_a_proxy = "listen = \"0.0.0.0:4000\"\npublic_url = \"https://auth.example.com\"";
    assert_eq!(parse(behind_a_proxy, &[]).unwrap().warnings(), [""; 0]);
}

#[test]
fn proxies_written_as_ipv6_are_the_same_proxies() {
    let config =
        parse("trusted_proxies = [\"::ffff:10.0.0.0/104\", \"::ffff:192.0.2.1\", \"fd00::/8\"]", &[])
            .unwrap();
    let networks: Vec<_> = config.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "192.0.2.1/32", "fd00::/8"]);
}
