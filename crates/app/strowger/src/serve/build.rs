//! The composition root of the process: every part, in the order they depend on each other.

use super::admission::Admission;
use super::anchor::Anchoring;
use super::asking::Workers;
use super::bans::Bans;
use super::bindings;
use super::clock::{Clock, Drift, wall};
use super::counting::Countings;
use super::handover::Handovers;
use super::log::NoteLog;
use super::mailbox::{Mail, Mailbox, Outbox};
use super::management::{self, Live};
use super::metrics::{CertificateExpiry, Watch, Watched};
use super::ng::{self, NgParts, NgServer};
use super::notice::{Lookout, Noticed};
use super::outward::{outward_v4, outward_v6};
use super::pace::Pace;
use super::parts::{
    EscalationParts, load_users, locals, open_all, open_hep, open_records, open_witness, open_worker, restore_bans,
    seed, start_media,
};
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
use sx_config::{Config, ConfigError};
use sx_engine::{Engine as _, Rng};
use sx_exchange::{BuildError, Counts, Directory, Input, Tables, WorkerSettings};
use sx_guard::PolicyError;
use sx_http::{ApiServer, CALL_BYTES_MAX, HttpServer};
use sx_io_rtp::{Certificate, Local, PacketThreads};
use sx_net::resolve::Resolver;
use sx_store::{CdrStore, DataFolder, Users, WitnessLog};
use sx_types::{Cause, Transport};
use tracing::error;

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
        live.hear(sounds.clone());
        let (counters, shown) = (records.counters().clone(), expiry.clone());
        let mut watch = Watch::new(name, clock, rtp.clone(), counters, shown, witness.clone(), live.clone());
        watch.set_anchoring(anchoring.counts());
        watch.set_recordings(recordings.counts());
        let escalation = EscalationParts::open(&config, &data, &witness)?;
        let custody = escalation.custody.clone();
        watch.set_escalation(escalation.clone());
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
        let lookout = Lookout::over(live.clone(), (witness.clone(), votes.clone(), custody), tokens, clock)?;
        let told = (witness.clone(), votes, escalation);
        let api = management::start(&config, &data, clock, workers, live.clone(), told, main)?;
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
