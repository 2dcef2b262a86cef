//! A client of HTTP: one request, one answer, everything bounded.
//!
//! ```text
//!  send ─► resolve ─► connect ─► TLS, if https ─► request ─► status, type, at most 64 KiB of body
//!              └──── 5 s each ───────┘                └──────── 15 s for all together ────────┘
//! ```
//!
//! It follows no redirection, keeps no connection and decodes nothing: it is for saying something to a service that
//! is known. What the answer means is for whoever asks. `send` waits, so it is called on a thread that may.

mod objects;
mod signature;
mod trust;
mod url;

pub use objects::{ObjectStore, Retention, RetentionMode};
pub use trust::{ClientTls, ClientTlsError, client_tls};
pub use url::{HttpUrl, UrlError};

use crate::api::Verb;
use crate::tls;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request, Response, header};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A client, with its own event loop on whatever thread asks.
#[derive(Debug)]
pub struct HttpClient {
    tls: Option<Arc<rustls::ClientConfig>>,
    limits: ClientLimits,
    /// Tokens may go to addresses of this machine without TLS.
    trusts_loopback: bool,
    interrupted: watch::Sender<bool>,
    /// There until it is dropped.
    runtime: Option<Runtime>,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct ClientLimits {
    /// To find the address of a host; to connect to an address; to agree on encryption.
    pub connect: Duration,
    /// From the beginning to the end of the answer.
    pub whole: Duration,
    /// The longest body of an answer.
    pub answer_bytes_max: usize,
}

/// What is to be sent.
#[derive(Clone, Copy, Debug)]
pub struct ClientRequest<'a> {
    /// How.
    pub verb: Verb,
    /// Where to.
    pub url: &'a HttpUrl,
    /// The type of the body.
    pub media_type: &'static str,
    /// Further headers.
    pub headers: &'a [(&'static str, String)],
    /// What shows who sends it. It is not sent without TLS.
    pub bearer: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

/// What has come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAnswer {
    /// The status.
    pub status: u16,
    /// The type of the body, as it was said.
    pub media_type: Option<String>,
    /// The headers that are text.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why nothing has come back.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The host has no address.
    #[error("the host {host} cannot be resolved: {error}")]
    Resolve {
        /// The host.
        host: String,
        /// Why.
        error: io::Error,
    },
    /// None of its addresses takes a connection.
    #[error("no connection to {host}: {error}")]
    Connect {
        /// The host.
        host: String,
        /// Why the last one did not.
        error: io::Error,
    },
    /// There is no TLS with it: most often its certificate is not trusted.
    #[error("no TLS with {host}: {error}")]
    Tls {
        /// The host.
        host: String,
        /// Why.
        error: io::Error,
    },
    /// A token would have been read on the way.
    #[error("a token is not sent without TLS")]
    TokenWithoutTls,
    /// What should show who we are cannot stand in a header.
    #[error("the token has characters that no header may have")]
    Token,
    /// What is to be said cannot stand in a header.
    #[error("a text has characters that no header may have")]
    Header,
    /// The URL cannot be made.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// What came is no answer of HTTP, or broke off.
    #[error("the answer cannot be read: {0}")]
    Answer(#[from] hyper::Error),
    /// The answer is too long.
    #[error("the answer has more than {0} bytes")]
    TooLong(usize),
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
    /// Whoever asked does not want to know any more.
    #[error("interrupted")]
    Interrupted,
}

/// Ends what a client waits for, from another thread.
#[derive(Clone, Debug)]
pub struct Interrupt(watch::Sender<bool>);

/// The longest body of an answer.
pub const ANSWER_BYTES_MAX: usize = 65_536;
/// The longest status line and headers together.
const HEAD_BYTES_MAX: usize = 16_384;
const HEADERS_MAX: usize = 64;

impl Default for ClientLimits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), whole: Duration::from_secs(15), answer_bytes_max: ANSWER_BYTES_MAX }
    }
}

impl Interrupt {
    /// Whatever the client waits for fails, now and from now on.
    pub fn interrupt(&self) {
        self.0.send_replace(true);
    }
}

impl ClientAnswer {
    /// The value of a header, whose name is in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// Was it done?
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.3
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl HttpClient {
    /// A client that trusts whom `tls` trusts ([`client_tls`] makes one of PEM); without it, one that speaks no TLS.
    ///
    /// # Errors
    /// When the operating system gives no event loop.
    pub fn new(tls: Option<Arc<rustls::ClientConfig>>, limits: ClientLimits) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
        Ok(Self { tls, limits, trusts_loopback: false, interrupted: watch::Sender::new(false), runtime: Some(runtime) })
    }

    /// The same; tokens also go to addresses of this machine without TLS: nobody is on the way.
    #[must_use]
    pub fn trusting_loopback(mut self) -> Self {
        self.trusts_loopback = true;
        self
    }

    /// What ends its waiting.
    pub fn interrupt(&self) -> Interrupt {
        Interrupt(self.interrupted.clone())
    }

    /// Sends a request, and waits for the answer.
    ///
    /// # Errors
    /// When there is none. Any status is an answer.
    pub fn send(&self, request: &ClientRequest<'_>) -> Result<ClientAnswer, ClientError> {
        self.ask(request.url, wanted(request, self.trusts_loopback)?)
    }

    fn ask(&self, url: &HttpUrl, wanted: Request<Body>) -> Result<ClientAnswer, ClientError> {
        let Some(runtime) = &self.runtime else { return Err(ClientError::Interrupted) };
        let mut interrupted = self.interrupted.subscribe();
        runtime.block_on(async {
            tokio::select! {
                _ = interrupted.wait_for(|interrupted| *interrupted) => Err(ClientError::Interrupted),
                answer = timeout(self.limits.whole, self.exchange(url, wanted)) => answer.unwrap_or(Err(ClientError::TimedOut)),
            }
        })
    }

    async fn exchange(&self, url: &HttpUrl, wanted: Request<Body>) -> Result<ClientAnswer, ClientError> {
        let stream = self.connect(url).await?;
        let Some(name) = url.server_name() else { return converse(stream, wanted, self.limits.answer_bytes_max).await };
        let tls_error = |error| ClientError::Tls { host: url.host().to_owned(), error };
        let Some(config) = self.tls.clone() else {
            return Err(tls_error(io::Error::new(io::ErrorKind::Unsupported, "no authorities are known")));
        };
        match timeout(self.limits.connect, tls::connect(stream, config, name)).await {
            Ok(Ok(stream)) => converse(stream, wanted, self.limits.answer_bytes_max).await,
            Ok(Err(error)) => Err(tls_error(error)),
            Err(_) => Err(tls_error(io::ErrorKind::TimedOut.into())),
        }
    }

    /// A connection to the first address of the host that takes one.
    async fn connect(&self, url: &HttpUrl) -> Result<TcpStream, ClientError> {
        let host = || url.host().to_owned();
        let found = match timeout(self.limits.connect, tokio::net::lookup_host((url.host(), url.port()))).await {
            Ok(found) => found.map_err(|error| ClientError::Resolve { host: host(), error })?,
            Err(_) => return Err(ClientError::Resolve { host: host(), error: io::ErrorKind::TimedOut.into() }),
        };
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in found {
            match timeout(self.limits.connect, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(ClientError::Connect { host: host(), error: last })
    }
}

impl Drop for HttpClient {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A host that is still being resolved is not waited for.
            runtime.shutdown_background();
        }
    }
}

/// The request as hyper sends it.
fn wanted(request: &ClientRequest<'_>, trusts_loopback: bool) -> Result<Request<Body>, ClientError> {
    let mut wanted = Request::new(Body::from(request.body.to_vec()));
    *wanted.method_mut() = request.verb.method();
    *wanted.uri_mut() = request.url.target();
    let headers = wanted.headers_mut();
    headers.insert(header::HOST, request.url.host_header());
    headers.insert(header::USER_AGENT, HeaderValue::from_static("strowger"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(request.media_type));
    for (name, value) in request.headers {
        let value = HeaderValue::try_from(value).map_err(|_| ClientError::Header)?;
        headers.insert(HeaderName::from_static(name), value);
    }
    if let Some(token) = request.bearer {
        //= https://www.rfc-editor.org/rfc/rfc6750#section-5.3
        // Tokens are to be shown over TLS only.
        let is_unheard = request.url.is_secure() || (trusts_loopback && request.url.is_loopback());
        if !is_unheard {
            return Err(ClientError::TokenWithoutTls);
        }
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| ClientError::Token)?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(wanted)
}

async fn converse<S>(stream: S, wanted: Request<Body>, bytes_max: usize) -> Result<ClientAnswer, ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    // Dropped with this set, the connection ends with the answer, or with the time.
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let (head, body) = sender.send_request(wanted).await.map(Response::into_parts)?;
    let media_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let text = |(name, value): (&HeaderName, &HeaderValue)| Some((name.to_string(), value.to_str().ok()?.to_owned()));
    let headers = head.headers.iter().filter_map(text).collect();
    Ok(ClientAnswer { status: head.status.as_u16(), media_type, headers, body: read(body, bytes_max).await? })
}

async fn read(mut body: Incoming, bytes_max: usize) -> Result<Vec<u8>, ClientError> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        // Trailers say nothing here.
        let Ok(data) = frame?.into_data() else { continue };
        if data.len() > bytes_max - bytes.len() {
            return Err(ClientError::TooLong(bytes_max));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}
