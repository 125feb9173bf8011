//! `[mail]`.

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::{ConfigError, Mail, Smtp, SmtpEncryption, exposure::is_loopback, raw::RawMail};
use crate::domain::{link::Link, mailbox::Mailbox};

/// Where the pages are that come with the server.
pub(super) const VERIFY_PAGE: &str = "/verify-email";
pub(super) const RESET_PAGE: &str = "/reset-password";

/// Submission (RFC 6409), submission over TLS (RFC 8314 §3.3), and what servers use among themselves.
const SUBMISSION: u16 = 587;
const SUBMISSIONS: u16 = 465;
const PLAIN: u16 = 25;

impl RawMail {
    pub(super) fn check(self, public_url: &Url) -> Result<Mail, ConfigError> {
        let smtp = self.smtp_url.map(|url| smtp(&url.into())).transpose()?;
        let host = public_url.host_str().unwrap_or("localhost").to_owned();
        let from = match &self.from {
            Some(text) => mailbox("mail.from", text)?,
            None if smtp.is_some() => {
                let why = "must say who writes, such as \"Keywheel <auth@example.com>\"";
                return Err(ConfigError::invalid("mail.from", &why));
            }
            None => mailbox("mail.from", "Keywheel <keywheel@localhost>")?,
        };
        let product = match self.product {
            Some(product) if product.trim().is_empty() || product.chars().any(char::is_control) => {
                return Err(ConfigError::invalid("mail.product", &"must be a name, on one line"));
            }
            Some(product) => product,
            None => from.name.clone().filter(|_| self.from.is_some()).unwrap_or_else(|| host.clone()),
        };
        let link = |key, text: &str| {
            Link::parse(text, public_url).map_err(|why| ConfigError::invalid(key, &why.message))
        };
        let verify = link("mail.verify_url", self.verify_url.as_deref().unwrap_or(VERIFY_PAGE))?;
        let email_change = match &self.email_change_url {
            Some(text) => link("mail.email_change_url", text)?,
            None => verify.clone(),
        };
        Ok(Mail {
            smtp,
            ca_file: self.ca_file,
            from,
            reply_to: self.reply_to.map(|text| mailbox("mail.reply_to", &text)).transpose()?,
            templates: self.templates,
            product,
            host,
            verify,
            email_change,
            reset: link("mail.reset_url", self.reset_url.as_deref().unwrap_or(RESET_PAGE))?,
        })
    }
}

fn mailbox(key: &'static str, text: &str) -> Result<Mailbox, ConfigError> {
    let why = "must be an email address, or a name and an address such as \"Keywheel <auth@example.com>\"";
    text.parse().map_err(|_| ConfigError::invalid(key, &why))
}

/// Which server takes the mail. What is in the URL is never repeated: it may hold a password.
fn smtp(url: &SecretString) -> Result<Smtp, ConfigError> {
    let invalid = |why: &str| ConfigError::invalid("mail.smtp_url", &why);
    let shape = "must be smtp://user:password@host:587 or smtps://user:password@host:465; in user and password, : / ? # @ % \
                 are written as %3A %2F %3F %23 %40 %25";
    let url = Url::parse(url.expose_secret()).map_err(|_| invalid(shape))?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| invalid(shape))?;
    // In a URL an IPv6 address has brackets, and nowhere else.
    let host = host.trim_matches(['[', ']']);
    let known_path = matches!(url.path(), "" | "/") && url.fragment().is_none();
    let options: Vec<_> = url.query_pairs().collect();
    let asked = match options.as_slice() {
        [] => None,
        [(name, value)] if name == "tls" && matches!(&**value, "none" | "starttls") => {
            Some(value.clone().into_owned())
        }
        _ => return Err(invalid("there is one option, ?tls=none or ?tls=starttls")),
    };
    let loopback = is_loopback_host(host);
    let (encryption, port) = match (url.scheme(), asked.as_deref()) {
        ("smtps", None) => (SmtpEncryption::Tls, SUBMISSIONS),
        ("smtps", Some(_)) => {
            return Err(invalid("smtps:// is TLS from the first byte on: ?tls= has no place there"));
        }
        ("smtp", Some("none")) => (SmtpEncryption::None, PLAIN),
        // Nobody can listen between a program and its own machine.
        ("smtp", None) if loopback => (SmtpEncryption::None, PLAIN),
        ("smtp", _) => (SmtpEncryption::StartTls, SUBMISSION),
        _ => return Err(invalid(shape)),
    };
    if !known_path {
        return Err(invalid(shape));
    }
    let decode =
        |text: &str| percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| invalid(shape));
    let credentials = match (url.username(), url.password()) {
        ("", None) => None,
        ("", Some(_)) | (_, None) => return Err(invalid("has a user or a password, but not both")),
        (user, Some(password)) => Some((decode(user)?, decode(password)?.into())),
    };
    if credentials.is_some() && encryption == SmtpEncryption::None && !loopback {
        return Err(invalid("would send a password in clear text: use smtps://, or leave ?tls=none out"));
    }
    Ok(Smtp { host: host.to_owned(), port: url.port().unwrap_or(port), encryption, credentials })
}

/// Names too: those below `localhost` never leave the machine (RFC 6761 §6.3).
fn is_loopback_host(host: &str) -> bool {
    let host = host.parse().map_or_else(|_| Host::parse(host), |address| Ok(Host::Ipv6(address)));
    host.is_ok_and(|host| is_loopback(Some(host)))
}

impl Mail {
    /// Whether mail travels to another machine in clear text.
    pub(super) fn is_clear_text(&self) -> bool {
        let clear = |smtp: &Smtp| smtp.encryption == SmtpEncryption::None && !is_loopback_host(&smtp.host);
        self.smtp.as_ref().is_some_and(clear)
    }

    /// The links, with the settings that they come from.
    pub(super) fn links(&self) -> [(&'static str, &Link); 3] {
        [
            ("mail.verify_url", &self.verify),
            ("mail.reset_url", &self.reset),
            ("mail.email_change_url", &self.email_change),
        ]
    }

    /// Whether letters link to the page of this server where an address is confirmed.
    #[must_use]
    pub fn uses_verify_page(&self, public_url: &Url) -> bool {
        [&self.verify, &self.email_change].into_iter().any(|link| link.leads_to(VERIFY_PAGE, public_url))
    }

    /// Whether letters link to the page of this server where a password is set.
    #[must_use]
    pub fn uses_reset_page(&self, public_url: &Url) -> bool {
        self.reset.leads_to(RESET_PAGE, public_url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = (String, u16, SmtpEncryption, Option<(String, String)>);

    fn read(url: &str) -> Result<Read, String> {
        smtp(&url.into())
            .map(|it| {
                let credentials =
                    it.credentials.map(|(user, password)| (user, password.expose_secret().to_owned()));
                (it.host, it.port, it.encryption, credentials)
            })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn mail_is_encrypted_unless_it_stays_on_the_machine_or_is_told_otherwise() {
        use SmtpEncryption::{None as Clear, StartTls, Tls};
        let (relay, local) = (|| "relay.example".to_owned(), || "localhost".to_owned());
        let login = || Some(("me@x".to_owned(), "p:w".to_owned()));
        for (url, expected) in [
            ("smtp://relay.example", (relay(), 587, StartTls, None)),
            ("smtp://me%40x:p%3Aw@relay.example:25", (relay(), 25, StartTls, login())),
            ("smtps://me%40x:p%3Aw@relay.example", (relay(), 465, Tls, login())),
            ("smtp://relay.example?tls=none", (relay(), 25, Clear, None)),
            ("smtp://localhost:1025", (local(), 1025, Clear, None)),
            ("smtp://me%40x:p%3Aw@localhost", (local(), 25, Clear, login())),
            ("smtp://[::1]:1025", ("::1".to_owned(), 1025, Clear, None)),
            ("smtp://[2001:db8::25]", ("2001:db8::25".to_owned(), 587, StartTls, None)),
            ("smtp://localhost?tls=starttls", (local(), 587, StartTls, None)),
        ] {
            assert_eq!(read(url), Ok(expected), "{url}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_not_repeated() {
        for url in [
            "",
            "relay.example",
            "http://me:hunter2@relay.example",
            "smtp://me:hunter2@relay.example/path",
            "smtp://me:hunter2@relay.example?tls=none",
            "smtp://me:hunter2@relay.example?tls=sometimes",
            "smtps://me:hunter2@relay.example?tls=none",
            "smtp://me@relay.example",
            "smtp://:hunter2@relay.example",
            "smtp://",
        ] {
            let error = read(url).unwrap_err();
            assert!(error.starts_with("mail.smtp_url: ") && !error.contains("hunter2"), "{url}: {error}");
        }
    }
}
