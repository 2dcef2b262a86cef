//! What is answered where.

use crate::metrics::{CONTENT_TYPE, MetricsText};
use crate::problem::problem;
use crate::{Component, Status};
use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What every answer comes from.
pub(crate) struct Source {
    status: Arc<dyn Status>,
    /// Every component has been ready once.
    started: AtomicBool,
}

/// The body of `/readyz` and `/startupz`.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    components: Vec<Component>,
}

impl Source {
    pub(crate) fn of(status: Arc<dyn Status>) -> Self {
        Self { status, started: AtomicBool::new(false) }
    }

    /// Answers a request, wherever it goes.
    pub(crate) fn answer(&self, method: &Method, uri: &Uri) -> Response {
        let mut response = self.answer_at(method, uri);
        // Yesterday's readiness is worse than none.
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    fn answer_at(&self, method: &Method, uri: &Uri) -> Response {
        let path = uri.path();
        if !["/healthz", "/readyz", "/startupz", "/metrics"].contains(&path) {
            return problem(StatusCode::NOT_FOUND, uri, "nothing is at this path".into());
        }
        //= https://www.rfc-editor.org/rfc/rfc9110#section-15.5.6
        // Which methods there are is said with the refusal.
        if method != Method::GET && method != Method::HEAD {
            let detail = format!("{method} is not among the methods of this path");
            let mut refusal = problem(StatusCode::METHOD_NOT_ALLOWED, uri, detail);
            refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET,HEAD"));
            return refusal;
        }
        match path {
            "/readyz" => {
                let readiness = self.readiness();
                answer(readiness.ready, readiness)
            }
            "/startupz" => {
                let readiness = self.readiness();
                answer(self.started.load(Ordering::Relaxed), readiness)
            }
            "/metrics" => {
                let mut text = MetricsText::default();
                self.status.metrics(&mut text);
                ([(header::CONTENT_TYPE, CONTENT_TYPE)], text.finish()).into_response()
            }
            _ => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], "ok\n").into_response(),
        }
    }

    fn readiness(&self) -> Readiness {
        let components = self.status.ready();
        let ready = components.iter().all(|component| component.ready);
        if ready {
            self.started.store(true, Ordering::Relaxed);
        }
        Readiness { ready, components }
    }
}

fn answer(good: bool, readiness: Readiness) -> Response {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}
