//! Reading a GraphQL document without being harmed by it.
//!
//! The executor walks fragments once for each spread, and the parser calls itself once for each bracket, both
//! before any limit of theirs is looked at: 700 bytes can cost minutes, 8 KB a stack. So brackets are counted
//! before parsing, and selections after it, each fragment once.

mod measure;
mod nesting;

use std::sync::Arc;

use async_graphql::parser::{
    self,
    types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType},
};

use self::{measure::Measure, nesting::nesting};
use super::{
    error::{ApiError, ErrorCode},
    gate,
};

const MAX_BYTES: usize = 8 * 1024;
const MAX_NESTING: usize = 32;
const MAX_SELECTIONS: usize = 500;
const MAX_ROOT_FIELDS: usize = 10;
const MAX_DEPTH: usize = 8;
/// What the introspection queries of the usual tools need.
const MAX_INTROSPECTION_DEPTH: usize = 16;
/// Lists inside of lists of the type system multiply; the usual tools nest two.
const MAX_INTROSPECTION_LISTS: usize = 2;

/// One operation of a document, found to be of bearable size.
#[derive(Debug)]
pub struct Operation {
    document: ExecutableDocument,
    name: Option<String>,
    kind: OperationType,
    root_fields: Vec<Arc<str>>,
    required_variables: Vec<String>,
}

impl Operation {
    /// Reads a document and picks the operation to run.
    ///
    /// # Errors
    /// What a client may know: never a piece of the document, which may hold a password.
    pub fn read(query: &str, operation_name: Option<&str>) -> Result<Self, ApiError> {
        if query.len() > MAX_BYTES {
            return Err(too_complex("The query is longer than 8 KB."));
        }
        match nesting(query) {
            None => return Err(not_graphql()),
            Some(depth) if depth > MAX_NESTING => return Err(too_complex("The query is nested too deeply.")),
            Some(_) => {}
        }
        let document = parser::parse_query(query).map_err(|_| not_graphql())?;
        let mut measure = Measure::new(&document);
        measure.check_document()?;

        let (name, operation) = pick(&document, operation_name)?;
        let root_fields = measure.root_fields(&operation.selection_set.node);
        if root_fields.len() > MAX_ROOT_FIELDS {
            return Err(too_complex("The operation has more than 10 root fields."));
        }
        if root_fields.iter().filter(|name| gate::takes_credential(name)).count() > 1 {
            return Err(too_complex("The operation has more than one field that takes a credential."));
        }
        let required_variables = required_variables(operation);
        let kind = operation.ty;
        Ok(Self { document, name, kind, root_fields, required_variables })
    }

    /// The name of the operation, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Query, mutation or subscription.
    #[must_use]
    pub fn kind(&self) -> OperationType {
        self.kind
    }

    /// The root fields, fragments and aliases resolved.
    pub fn root_fields(&self) -> impl Iterator<Item = &str> {
        self.root_fields.iter().map(AsRef::as_ref)
    }

    /// Refuses an operation that lacks a variable it cannot do without. The executor would find out in the middle.
    ///
    /// # Errors
    /// `GRAPHQL_VALIDATION_FAILED`.
    pub fn check_variables(&self, has_value: impl Fn(&str) -> bool) -> Result<(), ApiError> {
        let missing = self.required_variables.iter().any(|name| !has_value(name));
        if missing { Err(invalid("A variable that must not be null has no value.")) } else { Ok(()) }
    }

    /// The document, so that it is not parsed again.
    #[must_use]
    pub fn into_document(self) -> ExecutableDocument {
        self.document
    }
}

fn required_variables(operation: &OperationDefinition) -> Vec<String> {
    let definitions = operation.variable_definitions.iter().map(|definition| &definition.node);
    definitions
        .filter(|definition| !definition.var_type.node.nullable && definition.default_value.is_none())
        .map(|definition| definition.name.node.to_string())
        .collect()
}

type Picked<'a> = (Option<String>, &'a OperationDefinition);

/// GraphQL specification, `GetOperation`.
fn pick<'a>(document: &'a ExecutableDocument, wanted: Option<&str>) -> Result<Picked<'a>, ApiError> {
    match (&document.operations, wanted) {
        (DocumentOperations::Single(operation), None) => Ok((None, &operation.node)),
        (DocumentOperations::Multiple(operations), Some(wanted)) => operations
            .get(wanted)
            .map(|operation| (Some(wanted.to_owned()), &operation.node))
            .ok_or_else(|| invalid("There is no operation of this name.")),
        (DocumentOperations::Multiple(operations), None) => match operations.iter().next() {
            Some((name, operation)) if operations.len() == 1 => Ok((Some(name.to_string()), &operation.node)),
            _ => Err(invalid("The document has several operations; name one.")),
        },
        (DocumentOperations::Single(_), Some(_)) => Err(invalid("There is no operation of this name.")),
    }
}

fn not_graphql() -> ApiError {
    ApiError::new(ErrorCode::GraphqlParseFailed, "The query is not valid GraphQL.")
}

fn too_complex(message: &'static str) -> ApiError {
    ApiError::new(ErrorCode::OperationTooComplex, message)
}

fn invalid(message: &'static str) -> ApiError {
    ApiError::new(ErrorCode::GraphqlValidationFailed, message)
}
