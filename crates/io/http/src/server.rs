//! The server for probes and metrics.

use crate::Status;
use crate::connections::{Answering, serve};
use crate::routes::Source;
use crate::running::{Running, StartError};
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A running server. It stops when it is dropped.
#[derive(Debug)]
pub struct HttpServer {
    running: Running,
}

/// How long a body may take to come, of which no request has any.
const TIME_MAX: Duration = Duration::from_secs(10);

impl HttpServer {
    /// Listens and serves on a thread of its own.
    ///
    /// # Errors
    /// When the address cannot be listened at, or the operating system gives no thread.
    pub fn start(address: SocketAddr, status: Arc<dyn Status>) -> Result<Self, StartError> {
        let source = Arc::new(Source::of(status));
        let serving = move |listener, stopped| serve(listener, source, stopped);
        Ok(Self { running: Running::start(Source::NAME, "http", address, serving)? })
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

impl Answering for Source {
    const NAME: &'static str = "status server";

    fn tls(&self) -> Option<Arc<rustls::ServerConfig>> {
        None
    }

    fn time_max(&self) -> Duration {
        TIME_MAX
    }

    async fn answer(self: Arc<Self>, _peer: SocketAddr, request: Request<Incoming>) -> Response {
        Source::answer(&self, request.method(), request.uri())
    }
}
