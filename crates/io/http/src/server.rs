//! The thread that serves.

use crate::listener::LimitedListener;
use crate::running::{Running, StartError};
use crate::{Status, routes};
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A running server. It stops when it is dropped.
#[derive(Debug)]
pub struct HttpServer {
    running: Running,
}

/// How long answers that are under way may take after the server is asked to stop.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(1);

impl HttpServer {
    /// Listens and serves on a thread of its own.
    ///
    /// # Errors
    /// When the address cannot be listened at, or the operating system gives no thread.
    pub fn start(address: SocketAddr, status: Arc<dyn Status>) -> Result<Self, StartError> {
        let serve = move |listener, stopped| serve(listener, status, stopped);
        Ok(Self { running: Running::start("status server", "http", address, serve)? })
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

async fn serve(listener: TcpListener, status: Arc<dyn Status>, stopped: oneshot::Receiver<()>) {
    let (closing, close) = oneshot::channel();
    let listener = LimitedListener::new(listener);
    let serving = axum::serve(listener, routes::router(status)).with_graceful_shutdown(async {
        // An error means that the sender is gone, which is a reason to stop as well.
        let _ = stopped.await;
        let _ = closing.send(());
    });
    let grace = async {
        let _ = close.await;
        tokio::time::sleep(STOP_GRACE).await;
    };
    tokio::select! {
        result = serving.into_future() => {
            if let Err(error) = result {
                tracing::error!(%error, "the status server ended");
            }
        }
        () = grace => {}
    }
}
