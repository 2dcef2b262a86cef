//! Which pages in a browser may use the API: those of the origins on a list.
//!
//! A request that names an origin that is not on it is refused, whatever else it has to show. Programs name none.

use super::problem::{ApiProblem, Refusal};
use super::routes::{self, BASE, OPENAPI_PATH};
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;

/// How long a browser may remember what it was told beforehand.
const MAX_AGE_S: &str = "600";

/// The origin that a request names, if it is on the list.
pub(crate) fn origin(headers: &HeaderMap, listed: &[String]) -> Result<Option<HeaderValue>, Refusal> {
    let mut named = headers.get_all(header::ORIGIN).iter();
    match (named.next(), named.next()) {
        (None, _) => Ok(None),
        // The origin `null` is everybody's; being on the list makes no sense of it.
        (Some(origin), None) if origin != "null" && listed.iter().any(|listed| origin == listed.as_str()) => {
            Ok(Some(origin.clone()))
        }
        _ => {
            let detail = "the page that sends this request is of an origin that may not";
            Err(ApiProblem::new(403, "origin-not-allowed", "Origin not allowed", detail).into())
        }
    }
}

/// Does a browser ask beforehand whether it may ask?
pub(crate) fn is_preflight(head: &Parts) -> bool {
    head.method == Method::OPTIONS
        && head.headers.contains_key(header::ORIGIN)
        && head.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// What may be asked at this path, for an origin that is on the list.
//= https://fetch.spec.whatwg.org/#cors-preflight-fetch
pub(crate) fn preflight(path: &str) -> Result<Response, Refusal> {
    let methods = match routes::find(path) {
        Some(found) => found.allow(),
        None if path.strip_prefix(BASE) == Some(OPENAPI_PATH) => "GET, HEAD".to_owned(),
        None => return Err(ApiProblem::not_found("nothing is at this path").into()),
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    if let Ok(methods) = HeaderValue::from_str(&methods) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "authorization, content-type, idempotency-key, range, tus-resumable, upload-checksum, upload-length, upload-metadata, upload-offset",
        ),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE_S));
    Ok(response)
}

/// Lets the page read the answer.
pub(crate) fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let readable = HeaderValue::from_static(
        "allow, content-range, location, repr-digest, retry-after, tus-resumable, upload-expires, upload-length, upload-offset, www-authenticate",
    );
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, readable);
}
