//! The size of a document once its fragments are expanded, without expanding them.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{
    Name, Positioned,
    parser::types::{ExecutableDocument, FragmentDefinition, Selection, SelectionSet},
};

use super::{
    MAX_DEPTH, MAX_INTROSPECTION_DEPTH, MAX_INTROSPECTION_LISTS, MAX_SELECTIONS, invalid, too_complex,
};
use crate::graphql::error::ApiError;

/// Fields of the type system that answer lists which lead back to where one came from.
const MULTIPLYING: [&str; 4] = ["fields", "interfaces", "possibleTypes", "inputFields"];

/// The size of a selection set, fragments included.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    selections: usize,
    depth: usize,
    /// The most of [`MULTIPLYING`] on any way down.
    lists: usize,
}

/// Measures the selection sets of one document; each fragment is looked at once.
pub(super) struct Measure<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    known: HashMap<&'a str, Progress>,
    document: &'a ExecutableDocument,
}

#[derive(Clone, Copy)]
enum Progress {
    Started,
    Done(Size),
}

impl<'a> Measure<'a> {
    pub(super) fn new(document: &'a ExecutableDocument) -> Self {
        Self { fragments: &document.fragments, known: HashMap::new(), document }
    }

    /// Refuses a document that any walk over it would suffer from, even in an operation that is not run.
    pub(super) fn check_document(&mut self) -> Result<(), ApiError> {
        for (_, operation) in self.document.operations.iter() {
            self.check_operation(&operation.node.selection_set.node)?;
        }
        for name in self.fragments.keys() {
            if self.fragment(name)?.selections > MAX_SELECTIONS {
                return Err(too_large());
            }
        }
        Ok(())
    }

    /// The names of the root fields. Only after [`Self::check_document`]: it bounds them.
    pub(super) fn root_fields(&self, set: &SelectionSet) -> Vec<Arc<str>> {
        let mut names = Vec::new();
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => names.push(field.node.name.node.as_str().into()),
                Selection::InlineFragment(inline) => {
                    names.extend(self.root_fields(&inline.node.selection_set.node));
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.fragments.get(&spread.node.fragment_name.node) {
                        names.extend(self.root_fields(&fragment.node.selection_set.node));
                    }
                }
            }
        }
        names
    }

    fn check_operation(&mut self, set: &'a SelectionSet) -> Result<(), ApiError> {
        let size = self.set(set)?;
        if size.selections > MAX_SELECTIONS {
            return Err(too_large());
        }
        let introspects = self.root_fields(set).iter().any(|name| matches!(&**name, "__schema" | "__type"));
        let (max_depth, max_lists) = if introspects {
            (MAX_INTROSPECTION_DEPTH, MAX_INTROSPECTION_LISTS)
        } else {
            (MAX_DEPTH, usize::MAX)
        };
        if size.depth > max_depth || size.lists > max_lists {
            return Err(too_complex("The operation is nested too deeply."));
        }
        Ok(())
    }

    fn set(&mut self, set: &'a SelectionSet) -> Result<Size, ApiError> {
        let mut total = Size::default();
        for selection in &set.items {
            let size = match &selection.node {
                Selection::Field(field) => {
                    let below = self.set(&field.node.selection_set.node)?;
                    let multiplies = MULTIPLYING.contains(&field.node.name.node.as_str());
                    Size {
                        selections: below.selections.saturating_add(1),
                        depth: below.depth + 1,
                        lists: below.lists + usize::from(multiplies),
                    }
                }
                Selection::InlineFragment(inline) => {
                    // Counted itself, or a chain of empty ones would weigh nothing.
                    let below = self.set(&inline.node.selection_set.node)?;
                    Size { selections: below.selections.saturating_add(1), ..below }
                }
                Selection::FragmentSpread(spread) => {
                    let below = self.fragment(&spread.node.fragment_name.node)?;
                    Size { selections: below.selections.saturating_add(1), ..below }
                }
            };
            total.selections = total.selections.saturating_add(size.selections);
            total.depth = total.depth.max(size.depth);
            total.lists = total.lists.max(size.lists);
        }
        Ok(total)
    }

    fn fragment(&mut self, name: &str) -> Result<Size, ApiError> {
        // An unknown fragment weighs nothing: validation refuses it with a better message.
        let Some((name, fragment)) = self.fragments.get_key_value(name) else { return Ok(Size::default()) };
        match self.known.get(name.as_str()) {
            Some(Progress::Done(size)) => return Ok(*size),
            Some(Progress::Started) => return Err(invalid("A fragment contains itself.")),
            None => {}
        }
        self.known.insert(name, Progress::Started);
        let size = self.set(&fragment.node.selection_set.node)?;
        self.known.insert(name, Progress::Done(size));
        Ok(size)
    }
}

fn too_large() -> ApiError {
    too_complex("The operation selects more than 500 fields.")
}
