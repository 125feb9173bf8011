//! Where settings are written: the file, and over it the environment.

use figment::{
    Figment, Metadata, Provider,
    error::Kind,
    providers::{Format, Toml},
    value::{Dict, Map, Value},
};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use super::{ConfigError, raw::Raw};

const ENVIRONMENT: &str = "environment";
const PREFIX: &str = "KEYWHEEL_";
const SECRET: &str = "KEYWHEEL_SECRET";
const BRIDGE_SECRET: &str = "KEYWHEEL_BRIDGE__SECRET";
/// Read by the command line.
const CONFIG_FILE: &str = "KEYWHEEL_CONFIG";

/// What only the environment may hold.
#[derive(Default)]
pub(super) struct Secrets {
    /// The server secret.
    pub(super) server: Option<SecretString>,
    /// What the system that was left behind signs its tokens with.
    pub(super) bridge: Option<SecretString>,
}

impl Raw {
    pub(super) fn read(
        file: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(Self, Secrets, Vec<String>), ConfigError> {
        let mut secrets = Secrets::default();
        let mut settings = Dict::new();
        for (name, value) in environment {
            match name.strip_prefix(PREFIX) {
                None => {}
                // Empty is how some tools say that it is not set.
                Some(_) if name == SECRET => secrets.server = (!value.is_empty()).then(|| value.into()),
                Some(_) if name == BRIDGE_SECRET => {
                    secrets.bridge = (!value.is_empty()).then(|| value.into());
                }
                Some(_) if name == CONFIG_FILE => {}
                Some(rest) if is_service_link(rest, &value) => {}
                Some(path) => set(&mut settings, &path.to_lowercase(), &value),
            }
        }
        let figment = Figment::new().merge(Toml::string(file)).merge(Environment(settings));
        let raw: Self = figment.extract().map_err(|error| ConfigError::Malformed(describe(error)))?;
        let given = figment.extract::<Dict>().map(|settings| describe_given(&settings)).unwrap_or_default();
        Ok((raw, secrets, given))
    }
}

/// Left out of what is told about a configuration: what may hold a password, and what each node has of its own.
const NOT_TOLD: [&str; 5] = ["database_url", "secret_file", "data_dir", "listen", "bridge.secret_file"];

/// Settings as a person would write them, in a stable order.
fn describe_given(settings: &Dict) -> Vec<String> {
    let mut given = Vec::new();
    let mut tell = |key: String, value: &Value| {
        if !NOT_TOLD.contains(&key.as_str()) {
            given.push(format!("{key} = {}", text_of(value)));
        }
    };
    for (key, value) in settings {
        match value {
            Value::Dict(_, section) => {
                for (name, value) in section {
                    tell(format!("{key}.{name}"), value);
                }
            }
            value => tell(key.clone(), value),
        }
    }
    given
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Array(_, items) => items.iter().map(text_of).collect::<Vec<_>>().join(","),
        Value::Bool(_, truth) => truth.to_string(),
        Value::Num(_, number) => number.to_i128().map_or_else(String::new, |number| number.to_string()),
        Value::String(_, text) => text.clone(),
        _ => String::new(),
    }
}

/// What Kubernetes puts into the environment for a service that is named `keywheel`.
fn is_service_link(name: &str, value: &str) -> bool {
    name.starts_with("SERVICE_") || name.starts_with("PORT_") || name == "PORT" && value.contains("://")
}

/// The variables of the environment, as nested as the file.
struct Environment(Dict);

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named(ENVIRONMENT)
    }

    fn data(&self) -> figment::Result<Map<figment::Profile, Dict>> {
        Ok(Map::from([(figment::Profile::Default, self.0.clone())]))
    }
}

fn set(settings: &mut Dict, path: &str, value: &str) {
    match path.split_once("__") {
        None => {
            let Ok(value) = value.parse::<Value>();
            settings.insert(path.to_owned(), value);
        }
        Some((section, rest)) => {
            let entry = settings.entry(section.to_owned()).or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, nested) = entry {
                set(nested, rest, value);
            }
        }
    }
}

/// A list, or a text with commas: that is how the environment says it.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a list of texts, or one text with commas")]
    enum Either {
        List(Vec<String>),
        Text(String),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::List(items) => items,
        Either::Text(text) => {
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
        }
    })
}

/// The key comes first, as in every other message about a setting. Values are left out: a URL may hold a password.
fn describe(errors: figment::Error) -> String {
    let sentences: Vec<_> = errors.into_iter().map(|error| sentence(&error)).collect();
    sentences.join("\n")
}

fn sentence(error: &figment::Error) -> String {
    let source = match &error.metadata {
        Some(metadata) if metadata.name == ENVIRONMENT => "environment",
        _ => "file",
    };
    let path = error.path.join(".");
    match &error.kind {
        Kind::UnknownField(field, _) => {
            let key = if path.is_empty() { field } else { &path };
            format!("{key}: there is no such setting (in the {source})")
        }
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
            let expected = match expected.as_str() {
                "u64" | "u32" | "usize" => "a whole number",
                other if other.starts_with("struct ") => "a section",
                other => other,
            };
            format!("{path}: must be {expected} (in the {source})")
        }
        // The TOML parser quotes the line, which may hold a password.
        other if path.is_empty() => {
            let text = other.to_string();
            let lines: Vec<_> = text.lines().filter(|line| !line.contains('|')).collect();
            format!("{} (in the {source})", lines.join(" "))
        }
        Kind::Message(expected) if expected.starts_with("a list") => {
            format!("{path}: must be {expected} (in the {source})")
        }
        Kind::Message(message) if message.contains("socket address") => {
            format!("{path}: must be an address and a port, such as 127.0.0.1:4000 (in the {source})")
        }
        other => format!("{path}: {other} (in the {source})"),
    }
}
