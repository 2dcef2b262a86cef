//! The thread that serves.

use crate::listener::LimitedListener;
use crate::{Status, routes};
use std::future::IntoFuture;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::oneshot;

/// A running server. It stops when it is dropped.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    /// Both are there until the server is stopped.
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody else listens there.
    #[error("the status server cannot listen at {address}: another process listens at this address")]
    InUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// This process may not listen there, as at ports below 1024.
    #[error("the status server cannot listen at {address}: this process may not listen at this address")]
    NotPermitted {
        /// The address asked for.
        address: SocketAddr,
    },
    /// No interface of this machine has the address.
    #[error("the status server cannot listen at {address}: this machine does not have this address")]
    NoSuchAddress {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The operating system refused for another reason.
    #[error("the status server cannot listen at {address}: {error}")]
    System {
        /// The address asked for.
        address: SocketAddr,
        /// What it said.
        error: io::Error,
    },
}

/// How long answers that are under way may take after the server is asked to stop.
const STOP_GRACE: Duration = Duration::from_secs(1);

impl HttpServer {
    /// Listens and serves on a thread of its own.
    ///
    /// # Errors
    /// When the address cannot be listened at, or the operating system gives no thread.
    pub fn start(address: SocketAddr, status: Arc<dyn Status>) -> Result<Self, StartError> {
        let listener = TcpListener::bind(address).map_err(|error| refused(address, error))?;
        let system = |error| StartError::System { address, error };
        listener.set_nonblocking(true).map_err(system)?;
        let bound = listener.local_addr().map_err(system)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(system)?;
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            runtime.block_on(serve(listener, status, stopped));
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("http".into()).spawn(serve).map_err(system)?;
        tracing::info!(address = %bound, "the status server listens");
        Ok(Self { address: bound, running: Some((stop, thread)) })
    }

    /// Where it listens; the port that was given when port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops it: no new connections, and a second for answers that are under way.
    pub fn stop(mut self) {
        self.stop_now();
    }

    fn stop_now(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            // When nobody hears it the thread has ended already.
            let _ = stop.send(());
            if thread.join().is_err() {
                tracing::error!("the thread of the status server had panicked");
            }
        }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop_now();
    }
}

async fn serve(listener: TcpListener, status: Arc<dyn Status>, stopped: oneshot::Receiver<()>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => LimitedListener::new(listener),
        Err(error) => {
            tracing::error!(%error, "the status server could not begin");
            return;
        }
    };
    let (closing, close) = oneshot::channel();
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

fn refused(address: SocketAddr, error: io::Error) -> StartError {
    match error.kind() {
        io::ErrorKind::AddrInUse => StartError::InUse { address },
        io::ErrorKind::PermissionDenied => StartError::NotPermitted { address },
        io::ErrorKind::AddrNotAvailable => StartError::NoSuchAddress { address },
        _ => StartError::System { address, error },
    }
}
