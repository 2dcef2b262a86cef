//! From a request to its answer: who, where, may they, what, and then the exchange.

use super::problem::{ApiProblem, Refusal};
use super::rate::{Buckets, counted_as};
use super::routes::{self, BASE, OPENAPI_PATH, RouteRow, Verb};
use super::{
    ApiAnswer, ApiConfig, ApiRefusal, ApiRequest, Asked, AuthenticationFailed, Caller, Forbidden, Management, Role,
    body, cors, parse,
};
use crate::listener::Seat;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version, header};
use axum::response::Response;
use hyper::body::Incoming;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The description of the API, for people and for generators of clients.
const OPENAPI: &str = include_str!("openapi.json");
/// The longest token that is looked up; ours are far shorter.
const TOKEN_BYTES_MAX: usize = 256;

/// What every request passes.
pub(crate) struct Gate {
    management: Arc<dyn Management>,
    pub(crate) config: ApiConfig,
    /// What each token may still ask, by its public name.
    requests: Mutex<Buckets<String>>,
    /// How often each address may still be wrong.
    failures: Mutex<Buckets<IpAddr>>,
}

impl Gate {
    pub(crate) fn new(config: ApiConfig, management: Arc<dyn Management>) -> Self {
        let requests = Mutex::new(Buckets::new(config.requests_per_minute));
        let failures = Mutex::new(Buckets::new(config.failures_per_minute));
        Self { management, config, requests, failures }
    }

    pub(crate) fn time_max(&self) -> Duration {
        Duration::from_secs(self.config.timeout_s.max(1))
    }

    /// Whose token is it, and may it be asked with now?
    async fn admit(self: &Arc<Self>, peer: IpAddr, head: &Parts) -> Result<Caller, Refusal> {
        let asked = || Asked { method: head.method.to_string(), path: head.uri.path().to_owned() };
        let Some(token) = bearer(&head.headers)? else {
            self.tell_failed(peer, AuthenticationFailed::Missing, asked());
            return Err(self.counted(ApiRefusal::Unauthorized, unauthenticated()));
        };
        let caller = match token {
            Some(token) => {
                let gate = self.clone();
                self.on_waiting_thread(move || gate.management.authenticate(&token)).await?
            }
            None => Err(AuthenticationFailed::Unknown),
        };
        // A good token is heard from wherever it comes: behind one address there may be others who guess. What it opens is
        // found in the same time whether it is good or not, and 32 random bytes are not found by trying.
        match caller {
            Ok(caller) => {
                let taken = locked(&self.requests).take(&caller.id, Instant::now());
                taken.map_err(|seconds| self.counted(ApiRefusal::Rate, too_many_requests(seconds)))?;
                Ok(caller)
            }
            Err(AuthenticationFailed::Unavailable { reason }) => {
                tracing::error!(reason, "a token of the management API could not be looked up");
                Err(ApiProblem::unavailable("tokens cannot be looked up at the moment").into())
            }
            Err(failed) => {
                let counted = locked(&self.failures).take(&peer, Instant::now());
                counted.map_err(|seconds| self.counted(ApiRefusal::Failures, too_many_failures(seconds)))?;
                tracing::warn!(%peer, reason = %failed, "a token was refused by the management API");
                self.tell_failed(peer, failed, asked());
                Err(self.counted(ApiRefusal::Unauthorized, invalid_token()))
            }
        }
    }

    fn tell_failed(&self, peer: IpAddr, failed: AuthenticationFailed, asked: Asked) {
        self.tell(move |management| management.authentication_failed(peer, &failed, &asked));
    }

    /// Tells the exchange something that nobody waits for.
    fn tell(&self, what: impl FnOnce(&dyn Management) + Send + 'static) {
        let management = self.management.clone();
        drop(tokio::task::spawn_blocking(move || what(&*management)));
    }

    /// A refusal, which the exchange counts.
    fn counted(&self, why: ApiRefusal, refusal: Refusal) -> Refusal {
        self.management.refused(why);
        refusal
    }

    /// Does what may wait where others need not wait for it, and no longer than it may take. What has not begun by then,
    /// or when the client has gone, never begins.
    async fn on_waiting_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        // A set of one, which gives its task up when it is dropped.
        let mut task = JoinSet::new();
        task.spawn_blocking(work);
        match tokio::time::timeout(self.time_max(), task.join_next()).await {
            Ok(Some(Ok(done))) => Ok(done),
            Ok(_) => {
                tracing::error!("a request to the management API ended in a panic");
                Err(ApiProblem::internal().into())
            }
            Err(_) => {
                let detail = "the exchange did not answer in time; whether the request takes effect is not known";
                Err(ApiProblem::unavailable(detail).into())
            }
        }
    }

    async fn carry_out(
        self: &Arc<Self>,
        row: &RouteRow,
        caller: Caller,
        request: ApiRequest,
    ) -> Result<Response, Refusal> {
        let id = caller.id.clone();
        let gate = self.clone();
        let done = self.on_waiting_thread(move || gate.management.carry_out(&caller, request)).await;
        let answer = done.and_then(|answer| answer.map_err(Refusal::from)).and_then(response_to);
        let status = answer.as_ref().map_or_else(Refusal::status, Response::status).as_u16();
        // Neither path nor query nor body: they name people.
        if row.verb == Verb::Get {
            tracing::debug!(caller = id, route = ?row.route, status, "something was read by the management API");
        } else {
            tracing::info!(caller = id, route = ?row.route, status, "something was asked of the management API");
        }
        answer
    }
}

/// Answers a request; whatever is wrong with it is an answer too.
pub(crate) async fn answer(gate: Arc<Gate>, peer: SocketAddr, request: Request<Incoming>) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let mut response = match cors::origin(&head.headers, &gate.config.cors_origins) {
        Ok(origin) => {
            let mut response = match answer_or_refusal(&gate, peer, &head, body).await {
                Ok(response) => response,
                Err(refusal) => refusal.into_response(path),
            };
            if let Some(origin) = origin {
                cors::allow(response.headers_mut(), origin);
            }
            response
        }
        Err(refusal) => gate.counted(ApiRefusal::Origin, refusal).into_response(path),
    };
    secure(response.headers_mut());
    response
}

async fn answer_or_refusal(
    gate: &Arc<Gate>,
    peer: SocketAddr,
    head: &Parts,
    body: Incoming,
) -> Result<Response, Refusal> {
    let path = head.uri.path();
    has_one_host(head)?;
    if cors::is_preflight(head) {
        return cors::preflight(path);
    }
    if path.strip_prefix(BASE) == Some(OPENAPI_PATH) {
        return description(&head.method);
    }
    let from = peer.ip().to_canonical();
    let peer = counted_as(peer.ip());
    let caller = gate.admit(peer, head).await?;
    let Some(found) = routes::find(path) else {
        return Err(ApiProblem::not_found("nothing is at this path").into());
    };
    let row = found.row(head.method.as_str()).ok_or_else(|| method_not_allowed(&found.allow()))?;
    if let Err(refusal) = allowed(row.role, caller.role) {
        let asked = Asked { method: head.method.to_string(), path: path.to_owned() };
        let forbidden = Forbidden { asked, role: row.role };
        gate.tell(move |management| management.forbidden(peer, &caller, &forbidden));
        return Err(gate.counted(ApiRefusal::Forbidden, refusal));
    }
    let bytes = body::read(&head.headers, body, gate.config.longest(row.route), gate.time_max()).await?;
    let request = parse::parse_request(row.route, &found.params, head.uri.query().unwrap_or_default(), (&bytes, from))?;
    // From here on something may happen that its asker must hear of.
    let _in_hand = head.extensions.get::<Seat>().map(Seat::take_in_hand);
    gate.carry_out(row, caller, request).await
}

/// Does the request say whom it means, and once?
pub(crate) fn has_one_host(head: &Parts) -> Result<(), Refusal> {
    //= https://www.rfc-editor.org/rfc/rfc9112#section-3.2
    // A request of HTTP/1.1 without Host, or with more than one, must be answered with 400.
    let hosts = head.headers.get_all(header::HOST).iter().count();
    if hosts == 1 || (hosts == 0 && head.version < Version::HTTP_11) {
        return Ok(());
    }
    Err(ApiProblem::new(400, "malformed-request", "The request cannot be read", "it must have one Host header").into())
}

fn description(method: &Method) -> Result<Response, Refusal> {
    if method != Method::GET && method != Method::HEAD {
        return Err(method_not_allowed("GET, HEAD"));
    }
    Ok(json(StatusCode::OK, DESCRIPTION.clone()))
}

/// The description as it is served: where it says that anything else is a problem, it says which that can be.
static DESCRIPTION: LazyLock<String> = LazyLock::new(|| {
    let each: Vec<String> = PROBLEMS.iter().map(|status| format!("\"{status}\": {PROBLEM}")).collect();
    OPENAPI.replace(&format!("\"default\": {PROBLEM}"), &each.join(", "))
});
const PROBLEM: &str = r##"{ "$ref": "#/components/responses/Problem" }"##;
/// What an answer to any request can be instead of what was asked for.
const PROBLEMS: [u16; 12] = [400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 503];

/// The token that a request shows: none at all, one that cannot be a token, or one to look up.
//= https://www.rfc-editor.org/rfc/rfc6750#section-2.1
fn bearer(headers: &HeaderMap) -> Result<Option<Option<String>>, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        let detail = "a request may have one Authorization header";
        let refusal = Refusal::from(ApiProblem::new(400, "two-tokens", "More than one token", detail));
        return Err(refusal.with(header::WWW_AUTHENTICATE, "Bearer realm=\"strowger\", error=\"invalid_request\""));
    }
    let token = value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        let token = token.trim_matches(' ');
        let known = scheme.eq_ignore_ascii_case("bearer") && is_token(token);
        known.then(|| token.to_owned())
    });
    Ok(Some(token))
}

/// Can it be a token at all?
fn is_token(text: &str) -> bool {
    let bytes = text.trim_end_matches('=').as_bytes();
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    !bytes.is_empty() && text.len() <= TOKEN_BYTES_MAX && bytes.iter().all(good)
}

fn allowed(wanted: Role, has: Role) -> Result<(), Refusal> {
    if has >= wanted {
        return Ok(());
    }
    let detail = format!("this needs the role {}, and the token has the role {}", wanted.as_str(), has.as_str());
    let refusal = Refusal::from(ApiProblem::new(403, "insufficient-scope", "The token's role is too low", detail));
    //= https://www.rfc-editor.org/rfc/rfc6750#section-3.1
    // insufficient_scope: 403, and the scope that would do may be named.
    let challenge = format!("Bearer realm=\"strowger\", error=\"insufficient_scope\", scope=\"{}\"", wanted.as_str());
    Err(refusal.with(header::WWW_AUTHENTICATE, &challenge))
}

fn unauthenticated() -> Refusal {
    let detail = "this needs a token in an Authorization header";
    let refusal = Refusal::from(ApiProblem::new(401, "unauthenticated", "No token", detail));
    //= https://www.rfc-editor.org/rfc/rfc6750#section-3.1
    // A request that shows nothing is not told what is wrong with it.
    refusal.with(header::WWW_AUTHENTICATE, "Bearer realm=\"strowger\"")
}

fn invalid_token() -> Refusal {
    // The same words for unknown, expired and revoked: who guesses learns nothing from them.
    let refusal = Refusal::from(ApiProblem::new(401, "invalid-token", "The token opens nothing", "use a valid token"));
    refusal.with(header::WWW_AUTHENTICATE, "Bearer realm=\"strowger\", error=\"invalid_token\"")
}

fn method_not_allowed(allow: &str) -> Refusal {
    let detail = format!("the methods of this path are {allow}");
    let problem = ApiProblem::new(405, "method-not-allowed", "Method not allowed", detail);
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.5.6
    Refusal::from(problem).with(header::ALLOW, allow)
}

fn too_many_failures(seconds: u64) -> Refusal {
    Refusal::too_many("too-many-failures", "too many tokens from this address opened nothing", seconds)
}

fn too_many_requests(seconds: u64) -> Refusal {
    Refusal::too_many("too-many-requests", "this token has asked too often", seconds)
}

fn response_to(answer: ApiAnswer) -> Result<Response, Refusal> {
    let (status, body, location) = match answer {
        ApiAnswer::Json(body) => (StatusCode::OK, Some(body), None),
        ApiAnswer::Accepted => (StatusCode::ACCEPTED, None, None),
        ApiAnswer::NoContent => (StatusCode::NO_CONTENT, None, None),
        ApiAnswer::Created { location, body } => (StatusCode::CREATED, Some(body), Some(location)),
    };
    let mut response = match body {
        Some(body) => json(status, body.to_string()),
        None => Response::new(Body::empty()),
    };
    *response.status_mut() = status;
    if let Some(location) = location {
        // What was made is made, so that an odd place is no reason to say otherwise.
        match HeaderValue::from_str(&location) {
            Ok(location) => drop(response.headers_mut().insert(header::LOCATION, location)),
            Err(_) => tracing::error!("the place of something new cannot stand in a header"),
        }
    }
    Ok(response)
}

fn json(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Nothing is stored, guessed at, framed, or passed on by a browser.
fn secure(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::VARY, "origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Nothing is done while a lock is held that could leave a bucket half filled.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
