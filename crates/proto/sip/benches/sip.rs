//! What a message, a transaction and a call cost. `cargo bench -p sx-sip` prints the times; each is for one piece.
#![expect(missing_docs, reason = "the macros of criterion make functions without any")]

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use sx_engine::{Rng, Time};
use sx_sip::agent::{Agent, AgentConfig, AgentEvent, Disposition};
use sx_sip::digest::{Algorithm, Credentials, DigestParams, Ha1};
use sx_sip::local::{LocalLink, Locals};
use sx_sip::message::{CSeq, HeaderName, Message, Method, NameAddr, Uri, Via, Writer};
use sx_sip::session::{Outgoing, ReliablePolicy, SessionEvent};
use sx_sip::transaction::{Reply, Timers, Transactions};
use sx_types::{Flow, LinkId, Transport};

/// An INVITE as an IP telephone behind two proxies sends it, of 1,177 bytes.
const INVITE: &str = "INVITE sip:+4930123456@exchange.example.org;user=phone SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-524287-1---f1c2;rport\r\n\
    Via: SIP/2.0/TLS proxy.branch.example.org:5061;branch=z9hG4bK77ef4c2312983.1;received=198.51.100.7\r\n\
    Max-Forwards: 69\r\n\
    Record-Route: <sip:192.0.2.10:5060;lr;ftag=9fxced76sl>\r\n\
    From: \"Alexander Graham Bell\" <sip:bell@example.org>;tag=9fxced76sl\r\n\
    To: <sip:+4930123456@exchange.example.org;user=phone>\r\n\
    Call-ID: 3848276298220188511@phone.example.org\r\n\
    CSeq: 314159 INVITE\r\n\
    Contact: <sip:bell@192.0.2.55:5060;transport=udp;ob>;+sip.instance=\"<urn:uuid:f81d4fae>\"\r\n\
    Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY, MESSAGE\r\n\
    Supported: 100rel, replaces, timer, outbound\r\n\
    P-Asserted-Identity: \"A\" <sip:bell@example.org>\r\n\
    Session-Expires: 1800\r\n\
    Min-SE: 90\r\n\
    User-Agent: Telephone 4.2.1 (hardware revision 7; build 2024-05-17 10:31 UTC; r)\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 232\r\n\r\n\
    v=0\r\no=bell 2890844526 2890844526 IN IP4 192.0.2.55\r\ns=-\r\nc=IN IP4 192.0.2.55\r\nt=0 0\r\n\
    m=audio 49170 RTP/AVP 9 8 0 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n";

const ALICE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5061);
const BOB: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5062);

fn flow(remote: SocketAddr) -> Flow {
    Flow { worker: 0, link: LinkId(1), transport: Transport::Udp, remote }
}

/// Reads what routing a call needs of its INVITE.
fn read(message: &Message<&[u8]>) -> usize {
    let address = |name| {
        let value = message.value(name).expect("there");
        NameAddr::parse(value).expect("valid").uri.host.as_str().len()
    };
    let uri = Uri::parse(message.request_uri()).expect("valid");
    let via = Via::parse(message.elements(HeaderName::Via).next().expect("there")).expect("valid");
    let seq = CSeq::parse(message.value(HeaderName::CSeq).expect("there")).expect("valid");
    let hops = message.number(HeaderName::MaxForwards).expect("there");
    address(HeaderName::From)
        + address(HeaderName::To)
        + address(HeaderName::Contact)
        + uri.user.len()
        + via.branch.len()
        + (seq.number + hops) as usize
}

fn messages(criterion: &mut Criterion) {
    assert_eq!(INVITE.len(), 1_177);
    let bytes = INVITE.as_bytes();
    let mut group = criterion.benchmark_group("message");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("parse", |b| b.iter(|| Message::parse(black_box(bytes)).expect("well formed").body().len()));
    group.bench_function("parse_and_check", |b| {
        b.iter(|| {
            let message = Message::parse(black_box(bytes)).expect("well formed");
            message.check().expect("valid");
            message.headers().len()
        });
    });
    group.bench_function("parse_check_and_read", |b| {
        b.iter(|| {
            let message = Message::parse(black_box(bytes)).expect("well formed");
            message.check().expect("valid");
            read(&message)
        });
    });
    group.finish();
    let message = Message::parse(bytes).expect("well formed");
    criterion.bench_function("write/response", |b| {
        b.iter(|| {
            let answer = Reply { status: 180, to_tag: "0.1.00000000", ..Reply::default() };
            sx_sip::transaction::reply(flow(ALICE), black_box(&message), answer).1.len()
        });
    });
    criterion.bench_function("write/request", |b| {
        b.iter(|| {
            let mut writer = Writer::request("INVITE", black_box("sip:+4930123456@exchange.example.org"));
            for header in message.headers() {
                if header.name != HeaderName::ContentLength && header.name != HeaderName::ContentType {
                    writer.header_bytes(header.name, header.value);
                }
            }
            writer.finish(Some(("application/sdp", message.body()))).len()
        });
    });
}

fn transactions(criterion: &mut Criterion) {
    let message = Message::parse(INVITE.as_bytes()).expect("well formed");
    let ack = INVITE.replace("INVITE sip", "ACK sip").replace("314159 INVITE", "314159 ACK");
    let ack = Message::parse(ack.as_bytes()).expect("well formed");
    let timers = Timers::default();
    let mut now = Time::from_secs(1_000);
    let mut layer = Transactions::new(now, 0, timers, Rng::from_number(1));
    criterion.bench_function("transaction/open_respond_end", |b| {
        b.iter(|| {
            layer.receive_request(flow(ALICE), &message, now);
            let server = layer.open(flow(ALICE), &message, 1, now);
            layer.respond(server, &Reply { status: 486, to_tag: "t", ..Reply::default() }, now);
            layer.receive_request(flow(ALICE), &ack, now);
            now = now + timers.t4;
            layer.handle_timeout(now);
            assert!(layer.is_empty());
            while layer.poll_transmit().is_some() {}
        });
    });
}

fn digest(criterion: &mut Criterion) {
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        let offered = sx_sip::digest::challenge("example.org", "1.18f3c2.0123456789abcdef", algorithm, false);
        let offered = DigestParams::parse(offered.as_bytes()).expect("ours");
        let credentials = Credentials { username: "alice".into(), password: "wonder".into() };
        let answer = credentials.answer(&offered, "REGISTER", "sip:example.org", 1, "abc").expect("known algorithm");
        let ha1 = Ha1::new(algorithm, "alice", "example.org", "wonder");
        criterion.bench_function(&format!("digest/verify_{}", algorithm.token()), |b| {
            b.iter(|| {
                let given = DigestParams::parse(black_box(answer.as_bytes())).expect("ours");
                assert!(ha1.verifies(&given, b"REGISTER"));
            });
        });
    }
}

fn agent(address: SocketAddr) -> Agent {
    let link = LocalLink { link: LinkId(1), transport: Transport::Udp, bound: address, advertised: None };
    let locals =
        Locals { worker: 0, links: vec![link], outward_v4: Ipv4Addr::LOCALHOST, outward_v6: Ipv6Addr::LOCALHOST };
    Agent::new(Time::ZERO, AgentConfig::default(), locals, Rng::from_number(u64::from(address.port())))
}

/// Delivers until nothing is on the way; the called side answers at once.
fn settle(now: Time, agents: &mut [Agent; 2]) {
    let addresses = [ALICE, BOB];
    loop {
        let mut quiet = true;
        for from in 0..2 {
            while let Some(transmit) = agents[from].poll_transmit() {
                quiet = false;
                let message = Message::parse(transmit.bytes).expect("ours");
                let to = &mut agents[1 - from];
                let way = flow(addresses[from]);
                if to.receive(now, way, &message) == Disposition::Request && message.method() == Some(Method::Invite) {
                    let session = to.accept(now, way, &message, 2).expect("accepted");
                    to.progress(now, session, 180, None);
                    to.answer(now, session, Some(Bytes::from_static(b"answer")), &[]);
                }
            }
        }
        if quiet {
            return;
        }
    }
}

fn call(criterion: &mut Criterion) {
    let spec = Outgoing {
        uris: Vec::new(),
        to: vec![sx_types::Destination::Flow(flow(BOB))],
        uri: "sip:bob@127.0.0.1:5062".into(),
        from: "<sip:alice@example.org>".into(),
        to_value: "<sip:bob@example.org>".into(),
        contact_user: "alice".into(),
        call_id: "3848276298220188511@phone.example.org".into(),
        routes: Vec::new(),
        offer: Some(Bytes::from_static(b"offer")),
        headers: Vec::new(),
        hops: 70,
        credentials: None,
        reliable: ReliablePolicy::Supported,
        session_timer: true,
        silence_max: None,
    };
    let mut agents = [agent(ALICE), agent(BOB)];
    let mut now = Time::from_secs(1_000);
    criterion.bench_function("call/two_agents_invite_to_last_timer", |b| {
        b.iter_batched(
            || spec.clone(),
            |spec| {
                let session = agents[0].dial(now, 1, spec).expect("accepted");
                settle(now, &mut agents);
                agents[0].hangup(now, session, Some(16));
                settle(now, &mut agents);
                let mut ended = 0;
                for agent in &mut agents {
                    while let Some(event) = agent.poll_event() {
                        let end = matches!(event, AgentEvent::Session { event: SessionEvent::Ended(_), .. });
                        ended += usize::from(end);
                    }
                }
                assert_eq!(ended, 2);
                now = now + Timers::default().timeout() * 2;
                for agent in &mut agents {
                    agent.handle_timeout(now);
                    assert_eq!((agent.sessions(), agent.transactions()), (0, (0, 0)));
                }
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, messages, transactions, digest, call);
criterion_main!(benches);
