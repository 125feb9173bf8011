//! The words of letters: a text and an HTML template for each kind, which an operator can replace one by one.

use std::{collections::BTreeSet, fs, io, path::Path};

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, syntax::SyntaxConfig};
use thiserror::Error;

use super::{MAX_SUBJECT_CHARS, one_line};
use crate::domain::letter::LetterKind;

/// The first line of a text template.
const SUBJECT: &str = "Subject:";
/// One value in a letter. Nothing that is worth reading is longer.
const MAX_VALUE_CHARS: usize = 300;
/// A link with this in it stands in for a real one when templates are tried.
const SAMPLE_LINK: &str = "https://example.com/#token=kwm_sample";

macro_rules! built_in {
    ($($name:literal,)*) => {
        [$(($name, include_str!(concat!("templates/", $name))),)*]
    };
}

/// Name and text.
const BUILT_IN: [(&str, &str); 27] = built_in![
    "layout.txt",
    "layout.html",
    "details.txt",
    "details.html",
    "button.html",
    "confirm-registration.txt",
    "confirm-registration.html",
    "address-has-account.txt",
    "address-has-account.html",
    "verify-email.txt",
    "verify-email.html",
    "reset-password.txt",
    "reset-password.html",
    "confirm-new-email.txt",
    "confirm-new-email.html",
    "email-changed.txt",
    "email-changed.html",
    "new-device.txt",
    "new-device.html",
    "password-changed.txt",
    "password-changed.html",
    "token-reused.txt",
    "token-reused.html",
    "sign-in-closed.txt",
    "sign-in-closed.html",
    "account-erased.txt",
    "account-erased.html",
];

/// What templates can say. Every name is there in every letter; what a letter does not have is empty.
#[derive(Debug, Clone, Default)]
pub struct Values {
    /// What people know the service as.
    pub product: String,
    /// Where the server is.
    pub public_url: String,
    /// Whom the letter is for.
    pub email: String,
    /// The link that it is about.
    pub link: String,
    /// How long the link is good for, such as `30 minutes`.
    pub valid_for: String,
    /// When what it tells happened.
    pub time: String,
    /// A description of the device, from a short list of words: whoever signs in cannot choose it.
    pub device: String,
    /// The address it came from.
    pub ip: String,
    /// What more there is to say.
    pub detail: String,
}

/// A letter in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// For people.
    pub text: String,
    /// The same with markup.
    pub html: String,
}

/// Why templates cannot be used. Names the template.
#[derive(Debug, Error)]
pub enum TemplateError {
    /// It cannot be read.
    #[error("{name}: {error}")]
    Unreadable {
        /// The file, or the folder.
        name: String,
        /// Why.
        error: io::Error,
    },
    /// There is no letter with this name.
    #[error("{0}: no letter has such a template; a part of your own has a name that begins with _")]
    Unknown(String),
    /// It cannot be read as a template, or uses a name that there is not.
    #[error("{name}: {error}")]
    Malformed {
        /// The template.
        name: String,
        /// Why, with the line.
        error: minijinja::Error,
    },
    /// The first line is not the subject.
    #[error("{0}: the first line must be `Subject: ` and the subject")]
    NoSubject(String),
    /// A letter without its link is no use.
    #[error("{0}: {{{{ link }}}} is missing")]
    NoLink(String),
}

/// The templates of every letter, tried out.
pub struct Templates(Environment<'static>);

impl Templates {
    /// The built-in templates, and over them those of a folder.
    ///
    /// # Errors
    /// When one of them cannot be used: better now than when somebody waits for the letter.
    pub fn load(folder: Option<&Path>) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_syntax(trimmed()?);
        environment.set_auto_escape_callback(|name| match Path::new(name).extension() {
            Some(extension) if extension == "txt" => AutoEscape::None,
            _ => AutoEscape::Html,
        });
        for (name, source) in BUILT_IN {
            add(&mut environment, name, source)?;
        }
        for (name, source) in folder.map(read_folder).transpose()?.unwrap_or_default() {
            add(&mut environment, &name, &source)?;
        }
        let this = Self(environment);
        LetterKind::ALL.iter().try_for_each(|kind| this.try_out(*kind))?;
        Ok(this)
    }

    /// A letter in words.
    ///
    /// # Errors
    /// When a template of the operator's cannot cope with these values.
    pub fn render(&self, kind: LetterKind, values: &Values) -> Result<Rendered, TemplateError> {
        let values = values.cleaned();
        let [text_name, html_name] = ["txt", "html"].map(|suffix| format!("{}.{suffix}", kind.name()));
        let text = self.render_one(&text_name, &values)?;
        let html = self.render_one(&html_name, &values)?;
        let (subject, text) = text
            .strip_prefix(SUBJECT)
            .and_then(|rest| rest.split_once('\n'))
            .map(|(subject, text)| (one_line(subject, MAX_SUBJECT_CHARS), text.trim().to_owned() + "\n"))
            .filter(|(subject, _)| !subject.is_empty())
            .ok_or(TemplateError::NoSubject(text_name))?;
        Ok(Rendered { subject, text, html })
    }

    fn render_one(&self, name: &str, values: &Value) -> Result<String, TemplateError> {
        let malformed = |error| TemplateError::Malformed { name: name.to_owned(), error };
        self.0.get_template(name).and_then(|template| template.render(values.clone())).map_err(malformed)
    }

    /// Renders a letter with everything in it, and with as little as there can be.
    fn try_out(&self, kind: LetterKind) -> Result<(), TemplateError> {
        let link = if has_link(kind) { SAMPLE_LINK } else { "" };
        let sample = || "sample".to_owned();
        let full = Values {
            product: sample(),
            public_url: sample(),
            email: sample(),
            link: link.to_owned(),
            valid_for: sample(),
            time: sample(),
            device: sample(),
            ip: sample(),
            detail: sample(),
        };
        let sparse = Values { ip: String::new(), detail: String::new(), ..full.clone() };
        for values in [full, sparse] {
            let Rendered { text, html, .. } = self.render(kind, &values)?;
            for (part, suffix) in [(text, "txt"), (html, "html")] {
                if has_link(kind) && !part.contains("kwm_sample") {
                    return Err(TemplateError::NoLink(format!("{}.{suffix}", kind.name())));
                }
            }
        }
        Ok(())
    }
}

/// Whether a letter is about a link.
#[must_use]
pub fn has_link(kind: LetterKind) -> bool {
    match kind {
        LetterKind::ConfirmRegistration
        | LetterKind::VerifyEmail
        | LetterKind::ResetPassword
        | LetterKind::ConfirmNewEmail => true,
        LetterKind::AddressHasAccount
        | LetterKind::EmailChanged
        | LetterKind::NewDevice
        | LetterKind::PasswordChanged
        | LetterKind::TokenReused
        | LetterKind::SignInClosed
        | LetterKind::AccountErased => false,
    }
}

impl Values {
    /// Each value on one line of bounded length, without characters that nobody sees.
    fn cleaned(&self) -> Value {
        let Self { product, public_url, email, link, valid_for, time, device, ip, detail } = self;
        let clean = |text: &String| one_line(text, MAX_VALUE_CHARS);
        Value::from_pairs([
            ("product", clean(product)),
            ("public_url", clean(public_url)),
            ("email", clean(email)),
            // Ours, and of any length.
            ("link", link.clone()),
            ("valid_for", clean(valid_for)),
            ("time", clean(time)),
            ("device", clean(device)),
            ("ip", clean(ip)),
            ("detail", clean(detail)),
        ])
    }
}

/// A line that holds a tag and nothing else is no line of the letter.
fn trimmed() -> Result<SyntaxConfig, TemplateError> {
    let built = SyntaxConfig::builder().trim_blocks(true).build();
    built.map_err(|error| TemplateError::Malformed { name: "syntax".to_owned(), error })
}

fn add(environment: &mut Environment<'static>, name: &str, source: &str) -> Result<(), TemplateError> {
    let malformed = |error| TemplateError::Malformed { name: name.to_owned(), error };
    environment.add_template_owned(name.to_owned(), source.to_owned()).map_err(malformed)
}

/// The templates of a folder: each takes the place of the built-in one with its name. What is misspelt is refused, or a
/// letter would go out with words that the operator thinks were replaced.
fn read_folder(folder: &Path) -> Result<Vec<(String, String)>, TemplateError> {
    let known: BTreeSet<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
    let unreadable = |name: &Path| {
        let name = name.display().to_string();
        move |error| TemplateError::Unreadable { name, error }
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_template = path.extension().is_some_and(|extension| extension == "txt" || extension == "html");
        if !is_template || name.starts_with('.') {
            continue;
        }
        if !known.contains(name.as_str()) && !name.starts_with('_') {
            return Err(TemplateError::Unknown(name));
        }
        let source = fs::read_to_string(&path).map_err(unreadable(&path))?;
        found.push((name, source));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(files: &[(&str, &str)]) -> Result<Templates, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Templates::load(Some(folder.path())).map_err(|error| error.to_string())
    }

    #[test]
    fn every_letter_has_words_and_is_escaped() {
        let templates = Templates::load(None).unwrap();
        let nasty = "<script>alert(1)</script>\r\nBcc: mallory@example.com\u{202e}";
        for kind in LetterKind::ALL {
            let text = || nasty.to_owned();
            let values = Values {
                product: text(),
                public_url: text(),
                email: text(),
                link: "https://example.com/?a=1&b=\"".to_owned(),
                valid_for: text(),
                time: text(),
                device: text(),
                ip: text(),
                detail: text(),
            };
            let letter = templates.render(*kind, &values).unwrap();
            assert!(!letter.html.contains("<script>") && !letter.html.contains("b=\""), "{}", letter.html);
            assert!(letter.html.contains("&lt;script&gt;") && !letter.html.contains('\u{202e}'));
            assert!(!letter.text.contains("\nBcc") && !letter.text.contains('\u{202e}'), "{}", letter.text);
            assert!(!letter.subject.contains('\n') && !letter.subject.is_empty());
            assert_eq!(
                letter.text.contains("https://example.com/?a=1&b=\""),
                has_link(*kind),
                "{}",
                letter.text
            );
            assert!(letter.text.lines().all(|line| line.len() < 200), "{}", letter.text);
        }
    }

    #[test]
    fn an_operator_replaces_one_template_and_keeps_the_rest() {
        let ours = with(&[("verify-email.txt", "Subject: Hallo {{ email }}\n\n{{ link }}")]).unwrap();
        let values =
            Values { email: "a@b.example".to_owned(), link: "https://x".to_owned(), ..Values::default() };
        let letter = ours.render(LetterKind::VerifyEmail, &values).unwrap();
        assert_eq!((letter.subject.as_str(), letter.text.as_str()), ("Hallo a@b.example", "https://x\n"));
        assert!(letter.html.contains("Confirm your email address"));
        assert!(ours.render(LetterKind::NewDevice, &values).unwrap().text.contains("signed in"));
    }

    #[test]
    fn what_cannot_be_used_is_said_at_once() {
        for (files, expected) in [
            (&[("verify-email.txt", "Subject: x\n\nno link")][..], "verify-email.txt: {{ link }} is missing"),
            (&[("reset-password.html", "<p>no link</p>")], "reset-password.html: {{ link }} is missing"),
            (&[("new-device.txt", "no subject")], "new-device.txt: the first line must be"),
            (&[("new-device.txt", "Subject: \n\nx")], "new-device.txt: the first line must be"),
            (&[("new-device.html", "{{ devise }}")], "new-device.html: undefined value"),
            (&[("new-device.html", "{% if %}")], "new-device.html: syntax error"),
            (&[("reset_password.txt", "x")], "reset_password.txt: no letter has such a template"),
        ] {
            let error = with(files).map(drop).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        assert!(with(&[("_footer.txt", "x"), ("README.md", "x")]).is_ok());
        assert!(Templates::load(Some(Path::new("/nowhere"))).is_err());
    }
}
