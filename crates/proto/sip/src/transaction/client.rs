//! Client transactions.

use super::unwanted::Unwanted;
use super::{Failure, Timer, TransactionEvent, Transactions, Transmit, lingering};
use crate::message::{CSeq, HeaderName, Message, Method, Via, Writer};
use bytes::Bytes;
use std::time::Duration;
use sx_engine::{Key, Time, TimerId};
use sx_types::{Destination, Ticket};

/// Names a client transaction; goes stale when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(pub(super) Key);

impl ClientId {
    /// Names no transaction.
    pub(crate) fn none() -> Self {
        Self(Key::from_u64(0))
    }
}

/// A request to send.
#[derive(Clone, Debug)]
pub struct ClientRequest {
    /// Where to.
    pub to: Destination,
    /// Its method, the one in the bytes.
    pub method: Method,
    /// Whom the answer is for.
    pub owner: u64,
}

/// A response that belongs to a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseMatch {
    /// The transaction.
    pub client: ClientId,
    /// Whom it was made for.
    pub owner: u64,
    /// The method of its request.
    pub method: Method,
    /// Its request, when the response is a refusal or the first 2xx for an INVITE; else empty.
    pub request: Bytes,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) method: Method,
    nonce: u64,
    owner: u64,
    pub(super) to: Destination,
    pub(super) request: Bytes,
    pub(super) state: State,
    pub(super) retransmit: TimerId,
    pub(super) end: TimerId,
    /// The transaction of the CANCEL that carries this INVITE's branch.
    pub(super) canceller: Option<ClientId>,
    /// The answers to this INVITE that were hung up.
    pub(super) unwanted: Vec<Unwanted>,
}

#[derive(Debug)]
pub(super) enum State {
    /// Nothing has come back; `interval` was the wait for the last retransmission.
    /// `cancel` waits for a provisional response, with the value of its Reason.
    Trying { interval: Duration, cancel: Option<Box<str>> },
    /// A provisional response has come.
    Proceeding { interval: Duration },
    /// A final response has come. An INVITE that was refused keeps its ACK.
    Completed { ack: Option<Bytes> },
    /// A 2xx for an INVITE has come; others may follow from other branches.
    Accepted,
    /// An INVITE had no final response in time, as its owner knows; a 2xx may still come.
    Late,
}

impl Transactions {
    /// Begins a transaction. `write` is given the branch for the Via and writes the request.
    pub fn request(&mut self, request: ClientRequest, now: Time, write: impl FnOnce(&str) -> Bytes) -> ClientId {
        let nonce = self.rng.u64();
        let worker = self.worker;
        let mut bytes = Bytes::new();
        let key = self.clients.insert_with(|key| {
            bytes = write(&branch(worker, key, nonce));
            Client {
                method: request.method,
                nonce,
                owner: request.owner,
                to: request.to,
                request: bytes.clone(),
                state: State::Trying { interval: Duration::ZERO, cancel: None },
                retransmit: TimerId::NONE,
                end: TimerId::NONE,
                canceller: None,
                unwanted: Vec::new(),
            }
        });
        let id = ClientId(key);
        self.start_client(id, now);
        id
    }

    fn start_client(&mut self, id: ClientId, now: Time) {
        let timers = self.timers;
        let Some(client) = self.clients.get_mut(id.0) else { return };
        if !client.to.transport().is_reliable() {
            client.state = State::Trying { interval: timers.t1, cancel: None };
            client.retransmit = self.wheel.set(now + timers.t1, Timer::ClientRetransmit(id));
        }
        client.end = self.wheel.set(now + timers.timeout(), Timer::ClientEnd(id));
        self.out.push_back(transmit(client, id));
    }

    /// The branch of a request that was made here names its worker, so that a response that landed elsewhere can be
    /// passed on.
    pub fn worker_of_branch(branch: &str) -> Option<u16> {
        parse_branch(branch).map(|(worker, _, _)| worker)
    }

    /// Finds the transaction a response belongs to. `None` when there is none, or it is a final response that came
    /// before. The message has passed its check.
    pub fn receive_response<B: AsRef<[u8]>>(&mut self, response: &Message<B>, now: Time) -> Option<ResponseMatch> {
        let matched = self.match_response(response);
        if matched.is_none() {
            self.counts.responses_stray += 1;
        }
        let id = matched?;
        let status = response.status()?;
        let timers = self.timers;
        let client = self.clients.get_mut(id.0)?;
        let request = if status >= 300 { client.request.clone() } else { Bytes::new() };
        let mut found = ResponseMatch { client: id, owner: client.owner, method: client.method, request };
        let (invite, reliable) = (client.method == Method::Invite, client.to.transport().is_reliable());
        match (&mut client.state, status) {
            (State::Trying { interval, cancel }, ..=199) => {
                let (interval, cancel) = (*interval, cancel.take());
                client.state = State::Proceeding { interval };
                if invite {
                    self.wheel.cancel(client.retransmit);
                    self.wheel.cancel(client.end);
                    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
                    // Timer C, which later provisional responses do not prolong: a peer cannot keep it for ever.
                    client.end = self.wheel.set(lingering(now + timers.ringing), Timer::ClientEnd(id));
                }
                if let Some(reason) = cancel {
                    self.cancel(id, &reason, now);
                }
                Some(found)
            }
            (State::Proceeding { .. }, ..=199) => Some(found),
            (State::Trying { .. } | State::Proceeding { .. }, 200..=299) if invite => {
                self.wheel.cancel(client.retransmit);
                self.wheel.cancel(client.end);
                //= https://www.rfc-editor.org/rfc/rfc6026#section-7.2
                client.state = State::Accepted;
                found.request = std::mem::take(&mut client.request);
                client.end = self.wheel.set(lingering(now + timers.timeout()), Timer::ClientEnd(id));
                Some(found)
            }
            (State::Accepted | State::Late, 200..=299) => Some(found),
            (State::Trying { .. } | State::Proceeding { .. }, _) => {
                self.wheel.cancel(client.retransmit);
                self.wheel.cancel(client.end);
                let canceller = client.canceller.take();
                let ack = invite.then(|| acknowledge(&client.request, response));
                client.state = State::Completed { ack };
                //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
                // Timer D is at least 32 s over UDP and zero over a reliable transport; K is T4.
                let linger = if invite { timers.timeout().max(Duration::from_secs(32)) } else { timers.t4 };
                self.send_ack(id);
                if let Some(canceller) = canceller {
                    self.remove_client(canceller);
                }
                if reliable {
                    self.clients.remove(id.0);
                } else if let Some(client) = self.clients.get_mut(id.0) {
                    client.request = Bytes::new();
                    client.end = self.wheel.set(lingering(now + linger), Timer::ClientEnd(id));
                }
                Some(found)
            }
            (State::Completed { .. }, 300..) => {
                self.send_ack(id);
                None
            }
            _ => None,
        }
    }

    fn match_response<B: AsRef<[u8]>>(&self, response: &Message<B>) -> Option<ClientId> {
        let via = Via::parse(response.elements(HeaderName::Via).next()?).ok()?;
        let (worker, key, nonce) = parse_branch(via.branch)?;
        let client = self.clients.get(key)?;
        let cseq = CSeq::parse(response.value(HeaderName::CSeq)?).ok()?;
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.3
        if worker != self.worker || client.nonce != nonce {
            return None;
        }
        match cseq.method {
            method if method == client.method => Some(ClientId(key)),
            Method::Cancel => client.canceller,
            _ => None,
        }
    }

    fn send_ack(&mut self, id: ClientId) {
        if let Some(client) = self.clients.get(id.0)
            && let State::Completed { ack: Some(ack) } = &client.state
        {
            let (to, bytes) = (client.to.clone(), ack.clone());
            self.send(to, bytes);
        }
    }

    /// Cancels an INVITE: at once when a provisional response has come, else as soon as one does. `reason` is the value
    /// of the Reason header, empty for none.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
    pub fn cancel(&mut self, id: ClientId, reason: &str, now: Time) {
        let timeout = self.timers.timeout();
        let Some(client) = self.clients.get_mut(id.0) else { return };
        match &mut client.state {
            State::Trying { cancel, .. } => *cancel = Some(reason.into()),
            State::Proceeding { .. } if client.method == Method::Invite => {
                let bytes = derive(&client.request, Method::Cancel, None, reason);
                self.wheel.cancel(client.end);
                client.end = self.wheel.set(now + timeout, Timer::ClientEnd(id));
                let (nonce, to) = (client.nonce, client.to.clone());
                self.send_cancel(id, nonce, to, bytes, now);
            }
            _ => {}
        }
    }

    /// The CANCEL carries its INVITE's branch, which names the INVITE's slot: the INVITE remembers whose answer it is.
    fn send_cancel(&mut self, invite: ClientId, nonce: u64, to: Destination, bytes: Bytes, now: Time) {
        let client = Client {
            method: Method::Cancel,
            nonce,
            owner: 0,
            to,
            request: bytes,
            state: State::Trying { interval: Duration::ZERO, cancel: None },
            retransmit: TimerId::NONE,
            end: TimerId::NONE,
            canceller: None,
            unwanted: Vec::new(),
        };
        let id = ClientId(self.clients.insert(client));
        self.start_client(id, now);
        if let Some(invite) = self.clients.get_mut(invite.0) {
            invite.canceller = Some(id);
        }
    }

    /// The message with this ticket could not be sent.
    pub fn handle_send_failed(&mut self, ticket: Ticket) {
        let id = ClientId(Key::from_u64(ticket.0));
        let awaits = |client: &Client| matches!(client.state, State::Trying { .. } | State::Proceeding { .. });
        if self.clients.get(id.0).is_some_and(awaits) {
            self.tell_failure(id, Failure::Transport);
            self.remove_client(id);
        }
    }

    pub(super) fn client_retransmit(&mut self, now: Time, id: ClientId) {
        let timers = self.timers;
        let Some(client) = self.clients.get_mut(id.0) else { return };
        let invite = client.method == Method::Invite;
        let interval = match &mut client.state {
            State::Trying { interval, .. } => {
                // An INVITE doubles its interval without bound, others up to T2.
                *interval *= 2;
                if !invite {
                    *interval = (*interval).min(timers.t2);
                }
                *interval
            }
            State::Proceeding { interval } if !invite => {
                *interval = timers.t2;
                timers.t2
            }
            _ => return,
        };
        client.retransmit = self.wheel.set(now + interval, Timer::ClientRetransmit(id));
        self.counts.requests_retransmitted += 1;
        self.out.push_back(transmit(client, id));
    }

    pub(super) fn client_end(&mut self, now: Time, id: ClientId) {
        match self.clients.get(id.0).map(|client| &client.state) {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.8
            // It has rung long enough; the CANCEL has 64 times T1 to bring a final response.
            Some(State::Proceeding { .. })
                if self.clients.get(id.0).is_some_and(|c| c.method == Method::Invite && c.canceller.is_none()) =>
            {
                self.cancel(id, "", now);
            }
            Some(State::Trying { .. } | State::Proceeding { .. }) => {
                self.tell_failure(id, Failure::Timeout);
                self.keep_for_late_answer(now, id);
            }
            Some(_) => self.remove_client(id),
            None => {}
        }
    }

    fn tell_failure(&mut self, id: ClientId, failure: Failure) {
        if let Some(client) = self.clients.get(id.0)
            && client.owner != 0
        {
            self.counts.timeouts += 1;
            let (owner, request) = (client.owner, client.request.clone());
            self.events.push_back(TransactionEvent::Failed { client: id, owner, request, failure });
        }
    }

    pub(super) fn remove_client(&mut self, id: ClientId) {
        if let Some(client) = self.clients.remove(id.0) {
            self.late -= usize::from(matches!(client.state, State::Late));
            self.wheel.cancel(client.retransmit);
            self.wheel.cancel(client.end);
            if let Some(canceller) = client.canceller {
                self.remove_client(canceller);
            }
        }
    }
}

fn transmit(client: &Client, id: ClientId) -> Transmit {
    Transmit { to: client.to.clone(), bytes: client.request.clone(), ticket: Ticket(id.0.as_u64()) }
}

/// `z9hG4bK` and what finds the transaction again: worker, slot and a nonce nobody can guess.
fn branch(worker: u16, key: Key, nonce: u64) -> String {
    format!("z9hG4bK-{worker:x}.{:x}.{nonce:016x}", key.as_u64())
}

fn parse_branch(branch: &str) -> Option<(u16, Key, u64)> {
    let mut parts = branch.strip_prefix("z9hG4bK-")?.split('.');
    let worker = u16::from_str_radix(parts.next()?, 16).ok()?;
    let key = u64::from_str_radix(parts.next()?, 16).ok()?;
    let nonce = u64::from_str_radix(parts.next()?, 16).ok()?;
    parts.next().is_none().then_some((worker, Key::from_u64(key), nonce))
}

/// The ACK for a refusal, made of the INVITE and the response's To.
//= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
fn acknowledge<B: AsRef<[u8]>>(invite: &Bytes, response: &Message<B>) -> Bytes {
    derive(invite, Method::Ack, response.value(HeaderName::To), "")
}

/// An ACK or a CANCEL with the request URI, the topmost Via, Route, From, To, Call-ID and CSeq number of its INVITE.
fn derive(invite: &Bytes, method: Method, to: Option<&[u8]>, reason: &str) -> Bytes {
    let Ok(request) = Message::parse(invite) else { return Bytes::new() };
    let mut writer = Writer::request(method.name(), &String::from_utf8_lossy(request.request_uri()));
    if let Some(via) = request.elements(HeaderName::Via).next() {
        writer.header_bytes(HeaderName::Via, via);
    }
    for route in request.values(HeaderName::Route) {
        writer.header_bytes(HeaderName::Route, route);
    }
    writer.header(HeaderName::MaxForwards, format_args!("70"));
    for name in [HeaderName::From, HeaderName::To, HeaderName::CallId] {
        let value = if name == HeaderName::To { to.or(request.value(name)) } else { request.value(name) };
        writer.header_bytes(name, value.unwrap_or_default());
    }
    let number = request.number(HeaderName::CSeq).unwrap_or_default();
    writer.header(HeaderName::CSeq, format_args!("{number} {method}"));
    if !reason.is_empty() {
        writer.header(HeaderName::Reason, format_args!("{reason}"));
    }
    writer.finish(None)
}
