//! The sessions that were ended of late, for services that verify access tokens by themselves.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use super::{
    Http,
    layers::{ClientAddress, RequestId},
    negotiation::Media,
    ops::is_known,
    respond::Refusal,
};
use crate::{
    auth::revocations::{Revocations, revocations},
    domain::ids::EventId,
    graphql::error::ApiError,
};

pub(super) async fn handle(
    State(http): State<Arc<Http>>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Extension(request_id): Extension<RequestId>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        http.auth.limits().request(Some(address)).map_err(ApiError::from)?;
        let since = since(&uri)?;
        Ok::<_, Refusal>(revocations(&http.auth, since).await.map_err(ApiError::from)?)
    };
    match answer.await {
        Ok(revocations) => respond(revocations, &headers),
        // The real status to everybody: this is no GraphQL.
        Err(refusal) => refusal.respond(Media::Modern, &request_id),
    }
}

/// Where the last answer left off. What cannot be read is refused: nobody should believe that there is nothing new.
fn since(uri: &Uri) -> Result<Option<EventId>, Refusal> {
    let parameters = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let mut values = parameters.filter(|(name, _)| name == "since").map(|(_, value)| value.parse());
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(since)), None) => Ok(Some(since)),
        (Some(_), _) => {
            let message = "`since` is `next` of an earlier answer, once.";
            Err(Refusal::http(StatusCode::BAD_REQUEST, message))
        }
    }
}

fn respond(Revocations { json, etag }: Revocations, headers: &HeaderMap) -> Response {
    // To be kept, and asked about each time: what a copy says may be over.
    let validators = [(header::CACHE_CONTROL, "no-cache".to_owned()), (header::ETAG, etag.clone())];
    if is_known(headers, &etag) {
        return (StatusCode::NOT_MODIFIED, validators).into_response();
    }
    (validators, [(header::CONTENT_TYPE, "application/json")], json).into_response()
}
