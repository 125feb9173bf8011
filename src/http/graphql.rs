//! `/graphql`: from a request to an answer (GraphQL over HTTP).

use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{Method, Request, StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use secrecy::SecretString;

use super::{
    Http, cookies,
    credentials::Credentials,
    dpop, event_stream,
    layers::{ClientAddress, RequestId},
    negotiation::{self, Media},
    parameters::Parameters,
    respond::{self, Refusal, Report, Scheme},
    seats::Holder,
    subscribed,
    websocket::{self, Visit},
};
use crate::{
    auth::{
        Caller,
        identify::{self, Unidentified, identify},
        presence::Presence,
        proof::ProofRefused,
    },
    domain::origin::Origin,
    graphql::{
        document::Operation,
        error::{ApiError, ErrorCode},
        gate::{self, Access},
        request::RequestContext,
    },
};

pub(super) async fn handle(
    State(http): State<Arc<Http>>,
    Extension(ClientAddress(client_address)): Extension<ClientAddress>,
    Extension(request_id): Extension<RequestId>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    if http.explorer && is_page_visit(&parts) {
        return Redirect::to("/explorer").into_response();
    }
    let user_agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let user_agent = user_agent.map(str::to_owned);
    if websocket::is_asked_for(&parts.headers) {
        let visit = Visit { http, address: client_address, user_agent, request_id: request_id.clone() };
        let opened = websocket::open(visit, parts).await;
        return opened.unwrap_or_else(|refusal| refused(refusal, Media::Modern, &request_id));
    }
    let takes_events = negotiation::takes_events(&parts.headers);
    let media = match negotiation::negotiate(&parts.headers) {
        Some(media) => media,
        // Whoever reads event streams knows what a status is.
        None if takes_events => Media::Modern,
        None => return not_acceptable().respond(Media::Legacy, &request_id),
    };
    let context = RequestContext::new(http.origins.allow(&parts.headers), client_address, user_agent);
    let exchange =
        Exchange { http: &http, parts, media, takes_events, request_id, report: Report::default() };
    exchange.answer(body, context).await
}

fn not_acceptable() -> Refusal {
    let message = "Accept application/graphql-response+json or application/json.";
    Refusal::http(StatusCode::NOT_ACCEPTABLE, message)
}

fn refused(refusal: Refusal, media: Media, request_id: &RequestId) -> Response {
    let report = Report { code: Some(refusal.code()), ..Report::default() };
    let mut response = refusal.respond(media, request_id);
    response.extensions_mut().insert(report);
    response
}

/// One request on its way to an answer.
struct Exchange<'a> {
    http: &'a Http,
    parts: Parts,
    media: Media,
    takes_events: bool,
    request_id: RequestId,
    report: Report,
}

impl Exchange<'_> {
    async fn answer(mut self, body: Body, context: RequestContext) -> Response {
        let mut response = match self.run(body, context).await {
            Ok(response) => response,
            Err(refusal) => {
                self.report.code = Some(refusal.code());
                refusal.respond(self.media, &self.request_id)
            }
        };
        response.extensions_mut().insert(self.report);
        response
    }

    async fn run(&mut self, body: Body, mut context: RequestContext) -> Result<Response, Refusal> {
        let address = context.client_address();
        self.http.auth.limits().request(address).map_err(ApiError::from)?;
        let parameters = self.parameters(body).await?;
        let operation = Operation::read(&parameters.query, parameters.operation_name())?;
        self.report.operation = operation.name().map(str::to_owned);
        operation.check_variables(|name| parameters.has_variable(name))?;
        self.check(&operation)?;
        context.cookie = self.cookie(context.origin_allowed())?;
        if context.origin_allowed() && self.parts.method == Method::POST {
            context.device_cookie = cookies::device_token(&self.parts.headers);
        }
        if operation.root_fields().any(gate::takes_proof) {
            let proof = self.http.auth.proof_at_sign_in(dpop::shown(&self.parts)).map_err(ApiError::from)?;
            context.proof = proof;
        }
        context.caller = self.caller(gate::access(operation.root_fields()), &context.origin()).await?;
        if let Some(caller) = &context.caller {
            context.belongs_to(caller.session_id());
        }
        if operation.kind() == OperationType::Subscription {
            return self.follow(operation, parameters, context).await;
        }
        Ok(self.execute(operation, parameters, context).await)
    }

    /// Answers with a stream, for as long as the caller may stay.
    async fn follow(
        &mut self,
        operation: Operation,
        parameters: Parameters,
        context: RequestContext,
    ) -> Result<Response, Refusal> {
        let caller = context.caller()?;
        self.report.session_id = Some(caller.session_id().to_string());
        let seat = self.http.seats.take(Holder::User(caller.user.id)).map_err(ApiError::from)?;
        let begun = Presence::begin(&self.http.auth, caller).await.map_err(ApiError::from)?;
        let presence = begun.map_err(|why| Refusal::challenge(why.into(), Scheme::Bearer))?;
        match subscribed::run(&self.http.api, operation, parameters, context, &self.request_id) {
            Ok(subscribed) => Ok(event_stream::respond(subscribed, presence, seat)),
            Err(refused) => Ok(respond::not_executed(&refused, Media::Modern)),
        }
    }

    async fn parameters(&self, body: Body) -> Result<Parameters, Refusal> {
        match self.parts.method {
            Method::POST => Parameters::from_post(&self.parts.headers, body).await,
            Method::GET => Parameters::from_get(&self.parts.uri),
            _ => Err(Refusal::method("GET, POST", "Use POST, or GET for a query.")),
        }
    }

    fn check(&self, operation: &Operation) -> Result<(), Refusal> {
        if self.parts.method == Method::GET && operation.kind() != OperationType::Query {
            return Err(Refusal::method("POST", "Only queries can be sent with GET."));
        }
        if operation.kind() == OperationType::Subscription {
            if !self.takes_events {
                let message =
                    "Subscriptions are served over a WebSocket, and to those who accept text/event-stream.";
                return Err(ApiError::new(ErrorCode::GraphqlValidationFailed, message).into());
            }
            return Ok(subscribed::check(operation)?);
        }
        if self.takes_events && negotiation::negotiate(&self.parts.headers).is_none() {
            return Err(not_acceptable());
        }
        let introspects = operation.root_fields().any(|name| name == "__schema" || name == "__type");
        if introspects && !self.http.api.introspection() {
            let message = "Introspection is off here; the schema is at /graphql/schema.graphql.";
            return Err(ApiError::new(ErrorCode::GraphqlValidationFailed, message).into());
        }
        if operation.root_fields().any(gate::is_of_a_subgraph) && !self.http.api.is_subgraph() {
            let message = "This server is not part of a federated graph; graphql.federation makes it one.";
            return Err(ApiError::new(ErrorCode::GraphqlValidationFailed, message).into());
        }
        Ok(())
    }

    /// The refresh token in the cookie. A GET never has one: links and images send cookies too.
    fn cookie(&self, origin_allowed: bool) -> Result<Option<SecretString>, Refusal> {
        if self.parts.method != Method::POST {
            return Ok(None);
        }
        let cookie = cookies::refresh_token(&self.parts.headers);
        if cookie.is_some() && !origin_allowed {
            return Err(ApiError::origin_not_allowed().into());
        }
        Ok(cookie)
    }

    /// The gate: who makes the request, as far as the request needs to know.
    async fn caller(&self, access: Access, origin: &Origin) -> Result<Option<Caller>, Refusal> {
        if access == Access::Public {
            return Ok(None);
        }
        let (found, scheme) = match Credentials::in_headers(&self.parts.headers) {
            Credentials::None if access == Access::Required => {
                return Err(Refusal::challenge(ApiError::token_missing(), Scheme::Bearer));
            }
            Credentials::None => return Ok(None),
            Credentials::Unusable => (Err(Unidentified::Invalid), Scheme::Bearer),
            Credentials::Bearer(token) => {
                (self.identify(&token, Scheme::Bearer, origin).await?, Scheme::Bearer)
            }
            Credentials::Dpop(token) => (self.identify(&token, Scheme::Dpop, origin).await?, Scheme::Dpop),
        };
        match found {
            Ok(caller) => Ok(Some(caller)),
            // Nobody is told that there was nothing to sign out of, only since the nonce had changed.
            Err(why) if access == Access::Tolerant && why != STALE_NONCE => Ok(None),
            Err(why) => {
                if why == Unidentified::Invalid {
                    self.http.auth.limits().bad_token(origin.address).map_err(ApiError::from)?;
                }
                Err(Refusal::challenge(why.into(), scheme))
            }
        }
    }

    async fn identify(
        &self,
        token: &SecretString,
        scheme: Scheme,
        origin: &Origin,
    ) -> Result<Result<Caller, Unidentified>, Refusal> {
        let scheme = match scheme {
            Scheme::Bearer => identify::Scheme::Bearer,
            Scheme::Dpop => identify::Scheme::Dpop(dpop::shown(&self.parts)),
        };
        Ok(identify(&self.http.auth, token, scheme, origin).await.map_err(ApiError::from)?)
    }

    async fn execute(
        &mut self,
        operation: Operation,
        parameters: Parameters,
        context: RequestContext,
    ) -> Response {
        let context = Arc::new(context);
        let mut result =
            self.http.api.execute(operation, parameters.into_variables(), Arc::clone(&context)).await;
        respond::complete_errors(&mut result, context.started(), &self.request_id);
        self.report.code = result.errors.first().and_then(respond::code_of).map(ErrorCode::name);

        let effects = context.take_effects();
        self.report.session_id = effects.session_id.map(|id| id.to_string());
        let mut response = if context.started() {
            respond::executed(result, self.media)
        } else {
            respond::not_executed(&result, self.media)
        };
        let device_cookie = effects.device_cookie.as_ref().and_then(cookies::device_header);
        for cookie in effects.cookie.and_then(cookies::header_for).into_iter().chain(device_cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

/// A proof that has nothing wrong but its nonce.
const STALE_NONCE: Unidentified = Unidentified::ProofRefused(ProofRefused::NonceRequired);

/// Somebody opened the endpoint in a browser.
fn is_page_visit(parts: &Parts) -> bool {
    parts.method == Method::GET && parts.uri.query().is_none() && negotiation::wants_page(&parts.headers)
}
