//! How deeply brackets are nested, found out without recursion.

/// The depth of brackets outside of strings and comments; `None` when a string is not closed.
///
/// As strict as the lexer of the specification, which takes three quotes for the beginning of a block string whatever
/// follows. A parser that tries something else when such a string does not end sees brackets that were skipped here: it
/// must not get the text.
pub(super) fn nesting(query: &str) -> Option<usize> {
    let mut rest = query.as_bytes();
    let (mut depth, mut deepest) = (0_usize, 0);
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'{' | b'[' | b'(' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            b'#' => rest = after_line(tail),
            b'"' if tail.starts_with(b"\"\"") => rest = after_block_string(&tail[2..])?,
            b'"' => rest = after_string(tail)?,
            _ => {}
        }
    }
    Some(deepest)
}

fn after_line(text: &[u8]) -> &[u8] {
    text.iter().position(|byte| is_line_end(*byte)).map_or(&[], |at| &text[at + 1..])
}

fn after_string(text: &[u8]) -> Option<&[u8]> {
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            byte if is_line_end(*byte) => return None,
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(&text[at + 1..]),
            _ => {}
        }
    }
    None
}

fn after_block_string(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        if let Some(rest) = text.strip_prefix(b"\"\"\"") {
            return Some(rest);
        }
        let escaped_quotes = text.strip_prefix(b"\\\"\"\"");
        text = escaped_quotes.or_else(|| text.get(1..))?;
    }
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use async_graphql::{Value, parser};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn brackets_count_where_they_are_brackets() {
        for (query, depth) in [
            ("", Some(0)),
            ("{ a }", Some(1)),
            ("{ a(b: [[1], {c: 2}]) { d } }", Some(4)),
            ("{ a(b: \"[[[[\") }", Some(2)),
            ("{ a(b: \"\\\"[[[[\") }", Some(2)),
            ("{ a(b: \"\"\"[[\" [[ \\\"\"\" [[\n[\"\"\") }", Some(2)),
            ("{ a # [[[[ \n { b } }", Some(2)),
            ("{ a # [[[[ \r { b } }", Some(2)),
            ("{ a(b: \"\") [ }", Some(2)),
            ("{ a(b: \"\"\" \"[[) }", None),
            ("{ a(b: \"[[) }", None),
            ("{ a(b: \"\n\") }", None),
            ("{ a(b: \"\\", None),
            ("}}}] {", Some(1)),
        ] {
            assert_eq!(nesting(query), depth, "{query}");
        }
    }

    fn depth_of(value: &Value) -> usize {
        match value {
            Value::List(items) => 1 + items.iter().map(depth_of).max().unwrap_or(0),
            Value::Object(fields) => 1 + fields.values().map(depth_of).max().unwrap_or(0),
            _ => 0,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

        /// Whatever the parser takes is at most as deep as was counted before.
        #[test]
        fn the_parser_finds_no_brackets_that_were_not_counted(
            text in "(\"|\"\"\"|\\\\|\\[|\\]|\\{a:|\\}|#|\n|\r|1| ){0,12}",
            closing in "\\]{0,4}\\}{0,2}\\]{0,2}",
        ) {
            let query = format!("{{ a(b: [{text}{closing}]) }}");
            let parsed = parser::parse_query(&query);
            if let (Some(counted), Ok(document)) = (nesting(&query), parsed) {
                let (_, operation) = document.operations.iter().next().unwrap();
                let selection = &operation.node.selection_set.node.items[0].node;
                let parser::types::Selection::Field(field) = selection else { unreachable!("it is a field") };
                let deepest = field.node.arguments.iter().map(|(_, value)| depth_of(&value.node.clone().into_const().unwrap())).max().unwrap_or(0);
                prop_assert!(counted >= deepest + 2, "{query}: {counted} < {deepest} + 2");
            }
        }
    }
}
