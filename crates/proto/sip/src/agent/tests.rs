//! Two agents and a wire between them, in virtual time.

use super::*;
use crate::local::LocalLink;
use crate::message::Message;
use crate::session::{Description, Ended, EndedBy, Outgoing, ReliablePolicy};
use bytes::Bytes;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use sx_types::{LinkId, Transport};

struct Peer {
    agent: Agent,
    address: SocketAddr,
    /// Invitations that came, as sessions for owner 1.
    invited: Vec<SessionId>,
    events: Vec<SessionEvent>,
}

impl Peer {
    fn new(port: u16) -> Self {
        Self::seeded(port, u64::from(port))
    }

    fn seeded(port: u16, seed: u64) -> Self {
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        let link = LocalLink { link: LinkId(1), transport: Transport::Udp, bound: address, advertised: None };
        let locals =
            Locals { worker: 0, links: vec![link], outward_v4: Ipv4Addr::LOCALHOST, outward_v6: Ipv6Addr::LOCALHOST };
        let agent = Agent::new(Time::ZERO, AgentConfig::default(), locals, Rng::from_number(seed));
        Self { agent, address, invited: Vec::new(), events: Vec::new() }
    }
}

struct Wire {
    peers: [Peer; 2],
    now: Time,
    /// Every message, as who sent it and its first line.
    trace: Vec<(usize, String)>,
}

impl Wire {
    fn new() -> Self {
        Self { peers: [Peer::new(5061), Peer::new(5062)], now: Time::from_secs(1_000), trace: Vec::new() }
    }

    fn dial(&mut self, offer: Option<&str>, reliable: ReliablePolicy) -> SessionId {
        let to = self.peers[0].agent.locals().way_to(Transport::Udp, self.peers[1].address, None);
        let spec = Outgoing {
            uris: Vec::new(),
            to: vec![to],
            uri: "sip:bob@127.0.0.1:5062".into(),
            from: "<sip:alice@example.org>".into(),
            to_value: "<sip:bob@example.org>".into(),
            contact_user: "alice".into(),
            call_id: self.peers[0].agent.call_id(),
            routes: Vec::new(),
            offer: offer.map(|text| Bytes::from(text.to_owned())),
            headers: Vec::new(),
            hops: 70,
            credentials: None,
            reliable,
            session_timer: true,
            silence_max: None,
        };
        let id = self.peers[0].agent.dial(self.now, 1, spec).expect("accepted");
        self.settle();
        id
    }

    /// Delivers until nothing is on the way.
    fn settle(&mut self) {
        loop {
            let mut quiet = true;
            for from in 0..2 {
                while let Some(transmit) = self.peers[from].agent.poll_transmit() {
                    quiet = false;
                    self.deliver(from, transmit);
                }
                let peer = &mut self.peers[from];
                while let Some(AgentEvent::Session { event, .. }) = peer.agent.poll_event() {
                    peer.events.push(event);
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn deliver(&mut self, from: usize, transmit: Transmit) {
        let message = Message::parse(transmit.bytes).expect("what we write, we can read");
        message.check().expect("what we write passes our check");
        let line = String::from_utf8_lossy(message.bytes()).lines().next().unwrap_or_default().to_owned();
        self.trace.push((from, line));
        let to = &mut self.peers[1 - from];
        assert_eq!(transmit.to.remote(), to.address);
        let remote = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 5061 + from as u16);
        let flow = Flow { worker: 0, link: LinkId(1), transport: Transport::Udp, remote };
        if to.agent.receive(self.now, flow, &message) == Disposition::Request
            && message.method() == Some(Method::Invite)
        {
            to.invited.push(to.agent.accept(self.now, flow, &message, 1).expect("accepted"));
        }
    }

    /// Lets time pass, in the steps the timers ask for.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(next) =
            self.peers.iter().filter_map(|p| p.agent.poll_timeout()).min().filter(|next| *next <= end)
        {
            self.now = next.max(self.now);
            let now = self.now;
            self.peers.iter_mut().for_each(|peer| peer.agent.handle_timeout(now));
            self.settle();
        }
        self.now = end;
    }

    fn lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.trace)
            .into_iter()
            .map(|(_, line)| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
            .collect()
    }

    fn events(&mut self, peer: usize) -> Vec<SessionEvent> {
        std::mem::take(&mut self.peers[peer].events)
    }

    fn established(&mut self) -> (SessionId, SessionId) {
        let a = self.dial(Some("offer"), ReliablePolicy::Supported);
        let b = self.peers[1].invited[0];
        self.peers[1].agent.answer(self.now, b, Some(Bytes::from_static(b"answer")), &[]);
        self.settle();
        self.lines();
        self.events(0);
        self.events(1);
        (a, b)
    }
}

#[test]
fn a_call_rings_is_answered_and_hung_up() {
    let mut wire = Wire::new();
    wire.dial(Some("offer"), ReliablePolicy::Supported);
    let (now, b) = (wire.now, wire.peers[1].invited[0]);
    wire.peers[1].agent.progress(now, b, 180, None);
    wire.settle();
    wire.peers[1].agent.answer(now, b, Some(Bytes::from_static(b"answer")), &[]);
    wire.settle();
    let events = wire.events(0);
    assert!(matches!(events[0], SessionEvent::Progress { status: 180, description: None }));
    assert!(
        matches!(&events[1], SessionEvent::Answered { description: Some(Description::Answer(sdp)), .. } if sdp == "answer")
    );
    assert!(matches!(wire.events(1)[..], [SessionEvent::Confirmed { description: None }]));
    wire.peers[1].agent.hangup(now, b, Some(16));
    wire.settle();
    let expected = [
        "INVITE sip:bob@127.0.0.1:5062",
        "SIP/2.0 180",
        "SIP/2.0 200",
        "ACK sip:bob@127.0.0.1:5062",
        "BYE sip:alice@127.0.0.1:5061",
        "SIP/2.0 200",
    ];
    assert_eq!(wire.lines(), expected);
    assert!(matches!(wire.events(0)[..], [SessionEvent::Ended(Ended { q850: Some(16), by: EndedBy::Peer, .. })]));
    assert!(matches!(wire.events(1)[..], [SessionEvent::Ended(Ended { by: EndedBy::Us, .. })]));
    wire.pass(Duration::from_secs(40));
    assert_eq!(wire.lines(), Vec::<String>::new());
    assert!(wire.peers.iter().all(|p| p.agent.sessions() == 0 && p.agent.transactions() == (0, 0)));
}

#[test]
fn early_media_is_delivered_reliably_before_the_answer() {
    let mut wire = Wire::new();
    wire.dial(Some("offer"), ReliablePolicy::Supported);
    let (now, b) = (wire.now, wire.peers[1].invited[0]);
    wire.peers[1].agent.progress(now, b, 183, Some(Bytes::from_static(b"early")));
    wire.peers[1].agent.answer(now, b, None, &[]);
    wire.settle();
    let lines = wire.lines();
    assert_eq!(lines[1..5], ["SIP/2.0 183", "PRACK sip:bob@127.0.0.1:5062", "SIP/2.0 200", "SIP/2.0 200"]);
    assert!(
        matches!(&wire.events(0)[0], SessionEvent::Progress { status: 183, description: Some(Description::Answer(sdp)) } if sdp == "early")
    );
}

#[test]
fn a_caller_who_makes_no_offer_answers_in_the_ack() {
    let mut wire = Wire::new();
    let a = wire.dial(None, ReliablePolicy::Supported);
    let (now, b) = (wire.now, wire.peers[1].invited[0]);
    wire.peers[1].agent.answer(now, b, Some(Bytes::from_static(b"offer")), &[]);
    wire.settle();
    assert!(matches!(&wire.events(0)[0], SessionEvent::Answered { description: Some(Description::Offer(_)), .. }));
    wire.peers[0].agent.confirm(a, Bytes::from_static(b"answer"));
    wire.settle();
    assert!(
        matches!(&wire.events(1)[0], SessionEvent::Confirmed { description: Some(Description::Answer(sdp)) } if sdp == "answer")
    );
}

#[test]
fn a_cancel_ends_both_sides_once() {
    let mut wire = Wire::new();
    let a = wire.dial(Some("offer"), ReliablePolicy::Supported);
    let (now, b) = (wire.now, wire.peers[1].invited[0]);
    wire.peers[1].agent.progress(now, b, 180, None);
    wire.settle();
    wire.peers[0].agent.hangup(now, a, None);
    wire.settle();
    assert_eq!(
        wire.lines()[2..],
        ["CANCEL sip:bob@127.0.0.1:5062", "SIP/2.0 200", "SIP/2.0 487", "ACK sip:bob@127.0.0.1:5062"]
    );
    assert!(matches!(wire.events(0)[..], [_, SessionEvent::Ended(Ended { status: 487, by: EndedBy::Us, .. })]));
    assert!(matches!(wire.events(1)[..], [SessionEvent::Ended(Ended { status: 487, by: EndedBy::Peer, .. })]));
    wire.pass(Duration::from_secs(40));
    assert!(wire.peers.iter().all(|p| p.agent.sessions() == 0 && p.agent.transactions() == (0, 0)));
}

#[test]
fn two_offers_that_meet_are_both_refused_and_one_is_tried_again() {
    let mut wire = Wire::new();
    let (a, b) = wire.established();
    let now = wire.now;
    wire.peers[0].agent.offer(now, a, Some(Bytes::from_static(b"from a")));
    wire.peers[1].agent.offer(now, b, Some(Bytes::from_static(b"from b")));
    wire.settle();
    assert_eq!(wire.lines().iter().filter(|line| *line == "SIP/2.0 491").count(), 2);
    wire.pass(Duration::from_millis(2_050));
    let offered = wire.events(0);
    assert!(
        matches!(&offered[..], [SessionEvent::OfferRefused { status: 491 }, SessionEvent::Offered { description: Some(sdp) }] if sdp == "from b"),
        "{offered:?}"
    );
    let now = wire.now;
    wire.peers[0].agent.answer_offer(now, a, Bytes::from_static(b"answer"));
    wire.settle();
    assert!(matches!(&wire.events(1)[..], [SessionEvent::OfferAccepted { description: Some(Description::Answer(_)) }]));
}

#[test]
fn a_session_nobody_refreshes_ends() {
    let mut wire = Wire::new();
    wire.established();
    wire.pass(Duration::from_secs(901));
    assert_eq!(wire.lines(), ["UPDATE sip:bob@127.0.0.1:5062", "SIP/2.0 200"], "refreshed at half the interval");
    // The refresher falls silent: the other side gives up 32 s before the interval is over.
    wire.peers[0].agent = Peer::new(5061).agent;
    wire.pass(Duration::from_secs(1_800));
    assert!(matches!(wire.events(1)[..], [SessionEvent::Ended(Ended { status: 408, by: EndedBy::Failure, .. })]));
    assert_eq!(wire.peers[1].agent.sessions(), 0);
}

#[test]
fn a_session_goes_on_in_another_process() {
    let mut wire = Wire::new();
    let (a, b) = wire.established();
    let snapshot = wire.peers[1].agent.snapshot(b).expect("established");
    let now = wire.now;
    // Another secret, so that the old tag names nothing by itself.
    wire.peers[1].agent = Peer::seeded(5062, 1).agent;
    let b = wire.peers[1].agent.restore(now, 1, snapshot, None);
    wire.peers[0].agent.offer(now, a, Some(Bytes::from_static(b"hold")));
    wire.settle();
    assert!(matches!(&wire.events(1)[..], [SessionEvent::Offered { description: Some(sdp) }] if sdp == "hold"));
    wire.peers[1].agent.answer_offer(now, b, Bytes::from_static(b"held"));
    wire.settle();
    wire.peers[1].agent.hangup(now, b, None);
    wire.settle();
    assert!(matches!(&wire.events(0)[..], [SessionEvent::OfferAccepted { .. }, SessionEvent::Ended(_)]));
    wire.pass(Duration::from_secs(40));
    assert!(wire.peers.iter().all(|p| p.agent.sessions() == 0));
}

#[test]
fn a_transfer_is_accepted_and_reported() {
    let mut wire = Wire::new();
    let (a, b) = wire.established();
    let now = wire.now;
    wire.peers[0].agent.refer(now, a, "sip:carol@example.org?Replaces=12%40x%3Bto-tag%3D1%3Bfrom-tag%3D2");
    wire.settle();
    let events = wire.events(1);
    let [SessionEvent::Refer(refer)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&*refer.to, refer.replaces.as_ref().map(|r| &*r.call_id)), ("sip:carol@example.org", Some("12@x")));
    for status in [100, 180, 200] {
        wire.peers[1].agent.report(now, b, status);
    }
    wire.settle();
    let reports: Vec<u16> = wire
        .events(0)
        .iter()
        .filter_map(|e| if let SessionEvent::Report { status } = e { Some(*status) } else { None })
        .collect();
    assert_eq!(reports, [100, 180, 200]);
}

#[test]
fn a_repeated_request_is_answered_with_the_same_tag_though_nothing_is_kept() {
    let mut peer = Peer::new(5061);
    let remote = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 5070);
    let flow = Flow { worker: 0, link: LinkId(1), transport: Transport::Udp, remote };
    let mut answered = |seq: u32| {
        let text = format!(
            "OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-1\r\n\
             From: <sip:a@b>;tag=1\r\nTo: <sip:x@127.0.0.1>\r\nCall-ID: c\r\nCSeq: {seq} OPTIONS\r\n\r\n"
        );
        let request = Message::parse(text.as_bytes()).expect("well formed");
        peer.agent.reply(flow, &request, Reply { status: 403, ..Reply::default() });
        peer.agent.poll_transmit().expect("an answer").bytes
    };
    let first = answered(1);
    assert_eq!(first, answered(1));
    assert_ne!(first, answered(2));
}
