//! The thread that serves, and its connections.

use super::answer::{Gate, answer};
use super::{Management, tls};
use crate::listener::{LimitedListener, LimitedStream};
use crate::running::{Running, StartError};
use crate::server::STOP_GRACE;
use axum::serve::Listener as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

const NAME: &str = "management server";
/// The longest request line and headers together.
const HEAD_BYTES_MAX: usize = 16_384;
/// The most headers of a request.
const HEADERS_MAX: usize = 64;
/// How long a connection may take to say its headers, or nothing, and to agree on its encryption; less when bodies may
/// take less.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

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
    /// Tokens a minute from one address that may open nothing; after them the address is not heard, whatever token it
    /// shows. Behind a proxy all clients have one address, so that there one can shut out all.
    pub failures_per_minute: u32,
    /// The longest body.
    pub body_bytes_max: usize,
    /// How long a body may take to come, and the exchange to answer, in seconds.
    pub timeout_s: u64,
}

impl ApiConfig {
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

async fn serve(listener: TcpListener, gate: Arc<Gate>, mut stopped: oneshot::Receiver<()>) {
    let mut listener = LimitedListener::new(listener);
    let mut connections = JoinSet::new();
    let (closing, closed) = watch::channel(false);
    loop {
        tokio::select! {
            // An error means that the sender is gone, which is a reason to stop as well.
            _ = &mut stopped => break,
            (stream, peer) = listener.accept() => {
                connections.spawn(connection(stream, peer, gate.clone(), closed.clone()));
            }
            // A connection that panicked has ended like any other.
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let _ = closing.send(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    // Those that take longer are cut off when the set is dropped.
    let _ = tokio::time::timeout(STOP_GRACE, ended).await;
}

async fn connection(stream: LimitedStream, peer: SocketAddr, gate: Arc<Gate>, closed: watch::Receiver<bool>) {
    let Some(config) = gate.config.tls.clone() else {
        return converse(stream, peer, gate, closed).await;
    };
    match tokio::time::timeout(HEAD_TIME_MAX.min(gate.time_max()), tls::accept(stream, config)).await {
        Ok(Ok(stream)) => converse(stream, peer, gate, closed).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake with the management server failed"),
        Err(_) => tracing::debug!(%peer, "a TLS handshake with the management server took too long"),
    }
}

async fn converse<S>(stream: S, peer: SocketAddr, gate: Arc<Gate>, mut closed: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let head_time_max = HEAD_TIME_MAX.min(gate.time_max());
    let service = service_fn(move |request| {
        let gate = gate.clone();
        async move { Ok::<_, Infallible>(answer(gate, peer, request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(head_time_max);
    builder.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = &mut connection => ended,
        _ = closed.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // What clients do wrong below HTTP is theirs.
        tracing::debug!(%peer, %error, "a connection to the management server broke off");
    }
}
