//! HTTP: a server for probes and metrics, one for management, one that cosigns others' checkpoints, and a client.
//!
//! Those for operators are two, because the first asks nobody who they are and changes nothing, and the second does both. The second,
//! [`ApiServer`], serves `/api/v1` and is described with [`Management`], which it asks. [`CosigningServer`] is for logs of
//! others, and [`HttpClient`] asks services of others.
//!
//! The first, [`HttpServer`], serves `/healthz`, `/readyz`, `/startupz` and `/metrics`.
//! It runs on a thread and an event loop of its own, so that a scrape never waits for a call nor a call for a scrape.
//! What it tells comes from a [`Status`]; this crate deliberately knows nothing of what is ready or counted, and changes
//! nothing: every request is a question. It asks nobody who they are, so it listens where only operators come.
//!
//! | path | 200 | 503 |
//! | --- | --- | --- |
//! | `/healthz` | the process answers | never |
//! | `/readyz` | every component is ready | one is not; the JSON says which and why |
//! | `/startupz` | every component was ready once | not yet |
//! | `/metrics` | always, as OpenMetrics text | never |
//!
//! Everything else is answered with a problem document (RFC 9457).
//!
//! ```
//! use std::sync::Arc;
//! use sx_http::{Component, HttpServer, MetricsText, Status};
//!
//! struct Exchange;
//! impl Status for Exchange {
//!     fn ready(&self) -> Vec<Component> {
//!         vec![Component { name: "sip".into(), ready: true, detail: "2 listeners".into() }]
//!     }
//!     fn metrics(&self, out: &mut MetricsText) {
//!         out.gauge("strowger_calls", "", "Calls at the moment.").sample(&[], 3);
//!     }
//! }
//!
//! let server = HttpServer::start("127.0.0.1:0".parse().expect("an address"), Arc::new(Exchange)).expect("a free port");
//! assert_ne!(server.local_addr().port(), 0);
//! server.stop();
//! ```

mod api;
mod client;
mod connections;
mod cosigning;
mod listener;
mod metrics;
mod problem;
mod routes;
mod running;
mod server;
mod tls;

pub use api::{
    ADDRESS_BYTES_MAX, ApiAnswer, ApiBody, ApiConfig, ApiProblem, ApiRefusal, ApiRequest, ApiServer, ApiTlsError,
    Asked, AuthenticationFailed, BAN_SECONDS_MAX, BASE, Ballot, CALL_BYTES_MAX, CHUNK_BYTES_MAX, Caller, Chunk,
    Content, Event, EventSink, EventsWanted, FILE_NAME_BYTES_MAX, FieldProblem, Forbidden, IDENTIFIER_BYTES_MAX,
    LIMIT_DEFAULT, LIMIT_MAX, LINK_SECONDS_MAX, Link, LinkRefused, Management, MemberOrder, NewUpload, OPENAPI_PATH,
    PartyName, PartyOrder, Place, ProblemMore, QUESTION_BYTES_MAX, REASON_BYTES_MAX, ROUTES, RecordingOrder, Role,
    Route, RouteRow, TOKEN_EXPIRES_SECONDS_MAX, TOKEN_NAME_BYTES_MAX, Unheard, UploadState, VOTE_SECONDS_MAX, Verb,
    api_tls, parse_body, parse_chunk, parse_new_upload,
};
pub use client::{
    ANSWER_BYTES_MAX, ClientAnswer, ClientError, ClientLimits, ClientRequest, ClientTls, ClientTlsError, HttpClient,
    HttpUrl, Interrupt, ObjectStore, Retention, RetentionMode, UrlError, client_tls,
};
pub use cosigning::{ADD_CHECKPOINT_PATH, Cosigner, CosigningConfig, CosigningServer, NotCosigned, SIZE_MEDIA_TYPE};
pub use metrics::{Counter, Gauge, Histogram, MetricsText, Number};
pub use running::StartError;
pub use server::HttpServer;

use serde::Serialize;

/// What the server tells. Both methods are called on the server's thread and must return soon.
pub trait Status: Send + Sync + 'static {
    /// Every component and whether it is ready. No component at all means ready.
    fn ready(&self) -> Vec<Component>;

    /// Writes every metric. The writer ends the text itself.
    fn metrics(&self, out: &mut MetricsText);
}

/// A part of the exchange that must be ready before calls may come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Component {
    /// Its name, as `sip` or `store`.
    pub name: String,
    /// May calls come, as far as it is concerned?
    pub ready: bool,
    /// A sentence for the operator; nothing personal.
    pub detail: String,
}
