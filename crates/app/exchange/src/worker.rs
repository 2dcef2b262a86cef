//! The worker: what it is made of, and the order in which it carries things on.

use crate::certified::CertifiedUsers;
use crate::counts::{Counts, Refusal};
use crate::dialing::Lookup;
use crate::directory::Directory;
use crate::escalation::EvidenceLinks;
use crate::escalation::{Asking, Escalations};
use crate::interface::{Came, Input, Output, PeerMessage};
use crate::layers::{LayerCounts, LayerSettings, Layers, PartyFacts};
use crate::peers::Arrival;
use crate::people::People;
use crate::refused::{RefusalLimits, RefusalLog};
use crate::register::registrar_config;
use crate::requests::Relayed;
use crate::tables::Tables;
use crate::trunks::TrunkState;
use crate::witnessing::{WitnessSettings, Witnessing};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use sx_bind_sip::{Polled, SipLegs};
use sx_call::{Calls, Command, Found, Input as CallInput, NotAdmitted, Note, Output as CallOutput, QueryId};
use sx_engine::{Engine, Rng, Time};
use sx_escalation::FreshnessLimits;
use sx_leg::{Address, LegCommand, LegEvent, Target};
use sx_sip::agent::{Agent, AgentConfig, Disposition};
use sx_sip::digest::Nonces;
use sx_sip::local::Locals;
use sx_sip::message::{Message, Method, elements};
use sx_sip::registrar::{Change, ContactView, Registrar, RegistrarConfig, Way};
use sx_sip::transaction::Transmit;
use sx_types::{Codec, Destination, Flow, LegId, LinkId, Ticket, TraceId, Transport};

/// What a worker is told once.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// This worker's number.
    pub worker: u16,
    /// How many there are.
    pub workers: u16,
    /// The SIP agent.
    pub agent: AgentConfig,
    /// The call engine.
    pub calls: sx_call::Settings,
    /// The registrar.
    pub registrar: RegistrarConfig,
    /// Nonces that may be used at the same time; 8 bytes each.
    pub nonces: usize,
    /// Server transactions at a time; new requests beyond are answered 503.
    pub transactions_max: usize,
    /// The longest request sent over UDP.
    pub udp_request_bytes_max: usize,
    /// How many refused authentications are told.
    pub refusals: RefusalLimits,
    /// The witness log.
    pub witness: WitnessSettings,
    /// The layers a request passes.
    pub layers: LayerSettings,
    /// How many messages of agents are remembered.
    pub freshness: FreshnessLimits,
    /// What makes links for evidence; `None`: experts who are rung are told none.
    pub links: Option<Arc<dyn EvidenceLinks>>,
    /// What sound can be recorded in, and what may go beside it.
    pub recordable: Arc<[Codec]>,
}

/// One worker of the exchange.
#[derive(Debug)]
pub struct Worker {
    pub(crate) settings: WorkerSettings,
    pub(crate) tables: Arc<Tables>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) people: Arc<People>,
    pub(crate) legs: SipLegs,
    pub(crate) calls: Calls,
    pub(crate) registrar: Registrar,
    pub(crate) nonces: Nonces,
    pub(crate) refusal_log: RefusalLog,
    pub(crate) witness: Witnessing,
    /// What is known of the parties of calls.
    pub(crate) parties: BTreeMap<LegId, PartyFacts>,
    pub(crate) layers: Layers,
    pub(crate) escalations: Escalations,
    /// Requests that wait for what another worker decides. As many at most as there are server transactions.
    pub(crate) asking: BTreeMap<TraceId, Asking>,
    pub(crate) trunks: Vec<TrunkState>,
    /// Legs to trunks of which nothing has come back.
    pub(crate) unheard: BTreeMap<LegId, Arc<str>>,
    pub(crate) lookups: BTreeMap<u64, Lookup>,
    pub(crate) relayed: BTreeMap<u64, Relayed>,
    /// Connections of ours, and the workers that REGISTERs which came along them were passed on to.
    pub(crate) registered_through: BTreeSet<(LinkId, u16)>,
    /// The users that are known by the certificate of a connection. As many entries at most as there are connections.
    pub(crate) certificates: BTreeMap<LinkId, CertifiedUsers>,
    pub(crate) next_query: u64,
    pub(crate) last_owner: u64,
    pub(crate) rng: Rng,
    pub(crate) draining: bool,
    pub(crate) counts: Arc<Counts>,
    pub(crate) outputs: VecDeque<Output>,
}

impl Worker {
    /// A worker without calls.
    pub fn new(
        now: Time,
        settings: WorkerSettings,
        tables: &Arc<Tables>,
        directory: Arc<Directory>,
        locals: Locals,
        mut rng: Rng,
    ) -> Self {
        let agent = Agent::new(now, settings.agent.clone(), locals, rng.fork());
        let nonces = Nonces::new(tables.nonce_lifetime, settings.nonces, &mut rng);
        // Legs are numbered from anywhere, so that a call that comes from another exchange meets none with its numbers.
        let [incoming, outgoing] = [rng.u64() >> 2, rng.u64() >> 2];
        let calls = sx_call::Settings {
            first_outgoing_leg: LegId(1 << 63 | outgoing),
            host_in: crate::dialing::numeric_host,
            answer_wait: Some(settings.witness.patience),
            ..settings.calls.clone()
        };
        let mut worker = Self {
            legs: SipLegs::new(agent, LegId(incoming)),
            calls: Calls::new(calls, tables.routes.clone(), rng.fork(), now),
            registrar: Registrar::new(registrar_config(&settings.registrar, tables), rng.u128().to_be_bytes()),
            nonces,
            refusal_log: RefusalLog::new(settings.refusals),
            witness: Witnessing::new(&settings.witness),
            parties: BTreeMap::new(),
            layers: Layers::new(&settings.layers, &mut rng),
            escalations: Escalations::new(settings.freshness),
            asking: BTreeMap::new(),
            people: Arc::default(),
            trunks: Vec::new(),
            unheard: BTreeMap::new(),
            lookups: BTreeMap::new(),
            relayed: BTreeMap::new(),
            registered_through: BTreeSet::new(),
            certificates: BTreeMap::new(),
            next_query: 0,
            last_owner: 0,
            rng,
            draining: false,
            counts: Arc::new(Counts::default()),
            outputs: VecDeque::new(),
            settings,
            directory,
            tables: tables.clone(),
        };
        worker.take_trunks(now, tables);
        worker
    }

    /// What the wall clock says.
    pub(crate) fn wall(&self, now: Time) -> Time {
        Time::from_millis(now.as_millis().saturating_add_signed(self.layers.wall_ahead_ms))
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.settings.worker
    }

    /// What the worker counts.
    pub fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }

    /// What its layers count.
    pub fn layer_counts(&self) -> Arc<LayerCounts> {
        self.layers.counts.clone()
    }

    /// Messages that it has not even looked at, for where they came from.
    pub fn dropped(&self) -> u64 {
        self.layers.dropped
    }

    /// How many calls there are.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// The calls there are.
    pub fn list(&self) -> impl Iterator<Item = sx_call::CallSummary> {
        self.calls.list()
    }

    /// A message from the network.
    fn landed(&mut self, now: Time, flow: Flow, bytes: &[u8]) {
        // Each once, where it came in.
        Counts::add(&self.counts.messages_received);
        let mut came = Came::on(self.settings.worker, flow);
        if self.may_come(now, &mut came, bytes) {
            came.certified = self.certificates.get(&flow.link).cloned().unwrap_or_default();
            self.receive(now, &came, bytes, Arrival::Landed);
        }
    }

    pub(crate) fn receive(&mut self, now: Time, came: &Came, bytes: &[u8], arrival: Arrival) {
        let flow = came.flow;
        let Ok(message) = Message::parse(bytes) else {
            self.drop_malformed(now, came, bytes.len(), None);
            return;
        };
        if let Some((worker, others)) = self.passed_on_to(&message, arrival) {
            Counts::add(&self.counts.messages_to_workers);
            if flow.transport.is_reliable() && message.method() == Some(Method::Register) {
                self.registered_through.insert((flow.link, worker));
            }
            let socket = self.legs.agent_ref().locals().socket_of(flow);
            let score_milli = Some(self.score_of(now, came));
            let (came, bytes) = (Came { score_milli, ..came.clone() }, Bytes::copy_from_slice(bytes));
            let message = PeerMessage::Message { came, socket, others, bytes };
            self.outputs.push_back(Output::Peer { worker, message });
            return;
        }
        match self.legs.agent().receive(now, flow, &message) {
            Disposition::Handled => {}
            Disposition::Request => self.receive_new(now, came, &message),
            unwanted @ (Disposition::Malformed(_) | Disposition::Merged | Disposition::Stray) => {
                self.receive_unwanted(now, came, &message, unwanted);
            }
        }
    }

    fn locate(&mut self, now: Time, query: QueryId, address: Address) {
        let keeper = self.worker_of_user(&address.user, &address.domain);
        if keeper == self.settings.worker {
            let found = self.find(now, &address);
            self.calls.handle_input(now, CallInput::Located { query, found });
        } else {
            let message = PeerMessage::Locate { worker: self.settings.worker, query, address };
            self.outputs.push_back(Output::Peer { worker: keeper, message });
        }
    }

    pub(crate) fn find(&mut self, now: Time, address: &Address) -> Found {
        let aor = address.to_string();
        if self.directory.find(&aor).is_none() && !self.tables.unauthenticated_calls {
            return Found::Unknown;
        }
        Found::Contacts(self.contacts(now, &aor))
    }

    /// Carries messages between the parts until nothing moves.
    pub(crate) fn settle(&mut self, now: Time) {
        loop {
            let mut quiet = true;
            while let Some(transmit) = self.legs.agent().poll_transmit() {
                self.transmit(transmit);
                quiet = false;
            }
            let tables = self.tables.clone();
            while let Some(polled) = self.legs.poll_event(&|uri| tables.dialled_domain(uri)) {
                quiet = false;
                match polled {
                    Polled::Leg { leg, event } => {
                        if matches!(event, LegEvent::Ended(_)) {
                            self.parties.remove(&leg);
                        }
                        self.heard_from(now, leg, &event);
                        self.calls.handle_input(now, CallInput::Leg { leg, event });
                    }
                    Polled::Response { owner, response, status, seq } => {
                        self.registration_used(owner, seq);
                        self.request_done(now, owner, response.as_deref(), status);
                    }
                }
                self.drain_calls(now);
            }
            quiet &= !self.drain_calls(now);
            if quiet {
                return;
            }
        }
    }

    /// Carries out what the calls want. Did they want anything?
    pub(crate) fn drain_calls(&mut self, now: Time) -> bool {
        let mut moved = false;
        while let Some(output) = self.calls.poll_output() {
            moved = true;
            match output {
                CallOutput::Leg { leg, command: LegCommand::Dial(dial) } => self.dial(now, leg, *dial),
                CallOutput::Leg { leg, command } => self.carry_out_on_leg(now, leg, command),
                CallOutput::Media(command) => self.outputs.push_back(Output::Media(command)),
                CallOutput::Locate { query, address } => self.locate(now, query, address),
                CallOutput::Admit { query, call, wish } => self.admit_wish(now, query, call, &wish),
                CallOutput::Record(record) => self.outputs.push_back(Output::Record(record)),
                CallOutput::Note(note) => {
                    self.count(&note);
                    self.witness_note(now, &note);
                    self.escalation_heard(now, &note);
                    self.outputs.push_back(Output::Note(note));
                }
            }
        }
        moved
    }

    /// Tells a leg what its call wants of it.
    pub(crate) fn carry_out_on_leg(&mut self, now: Time, leg: LegId, command: LegCommand) {
        if matches!(command, LegCommand::Hangup { .. }) {
            self.undial(leg);
        }
        if let Some(event) = self.legs.command(now, leg, command) {
            self.parties.remove(&leg);
            self.unheard.remove(&leg);
            self.calls.handle_input(now, CallInput::Leg { leg, event });
        }
        // What a command sends goes out before what the call wants next.
        while let Some(transmit) = self.legs.agent().poll_transmit() {
            self.transmit(transmit);
        }
    }

    fn transmit(&mut self, transmit: Transmit) {
        Counts::add(&self.counts.messages_sent);
        match &transmit.to {
            Destination::Flow(flow) if flow.link == LinkId::BETWEEN_WORKERS => {
                let (worker, flow) = (flow.worker, Flow { worker: self.settings.worker, ..*flow });
                let (came, bytes) = (Came::on(worker, flow), transmit.bytes);
                let message = PeerMessage::Message { came, socket: None, others: 0, bytes };
                self.outputs.push_back(Output::Peer { worker, message });
            }
            Destination::Flow(flow) if flow.worker != self.settings.worker => {
                let worker = flow.worker;
                // The ticket names a transaction of ours: the other worker would fail one of its own.
                let transmit = Transmit { ticket: Ticket::default(), ..transmit };
                self.outputs.push_back(Output::Peer { worker, message: PeerMessage::Send(transmit) });
            }
            _ => self.outputs.push_back(Output::Send(transmit)),
        }
    }

    fn count(&self, note: &Note) {
        match note {
            Note::Begun { .. } => Counts::add(&self.counts.calls_begun),
            Note::Answered { .. } => Counts::add(&self.counts.calls_answered),
            Note::Ended { .. } => Counts::add(&self.counts.calls_ended),
            Note::AttemptFailed { .. } => Counts::add(&self.counts.attempts_failed),
            Note::Transferred { .. } => Counts::add(&self.counts.transfers),
            Note::KeyDropped { .. } => Counts::add(&self.counts.keys_dropped),
            Note::NotAdmitted { why: NotAdmitted::Draining, .. } => self.counts.refuse(Refusal::Draining),
            Note::NotAdmitted {
                why: NotAdmitted::Full | NotAdmitted::TrunkFull | NotAdmitted::TrunkTooFast, ..
            } => {
                self.counts.refuse(Refusal::Overload);
            }
            Note::NotAdmitted { why: NotAdmitted::NoCodec | NotAdmitted::NoKeys | NotAdmitted::NoStream, .. } => {
                self.counts.refuse(Refusal::NotAcceptable);
            }
            Note::NotAdmitted { why: NotAdmitted::NoPlace { status }, .. } => {
                self.counts.refuse(if *status == 403 { Refusal::Forbidden } else { Refusal::Stray });
            }
            _ => {}
        }
    }

    /// Brings the gauges up to date. To be called now and then.
    pub fn publish(&self) {
        let agent = self.legs.agent_ref();
        let (clients, servers) = agent.transactions();
        self.layers.publish();
        self.witness.publish(&self.layers.counts);
        Counts::set(&self.counts.calls, self.calls.len());
        Counts::set(&self.counts.escalations, self.escalations.running.len());
        Counts::set(&self.counts.escalations_kept, self.escalations.kept.len());
        Counts::set(&self.counts.escalation_senders, self.escalations.freshness.senders().count());
        Counts::set(&self.counts.legs, self.legs.len());
        Counts::set(&self.counts.bindings, self.registrar.len());
        Counts::set(&self.counts.registrations_refused, self.registrar.counters().refused as usize);
        Counts::set(&self.counts.client_transactions, clients);
        Counts::set(&self.counts.server_transactions, servers);
        let counts = agent.counts();
        Counts::set(&self.counts.requests_retransmitted, counts.requests_retransmitted as usize);
        Counts::set(&self.counts.responses_retransmitted, counts.responses_retransmitted as usize);
        Counts::set(&self.counts.answers_unwanted, counts.answers_unwanted as usize);
        Counts::set(&self.counts.invites_forgotten, counts.invites_forgotten as usize);
    }

    /// Where a user is registered, as targets.
    pub(crate) fn contacts(&mut self, now: Time, aor: &str) -> Vec<Target> {
        let locals = self.legs.agent_ref().locals();
        let target = |contact: ContactView<'_>| Target::Contact {
            uri: contact.uri.into(),
            path: elements(contact.path.as_bytes()).map(|hop| String::from_utf8_lossy(hop).into()).collect(),
            flow: match contact.way {
                Way::Uri => None,
                Way::Flow(flow) => Some(flow),
                Way::Datagrams(remote) => match locals.way_to(Transport::Udp, remote, None) {
                    Destination::Flow(flow) => Some(flow),
                    Destination::Address { .. } => None,
                },
            },
        };
        self.registrar.contacts(now, aor).map(target).collect()
    }
}

impl Engine for Worker {
    type Input<'a> = Input<'a>;
    type Output = Output;

    fn handle_input(&mut self, now: Time, input: Input<'_>) {
        match input {
            Input::Message { flow, bytes } => self.landed(now, flow, bytes),
            Input::Opened { link, identities } => {
                let users = CertifiedUsers::named(&identities);
                if !users.is_nobody() {
                    self.certificates.insert(link, users);
                }
            }
            Input::Closed { link } => self.closed(link),
            Input::SendFailed { ticket } => self.legs.agent().handle_send_failed(now, ticket),
            Input::Media(event) => self.calls.handle_input(now, CallInput::Media(event)),
            Input::Resolved { query, addresses } => self.resolved(now, query, addresses),
            Input::Tables(tables) => {
                self.calls.handle_input(now, CallInput::Tables(tables.routes.clone()));
                self.take_trunks(now, &tables);
                self.registrar.configure(registrar_config(&self.settings.registrar, &tables));
                self.tables = tables;
            }
            Input::Directory(directory) => self.directory = directory,
            Input::People(people) => self.people = people,
            Input::Escalate(asked) => self.escalate(now, &asked),
            Input::WallClock { ahead_ms } => self.layers.wall_ahead_ms = ahead_ms,
            Input::Peer(message) => self.receive_peer(now, message),
            Input::Command(command) => {
                self.draining = match command {
                    Command::Drain => true,
                    Command::Undrain => false,
                    Command::Hangup { .. }
                    | Command::Clear { .. }
                    | Command::Remember { .. }
                    | Command::Count { .. }
                    | Command::Record { .. }
                    | Command::Member { .. }
                    | Command::Invite(_)
                    | Command::Originate(_)
                    | Command::Parties { .. } => self.draining,
                };
                self.calls.handle_input(now, CallInput::Command(command));
            }
            Input::Operation(operation) => self.operate(now, &operation),
            Input::Witnessed { durable, failing } => self.records_durable(now, durable, failing),
            Input::Restore { aor, record } => {
                self.registrar.restore(now, aor, &record);
                self.directory.note_registered(aor, self.registrar.is_bound(aor));
            }
        }
        self.tell_observed();
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Time) {
        self.legs.agent().handle_timeout(now);
        self.calls.handle_timeout(now);
        self.registrar.handle_timeout(now);
        self.trunks_due(now);
        self.escalations_due(now);
        self.refusals_due(now);
        self.sum_refusals(now, false);
        self.settle(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        if let Some(change) = self.registrar.poll_change() {
            let (Change::Put { aor, .. } | Change::Delete { aor }) = &change;
            // Some bindings do not outlive the process, and are none that is kept.
            self.directory.note_registered(aor, self.registrar.is_bound(aor));
            return Some(Output::Binding(change));
        }
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        let agent = self.legs.agent_ref().poll_timeout();
        let all = [self.calls.poll_timeout(), self.registrar.poll_timeout(), self.trunk_timeout()];
        let all = all.into_iter().chain([self.escalations.timeout()]);
        all.into_iter().chain([agent, self.refusal_log.timeout(), self.layers.tally.timeout()]).flatten().min()
    }
}
