//! The composition root of the process: every part, in the order they depend on each other.

use super::admission::Admission;
use super::anchor::Anchoring;
use super::asking::Workers;
use super::bans::Bans;
use super::bindings;
use super::clock::{Clock, Drift, wall};
use super::counting::Countings;
use super::custody::Custody;
use super::events::Events;
use super::fate;
use super::handover::Handovers;
use super::hep::HepExport;
use super::log::NoteLog;
use super::mailbox::{Inbox, Mail, Mailbox, Outbox};
use super::management::{self, Live};
use super::metrics::{CertificateExpiry, Watch, Watched};
use super::ng::{self, NG_WORKER, NgMailbox, NgParts, NgServer};
use super::notice::{self, Lookout, Noticed};
use super::outward::{outward_v4, outward_v6};
use super::pace::Pace;
use super::people::Registries;
use super::recordings::Recordings;
use super::resolver;
use super::settings::{prefixes, settings};
use super::shell::Shell;
use super::signals::Signal;
use super::sounds::tables_and_sounds;
use super::tls;
use super::tokens::TokenWatch;
use super::trust;
use super::vitals::Vitals;
use super::witness::WitnessShell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd as _;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use sx_call::Command;
use sx_config::{Config, ConfigError, MediaPriority, RtcpXr as ToldMetrics};
use sx_engine::{Engine, Rng, Time};
use sx_exchange::{BuildError, Counts, Directory, Input, Operation, Tables, User, Worker, WorkerSettings};
use sx_guard::PolicyError;
use sx_http::{ApiServer, CALL_BYTES_MAX, HttpServer};
use sx_io_rtp::{Certificate, Local, MediaInterface, PacketThreads, Priority, RtcpXr, RtpConfig, Sounds};
use sx_net::resolve::Resolver;
use sx_net::{Listener, Net, NetConfig, NetLimits, Waker};
use sx_sip::digest::Ha1;
use sx_sip::local::{LocalLink, Locals};
use sx_sip::registrar::Record;
use sx_store::{CdrOptions, CdrStore, DataFolder, Users, WitnessLog};
use sx_types::{Cause, Transport};
use tracing::{error, info, warn};

/// A running exchange.
pub struct Exchange {
    pub(super) config: Config,
    pub(super) tables: Arc<Tables>,
    pub(super) clock: Clock,
    pub(super) mailboxes: Vec<Mailbox>,
    threads: Vec<JoinHandle<()>>,
    counts: Vec<Arc<Counts>>,
    listening: Vec<(Transport, SocketAddr)>,
    http: HttpServer,
    api: ApiServer,
    pub(super) ng: Option<NgServer>,
    pub(super) live: Arc<Live>,
    pub(super) drift: Drift,
    pub(super) noticed: Option<Noticed>,
    pub(super) rtp: Arc<PacketThreads>,
    recordings: Recordings,
    pub(super) users: Users,
    pub(super) users_version: u64,
    pub(super) directory: Arc<Directory>,
    pub(super) registries: Registries,
    pub(super) registries_version: u64,
    pub(super) registries_until: u64,
    lookout: Lookout,
    pub(super) outward: (Ipv4Addr, Ipv6Addr),
    pub(super) expiry: Arc<CertificateExpiry>,
    pub(super) witness: WitnessLog,
    anchoring: Anchoring,
    // Dropped last, after the writers on the workers' threads are gone.
    pub(super) records: CdrStore,
    _resolver: Arc<Resolver>,
    _data: DataFolder,
}

/// The exchange could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Parts of the configuration do not fit together: all that do not.
    #[error("the configuration does not fit together: {}", in_one_line(.0))]
    Tables(Vec<Fault>),
    /// The policy is wrong: all that is.
    #[error("the policy is wrong: {}", in_one_line(.0))]
    Policy(Vec<Fault>),
    /// The database of countries cannot be read.
    #[error("the database of countries {0} cannot be read: {1}")]
    Countries(String, String),
}

/// One thing that is wrong with what somebody wants the exchange to be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Something in a file.
    #[error(transparent)]
    Said(ConfigError),
    /// A part of the policy does not go with another.
    #[error(transparent)]
    Policy(PolicyError),
    /// A sound cannot be played.
    #[error("{0}")]
    Sound(String),
    /// A part of the configuration does not go with another.
    #[error(transparent)]
    Tables(BuildError),
}

/// Everything that is wrong, for one line.
pub(super) fn in_one_line(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// How long the last records of the witness log may take when the exchange ends.
const WITNESS_FAREWELL: Duration = Duration::from_secs(5);
/// Records are taken from the journal into the database so often: in larger lots they cost less.
const FOLD: Duration = Duration::from_secs(1);

/// What a worker's thread is made of before it starts.
struct Parts {
    net: Net,
    mailbox: Mailbox,
    inbox: Inbox,
}

impl Exchange {
    /// Starts every part. Nobody but who has it can have it read its configuration again.
    ///
    /// # Errors
    /// The first part that cannot be started, in words that say what to do.
    pub fn start(config: Config) -> anyhow::Result<Self> {
        Self::start_for(config, None)
    }

    /// The same; `main` hears of operators who want the configuration read again.
    ///
    /// # Errors
    /// The first part that cannot be started, in words that say what to do.
    #[expect(clippy::too_many_lines, reason = "every part is a line, in the order they depend on each other")]
    pub fn start_for(config: Config, main: Option<Sender<Signal>>) -> anyhow::Result<Self> {
        let clock = Clock::start();
        let outward = (outward_v4(), outward_v6());
        let (tables, sounds) = tables_and_sounds(&config, outward, None)?;
        let tables = Arc::new(tables);
        let data = DataFolder::open(&config.exchange.data)?;
        let witness = open_witness(&config, &data, clock)?;
        trust::witness_start(&witness, &config, &tables, clock.now())?;
        let anchoring = Anchoring::start(&config, &data, &witness, clock)?;
        let users = data.shared().users()?;
        let users_version = users.version()?;
        let directory = Arc::new(load_users(&users)?);
        let registries = Registries::open(data.shared())?;
        let registries_version = registries.version()?;
        let (_, registries_until) = registries.changed_since(u64::MAX)?;
        let people = Arc::new(registries.load(config.escalation.keyless_experts)?);
        let mut records = open_records(&config, &data, clock)?;
        let tls = tls::build(&config, clock.now())?;
        let parts = open_all(&config, tls.as_ref(), clock.now())?;
        let mailboxes: Vec<Mailbox> = parts.iter().map(|parts| parts.mailbox.clone()).collect();
        let listening = parts[0].net.local_addresses().iter().map(|(t, a, _)| (*t, *a)).collect();
        let resolver = Arc::new(Resolver::start(resolver::config(&config.sip.listen, tls.is_some(), seed()))?);
        let ng = NgParts::open(&config)?;
        // A new one each time: whoever had the old one's key is nobody now.
        let local = Local::new(Certificate::self_signed()?)?;
        let certificate = local.fingerprint().clone();
        let told = (&mailboxes[..], ng.as_ref().map(NgParts::mailbox));
        let recordings = Recordings::start(&config, told, &witness, &mut records, clock)?;
        let others = (ng.as_ref().map(NgParts::mailbox), local, recordings.door());
        let rtp = Arc::new(start_media(&config, &mailboxes, sounds.clone(), others)?);
        let expiry = Arc::new(CertificateExpiry::of(tls.as_deref()));
        let name = config.exchange.name.clone();
        let bans = Bans::open(&data, prefixes(&config), config.edge.sources_max, wall())?;
        let live = Arc::new(Live::new(tables.clone(), bans));
        live.know(people.clone());
        let (counters, shown) = (records.counters().clone(), expiry.clone());
        let mut watch = Watch::new(name, clock, rtp.clone(), counters, shown, witness.clone(), live.clone());
        watch.set_anchoring(anchoring.counts());
        watch.set_recordings(recordings.counts());
        let custody = Arc::new(Custody::open(&config, &data)?);
        let events = Arc::new(Events::start(witness.clone())?);
        watch.set_custody(custody.clone(), events.clone());
        let (mut threads, mut counts) = (Vec::new(), Vec::new());
        let journals = bindings::open(&data, config.exchange.workers as u16)?;
        for (number, (part, (bindings, kept))) in parts.into_iter().zip(journals).enumerate() {
            let name = format!("worker-{number}");
            let vitals = Arc::new(Vitals::new(clock.now()));
            let locals = locals(&config, &part.net, number as u16, outward);
            let links = config.evidence.in_calls.then(|| custody.clone() as _);
            let settings = WorkerSettings { links, ..settings(&config, number as u16, Some(certificate.clone())) };
            let mut worker = open_worker(clock.now(), settings, &tables, &directory, locals, kept);
            worker.handle_input(clock.now(), Input::People(people.clone()));
            restore_bans(&mut worker, &live.bans, clock.now());
            let watched = bindings.counters().clone();
            watch.add(Watched::new(worker.counts(), part.net.counters(), watched, vitals.clone(), part.mailbox));
            watch.add_layers(worker.layer_counts());
            counts.push(worker.counts());
            let port = witness.port()?;
            part.net.watch(port.event().as_fd())?;
            let shell = Shell {
                hep: open_hep(&config, &part.net)?,
                net: part.net,
                worker,
                inbox: part.inbox,
                peers: Outbox::to(mailboxes.clone()),
                rtp: rtp.clone(),
                resolver: resolver.clone(),
                records: records.writer(&name)?,
                bindings,
                witness: WitnessShell::new(port),
                clock,
                pace: Pace::new(config.sip.coalesce),
                admission: Admission::default(),
                vitals,
                notes: NoteLog::default(),
                handovers: Handovers::new(CALL_BYTES_MAX),
                countings: Countings::default(),
            };
            threads.push(std::thread::Builder::new().name(name).spawn(move || shell.run())?);
        }
        let ng = ng
            .map(|ng| {
                let settings = ng::settings(&config, &sounds, certificate.clone());
                ng.start(settings, (clock, Rng::new(seed())), rtp.clone(), witness.clone())
            })
            .transpose()?;
        ng.iter().for_each(|ng| watch.set_ng(ng.counts()));
        let http = HttpServer::start(config.http.listen, Arc::new(watch))?;
        let workers = Workers::at(mailboxes.clone());
        let tokens = TokenWatch::open(data.shared())?;
        let votes = Arc::new(Mutex::new(data.shared().votes()?));
        let lookout = Lookout::over(live.clone(), (witness.clone(), votes.clone(), custody.clone()), tokens, clock)?;
        let api = management::start(
            &config,
            &data,
            clock,
            workers,
            live.clone(),
            (witness.clone(), votes, custody, events),
            main,
        )?;
        Ok(Self {
            config,
            tables,
            clock,
            mailboxes,
            threads,
            counts,
            listening,
            http,
            api,
            ng,
            live,
            drift: Drift::default(),
            noticed: None,
            rtp,
            recordings,
            users,
            users_version,
            directory,
            registries,
            registries_version,
            registries_until,
            lookout,
            outward,
            expiry,
            witness,
            anchoring,
            records,
            _resolver: resolver,
            _data: data,
        })
    }

    /// The addresses it listens on, for people.
    pub fn listening(&self) -> String {
        let each = self.listening.iter().map(|(transport, address)| format!("{transport}:{address}"));
        let (udp, tcp) = self.ng_addresses();
        let ng = [("udp", udp), ("tcp", tcp)].map(|(by, at)| at.map(|at| format!("ng/{by}:{at}")));
        each.chain(ng.into_iter().flatten()).collect::<Vec<_>>().join(" ")
    }

    /// The address it listens on for a transport.
    pub fn address_of(&self, transport: Transport) -> Option<SocketAddr> {
        self.listening.iter().find(|(known, _)| *known == transport).map(|(_, address)| *address)
    }

    /// The address of the server for probes and metrics.
    pub fn http_address(&self) -> SocketAddr {
        self.http.local_addr()
    }

    /// The address of the server for management.
    pub fn api_address(&self) -> SocketAddr {
        self.api.local_addr()
    }

    /// The addresses that proxies speak to: UDP, TCP.
    pub fn ng_addresses(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        self.ng.as_ref().map(NgServer::addresses).unwrap_or_default()
    }

    /// The address this host reaches others from.
    pub fn outward_ip(&self) -> IpAddr {
        self.outward.0.into()
    }

    /// Has the witness log sign what it has.
    pub fn sign_witness(&self) -> bool {
        self.witness.sign(self.clock.now(), WITNESS_FAREWELL)
    }

    /// How long a drain may take.
    pub fn drain_time(&self) -> Duration {
        self.config.exchange.drain
    }

    /// Calls at the moment, as of the last half second.
    pub fn calls(&self) -> u64 {
        let own: u64 = self.counts.iter().map(|counts| counts.calls.load(Ordering::Relaxed)).sum();
        own + self.ng.as_ref().map_or(0, NgServer::calls)
    }

    /// Takes no new calls from now on, whatever operators want: the exchange is about to end.
    pub fn drain(&self) {
        let drain = |mailbox: &Mailbox| mailbox.post(Mail::Command(Command::Drain));
        self.live.stop(|| self.mailboxes.iter().for_each(drain));
        self.ng.iter().for_each(NgServer::drain);
        // The gauges must have been brought up to date once before they are believed.
        super::clock::pause(Duration::from_millis(600));
    }

    /// Hangs every call up.
    pub fn clear(&self) {
        let clear = Command::Clear { cause: Cause::TEMPORARY_FAILURE };
        self.mailboxes.iter().for_each(|mailbox| mailbox.post(Mail::Command(clear.clone())));
        self.ng.iter().for_each(NgServer::clear);
    }

    /// Ends every part, in the order they depend on each other.
    pub fn stop(self) {
        self.api.stop();
        self.mailboxes.iter().for_each(|mailbox| mailbox.post(Mail::Stop));
        for thread in self.threads {
            if thread.join().is_err() {
                error!("a worker had panicked");
            }
        }
        self.http.stop();
        drop(self.ng);
        drop(self.lookout);
        drop(self.anchoring);
        // The threads that have the sound end first, and then what they have handed on is written and hashed.
        drop(self.rtp);
        self.recordings.stop();
        self.live.sum_refusals(&self.witness, self.clock.now(), true);
        if !self.witness.close(self.clock.now(), WITNESS_FAREWELL) {
            error!("the last records of the witness log could not be written");
        }
        if let Err(error) = self.records.fold() {
            error!(%error, "the last call detail records wait in their journal for the next start");
        }
    }
}

fn open_records(config: &Config, data: &DataFolder, clock: Clock) -> anyhow::Result<CdrStore> {
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

fn open_witness(config: &Config, data: &DataFolder, clock: Clock) -> anyhow::Result<WitnessLog> {
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
fn open_all(config: &Config, tls: Option<&Arc<sx_net::tls::TlsConfig>>, now: Time) -> anyhow::Result<Vec<Parts>> {
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

fn open_hep(config: &Config, net: &Net) -> std::io::Result<Option<HepExport>> {
    let Some(hep) = &config.hep else { return Ok(None) };
    let mut hep = HepExport::open(hep)?;
    net.local_addresses().iter().for_each(|(_, local, link)| hep.opened(*link, *local));
    Ok(Some(hep))
}

fn locals(config: &Config, net: &Net, worker: u16, outward: (Ipv4Addr, Ipv6Addr)) -> Locals {
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
fn open_worker(
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
fn restore_bans(worker: &mut Worker, bans: &Bans, now: Time) {
    for (address, until) in bans.standing(now, wall()) {
        worker.handle_input(now, Input::Operation(Operation::Ban { address, until }));
    }
}

fn start_media(
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
fn seed() -> [u8; 32] {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives randomness, or nothing on it is safe");
    bytes
}
