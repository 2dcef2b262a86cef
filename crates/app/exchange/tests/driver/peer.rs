//! One who speaks SIP with the exchange.

use super::{EXCHANGE, START, address};
use bytes::Bytes;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use sx_engine::{Rng, Time};
use sx_sip::agent::{Agent, AgentConfig, AgentEvent, Disposition, OutgoingRequest};
use sx_sip::digest::Credentials;
use sx_sip::local::{LocalLink, Locals};
use sx_sip::message::{Message, Method, Writer};
use sx_sip::session::{Ended, Outgoing, ReliablePolicy, SessionEvent, SessionId};
use sx_sip::transaction::Reply;
use sx_types::{Flow, LinkId, Transport};

/// What a peer does by itself with calls to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Nothing.
    Silent,
    /// Rings.
    Rings,
    /// Rings and answers.
    Answers,
    /// Sends its description in a 183, then nothing.
    Early,
    /// Refuses.
    Refuses(u16),
    /// Sends the caller to this URI.
    Redirects(&'static str),
    /// Is not there: nothing reaches it.
    Dead,
}

/// How a peer answers the next request outside of a session.
#[derive(Clone, Debug)]
pub struct Scripted {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
}

pub struct Peer {
    pub name: &'static str,
    pub agent: Agent,
    pub address: SocketAddr,
    pub manner: Manner,
    /// It leaves OPTIONS unanswered.
    pub ignores_options: bool,
    /// Sessions that were made of invitations, in order.
    pub invited: Vec<SessionId>,
    pub dialled: Vec<SessionId>,
    pub events: Vec<(SessionId, SessionEvent)>,
    /// Final answers to requests of its own outside of sessions: status and text.
    pub replies: Vec<(u16, String)>,
    /// What answers requests outside of sessions; 200 when there is nothing.
    pub script: VecDeque<Scripted>,
    pub credentials: Option<Arc<Credentials>>,
    /// Accepts changes by itself.
    pub accepts_changes: bool,
    /// What stands in its descriptions behind what is usual.
    pub more: String,
    version: u32,
    seq: u32,
}

/// A description with one stream of audio.
pub fn sdp(from: SocketAddr, port: u16, version: u32, direction: &str) -> String {
    let ip = from.ip();
    format!(
        "v=0\r\no=- 5 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n\
         a={direction}\r\n"
    )
}

fn answer_to(offer: &str) -> &'static str {
    match offer.lines().find(|line| ["a=sendonly", "a=recvonly", "a=inactive"].contains(line)) {
        Some("a=sendonly") => "recvonly",
        Some("a=recvonly") => "sendonly",
        Some("a=inactive") => "inactive",
        _ => "sendrecv",
    }
}

impl Peer {
    pub fn new(name: &'static str, own: SocketAddr, manner: Manner) -> Self {
        let link = LocalLink { link: LinkId(1), transport: Transport::Udp, bound: own, advertised: None };
        let locals =
            Locals { worker: 0, links: vec![link], outward_v4: Ipv4Addr::LOCALHOST, outward_v6: Ipv6Addr::LOCALHOST };
        let seed = name.bytes().fold(7, |sum, byte| sum * 31 + u64::from(byte));
        let config = AgentConfig { user_agent: format!("{name}-phone").into(), ..AgentConfig::default() };
        Self {
            name,
            agent: Agent::new(START, config, locals, Rng::from_number(seed)),
            address: own,
            manner,
            ignores_options: false,
            invited: Vec::new(),
            dialled: Vec::new(),
            events: Vec::new(),
            replies: Vec::new(),
            script: VecDeque::new(),
            credentials: Some(credentials(name, super::PASSWORD)),
            accepts_changes: true,
            more: String::new(),
            version: 0,
            seq: 0,
        }
    }

    /// Where it wants its RTP.
    pub fn media(&self) -> SocketAddr {
        SocketAddr::new(self.address.ip(), 4_000)
    }

    /// A fresh description.
    pub fn describe(&mut self, direction: &str) -> Bytes {
        self.version += 1;
        Bytes::from(sdp(self.address, 4_000, self.version, direction) + &self.more)
    }

    pub fn dial(&mut self, now: Time, uri: &str, change: impl FnOnce(&mut Outgoing)) -> SessionId {
        let mut spec = Outgoing {
            uris: Vec::new(),
            to: vec![self.agent.locals().way_to(Transport::Udp, address(EXCHANGE), None)],
            uri: uri.into(),
            from: format!("\"The {0}\" <sip:{0}@example.org>", self.name).into(),
            to_value: format!("<{uri}>").into(),
            contact_user: self.name.into(),
            call_id: self.agent.call_id(),
            routes: Vec::new(),
            offer: Some(self.describe("sendrecv")),
            headers: Vec::new(),
            hops: 70,
            credentials: self.credentials.clone(),
            reliable: ReliablePolicy::Supported,
            session_timer: true,
            silence_max: None,
        };
        change(&mut spec);
        let session = self.agent.dial(now, 1, spec).expect("accepted");
        self.dialled.push(session);
        session
    }

    pub fn register(&mut self, now: Time, user: &str, password: &str, expires_s: u32) {
        let spec = self.registration(user, user, password, expires_s);
        self.agent.request(now, 1, spec);
    }

    /// A REGISTER for `user`, with the credentials of `login`.
    pub fn registration(&mut self, user: &str, login: &str, password: &str, expires_s: u32) -> OutgoingRequest {
        // A challenge uses up one number.
        self.seq += 2;
        let contact = format!("<sip:{user}@{}>", self.address);
        let headers =
            vec![("Contact".into(), contact.into()), ("Expires".into(), expires_s.to_string().into_boxed_str())];
        let mut spec = self.request(Method::Register, "sip:example.org", headers);
        spec.to_value = format!("<sip:{user}@example.org>").into();
        spec.from = spec.to_value.clone();
        spec.call_id = format!("registration-of-{}", self.name).into();
        spec.seq = self.seq;
        spec.credentials = Some(credentials(login, password));
        spec
    }

    /// A request outside of sessions.
    pub fn request(&mut self, method: Method, uri: &str, headers: Vec<(Box<str>, Box<str>)>) -> OutgoingRequest {
        OutgoingRequest {
            to: vec![self.agent.locals().way_to(Transport::Udp, address(EXCHANGE), None)],
            method,
            uri: uri.into(),
            from: format!("<sip:{}@example.org>", self.name).into(),
            to_value: format!("<{uri}>").into(),
            call_id: self.agent.call_id(),
            seq: 1,
            routes: Vec::new(),
            headers,
            hops: 70,
            body: None,
            credentials: self.credentials.clone(),
        }
    }

    /// Every session there ever was.
    pub fn all_sessions(&self) -> Vec<SessionId> {
        self.invited.iter().chain(&self.dialled).copied().collect()
    }

    pub fn ends_of(&self, session: SessionId) -> Vec<Ended> {
        let of = |(id, event): &(SessionId, SessionEvent)| match event {
            SessionEvent::Ended(ended) if *id == session => Some(*ended),
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }

    pub fn has(&self, wanted: impl Fn(&SessionEvent) -> bool) -> bool {
        self.events.iter().any(|(_, event)| wanted(event))
    }

    /// How many of its own calls were answered.
    pub fn answered(&self) -> usize {
        let answered = |(id, event): &&(SessionId, SessionEvent)| {
            self.dialled.contains(id) && matches!(event, SessionEvent::Answered { .. })
        };
        self.events.iter().filter(answered).count()
    }

    /// The statuses that NOTIFYs have reported.
    pub fn reports(&self) -> Vec<u16> {
        let status = |(_, event): &(_, SessionEvent)| match event {
            SessionEvent::Report { status } => Some(*status),
            _ => None,
        };
        self.events.iter().filter_map(status).collect()
    }

    pub(super) fn receive(&mut self, now: Time, from: SocketAddr, bytes: &Bytes) {
        if self.manner == Manner::Dead || self.ignores_options && bytes.starts_with(b"OPTIONS ") {
            return;
        }
        let message = Message::parse(bytes.clone()).expect("it parses");
        let flow = Flow { worker: 0, link: LinkId(1), transport: Transport::Udp, remote: from };
        let disposition = self.agent.receive(now, flow, &message);
        if disposition != Disposition::Request {
            return self.agent.refuse(flow, &message, disposition);
        }
        if message.method() != Some(Method::Invite) {
            let Scripted { status, headers } =
                self.script.pop_front().unwrap_or(Scripted { status: 200, headers: Vec::new() });
            let headers = |writer: &mut Writer| {
                for (name, value) in &headers {
                    writer.raw_header(name.as_bytes(), value.as_bytes());
                }
            };
            self.agent.reply(flow, &message, Reply { status, headers: Some(&headers), ..Reply::default() });
            return;
        }
        let session = self.agent.accept(now, flow, &message, 1).expect("the exchange's INVITE is acceptable");
        self.invited.push(session);
        let offer = String::from_utf8_lossy(message.body()).into_owned();
        let description = self.describe(answer_to(&offer));
        match self.manner {
            Manner::Silent | Manner::Dead => {}
            Manner::Rings => self.agent.progress(now, session, 180, None),
            Manner::Answers => {
                self.agent.progress(now, session, 180, None);
                self.agent.answer(now, session, Some(description), &[]);
            }
            Manner::Early => self.agent.progress(now, session, 183, Some(description)),
            Manner::Redirects(uri) => {
                let contact = |writer: &mut Writer| {
                    writer.raw_header(b"Contact", format!("<{uri}>").as_bytes());
                };
                self.agent.reject(now, session, 302, "", &contact);
            }
            Manner::Refuses(status) => self.agent.reject(now, session, status, "", &|_| {}),
        }
    }

    /// What the agent has to send, after what has happened was seen to.
    pub(super) fn collect(&mut self, now: Time) -> Vec<(SocketAddr, Bytes)> {
        let mut sent = Vec::new();
        loop {
            while let Some(transmit) = self.agent.poll_transmit() {
                sent.push((transmit.to.remote(), transmit.bytes));
            }
            let Some(event) = self.agent.poll_event() else { return sent };
            match event {
                AgentEvent::Session { session, event, .. } => {
                    if let (SessionEvent::Offered { description }, true) = (&event, self.accepts_changes) {
                        let offer = description.as_deref().unwrap_or_default();
                        let direction = answer_to(&String::from_utf8_lossy(offer));
                        let answer = self.describe(direction);
                        self.agent.answer_offer(now, session, answer);
                    }
                    self.events.push((session, event));
                }
                AgentEvent::Response { response, status, .. } => {
                    let text = response.map(|r| String::from_utf8_lossy(r.bytes()).into_owned());
                    self.replies.push((status, text.unwrap_or_default()));
                }
            }
        }
    }
}

pub fn credentials(name: &str, password: &str) -> Arc<Credentials> {
    Arc::new(Credentials { username: name.into(), password: password.into() })
}
