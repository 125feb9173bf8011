//! What is wrong with a value that came from outside.

/// A refusal of one input value: a stable code for programs and a sentence for people.
///
/// It never quotes the value, which may be a password or a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Stable, in capitals, such as `TOO_SHORT`.
    pub code: &'static str,
    /// One sentence for the person who typed the value.
    pub message: String,
}

impl Invalid {
    /// A refusal with a code and a sentence.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Invalid {}
