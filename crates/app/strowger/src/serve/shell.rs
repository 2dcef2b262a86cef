//! The thread of one worker: its sockets, its journals, and the loop that drives it.

use super::admission::{Admission, Commit};
use super::asking::Ask;
use super::clock::Clock;
use super::counting::Countings;
use super::fate;
use super::handover::Handovers;
use super::hep::HepExport;
use super::log::{NoteLog, log_refused, log_suppressed};
use super::mailbox::{Inbox, Mail, Outbox};
use super::pace::Pace;
use super::vitals::Vitals;
use super::witness::{Progress, WitnessShell};
use std::sync::Arc;
use std::time::Duration;
use sx_call::{CallRecord, Command};
use sx_engine::{Engine, Time};
use sx_exchange::{Input, Output, Unresolved, Worker};
use sx_io_rtp::PacketThreads;
use sx_media::MediaEvent;
use sx_net::resolve::{Question, ResolveError, Resolved, Resolver};
use sx_net::{Net, NetEvent, PeerCertificate};
use sx_sip::registrar::{Change, Record};
use sx_store::{CdrWriter, KeyedLog};
use sx_types::{CallId, Destination};
use tracing::{debug, error, info, warn};

/// Everything a worker's thread owns.
pub struct Shell {
    pub net: Net,
    pub worker: Worker,
    pub inbox: Inbox,
    pub peers: Outbox,
    pub rtp: Arc<PacketThreads>,
    pub resolver: Arc<Resolver>,
    pub records: CdrWriter,
    pub bindings: KeyedLog<Record>,
    pub witness: WitnessShell,
    pub hep: Option<HepExport>,
    pub clock: Clock,
    pub pace: Pace,
    pub admission: Admission,
    pub vitals: Arc<Vitals>,
    pub notes: NoteLog,
    /// Calls that go and come.
    pub handovers: Handovers,
    /// Questions that wait for what ports have counted.
    pub countings: Countings<Ask>,
}

/// Gauges are brought up to date this often.
const PUBLISH: Duration = Duration::from_millis(500);

impl Shell {
    /// Runs until told to stop.
    pub fn run(mut self) {
        let mut publish_at = self.clock.now();
        loop {
            let now = self.clock.now();
            if now >= publish_at {
                self.worker.publish();
                self.vitals.turn(now);
                publish_at = now + PUBLISH;
            }
            let due = [self.worker.poll_timeout(), self.witness.due(), self.countings.due()]
                .into_iter()
                .flatten()
                .fold(publish_at, Time::min);
            let now = match self.net.wait(now, Some(due.since(now))) {
                Ok(now) => now,
                Err(error) => fate::end(&format_args!("waiting for the network failed: {error}")),
            };
            // First, for what is on the disk by now is not too late.
            self.write_witness(now);
            if self.worker.poll_timeout().is_some_and(|due| due <= now) {
                self.worker.handle_timeout(now);
                self.carry_out(now);
            }
            let messages = self.read_network(now);
            let told_to_stop = self.read_mail(now);
            if told_to_stop {
                self.worker.finish(now);
            }
            self.end_turn();
            if told_to_stop {
                self.net.flush();
                let lost = self.worker.witnessed().len();
                if lost > 0 {
                    error!(lost, "the witness log did not take the last records of a worker");
                }
                break;
            }
            if let Some(rest) = self.pace.rest(now, self.clock.now(), messages, self.worker.calls() > 0) {
                super::clock::pause(rest);
            }
        }
    }

    /// What must survive a crash is written before anything that follows from it is sent, by this worker or another.
    fn end_turn(&mut self) {
        let now = self.clock.now();
        self.take_records(now);
        self.write_witness(now);
        self.take_records(now);
        self.commit();
        self.peers.post();
        self.net.end_turn();
    }

    /// Hands the worker's records to the witness log.
    fn take_records(&mut self, now: Time) {
        let made = self.worker.records_made();
        self.witness.take(now, self.worker.witnessed(), made);
    }

    /// Lets what waited for records go on when they are on the disk.
    fn write_witness(&mut self, now: Time) {
        if let Some(progress) = self.witness.step(now, self.worker.waits_for_records()) {
            let Progress { durable, failing } = progress;
            self.vitals.set_witnessing(!failing);
            self.worker.handle_input(now, Input::Witnessed { durable, failing });
            self.carry_out(now);
        }
    }

    /// How many messages there were that meant something: to those of a flood nobody should wait for company.
    fn read_network(&mut self, now: Time) -> u32 {
        let mut messages: u32 = 0;
        let dropped = self.worker.dropped();
        while let Some(event) = self.net.poll_event() {
            match event {
                NetEvent::Message { flow, bytes } => {
                    if let Some(hep) = &mut self.hep {
                        hep.copy_received(now, &flow, bytes);
                    }
                    messages += 1;
                    self.worker.handle_input(now, Input::Message { flow, bytes });
                }
                NetEvent::Opened { flow, peer, accepted } => {
                    let local = self.net.local_address_towards(&Destination::Flow(flow));
                    if let (Some(hep), Some(local)) = (&mut self.hep, local) {
                        hep.opened(flow.link, local);
                    }
                    // What a server shows us was checked against others than those who vouch for clients.
                    let identities: Vec<Box<str>> =
                        peer.iter().filter(|_| accepted).flat_map(PeerCertificate::sip_users).map(Box::from).collect();
                    if !identities.is_empty() {
                        self.worker.handle_input(now, Input::Opened { link: flow.link, identities });
                    }
                }
                NetEvent::Closed { flow, reason } => {
                    if let Some(hep) = &mut self.hep {
                        hep.closed(flow.link);
                    }
                    debug!(peer = %flow, ?reason, "a connection was closed");
                    self.worker.handle_input(now, Input::Closed { link: flow.link });
                }
                NetEvent::SendFailed { ticket, to, reason } => {
                    debug!(peer = %to.remote(), ?reason, "a message could not be sent");
                    self.worker.handle_input(now, Input::SendFailed { ticket });
                }
            }
            self.carry_out(now);
        }
        messages.saturating_sub(u32::try_from(self.worker.dropped() - dropped).unwrap_or(u32::MAX))
    }

    /// True when told to stop.
    fn read_mail(&mut self, now: Time) -> bool {
        while let Some(mail) = self.inbox.next() {
            let input = match mail {
                Mail::Media(event) => {
                    if let MediaEvent::Closed(closed) = &event {
                        self.handovers.port_closed(closed.port);
                    }
                    Input::Media(event)
                }
                Mail::Resolved(Resolved { query_id, result }) => {
                    Input::Resolved { query: query_id, addresses: result.map_err(unresolved) }
                }
                Mail::Peer(message) => Input::Peer(message),
                Mail::Tables(tables) => Input::Tables(tables),
                Mail::Directory(directory) => Input::Directory(directory),
                Mail::People(people) => Input::People(people),
                Mail::Escalate(asked) => Input::Escalate(asked),
                Mail::WallClock { ahead_ms } => Input::WallClock { ahead_ms },
                Mail::Command(command) => {
                    match command {
                        Command::Drain => self.vitals.set_draining(true),
                        Command::Undrain => self.vitals.set_draining(false),
                        Command::Hangup { .. }
                        | Command::Clear { .. }
                        | Command::Remember { .. }
                        | Command::Count { .. }
                        | Command::Record { .. }
                        | Command::Member { .. }
                        | Command::Invite(_)
                        | Command::Originate(_)
                        | Command::Parties { .. } => {}
                    }
                    match self.admission.ordered(command) {
                        Some(command) => Input::Command(command),
                        None => continue,
                    }
                }
                Mail::Operation(operation) => Input::Operation(operation),
                Mail::Ask(ask) => match ask.counts() {
                    None => {
                        ask.answer(&self.worker, now);
                        continue;
                    }
                    Some(call) => {
                        self.countings.push(now, ask, call);
                        Input::Command(Command::Count { call })
                    }
                },
                Mail::Handover(handover) => {
                    self.handovers.push(now, handover);
                    continue;
                }
                Mail::Tls(tls) => {
                    self.net.reload_tls(tls);
                    continue;
                }
                Mail::Stop => return true,
            };
            self.worker.handle_input(now, input);
            self.carry_out(now);
        }
        self.answer_counted(now);
        self.hand_over(now);
        false
    }

    /// Answers the questions whose ports have answered.
    fn answer_counted(&mut self, now: Time) {
        for ask in self.countings.answerable(now, |call, since| self.worker.call_counts(call, since)) {
            ask.answer(&self.worker, now);
        }
    }

    /// Tells what calls are, and takes some over, as far as that can be done now.
    fn hand_over(&mut self, now: Time) {
        if self.handovers.is_empty() {
            return;
        }
        self.handovers.carry_out(&mut self.worker, now);
        self.carry_out(now);
    }

    fn carry_out(&mut self, now: Time) {
        while let Some(output) = self.worker.poll_output() {
            match output {
                Output::Send(transmit) => {
                    // Cheap: the bytes are shared.
                    self.net.send(&transmit.to, None, transmit.bytes.clone(), transmit.ticket);
                    if let Some(hep) = &mut self.hep {
                        // Asked behind the sending, which may have begun the connection.
                        hep.copy_sent(now, &transmit.to, self.net.local_address_towards(&transmit.to), &transmit.bytes);
                    }
                }
                Output::Media(command) => self.rtp.send(command),
                Output::Record(record) => {
                    // A sign of life is no loss: the next one says more.
                    if let (Err(error), Some(call)) = (self.records.append(&record), call_of(&record)) {
                        error!(%call, %error, "a call's record could not be kept");
                    }
                }
                Output::Binding(change) => self.keep(&change),
                Output::Resolve { query, question } => self.resolve(query, question),
                Output::Peer { worker, message } => self.peers.push(worker, message),
                Output::Note(note) => self.notes.log(now, &note),
                Output::TrunkHealth { trunk, healthy: true } => info!(%trunk, "the trunk answers"),
                Output::TrunkHealth { trunk, healthy: false } => warn!(%trunk, "the trunk does not answer its probes"),
                Output::TrunkUnresolved { trunk, host, why } => {
                    let why = match why {
                        Unresolved::Nowhere => "it has no address there, or none for our transports",
                        Unresolved::NotNow => "no name server has said",
                    };
                    warn!(%trunk, %host, why, "DNS does not resolve the trunk's host name");
                }
                Output::Registered { trunk, status } if (200..300).contains(&status) => {
                    debug!(%trunk, "registered with the provider");
                }
                Output::Registered { trunk, status } => {
                    warn!(%trunk, status, "we are not registered with the provider");
                }
                Output::AuthenticationRefused(refused) => {
                    log_refused(&refused, self.net.local_address_towards(&Destination::Flow(refused.flow)));
                }
                Output::RefusalsSuppressed { source, suppressed } => log_suppressed(source, suppressed),
            }
        }
    }

    fn keep(&mut self, change: &Change) {
        let kept = match change {
            Change::Put { aor, record } => self.bindings.put(aor, record),
            Change::Delete { aor } => self.bindings.delete(aor),
        };
        if let Err(error) = kept {
            error!(%error, "a binding could not be kept");
        }
    }

    fn resolve(&mut self, query: u64, question: sx_exchange::Question) {
        let Some(own) = self.peers.mailbox(self.worker.number()).cloned() else { return };
        let sx_exchange::Question { host, port, transport, secure } = question;
        let name = host.clone();
        self.resolver.resolve(query, Question { host, port, transport, secure }, move |resolved| {
            if let Err(error) = &resolved.result {
                debug!(host = name, %error, "DNS does not resolve a name");
            }
            own.post(Mail::Resolved(resolved));
        });
    }

    fn commit(&mut self) {
        let records = self.records.commit().map_err(|error| error.to_string());
        let bindings = self.bindings.commit().map_err(|error| error.to_string());
        let stored = records.and(bindings);
        let now = self.clock.now();
        match self.admission.committed(stored.is_ok()) {
            Commit::AsBefore => {}
            Commit::Failed => {
                // What waits is kept; calls that nobody could account for later are not begun.
                let error = stored.err().unwrap_or_default();
                error!(error, "journals cannot be written; new calls are refused until they can");
                self.vitals.set_storing(false);
                self.worker.handle_input(now, Input::Command(Command::Drain));
            }
            Commit::Recovered(command) => {
                info!("journals are written again");
                self.vitals.set_storing(true);
                if let Some(command) = command {
                    self.worker.handle_input(now, Input::Command(command));
                }
            }
        }
    }
}

fn call_of(record: &CallRecord) -> Option<CallId> {
    match record {
        CallRecord::Begun(cdr) | CallRecord::Ended(cdr) => Some(cdr.call),
        CallRecord::Answered { call, .. } | CallRecord::Moved { call, .. } => Some(*call),
        CallRecord::Recorded(recording) => Some(recording.call),
        CallRecord::Alive { .. } => None,
    }
}

/// Who has no such host is told so; what may be known later is our failure for now.
fn unresolved(error: ResolveError) -> Unresolved {
    match error {
        ResolveError::NotFound | ResolveError::Denied | ResolveError::InvalidName | ResolveError::NoTransport => {
            Unresolved::Nowhere
        }
        ResolveError::Timeout | ResolveError::ServerFailure | ResolveError::Overloaded | ResolveError::Stopped => {
            Unresolved::NotNow
        }
    }
}
