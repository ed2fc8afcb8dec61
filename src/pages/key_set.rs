//! The keys by which upstreams believe what they are told.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Response};

use super::Pages;
use super::stop::Stop;
use super::visit::Visit;

/// Short enough for a new key to be known before the first assertion by it is old.
const KEEP: HeaderValue = HeaderValue::from_static("public, max-age=300");
/// RFC 7517, section 8.5.2.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/jwk-set+json");

/// The JWK Set (RFC 7517, section 5); 404 where nothing is signed.
pub async fn show(State(pages): State<Arc<Pages>>, visit: Visit) -> Response<Body> {
    let Some(keys) = &pages.parts.key_set else {
        return pages.stopped(&visit, Stop::NotFound);
    };
    let mut response = Response::new(Body::from(keys.clone()));
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, KEEP);
    headers.insert(CONTENT_TYPE, MEDIA_TYPE);
    response
}
