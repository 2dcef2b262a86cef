//! What is answered where.

use crate::metrics::{CONTENT_TYPE, MetricsText};
use crate::problem::problem;
use crate::{Component, Status};
use axum::extract::State;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What every answer comes from.
#[derive(Clone)]
struct Source {
    status: Arc<dyn Status>,
    /// Every component has been ready once.
    started: Arc<AtomicBool>,
}

/// The body of `/readyz` and `/startupz`.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    components: Vec<Component>,
}

/// Every path, with an answer for those that are none.
pub(crate) fn router(status: Arc<dyn Status>) -> Router {
    let source = Source { status, started: Arc::new(AtomicBool::new(false)) };
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/startupz", get(startupz))
        .route("/metrics", get(metrics))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(axum::middleware::map_response(never_stored))
        .with_state(source)
}

async fn healthz() -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], "ok\n").into_response()
}

async fn readyz(State(source): State<Source>) -> Response {
    let readiness = source.readiness();
    answer(readiness.ready, readiness)
}

async fn startupz(State(source): State<Source>) -> Response {
    let readiness = source.readiness();
    answer(source.started.load(Ordering::Relaxed), readiness)
}

async fn metrics(State(source): State<Source>) -> Response {
    let mut text = MetricsText::default();
    source.status.metrics(&mut text);
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text.finish()).into_response()
}

async fn not_found(uri: Uri) -> Response {
    problem(StatusCode::NOT_FOUND, &uri, "nothing is at this path".into())
}

async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, &uri, format!("{method} is not among the methods of this path"))
}

/// Yesterday's readiness is worse than none.
async fn never_stored(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn answer(good: bool, readiness: Readiness) -> Response {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

impl Source {
    fn readiness(&self) -> Readiness {
        let components = self.status.ready();
        let ready = components.iter().all(|component| component.ready);
        if ready {
            self.started.store(true, Ordering::Relaxed);
        }
        Readiness { ready, components }
    }
}
