//! Whole workers in virtual time: SIP peers around them, ports that are always there, and nothing that is real.
#![allow(dead_code, unused_imports, reason = "each file of tests uses another part")]

mod countries;
mod peer;
mod seen;
mod text;
mod trunks;
mod witness;

pub use countries::database;
pub use peer::{Manner, Peer, Scripted, credentials, sdp};
pub use text::{Line, authorization, body, named, rtp_address, text, uri, value};
pub use trunks::{FAILOVER, TRUNKS, probed, with_east, with_probes, with_reserve};

use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use sx_call::{CallRecord, Command, Note};
use sx_config::Config;
use sx_engine::{Engine, Rng, Time};
use sx_exchange::{
    Directory, ExchangeSnapshot, Input, LayerSettings, Output, PeerMessage, RefusalLimits, RefusedAuthentication,
    Tables, Unresolved, User, WitnessSettings, Worker, WorkerSettings,
};
use sx_media::{Closed, MediaCommand, MediaEvent, OpenError, Opened, PortId, PortMemory, PortStats};
use sx_sip::agent::AgentConfig;
use sx_sip::digest::{Algorithm, Ha1};
use sx_sip::local::{LocalLink, Locals};
use sx_sip::message::{Message, OwnedMessage};
use sx_sip::registrar::{Change, RegistrarConfig};
use sx_sip::session::{Outgoing, SessionId};
use sx_types::{CallId, Codec, Destination, Flow, LinkId, Transport};

/// When every test begins.
pub const START: Time = Time::from_secs(1_800_000_000);
/// Where the exchange listens: all its workers at the same address.
pub const EXCHANGE: &str = "192.0.2.1:5060";
/// The password of every user.
pub const PASSWORD: &str = "wonder";
/// The users there are.
pub const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// Users only.
pub const USERS_ONLY: &str = "[exchange]\ndomains = [\"example.org\"]\n";

pub fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[derive(Debug)]
enum OnItsWay {
    Datagram(Line),
    Media { worker: usize, event: MediaEvent },
    Peer { worker: usize, message: PeerMessage },
    Resolved { worker: usize, query: u64, addresses: Result<Vec<(Transport, SocketAddr)>, Unresolved> },
}

/// An exchange, those who call it, and all that was said.
pub struct Bench {
    pub now: Time,
    /// The text of the configuration.
    pub config: String,
    pub tables: Arc<Tables>,
    pub workers: Vec<Worker>,
    pub peers: Vec<Peer>,
    /// On which worker datagrams for the exchange land.
    pub lands_on: usize,
    /// Every message that was sent, in order.
    pub lines: Vec<Line>,
    pub records: Vec<CallRecord>,
    pub bindings: Vec<Change>,
    pub notes: Vec<Note>,
    pub media: Vec<MediaCommand>,
    pub open: BTreeMap<PortId, Opened>,
    pub health: Vec<(String, bool)>,
    /// The trunks whose names did not resolve, and the names.
    pub unresolved: Vec<(String, String, Unresolved)>,
    pub registered: Vec<(String, u16)>,
    pub refused: Vec<RefusedAuthentication>,
    pub suppressed: Vec<(Option<IpAddr>, u64)>,
    /// What passed between workers.
    pub passed_on: Vec<String>,
    /// No port can be opened.
    pub no_ports: bool,
    /// Names that can be looked up.
    pub names: BTreeMap<String, Vec<(Transport, SocketAddr)>>,
    /// The names that certificates of peers must carry.
    pub names_asked_for: Vec<String>,
    /// No name server answers for other names.
    pub no_name_server: bool,
    /// Answers about names are kept back until [`Bench::names_come`].
    pub names_wait: bool,
    /// The witness log.
    pub log: witness::Log,
    late: Vec<OnItsWay>,
    way: VecDeque<OnItsWay>,
    next_port: u16,
}

pub fn tables_of(config: &str, before: Option<&Tables>) -> Arc<Tables> {
    let env = [("PROVIDER_PASSWORD".to_owned(), "opensesame".to_owned())];
    let config = Config::from_text_with_env(config, env).expect("a good configuration");
    Arc::new(Tables::build(&config, vec![address(EXCHANGE).ip()], before).expect("it fits together"))
}

fn directory(realm: &str) -> Arc<Directory> {
    let user = |name: &str| User {
        name: name.into(),
        domain: "example.org".into(),
        md5: Ha1::new(Algorithm::Md5, name, realm, PASSWORD),
        sha256: Ha1::new(Algorithm::Sha256, name, realm, PASSWORD),
    };
    Arc::new(Directory::new(USERS.map(user)))
}

/// A worker that knows no call.
pub fn worker(now: Time, number: u16, workers: u16, tables: &Arc<Tables>, seed: u64) -> Worker {
    worker_with(now, number, workers, tables, &directory(&tables.realm), seed, |_| {})
}

fn worker_with(
    now: Time,
    number: u16,
    workers: u16,
    tables: &Arc<Tables>,
    users: &Arc<Directory>,
    seed: u64,
    change: impl FnOnce(&mut WorkerSettings),
) -> Worker {
    let mut settings = WorkerSettings {
        links: None,
        worker: number,
        workers,
        agent: AgentConfig { worker: number, ..AgentConfig::default() },
        calls: sx_call::Settings { worker: number, ..sx_call::Settings::default() },
        registrar: RegistrarConfig::default(),
        nonces: 1 << 10,
        transactions_max: 100_000,
        udp_request_bytes_max: 65_000,
        refusals: RefusalLimits::default(),
        witness: WitnessSettings::default(),
        layers: LayerSettings::default(),
        freshness: sx_escalation::FreshnessLimits::default(),
        recordable: [Codec::Pcmu, Codec::Pcma, Codec::TelephoneEvent].into(),
    };
    change(&mut settings);
    let link = LocalLink { link: LinkId(1), transport: Transport::Udp, bound: address(EXCHANGE), advertised: None };
    let locals =
        Locals { worker: number, links: vec![link], outward_v4: Ipv4Addr::LOCALHOST, outward_v6: Ipv6Addr::LOCALHOST };
    Worker::new(now, settings, tables, users.clone(), locals, Rng::from_number(seed + u64::from(number)))
}

impl Bench {
    /// An exchange of one worker.
    pub fn new(config: &str) -> Self {
        Self::with_workers(config, 1)
    }

    /// An exchange of one worker with other settings.
    pub fn with_settings(config: &str, change: impl FnOnce(&mut WorkerSettings)) -> Self {
        let mut bench = Self::new(config);
        let users = directory(&bench.tables.realm);
        bench.workers = vec![worker_with(START, 0, 1, &bench.tables, &users, 100, change)];
        bench
    }

    pub fn with_workers(config: &str, workers: u16) -> Self {
        Self::with_workers_that(config, workers, |_| {})
    }

    /// An exchange of several workers, each with other settings.
    pub fn with_workers_that(config: &str, workers: u16, change: impl Fn(&mut WorkerSettings)) -> Self {
        let tables = tables_of(config, None);
        let users = directory(&tables.realm);
        let one = |number| worker_with(START, number, workers, &tables, &users, 100, &change);
        Self {
            now: START,
            config: config.to_owned(),
            workers: (0..workers).map(one).collect(),
            tables,
            peers: Vec::new(),
            lands_on: 0,
            lines: Vec::new(),
            records: Vec::new(),
            bindings: Vec::new(),
            notes: Vec::new(),
            media: Vec::new(),
            open: BTreeMap::new(),
            health: Vec::new(),
            unresolved: Vec::new(),
            registered: Vec::new(),
            refused: Vec::new(),
            suppressed: Vec::new(),
            passed_on: Vec::new(),
            no_ports: false,
            names: BTreeMap::new(),
            names_asked_for: Vec::new(),
            no_name_server: false,
            names_wait: false,
            log: witness::Log::default(),
            late: Vec::new(),
            way: VecDeque::new(),
            next_port: 30_000,
        }
    }

    /// Adds a peer at this address, which does so with calls to it.
    pub fn peer(&mut self, name: &'static str, own: &str, manner: Manner) {
        self.peers.push(Peer::new(name, address(own), manner));
    }

    /// Adds a user's telephone and registers it.
    pub fn phone(&mut self, name: &'static str, own: &str, manner: Manner) {
        self.peer(name, own, manner);
        assert_eq!(self.register(name, name, PASSWORD), 200, "{name} registers");
    }

    pub fn who(&mut self, name: &str) -> &mut Peer {
        self.peers.iter_mut().find(|peer| peer.name == name).expect("a peer of this name")
    }

    /// Runs `act` on a peer, and lets everything come to rest.
    pub fn act<R>(&mut self, name: &str, act: impl FnOnce(&mut Peer, Time) -> R) -> R {
        let now = self.now;
        let result = act(self.who(name), now);
        self.settle();
        result
    }

    pub fn dial(&mut self, name: &str, uri: &str) -> SessionId {
        self.dial_with(name, uri, |_| {})
    }

    pub fn dial_with(&mut self, name: &str, uri: &str, change: impl FnOnce(&mut Outgoing)) -> SessionId {
        self.act(name, |peer, now| peer.dial(now, uri, change))
    }

    pub fn hang_up(&mut self, name: &str, session: SessionId) {
        self.act(name, |peer, now| peer.agent.hangup(now, session, None));
    }

    /// A peer puts its call on hold.
    pub fn hold(&mut self, name: &str, session: SessionId) {
        self.reoffer(name, session, "sendonly");
    }

    /// A peer changes its session, so that media goes this way.
    pub fn reoffer(&mut self, name: &str, session: SessionId, direction: &str) {
        self.act(name, |peer, now| {
            let offer = peer.describe(direction);
            peer.agent.offer(now, session, Some(offer));
        });
        self.pass_s(1);
    }

    /// Registers a peer as this user and says how that went.
    pub fn register(&mut self, name: &str, user: &str, password: &str) -> u16 {
        self.act(name, |peer, now| peer.register(now, user, password, 3_600));
        self.who(name).replies.pop().expect("an answer").0
    }

    /// Sends bytes from a peer's address, past its agent, and says what came back.
    pub fn send_raw(&mut self, name: &str, text: &str) -> Vec<OwnedMessage> {
        let (from, before) = (self.who(name).address, self.lines.len());
        let bytes = Bytes::from(text.to_owned());
        self.way.push_back(OnItsWay::Datagram(Line { from, to: address(EXCHANGE), bytes }));
        self.settle();
        self.lines[before..].iter().filter(|line| line.to == from).map(Line::message).collect()
    }

    /// Tells a worker something.
    pub fn tell(&mut self, worker: usize, input: Input<'_>) {
        self.workers[worker].handle_input(self.now, input);
        self.settle();
    }

    /// A call of the first worker as a value, with what its ports know.
    pub fn export(&mut self, call: CallId) -> Option<ExchangeSnapshot> {
        self.tell(0, Input::Command(Command::Remember { call }));
        self.workers[0].export(call).ok()
    }

    /// Another process, of another seed, which knows no port, goes on with this call in the place of the first.
    pub fn replace(&mut self, snapshot: ExchangeSnapshot) {
        self.open.clear();
        self.media.clear();
        let mut other = worker(self.now, 0, 1, &self.tables.clone(), 4_711);
        other.import(self.now, snapshot).expect("there is room");
        self.workers[0] = other;
        self.settle();
    }

    /// Gives every worker another configuration.
    pub fn reload(&mut self, config: &str) {
        self.tables = tables_of(config, Some(&self.tables));
        for worker in 0..self.workers.len() {
            let tables = self.tables.clone();
            self.tell(worker, Input::Tables(tables));
        }
    }

    /// What was asked about names is answered at last.
    pub fn names_come(&mut self) {
        self.names_wait = false;
        self.way.extend(std::mem::take(&mut self.late));
        self.settle();
    }

    /// Delivers until nothing is on its way.
    pub fn settle(&mut self) {
        for _ in 0..100_000 {
            self.collect();
            match self.way.pop_front() {
                Some(next) => self.deliver(next),
                None => return,
            }
        }
        panic!("it never comes to rest:\n{}", self.ladder());
    }

    fn collect(&mut self) {
        for worker in 0..self.workers.len() {
            while let Some(output) = self.workers[worker].poll_output() {
                self.carry_out(worker, output);
            }
            self.take_records(worker);
            while let Some(output) = self.workers[worker].poll_output() {
                self.carry_out(worker, output);
            }
        }
        let now = self.now;
        for peer in &mut self.peers {
            let sent = peer.collect(now).into_iter().map(|(to, bytes)| Line { from: peer.address, to, bytes });
            self.way.extend(sent.map(OnItsWay::Datagram));
        }
    }

    fn carry_out(&mut self, worker: usize, output: Output) {
        match output {
            Output::Send(transmit) => {
                let (from, to) = (address(EXCHANGE), transmit.to.remote());
                if let Destination::Address { name: Some(name), .. } = &transmit.to {
                    self.names_asked_for.push(name.to_string());
                }
                let message = Message::parse(transmit.bytes.clone()).expect("what we write, we can read");
                message.check().expect("what we write passes our check");
                self.way.push_back(OnItsWay::Datagram(Line { from, to, bytes: transmit.bytes }));
            }
            Output::Media(command) => self.media_command(worker, command),
            Output::Record(record) => self.records.push(record),
            Output::Binding(change) => self.bindings.push(change),
            Output::Resolve { query, question } => {
                let unresolved = if self.no_name_server { Unresolved::NotNow } else { Unresolved::Nowhere };
                let addresses = self.names.get(&question.host).cloned().ok_or(unresolved);
                let answer = OnItsWay::Resolved { worker, query, addresses };
                if self.names_wait { self.late.push(answer) } else { self.way.push_back(answer) }
            }
            Output::Peer { worker: to, message } => {
                let text = format!("{message:?}");
                let kind = text.split([' ', '(', '{']).next().unwrap_or_default();
                self.passed_on.push(format!("{worker}->{to} {kind}"));
                self.way.push_back(OnItsWay::Peer { worker: usize::from(to), message });
            }
            Output::Note(note) => self.notes.push(note),
            Output::TrunkHealth { trunk, healthy } => self.health.push((trunk.to_string(), healthy)),
            Output::TrunkUnresolved { trunk, host, why } => {
                self.unresolved.push((trunk.to_string(), host.to_string(), why));
            }
            Output::Registered { trunk, status } => self.registered.push((trunk.to_string(), status)),
            Output::AuthenticationRefused(refused) => self.refused.push(*refused),
            Output::RefusalsSuppressed { source, suppressed } => self.suppressed.push((source, suppressed)),
        }
    }

    fn media_command(&mut self, worker: usize, command: MediaCommand) {
        let event = match &command {
            MediaCommand::Open { port, .. } if self.no_ports => {
                Some(MediaEvent::OpenFailed { port: *port, error: OpenError::PoolExhausted })
            }
            MediaCommand::Open { port, host, number, .. } => {
                // As an interface with every address of the machine: each host is told the one that faces it.
                let own = host.filter(IpAddr::is_loopback);
                let at = |number| SocketAddr::new(own.unwrap_or(address(EXCHANGE).ip()), number);
                let free = number.unwrap_or(self.next_port);
                self.next_port += if number.is_none() { 2 } else { 0 };
                let opened = Opened { port: *port, rtp: at(free), rtcp: at(free + 1) };
                assert!(self.open.values().all(|other| other.rtp != opened.rtp), "{free} is bound already");
                assert!(self.open.insert(*port, opened).is_none(), "port {port:?} is opened twice");
                Some(MediaEvent::Opened(opened))
            }
            MediaCommand::Close { port } => {
                let was_open = self.open.remove(port).is_some();
                assert!(was_open || self.no_ports, "port {port:?} is closed and was not open");
                was_open.then(|| MediaEvent::Closed(Closed { port: *port, stats: PortStats::default() }))
            }
            MediaCommand::Remember { port } => {
                let memory = Box::new(PortMemory::default());
                Some(MediaEvent::Remembered { port: *port, memory })
            }
            MediaCommand::SetRemote { port, .. }
            | MediaCommand::Resume { port, .. }
            | MediaCommand::Attend { port, .. }
            | MediaCommand::Press { port, .. }
            | MediaCommand::Play { port, .. }
            | MediaCommand::Count { port }
            | MediaCommand::Tap { port, .. }
            | MediaCommand::Patch { from: port, .. } => {
                assert!(self.open.contains_key(port) || self.no_ports, "{command:?} is about a port that is not open");
                None
            }
            MediaCommand::Record { .. } => None,
        };
        self.media.push(command);
        if let Some(event) = event {
            self.way.push_back(OnItsWay::Media { worker, event });
        }
    }

    fn deliver(&mut self, next: OnItsWay) {
        let now = self.now;
        match next {
            OnItsWay::Datagram(line) => {
                self.lines.push(line.clone());
                if line.to == address(EXCHANGE) {
                    let worker = &mut self.workers[self.lands_on];
                    let number = worker.number();
                    let flow = Flow { worker: number, link: LinkId(1), transport: Transport::Udp, remote: line.from };
                    worker.handle_input(now, Input::Message { flow, bytes: &line.bytes });
                } else if let Some(peer) = self.peers.iter_mut().find(|peer| peer.address == line.to) {
                    peer.receive(now, line.from, &line.bytes);
                }
            }
            OnItsWay::Media { worker, event } => self.workers[worker].handle_input(now, Input::Media(event)),
            OnItsWay::Peer { worker, message } => self.workers[worker].handle_input(now, Input::Peer(message)),
            OnItsWay::Resolved { worker, query, addresses } => {
                self.workers[worker].handle_input(now, Input::Resolved { query, addresses });
            }
        }
    }

    /// Lets time pass, timer by timer.
    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.settle();
        let mut steps = 0;
        loop {
            let timers = self.workers.iter().filter_map(Engine::poll_timeout);
            let next = timers.chain(self.peers.iter().filter_map(|peer| peer.agent.poll_timeout())).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            steps = if next <= self.now { steps + 1 } else { 0 };
            assert!(steps < 1_000, "a timer is due for ever:\n{}", self.ladder());
            self.now = next.max(self.now);
            let now = self.now;
            self.workers.iter_mut().for_each(|worker| worker.handle_timeout(now));
            self.peers.iter_mut().for_each(|peer| peer.agent.handle_timeout(now));
            self.settle();
        }
        self.now = end;
    }

    pub fn pass_s(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }
}
