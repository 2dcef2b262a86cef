//! Opening what a telephone needs: sockets, certificates, files, randomness, the clock.

use crate::config::{PhoneConfig, PhoneError};
use crate::handle::Command;
use crate::registration::{EXPIRES_S, Registration};
use crate::run::Run;
use crate::shared::Shared;
use crate::source::Source;
use crate::wav::Recording;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use sx_engine::{Rng, Time};
use sx_net::tls::{ClientAuthentication, DEPTH_MAX, Revocation, TlsSettings, TlsVersion};
use sx_net::{Listener, Net, NetConfig, NetLimits, TlsConfig};
use sx_sip::agent::{Agent, AgentConfig};
use sx_sip::digest::Credentials;
use sx_sip::local::{LocalLink, Locals};
use sx_types::LinkId;

/// Sessions at once: the call, one that takes its place, and those that are ending.
const SESSIONS_MAX: usize = 16;
/// Connections at once.
const CONNECTIONS_MAX: usize = 64;
/// A telephone's socket needs no more, and many telephones may run beside each other.
const RECEIVE_BUFFER_BYTES: usize = 256 << 10;

/// A wall clock that never steps.
pub(crate) struct Clock {
    begun_at: Time,
    begun: Instant,
}

impl Run {
    /// Opens all that a telephone needs.
    pub fn open(config: PhoneConfig, commands: Receiver<Command>, shared: Arc<Shared>) -> Result<Self, PhoneError> {
        config.validate()?;
        let clock = Clock::new();
        let now = clock.now();
        let mut rng = seeded()?;
        let server = &config.server;
        let local_ip = match config.local_ip {
            Some(ip) if !ip.is_unspecified() => ip,
            _ => ip_towards(server.address)?,
        };
        let source = Source::open(&config.source)?;
        let recording = config.record.as_deref().map(Recording::create).transpose()?;
        let net = Net::open(0, &net_config(&config, local_ip, now)?, now)?;
        let locals = locals(&config, &net, local_ip, &mut rng);
        let sent_by = locals.sent_by(server.transport, None, server.address.ip());
        let name = server.tls.name.as_ref().unwrap_or(&config.domain).clone();
        let destination = locals.way_to(server.transport, server.address, Some(&name));
        let agent_config = AgentConfig {
            user_agent: config.user_agent.as_str().into(),
            sessions_max: SESSIONS_MAX,
            ..AgentConfig::default()
        };
        let mut agent = Agent::new(now, agent_config, locals, rng.fork());
        let credentials = config.password.as_ref().map(|password| {
            Arc::new(Credentials { username: config.user.as_str().into(), password: password.as_str().into() })
        });
        let call_id = agent.call_id();
        let registration = Registration::new(call_id, rng.u128(), config.register.unwrap_or(EXPIRES_S));
        Ok(Self {
            shared,
            agent,
            now,
            rng,
            local_ip,
            server: destination,
            credentials,
            registration,
            source,
            call: None,
            commands,
            net,
            clock,
            sent_by,
            recording,
            calls: 0,
            stop_by: None,
            unsent: None,
            config,
        })
    }
}

impl Clock {
    pub fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { begun_at: Time::ZERO + since_epoch, begun: Instant::now() }
    }

    pub fn now(&self) -> Time {
        self.begun_at + self.begun.elapsed()
    }
}

/// Our address as the server sees it, unless somebody translates it.
fn ip_towards(address: SocketAddr) -> Result<IpAddr, PhoneError> {
    let any: IpAddr = if address.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let routed = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect(address)?;
        socket.local_addr()
    });
    routed.map(|local| local.ip()).map_err(|source| PhoneError::NoRoute { address, source })
}

fn seeded() -> Result<Rng, PhoneError> {
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed).map_err(|_| PhoneError::Randomness)?;
    Ok(Rng::new(seed))
}

fn net_config(config: &PhoneConfig, local_ip: IpAddr, now: Time) -> Result<NetConfig, PhoneError> {
    let transport = config.server.transport;
    let tls = &config.server.tls;
    // Nobody connects to a telephone over TLS, so it needs no certificate; calls find us along the connection that
    // we open.
    let listeners = match transport.is_secure() {
        false => vec![Listener { transport, address: SocketAddr::new(local_ip, config.local_port) }],
        true => Vec::new(),
    };
    let tls = match (transport.is_secure(), &tls.identity) {
        (true, Some(identity)) => {
            let settings = TlsSettings {
                default: identity.clone(),
                others: Vec::new(),
                client_authentication: ClientAuthentication::None,
                revocation: Revocation::default(),
                depth_max: DEPTH_MAX,
                trust: tls.trust.clone(),
                version_min: TlsVersion::V12,
            };
            Some(Arc::new(TlsConfig::build(&settings, now)?))
        }
        (true, None) => Some(Arc::new(TlsConfig::client_only(&tls.trust, TlsVersion::V12, DEPTH_MAX)?)),
        (false, _) => None,
    };
    let limits = NetLimits {
        connections_max: CONNECTIONS_MAX,
        connections_per_address_max: CONNECTIONS_MAX,
        udp_receive_buffer_bytes: RECEIVE_BUFFER_BYTES,
        ..NetLimits::default()
    };
    Ok(NetConfig { listeners, tls, limits })
}

/// The addresses that we tell others.
fn locals(config: &PhoneConfig, net: &Net, local_ip: IpAddr, rng: &mut Rng) -> Locals {
    let listening = net.local_addresses().iter();
    let mut links: Vec<_> = listening
        .map(|(transport, bound, link)| LocalLink {
            link: *link,
            transport: *transport,
            bound: *bound,
            advertised: None,
        })
        .collect();
    if links.is_empty() {
        // Nobody connects to a telephone over TLS. Its Contact tells it from others on this host all the same.
        let port = 49_152 + rng.below(16_384) as u16;
        let bound = SocketAddr::new(local_ip, port);
        links.push(LocalLink { link: LinkId(0), transport: config.server.transport, bound, advertised: None });
    }
    let outward_v4 = if let IpAddr::V4(v4) = local_ip { v4 } else { Ipv4Addr::LOCALHOST };
    let outward_v6 = if let IpAddr::V6(v6) = local_ip { v6 } else { Ipv6Addr::LOCALHOST };
    Locals { worker: 0, links, outward_v4, outward_v6 }
}
