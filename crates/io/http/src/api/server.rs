//! The management server and how it is to be.

use super::Management;
use super::answer::{Gate, answer};
use super::routes::Route;
use super::tus::CHUNK_BYTES_MAX;
use crate::connections::{Answering, serve};
use crate::running::{Running, StartError};
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const NAME: &str = "management server";
/// How the management server is to be.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// With which certificate, and whose certificates it asks for ([`api_tls`](crate::api_tls) makes one of PEM).
    /// `None`: it is plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Plain HTTP also where it is not a loopback address, and tokens can be read on the way.
    pub plain_text_beyond_loopback: bool,
    /// The origins of pages that may use it, as `https://console.example.org`.
    pub cors_origins: Vec<String>,
    /// Requests a minute with one token.
    pub requests_per_minute: u32,
    /// Tokens a minute from one address that may open nothing; those beyond are told to wait. Whoever shows a token that
    /// opens something is heard all the same: behind a proxy all clients have one address.
    pub failures_per_minute: u32,
    /// The longest body.
    pub body_bytes_max: usize,
    /// The longest body that is a call, descriptions and all.
    pub call_bytes_max: usize,
    /// The longest file that may be uploaded, as whoever asks beforehand is told.
    pub upload_bytes_max: u64,
    /// Parts of files a minute, up and down, with one token or link.
    pub chunks_per_minute: u32,
    /// How long a body may take to come, and the exchange to answer, in seconds.
    pub timeout_s: u64,
}

/// [`ApiConfig::call_bytes_max`] as it usually is: who lets calls go sees to it that they can be taken back.
pub const CALL_BYTES_MAX: usize = 1 << 20;

impl ApiConfig {
    /// The longest body of this request.
    pub(crate) fn longest(&self, route: Route) -> usize {
        match route {
            Route::ImportCall => self.call_bytes_max,
            Route::UploadEvidence => CHUNK_BYTES_MAX,
            _ => self.body_bytes_max,
        }
    }

    /// At this address, with everything else as it usually is.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            plain_text_beyond_loopback: false,
            cors_origins: Vec::new(),
            requests_per_minute: 600,
            failures_per_minute: 10,
            body_bytes_max: 65_536,
            call_bytes_max: CALL_BYTES_MAX,
            upload_bytes_max: 100 << 20,
            chunks_per_minute: 20_000,
            timeout_s: 10,
        }
    }
}

/// A running management server. It stops when it is dropped.
#[derive(Debug)]
pub struct ApiServer {
    running: Running,
}

impl ApiServer {
    /// Listens and serves on a thread of its own.
    ///
    /// # Errors
    /// When the address cannot be listened at, or is not to be without encryption.
    pub fn start(config: ApiConfig, management: Arc<dyn Management>) -> Result<Self, StartError> {
        let address = config.listen;
        //= https://www.rfc-editor.org/rfc/rfc6750#section-5.3
        // Tokens are to be shown over TLS only; within one machine nobody is on the way.
        if config.tls.is_none() && !config.plain_text_beyond_loopback && !address.ip().to_canonical().is_loopback() {
            return Err(StartError::PlainText { server: NAME, address });
        }
        let gate = Arc::new(Gate::new(config, management));
        let running =
            Running::start(NAME, "http-api", address, move |listener, stopped| serve(listener, gate, stopped))?;
        Ok(Self { running })
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

impl Answering for Gate {
    const NAME: &'static str = NAME;

    fn tls(&self) -> Option<Arc<rustls::ServerConfig>> {
        self.config.tls.clone()
    }

    fn time_max(&self) -> Duration {
        Gate::time_max(self)
    }

    fn answer(self: Arc<Self>, peer: SocketAddr, request: Request<Incoming>) -> impl Future<Output = Response> + Send {
        answer(self, peer, request)
    }
}
