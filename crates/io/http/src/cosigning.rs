//! The server that cosigns checkpoints of others' logs: C2SP `tlog-witness`, of which it has `add-checkpoint`.
//!
//! It listens by itself and not beside the management API: there everybody shows a token and perhaps a certificate, and
//! nobody but operators comes; here come the logs of others, and what they show is the signature below their
//! checkpoint. So there is nothing to be read on the way either, and plain HTTP does. What is asked of it is bounded
//! before anything is looked at: the connections, the length and the time of a body, the requests of an address.

use crate::api::answer::has_one_host;
use crate::api::body;
use crate::api::problem::{ApiProblem, Refusal};
use crate::api::rate::{Buckets, counted_as};
use crate::connections::{Answering, serve};
use crate::running::{Running, StartError};
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use axum::response::Response;
use hyper::body::Incoming;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use sx_witness::{ADD_CHECKPOINT_BYTES_MAX, CosignRefused};

/// Where checkpoints are to be sent.
pub const ADD_CHECKPOINT_PATH: &str = "/witness/add-checkpoint";

/// The media type of a body that is the size to go on from.
//= https://c2sp.org/tlog-witness#add-checkpoint
pub const SIZE_MEDIA_TYPE: &str = "text/x.tlog.size";

/// Decides what is cosigned. It is asked on threads that may wait, several at a time.
pub trait Cosigner: Send + Sync + 'static {
    /// Cosigns what this request has, when it may: the signature line, without its newline. It is remembered on the
    /// disk before this returns.
    ///
    /// # Errors
    /// Whose fault it is that it is not cosigned.
    fn add_checkpoint(&self, request: &str) -> Result<String, NotCosigned>;
}

/// Why there is no cosignature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCosigned {
    /// The log's, or the one's who asks.
    #[error(transparent)]
    Refused(#[from] CosignRefused),
    /// Ours: what was to be cosigned cannot be remembered.
    #[error("nothing can be cosigned at the moment")]
    Unavailable,
}

/// How the server that cosigns is to be.
#[derive(Clone, Debug)]
pub struct CosigningConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// With which certificate ([`api_tls`](crate::api_tls) makes one of PEM). `None`: it is plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Requests a minute from one address.
    pub requests_per_minute: u32,
}

impl CosigningConfig {
    /// At this address, with everything else as it usually is: an address may ask twice a second.
    pub fn new(listen: SocketAddr) -> Self {
        Self { listen, tls: None, requests_per_minute: 120 }
    }
}

/// A running server that cosigns. It stops when it is dropped.
#[derive(Debug)]
pub struct CosigningServer {
    running: Running,
}

/// How long a body may take to come, and an answer to be made.
const TIME_MAX: Duration = Duration::from_secs(10);

impl CosigningServer {
    /// Listens and serves on a thread of its own.
    ///
    /// # Errors
    /// When the address cannot be listened at, or the operating system gives no thread.
    pub fn start(config: CosigningConfig, cosigner: Arc<dyn Cosigner>) -> Result<Self, StartError> {
        let address = config.listen;
        let requests = Mutex::new(Buckets::new(config.requests_per_minute));
        let gate = Arc::new(Gate { cosigner, config, requests });
        let serving = move |listener, stopped| serve(listener, gate, stopped);
        Ok(Self { running: Running::start(Gate::NAME, "http-witness", address, serving)? })
    }

    /// Where it listens; the port that was given when port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.running.address()
    }

    /// Stops it: no new connections, and a second for answers that are under way.
    pub fn stop(self) {
        drop(self.running);
    }
}

/// What every request passes.
struct Gate {
    cosigner: Arc<dyn Cosigner>,
    config: CosigningConfig,
    requests: Mutex<Buckets<IpAddr>>,
}

impl Answering for Gate {
    const NAME: &'static str = "cosigning server";

    fn tls(&self) -> Option<Arc<rustls::ServerConfig>> {
        self.config.tls.clone()
    }

    fn time_max(&self) -> Duration {
        TIME_MAX
    }

    async fn answer(self: Arc<Self>, peer: SocketAddr, request: Request<Incoming>) -> Response {
        let path = request.uri().path().to_owned();
        let mut response = match self.answer_or_refusal(peer.ip(), request).await {
            Ok(response) => response,
            Err(refusal) => refusal.into_response(&path),
        };
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl Gate {
    async fn answer_or_refusal(&self, peer: IpAddr, request: Request<Incoming>) -> Result<Response, Refusal> {
        let (head, body) = request.into_parts();
        has_one_host(&head)?;
        let taken =
            self.requests.lock().unwrap_or_else(PoisonError::into_inner).take(&counted_as(peer), Instant::now());
        taken.map_err(|seconds| Refusal::too_many("too-many-requests", "this address asks too often", seconds))?;
        if head.uri.path() != ADD_CHECKPOINT_PATH {
            return Err(ApiProblem::not_found("nothing is at this path").into());
        }
        //= https://c2sp.org/tlog-witness#add-checkpoint
        // The request is a POST.
        if head.method != Method::POST {
            let problem =
                ApiProblem::new(405, "method-not-allowed", "Method not allowed", "checkpoints are sent by POST");
            return Err(Refusal::from(problem).with(header::ALLOW, "POST"));
        }
        let bytes = body::read_any(body, ADD_CHECKPOINT_BYTES_MAX, TIME_MAX).await?;
        let text = String::from_utf8(bytes).map_err(|_| bad_request("the body is not UTF-8".to_owned()))?;
        let cosigner = self.cosigner.clone();
        let asked = tokio::task::spawn_blocking(move || cosigner.add_checkpoint(&text));
        match tokio::time::timeout(TIME_MAX, asked).await {
            Ok(Ok(Ok(cosignature))) => Ok(plain(format!("{cosignature}\n"))),
            Ok(Ok(Err(NotCosigned::Refused(refused)))) => refusal(refused),
            _ => Err(ApiProblem::unavailable("nothing can be cosigned at the moment").into()),
        }
    }
}

fn bad_request(detail: String) -> Refusal {
    ApiProblem::new(400, "malformed-request", "The request cannot be read", detail).into()
}

/// What is answered to a request that is refused: the size to go on from, where that is all that is wrong.
fn refusal(refused: CosignRefused) -> Result<Response, Refusal> {
    let (status, kind, title) = match refused {
        //= https://c2sp.org/tlog-witness#add-checkpoint
        // The body is the size and a newline, and the type says so.
        CosignRefused::OtherSize { seen } => {
            let mut response = plain(format!("{seen}\n"));
            *response.status_mut() = StatusCode::CONFLICT;
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(SIZE_MEDIA_TYPE));
            return Ok(response);
        }
        CosignRefused::Malformed(_) | CosignRefused::OldBeyondNew => return Err(bad_request(refused.to_string())),
        CosignRefused::UnknownLog => (404, "unknown-log", "The log is not known"),
        CosignRefused::NotSigned => (403, "not-signed", "The checkpoint is not signed"),
        CosignRefused::OtherRoot => (409, "other-root", "Another root was cosigned"),
        CosignRefused::Inconsistent => (422, "inconsistent", "The log is not the one that was cosigned"),
    };
    Err(ApiProblem::new(status, kind, title, refused.to_string()).into())
}

fn plain(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
