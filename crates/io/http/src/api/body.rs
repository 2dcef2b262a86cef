//! Reading a body: so many bytes, of one type, within a time.

use super::problem::{ApiProblem, Refusal};
use axum::http::{HeaderMap, header};
use hyper::body::{Body, Incoming};
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

/// Reads the whole body.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Incoming,
    bytes_max: usize,
    time_max: Duration,
) -> Result<Vec<u8>, Refusal> {
    is_short(&body, bytes_max)?;
    if !body.is_end_stream() {
        is_json(headers)?;
    }
    read_any(body, bytes_max, time_max).await
}

/// What is announced as too long need not be waited for.
fn is_short(body: &Incoming, bytes_max: usize) -> Result<(), Refusal> {
    match body.size_hint().lower() > u64::try_from(bytes_max).unwrap_or(u64::MAX) {
        true => Err(too_large(bytes_max)),
        false => Ok(()),
    }
}

/// Reads the whole body, of whatever type.
pub(crate) async fn read_any(body: Incoming, bytes_max: usize, time_max: Duration) -> Result<Vec<u8>, Refusal> {
    is_short(&body, bytes_max)?;
    match tokio::time::timeout(time_max, collect(body, bytes_max)).await {
        Ok(read) => read,
        Err(_) => {
            let detail = format!("the body had not come within {} seconds", time_max.as_secs());
            let refusal = Refusal::from(ApiProblem::new(408, "body-too-slow", "The body came too slowly", detail));
            //= https://www.rfc-editor.org/rfc/rfc9110#section-15.5.9
            // The server has decided to close the connection rather than to go on waiting.
            Err(refusal.with(header::CONNECTION, "close"))
        }
    }
}

async fn collect(mut body: Incoming, bytes_max: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(frame) = frame else {
            let detail = "the body broke off or was not framed as announced";
            return Err(ApiProblem::new(400, "malformed-body", "The body cannot be read", detail).into());
        };
        // Trailers say nothing here.
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > bytes_max.saturating_sub(bytes.len()) {
            return Err(too_large(bytes_max));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// A body is JSON as it is, whatever else it could have been.
fn is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let essence = |value: &str| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(essence);
    let coded = headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity");
    if kind.as_deref() == Some("application/json") && !coded {
        return Ok(());
    }
    let detail = "a body must be application/json without a content coding";
    let refusal = Refusal::from(ApiProblem::new(415, "not-json", "Unsupported media type", detail));
    //= https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1
    // In a response, Accept tells what a request to the same resource may have.
    Err(refusal.with(header::ACCEPT, "application/json"))
}

fn too_large(bytes_max: usize) -> Refusal {
    let detail = format!("a body may have {bytes_max} bytes");
    ApiProblem::new(413, "body-too-large", "The body is too large", detail).into()
}
