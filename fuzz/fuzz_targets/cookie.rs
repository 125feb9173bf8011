//! The session cookie among others: what is found stands in the header, and what is set is found again.

#![no_main]

use http::HeaderMap;
use keywheel::http::fuzzing;
use keywheel_fuzz::header_lines;
use libfuzzer_sys::fuzz_target;

const NAME: &str = "__Host-keywheel=";

fuzz_target!(|data: &[u8]| {
    let headers = header_lines("cookie", data);
    if let Some(found) = fuzzing::cookie(&headers) {
        assert!(!found.is_empty());
        let whole = String::from_utf8_lossy(data);
        assert!(whole.contains(found.as_str()), "{found:?} came from nowhere");
        let quoted = format!("{NAME}\"{found}\"");
        let plain = format!("{NAME}{found}");
        let spaced: String = whole.chars().filter(|c| !c.is_whitespace()).collect();
        let there = |text: &str| spaced.contains(&text.split_whitespace().collect::<String>());
        assert!(there(&plain) || there(&quoted), "{found:?} belongs to another cookie");
    }
    let token: String =
        data.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(|byte| char::from(*byte)).collect();
    if !token.is_empty() {
        let header = fuzzing::set_cookie(token.clone().into()).expect("letters and digits fit into a cookie");
        let pair = header.split(';').next().expect("there is a pair");
        assert_eq!(pair, format!("{NAME}{token}"));
        let sent = HeaderMap::from_iter([(http::header::COOKIE, pair.parse().expect("a header"))]);
        assert_eq!(fuzzing::cookie(&sent), Some(token));
    }
});
