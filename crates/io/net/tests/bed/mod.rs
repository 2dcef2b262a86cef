//! A shell on the loopback interface and what a test does with it.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod secure;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use sx_engine::Time;
use sx_net::tls::{
    CertificateSource, ClientAuthentication, DEPTH_MAX, Pem, Revocation, TlsSettings, TlsVersion, TrustAnchors,
};
use sx_net::{CloseReason, Listener, Net, NetConfig, NetEvent, NetLimits, SendFailure, TlsConfig};
use sx_types::{Destination, Flow, Ticket, Transport};

pub const START: Time = Time::from_secs(1_795_219_199);
/// Long enough for a loaded machine; reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// An event that borrows nothing.
#[derive(Debug, PartialEq)]
pub enum Event {
    Message(Flow, Vec<u8>),
    Opened(Flow, Option<sx_net::PeerCertificate>),
    Closed(Flow, CloseReason),
    SendFailed(Ticket, Destination, SendFailure),
}

pub struct Bed {
    pub net: Net,
    pub now: Time,
    pub seen: Vec<Event>,
}

impl Bed {
    pub fn new(transports: &[Transport], limits: NetLimits, tls: Option<Arc<TlsConfig>>) -> Self {
        let listeners = transports
            .iter()
            .map(|&transport| Listener { transport, address: "127.0.0.1:0".parse().expect("an address") })
            .collect();
        Self::open(&NetConfig { listeners, tls, limits })
    }

    pub fn open(config: &NetConfig) -> Self {
        let net = Net::open(3, config, START).expect("opens");
        Self { net, now: START, seen: Vec::new() }
    }

    pub fn address(&self, transport: Transport) -> SocketAddr {
        self.net.local_addresses().iter().find(|(t, ..)| *t == transport).expect("listens").1
    }

    /// One turn of the loop; new events are appended to `seen`.
    pub fn turn(&mut self) {
        self.now = self.net.wait(self.now, Some(Duration::from_millis(5))).expect("waits");
        while let Some(event) = self.net.poll_event() {
            self.seen.push(match event {
                NetEvent::Message { flow, bytes } => Event::Message(flow, bytes.to_vec()),
                NetEvent::Opened { flow, peer, .. } => Event::Opened(flow, peer),
                NetEvent::Closed { flow, reason } => Event::Closed(flow, reason),
                NetEvent::SendFailed { ticket, to, reason } => Event::SendFailed(ticket, to, reason),
            });
        }
        self.net.flush();
    }

    /// Turns the loop until `wanted` holds.
    pub fn until(&mut self, what: &str, mut wanted: impl FnMut(&mut Self) -> bool) {
        let begun = Instant::now();
        while !wanted(self) {
            assert!(begun.elapsed() < PATIENCE, "never: {what}; seen {:?}", self.seen);
            self.turn();
        }
    }

    pub fn messages(&self) -> Vec<String> {
        let text = |event: &Event| match event {
            Event::Message(_, bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        };
        self.seen.iter().filter_map(text).collect()
    }

    pub fn until_messages(&mut self, expected: &[&str]) {
        self.until("the messages", |bed| bed.messages().len() >= expected.len());
        assert_eq!(self.messages(), expected);
    }

    pub fn closed(&self) -> Vec<CloseReason> {
        self.seen
            .iter()
            .filter_map(|event| if let Event::Closed(_, reason) = event { Some(*reason) } else { None })
            .collect()
    }

    pub fn until_closed(&mut self) -> CloseReason {
        self.until("a connection closed", |bed| !bed.closed().is_empty());
        self.closed()[0]
    }

    pub fn opened(&self) -> Vec<Flow> {
        self.seen
            .iter()
            .filter_map(|event| if let Event::Opened(flow, _) = event { Some(*flow) } else { None })
            .collect()
    }

    pub fn until_failed(&mut self, ticket: u64) -> SendFailure {
        let failed = |bed: &Self| {
            bed.seen.iter().find_map(|event| match event {
                Event::SendFailed(t, _, reason) if t.0 == ticket => Some(*reason),
                _ => None,
            })
        };
        self.until("a send failed", |bed| failed(bed).is_some());
        failed(self).expect("just seen")
    }

    pub fn send_to(&mut self, transport: Transport, remote: SocketAddr, name: Option<&str>, text: &str, ticket: u64) {
        let to = Destination::Address { transport, remote, name: name.map(Arc::from) };
        self.net.send(&to, None, text.to_owned().into(), Ticket(ticket));
    }

    /// Reads from a peer while the loop turns, until `length` bytes or the end have come.
    pub fn read(&mut self, peer: &mut impl Read, length: usize) -> Vec<u8> {
        let begun = Instant::now();
        let mut bytes = Vec::new();
        while bytes.len() < length {
            assert!(begun.elapsed() < PATIENCE, "only {:?} came", String::from_utf8_lossy(&bytes));
            self.turn();
            let mut buffer = [0; 4096];
            match peer.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => bytes.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
                Err(error) => panic!("{error}"),
            }
        }
        bytes
    }
}

/// A peer whose reads do not wait.
pub fn connect(to: SocketAddr) -> TcpStream {
    let peer = TcpStream::connect(to).expect("connects");
    peer.set_nonblocking(true).expect("a socket");
    peer.set_nodelay(true).expect("a socket");
    peer
}

pub fn write(peer: &mut impl Write, bytes: impl AsRef<[u8]>) {
    peer.write_all(bytes.as_ref()).expect("the peer writes");
    peer.flush().expect("the peer writes");
}

pub fn message(method: &str, body: &str) -> String {
    format!("{method} sip:a@b SIP/2.0\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// An authority and the certificates it signs.
pub struct Authority {
    pub issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pub pem: Vec<u8>,
}

impl Authority {
    pub fn new() -> Self {
        Self::signed_by(None)
    }

    /// An authority that this one vouches for.
    pub fn authority(&self) -> Self {
        Self::signed_by(Some(self))
    }

    fn signed_by(other: Option<&Self>) -> Self {
        let mut params = rcgen::CertificateParams::new(vec![]).expect("no names");
        // Authorities that differ in nothing but their key would be taken for each other.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("authority {}", NEXT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = match other {
            Some(other) => params.signed_by(&key, &other.issuer),
            None => params.self_signed(&key),
        };
        let pem = certificate.expect("a certificate").pem().into_bytes();
        Self { issuer: rcgen::Issuer::new(params, key), pem }
    }

    pub fn sign(&self, names: &[&str]) -> CertificateSource {
        self.sign_with(names, |_| {})
    }

    pub fn sign_with(&self, names: &[&str], change: impl FnOnce(&mut rcgen::CertificateParams)) -> CertificateSource {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names).expect("names");
        change(&mut params);
        let key = rcgen::KeyPair::generate().expect("a key");
        let chain = params.signed_by(&key, &self.issuer).expect("a certificate").pem().into_bytes();
        CertificateSource { chain: Pem::Bytes(chain), key: Pem::Bytes(key.serialize_pem().into_bytes()), names: vec![] }
    }

    /// This certificate, and trust in this authority.
    pub fn settings(&self, default: CertificateSource) -> TlsSettings {
        TlsSettings {
            default,
            others: vec![],
            client_authentication: ClientAuthentication::None,
            revocation: Revocation::default(),
            depth_max: DEPTH_MAX,
            trust: TrustAnchors::Files(vec![Pem::Bytes(self.pem.clone())]),
            version_min: TlsVersion::V12,
        }
    }
}

pub fn build(settings: &TlsSettings) -> Arc<TlsConfig> {
    Arc::new(TlsConfig::build(settings, START).expect("valid settings"))
}
