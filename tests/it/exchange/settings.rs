//! The settings of the bridge.

use keywheel::config::{Config, Profile};

use super::SHARED;
use crate::support::{SECRET, TestApp};

fn parse(file: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::parse(file, environment, Profile::Serve).map_err(|error| error.to_string())
}

#[test]
fn a_bridge_has_a_secret_and_an_end() {
    let secret = ("KEYWHEEL_BRIDGE__SECRET", SHARED);
    let until = "[bridge]\nuntil = \"2026-12-24T00:00:00Z\"\n";
    assert!(parse("", &[]).unwrap().bridge.is_none());
    assert!(parse("", &[("KEYWHEEL_BRIDGE__SECRET", "")]).unwrap().bridge.is_none());
    assert!(parse(until, &[secret]).unwrap().bridge.is_some());
    for (file, environment, why) in [
        ("", &[secret][..], "bridge.until"),
        (until, &[], "KEYWHEEL_BRIDGE__SECRET"),
        ("[bridge]\nuntil = \"soon\"\n", &[secret], "bridge.until"),
        ("[bridge]\nsecret = \"never in this file\"\n", &[], "bridge.secret"),
        ("[bridge]\nuntil = \"2026-12-24T00:00:00Z\"\nsource = \"\"\n", &[secret], "bridge.source"),
    ] {
        let complaint = parse(file, environment).unwrap_err();
        assert!(complaint.contains(why) && !complaint.contains(SHARED), "{complaint}");
    }
}

#[test]
fn the_secret_of_a_bridge_is_told_to_nobody() {
    let file = "[bridge]\nuntil = \"2026-12-24T00:00:00Z\"\nsecret_file = \"/private/jwt\"\n";
    let config = parse(file, &[("KEYWHEEL_BRIDGE__SECRET", SHARED)]).unwrap();
    assert_eq!(config.given, ["bridge.until = 2026-12-24T00:00:00Z"]);
    assert!(!format!("{config:?}").contains(&SHARED[..12]));
    assert!(config.warnings().iter().any(|warning| warning.starts_with("bridge: ")));
}

#[tokio::test]
async fn a_secret_that_others_can_find_out_is_refused() {
    let app = TestApp::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwt-secret");
    let settings =
        format!("bridge.until = \"2026-12-24T00:00:00Z\"\nbridge.secret_file = \"{}\"\n", file.display());
    for (secret, why) in
        [("fifteen bytes..", "fewer than 16"), ("toBeModified-12345", "example"), ("", "fewer")]
    {
        std::fs::write(&file, secret).unwrap();
        let complaint = app.node(&settings, SECRET).await.err().unwrap().to_string();
        assert!(complaint.contains(why) && complaint.contains("bridge.secret_file"), "{complaint}");
        assert!(secret.is_empty() || !complaint.contains(secret), "{complaint}");
    }
    std::fs::remove_file(&file).unwrap();
    assert!(app.node(&settings, SECRET).await.is_err());
}
