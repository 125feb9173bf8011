//! Mail through an SMTP server (RFC 5321).

use std::time::Duration;

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    message::{
        Mailbox as Box_, Message as Formatted, MultiPart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        self, PoolConfig,
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
        extension::ClientId,
    },
};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use super::{MAX_SUBJECT_CHARS, MailError, Mailer, Message, Sending, one_line};
use crate::domain::{email::EmailAddress, mailbox::Mailbox};

/// Until the server takes the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// For a whole message. A server that looks for viruses before it answers takes its time, and whoever does not wait for the
/// answer sends the message again although it has arrived (RFC 5321 §4.5.3.2.6).
const SEND_TIMEOUT: Duration = Duration::from_secs(100);
/// A connection that was not used for this long is closed.
const IDLE: Duration = Duration::from_secs(30);

/// What a certificate in a PEM file begins with.
const MARK: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// How mail is encrypted on its way to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// From the first byte on (RFC 8314 §3.3).
    Tls,
    /// After `STARTTLS`; without it nothing is sent (RFC 3207).
    StartTls,
    /// Not at all.
    None,
}

/// Which server takes the mail.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// Its name, which its certificate must have.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How mail is encrypted on its way there.
    pub encryption: Encryption,
    /// User and password.
    pub credentials: Option<(String, SecretString)>,
    /// The certificates that its own must be signed by (PEM); those that the public trusts otherwise.
    pub authorities: Option<Vec<u8>>,
    /// Connections at a time.
    pub connections: u32,
}

/// What stands at the head of every message.
#[derive(Debug, Clone)]
pub struct Letterhead {
    /// Who writes.
    pub from: Mailbox,
    /// Who reads answers.
    pub reply_to: Option<Mailbox>,
    /// The host of the public URL: this server as mail servers know it.
    pub host: String,
}

/// Sends messages to an SMTP server.
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    letterhead: Letterhead,
}

/// What does not work with these settings at all.
#[derive(Debug, Error)]
#[error("the certificates cannot be used")]
pub struct BadAuthorities;

/// What cannot be written at the head of a message.
#[derive(Debug, Error)]
#[error("the message cannot be written")]
pub struct Unwritable;

impl SmtpMailer {
    /// Ready to connect; whether the server is there is found out with the first message.
    ///
    /// # Errors
    /// When the certificates are none.
    pub fn new(settings: SmtpSettings, letterhead: Letterhead) -> Result<Self, BadAuthorities> {
        let tls = match settings.encryption {
            Encryption::None => Tls::None,
            Encryption::StartTls => Tls::Required(tls(&settings)?),
            Encryption::Tls => Tls::Wrapper(tls(&settings)?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host)
            .port(settings.port)
            .tls(tls)
            .timeout(Some(CONNECT_TIMEOUT))
            .hello_name(ClientId::Domain(letterhead.host.clone()))
            .pool_config(PoolConfig::new().max_size(settings.connections).idle_timeout(IDLE));
        if let Some((user, password)) = settings.credentials {
            builder = builder.credentials(Credentials::new(user, password.expose_secret().to_owned()));
        }
        Ok(Self { transport: builder.build(), letterhead })
    }
}

impl Mailer for SmtpMailer {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(async move {
            let formatted = format(message, &self.letterhead)
                .map_err(|Unwritable| MailError::Refused("it cannot be written".to_owned()))?;
            match tokio::time::timeout(SEND_TIMEOUT, self.transport.send(formatted)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(judge(&error)),
                Err(_elapsed) => Err(MailError::Temporary("it takes too long".to_owned())),
            }
        })
    }
}

fn tls(settings: &SmtpSettings) -> Result<TlsParameters, BadAuthorities> {
    let builder = TlsParameters::builder(settings.host.clone());
    let builder = match &settings.authorities {
        None => builder.certificate_store(CertificateStore::WebpkiRoots),
        Some(pem) => {
            // A file without any would trust nobody, and say so with the first letter.
            if !pem.windows(MARK.len()).any(|window| window == MARK) {
                return Err(BadAuthorities);
            }
            let certificate = Certificate::from_pem(pem).map_err(|_| BadAuthorities)?;
            builder.certificate_store(CertificateStore::None).add_root_certificate(certificate)
        }
    };
    builder.build().map_err(|_| BadAuthorities)
}

/// A message as it goes over the wire (RFC 5322), with a text and an HTML part.
///
/// # Errors
/// When an address cannot be written down.
pub fn format(message: &Message, letterhead: &Letterhead) -> Result<Formatted, Unwritable> {
    let Letterhead { from, reply_to, host } = letterhead;
    let mut builder = Formatted::builder()
        .message_id(Some(format!("<{}@{host}>", message.id)))
        .date(message.written_at.into())
        .from(mailbox(from)?)
        .to(Box_::new(None, address(&message.to)?))
        .subject(one_line(&message.subject, MAX_SUBJECT_CHARS))
        // Nobody's holiday is to answer (RFC 3834 §5).
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ));
    if let Some(reply_to) = reply_to {
        builder = builder.reply_to(mailbox(reply_to)?);
    }
    builder
        .multipart(MultiPart::alternative_plain_html(message.text.clone(), message.html.clone()))
        .map_err(|_| Unwritable)
}

fn mailbox(mailbox: &Mailbox) -> Result<Box_, Unwritable> {
    Ok(Box_::new(mailbox.name.clone(), address(&mailbox.address)?))
}

fn address(address: &EmailAddress) -> Result<Address, Unwritable> {
    address.as_str().parse().map_err(|_| Unwritable)
}

/// What an error means for the message. The server's own words are left out: they name the recipient.
fn judge(error: &smtp::Error) -> MailError {
    let Some(status) = error.status() else {
        // What is no answer has no recipient in it: the network, a certificate, what the server does not offer.
        let what = if error.is_response() { "it answers nonsense".to_owned() } else { error.to_string() };
        return MailError::Temporary(what);
    };
    let status = status.to_string();
    let words = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let enhanced = words.split([' ', '\n', ';']).find(|word| is_enhanced(word)).unwrap_or_default();
    let told = format!("{status} {enhanced}").trim_end().to_owned();
    if error.is_permanent() && !is_about_us(&status, enhanced) {
        MailError::Refused(told)
    } else {
        MailError::Temporary(told)
    }
}

/// What an operator can put right while the message waits: authentication (RFC 4954 §6), the sender's address (RFC 3463 §3.2).
fn is_about_us(status: &str, enhanced: &str) -> bool {
    matches!(status, "530" | "534" | "535" | "538") || matches!(enhanced, "5.1.7" | "5.1.8")
}

/// Three numbers (RFC 3463 §2).
fn is_enhanced(word: &str) -> bool {
    let numbers: Vec<&str> = word.split('.').collect();
    numbers.len() == 3
        && numbers.iter().all(|it| (1..=3).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;
    use crate::domain::{ids::LetterId, letter::LetterKind, link::Link, session::Device};
    use crate::mail::templates::{Templates, Values};

    fn letterhead() -> Letterhead {
        Letterhead {
            from: "Käsewelt, Inc. <auth@example.com>".parse().unwrap(),
            reply_to: Some("help@example.com".parse().unwrap()),
            host: "auth.example.com".to_owned(),
        }
    }

    fn message(to: &str, values: &Values) -> Message {
        let rendered = Templates::load(None).unwrap().render(LetterKind::EmailChanged, values).unwrap();
        let written_at = datetime!(2030-01-02 03:04:05 UTC);
        Message {
            id: LetterId::new(written_at, &[7; 10]),
            to: to.parse().unwrap(),
            written_at,
            // Unclean on purpose: the templates are not the only defence.
            subject: format!("{} {}", rendered.subject, values.product),
            text: rendered.text,
            html: rendered.html,
        }
    }

    /// Names and values of the head, with the lines of one value put together (RFC 5322 §2.2.3).
    fn head(formatted: &[u8]) -> Vec<(String, String)> {
        let text = String::from_utf8(formatted.to_vec()).unwrap();
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let pair = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?} in {head}"));
            (name.to_owned(), value.to_owned())
        };
        unfolded.split("\r\n").map(pair).collect()
    }

    const NAMES: [&str; 9] = [
        "Auto-Submitted",
        "Content-Type",
        "Date",
        "From",
        "MIME-Version",
        "Message-ID",
        "Reply-To",
        "Subject",
        "To",
    ];

    fn names(head: &[(String, String)]) -> Vec<&str> {
        let mut names: Vec<&str> = head.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_message_has_a_text_an_html_part_and_a_head_that_names_it() {
        let values = Values { product: "Käsewelt".to_owned(), ..Values::default() };
        let formatted = format(&message("alice@example.com", &values), &letterhead()).unwrap().formatted();
        let head = head(&formatted);
        assert_eq!(names(&head), NAMES);
        let value = |name: &str| head.iter().find(|(it, _)| it == name).unwrap().1.clone();
        assert_eq!(value("To"), "alice@example.com");
        assert_eq!(value("Date"), "Wed, 02 Jan 2030 03:04:05 +0000");
        assert_eq!(value("Auto-Submitted"), "auto-generated");
        assert_eq!(value("Message-ID"), "<ltr_01b8e094988877078707070707070707@auth.example.com>".to_owned());
        assert!(value("Content-Type").starts_with("multipart/alternative;"));
        assert!(value("Subject").is_ascii() && value("From").is_ascii());
        let text = String::from_utf8(formatted).unwrap();
        let (plain, html) = (text.find("text/plain").unwrap(), text.find("text/html").unwrap());
        assert!(plain < html, "the last one is the best (RFC 2046 §5.1.4)");
    }

    proptest! {
        /// Whatever a user, a client or an operator puts into a letter, it stays what it was: the same headers, once each, on
        /// lines of a length that every server takes (RFC 5322 §2.1.1), and nothing that looks like the end of the message.
        #[test]
        fn nothing_in_a_letter_becomes_a_header(
            product in nasty(), device in nasty(), detail in nasty(), local in "[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,40}",
        ) {
            let device = Device::described(Some(&device), Some(&device), None).name;
            let link = Link::parse("/reset-password", &"https://a.example".parse().unwrap()).unwrap();
            let values = Values { product, device, detail, link: link.with(&"kwm_x".into()), ..Values::default() };
            let to = format!("{local}@example.com");
            let message = message(&to, &values);
            let formatted = format(&message, &letterhead()).unwrap();
            prop_assert_eq!(formatted.envelope().to().len(), 1);
            prop_assert_eq!(formatted.envelope().to()[0].to_string(), to);
            let bytes = formatted.formatted();
            let head = head(&bytes);
            prop_assert_eq!(names(&head), NAMES);
            prop_assert!(head.iter().all(|(_, value)| value.is_ascii() && !value.contains(['\r', '\n'])));
            let text = String::from_utf8(bytes).unwrap();
            prop_assert!(text.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
        }
    }

    /// What somebody would try, among anything at all.
    fn nasty() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("\r\nBcc: mallory@example.com".to_owned()),
            Just("\nSubject: free money\n\nbody".to_owned()),
            Just("\r\n.\r\nMAIL FROM:<x@y>\r\n".to_owned()),
            Just("=?utf-8?q?=0D=0ABcc:_m@example.com?=".to_owned()),
            Just("\u{202e}\u{2028}\u{85}\0".to_owned()),
            Just("x".repeat(2000)),
            "\\PC{0,20}",
            any::<String>(),
        ];
        prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
    }

    #[test]
    fn what_an_operator_can_put_right_is_tried_again() {
        for (status, enhanced, ours) in [
            ("535", "5.7.8", true),
            ("530", "", true),
            ("553", "5.1.8", true),
            ("550", "5.1.1", false),
            ("554", "5.7.1", false),
            ("552", "", false),
        ] {
            assert_eq!(is_about_us(status, enhanced), ours, "{status} {enhanced}");
        }
        assert!(is_enhanced("5.1.1") && is_enhanced("4.7.100"));
        assert!(!is_enhanced("550") && !is_enhanced("a.b.c") && !is_enhanced("203.0.113.9.1"));
    }
}
