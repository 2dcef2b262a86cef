//! A server on a thread and an event loop of its own.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody else listens there.
    #[error("the {server} cannot listen at {address}: another process listens at this address")]
    InUse {
        /// Which server.
        server: &'static str,
        /// The address asked for.
        address: SocketAddr,
    },
    /// This process may not listen there, as at ports below 1024.
    #[error("the {server} cannot listen at {address}: this process may not listen at this address")]
    NotPermitted {
        /// Which server.
        server: &'static str,
        /// The address asked for.
        address: SocketAddr,
    },
    /// No interface of this machine has the address.
    #[error("the {server} cannot listen at {address}: this machine does not have this address")]
    NoSuchAddress {
        /// Which server.
        server: &'static str,
        /// The address asked for.
        address: SocketAddr,
    },
    /// Tokens would travel in the clear for others to read.
    #[error(
        "the {server} cannot listen at {address}: tokens would pass the network unencrypted; give it a certificate, or let it listen at a loopback address"
    )]
    PlainText {
        /// Which server.
        server: &'static str,
        /// The address asked for.
        address: SocketAddr,
    },
    /// The operating system refused for another reason.
    #[error("the {server} cannot listen at {address}: {error}")]
    System {
        /// Which server.
        server: &'static str,
        /// The address asked for.
        address: SocketAddr,
        /// What it said.
        error: io::Error,
    },
}

/// A thread that serves until it is stopped.
#[derive(Debug)]
pub(crate) struct Running {
    server: &'static str,
    address: SocketAddr,
    /// Both are there until the server is stopped.
    thread: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// Threads for what may wait, a server. More work at a time than that waits itself.
const WAITING_THREADS_MAX: usize = 8;

impl Running {
    /// Listens, and serves on a thread of its own until the receiver that `serve` is given hears something.
    pub(crate) fn start<F: Future<Output = ()>>(
        server: &'static str,
        thread: &str,
        address: SocketAddr,
        serve: impl FnOnce(tokio::net::TcpListener, oneshot::Receiver<()>) -> F + Send + 'static,
    ) -> Result<Self, StartError> {
        let listener = TcpListener::bind(address).map_err(|error| refused(server, address, error))?;
        let system = |error| StartError::System { server, address, error };
        listener.set_nonblocking(true).map_err(system)?;
        let bound = listener.local_addr().map_err(system)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(WAITING_THREADS_MAX)
            .build()
            .map_err(system)?;
        let (stop, stopped) = oneshot::channel();
        let work = move || {
            runtime.block_on(async move {
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => serve(listener, stopped).await,
                    Err(error) => tracing::error!(%error, server, "a server could not begin"),
                }
            });
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name(thread.into()).spawn(work).map_err(system)?;
        tracing::info!(address = %bound, server, "a server listens");
        Ok(Self { server, address: bound, thread: Some((stop, thread)) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.thread.take() {
            // When nobody hears it the thread has ended already.
            let _ = stop.send(());
            if thread.join().is_err() {
                tracing::error!(server = self.server, "the thread of a server had panicked");
            }
        }
    }
}

fn refused(server: &'static str, address: SocketAddr, error: io::Error) -> StartError {
    match error.kind() {
        io::ErrorKind::AddrInUse => StartError::InUse { server, address },
        io::ErrorKind::PermissionDenied => StartError::NotPermitted { server, address },
        io::ErrorKind::AddrNotAvailable => StartError::NoSuchAddress { server, address },
        _ => StartError::System { server, address, error },
    }
}
