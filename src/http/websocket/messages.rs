//! The messages of graphql-transport-ws.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::{credentials::Credentials, parameters::Parameters};

const MAX_ID: usize = 128;

/// What a client says.
pub(super) enum Incoming {
    Init(Init),
    Ping,
    Pong,
    Subscribe { id: String, parameters: Parameters },
    Complete { id: String },
}

/// Who the client says it is. The only place where a token is looked for: a URL gets into logs, and a cookie is sent for any
/// page.
pub(super) struct Init {
    pub(super) credentials: Credentials,
    pub(super) proof: Proof,
}

/// The proof of possession for a bound token.
pub(super) enum Proof {
    Absent,
    One(String),
    Unusable,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Raw {
    ConnectionInit { payload: Option<Map<String, Value>> },
    Ping {},
    Pong {},
    Subscribe { id: String, payload: Parameters },
    Complete { id: String },
}

/// Reads a message; `None` for what is none.
pub(super) fn read(text: &str) -> Option<Incoming> {
    // serde would fill a struct from an array as well.
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let message = serde_json::from_str(text).ok()?;
    Some(match message {
        Raw::ConnectionInit { payload } => Incoming::Init(init(&payload.unwrap_or_default())),
        Raw::Ping {} => Incoming::Ping,
        Raw::Pong {} => Incoming::Pong,
        Raw::Subscribe { id, payload } => Incoming::Subscribe { id: good_id(id)?, parameters: payload },
        Raw::Complete { id } => Incoming::Complete { id: good_id(id)? },
    })
}

fn good_id(id: String) -> Option<String> {
    (!id.is_empty() && id.len() <= MAX_ID).then_some(id)
}

fn init(payload: &Map<String, Value>) -> Init {
    let credentials = match the_one(payload, "authorization") {
        Found::Nothing => Credentials::None,
        Found::Text(value) => Credentials::read(value),
        Found::Unusable => Credentials::Unusable,
    };
    let proof = match the_one(payload, "dpop") {
        Found::Nothing => Proof::Absent,
        Found::Text(proof) => Proof::One(proof.to_owned()),
        Found::Unusable => Proof::Unusable,
    };
    Init { credentials, proof }
}

enum Found<'a> {
    Nothing,
    Text(&'a str),
    Unusable,
}

/// A header, as clients write it: beside the others or under `headers`, in any case. Two of it are none.
fn the_one<'a>(payload: &'a Map<String, Value>, name: &str) -> Found<'a> {
    let headers = payload.get("headers").and_then(Value::as_object);
    let fields = payload.iter().chain(headers.into_iter().flatten());
    let mut values = fields.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    match (values.next(), values.next()) {
        // Clients that have no token send null, or nothing.
        (None | Some(Value::Null), None) => Found::Nothing,
        (Some(Value::String(text)), None) => Found::Text(text),
        _ => Found::Unusable,
    }
}

/// What the server says.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Outgoing<'a, P> {
    ConnectionAck,
    Pong,
    Next { id: &'a str, payload: &'a P },
    Error { id: &'a str, payload: &'a P },
    Complete { id: &'a str },
}

impl<P: Serialize> Outgoing<'_, P> {
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn token(payload: &str) -> String {
        let message = format!(r#"{{"type":"connection_init","payload":{payload}}}"#);
        let Some(Incoming::Init(Init { credentials, .. })) = read(&message) else { return "no init".into() };
        match credentials {
            Credentials::None => "none".to_owned(),
            Credentials::Unusable => "unusable".to_owned(),
            Credentials::Bearer(token) => format!("bearer {}", token.expose_secret()),
            Credentials::Dpop(token) => format!("dpop {}", token.expose_secret()),
        }
    }

    #[test]
    fn a_token_is_found_where_clients_put_it() {
        for payload in [
            r#"{"authorization":"Bearer t"}"#,
            r#"{"Authorization":"bearer t"}"#,
            r#"{"headers":{"Authorization":"Bearer t"}}"#,
            r#"{"headers":{"authorization":"Bearer t"},"x":1}"#,
        ] {
            assert_eq!(token(payload), "bearer t", "{payload}");
        }
        assert_eq!(token(r#"{"authorization":"DPoP t"}"#), "dpop t");
        for none in
            ["null", "{}", r#"{"authorization":null}"#, r#"{"token":"t"}"#, r#"{"headers":"Bearer t"}"#]
        {
            assert_eq!(token(none), "none", "{none}");
        }
        for unusable in [
            r#"{"authorization":"t"}"#,
            r#"{"authorization":"Bearer "}"#,
            r#"{"authorization":7}"#,
            r#"{"authorization":"Bearer t","headers":{"Authorization":"Bearer t"}}"#,
        ] {
            assert_eq!(token(unusable), "unusable", "{unusable}");
        }
    }

    #[test]
    fn what_is_no_message_is_not_read() {
        for good in [
            r#"{"type":"ping"}"#,
            r#"{"type":"pong","payload":{"a":1}}"#,
            r#"{"type":"complete","id":"1"}"#,
            r#"{"id":"1","type":"subscribe","payload":{"query":"","extensions":{}}}"#,
        ] {
            assert!(read(good).is_some(), "{good}");
        }
        let long = format!(r#"{{"type":"complete","id":"{}"}}"#, "x".repeat(MAX_ID + 1));
        for bad in [
            "",
            "hello",
            "[]",
            r#"["ping"]"#,
            r#"{"type":"start","id":"1","payload":{"query":"x"}}"#,
            r#"{"type":"connection_ack"}"#,
            r#"{"type":"subscribe","payload":{"query":"x"}}"#,
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"subscribe","id":"1","payload":{}}"#,
            r#"{"type":"subscribe","id":1,"payload":{"query":"x"}}"#,
            r#"{"type":"complete","id":""}"#,
            r#"{"type":"connection_init","payload":"Bearer t"}"#,
            &long,
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
