//! The parameters of a request: never a panic, and a query is the one that another reader finds.
//!
//! The first byte chooses between the body of a POST, the URL of a GET, and an `Accept` header.

#![no_main]

use std::cell::LazyCell;

use http::{HeaderMap, HeaderValue, Uri, header};
use keywheel::http::fuzzing;
use keywheel_fuzz::header_lines;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: LazyCell<Runtime> =
        LazyCell::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 3 {
        0 => post(data),
        1 => get(data),
        _ => {
            let media = fuzzing::negotiated(&header_lines("accept", data));
            assert!(media.is_none_or(|media| media.ends_with("json; charset=utf-8")));
        }
    }
});

/// The first line is the content type; an empty one stands for JSON.
fn post(data: &[u8]) {
    let split = data.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (content_type, body) = data.split_at(split);
    let content_type = match content_type {
        [] => HeaderValue::from_static("application/json"),
        other => match HeaderValue::from_bytes(other) {
            Ok(value) => value,
            Err(_) => return,
        },
    };
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type.clone())]);
    let read = RUNTIME.with(|runtime| runtime.block_on(fuzzing::post(&headers, body.to_vec())));
    let Some((query, name)) = read else { return };
    assert!(
        content_type.to_str().expect("a type is text").to_ascii_lowercase().starts_with("application/json")
    );
    assert!(body.len() <= 64 * 1024);
    // Half a surrogate pair in a field that nobody reads is passed over by the server and refused by this reader.
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return };
    assert_eq!(value["query"], query);
    assert_eq!(value["operationName"].as_str().filter(|name| !name.is_empty()), name.as_deref());
}

fn get(data: &[u8]) {
    let Ok(uri) = Uri::try_from([b"/graphql?", data].concat()) else { return };
    if let Some((query, _)) = fuzzing::get(&uri) {
        let text = uri.query().expect("there is a query");
        assert!(text.contains('q') || text.contains('%'), "{query} came from nowhere");
    }
}
