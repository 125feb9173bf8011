//! What a person or a script reads.

use std::io::{self, Write};

use serde::Serialize;

/// A sentence.
pub(super) fn line(sentence: String) {
    text(&(sentence + "\n"));
}

/// Something to think about, out of the way of what a script reads.
pub(super) fn warning(sentence: &str) {
    let _ = writeln!(io::stderr(), "warning: {sentence}");
}

/// How far something is that takes its time, out of the way of what a script reads.
pub(super) fn progress(sentence: &str) {
    let _ = writeln!(io::stderr(), "{sentence}");
}

/// A text as it is.
pub(super) fn text(text: &str) {
    // Nobody is left to be told when the reader has gone, as with `| head`.
    let _ = io::stdout().write_all(text.as_bytes());
}

/// A value for a script, or sentences for a person.
pub(super) fn either<T: Serialize>(json: bool, value: &T, sentences: impl FnOnce() -> String) {
    if json {
        line(serde_json::to_string_pretty(value).unwrap_or_default());
    } else {
        line(sentences());
    }
}

/// Columns as wide as their widest cell.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let head = head.map(str::to_owned);
    std::iter::once(&head)
        .chain(rows)
        .map(|row| {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect::<Vec<_>>()
        .join("\n")
}
