//! Where the links in letters lead.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::invalid::Invalid;

/// Stands for the token in a setting.
const PLACE: &str = "{token}";

/// A link that lacks its token. It comes from the configuration alone: whoever sends a request has no say in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    before: String,
    after: String,
}

impl Link {
    /// Reads a path below `public_url`, or an absolute `http` or `https` URL.
    ///
    /// The token goes where it says `{token}`, and otherwise into the fragment, which browsers send to nobody: neither the log
    /// of a server nor a `Referer` ever has it.
    ///
    /// # Errors
    /// When it is neither, or a token cannot be put into it.
    pub fn parse(text: &str, public_url: &Url) -> Result<Self, Invalid> {
        let invalid = |message| Invalid::new("INVALID_LINK", message);
        let absolute = if text.starts_with('/') && !text.starts_with("//") {
            format!("{}{text}", public_url.as_str().trim_end_matches('/'))
        } else {
            text.to_owned()
        };
        let template = match (absolute.contains(PLACE), absolute.contains('#')) {
            (true, _) => absolute,
            (false, false) => format!("{absolute}#token={PLACE}"),
            (false, true) => {
                return Err(invalid("with a fragment it has to say where the token goes: {token}"));
            }
        };
        let (before, after) = template.split_once(PLACE).unwrap_or((&template, ""));
        let this = Self { before: before.to_owned(), after: after.to_owned() };
        let parsed = ["a", "b"].map(|token| Url::parse(&this.with(&token.into())));
        let [Ok(one), Ok(other)] = parsed else {
            return Err(invalid("must be a path such as /reset-password, or an http or https URL"));
        };
        let plain = one.username().is_empty() && one.password().is_none() && !after.contains(PLACE);
        let visible = text.chars().all(|c| c.is_ascii_graphic());
        if !matches!(one.scheme(), "http" | "https") || one.origin() != other.origin() || !plain || !visible {
            return Err(invalid(
                "must be a path such as /reset-password, or an http or https URL, with at most one {token} behind the host",
            ));
        }
        Ok(this)
    }

    /// The link with a token in it.
    #[must_use]
    pub fn with(&self, token: &SecretString) -> String {
        format!("{}{}{}", self.before, token.expose_secret(), self.after)
    }

    /// Whether it leads to a page of this server.
    #[must_use]
    pub fn leads_to(&self, path: &str, public_url: &Url) -> bool {
        Self::parse(path, public_url).as_ref() == Ok(self)
    }

    /// The origin and path that it leads to.
    #[must_use]
    pub fn url(&self) -> Option<Url> {
        Url::parse(&self.with(&"x".into())).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(text: &str, public_url: &str) -> Option<String> {
        let link = Link::parse(text, &Url::parse(public_url).unwrap()).ok()?;
        Some(link.with(&"kwm_x".into()))
    }

    #[test]
    fn a_token_is_put_where_no_server_sees_it_unless_the_setting_says_where() {
        for (text, public_url, expected) in [
            ("/reset", "https://auth.example.com", "https://auth.example.com/reset#token=kwm_x"),
            ("/reset", "https://example.com/auth/", "https://example.com/auth/reset#token=kwm_x"),
            ("https://app.example.com/r", "https://b.example", "https://app.example.com/r#token=kwm_x"),
            ("https://a.example/#/r/{token}", "https://b.example", "https://a.example/#/r/kwm_x"),
            ("/r?t={token}&l=de", "https://b.example", "https://b.example/r?t=kwm_x&l=de"),
        ] {
            assert_eq!(link(text, public_url).as_deref(), Some(expected), "{text}");
        }
        for wrong in [
            "",
            "reset",
            "//evil.example/x",
            "javascript:alert(1)#{token}",
            "https://{token}.example.com/",
            "https://app.example.com:{token}/",
            "https://user:x@app.example.com/",
            "https://app.example.com/#/reset",
            "/{token}/{token}",
            "/a b",
            "/a\r\nb",
        ] {
            assert_eq!(link(wrong, "https://b.example"), None, "{wrong}");
        }
    }
}
