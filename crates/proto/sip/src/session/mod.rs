//! INVITE sessions: one side of a call from its INVITE to its BYE.
//!
//! A [`Session`] composes a dialog with what RFC 3261 (13, 14), 3262 (reliable provisional responses), 3264 (who offers),
//! 3311 (UPDATE), 3515 (REFER) and 4028 (session timers) add to it. It is driven by its [`Agent`](crate::agent::Agent).
//!
//! ```text
//!  incoming:  Incoming ──answer──► Answered ──ACK──► Established ──BYE──► Closing ──► gone
//!                └─reject, CANCEL──────────────────────────────────────────────────► gone
//!  outgoing:  Outgoing ──2xx──► Established ──BYE──► Closing ──► gone
//!                │  └──2xx with an offer──► Confirming ──confirm──► Established
//!                └─3xx…6xx, failure────────────────────────────────────────────────► gone
//! ```

mod body;
mod change;
mod early;
mod event;
mod incoming;
mod offered;
mod outgoing;
mod reason;
mod refer;
mod reliable;
mod snapshot;
mod timer;
mod unwanted;

pub(crate) use body::description_of;
pub use body::{SDP, description, part};
pub use event::{Description, Ended, EndedBy, SessionEvent};
pub use outgoing::{Outgoing, ReliablePolicy};
pub(crate) use reason::{cancel_reason, cancelled_for, q850_of, warnings_of, write_reason};
pub use refer::{Refer, Replaces};
pub use snapshot::SessionSnapshot;
pub(crate) use unwanted::hang_up_late;

use crate::agent::Core;
use crate::challenges::Challenges;
use crate::dialog::{Dialog, RequestPart};
use crate::digest::Credentials;
use crate::message::{HeaderName, Message, Method, RAck, Writer};
use crate::transaction::{ClientId, ClientRequest, Reply, ResponseMatch, ServerId, Transmit};
use bytes::Bytes;
use change::Change;
use early::Calling;
use incoming::Answering;
use std::sync::Arc;
use std::time::Duration;
use sx_engine::{Key, Time, TimerId};
use timer::Refresh;

/// Names a session; goes stale when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(pub(crate) Key);

/// What the peer of a session can do, as its messages say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Abilities {
    pub update: bool,
    pub reliable: bool,
    pub requires_reliable: bool,
    pub timer: bool,
}

/// One side of a call.
#[derive(Debug)]
pub struct Session {
    pub(crate) id: SessionId,
    /// Whom its events are for.
    pub(crate) owner: u64,
    pub(crate) dialog: Dialog,
    pub(crate) phase: Phase,
    pub(crate) change: Change,
    pub(crate) peer: Abilities,
    /// The last description we sent, to be repeated in a refresh.
    pub(crate) local_description: Option<Bytes>,
    pub(crate) refresh: Refresh,
    /// The number of the REFER whose progress is being reported.
    pub(crate) refer: Option<u32>,
    /// A reliable provisional response whose PRACK had not come when we answered.
    pub(crate) unacknowledged: Option<RAck>,
    /// What challenges are answered with.
    pub(crate) credentials: Option<Arc<Credentials>>,
}

#[derive(Debug)]
pub(crate) enum Phase {
    Incoming(Box<Answering>),
    Answered(Answered),
    Outgoing(Box<Calling>),
    /// A 2xx brought an offer; the ACK, of the INVITE with this number, waits for our answer.
    Confirming {
        seq: u32,
        challenges: Challenges,
    },
    Established {
        ack: Acknowledged,
    },
    /// Our BYE is on its way.
    Closing,
    Gone,
}

/// A 2xx of ours that waits for its ACK.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The number of the INVITE, and of its ACK.
    pub seq: u32,
    pub response: Transmit,
    pub interval: Duration,
    pub give_up: Time,
    pub timer: TimerId,
    /// It carried an offer, which the ACK answers.
    pub offered: bool,
    /// A hang-up that waits for the ACK.
    pub hangup: Option<Option<u8>>,
}

/// What repeats our ACK when the peer repeats its 2xx.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    pub seq: u32,
    pub body: Option<Bytes>,
    pub challenges: Challenges,
}

/// A timer of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SessionTimer {
    /// Our 2xx is sent again, or given up.
    Answer,
    /// Our reliable provisional response is sent again, or given up.
    Reliable,
    /// A change we had to put off is tried again.
    Retry,
    /// The session must be refreshed by us, or is given up.
    Refresh,
    /// Our INVITE has had no final response for as long as it may.
    Invite,
}

impl Session {
    pub(crate) fn emit(&self, core: &mut Core, event: SessionEvent) {
        core.emit(self.owner, self.id, event);
    }

    /// Ends the session and tells its owner.
    pub(crate) fn end(&mut self, core: &mut Core, now: Time, ended: Ended) {
        if let Phase::Answered(answered) = &self.phase {
            core.wheel.cancel(answered.timer);
        }
        if let Phase::Incoming(answering) = &self.phase {
            core.wheel.cancel(answering.reliable.timer);
        }
        if let Phase::Outgoing(calling) = &self.phase {
            core.wheel.cancel(calling.timer);
        }
        self.refresh.stop(core);
        self.abandon_change(core, now);
        let told = self.is_over();
        self.phase = Phase::Gone;
        if !told {
            self.emit(core, SessionEvent::Ended(ended));
        }
    }

    /// Does its owner know that it is over?
    pub(crate) fn is_over(&self) -> bool {
        match &self.phase {
            Phase::Closing | Phase::Gone => true,
            Phase::Outgoing(calling) => calling.cancelled,
            _ => false,
        }
    }

    /// A request of the peer was not answered in time, and has been refused.
    pub(crate) fn request_unanswered(&mut self, core: &mut Core, now: Time, server: ServerId) {
        match &self.phase {
            Phase::Incoming(answering) if answering.server == server => {
                self.end(core, now, Ended { status: 504, q850: None, by: EndedBy::Failure });
            }
            _ => self.withdraw_change(server),
        }
    }

    /// Sends a request within the dialog.
    pub(crate) fn send(
        &mut self,
        core: &mut Core,
        now: Time,
        method: Method,
        headers: &dyn Fn(&mut Writer),
        body: Option<(&str, &[u8])>,
    ) -> (ClientId, u32) {
        let seq = self.dialog.next_seq();
        let request = ClientRequest { to: self.dialog.to.clone(), method, owner: self.id.0.as_u64() };
        let (dialog, locals, agent) = (&self.dialog, &core.locals, &core.config.user_agent);
        let all = |writer: &mut Writer| {
            headers(writer);
            writer.header(HeaderName::UserAgent, format_args!("{agent}"));
        };
        let part = RequestPart { method, seq, hops: 70, headers: Some(&all), body };
        let client = core.transactions.request(request, now, |branch| dialog.request(&part, branch, locals));
        (client, seq)
    }

    /// Sends the ACK for a 2xx to the INVITE with this number.
    pub(crate) fn acknowledge(&self, core: &mut Core, ack: &Acknowledged) {
        let branch = core.branch();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
        // It carries the credentials of its INVITE: nobody could challenge it.
        let headers = |writer: &mut Writer| ack.challenges.write(writer);
        let body = ack.body.as_deref().map(|body| (SDP, body));
        let part = RequestPart { method: Method::Ack, seq: ack.seq, hops: 70, headers: Some(&headers), body };
        let bytes = self.dialog.request(&part, &branch, &core.locals);
        core.transactions.send(self.dialog.to.clone(), bytes);
    }

    /// Acknowledges a 2xx and goes on with the session it establishes, or changes.
    pub(crate) fn establish(&mut self, core: &mut Core, ack: Acknowledged) {
        self.acknowledge(core, &ack);
        self.phase = Phase::Established { ack };
    }

    /// Sends a request within the dialog once more, with what its challenge asks for. False when that cannot be.
    fn send_authorized<B: AsRef<[u8]>>(
        &mut self,
        core: &mut Core,
        now: Time,
        matched: &ResponseMatch,
        challenge: &Message<B>,
    ) -> bool {
        let Ok(before) = Message::parse(&matched.request) else { return false };
        let mut challenges = Challenges::of(&before);
        let uri = String::from_utf8_lossy(before.request_uri());
        let credentials = self.credentials.as_deref();
        if !challenges.answer(&mut core.rng, credentials, challenge, matched.method, &uri) {
            return false;
        }
        let own = [
            HeaderName::Reason,
            HeaderName::RAck,
            HeaderName::ReferTo,
            HeaderName::ReferredBy,
            HeaderName::Event,
            HeaderName::SubscriptionState,
        ];
        let headers = |writer: &mut Writer| {
            for name in own {
                for value in before.values(name) {
                    writer.header_bytes(name, value);
                }
            }
            challenges.write(writer);
        };
        let body = before.text(HeaderName::ContentType).map(|kind| (kind, before.body()));
        self.send(core, now, matched.method, &headers, body);
        true
    }

    /// Hangs up, cancels or refuses, whatever the state. `q850` goes into the Reason header.
    pub fn hangup(&mut self, core: &mut Core, now: Time, q850: Option<u8>) {
        match &mut self.phase {
            Phase::Incoming(_) => self.reject(core, now, 480, "", &|_| {}),
            Phase::Outgoing(_) => self.cancel(core, now, Ended { status: 487, q850, by: EndedBy::Us }),
            //= https://www.rfc-editor.org/rfc/rfc3261#section-15
            // The called side may not send BYE before its 2xx is acknowledged.
            Phase::Answered(answered) => answered.hangup = Some(q850),
            Phase::Confirming { seq, challenges } => {
                let ack = Acknowledged { seq: *seq, body: None, challenges: std::mem::take(challenges) };
                self.acknowledge(core, &ack);
                self.bye(core, now, q850);
            }
            Phase::Established { .. } => self.bye(core, now, q850),
            Phase::Closing | Phase::Gone => {}
        }
    }

    fn bye(&mut self, core: &mut Core, now: Time, q850: Option<u8>) {
        let reason = |writer: &mut Writer| write_reason(writer, q850);
        self.send(core, now, Method::Bye, &reason, None);
        self.end(core, now, Ended { status: 0, q850, by: EndedBy::Us });
        self.phase = Phase::Closing;
    }

    /// A BYE has come.
    pub(crate) fn receive_bye<B: AsRef<[u8]>>(
        &mut self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        request: &Message<B>,
    ) {
        core.transactions.respond(server, &Reply { status: 200, ..Reply::default() }, now);
        let ended = Ended { status: 0, q850: q850_of(request), by: EndedBy::Peer };
        match &self.phase {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-15.1.2
            // A BYE before the answer ends the INVITE with 487.
            Phase::Incoming(answering) => {
                let invite = answering.server;
                let tag = self.dialog.local_tag().unwrap_or_default().to_owned();
                core.transactions.respond(invite, &Reply { status: 487, to_tag: &tag, ..Reply::default() }, now);
                self.end(core, now, ended);
            }
            //= https://www.rfc-editor.org/rfc/rfc3261#section-15
            // The called side may not; one that does has hung up, and its INVITE is cancelled.
            Phase::Outgoing(_) => self.cancel(core, now, ended),
            Phase::Closing => self.phase = Phase::Gone,
            _ => self.end(core, now, ended),
        }
    }

    /// A response to a request of this session.
    pub(crate) fn receive_response<B: AsRef<[u8]>>(
        &mut self,
        core: &mut Core,
        now: Time,
        matched: &ResponseMatch,
        response: &Message<B>,
    ) {
        let status = response.status().unwrap_or_default();
        let (client, method) = (matched.client, matched.method);
        match method {
            Method::Invite if self.is_calling(client) => self.receive_invite_response(core, now, matched, response),
            // It has answered after all, when the next address had been asked in its stead.
            Method::Invite if self.has_given_up(client) && (200..=299).contains(&status) => {
                self.hang_up_branch(core, now, matched, response, Challenges::default());
            }
            Method::Invite | Method::Update => self.receive_change_response(core, now, matched, response),
            _ if matches!(status, 401 | 407)
                && self.is_of_dialog(&matched.request)
                && self.send_authorized(core, now, matched, response) => {}
            Method::Bye if status >= 200 => self.phase = Phase::Gone,
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.2
            // These say that the peer knows nothing of the dialog.
            Method::Prack | Method::Info | Method::Refer | Method::Notify
                if matches!(status, 408 | 481) && self.is_of_dialog(&matched.request) =>
            {
                self.lost(core, now, status);
            }
            Method::Refer if status >= 300 && !self.is_over() => self.emit(core, SessionEvent::Report { status }),
            _ => {}
        }
    }

    /// A request of this session got no final response.
    pub(crate) fn request_failed(
        &mut self,
        core: &mut Core,
        now: Time,
        client: ClientId,
        request: &Bytes,
        status: u16,
    ) {
        match &self.phase {
            Phase::Outgoing(calling) if calling.client == client => self.outgoing_failed(core, now, status),
            Phase::Closing => self.phase = Phase::Gone,
            Phase::Gone => {}
            _ if self.is_of_dialog(request) => self.lost(core, now, status),
            _ => self.change_failed(core, client, status),
        }
    }

    /// The peer is gone: the session is over, and told so in case it is not.
    pub(crate) fn lost(&mut self, core: &mut Core, now: Time, status: u16) {
        if matches!(self.phase, Phase::Established { .. } | Phase::Confirming { .. } | Phase::Answered(_)) {
            self.send(core, now, Method::Bye, &|_| {}, None);
            self.end(core, now, Ended { status, q850: None, by: EndedBy::Failure });
            self.phase = Phase::Closing;
        }
    }

    /// Sends an INFO.
    pub fn info(&mut self, core: &mut Core, now: Time, content_type: &str, body: &[u8]) {
        if matches!(self.phase, Phase::Established { .. } | Phase::Answered(_)) {
            self.send(core, now, Method::Info, &|_| {}, Some((content_type, body)));
        }
    }

    pub(crate) fn handle_timer(&mut self, core: &mut Core, now: Time, timer: SessionTimer) {
        match timer {
            SessionTimer::Answer => self.repeat_answer(core, now),
            SessionTimer::Reliable => self.repeat_reliable(core, now),
            SessionTimer::Retry => self.retry_change(core, now),
            SessionTimer::Refresh => self.refresh_due(core, now),
            SessionTimer::Invite => self.invite_late(core, now),
        }
    }

    /// Reads what the peer can do from a message of the dialog.
    pub(crate) fn learn<B: AsRef<[u8]>>(&mut self, message: &Message<B>) {
        if message.value(HeaderName::Allow).is_some() {
            self.peer.update = message.lists(HeaderName::Allow, "UPDATE");
        }
        if message.value(HeaderName::Supported).is_some() || message.value(HeaderName::Require).is_some() {
            let says = |token| message.lists(HeaderName::Supported, token) || message.lists(HeaderName::Require, token);
            (self.peer.reliable, self.peer.timer) = (says("100rel"), says("timer"));
            self.peer.requires_reliable = message.lists(HeaderName::Require, "100rel");
        }
    }
}
