//! Whatever a peer sends in whatever order, and whatever its owner asks for meanwhile: a session ends once, nothing follows
//! its end, and in time nothing of it is left.

mod wire;

use bytes::Bytes;
use proptest::prelude::*;
use std::time::Duration;
use sx_sip::message::{HeaderName, Method, OwnedMessage};
use sx_sip::session::{SessionEvent, SessionId};
use wire::{Alone, BOB, our_tag, request, respond, value};

/// One thing that happens; the numbers choose among what there is.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The peer sends a request: method, how its number differs from the last, with a body?
    Request(u8, i8, bool),
    /// The peer acknowledges its last INVITE, with a body?
    Ack(bool),
    /// The peer cancels its last INVITE.
    Cancel,
    /// The peer answers one of the requests we sent.
    Response(u8, u8, bool),
    /// Our owner wants something.
    Verb(u8),
    /// Milliseconds pass.
    Pass(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u8..10, -1i8..3, any::<bool>()).prop_map(|(method, delta, body)| Step::Request(method, delta, body)),
        2 => any::<bool>().prop_map(Step::Ack),
        1 => Just(Step::Cancel),
        4 => (any::<u8>(), any::<u8>(), any::<bool>()).prop_map(|(which, status, body)| Step::Response(which, status, body)),
        4 => any::<u8>().prop_map(Step::Verb),
        2 => any::<u16>().prop_map(Step::Pass),
    ]
}

const METHODS: [&str; 10] =
    ["INVITE", "INVITE", "UPDATE", "UPDATE", "BYE", "INFO", "PRACK", "REFER", "NOTIFY", "OPTIONS"];

const STATUSES: [u16; 15] = [100, 180, 183, 200, 200, 200, 302, 401, 407, 422, 481, 486, 491, 500, 503];

/// A peer that knows the dialog and keeps to nothing else.
struct Peer {
    alone: Alone,
    session: SessionId,
    /// Request line's URI, From, To and Call-ID of its requests.
    from: String,
    to: String,
    call_id: String,
    seq: u32,
    /// The number and branch of its last INVITE.
    invite: (u32, u32),
    branch: u32,
    requests: Vec<OwnedMessage>,
    ends: usize,
}

impl Peer {
    fn called(reliable: bool) -> Self {
        let mut alone = Alone::new();
        let lines = if reliable { "Supported: 100rel\r\n" } else { "" };
        let lines = format!("Contact: <sip:bob@192.0.2.2>\r\nAllow: UPDATE\r\n{lines}");
        let session = alone.invited(BOB, &request("INVITE", "0", 1, &lines, "offer"));
        alone.agent.progress(alone.now, session, 180, None);
        let tag = our_tag(&alone.sent_one());
        Self::new(
            alone,
            session,
            "<sip:bob@example.org>;tag=bobs".into(),
            format!("<sip:alice@example.org>;tag={tag}"),
            "a-call@192.0.2.2".into(),
        )
    }

    fn calling(offers: bool) -> Self {
        let mut alone = Alone::new();
        let mut spec = wire::outgoing(&mut alone.agent);
        spec.credentials = Some(wire::credentials());
        if !offers {
            spec.offer = None;
        }
        let session = alone.agent.dial(alone.now, 1, spec).expect("accepted");
        let invite = alone.sent_one();
        let from = format!("{};tag=b", value(&invite, HeaderName::To));
        let (to, call_id) = (value(&invite, HeaderName::From), value(&invite, HeaderName::CallId));
        let mut peer = Self::new(alone, session, from, to, call_id);
        peer.requests.push(invite);
        peer
    }

    fn new(alone: Alone, session: SessionId, from: String, to: String, call_id: String) -> Self {
        let requests = Vec::new();
        Self { alone, session, from, to, call_id, seq: 1, invite: (1, 0), branch: 0, requests, ends: 0 }
    }

    fn send(&mut self, method: &str, seq: u32, branch: u32, body: bool) {
        let body = if body { "offer" } else { "" };
        let typed = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "{method} sip:alice@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK{branch}\r\n\
             Max-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {seq} {method}\r\n\
             Contact: <sip:bob@192.0.2.2>\r\nRAck: 1 1 INVITE\r\nEvent: refer\r\nRefer-To: <sip:c@example.org>\r\n\
             {typed}Content-Length: {}\r\n\r\n{body}",
            self.from,
            self.to,
            self.call_id,
            body.len(),
        );
        self.alone.receive(&text);
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Request(method, delta, body) => {
                let method = METHODS[usize::from(method)];
                self.branch += 1;
                let seq = self.seq.saturating_add_signed(i32::from(delta)).max(1);
                self.seq = self.seq.max(seq);
                if method == "INVITE" {
                    self.invite = (seq, self.branch);
                }
                self.send(method, seq, self.branch, body);
            }
            Step::Ack(body) => {
                self.branch += 1;
                self.send("ACK", self.invite.0, self.branch, body);
            }
            Step::Cancel => self.send("CANCEL", self.invite.0, self.invite.1, false),
            Step::Response(which, status, body) => {
                let Some(last) = self.requests.len().checked_sub(1) else { return };
                let request = &self.requests[last.saturating_sub(usize::from(which % 4))];
                let status = STATUSES[usize::from(status) % STATUSES.len()];
                let lines = "Contact: <sip:bob@192.0.2.2>\r\nAllow: UPDATE\r\nMin-SE: 2000\r\nRequire: 100rel\r\nRSeq: 1\r\n\
                             WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n\
                             Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\", stale=true\r\n";
                let text = respond(request, status, "b", lines, if body { "answer" } else { "" });
                self.alone.receive(&text);
            }
            Step::Verb(verb) => self.want(verb),
            Step::Pass(ms) => self.alone.pass(Duration::from_millis(u64::from(ms))),
        }
        self.collect();
    }

    fn want(&mut self, verb: u8) {
        let (agent, now, id) = (&mut self.alone.agent, self.alone.now, self.session);
        let description = Bytes::from_static(b"ours");
        match verb % 13 {
            0 => agent.progress(now, id, 183, Some(description)),
            1 | 2 => agent.answer(now, id, Some(description), &[]),
            3 => agent.offer(now, id, Some(description)),
            4 => agent.offer(now, id, None),
            5 | 6 => agent.answer_offer(now, id, description),
            7 => agent.refuse_offer(now, id, 488, &|_| {}),
            8 => agent.confirm(id, description),
            9 => agent.info(now, id, "text/plain", b"x"),
            10 => agent.refer(now, id, "sip:carol@example.org"),
            11 => agent.report(now, id, 200),
            _ if verb > 200 => agent.hangup(now, id, Some(16)),
            _ => {}
        }
    }

    fn collect(&mut self) {
        for (_, message) in self.alone.sent() {
            message.check().expect("what we write passes our check");
            if message.method().is_some_and(|method| method != Method::Ack) {
                self.requests.push(message);
            }
        }
        for event in self.alone.events() {
            assert_eq!(self.ends, 0, "{event:?} after the end");
            self.ends += usize::from(matches!(event, SessionEvent::Ended(_)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_session_ends_once_and_nothing_is_left(
        (made, other) in any::<(bool, bool)>(),
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let mut peer = if made { Peer::calling(other) } else { Peer::called(other) };
        for step in steps {
            peer.take(step);
        }
        peer.alone.agent.hangup(peer.alone.now, peer.session, None);
        peer.alone.pass(Duration::from_secs(4_000));
        peer.collect();
        prop_assert_eq!((peer.ends, peer.alone.agent.sessions()), (1, 0));
        prop_assert_eq!(peer.alone.agent.transactions(), (0, 0));
        prop_assert_eq!(peer.alone.agent.poll_timeout(), None);
    }
}
