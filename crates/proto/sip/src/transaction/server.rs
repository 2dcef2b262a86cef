//! Server transactions.

use super::echo::{Echo, Reply};
use super::{Timer, TransactionEvent, Transactions, Transmit, lingering};
use crate::message::{HeaderName, Message, Method, NameAddr, Via};
use bytes::Bytes;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;
use std::time::Duration;
use sx_engine::{Key, Time, TimerId};
use sx_types::{Flow, Ticket};

/// Names a server transaction; goes stale when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServerId(pub(super) Key);

/// What a request is to the transactions that stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestMatch {
    /// None knows it. Handle it: [`open`](Transactions::open) a transaction, or answer without one.
    New,
    /// It came again, or acknowledged a refusal, and was dealt with.
    Absorbed,
    /// An ACK for a 2xx: the dialog's business.
    Ack,
    /// A CANCEL, answered already, for the INVITE transaction of this owner; the INVITE has no final response yet.
    Cancel {
        /// The INVITE's transaction.
        server: ServerId,
        /// Whom that belongs to.
        owner: u64,
    },
}

#[derive(Debug)]
pub(super) struct Server {
    hash: u128,
    /// What it has in common with the same request by another way.
    origin: u128,
    invite: bool,
    reliable: bool,
    owner: u64,
    /// The tag its answers carry, for the answer to its CANCEL.
    tag: Box<str>,
    echo: Echo,
    state: State,
    /// Retransmission of a final response, or the pending `100 Trying`.
    timer: TimerId,
    /// Gives up waiting for our final response; after that, the end.
    end: TimerId,
}

#[derive(Debug)]
enum State {
    /// Nothing was sent.
    Trying,
    /// A provisional response was sent.
    Proceeding(Bytes),
    /// A final response was sent that the client may not have got: `interval` is for the next retransmission.
    Completed { response: Bytes, interval: Duration },
    /// A 2xx was sent; the dialog repeats it until the ACK comes.
    Accepted,
    /// The ACK for a refusal has come.
    Confirmed,
}

impl Transactions {
    /// Finds the transaction a request belongs to, and deals with what the layer can deal with alone. The message has
    /// passed its check.
    pub fn receive_request<B: AsRef<[u8]>>(&mut self, flow: Flow, request: &Message<B>, now: Time) -> RequestMatch {
        let method = request.method().unwrap_or(Method::Other);
        let id = self.index.get(&self.hash_of(request, method)).copied();
        match (method, id) {
            (Method::Ack, None) => RequestMatch::Ack,
            (Method::Ack, Some(id)) => self.receive_ack(id, now),
            (Method::Cancel, _) => self.receive_cancel(flow, request),
            (_, None) => RequestMatch::New,
            (_, Some(id)) => self.receive_again(id),
        }
    }

    fn receive_ack(&mut self, id: ServerId, now: Time) -> RequestMatch {
        let Some(server) = self.servers.get_mut(id.0) else { return RequestMatch::Absorbed };
        match server.state {
            State::Completed { .. } if server.invite => {
                //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
                // Timer I absorbs further ACKs, and is zero over a reliable transport.
                server.state = State::Confirmed;
                self.wheel.cancel(server.timer);
                self.wheel.cancel(server.end);
                if server.reliable {
                    self.server_end(id);
                } else {
                    server.end = self.wheel.set(lingering(now + self.timers.t4), Timer::ServerEnd(id));
                }
                RequestMatch::Absorbed
            }
            State::Accepted => RequestMatch::Ack,
            _ => RequestMatch::Absorbed,
        }
    }

    /// A request of a transaction that stands: the last response is sent again.
    fn receive_again(&mut self, id: ServerId) -> RequestMatch {
        self.counts.requests_absorbed += 1;
        if let Some(server) = self.servers.get(id.0)
            && let State::Proceeding(response) | State::Completed { response, .. } = &server.state
        {
            let (to, bytes) = (server.echo.path.clone(), response.clone());
            self.counts.responses_retransmitted += 1;
            self.send(to, bytes);
        }
        RequestMatch::Absorbed
    }

    /// Is the INVITE that a CANCEL is about one of ours?
    pub fn knows_invite_of<B: AsRef<[u8]>>(&self, cancel: &Message<B>) -> bool {
        self.index.contains_key(&self.hash_of(cancel, Method::Invite))
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-9.2
    fn receive_cancel<B: AsRef<[u8]>>(&mut self, flow: Flow, request: &Message<B>) -> RequestMatch {
        let invite = self.index.get(&self.hash_of(request, Method::Invite)).copied();
        let status = if invite.is_some() { 200 } else { 481 };
        // Its answer is always the same, so that a CANCEL needs no transaction of its own.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.6.2
        // Its tag is that of the INVITE's answers, where there is one; else always the same one too.
        let tag = invite.and_then(|id| self.servers.get(id.0)).map(|server| &*server.tag).filter(|tag| !tag.is_empty());
        let tag = tag.map_or_else(|| format!("{:016x}", self.hash_of(request, Method::Cancel) as u64), str::to_owned);
        self.reply_stateless(flow, request, Reply { status, to_tag: &tag, ..Reply::default() });
        match invite.and_then(|id| Some((id, self.servers.get(id.0)?))) {
            Some((id, server)) if matches!(server.state, State::Trying | State::Proceeding(_)) => {
                RequestMatch::Cancel { server: id, owner: server.owner }
            }
            _ => RequestMatch::Absorbed,
        }
    }

    /// Has the request, which is new and outside of any dialog, come by another way before?
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2.2
    // The same From tag, Call-ID and CSeq as those of a transaction that goes on, and yet not that transaction. The request
    // URI must be the same as well: an upstream proxy may fork one INVITE to two users of ours, who both are to be called.
    pub fn is_merged<B: AsRef<[u8]>>(&self, request: &Message<B>) -> bool {
        let tagged = request.value(HeaderName::From).and_then(|from| NameAddr::parse(from).ok()?.tag()).is_some();
        tagged && self.origins.contains_key(&self.origin_of(request))
    }

    /// Begins a transaction for a request that [`receive_request`](Self::receive_request) called new. An INVITE is told
    /// `100 Trying` when nothing else is sent in time.
    pub fn open<B: AsRef<[u8]>>(&mut self, flow: Flow, request: &Message<B>, owner: u64, now: Time) -> ServerId {
        let method = request.method().unwrap_or(Method::Other);
        let hash = self.hash_of(request, method);
        let origin = self.origin_of(request);
        let server = Server {
            hash,
            origin,
            invite: method == Method::Invite,
            reliable: flow.transport.is_reliable(),
            owner,
            tag: Box::default(),
            echo: Echo::new(flow, request),
            state: State::Trying,
            timer: TimerId::NONE,
            end: TimerId::NONE,
        };
        let id = ServerId(self.servers.insert(server));
        self.index.insert(hash, id);
        self.origins.insert(origin, id);
        //= https://www.rfc-editor.org/rfc/rfc4320#section-4.2
        // An answer to what is no INVITE comes too late after 64 times T1. Nothing waits for ever, whoever forgets it.
        let wait = if method == Method::Invite { self.timers.unanswered } else { self.timers.timeout() };
        let end = self.wheel.set(lingering(now + wait), Timer::ServerUnanswered(id));
        if let Some(server) = self.servers.get_mut(id.0) {
            server.end = end;
        }
        if method == Method::Invite {
            if self.timers.trying.is_zero() {
                self.server_trying(id);
            } else {
                //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
                // A 100 is owed only when nothing else is sent within 200 ms.
                let timer = self.wheel.set(now + self.timers.trying, Timer::ServerTrying(id));
                if let Some(server) = self.servers.get_mut(id.0) {
                    server.timer = timer;
                }
            }
        }
        id
    }

    /// Says whom a transaction belongs to, and the tag of its answers, for the CANCEL that may come.
    pub fn own(&mut self, id: ServerId, owner: u64, tag: &str) {
        if let Some(server) = self.servers.get_mut(id.0) {
            (server.owner, server.tag) = (owner, tag.into());
        }
    }

    /// May a response still be sent?
    pub fn awaits_final(&self, id: ServerId) -> bool {
        self.servers.get(id.0).is_some_and(|server| matches!(server.state, State::Trying | State::Proceeding(_)))
    }

    /// Sends a response. Returns its bytes and way, for a 2xx to be repeated by the dialog; `None` when the transaction
    /// is over or has had its final response.
    pub fn respond(&mut self, id: ServerId, answer: &Reply<'_>, now: Time) -> Option<Transmit> {
        let server = self.servers.get_mut(id.0)?;
        if !matches!(server.state, State::Trying | State::Proceeding(_)) {
            return None;
        }
        let bytes = server.echo.write(answer);
        let transmit = Transmit { to: server.echo.path.clone(), bytes: bytes.clone(), ticket: Ticket::default() };
        self.wheel.cancel(server.timer);
        server.timer = TimerId::NONE;
        self.out.push_back(transmit.clone());
        let timers = self.timers;
        match answer.status {
            ..=199 => {
                server.state = State::Proceeding(bytes);
                return Some(transmit);
            }
            _ => {
                self.wheel.cancel(server.end);
                server.echo.close();
            }
        }
        // There are many of those that only linger: each keeps what it may send again and no room beside it.
        let kept = || Bytes::copy_from_slice(&bytes);
        match answer.status {
            200..=299 if server.invite => {
                //= https://www.rfc-editor.org/rfc/rfc6026#section-7.1
                server.state = State::Accepted;
                server.end = self.wheel.set(lingering(now + timers.timeout()), Timer::ServerEnd(id));
            }
            _ if server.invite => {
                server.state = State::Completed { response: kept(), interval: timers.t1 };
                if !server.reliable {
                    server.timer = self.wheel.set(now + timers.t1, Timer::ServerRetransmit(id));
                }
                server.end = self.wheel.set(now + timers.timeout(), Timer::ServerEnd(id));
            }
            _ if server.reliable => self.server_end(id),
            _ => {
                server.state = State::Completed { response: kept(), interval: Duration::ZERO };
                server.end = self.wheel.set(lingering(now + timers.timeout()), Timer::ServerEnd(id));
            }
        }
        Some(transmit)
    }

    pub(super) fn server_unanswered(&mut self, now: Time, id: ServerId) {
        let Some(server) = self.servers.get_mut(id.0) else { return };
        server.end = TimerId::NONE;
        let owner = server.owner;
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.6.2
        // A final response has a tag, that of the dialog where there is one.
        let tag = if server.tag.is_empty() { format!("{:016x}", server.hash as u64) } else { server.tag.to_string() };
        self.respond(id, &Reply { status: 504, to_tag: &tag, ..Reply::default() }, now);
        self.events.push_back(TransactionEvent::Unanswered { server: id, owner });
    }

    pub(super) fn server_trying(&mut self, id: ServerId) {
        if let Some(server) = self.servers.get_mut(id.0)
            && matches!(server.state, State::Trying)
        {
            let bytes = server.echo.write(&Reply { status: 100, ..Reply::default() });
            let to = server.echo.path.clone();
            server.state = State::Proceeding(bytes.clone());
            self.send(to, bytes);
        }
    }

    pub(super) fn server_retransmit(&mut self, now: Time, id: ServerId) {
        let t2 = self.timers.t2;
        if let Some(server) = self.servers.get_mut(id.0)
            && let State::Completed { response, interval } = &mut server.state
        {
            *interval = (*interval * 2).min(t2);
            let (to, bytes) = (server.echo.path.clone(), response.clone());
            server.timer = self.wheel.set(now + *interval, Timer::ServerRetransmit(id));
            self.counts.responses_retransmitted += 1;
            self.send(to, bytes);
        }
    }

    pub(super) fn server_end(&mut self, id: ServerId) {
        if let Some(server) = self.servers.remove(id.0) {
            self.wheel.cancel(server.timer);
            self.wheel.cancel(server.end);
            self.index.remove(&server.hash);
            if self.origins.get(&server.origin) == Some(&id) {
                self.origins.remove(&server.origin);
            }
        }
    }

    /// What a request has in common with itself by another way.
    fn origin_of<B: AsRef<[u8]>>(&self, request: &Message<B>) -> u128 {
        let mut hasher = SipHasher13::new_with_keys(self.hash_key.1, self.hash_key.0);
        let tag = request.value(HeaderName::From).and_then(|from| NameAddr::parse(from).ok()?.tag());
        let call_id = request.value(HeaderName::CallId).unwrap_or_default();
        let cseq = crate::message::CSeq::parse(request.value(HeaderName::CSeq).unwrap_or_default()).ok();
        let (number, method) = cseq.map_or((0, &b""[..]), |cseq| (cseq.number, cseq.method_text));
        let uri = request.request_uri();
        for part in [tag.unwrap_or_default().as_bytes(), call_id, &number.to_be_bytes(), method, uri] {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        hasher.finish128().as_u128()
    }

    /// The key a request's transaction is found by: an ACK and a CANCEL carry the branch of their INVITE.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.3
    fn hash_of<B: AsRef<[u8]>>(&self, request: &Message<B>, method: Method) -> u128 {
        let mut hasher = SipHasher13::new_with_keys(self.hash_key.0, self.hash_key.1);
        let mut part = |bytes: &[u8]| {
            hasher.write_usize(bytes.len());
            hasher.write(bytes);
        };
        part(match method {
            Method::Ack => Method::Invite.name().as_bytes(),
            Method::Other => request.method_text(),
            _ => method.name().as_bytes(),
        });
        let top = request.elements(HeaderName::Via).next().unwrap_or_default();
        match Via::parse(top) {
            Ok(via) if via.has_magic_cookie() => {
                part(via.branch.as_bytes());
                part(via.host.as_str().as_bytes());
                part(&via.port.unwrap_or(0).to_be_bytes());
            }
            _ => {
                // A client of RFC 2543: what names its transaction is spread over the message.
                part(request.request_uri());
                part(top);
                part(request.value(HeaderName::CallId).unwrap_or_default());
                let tag = request.value(HeaderName::From).and_then(|from| NameAddr::parse(from).ok()?.tag());
                part(tag.unwrap_or_default().as_bytes());
                part(
                    &crate::message::CSeq::parse(request.value(HeaderName::CSeq).unwrap_or_default())
                        .map_or(0, |c| c.number)
                        .to_be_bytes(),
                );
            }
        }
        hasher.finish128().as_u128()
    }
}
