//! From path, query and body to a request, or to everything that is wrong with them.

mod calls;
mod council;

use super::bounds::{
    ADDRESS_BYTES_MAX, BAN_SECONDS_MAX, IDENTIFIER_BYTES_MAX, LIMIT_DEFAULT, LIMIT_MAX, REASON_BYTES_MAX,
    TOKEN_EXPIRES_SECONDS_MAX,
};
use super::fields::Fields;
use super::problem::{ApiProblem, FieldProblem, Place};
use super::request::{ApiRequest, Ballot, EventsWanted};
use super::routes::Route;
use super::{Role, TOKEN_NAME_BYTES_MAX, tus};
use axum::http::HeaderMap;
use std::net::{IpAddr, Ipv4Addr};

/// What a body says.
#[derive(Clone, Debug, PartialEq)]
pub enum ApiBody {
    /// Nothing, and nothing may be said.
    Nothing,
    /// How long and why.
    Ban {
        /// For so long.
        seconds: u64,
        /// Why.
        reason: String,
    },
    /// What the policy is to be told, an object.
    Facts(serde_json::Value),
    /// A call that is to go on here.
    Call {
        /// The worker that had it.
        worker: u16,
        /// What it is.
        snapshot: serde_json::Value,
    },
    /// Who is to be called, and who is to talk to them.
    Parties {
        /// A user, a number, an address or its URI.
        from: String,
        /// Another.
        to: String,
    },
    /// Whom a room is to call.
    Member {
        /// A user, a number, an address or its URI.
        to: String,
    },
    /// The message of an agent, which whoever carries it out reads.
    Message(Vec<u8>),
    /// The SHA-256 of what has come.
    Hash([u8; 32]),
    /// For whom a link is, and for how long.
    Link {
        /// For whom.
        to: String,
        /// For how long.
        seconds: Option<u64>,
    },
    /// What the council is asked.
    Question {
        /// The question.
        question: String,
        /// For how long ballots are taken.
        seconds: u64,
    },
    /// What a guardian says to it.
    Ballot(Ballot),
    /// A token to be made.
    Token {
        /// Whose or what for.
        name: String,
        /// What it may do.
        role: Role,
        /// Valid for so long; `None` until it is revoked.
        expires_s: Option<u64>,
    },
}

/// Reads the body of a request for this route.
///
/// # Errors
/// 400 when it is not JSON, 422 with all fields that are at fault when it does not say what the route wants.
pub fn parse_body(route: Route, bytes: &[u8]) -> Result<ApiBody, ApiProblem> {
    if route == Route::Escalate {
        return Ok(ApiBody::Message(bytes.to_vec()));
    }
    let mut fields = with_body(route, bytes)?;
    let body = match route {
        Route::Ban => {
            let (seconds, reason) = ban(&mut fields);
            ApiBody::Ban { seconds, reason }
        }
        Route::PolicyExplain => ApiBody::Facts(object(&mut fields, "facts")),
        Route::ImportCall => {
            let (worker, snapshot) = calls::exported(&mut fields);
            ApiBody::Call { worker, snapshot }
        }
        Route::Originate => {
            let (from, to) = calls::both(&mut fields);
            ApiBody::Parties { from, to }
        }
        Route::Invite => ApiBody::Member { to: member(&mut fields) },
        Route::OpenVote => {
            let (question, seconds) = council::question(&mut fields);
            ApiBody::Question { question, seconds }
        }
        Route::AcknowledgeEvidence => ApiBody::Hash(council::sha256(&mut fields)),
        Route::LinkEvidence => {
            let (to, seconds) = council::link(&mut fields);
            ApiBody::Link { to, seconds }
        }
        Route::CastBallot => ApiBody::Ballot(council::ballot(&mut fields)),
        Route::CreateToken => {
            let (name, role, expires_s) = token(&mut fields);
            ApiBody::Token { name, role, expires_s }
        }
        _ => ApiBody::Nothing,
    };
    fields.finish().map(|()| body)
}

/// Does a request for this route have a body?
pub(crate) const fn wants_body(route: Route) -> bool {
    matches!(
        route,
        Route::Ban
            | Route::PolicyExplain
            | Route::CreateToken
            | Route::ImportCall
            | Route::Originate
            | Route::Invite
            | Route::Escalate
            | Route::AcknowledgeEvidence
            | Route::LinkEvidence
            | Route::OpenVote
            | Route::CastBallot
    )
}

/// Reads a whole request, which came from this address.
pub(crate) fn parse_request(
    route: Route,
    params: &[(&'static str, &str)],
    query: &str,
    (bytes, from): (&[u8], IpAddr),
    headers: &HeaderMap,
) -> Result<ApiRequest, ApiProblem> {
    let is_taken_whole = matches!(route, Route::Escalate | Route::UploadEvidence);
    let mut fields = if is_taken_whole { Fields::default() } else { with_body(route, bytes)? };
    fields.add_path(params);
    fields.add_query(query);
    let request = match route {
        Route::Escalate => ApiRequest::Escalate { message: bytes.to_vec(), from },
        Route::AddEvidence => {
            ApiRequest::AddEvidence { id: identifier(&mut fields, "id"), upload: tus::parse_new_upload(headers)? }
        }
        Route::UploadEvidence => {
            let (id, piece) = (identifier(&mut fields, "id"), identifier(&mut fields, "piece"));
            ApiRequest::UploadEvidence { id, piece, chunk: tus::parse_chunk(headers, bytes)? }
        }
        _ => request(route, &mut fields),
    };
    fields.finish().map(|()| request)
}

fn with_body(route: Route, bytes: &[u8]) -> Result<Fields, ApiProblem> {
    let mut fields = Fields::default();
    if wants_body(route) {
        fields.add_body(bytes)?;
    } else if !bytes.is_empty() {
        let detail = "must be empty for this request".to_owned();
        return Err(ApiProblem::invalid(vec![FieldProblem { field: "body".into(), place: Place::Body, detail }]));
    }
    Ok(fields)
}

fn request(route: Route, fields: &mut Fields) -> ApiRequest {
    match route {
        Route::Calls
        | Route::Call
        | Route::Originate
        | Route::ChangeParty
        | Route::Hangup
        | Route::ExportCall
        | Route::ImportCall
        | Route::Record => calls::request(route, fields),
        Route::Trunks => ApiRequest::Trunks,
        Route::Rooms => ApiRequest::Rooms,
        Route::Invite => ApiRequest::Invite { room: identifier(fields, "room"), to: member(fields) },
        Route::Ndi => ApiRequest::Ndi,
        Route::Events => ApiRequest::Events(events(fields)),
        Route::Sources => {
            ApiRequest::Sources { banned_only: fields.flag("banned").unwrap_or(false), limit: limit(fields) }
        }
        Route::Source => ApiRequest::Source { address: address(fields) },
        Route::Ban => {
            let (seconds, reason) = ban(fields);
            ApiRequest::Ban { address: address(fields), seconds, reason }
        }
        Route::Unban => ApiRequest::Unban { address: address(fields) },
        Route::Policy => ApiRequest::Policy,
        Route::PolicyExplain => ApiRequest::PolicyExplain { facts: object(fields, "facts") },
        Route::ReloadConfig => ApiRequest::ReloadConfig,
        Route::ReloadPolicy => ApiRequest::ReloadPolicy,
        Route::Drain => ApiRequest::Drain,
        Route::Undrain => ApiRequest::Undrain,
        Route::Registrations => {
            let user = fields.text(Place::Query, "user", ADDRESS_BYTES_MAX);
            ApiRequest::Registrations { user, limit: limit(fields) }
        }
        Route::Unregister => {
            let aor = fields.text(Place::Path, "aor", ADDRESS_BYTES_MAX);
            ApiRequest::Unregister { aor: fields.required(Place::Path, "aor", aor) }
        }
        Route::WitnessStatus => ApiRequest::WitnessStatus,
        Route::WitnessTrace => {
            ApiRequest::WitnessTrace { trace_id: identifier(fields, "trace_id"), limit: limit(fields) }
        }
        Route::Tokens => ApiRequest::Tokens,
        Route::CreateToken => {
            let (name, role, expires_s) = token(fields);
            ApiRequest::CreateToken { name, role, expires_s }
        }
        Route::RevokeToken => ApiRequest::RevokeToken { id: identifier(fields, "id") },
        Route::Version => ApiRequest::Version,
        _ => council::request(route, fields),
    }
}

fn limit(fields: &mut Fields) -> u32 {
    let limit = fields.integer(Place::Query, "limit", 1..=LIMIT_MAX.into());
    limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(LIMIT_DEFAULT)
}

fn events(fields: &mut Fields) -> EventsWanted {
    let after = fields.integer(Place::Query, "after", 0..=EVENT_MAX);
    let kinds = fields.text(Place::Query, "kinds", IDENTIFIER_BYTES_MAX).unwrap_or_default();
    EventsWanted { after, kinds: kinds.split(',').filter(|kind| !kind.is_empty()).map(str::to_owned).collect() }
}

/// The highest number that every client can say.
const EVENT_MAX: u64 = (1 << 53) - 1;

/// The longest word of a choice, and more.
const WORD_BYTES_MAX: usize = 32;

fn identifier(fields: &mut Fields, name: &str) -> String {
    let text = fields.text(Place::Path, name, IDENTIFIER_BYTES_MAX);
    fields.required(Place::Path, name, text)
}

fn address(fields: &mut Fields) -> IpAddr {
    let text = fields.value(Place::Path, "address");
    match text.as_ref().and_then(|text| text.as_str()?.parse::<IpAddr>().ok()) {
        // One host has one name: the IPv4 address within an IPv6 one is that address.
        Some(address) => address.to_canonical(),
        None => {
            fields.fault("address", Place::Path, "must be an IPv4 or IPv6 address");
            Ipv4Addr::UNSPECIFIED.into()
        }
    }
}

fn member(fields: &mut Fields) -> String {
    let to = fields.text(Place::Body, "to", ADDRESS_BYTES_MAX);
    fields.required(Place::Body, "to", to)
}

fn ban(fields: &mut Fields) -> (u64, String) {
    let seconds = fields.integer(Place::Body, "seconds", 1..=BAN_SECONDS_MAX);
    let seconds = fields.required(Place::Body, "seconds", seconds);
    let reason = fields.text(Place::Body, "reason", REASON_BYTES_MAX);
    (seconds, fields.required(Place::Body, "reason", reason))
}

fn object(fields: &mut Fields, name: &'static str) -> serde_json::Value {
    let value = fields.value(Place::Body, name);
    if value.as_ref().is_some_and(|value| !value.is_object()) {
        fields.fault(name, Place::Body, "must be an object");
    }
    fields.required(Place::Body, name, value)
}

fn token(fields: &mut Fields) -> (String, Role, Option<u64>) {
    let name = fields.text(Place::Body, "name", TOKEN_NAME_BYTES_MAX);
    let name = fields.required(Place::Body, "name", name);
    let role = fields.value(Place::Body, "role");
    let known = role.as_ref().and_then(|role| Role::from_name(role.as_str()?));
    if known.is_none() {
        fields.fault("role", Place::Body, "must be viewer, operator or administrator");
    }
    let expires_s = fields.integer(Place::Body, "expires_s", 1..=TOKEN_EXPIRES_SECONDS_MAX);
    (name, known.unwrap_or(Role::Viewer), expires_s)
}
