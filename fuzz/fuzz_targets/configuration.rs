//! Configuration: any text is a configuration that makes sense or a message, and the message does not quote the secret.

#![no_main]

use keywheel::config::{Config, Profile};
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "Zm9yZ2V0LW1lLW5vdC1mb3JnZXQtbWUtbm90LTAx";

// Lines of the file; those that begin with `$` are variables of the environment.
fuzz_target!(|text: &str| {
    let (variables, file): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('$'));
    let mut environment: Vec<(String, String)> = variables
        .iter()
        .filter_map(|line| line[1..].split_once('='))
        .map(|(name, value)| (format!("KEYWHEEL_{name}"), value.to_owned()))
        .collect();
    environment.push(("KEYWHEEL_SECRET".to_owned(), SECRET.to_owned()));
    for profile in [Profile::Serve, Profile::Dev] {
        match Config::parse(&file.join("\n"), environment.clone(), profile) {
            Ok(config) => {
                assert!(!format!("{config:?}").contains(SECRET));
                assert!(!config.sessions.idle_timeout.is_zero());
                assert!(matches!(config.public_url.scheme(), "http" | "https"));
            }
            Err(error) => {
                let message = error.to_string();
                assert!(!message.is_empty() && !message.contains(SECRET), "{message}");
            }
        }
    }
});
