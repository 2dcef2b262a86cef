//! The server for management: everything under `/api/v1`.
//!
//! A second server beside the one for probes: it asks who somebody is, and it changes things. It knows the shape of
//! every request (path, query, body), who may make it, and what each refusal looks like; it deliberately does not know
//! what a call, a ban or a policy is, where tokens are kept, or how a change is witnessed. All that is behind
//! [`Management`], whose answers it passes on.
//!
//! ```text
//!  connection ─► origin ─► token ─► rate ─► path ─► method ─► role ─► body ─► fields ─► Management
//!     64 max      403     401 429   429     404      405      403   413 415  400 422
//! ```
//!
//! Whoever has no valid token learns nothing but where the description is: `GET /api/v1/openapi.json`.
//!
//! ```
//! use std::sync::Arc;
//! use sx_http::{ApiAnswer, ApiConfig, ApiProblem, ApiRequest, ApiServer, AuthenticationFailed, Caller, Management, Role};
//!
//! struct Exchange;
//! impl Management for Exchange {
//!     fn authenticate(&self, token: &str) -> Result<Caller, AuthenticationFailed> {
//!         let caller = || Caller { name: "anna".into(), role: Role::Viewer, id: "0a1b2c3d4e5f".into() };
//!         (token == "sxt_only-an-example").then(caller).ok_or(AuthenticationFailed::Unknown)
//!     }
//!     fn carry_out(&self, _: &Caller, request: ApiRequest) -> Result<ApiAnswer, ApiProblem> {
//!         match request {
//!             ApiRequest::Version => Ok(ApiAnswer::Json(serde_json::json!({ "version": "1.0.0" }))),
//!             _ => Err(ApiProblem::not_found("there is nothing else here")),
//!         }
//!     }
//! }
//!
//! let config = ApiConfig::new("127.0.0.1:0".parse().expect("an address"));
//! let server = ApiServer::start(config, Arc::new(Exchange)).expect("a free port");
//! assert_ne!(server.local_addr().port(), 0);
//! server.stop();
//! ```

pub(crate) mod answer;
pub(crate) mod body;
mod bounds;
mod content;
mod cors;
mod credentials;
mod events;
mod fields;
mod json;
mod links;
mod parse;
pub(crate) mod problem;
pub(crate) mod rate;
mod repeated;
mod request;
mod routes;
mod server;
mod socket;
pub(crate) mod tls_config;
mod tus;

pub use bounds::{
    ADDRESS_BYTES_MAX, BAN_SECONDS_MAX, IDENTIFIER_BYTES_MAX, LIMIT_DEFAULT, LIMIT_MAX, LINK_SECONDS_MAX,
    QUESTION_BYTES_MAX, REASON_BYTES_MAX, TOKEN_EXPIRES_SECONDS_MAX, VOTE_SECONDS_MAX,
};
pub use content::Content;
pub use events::{Event, EventSink, Unheard};
pub use links::{Link, LinkRefused};
pub use parse::{ApiBody, parse_body};
pub use problem::{ApiProblem, FieldProblem, Place, ProblemMore};
pub use request::{
    ApiRequest, Ballot, Chunk, EventsWanted, MemberOrder, NewUpload, PartyName, PartyOrder, RecordingOrder,
};
pub use routes::{BASE, OPENAPI_PATH, ROUTES, Route, RouteRow, Verb};
pub use server::{ApiConfig, ApiServer, CALL_BYTES_MAX};
pub use tls_config::{ApiTlsError, api_tls};
pub use tus::{CHUNK_BYTES_MAX, FILE_NAME_BYTES_MAX, UploadState, parse_chunk, parse_new_upload};

use std::net::IpAddr;
pub use sx_types::{Role, TOKEN_NAME_BYTES_MAX};

/// What the API asks of the exchange. All methods are called on threads that may wait, several at a time; each returns
/// soon or fails.
pub trait Management: Send + Sync + 'static {
    /// Whose token is it?
    ///
    /// # Errors
    /// Why it opens nothing. The client hears the same whatever the reason; the log has it.
    fn authenticate(&self, token: &str) -> Result<Caller, AuthenticationFailed>;

    /// For whom is a link, who may then see the evidence of one escalation?
    ///
    /// # Errors
    /// When it is not as it was made, or its time is over.
    fn by_link(&self, _link: &Link) -> Result<Caller, LinkRefused> {
        Err(LinkRefused::Forged)
    }

    /// Whoever asked this from this address has shown a token that opens nothing, or none, to be written down for those
    /// who look for guessers. Of wrong tokens an address is told no more often than it may be wrong; the client does not
    /// wait for it.
    fn authentication_failed(&self, _peer: IpAddr, _failed: &AuthenticationFailed, _asked: &Asked) {}

    /// The role of whoever asked this from this address does not allow it, to be written down. No more often than a token
    /// may ask; the client does not wait for it.
    fn forbidden(&self, _peer: IpAddr, _caller: &Caller, _asked: &Forbidden) {}

    /// A request was refused before it was looked at, to be counted. It is called for each, and does not wait.
    fn refused(&self, _why: ApiRefusal) {}

    /// Tells of events from now on, or from those on that are asked for, until the sink is dropped or unheard.
    ///
    /// # Errors
    /// The problem that the client is told: too many have subscribed, or the events are kept no longer.
    fn subscribe(&self, _caller: &Caller, _wanted: &EventsWanted, _sink: EventSink) -> Result<(), ApiProblem> {
        Err(ApiProblem::not_found("there are no events here"))
    }

    /// Does what is asked, for a caller whose role allows it. A change is witnessed before it takes effect.
    ///
    /// # Errors
    /// The problem that the client is told.
    fn carry_out(&self, caller: &Caller, request: ApiRequest) -> Result<ApiAnswer, ApiProblem>;
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name that was given to the token.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The public name of the token, which logs may bear.
    pub id: String,
}

/// What somebody has asked who was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// By which method, as it was sent.
    pub method: String,
    /// The path, as it was sent, without what stands behind the question mark.
    pub path: String,
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// What somebody may not ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forbidden {
    /// What it was.
    pub asked: Asked,
    /// The lowest role that may.
    pub role: Role,
}

/// Why a request is refused before anybody looks at what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiRefusal {
    /// The token has asked too often in this minute.
    Rate,
    /// It shows a token that opens nothing, and too many such have come from its address.
    Failures,
    /// It shows no token, or one that opens nothing.
    Unauthorized,
    /// The token's role does not allow it.
    Forbidden,
    /// It comes from a page of an origin that may not.
    Origin,
}

impl ApiRefusal {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Rate, Self::Failures, Self::Unauthorized, Self::Forbidden, Self::Origin];

    /// The label of a metric.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Failures => "failures",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Origin => "origin",
        }
    }
}

/// Why a token opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticationFailed {
    /// None was shown.
    #[error("no token")]
    Missing,
    /// Nobody was given it.
    #[error("no such token")]
    Unknown,
    /// A link that opens evidence is not as it was made, or its time is over.
    #[error("{0}")]
    Link(LinkRefused),
    /// Its time is over.
    #[error("the token {id} has expired")]
    Expired {
        /// The public name of the token.
        id: String,
    },
    /// It was taken back.
    #[error("the token {id} was revoked")]
    Revoked {
        /// The public name of the token.
        id: String,
    },
    /// What it may do is said in a word that this program does not know.
    #[error("the role of the token {id} is not known")]
    Role {
        /// The public name of the token.
        id: String,
    },
    /// The fault is ours: nobody can be asked at the moment. It does not count against the client.
    #[error("tokens cannot be looked up: {reason}")]
    Unavailable {
        /// What is the matter, for the log.
        reason: String,
    },
}

/// What the client is told when all went well.
#[derive(Clone, Debug, PartialEq)]
pub enum ApiAnswer {
    /// 200 and a document.
    Json(serde_json::Value),
    /// 202: it was begun and is not done.
    Accepted,
    /// 204: it is done and there is nothing to say.
    NoContent,
    /// How an upload stands: 201 where it was made, 200 where there is more to say, else 204.
    Upload(UploadState),
    /// 200 or 206: a file.
    Content(Content),
    /// 201: something new is at `location`.
    Created {
        /// Its path.
        location: String,
        /// What it is.
        body: serde_json::Value,
    },
}
