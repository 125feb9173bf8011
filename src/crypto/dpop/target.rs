//! The URL that proofs are made for (RFC 9449 §4.3, check 9).

use url::Url;

/// A URL in its normal form (RFC 3986 §6.2), without query and fragment.
pub(super) struct Target(String);

impl Target {
    pub(super) fn new(url: &Url) -> Self {
        Self(normal(url))
    }

    /// Whether somebody who wrote `htu` meant this URL.
    pub(super) fn is(&self, htu: &str) -> bool {
        // The parser of browsers takes much more for the same, such as blanks, backslashes and missing slashes.
        let plain = htu.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let absolute = htu.split_once("://").is_some_and(|(scheme, rest)| {
            scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) && !rest.starts_with('/')
        });
        plain && absolute && Url::parse(htu).is_ok_and(|url| is_anonymous(&url) && normal(&url) == self.0)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn is_anonymous(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none()
}

/// The parser has made scheme and host lower case, dropped the default port and resolved dots in the path.
fn normal(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), normal_path(url.path()))
}

/// Percent-encodes nothing that need not be, and the rest in capitals.
fn normal_path(path: &str) -> String {
    let mut pieces = path.split('%');
    let mut normal = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match encoded(piece) {
            Some((code, rest)) if code.is_ascii_alphanumeric() || b"-._~".contains(&code) => {
                normal.push(char::from(code));
                normal.push_str(rest);
            }
            Some((_, rest)) => {
                normal.push('%');
                normal.push_str(&piece[..2].to_ascii_uppercase());
                normal.push_str(rest);
            }
            None => {
                normal.push('%');
                normal.push_str(piece);
            }
        }
    }
    normal
}

/// The byte that the two digits after a percent sign mean, and what follows them.
fn encoded(piece: &str) -> Option<(u8, &str)> {
    let (digits, rest) = piece.split_at_checked(2)?;
    let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let code = u8::from_str_radix(digits, 16).ok().filter(|_| hexadecimal)?;
    Some((code, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_url_are_one() {
        let target = Target::new(&Url::parse("https://auth.example.com/base/graphql").unwrap());
        for same in [
            "https://auth.example.com/base/graphql",
            "HTTPS://Auth.Example.COM:443/base/graphql",
            "https://auth.example.com/base/graphql?query=x#y",
            "https://auth.example.com/base/./x/../graphql",
            "https://auth.example.com/%62ase/gr%61phql",
        ] {
            assert!(target.is(same), "{same}");
        }
        for other in [
            "",
            "/base/graphql",
            "http://auth.example.com/base/graphql",
            "https://auth.example.com:8443/base/graphql",
            "https://auth.example.com./base/graphql",
            "https://auth.example.com/graphql",
            "https://auth.example.com/base/GraphQL",
            "https://auth.example.com/base/graphql/",
            "https://auth.example.com/base%2Fgraphql",
            "https://auth.example.com/base/graphql%",
            "https://auth.example.com.evil.example/base/graphql",
            "https://user@auth.example.com/base/graphql",
            "https:\\\\auth.example.com\\base\\graphql",
            "https:auth.example.com/base/graphql",
            "https:///auth.example.com/base/graphql",
            " https://auth.example.com/base/graphql",
            "https://auth.example.com/base/graph\nql",
            "data:text/plain,https://auth.example.com/base/graphql",
        ] {
            assert!(!target.is(other), "{other}");
        }
    }

    #[test]
    fn what_must_be_encoded_stays_so() {
        for (path, normal) in
            [("/a%2fb", "/a%2Fb"), ("/%7euser", "/~user"), ("/%", "/%"), ("/%4", "/%4"), ("/%+1", "/%+1")]
        {
            assert_eq!(normal_path(path), normal);
        }
    }
}
