//! A SIP message from a datagram: parsed, checked, every typed value of it read, and given to an agent that makes a
//! session of it where it can. Whatever the agent sends is itself a message that passes the check.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::Duration;
use sx_engine::{Rng, Time};
use sx_sip::agent::{Agent, AgentConfig, Disposition};
use sx_sip::digest::DigestParams;
use sx_sip::local::{LocalLink, Locals};
use sx_sip::message::{CSeq, HeaderName, Message, Method, NameAddr, Params, RAck, Uri, Via};
use sx_types::{Flow, LinkId, Transport};

static OWN: LazyLock<SocketAddr> = LazyLock::new(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 5060)));

fn agent() -> Agent {
    let link = LocalLink { link: LinkId(1), transport: Transport::Udp, bound: *OWN, advertised: None };
    let locals =
        Locals { worker: 0, links: vec![link], outward_v4: Ipv4Addr::LOCALHOST, outward_v6: Ipv6Addr::LOCALHOST };
    Agent::new(Time::ZERO, AgentConfig::default(), locals, Rng::from_number(1))
}

fn read(message: &Message<&[u8]>) {
    for header in message.headers() {
        let _ = (Via::parse(header.value), CSeq::parse(header.value), RAck::parse(header.value));
        let _ = (Uri::parse(header.value), DigestParams::parse(header.value), message.other("x"));
        let _ = (message.number(header.name), message.text(header.name), message.lists(header.name, "timer"));
        let params = Params(header.value);
        let _ = (params.iter().count(), params.value("tag"), params.has("lr"));
        for element in message.elements(header.name).take(8) {
            if let Ok(address) = NameAddr::parse(element) {
                let _ = (address.display_text(), address.user(), address.tag(), address.uri.host.ip());
            }
        }
    }
    assert!(message.body().len() <= message.bytes().len());
    assert_eq!(message.detach().headers().len(), message.headers().len());
    let _ = (message.start_line(), message.version(), message.content_length(), sx_sip::session::description(message));
}

fn drain(agent: &mut Agent) {
    while agent.poll_event().is_some() {}
    while let Some(transmit) = agent.poll_transmit() {
        let message = Message::parse(transmit.bytes).expect("what we send, parses");
        // A refusal repeats what was wrong with its request.
        if message.status().is_none_or(|status| status < 300 && status != 100) {
            message.check().expect("what we send passes our check");
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = Message::parse(bytes) else { return };
    read(&message);
    let (mut agent, now) = (agent(), Time::from_secs(1_000));
    let flow = Flow { worker: 0, link: LinkId(1), transport: Transport::Udp, remote: *OWN };
    let disposition = agent.receive(now, flow, &message);
    agent.refuse(flow, &message, disposition);
    assert_eq!(matches!(disposition, Disposition::Malformed(_)), message.check().is_err());
    if disposition == Disposition::Request && message.method() == Some(Method::Invite) {
        if let Ok(session) = agent.accept(now, flow, &message, 1) {
            agent.progress(now, session, 180, None);
            agent.answer(now, session, Some(bytes::Bytes::from_static(b"answer")), &[]);
            agent.hangup(now, session, Some(16));
        }
    } else if disposition == Disposition::Request && message.value(HeaderName::To).is_some() {
        let server = agent.open(now, flow, &message);
        agent.respond(now, server, sx_sip::transaction::Reply { status: 405, ..Default::default() });
    }
    drain(&mut agent);
    // Nobody answers: after the last timer nothing is left.
    let mut now = now;
    while let Some(at) = agent.poll_timeout() {
        now = at.max(now);
        assert!(now < Time::from_secs(1_000) + Duration::from_secs(200), "a timer that comes again for ever");
        agent.handle_timeout(now);
        drain(&mut agent);
    }
    assert_eq!((agent.sessions(), agent.transactions()), (0, (0, 0)));
});
