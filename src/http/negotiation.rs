//! Which media type an answer has (GraphQL over HTTP, "Accept"; RFC 9110 §12.5.1).

use axum::http::{HeaderMap, header::ACCEPT};

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/graphql-response+json`: the status tells what became of the request.
    Modern,
    /// `application/json`: 200 for every well-formed request. Older clients throw the body away otherwise.
    Legacy,
}

impl Media {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Modern => "application/graphql-response+json; charset=utf-8",
            Self::Legacy => "application/json; charset=utf-8",
        }
    }
}

/// The form that the client likes best; `None` when it accepts neither.
pub(super) fn negotiate(headers: &HeaderMap) -> Option<Media> {
    let ranges = ranges(headers);
    if ranges.is_empty() {
        return Some(Media::Legacy);
    }
    let named = |name: &str| ranges.iter().find(|range| range.name == name).map(|range| range.quality);
    let modern = named(MODERN).unwrap_or(0);
    // The most specific range has the say, not the most generous one.
    let legacy = [LEGACY, "application/*", "*/*"].into_iter().find_map(named).unwrap_or(0);
    match (modern, legacy) {
        (0, 0) => None,
        (modern, legacy) if modern >= legacy => Some(Media::Modern),
        _ => Some(Media::Legacy),
    }
}

/// Whether the client is a browser that opens a page.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    ranges(headers).iter().any(|range| range.name == "text/html")
}

/// Whether the client reads an event stream.
pub(super) fn takes_events(headers: &HeaderMap) -> bool {
    ranges(headers).iter().any(|range| range.name == EVENTS && range.quality > 0)
}

const EVENTS: &str = "text/event-stream";
const MODERN: &str = "application/graphql-response+json";
const LEGACY: &str = "application/json";

struct Range {
    name: String,
    /// In thousandths.
    quality: u16,
}

fn ranges(headers: &HeaderMap) -> Vec<Range> {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(range)
        .collect()
}

fn range(text: &str) -> Option<Range> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
    let quality = parts
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("q"))
        .map_or(1000, |(_, value)| thousandths(value));
    Some(Range { name, quality })
}

/// A weight has at most three decimals; what is none counts as a refusal.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
fn thousandths(text: &str) -> u16 {
    text.parse::<f32>().map_or(0, |weight| (weight.clamp(0.0, 1.0) * 1000.0) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_follows_what_the_client_accepts() {
        let negotiated = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            negotiate(&headers)
        };
        assert_eq!(negotiate(&HeaderMap::new()), Some(Media::Legacy));
        for (accept, media) in [
            ("*/*", Some(Media::Legacy)),
            ("application/json", Some(Media::Legacy)),
            ("application/json, multipart/mixed", Some(Media::Legacy)),
            ("application/graphql-response+json", Some(Media::Modern)),
            ("application/graphql-response+json,application/json;q=0.9", Some(Media::Modern)),
            ("application/json, application/graphql-response+json", Some(Media::Modern)),
            ("application/graphql-response+json;q=0.5, application/json", Some(Media::Legacy)),
            ("Application/GraphQL-Response+JSON; charset=utf-8", Some(Media::Modern)),
            ("application/json;q=0", None),
            ("application/json;q=0, */*", None),
            ("text/html", None),
            ("text/html, */*;q=0.1", Some(Media::Legacy)),
        ] {
            assert_eq!(negotiated(accept), media, "{accept}");
        }
    }
}
