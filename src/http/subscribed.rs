//! A subscription that runs, whatever carries it.

use std::sync::Arc;

use async_graphql::{Response as Answer, parser::types::OperationType};
use futures_util::{FutureExt, Stream, StreamExt};

use super::{
    layers::RequestId,
    parameters::Parameters,
    respond::{self, code_of},
};
use crate::graphql::{
    Api,
    document::Operation,
    error::{ApiError, ErrorCode},
    gate::{self, Access},
    request::RequestContext,
};

/// A subscription that runs.
pub(super) struct Subscribed<S> {
    answers: S,
    /// What the first look has found already.
    first: Option<Answer>,
    context: Arc<RequestContext>,
    request_id: RequestId,
}

/// What comes next.
pub(super) enum Step {
    /// Something happened.
    Next(Box<Answer>),
    /// Nothing more will.
    Complete,
    /// Something may have been missed: the client must come back and look again.
    Lost,
}

/// Refuses an operation that is no subscription, or more than one.
pub(super) fn check(operation: &Operation) -> Result<(), ApiError> {
    if operation.kind() != OperationType::Subscription {
        let message = "Only subscriptions run here; send queries and mutations with POST.";
        return Err(ApiError::new(ErrorCode::GraphqlValidationFailed, message));
    }
    // GraphQL specification, section 5.2.4.1. And nothing but what the gate lets nobody in for without a token.
    if operation.root_fields().count() != 1 || gate::access(operation.root_fields()) != Access::Required {
        let message = "A subscription has exactly one root field, which is a field of Subscription.";
        return Err(ApiError::new(ErrorCode::GraphqlValidationFailed, message));
    }
    Ok(())
}

/// Runs a subscription for the caller in the context.
///
/// # Errors
/// The answer to an operation that is not valid.
pub(super) fn run(
    api: &Api,
    operation: Operation,
    parameters: Parameters,
    context: RequestContext,
    request_id: &RequestId,
) -> Result<Subscribed<impl Stream<Item = Answer> + Send + Unpin + use<>>, Box<Answer>> {
    let context = Arc::new(context);
    let mut answers = api.subscribe(operation, parameters.into_variables(), Arc::clone(&context));
    // An operation is validated when it is first looked at. What is valid goes on to ask the database.
    let first = answers.next().now_or_never().flatten();
    match first {
        Some(mut refused) if !context.started() => {
            respond::complete_errors(&mut refused, false, request_id);
            Err(Box::new(refused))
        }
        first => Ok(Subscribed { answers, first, context, request_id: request_id.clone() }),
    }
}

impl<S: Stream<Item = Answer> + Unpin> Subscribed<S> {
    /// What comes next. May be given up and called again.
    pub(super) async fn next(&mut self) -> Step {
        let answer = match self.first.take() {
            Some(answer) => Some(answer),
            None => self.answers.next().await,
        };
        match answer {
            Some(mut answer) => {
                respond::complete_errors(&mut answer, self.context.started(), &self.request_id);
                // A fault when it began, or in the middle of it. It would not be told again.
                if answer.errors.iter().filter_map(code_of).any(respond::is_fault) {
                    return Step::Lost;
                }
                Step::Next(Box::new(answer))
            }
            None if self.context.lost_track() => Step::Lost,
            None => Step::Complete,
        }
    }
}
