//! From a request to its answer: who, where, may they, what, and then the exchange.

use super::credentials::{allowed, bearer, invalid_token, too_many_failures, too_many_requests, unauthenticated};
use super::problem::{ApiProblem, Refusal};
use super::rate::{Buckets, counted_as};
use super::repeated::{self, Begun, Id, KEY_BYTES_MAX, Repeated};
use super::routes::{self, BASE, OPENAPI_PATH, Route, RouteRow, Verb};
use super::{
    ApiAnswer, ApiConfig, ApiRefusal, ApiRequest, Asked, AuthenticationFailed, Caller, Forbidden, Link, Management,
    body, content, cors, events, links, parse, tus,
};
use crate::listener::Seat;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version, header};
use axum::response::Response;
use hyper::body::Incoming;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The description of the API, for people and for generators of clients.
const OPENAPI: &str = include_str!("openapi.json");

/// What every request passes.
pub(crate) struct Gate {
    management: Arc<dyn Management>,
    pub(crate) config: ApiConfig,
    /// What each token may still ask, by its public name.
    requests: Mutex<Buckets<String>>,
    /// Of those that are asked once for every few bytes.
    chunks: Mutex<Buckets<String>>,
    /// What has come of requests that may be sent again.
    repeated: Mutex<Repeated>,
    /// How often each address may still be wrong.
    failures: Mutex<Buckets<IpAddr>>,
}

impl Gate {
    pub(crate) fn new(config: ApiConfig, management: Arc<dyn Management>) -> Self {
        let requests = Mutex::new(Buckets::new(config.requests_per_minute));
        let chunks = Mutex::new(Buckets::new(config.chunks_per_minute));
        let failures = Mutex::new(Buckets::new(config.failures_per_minute));
        Self { management, config, requests, chunks, failures, repeated: Mutex::default() }
    }

    pub(super) fn management(&self) -> &dyn Management {
        &*self.management
    }

    pub(crate) fn time_max(&self) -> Duration {
        Duration::from_secs(self.config.timeout_s.max(1))
    }

    /// Whose token is it, and may it be asked with now?
    async fn admit(self: &Arc<Self>, peer: IpAddr, head: &Parts, is_bulk: bool) -> Result<Caller, Refusal> {
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
                self.take(&caller.id, is_bulk)?;
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

    /// One request more of this caller.
    pub(super) fn take(&self, id: &String, is_bulk: bool) -> Result<(), Refusal> {
        let buckets = if is_bulk { &self.chunks } else { &self.requests };
        let taken = locked(buckets).take(id, Instant::now());
        taken.map_err(|seconds| self.counted(ApiRefusal::Rate, too_many_requests(seconds)))
    }

    /// For whom is the link, and may it be used now?
    async fn admit_link(
        self: &Arc<Self>,
        peer: IpAddr,
        head: &Parts,
        link: Link,
        is_bulk: bool,
    ) -> Result<Caller, Refusal> {
        let gate = self.clone();
        match self.on_waiting_thread(move || gate.management.by_link(&link)).await? {
            Ok(caller) => self.take(&caller.id, is_bulk).map(|()| caller),
            Err(refused) => {
                let counted = locked(&self.failures).take(&peer, Instant::now());
                counted.map_err(|seconds| self.counted(ApiRefusal::Failures, too_many_failures(seconds)))?;
                let asked = Asked { method: head.method.to_string(), path: head.uri.path().to_owned() };
                self.tell_failed(peer, AuthenticationFailed::Link(refused), asked);
                Err(self.counted(ApiRefusal::Unauthorized, links::refusal(refused)))
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
    pub(super) async fn on_waiting_thread<T: Send + 'static>(
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

    /// The body of a request, of the type that it has to have.
    async fn read(&self, row: &RouteRow, head: &Parts, body: Incoming) -> Result<Vec<u8>, Refusal> {
        let bytes_max = self.config.longest(row.route);
        if tus::is_tus(row.route) {
            tus::check_version(&head.headers)?;
        }
        if row.route == Route::UploadEvidence {
            tus::is_chunk(&head.headers)?;
            return body::read_any(body, bytes_max, self.time_max()).await;
        }
        body::read(&head.headers, body, bytes_max, self.time_max()).await
    }

    async fn carry_out(
        self: &Arc<Self>,
        row: &RouteRow,
        caller: Caller,
        request: ApiRequest,
        key: Option<Id>,
        asked: &HeaderMap,
    ) -> Result<Response, Refusal> {
        let id = caller.id.clone();
        let gate = self.clone();
        let carry_out = move || {
            let done = gate.management.carry_out(&caller, request);
            if let Some(key) = key {
                locked(&gate.repeated).finish(&key, &done);
            }
            done
        };
        let done = self.on_waiting_thread(carry_out).await;
        let answer = match done.and_then(|answer| answer.map_err(Refusal::from)) {
            Ok(ApiAnswer::Content(content)) => content::response(&content, asked),
            Ok(answer) => Ok(response_to(answer)),
            Err(refusal) => Err(refusal),
        };
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
    let found = routes::find(path);
    if let Some(options) =
        found.as_ref().and_then(|found| tus::options(&head.method, found, gate.config.upload_bytes_max))
    {
        return Ok(options);
    }
    let row = found.as_ref().and_then(|found| found.row(head.method.as_str()));
    let is_bulk = row.is_some_and(RouteRow::is_bulk);
    let mut query = head.uri.query().unwrap_or_default().to_owned();
    let by_link = found.as_ref().filter(|_| row.is_some_and(RouteRow::opens_by_link));
    let mut link = None;
    if let Some((said, rest)) = by_link.and_then(|found| links::split(&query, &found.params)) {
        (link, query) = (Some(said), rest);
    }
    // Whoever shows a token is whom the token says.
    let caller = match link.filter(|_| !head.headers.contains_key(header::AUTHORIZATION)) {
        Some(link) => gate.admit_link(peer, head, link, is_bulk).await?,
        None => gate.admit(peer, head, is_bulk).await?,
    };
    let Some(found) = found else {
        return Err(ApiProblem::not_found("nothing is at this path").into());
    };
    let row = row.ok_or_else(|| method_not_allowed(&found.allow()))?;
    if let Err(refusal) = allowed(row.role, caller.role) {
        let asked = Asked { method: head.method.to_string(), path: path.to_owned() };
        let forbidden = Forbidden { asked, role: row.role };
        gate.tell(move |management| management.forbidden(peer, &caller, &forbidden));
        return Err(gate.counted(ApiRefusal::Forbidden, refusal));
    }
    let bytes = gate.read(row, head, body).await?;
    let request = parse::parse_request(row.route, &found.params, &query, (&bytes, from), &head.headers)?;
    let key = match repeated_by(head, &caller)? {
        Some(key) => {
            let target = head.uri.path_and_query().map_or(path, |target| target.as_str());
            let asked = repeated::fingerprint(head.method.as_str(), target, &bytes);
            let begun = locked(&gate.repeated).begin(Instant::now(), &key, asked);
            match begun {
                Begun::New => Some(key),
                Begun::Answered(done) => return done.map_err(Refusal::from).map(response_to),
                Begun::Busy => {
                    let detail = "the request with this Idempotency-Key is being carried out";
                    return Err(ApiProblem::conflict(detail).into());
                }
                Begun::Other => {
                    let detail = "something else was asked with this Idempotency-Key";
                    return Err(ApiProblem::new(422, "key-reused", "The key was used before", detail).into());
                }
            }
        }
        None => None,
    };
    if let ApiRequest::Events(wanted) = request {
        let wanted = events::wanted(wanted, &head.headers)?;
        return events::answer(gate, caller, wanted, (head, from)).await;
    }
    // From here on something may happen that its asker must hear of.
    let _in_hand = head.extensions.get::<Seat>().map(Seat::take_in_hand);
    gate.carry_out(row, caller, request, key, &head.headers).await
}

/// The key by which a request that is sent again is known, when it has one. Of those that only make something so, twice is as
/// once anyway.
fn repeated_by(head: &Parts, caller: &Caller) -> Result<Option<Id>, Refusal> {
    let mut keys = head.headers.get_all(IDEMPOTENCY_KEY).iter();
    let (Some(key), true) = (keys.next(), head.method == Method::POST) else { return Ok(None) };
    let text = key.to_str().ok().filter(|text| !text.is_empty() && text.len() <= KEY_BYTES_MAX);
    match (text, keys.next()) {
        (Some(text), None) => Ok(Some((caller.id.clone(), text.to_owned()))),
        _ => {
            let detail = format!("Idempotency-Key must stand once, with 1 to {KEY_BYTES_MAX} characters of ASCII");
            Err(ApiProblem::new(400, "bad-key", "The key is none", detail).into())
        }
    }
}

/// As draft-ietf-httpapi-idempotency-key-header calls it.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

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

fn method_not_allowed(allow: &str) -> Refusal {
    let detail = format!("the methods of this path are {allow}");
    let problem = ApiProblem::new(405, "method-not-allowed", "Method not allowed", detail);
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.5.6
    Refusal::from(problem).with(header::ALLOW, allow)
}

fn response_to(answer: ApiAnswer) -> Response {
    let (status, body, location) = match answer {
        ApiAnswer::Upload(state) => return tus::response(state),
        // Nothing is asked for it that is sent again, so that it never comes here.
        ApiAnswer::Content(_) => (StatusCode::NO_CONTENT, None, None),
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
    response
}

/// Sets a header, when it can be one.
pub(crate) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    match HeaderValue::from_str(value) {
        Ok(value) => drop(headers.insert(name, value)),
        Err(_) => tracing::error!(%name, "what there is to say cannot stand in a header"),
    }
}

pub(crate) fn json(status: StatusCode, text: String) -> Response {
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
