//! Connections of a server that hyper is asked for directly, with bounds on headers and on every wait, within TLS or not.

use crate::listener::{LimitedListener, LimitedStream, Seat};
use crate::tls;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

/// The longest request line and headers together.
const HEAD_BYTES_MAX: usize = 16_384;
/// The most headers of a request.
const HEADERS_MAX: usize = 64;
/// How long a connection may take to say its headers, or nothing, and to agree on its encryption; less when bodies may
/// take less.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// How long answers that are under way may take after the server is asked to stop.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// What answers the requests of a server.
pub(crate) trait Answering: Send + Sync + 'static {
    /// What the server is called.
    const NAME: &'static str;

    /// With which certificate; `None`: plain HTTP.
    fn tls(&self) -> Option<Arc<rustls::ServerConfig>>;

    /// How long a body may take to come.
    fn time_max(&self) -> Duration;

    /// Answers a request; whatever is wrong with it is an answer too. Its extensions have the [`Seat`] of its connection.
    fn answer(self: Arc<Self>, peer: SocketAddr, request: Request<Incoming>) -> impl Future<Output = Response> + Send;
}

/// Serves until it is stopped.
pub(crate) async fn serve<A: Answering>(listener: TcpListener, gate: Arc<A>, mut stopped: oneshot::Receiver<()>) {
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

async fn connection<A: Answering>(
    stream: LimitedStream,
    peer: SocketAddr,
    gate: Arc<A>,
    closed: watch::Receiver<bool>,
) {
    let seat = stream.seat();
    let Some(config) = gate.tls() else {
        return converse(stream, seat, peer, gate, closed).await;
    };
    match tokio::time::timeout(HEAD_TIME_MAX.min(gate.time_max()), tls::accept(stream, config)).await {
        Ok(Ok(stream)) => converse(stream, seat, peer, gate, closed).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, server = A::NAME, "a TLS handshake with a server failed"),
        Err(_) => tracing::debug!(%peer, server = A::NAME, "a TLS handshake with a server took too long"),
    }
}

async fn converse<A: Answering, S>(
    stream: S,
    seat: Seat,
    peer: SocketAddr,
    gate: Arc<A>,
    mut closed: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let head_time_max = HEAD_TIME_MAX.min(gate.time_max());
    let service = service_fn(move |mut request: Request<Incoming>| {
        let gate = gate.clone();
        request.extensions_mut().insert(seat.clone());
        async move { Ok::<_, Infallible>(gate.answer(peer, request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(head_time_max);
    builder.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let ended = tokio::select! {
        ended = &mut connection => ended,
        _ = closed.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // What clients do wrong below HTTP is theirs.
        tracing::debug!(%peer, %error, server = A::NAME, "a connection to a server broke off");
    }
}
