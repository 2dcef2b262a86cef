//! An agent with sessions of both kinds, whose peer and whose owner do anything in any order: each session ends once,
//! nothing is said for ever, and when all is hung up and enough time has passed, nothing is left.
//!
//! The input is a list of steps with the byte 0x1e between them; the first byte of a step says what happens, see
//! [`Bed::step`]. Numbers are single bytes, taken modulo what there is, so that digits can be read in a seed.
#![no_main]

mod steps;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use steps::{Numbers, compose, steps, tagged};
use sx_engine::{Rng, Time};
use sx_sip::agent::{Agent, AgentConfig, AgentEvent, Disposition, OutgoingRequest};
use sx_sip::digest::Credentials;
use sx_sip::local::{LocalLink, Locals};
use sx_sip::message::{CSeq, HeaderName, Message, Method, OwnedMessage, Via};
use sx_sip::session::{Outgoing, Refer, ReliablePolicy, SessionEvent, SessionId};
use sx_sip::transaction::Reply;
use sx_types::{Destination, Flow, LinkId, Ticket, Transport};

const START: Time = Time::from_secs(1_800_000_000);
const SESSIONS_MAX: usize = 8;
/// More messages than this upon one input are an answer without end.
const MESSAGES_MAX: usize = 64;
/// More timers than this before an hour is over are a timer without end.
const TIMERS_MAX: usize = 20_000;
/// Of what the agent has sent, so much is remembered to be answered.
const SENT_MAX: usize = 16;

const METHODS: [&str; 12] =
    ["INVITE", "ACK", "BYE", "CANCEL", "UPDATE", "PRACK", "INFO", "REFER", "NOTIFY", "OPTIONS", "MESSAGE", "SUBSCRIBE"];
const STATUSES: [u16; 16] = [100, 180, 183, 200, 202, 302, 401, 407, 408, 422, 481, 486, 487, 491, 500, 503];

/// How new requests are dealt with, and along what they come.
#[derive(Clone, Copy, Default)]
struct Manner(u8);

impl Manner {
    fn refuses_calls(self) -> bool {
        self.0 & 1 != 0
    }

    fn leaves_requests_open(self) -> bool {
        self.0 & 2 != 0
    }

    fn flow(self) -> Flow {
        let (link, transport) = if self.0 & 4 == 0 { (1, Transport::Udp) } else { (9, Transport::Tcp) };
        Flow { worker: 0, link: LinkId(link), transport, remote: SocketAddr::from(([192, 0, 2, 2], 5060)) }
    }
}

struct Bed {
    agent: Agent,
    now: Time,
    manner: Manner,
    sessions: Vec<SessionId>,
    /// How often each session was said to be over.
    ends: HashMap<SessionId, usize>,
    /// Requests outside of sessions whose final response has not been told.
    asked: usize,
    sent: VecDeque<(Ticket, OwnedMessage)>,
    /// The highest number of the peer's requests, and the number and the branch of its last INVITE.
    seq: u32,
    invite: (u32, u32),
    branch: u32,
}

fn credentials() -> Arc<Credentials> {
    Arc::new(Credentials { username: "alice".into(), password: "wonder".into() })
}

fn value(message: &OwnedMessage, name: HeaderName) -> &[u8] {
    message.value(name).unwrap_or_default()
}

impl Bed {
    fn new() -> Self {
        let own = |link, transport| LocalLink {
            link: LinkId(link),
            transport,
            bound: SocketAddr::from(([192, 0, 2, 1], 5060)),
            advertised: None,
        };
        let locals = Locals {
            worker: 0,
            links: vec![own(1, Transport::Udp), own(2, Transport::Tcp)],
            outward_v4: Ipv4Addr::LOCALHOST,
            outward_v6: Ipv6Addr::LOCALHOST,
        };
        let config = AgentConfig { sessions_max: SESSIONS_MAX, ..AgentConfig::default() };
        Self {
            agent: Agent::new(START, config, locals, Rng::from_number(7)),
            now: START,
            manner: Manner::default(),
            sessions: Vec::new(),
            ends: HashMap::new(),
            asked: 0,
            sent: VecDeque::new(),
            seq: 1,
            invite: (1, 0),
            branch: 0,
        }
    }

    fn step(&mut self, step: &[u8]) {
        let mut numbers = Numbers(step);
        match numbers.next() {
            // The rest is a message as it came.
            b'm' => self.receive(numbers.0),
            b'q' => self.request(&mut numbers),
            b'a' => self.respond(&mut numbers),
            b'e' => self.echo(&mut numbers),
            b'v' => self.want(&mut numbers),
            b'd' => self.dial(&mut numbers),
            b'o' => self.ask(&mut numbers),
            b'f' => self.fail(&mut numbers),
            b's' => self.move_on(&mut numbers),
            b'n' => self.manner = Manner(numbers.next()),
            b'p' => {
                let number = u64::from(numbers.next()) << 8 | u64::from(numbers.next());
                self.pass(Duration::from_millis(number * number / 1_024));
            }
            _ => {}
        }
        self.drain();
    }

    fn receive(&mut self, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else { return };
        let flow = self.manner.flow();
        let disposition = self.agent.receive(self.now, flow, &message);
        assert_eq!(matches!(disposition, Disposition::Malformed(_)), message.check().is_err());
        if disposition != Disposition::Request {
            self.agent.refuse(flow, &message, disposition);
            return;
        }
        if message.method() == Some(Method::Invite) && !self.manner.refuses_calls() {
            if let Ok(session) = self.agent.accept(self.now, flow, &message, 1) {
                assert!(self.agent.sessions() <= SESSIONS_MAX);
                self.begin(session);
            }
        } else if message.method() == Some(Method::Invite) {
            self.agent.reply(flow, &message, Reply { status: 486, ..Reply::default() });
        } else {
            let server = self.agent.open(self.now, flow, &message);
            if !self.manner.leaves_requests_open() {
                self.agent.respond(self.now, server, Reply { status: 200, ..Reply::default() });
            }
        }
    }

    fn begin(&mut self, session: SessionId) {
        assert_eq!(self.ends.insert(session, 0), None, "the name of a session is given twice");
        self.sessions.push(session);
    }

    /// The peer sends a request in the dialog of a message of ours: which message, which method, how its number differs
    /// from the last, whether the branch is that of the last INVITE; lines and body.
    fn request(&mut self, numbers: &mut Numbers<'_>) {
        let (which, method) = (numbers.below(4), METHODS[numbers.below(METHODS.len())]);
        let (delta, old_branch) = (numbers.below(4) as i32 - 1, numbers.below(2) == 1);
        let Some((_, base)) = self.sent.iter().rev().nth(which) else { return };
        let (from, to) = (value(base, HeaderName::From), value(base, HeaderName::To));
        let (from, to) = if base.status().is_some() { (from, to) } else { (to, from) };
        let call_id = value(base, HeaderName::CallId);
        if !old_branch {
            self.branch += 1;
        }
        let branch = if old_branch { self.invite.1 } else { self.branch };
        let seq = match method {
            "ACK" | "CANCEL" => self.invite.0,
            _ => self.seq.saturating_add_signed(delta),
        };
        self.seq = self.seq.max(seq);
        if method == "INVITE" {
            self.invite = (seq, branch);
        }
        let via = format!("SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK{branch}");
        let cseq = format!("{seq} {method}");
        let (mut lines, body) = numbers.lines_and_body();
        // Nobody guesses the number of a reliable response: a PRACK without lines has it.
        let rack = format!("RAck: {} ", base.number(HeaderName::RSeq).unwrap_or_default());
        let rack = [rack.as_bytes(), value(base, HeaderName::CSeq)].concat();
        if method == "PRACK" && lines.is_empty() {
            lines = &rack;
        }
        let from = tagged(from);
        let named: [&[u8]; 5] = [via.as_bytes(), &from, to, call_id, cseq.as_bytes()];
        let start = format!("{method} sip:alice@192.0.2.1 SIP/2.0\r\nMax-Forwards: 70\r\n");
        let bytes = compose(&start, named, lines, body);
        self.receive(&bytes);
    }

    /// The peer answers a request of ours: which, with what status; lines and body.
    fn respond(&mut self, numbers: &mut Numbers<'_>) {
        let (which, status) = (numbers.below(4), STATUSES[numbers.below(STATUSES.len())]);
        let requests = self.sent.iter().rev().map(|(_, message)| message);
        let mut requests = requests.filter(|message| message.method().is_some_and(|method| method != Method::Ack));
        let Some(request) = requests.nth(which) else { return };
        let [via, from, to, call_id, cseq] =
            [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq]
                .map(|name| value(request, name));
        let (lines, body) = numbers.lines_and_body();
        let to = tagged(to);
        let bytes = compose(&format!("SIP/2.0 {status} X\r\n"), [via, from, &to, call_id, cseq], lines, body);
        self.receive(&bytes);
    }

    /// What we have sent comes back: which, and where bytes are put in the place of how many.
    fn echo(&mut self, numbers: &mut Numbers<'_>) {
        let which = numbers.below(SENT_MAX);
        let Some((_, message)) = self.sent.iter().rev().nth(which) else { return };
        let mut bytes = message.bytes().to_vec();
        let at = (usize::from(numbers.next()) << 8 | usize::from(numbers.next())).min(bytes.len());
        let end = (at + usize::from(numbers.next())).min(bytes.len());
        bytes.splice(at..end, numbers.0.iter().copied());
        self.receive(&bytes);
    }

    /// The owner wants something of a session.
    fn want(&mut self, numbers: &mut Numbers<'_>) {
        let (verb, which, argument) = (numbers.below(16), numbers.below(self.sessions.len()), numbers.next());
        let (agent, now) = (&mut self.agent, self.now);
        let Some(&id) = self.sessions.get(which) else { return };
        let description = Bytes::from_static(b"ours");
        let status = STATUSES[usize::from(argument) % STATUSES.len()];
        match verb {
            0 => agent.progress(now, id, 180, None),
            1 => agent.progress(now, id, 183, Some(description)),
            2 => agent.answer(now, id, Some(description), &[]),
            3 => agent.answer(now, id, None, &[]),
            4 => agent.reject(now, id, status.max(300), "", &|_| {}),
            5 => agent.offer(now, id, Some(description)),
            6 => agent.offer(now, id, None),
            7 => agent.answer_offer(now, id, description),
            8 => agent.refuse_offer(now, id, 488, &|_| {}),
            9 => agent.confirm(id, description),
            10 => agent.info(now, id, "application/dtmf-relay", b"Signal=5\r\n"),
            11 => agent.refer(now, id, "sip:carol@example.org"),
            12 => agent.report(now, id, status),
            13 => agent.hangup(now, id, Some(argument & 0x7f)),
            14 => agent.hangup(now, id, None),
            _ => {}
        }
    }

    /// The owner makes a call.
    fn dial(&mut self, numbers: &mut Numbers<'_>) {
        let flags = numbers.next();
        let second = SocketAddr::from(([192, 0, 2, 3], 5060));
        let mut to = vec![Destination::Flow(self.manner.flow())];
        if flags & 1 != 0 {
            to.push(Destination::Address { transport: Transport::Tcp, remote: second, name: None });
        }
        let spec = Outgoing {
            silence_max: None,
            uris: Vec::new(),
            to,
            uri: "sip:bob@192.0.2.2:5060".into(),
            from: "<sip:alice@example.org>".into(),
            to_value: "<sip:bob@example.org>".into(),
            contact_user: "alice".into(),
            call_id: self.agent.call_id(),
            routes: Vec::new(),
            offer: (flags & 2 == 0).then(|| Bytes::from_static(b"offer")),
            headers: Vec::new(),
            hops: 70,
            credentials: (flags & 4 != 0).then(credentials),
            reliable: if flags & 8 == 0 { ReliablePolicy::Supported } else { ReliablePolicy::Required },
            session_timer: flags & 64 == 0,
        };
        if let Ok(session) = self.agent.dial(self.now, 1, spec) {
            self.begin(session);
        }
    }

    /// The owner sends a request outside of a session.
    fn ask(&mut self, numbers: &mut Numbers<'_>) {
        let flags = numbers.next();
        let spec = OutgoingRequest {
            to: vec![Destination::Flow(self.manner.flow())],
            method: if flags & 1 == 0 { Method::Options } else { Method::Register },
            uri: "sip:192.0.2.2".into(),
            from: "<sip:alice@example.org>".into(),
            to_value: "<sip:alice@example.org>".into(),
            call_id: self.agent.call_id(),
            seq: 1,
            routes: Vec::new(),
            headers: Vec::new(),
            hops: 70,
            body: None,
            credentials: (flags & 2 != 0).then(credentials),
        };
        self.asked += 1;
        self.agent.request(self.now, 2, spec);
    }

    fn fail(&mut self, numbers: &mut Numbers<'_>) {
        let which = numbers.below(SENT_MAX);
        let Some((ticket, _)) = self.sent.iter().rev().nth(which) else { return };
        self.agent.handle_send_failed(self.now, *ticket);
    }

    /// A session goes on as one that was begun elsewhere.
    fn move_on(&mut self, numbers: &mut Numbers<'_>) {
        let which = numbers.below(self.sessions.len());
        let Some(&before) = self.sessions.get(which) else { return };
        let Some(snapshot) = self.agent.snapshot(before) else { return };
        self.agent.forget(before);
        self.sessions.swap_remove(which);
        let after = self.agent.restore(self.now, 1, snapshot, None);
        self.begin(after);
    }

    fn drain(&mut self) {
        let mut messages = 0;
        while let Some(transmit) = self.agent.poll_transmit() {
            messages += 1;
            assert!(messages <= MESSAGES_MAX, "messages without end");
            let message = Message::parse(transmit.bytes).expect("what we send, parses");
            // A refusal repeats what was wrong with its request.
            if message.status().is_none_or(|status| status < 300 && status != 100) {
                message.check().expect("what we send passes our check");
            }
            let _ = (Via::parse(value(&message, HeaderName::Via)), CSeq::parse(value(&message, HeaderName::CSeq)));
            self.sent.push_back((transmit.ticket, message));
            if self.sent.len() > SENT_MAX {
                self.sent.pop_front();
            }
        }
        while let Some(event) = self.agent.poll_event() {
            match event {
                AgentEvent::Session { owner, session, event } => {
                    assert_eq!(owner, 1);
                    let ends = self.ends.get_mut(&session).expect("an event of a session that was begun");
                    assert_eq!(*ends, 0, "{event:?} after the end");
                    *ends += usize::from(matches!(event, SessionEvent::Ended(_)));
                    if let SessionEvent::Refer(Refer { replaces: Some(replaces), .. }) = &event {
                        let _ = self.agent.session_replaced(replaces);
                    }
                }
                AgentEvent::Response { owner, .. } => {
                    assert_eq!(owner, 2);
                    self.asked = self.asked.checked_sub(1).expect("one final response for each request");
                }
            }
        }
    }

    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut timers = 0;
        while let Some(at) = self.agent.poll_timeout().filter(|at| *at <= end) {
            timers += 1;
            assert!(timers <= TIMERS_MAX, "a timer that comes again for ever");
            self.now = at.max(self.now);
            self.agent.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn end(mut self) {
        for session in std::mem::take(&mut self.sessions) {
            self.agent.hangup(self.now, session, Some(16));
            self.drain();
            self.sessions.push(session);
        }
        self.pass(Duration::from_secs(4_000));
        assert_eq!((self.agent.sessions(), self.agent.transactions(), self.asked), (0, (0, 0), 0));
        assert_eq!(self.agent.poll_timeout(), None);
        assert!(self.sessions.iter().all(|session| self.ends[session] == 1), "each session ends once");
    }
}

fuzz_target!(|input: &[u8]| {
    let mut bed = Bed::new();
    for step in steps(input) {
        bed.step(step);
    }
    bed.end();
});
