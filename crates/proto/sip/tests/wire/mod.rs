//! Agents in virtual time: two of them with a network between, or one alone that is handed messages as text.
#![allow(dead_code, reason = "each file of tests uses another part")]

use bytes::Bytes;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use sx_engine::{Rng, Time};
use sx_sip::agent::{Agent, AgentConfig, AgentEvent, Disposition};
use sx_sip::digest::Credentials;
use sx_sip::local::{LocalLink, Locals};
use sx_sip::message::{HeaderName, Message, Method, OwnedMessage};
use sx_sip::session::{Description, Ended, Outgoing, ReliablePolicy, SessionEvent, SessionId};
use sx_testkit::{Conditions, Datagram, Network, Node};
use sx_types::{Destination, Flow, LinkId, Transport};

/// When every test begins.
pub const START: Time = Time::from_secs(1_800_000_000);

/// The address of our agent in tests of one alone, and of the calling side in tests of two.
pub const ALICE: &str = "192.0.2.1:5060";
/// The address of the other.
pub const BOB: &str = "192.0.2.2:5060";

pub fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub fn flow(remote: &str) -> Flow {
    Flow { worker: 0, link: LinkId(1), transport: Transport::Udp, remote: address(remote) }
}

pub fn agent_with(own: &str, seed: u64, config: AgentConfig) -> Agent {
    let link = LocalLink { link: LinkId(1), transport: Transport::Udp, bound: address(own), advertised: None };
    let locals =
        Locals { worker: 0, links: vec![link], outward_v4: Ipv4Addr::LOCALHOST, outward_v6: Ipv6Addr::LOCALHOST };
    Agent::new(START, config, locals, Rng::from_number(seed))
}

/// A call to Bob.
pub fn outgoing(agent: &mut Agent) -> Outgoing {
    Outgoing {
        uris: Vec::new(),
        to: vec![Destination::Flow(flow(BOB))],
        uri: "sip:bob@192.0.2.2:5060".into(),
        from: "<sip:alice@example.org>".into(),
        to_value: "<sip:bob@example.org>".into(),
        contact_user: "alice".into(),
        call_id: agent.call_id(),
        routes: Vec::new(),
        offer: Some(Bytes::from_static(b"offer")),
        headers: Vec::new(),
        hops: 70,
        credentials: None,
        reliable: ReliablePolicy::Supported,
        session_timer: true,
        silence_max: None,
    }
}

pub fn credentials() -> Arc<Credentials> {
    Arc::new(Credentials { username: "alice".into(), password: "wonder".into() })
}

/// What the called side does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Nothing.
    Silent,
    /// Rings and answers.
    Answers,
    /// Sends its description in a reliable 183, then answers.
    EarlyMedia,
}

/// An agent on a network.
pub struct Peer {
    pub agent: Agent,
    pub address: SocketAddr,
    pub manner: Manner,
    pub invited: Vec<SessionId>,
    pub events: Vec<SessionEvent>,
    out: VecDeque<Datagram>,
}

impl Peer {
    pub fn new(own: &str, seed: u64) -> Self {
        let agent = agent_with(own, seed, AgentConfig::default());
        let address = address(own);
        Self { agent, address, manner: Manner::Silent, invited: Vec::new(), events: Vec::new(), out: VecDeque::new() }
    }

    pub fn dial(&mut self, now: Time) -> SessionId {
        let spec = outgoing(&mut self.agent);
        self.agent.dial(now, 1, spec).expect("accepted")
    }

    pub fn ends(&self) -> Vec<Ended> {
        self.events
            .iter()
            .filter_map(|e| if let SessionEvent::Ended(ended) = e { Some(*ended) } else { None })
            .collect()
    }

    pub fn has(&self, wanted: impl Fn(&SessionEvent) -> bool) -> bool {
        self.events.iter().any(wanted)
    }

    fn receive(&mut self, now: Time, flow: Flow, message: &Message<&[u8]>) {
        let disposition = self.agent.receive(now, flow, message);
        self.agent.refuse(flow, message, disposition);
        if disposition != Disposition::Request || message.method() != Some(Method::Invite) {
            return;
        }
        let Ok(session) = self.agent.accept(now, flow, message, 1) else { return };
        self.invited.push(session);
        let answer = Some(Bytes::from_static(b"answer"));
        match self.manner {
            Manner::Silent => {}
            Manner::Answers => {
                self.agent.progress(now, session, 180, None);
                self.agent.answer(now, session, answer, &[]);
            }
            Manner::EarlyMedia => {
                self.agent.progress(now, session, 183, answer);
                self.agent.answer(now, session, None, &[]);
            }
        }
    }
}

impl Node for Peer {
    fn owns(&self, address: SocketAddr) -> bool {
        self.address == address
    }

    fn handle_datagram(&mut self, now: Time, from: SocketAddr, _: SocketAddr, bytes: &[u8]) {
        let message = Message::parse(bytes).expect("what we write, we can read");
        message.check().expect("what we write passes our check");
        let flow = Flow { worker: 0, link: LinkId(1), transport: Transport::Udp, remote: from };
        self.receive(now, flow, &message);
    }

    fn handle_timeout(&mut self, now: Time) {
        self.agent.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.agent.poll_timeout()
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        while let Some(event) = self.agent.poll_event() {
            if let AgentEvent::Session { event, .. } = event {
                self.events.push(event);
            }
        }
        while let Some(transmit) = self.agent.poll_transmit() {
            self.out.push_back(Datagram::new(self.address, transmit.to.remote(), &transmit.bytes));
        }
        self.out.pop_front()
    }
}

/// Two agents and the network between them.
pub struct Pair {
    pub alice: Peer,
    pub bob: Peer,
    pub network: Network,
}

impl Pair {
    pub fn new(seed: u64, manner: Manner, conditions: Conditions) -> Self {
        let mut network = Network::new(seed, START);
        network.name(address(ALICE), "alice");
        network.name(address(BOB), "bob");
        network.set_default(conditions);
        let mut bob = Peer::new(BOB, seed ^ 0xb0b);
        bob.manner = manner;
        Self { alice: Peer::new(ALICE, seed), bob, network }
    }

    /// An established call over a perfect network, its events forgotten.
    pub fn established() -> (Self, SessionId, SessionId) {
        let mut pair = Self::new(1, Manner::Answers, Conditions::PERFECT);
        let alice = pair.alice.dial(pair.now());
        pair.pass(Duration::from_millis(10));
        assert!(pair.alice.has(|e| matches!(e, SessionEvent::Answered { .. })));
        assert!(pair.bob.has(|e| matches!(e, SessionEvent::Confirmed { .. })));
        pair.forget();
        let bob = pair.bob.invited[0];
        (pair, alice, bob)
    }

    pub fn forget(&mut self) {
        self.alice.events.clear();
        self.bob.events.clear();
    }

    pub fn now(&self) -> Time {
        self.network.now()
    }

    pub fn pass(&mut self, duration: Duration) {
        self.network.run(&mut [&mut self.alice, &mut self.bob], duration);
    }

    /// The first words of every datagram since the `skip`th, as `a> INVITE` or `b> 200`.
    pub fn lines(&self, skip: usize) -> Vec<String> {
        let alice = address(ALICE);
        let packets = &self.network.trace().packets()[skip..];
        packets
            .iter()
            .map(|packet| {
                let message = Message::parse(&packet.datagram.bytes[..]).expect("ours");
                let side = if packet.datagram.from == alice { "a>" } else { "b>" };
                match message.status() {
                    Some(status) => format!("{side} {status}"),
                    None => format!("{side} {}", message.method().expect("a request")),
                }
            })
            .collect()
    }

    /// Nothing is kept of any call.
    pub fn assert_nothing_left(&self, context: &str) {
        for (name, peer) in [("alice", &self.alice), ("bob", &self.bob)] {
            let left = (peer.agent.sessions(), peer.agent.transactions());
            assert_eq!(left, (0, (0, 0)), "{name} keeps something, {context}\n{}", self.ladder());
            assert_eq!(peer.agent.poll_timeout(), None, "{name} waits for a timer, {context}");
        }
    }

    pub fn ladder(&self) -> String {
        self.network
            .trace()
            .ladder(|bytes| String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_owned())
    }
}

/// One agent, at [`ALICE`], whose peer is written by hand.
pub struct Alone {
    pub agent: Agent,
    pub now: Time,
    /// The session made last of an INVITE that came.
    pub session: Option<SessionId>,
}

impl Alone {
    pub fn new() -> Self {
        Self { agent: agent_with(ALICE, 7, AgentConfig::default()), now: START, session: None }
    }

    pub fn receive(&mut self, text: &str) -> Disposition {
        self.receive_from(BOB, text.as_bytes())
    }

    pub fn receive_from(&mut self, remote: &str, bytes: &[u8]) -> Disposition {
        let message = Message::parse(bytes).expect("it parses");
        let disposition = self.agent.receive(self.now, flow(remote), &message);
        self.agent.refuse(flow(remote), &message, disposition);
        disposition
    }

    /// Takes an INVITE and makes a session of it.
    pub fn invited(&mut self, remote: &str, text: &str) -> SessionId {
        let message = Message::parse(text.as_bytes()).expect("it parses");
        assert_eq!(self.agent.receive(self.now, flow(remote), &message), Disposition::Request);
        let session = self.agent.accept(self.now, flow(remote), &message, 1).expect("accepted");
        self.session = Some(session);
        session
    }

    /// What was sent, and where to.
    pub fn sent(&mut self) -> Vec<(SocketAddr, OwnedMessage)> {
        std::iter::from_fn(|| self.agent.poll_transmit())
            .map(|transmit| (transmit.to.remote(), Message::parse(transmit.bytes).expect("ours")))
            .collect()
    }

    /// The one message that was sent.
    pub fn sent_one(&mut self) -> OwnedMessage {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{:?}", labels(&sent));
        sent.remove(0).1
    }

    pub fn events(&mut self) -> Vec<SessionEvent> {
        std::iter::from_fn(|| self.agent.poll_event())
            .filter_map(|event| if let AgentEvent::Session { event, .. } = event { Some(event) } else { None })
            .collect()
    }

    /// Lets time pass, timer by timer; what is sent waits for [`sent`](Self::sent).
    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.agent.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.agent.handle_timeout(self.now);
        }
        self.now = end;
    }
}

/// The method or status of each message.
pub fn labels(sent: &[(SocketAddr, OwnedMessage)]) -> Vec<String> {
    sent.iter().map(|(_, message)| label(message)).collect()
}

pub fn label(message: &OwnedMessage) -> String {
    message.status().map_or_else(|| message.method().expect("a request").to_string(), |status| status.to_string())
}

pub fn value(message: &OwnedMessage, name: HeaderName) -> String {
    String::from_utf8_lossy(message.value(name).unwrap_or_default()).into_owned()
}

/// A response to a request of ours, with this To tag and further lines, each with its line end.
pub fn respond(request: &OwnedMessage, status: u16, tag: &str, lines: &str, body: &str) -> String {
    let to = value(request, HeaderName::To);
    let to = if to.contains(";tag=") { to } else { format!("{to};tag={tag}") };
    let typed = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "SIP/2.0 {status} X\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n{lines}{typed}\
         Content-Length: {}\r\n\r\n{body}",
        value(request, HeaderName::Via),
        value(request, HeaderName::From),
        value(request, HeaderName::CallId),
        value(request, HeaderName::CSeq),
        body.len(),
    )
}

/// A request from Bob outside of a dialog, with further lines.
pub fn request(method: &str, branch: &str, seq: u32, lines: &str, body: &str) -> String {
    in_dialog(method, branch, seq, "", lines, body)
}

/// A request from Bob that names our tag.
pub fn in_dialog(method: &str, branch: &str, seq: u32, our_tag: &str, lines: &str, body: &str) -> String {
    let tag = if our_tag.is_empty() { String::new() } else { format!(";tag={our_tag}") };
    let typed = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:alice@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK{branch}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:bob@example.org>;tag=bobs\r\nTo: <sip:alice@example.org>{tag}\r\n\
         Call-ID: a-call@192.0.2.2\r\nCSeq: {seq} {method}\r\n{lines}{typed}Content-Length: {}\r\n\r\n{body}",
        body.len(),
    )
}

/// The tag of our side in a response of ours.
pub fn our_tag(response: &OwnedMessage) -> String {
    value(response, HeaderName::To).split(";tag=").nth(1).expect("a tag").to_owned()
}

/// The text of a description.
pub fn text(description: Option<&Description>) -> Option<String> {
    description.map(|d| String::from_utf8_lossy(d.bytes()).into_owned())
}
