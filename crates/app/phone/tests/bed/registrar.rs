//! A registrar on the loopback interface, of as little as a telephone can tell from a real one.

use super::PATIENCE;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use sx_engine::{Rng, Time};
use sx_net::tls::{
    CertificateSource, ClientAuthentication, DEPTH_MAX, Pem, Revocation, TlsSettings, TlsVersion, TrustAnchors,
};
use sx_net::{Listener, Net, NetConfig, NetEvent, TlsConfig, Waker};
use sx_sip::agent::{Agent, AgentConfig, Disposition};
use sx_sip::digest::{Algorithm, DigestParams, Ha1, challenge};
use sx_sip::local::{LocalLink, Locals};
use sx_sip::message::{HeaderName, Message, Method, Writer};
use sx_sip::session::{Outgoing, ReliablePolicy};
use sx_sip::transaction::Reply;
use sx_types::{Destination, Flow, Ticket, Transport};

const START: Time = Time::from_secs(1_795_219_199);
const REALM: &str = "example.com";

/// How a registrar treats a telephone.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The challenges of a 401; none to ask nobody for a password.
    pub challenges: Vec<Algorithm>,
    /// Seconds granted.
    pub expires: u32,
    /// Fewer seconds asked for are refused with 423.
    pub min_expires: u32,
    /// The refusal of whoever knows the password, and its Warning.
    pub refusal: Option<(u16, &'static str)>,
}

pub struct Registrar {
    pub address: SocketAddr,
    pub requests: Receiver<String>,
    orders: Arc<Orders>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Orders {
    stop: AtomicBool,
    /// Call whoever has registered last, along the way it came.
    call: AtomicBool,
    /// Cut that way.
    cut: AtomicBool,
    flow: Mutex<Option<Flow>>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { challenges: vec![Algorithm::Md5], expires: 60, min_expires: 0, refusal: None }
    }
}

impl Registrar {
    pub fn start(transport: Transport, policy: Policy, tls: Option<CertificateSource>) -> Self {
        let settings = tls.map(|default| TlsSettings {
            default,
            others: vec![],
            client_authentication: ClientAuthentication::None,
            revocation: Revocation::default(),
            depth_max: DEPTH_MAX,
            trust: TrustAnchors::InsecureAcceptAny,
            version_min: TlsVersion::V12,
        });
        let tls = settings.map(|settings| Arc::new(TlsConfig::build(&settings, START).expect("valid settings")));
        let listener = Listener { transport, address: "127.0.0.1:0".parse().expect("an address") };
        let config = NetConfig { listeners: vec![listener], tls, ..NetConfig::default() };
        let net = Net::open(0, &config, START).expect("opens");
        let (address, waker) = (net.local_addresses()[0].1, net.waker());
        let (told, requests) = channel();
        let orders = Arc::new(Orders::default());
        let run = {
            let orders = orders.clone();
            move || run(net, &policy, &told, &orders)
        };
        Self { address, requests, orders, waker, thread: Some(std::thread::spawn(run)) }
    }

    /// The next request whose first line begins with this.
    pub fn next(&self, begin: &str) -> String {
        loop {
            let request = self.requests.recv_timeout(PATIENCE).expect("a request");
            if request.starts_with(begin) {
                return request;
            }
        }
    }

    pub fn call_back(&self) {
        self.orders.call.store(true, Ordering::SeqCst);
        self.waker.wake();
    }

    pub fn cut(&self) {
        self.orders.cut.store(true, Ordering::SeqCst);
        self.waker.wake();
    }
}

impl Drop for Registrar {
    fn drop(&mut self) {
        self.orders.stop.store(true, Ordering::SeqCst);
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the registrar ends");
        }
    }
}

fn run(mut net: Net, policy: &Policy, told: &Sender<String>, orders: &Orders) {
    let (transport, bound, link) = net.local_addresses()[0];
    let links = vec![LocalLink { link, transport, bound, advertised: None }];
    let (outward_v4, outward_v6) = (std::net::Ipv4Addr::LOCALHOST, std::net::Ipv6Addr::LOCALHOST);
    let locals = Locals { worker: 0, links, outward_v4, outward_v6 };
    let mut now = START;
    let mut agent = Agent::new(now, AgentConfig::default(), locals, Rng::from_number(1));
    while !orders.stop.load(Ordering::SeqCst) {
        now = net.wait(now, Some(Duration::from_millis(20))).expect("waits");
        let mut messages = Vec::new();
        while let Some(event) = net.poll_event() {
            if let NetEvent::Message { flow, bytes } = event {
                messages.push((flow, bytes.to_vec()));
            }
        }
        for (flow, bytes) in messages {
            let message = Message::parse(bytes).expect("a message");
            let text = String::from_utf8_lossy(message.bytes()).into_owned();
            if message.method().is_some() {
                let _ = told.send(text);
            }
            if agent.receive(now, flow, &message) == Disposition::Request && message.method() == Some(Method::Register)
            {
                answer(&mut agent, flow, &message, policy);
                *orders.flow.lock().expect("no panic") = Some(flow);
            }
        }
        let flow = *orders.flow.lock().expect("no panic");
        if let Some(flow) = flow.filter(|_| orders.call.swap(false, Ordering::SeqCst)) {
            call(&mut agent, now, flow);
        }
        if let Some(flow) = flow.filter(|_| orders.cut.swap(false, Ordering::SeqCst)) {
            net.close(&flow);
        }
        agent.handle_timeout(now);
        while agent.poll_event().is_some() {}
        while let Some(transmit) = agent.poll_transmit() {
            net.send(&transmit.to, None, transmit.bytes, Ticket::default());
        }
    }
    net.flush();
}

fn answer(agent: &mut Agent, flow: Flow, register: &Message<Vec<u8>>, policy: &Policy) {
    let knows = register.value(HeaderName::Authorization).is_some_and(|value| {
        let given = DigestParams::parse(value).expect("credentials");
        let ha1 = Ha1::new(given.algorithm().expect("known"), "alice", REALM, "secret");
        ha1.verifies(&given, b"REGISTER")
    });
    let asked = register.number(HeaderName::Expires).unwrap_or(0);
    let status = match policy.refusal {
        _ if !knows && !policy.challenges.is_empty() => 401,
        _ if asked > 0 && asked < policy.min_expires => 423,
        Some((status, _)) => status,
        None => 200,
    };
    let contact = register.text(HeaderName::Contact).expect("a contact");
    let bare = contact.split('>').next().expect("one").to_owned() + ">";
    let headers = |writer: &mut Writer| match status {
        401 => {
            for algorithm in &policy.challenges {
                let value = challenge(REALM, "nonce", *algorithm, false);
                writer.header(HeaderName::WwwAuthenticate, format_args!("{value}"));
            }
        }
        423 => {
            writer.header(HeaderName::MinExpires, format_args!("{}", policy.min_expires));
        }
        200 if asked > 0 => {
            writer.header(HeaderName::Contact, format_args!("{bare};expires={}", policy.expires));
        }
        _ => {
            let text = policy.refusal.map_or("", |(_, text)| text);
            writer.header(HeaderName::Warning, format_args!("399 registrar \"{text}\""));
        }
    };
    agent.reply(flow, register, Reply { status, headers: Some(&headers), ..Reply::default() });
}

fn call(agent: &mut Agent, now: Time, flow: Flow) {
    let offer = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";
    let spec = Outgoing {
        uris: Vec::new(),
        to: vec![Destination::Flow(flow)],
        uri: "sip:alice@example.com".into(),
        from: "<sip:carol@example.com>".into(),
        to_value: "<sip:alice@example.com>".into(),
        contact_user: "".into(),
        call_id: agent.call_id(),
        routes: vec![],
        offer: Some(bytes::Bytes::from_static(offer)),
        headers: vec![],
        hops: 70,
        credentials: None,
        reliable: ReliablePolicy::Off,
        session_timer: false,
        silence_max: None,
    };
    agent.dial(now, 1, spec).expect("dials");
}

/// An authority in PEM, and a certificate that it has signed for this name.
pub fn certificate(name: &str) -> (Pem, CertificateSource) {
    let mut params = rcgen::CertificateParams::new(vec![]).expect("no names");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key");
    let authority = params.self_signed(&key).expect("a certificate").pem().into_bytes();
    let issuer = rcgen::Issuer::new(params, key);
    let params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let key = rcgen::KeyPair::generate().expect("a key");
    let chain = params.signed_by(&key, &issuer).expect("a certificate").pem().into_bytes();
    let key = Pem::Bytes(key.serialize_pem().into_bytes());
    (Pem::Bytes(authority), CertificateSource { chain: Pem::Bytes(chain), key, names: vec![] })
}
