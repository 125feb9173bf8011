//! The guard before the GraphQL executor: it comes back soon, and what it lets through is within the bounds, by a count
//! that expands every fragment.

#![no_main]

use async_graphql::{
    Positioned,
    parser::{
        parse_query,
        types::{ExecutableDocument, Selection, SelectionSet},
    },
};
use keywheel::graphql::{document::Operation, gate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // An operation may be named in the first line.
    let (name, query) = match text.split_once('\n') {
        Some((name, query)) if name.starts_with('@') => (Some(&name[1..]), query),
        _ => (None, text),
    };
    let Ok(operation) = Operation::read(query, name) else { return };
    let document = parse_query(query).expect("what passed the guard can be parsed");
    assert!(query.len() <= 8 * 1024);
    assert!(operation.root_fields().count() <= 10);
    assert!(operation.root_fields().filter(|name| gate::takes_credential(name)).count() <= 1);
    let _ = operation.check_variables(|_| false);
    for (_, definition) in document.operations.iter() {
        let (selections, depth) = expanded(&document, &definition.node.selection_set.node);
        assert!(selections <= 500 && depth <= 16, "{selections} selections, {depth} deep");
    }
    for Positioned { node, .. } in document.fragments.values() {
        assert!(expanded(&document, &node.selection_set.node).0 <= 500);
    }
});

/// Selections and depth. It ends because the guard has found the document to be small.
fn expanded(document: &ExecutableDocument, set: &SelectionSet) -> (usize, usize) {
    let (mut selections, mut depth) = (0, 0);
    for selection in &set.items {
        let (below, levels) = match &selection.node {
            Selection::Field(field) => {
                let (below, levels) = expanded(document, &field.node.selection_set.node);
                (below, levels + 1)
            }
            Selection::InlineFragment(inline) => expanded(document, &inline.node.selection_set.node),
            Selection::FragmentSpread(spread) => {
                match document.fragments.get(&spread.node.fragment_name.node) {
                    Some(fragment) => expanded(document, &fragment.node.selection_set.node),
                    None => (0, 0),
                }
            }
        };
        selections += below + 1;
        depth = depth.max(levels);
        assert!(selections <= 500, "the guard has let too much through");
    }
    (selections, depth)
}
