//! Problem documents.

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// What went wrong with a request, as its body says it.
//= https://www.rfc-editor.org/rfc/rfc9457#section-3
#[derive(Serialize)]
struct Problem<'p> {
    /// `about:blank`: the status says it all.
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    instance: &'p str,
}

/// The answer to a request for this address.
pub(crate) fn problem(status: StatusCode, uri: &Uri, detail: String) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let problem = Problem { r#type: "about:blank", title, status: status.as_u16(), detail, instance: uri.path() };
    match serde_json::to_string(&problem) {
        Ok(body) => (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response(),
        // Only texts and a number: nothing that JSON cannot say.
        Err(_) => status.into_response(),
    }
}
