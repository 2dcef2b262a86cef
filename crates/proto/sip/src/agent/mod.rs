//! The user agent core of one worker: every session and every request outside of one.
//!
//! [`Agent`] is driven by its owner: [`receive`](Agent::receive) takes each message and deals with all that belongs to a
//! transaction or a dialog; a new request outside of a dialog is handed back, for the owner to admit, refuse or answer, and so is
//! what is malformed or belongs to nothing, for not everybody may be told so.
//! It deliberately does not know who may call whom, what a call is or where a user is registered.
//!
//! The loop: `receive` or `handle_timeout` or any verb, then drain [`poll_transmit`](Agent::poll_transmit) and
//! [`poll_event`](Agent::poll_event); call `handle_timeout` when [`poll_timeout`](Agent::poll_timeout) says so.

mod disposition;
mod request;
mod sessions;
#[cfg(test)]
mod tests;

pub use disposition::Disposition;
pub use request::{OutgoingRequest, RequestId};
pub use sessions::{AcceptError, DialError, ReplaceError};

use crate::local::Locals;
use crate::message::{HeaderName, Message, Method, NameAddr, OwnedMessage, Writer};
use crate::session::{Session, SessionEvent, SessionId, SessionTimer, hang_up_late};
use crate::transaction::{
    Failure, Reply, RequestMatch, ServerId, Timers, TransactionCounts, TransactionEvent, Transactions, Transmit,
};
use request::Requests;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use sx_engine::{Arena, Key, Rng, Time, TimerId, Wheel};
use sx_types::{Flow, Ticket};

/// The extensions we support, for Supported.
pub const SUPPORTED: &str = "100rel, replaces, timer";

/// The methods we know, for Allow.
pub const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY, MESSAGE, REGISTER";

/// What an agent is told once.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// The worker's number, written into branches and tags.
    pub worker: u16,
    /// Transaction timers.
    pub timers: Timers,
    /// How long an INVITE of ours may go without a final response after a provisional one.
    pub invite_timeout: Duration,
    /// The value of User-Agent and Server.
    pub user_agent: Box<str>,
    /// The value of Allow.
    pub allow: &'static str,
    /// The session interval we propose, in seconds; 0 for no session timer.
    pub session_expires_s: u32,
    /// The least session interval we take, in seconds.
    pub min_se_s: u32,
    /// The most sessions at once.
    pub sessions_max: usize,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            worker: 0,
            timers: Timers::default(),
            invite_timeout: Duration::from_secs(180),
            user_agent: "strowger".into(),
            allow: ALLOW,
            session_expires_s: 1_800,
            min_se_s: 90,
            sessions_max: 100_000,
        }
    }
}

/// What has happened.
#[derive(Debug)]
pub enum AgentEvent {
    /// In a session.
    Session {
        /// Whom the session was made for.
        owner: u64,
        /// The session.
        session: SessionId,
        /// What.
        event: SessionEvent,
    },
    /// A request outside of a session has its final response.
    Response {
        /// Whom the request was made for.
        owner: u64,
        /// The final response; `None` when there was none.
        response: Option<Box<OwnedMessage>>,
        /// The status: of the response, else 408 or 503.
        status: u16,
        /// The CSeq number it was sent with last: answers to challenges, and further addresses, have used numbers of their
        /// own.
        seq: u32,
    },
}

/// All of the agent but its sessions, so that a session can use it.
#[derive(Debug)]
pub struct Core {
    pub(crate) transactions: Transactions,
    pub(crate) wheel: Wheel<(SessionId, SessionTimer)>,
    pub(crate) events: VecDeque<AgentEvent>,
    pub(crate) config: AgentConfig,
    pub(crate) locals: Locals,
    pub(crate) rng: Rng,
    pub(crate) tag_secret: u64,
}

/// The tag of an answer of which nothing is kept: a request that comes again gets the same one.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.7
fn stateless_tag<B: AsRef<[u8]>>(secret: u64, request: &Message<B>) -> String {
    use std::hash::Hasher;
    // The second key keeps these apart from the tags of sessions.
    let mut hasher = siphasher::sip::SipHasher13::new_with_keys(secret, !0);
    for name in [HeaderName::CallId, HeaderName::CSeq, HeaderName::From, HeaderName::Via] {
        hasher.write(request.value(name).unwrap_or_default());
        hasher.write_u8(0);
    }
    format!("{:016x}", hasher.finish())
}

impl Core {
    pub(crate) fn emit(&mut self, owner: u64, session: SessionId, event: SessionEvent) {
        self.events.push_back(AgentEvent::Session { owner, session, event });
    }

    pub(crate) fn set_timer(&mut self, at: Time, session: SessionId, timer: SessionTimer) -> TimerId {
        self.wheel.set(at, (session, timer))
    }

    /// A branch that names no transaction, for an ACK.
    pub(crate) fn branch(&mut self) -> String {
        format!("z9hG4bK-{:x}.0.{:016x}", self.config.worker, self.rng.u64())
    }

    /// Our tag in a session: it names the worker and the session, and nobody else can make one.
    pub(crate) fn local_tag(&self, session: SessionId) -> String {
        let key = session.0.as_u64();
        format!("{:x}.{key:x}.{:08x}", self.config.worker, seal(self.tag_secret, key))
    }

    pub(crate) fn session_of_tag(&self, tag: &str) -> Option<SessionId> {
        let mut parts = tag.split('.');
        let worker = u16::from_str_radix(parts.next()?, 16).ok()?;
        let key = u64::from_str_radix(parts.next()?, 16).ok()?;
        let sealed = u32::from_str_radix(parts.next()?, 16).ok()?;
        let ours = worker == self.config.worker && sealed == seal(self.tag_secret, key);
        (ours && parts.next().is_none()).then(|| SessionId(Key::from_u64(key)))
    }
}

impl AgentConfig {
    /// Names the worker of a tag that one of our agents made.
    pub fn worker_of_tag(tag: &str) -> Option<u16> {
        let mut parts = tag.split('.');
        let worker = u16::from_str_radix(parts.next()?, 16).ok()?;
        let (key, sealed) = (parts.next()?, parts.next()?);
        let hex = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
        (hex(key) && sealed.len() == 8 && hex(sealed) && parts.next().is_none()).then_some(worker)
    }
}

/// What the Call-IDs we make end with.
pub const CALL_ID_SUFFIX: &str = "@strowger";

fn seal(secret: u64, key: u64) -> u32 {
    use std::hash::Hasher;
    let mut hasher = siphasher::sip::SipHasher13::new_with_keys(secret, key);
    hasher.write_u64(key);
    hasher.finish() as u32
}

/// The user agent core.
#[derive(Debug)]
pub struct Agent {
    core: Core,
    sessions: Arena<Session>,
    requests: Requests,
    /// Sessions that were begun elsewhere, by the tag they were given there.
    restored: BTreeMap<Box<str>, SessionId>,
}

impl Agent {
    /// An agent without sessions.
    pub fn new(now: Time, config: AgentConfig, locals: Locals, mut rng: Rng) -> Self {
        let transactions = Transactions::new(now, config.worker, config.timers, rng.fork());
        let core = Core {
            transactions,
            wheel: Wheel::new(now),
            events: VecDeque::new(),
            tag_secret: rng.u64(),
            config,
            locals,
            rng,
        };
        Self { core, sessions: Arena::default(), requests: Requests::default(), restored: BTreeMap::new() }
    }

    /// Takes one message. The bytes are those of one datagram or one framed message.
    pub fn receive<B: AsRef<[u8]>>(&mut self, now: Time, flow: Flow, message: &Message<B>) -> Disposition {
        if let Err(defect) = message.check() {
            return Disposition::Malformed(defect);
        }
        let disposition = match message.method() {
            None => self.receive_response(now, message),
            Some(method) => self.receive_request(now, flow, method, message),
        };
        self.collect_failures(now);
        disposition
    }

    /// Refuses a message that [`receive`](Self::receive) has done nothing with, as far as anybody waits for an answer. For
    /// an owner who answers everybody.
    pub fn refuse<B: AsRef<[u8]>>(&mut self, flow: Flow, message: &Message<B>, disposition: Disposition) {
        let Some(status) = disposition.status(message) else { return };
        let headers = |writer: &mut Writer| {
            if let Disposition::Malformed(defect) = disposition {
                let text = defect.to_string().replace('"', "'");
                writer.header(HeaderName::Warning, format_args!("399 strowger \"{text}\""));
            }
        };
        self.reply(flow, message, Reply { status, headers: Some(&headers), ..Reply::default() });
    }

    fn receive_response<B: AsRef<[u8]>>(&mut self, now: Time, response: &Message<B>) -> Disposition {
        let Some(matched) = self.core.transactions.receive_response(response, now) else { return Disposition::Stray };
        let key = Key::from_u64(matched.owner);
        if request::is_request(matched.owner) {
            self.requests.receive_response(&mut self.core, now, matched.owner, response);
        } else if self.sessions.get(key).is_some() {
            self.with(SessionId(key), |session, core| {
                session.receive_response(core, now, &matched, response);
            });
        } else if matched.method == Method::Invite && matches!(response.status(), Some(200..=299)) {
            hang_up_late(&mut self.core, now, &matched, response);
        }
        Disposition::Handled
    }

    fn receive_request<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        flow: Flow,
        method: Method,
        request: &Message<B>,
    ) -> Disposition {
        match self.core.transactions.receive_request(flow, request, now) {
            RequestMatch::Absorbed => Disposition::Handled,
            RequestMatch::Ack => match self.session_of(request) {
                Some(id) => {
                    self.with(id, |session, core| session.receive_ack(core, now, request));
                    Disposition::Handled
                }
                None => Disposition::Stray,
            },
            RequestMatch::Cancel { server, owner } => {
                let id = SessionId(Key::from_u64(owner));
                self.with(id, |session, core| session.cancelled(core, now, server, request));
                Disposition::Handled
            }
            RequestMatch::New if to_tag(request).is_some() => self.receive_in_dialog(now, flow, method, request),
            RequestMatch::New if self.core.transactions.is_merged(request) => Disposition::Merged,
            RequestMatch::New => Disposition::Request,
        }
    }

    fn receive_in_dialog<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        flow: Flow,
        method: Method,
        request: &Message<B>,
    ) -> Disposition {
        let Some(id) = self.session_of(request) else { return Disposition::Stray };
        let server = self.core.transactions.open(flow, request, id.0.as_u64(), now);
        self.with(id, |session, core| session.receive_request(core, now, server, method, request));
        Disposition::Handled
    }

    fn session_of<B: AsRef<[u8]>>(&self, request: &Message<B>) -> Option<SessionId> {
        let tag = to_tag(request)?;
        let id = self.core.session_of_tag(tag).filter(|id| self.sessions.get(id.0).is_some());
        let id = id.or_else(|| self.restored.get(tag).copied())?;
        self.sessions.get(id.0).filter(|session| session.dialog.matches(request)).map(|_| id)
    }

    /// Runs `act` on a session and forgets the session when that ended it.
    fn with<R>(&mut self, id: SessionId, act: impl FnOnce(&mut Session, &mut Core) -> R) -> Option<R> {
        let session = self.sessions.get_mut(id.0)?;
        let result = act(session, &mut self.core);
        if session.is_gone() {
            self.forget(id);
        }
        Some(result)
    }

    /// Forgets a session, as one that goes on elsewhere: its peer hears nothing of it.
    pub fn forget(&mut self, id: SessionId) {
        let Some(mut session) = self.sessions.remove(id.0) else { return };
        session.refresh.stop(&mut self.core);
        if let Some(tag) = session.dialog.local_tag() {
            self.restored.remove(tag);
        }
    }

    fn collect_failures(&mut self, now: Time) {
        while let Some(event) = self.core.transactions.poll_event() {
            let (client, owner, sent, failure) = match event {
                TransactionEvent::Failed { client, owner, request, failure } => (client, owner, request, failure),
                TransactionEvent::Unanswered { server, owner } => {
                    let id = SessionId(Key::from_u64(owner));
                    self.with(id, |session, core| session.request_unanswered(core, now, server));
                    continue;
                }
            };
            let status = match failure {
                Failure::Timeout => 408,
                Failure::Transport => 503,
            };
            if request::is_request(owner) {
                self.requests.failed(&mut self.core, now, owner, status);
            } else {
                self.with(SessionId(Key::from_u64(owner)), |session, core| {
                    session.request_failed(core, now, client, &sent, status);
                });
            }
        }
    }

    /// The message with this ticket could not be sent.
    pub fn handle_send_failed(&mut self, now: Time, ticket: Ticket) {
        self.core.transactions.handle_send_failed(ticket);
        self.collect_failures(now);
    }

    /// A time that [`poll_timeout`](Self::poll_timeout) named has come.
    pub fn handle_timeout(&mut self, now: Time) {
        self.core.transactions.handle_timeout(now);
        self.collect_failures(now);
        while let Some((id, timer)) = self.core.wheel.expire(now) {
            self.with(id, |session, core| session.handle_timer(core, now, timer));
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called.
    pub fn poll_timeout(&self) -> Option<Time> {
        let (a, b) = (self.core.transactions.poll_timeout(), self.core.wheel.next_expiry());
        a.into_iter().chain(b).min()
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.core.transactions.poll_transmit()
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<AgentEvent> {
        self.core.events.pop_front()
    }

    /// Answers a request outside of a dialog without keeping anything of it.
    pub fn reply<B: AsRef<[u8]>>(&mut self, flow: Flow, request: &Message<B>, answer: Reply<'_>) {
        let tag = if answer.to_tag.is_empty() { stateless_tag(self.core.tag_secret, request) } else { String::new() };
        let answer = if tag.is_empty() { answer } else { Reply { to_tag: &tag, ..answer } };
        self.core.transactions.reply_stateless(flow, request, answer);
    }

    /// Begins a transaction for a request outside of a dialog, to be answered with [`respond`](Self::respond).
    pub fn open<B: AsRef<[u8]>>(&mut self, now: Time, flow: Flow, request: &Message<B>) -> ServerId {
        self.core.transactions.open(flow, request, 0, now)
    }

    /// Answers a request whose transaction was opened.
    pub fn respond(&mut self, now: Time, server: ServerId, answer: Reply<'_>) {
        let tag = format!("{:016x}", self.core.rng.u64());
        let answer = if answer.to_tag.is_empty() { Reply { to_tag: &tag, ..answer } } else { answer };
        self.core.transactions.respond(server, &answer, now);
    }

    /// Is the INVITE that a CANCEL is about one of ours?
    pub fn knows_invite_of<B: AsRef<[u8]>>(&self, cancel: &Message<B>) -> bool {
        self.core.transactions.knows_invite_of(cancel)
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// How many client and server transactions there are.
    pub fn transactions(&self) -> (usize, usize) {
        self.core.transactions.len()
    }

    /// What the transactions have counted.
    pub fn counts(&self) -> TransactionCounts {
        self.core.transactions.counts()
    }

    /// Our addresses, to be replaced when they change.
    pub fn locals_mut(&mut self) -> &mut Locals {
        &mut self.core.locals
    }

    /// Our addresses.
    pub fn locals(&self) -> &Locals {
        &self.core.locals
    }

    /// A fresh Call-ID.
    pub fn call_id(&mut self) -> Box<str> {
        format!("{:032x}{CALL_ID_SUFFIX}", self.core.rng.u128()).into()
    }

    /// A number nobody can guess.
    pub fn random(&mut self) -> u64 {
        self.core.rng.u64()
    }
}

fn to_tag<B: AsRef<[u8]>>(request: &Message<B>) -> Option<&str> {
    NameAddr::parse(request.value(HeaderName::To)?).ok()?.tag()
}
