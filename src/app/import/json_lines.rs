//! Accounts as JSON, one object a line.

use std::io::{self, BufRead, Read};

use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::auth::import::{Finding, SourceUser};

/// Longer than any account; bounds what a file without line ends takes.
const MAX_LINE: u64 = 64 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: Option<Id>,
    email: Option<String>,
    username: Option<String>,
    password_hash: Option<String>,
    #[serde(default)]
    email_verified: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    roles: Vec<String>,
    created_at: Option<String>,
}

/// Databases number their rows, and people write numbers without quotes.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a text or a whole number")]
enum Id {
    Number(i64),
    Text(String),
}

/// Some lines that were read.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) users: Vec<SourceUser>,
    pub(super) unreadable: Vec<Finding>,
}

/// Lines that are read as they are needed.
pub(super) struct Lines<R> {
    input: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn of(input: R) -> Self {
        Self { input, number: 0 }
    }

    /// The next lines, so many at most; `None` at the end.
    pub(super) fn batch(&mut self, most: u32) -> io::Result<Option<Batch>> {
        let (mut batch, before) = (Batch::default(), self.number);
        for _ in 0..most {
            let mut line = Vec::new();
            if self.input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            self.number += 1;
            let place = format!("line {}", self.number);
            if line.len() as u64 == MAX_LINE && !line.ends_with(b"\n") {
                self.input.skip_until(b'\n')?;
                batch.unreadable.push(unreadable(place, "longer than 64 KB"));
            } else if !line.iter().all(u8::is_ascii_whitespace) {
                match parse(&line, &place) {
                    Ok(user) => batch.users.push(user),
                    Err(why) => batch.unreadable.push(unreadable(place, &why)),
                }
            }
        }
        Ok((self.number > before).then_some(batch))
    }
}

fn parse(line: &[u8], place: &str) -> Result<SourceUser, String> {
    let line: Line = serde_json::from_slice(line).map_err(|error| describe(&error))?;
    let created_at = line.created_at.map(|text| OffsetDateTime::parse(&text, &Rfc3339)).transpose();
    Ok(SourceUser {
        place: place.to_owned(),
        id: line.id.map(|id| match id {
            Id::Number(number) => number.to_string(),
            Id::Text(text) => text,
        }),
        email: line.email,
        username: line.username,
        password_hash: line.password_hash.map(Into::into),
        email_verified: line.email_verified,
        blocked: line.blocked,
        roles: line.roles,
        created_at: created_at
            .map_err(|_| "created_at: must be a time such as 2024-05-06T07:08:09Z".to_owned())?,
    })
}

/// The library quotes values, and a value may be a hash; the names of keys are harmless.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let about_keys = ["unknown field", "duplicate field"].iter().any(|kind| text.starts_with(kind));
    if about_keys {
        return text.split(" at line").next().unwrap_or_default().chars().take(200).collect();
    }
    format!("not an object with the known keys, or a value of the wrong type, at column {}", error.column())
}

fn unreadable(place: String, why: &str) -> Finding {
    Finding { place, left_out: true, code: "UNREADABLE", message: why.to_owned() }
}
