//! The parts that an exchange is made of, each opened as the configuration has it.

use super::bans::Bans;
use super::build::{Fault, StartError};
use super::clock::{Clock, wall};
use super::custody::Custody;
use super::events::Events;
use super::fate;
use super::hep::HepExport;
use super::mailbox::{Inbox, Mail, Mailbox};
use super::ng::{NG_WORKER, NgMailbox};
use super::notice;
use super::trust;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;
use sx_config::{Config, MediaPriority, RtcpXr as ToldMetrics};
use sx_engine::{Engine as _, Rng, Time};
use sx_exchange::{BuildError, Directory, Input, Operation, Tables, User, Worker, WorkerSettings};
use sx_http::MetricsText;
use sx_io_rtp::{Local, MediaInterface, PacketThreads, Priority, RtcpXr, RtpConfig, Sounds};
use sx_net::mdns::Browser;
use sx_net::{Listener, Net, NetConfig, NetLimits, Waker};
use sx_sip::digest::Ha1;
use sx_sip::local::{LocalLink, Locals};
use sx_sip::registrar::Record;
use sx_store::{CdrOptions, CdrStore, DataFolder, Users, WitnessLog};
use tracing::{info, warn};

/// Records are taken from the journal into the database so often: in larger lots they cost less.
const FOLD: Duration = Duration::from_secs(1);

/// What a worker's thread is made of before it starts.
pub(super) struct Parts {
    pub(super) net: Net,
    pub(super) mailbox: Mailbox,
    pub(super) inbox: Inbox,
}

/// What escalations need besides calls.
#[derive(Clone, Debug)]
pub struct EscalationParts {
    pub custody: Arc<Custody>,
    pub events: Arc<Events>,
    /// NDI sources; `None`: it is not looked for any.
    pub ndi: Option<Arc<Browser>>,
}

impl EscalationParts {
    pub(super) fn open(config: &Config, data: &DataFolder, witness: &WitnessLog) -> anyhow::Result<Self> {
        let events = Events::start(witness.clone(), data.shared().tokens()?, config.api.subscribers_max)?;
        let custody = Arc::new(Custody::open(config, data)?);
        Ok(Self { custody, events: Arc::new(events), ndi: browser(config).map(Arc::new) })
    }

    /// What scrapers are told.
    pub fn write(&self, out: &mut MetricsText) {
        let sources = self.ndi.as_ref().map_or(0, |browser| browser.count() as u64);
        out.gauge("strowger_ndi_sources", "", "NDI sources that are there.").sample(&[], sources);
        self.custody.write(out);
        self.events.write(out);
    }
}

/// Looks for NDI sources, where it is told to. That it cannot is no reason to carry no calls.
fn browser(config: &Config) -> Option<Browser> {
    let (interfaces, sources_max) = (&config.ndi.interfaces, config.ndi.sources_max);
    let browser = (!interfaces.is_empty()).then(|| Browser::start("_ndi._tcp", interfaces, sources_max))?;
    browser.inspect_err(|error| tracing::error!(%error, "NDI sources are not known")).ok()
}

pub(super) fn open_records(config: &Config, data: &DataFolder, clock: Clock) -> anyhow::Result<CdrStore> {
    let options = CdrOptions { fold_interval: FOLD, keep: config.cdr.keep, ..CdrOptions::default() };
    let (records, recovery) = CdrStore::open(data, &options, move || clock.now())?;
    info!(?recovery, "call detail records are open");
    Ok(records)
}

pub(super) fn build_tables(
    config: &Config,
    outward: (Ipv4Addr, Ipv6Addr),
    before: Option<&Tables>,
) -> Result<Tables, StartError> {
    let mut addresses: Vec<IpAddr> = config.sip.listen.iter().map(|listen| listen.address.ip()).collect();
    if addresses.iter().any(IpAddr::is_unspecified) {
        addresses.extend([outward.0, Ipv4Addr::LOCALHOST].map(IpAddr::from));
        addresses.extend([outward.1, Ipv6Addr::LOCALHOST].map(IpAddr::from));
    }
    let advertised = config.sip.listen.iter().filter_map(|listen| listen.advertise.as_ref()?.host.parse().ok());
    addresses.extend(advertised.collect::<Vec<IpAddr>>());
    addresses.retain(|address| !address.is_unspecified());
    let faults = |errors: Vec<BuildError>| errors.into_iter().map(Fault::Tables).collect::<Vec<_>>();
    let tables = Tables::build(config, addresses, before).map_err(faults);
    let (tables, policy) = match (tables, trust::policy(config)) {
        (Ok(tables), policy) => (tables, policy?),
        (Err(mut wrong), Err(StartError::Policy(more))) => {
            wrong.extend(more);
            return Err(StartError::Tables(wrong));
        }
        (Err(wrong), _) => return Err(StartError::Tables(wrong)),
    };
    Ok(tables.with_policy(policy).with_countries(trust::countries(config)?))
}

pub(super) fn open_witness(config: &Config, data: &DataFolder, clock: Clock) -> anyhow::Result<WitnessLog> {
    let key = trust::witness_key(config, data, seed())?;
    let options = trust::witness_options(config);
    let (log, opened) = WitnessLog::open(data, key, options, clock.now())?;
    info!(?opened, "the witness log is open");
    if let Some(jump) = notice::set_back(opened.last, clock.now()) {
        warn!(from_ms = jump.from_ms, to_ms = jump.to_ms, "the wall clock was set back since the last record");
        trust::witness_jump(&log, jump, clock.now())?;
    }
    Ok(log)
}

pub(super) fn load_users(users: &Users) -> anyhow::Result<Directory> {
    let users = users.load_all()?.into_iter().map(|user| User {
        name: user.name,
        domain: user.domain,
        md5: Ha1::from_md5(user.ha1_md5),
        sha256: Ha1::from_sha256(user.ha1_sha256),
    });
    Ok(Directory::new(users))
}

/// The sockets and the mailbox of each worker.
pub(super) fn open_all(
    config: &Config,
    tls: Option<&Arc<sx_net::tls::TlsConfig>>,
    now: Time,
) -> anyhow::Result<Vec<Parts>> {
    (0..config.exchange.workers as u16).map(|worker| open_net(config, worker, tls, now)).collect()
}

fn open_net(
    config: &Config,
    worker: u16,
    tls: Option<&Arc<sx_net::tls::TlsConfig>>,
    now: Time,
) -> anyhow::Result<Parts> {
    let connections = &config.sip.connections;
    let config = NetConfig {
        listeners: config
            .sip
            .listen
            .iter()
            .map(|listen| Listener { transport: listen.transport, address: listen.address })
            .collect(),
        tls: tls.cloned(),
        limits: NetLimits {
            connections_max: connections.max,
            connections_per_address_max: connections.per_address_max,
            message_bytes_max: config.sip.message_bytes_max,
            idle_timeout: connections.idle,
            handshake_timeout: connections.handshake,
            partial_message_timeout: connections.partial_message,
            send_queue_bytes_max: connections.send_queue_bytes_max,
            ..NetLimits::default()
        },
    };
    let net = Net::open(worker, &config, now)?;
    let waker: Arc<Waker> = net.waker();
    let (mailbox, inbox) = Mailbox::open(waker);
    Ok(Parts { net, mailbox, inbox })
}

pub(super) fn open_hep(config: &Config, net: &Net) -> std::io::Result<Option<HepExport>> {
    let Some(hep) = &config.hep else { return Ok(None) };
    let mut hep = HepExport::open(hep)?;
    net.local_addresses().iter().for_each(|(_, local, link)| hep.opened(*link, *local));
    Ok(Some(hep))
}

pub(super) fn locals(config: &Config, net: &Net, worker: u16, outward: (Ipv4Addr, Ipv6Addr)) -> Locals {
    let links =
        net.local_addresses().iter().zip(&config.sip.listen).map(|((transport, bound, link), listen)| LocalLink {
            link: *link,
            transport: *transport,
            bound: *bound,
            advertised: listen.advertise.as_ref().map(|advertise| match advertise.port {
                Some(_) => advertise.to_string().into(),
                None => format!("{advertise}:{}", bound.port()).into(),
            }),
        });
    Locals { worker, links: links.collect(), outward_v4: outward.0, outward_v6: outward.1 }
}

/// A worker with the bindings that were kept of its users.
pub(super) fn open_worker(
    now: Time,
    settings: WorkerSettings,
    tables: &Arc<Tables>,
    directory: &Arc<Directory>,
    locals: Locals,
    kept: Vec<(String, Record)>,
) -> Worker {
    let mut worker = Worker::new(now, settings, tables, directory.clone(), locals, Rng::new(seed()));
    if !kept.is_empty() {
        info!(bindings = kept.len(), "bindings are restored");
    }
    for (aor, record) in kept {
        worker.handle_input(now, Input::Restore { aor: &aor, record });
    }
    // What has expired meanwhile is forgotten before anybody asks.
    worker.handle_timeout(now);
    worker
}

/// Whom operators have banned stays banned.
pub(super) fn restore_bans(worker: &mut Worker, bans: &Bans, now: Time) {
    for (address, until) in bans.standing(now, wall()) {
        worker.handle_input(now, Input::Operation(Operation::Ban { address, until }));
    }
}

pub(super) fn start_media(
    config: &Config,
    mailboxes: &[Mailbox],
    sounds: Arc<Sounds>,
    (ng, local, recordings): (Option<NgMailbox>, Local, Option<Arc<dyn sx_io_rtp::Recordings>>),
) -> anyhow::Result<PacketThreads> {
    let interface = |named: &sx_config::MediaInterface| {
        let mut interface = MediaInterface::new(named.name.clone());
        for address in [named.ipv4, named.ipv6].into_iter().flatten() {
            match (address.bind, address.advertise) {
                (IpAddr::V4(bind), told) => {
                    interface.bind_v4 = Some(bind);
                    interface.advertise_v4 = told.and_then(|ip| if let IpAddr::V4(v4) = ip { Some(v4) } else { None });
                }
                (IpAddr::V6(bind), told) => {
                    interface.bind_v6 = Some(bind);
                    interface.advertise_v6 = told.and_then(|ip| if let IpAddr::V6(v6) = ip { Some(v6) } else { None });
                }
            }
        }
        interface
    };
    let media = &config.media;
    let rtp = RtpConfig {
        interfaces: media.interfaces.iter().map(interface).collect(),
        ports: media.ports.first..=media.ports.last,
        quarantine: media.quarantine,
        silence_timeout: media.silence_timeout.unwrap_or(Duration::from_secs(u64::from(u32::MAX))),
        dscp_audio: media.dscp_audio,
        dscp_video: media.dscp_video,
        threads: media.threads,
        priority: match media.priority {
            MediaPriority::RealTime => Priority::RealTime,
            MediaPriority::Normal => Priority::Normal,
        },
        io_uring: media.io_uring,
        coalesce: media.coalesce,
        rtcp_xr: match media.rtcp_xr {
            ToldMetrics::Never => RtcpXr::Never,
            ToldMetrics::Negotiated => RtcpXr::Negotiated,
            ToldMetrics::Always => RtcpXr::Always,
        },
        handshakes: Some(local),
        // Rooms are those of the configuration, each with a limit of its own that calls are held to.
        rooms_max: usize::MAX,
        room_members_max: usize::MAX,
        players_max: media.sounds.plays_max,
        sounds,
        ..RtpConfig::default()
    };
    let mailboxes = mailboxes.to_vec();
    let tell = move |worker, event| {
        if let Some(mailbox) = mailboxes.get(usize::from(worker)) {
            mailbox.post(Mail::Media(event));
        } else if let (NG_WORKER, Some(ng)) = (worker, &ng) {
            ng.media(event);
        }
    };
    Ok(PacketThreads::start_recording(&rtp, recordings, tell, |error| fate::end(error))?)
}

/// 32 bytes nobody can guess, from the operating system.
pub(super) fn seed() -> [u8; 32] {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives randomness, or nothing on it is safe");
    bytes
}
