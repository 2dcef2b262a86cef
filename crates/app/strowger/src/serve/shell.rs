//! The thread of one worker: its sockets, its journals, and the loop that drives it.

use super::admission::{Admission, Commit};
use super::clock::Clock;
use super::hep::HepExport;
use super::pace::Pace;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::Duration;
use sx_call::{Command, Note};
use sx_engine::{Engine, Time};
use sx_exchange::{Directory, Input, Output, PeerMessage, Tables, Worker};
use sx_io_rtp::PacketThreads;
use sx_media::MediaEvent;
use sx_net::resolve::{Question, Resolver};
use sx_net::{Net, NetEvent, Waker};
use sx_sip::registrar::{Change, Record};
use sx_store::{CdrWriter, KeyedLog};
use sx_types::{Destination, LinkId, Transport};
use tracing::{debug, error, info, warn};

/// What other threads tell a worker.
pub enum Mail {
    /// A packet thread.
    Media(MediaEvent),
    /// The resolver.
    Resolved { query: u64, addresses: Vec<(Transport, SocketAddr)> },
    /// Another worker.
    Peer(PeerMessage),
    /// New tables.
    Tables(Arc<Tables>),
    /// New users.
    Directory(Arc<Directory>),
    /// New certificates.
    Tls(Arc<sx_net::tls::TlsConfig>),
    /// An operator.
    Command(Command),
    /// The end.
    Stop,
}

/// How to reach a worker's thread.
#[derive(Clone)]
pub struct Mailbox {
    pub sender: Sender<Mail>,
    pub waker: Arc<Waker>,
}

impl Mailbox {
    /// Hands something over, and wakes the worker.
    pub fn post(&self, mail: Mail) {
        // A worker that has stopped reads no more.
        if self.sender.send(mail).is_ok() {
            self.waker.wake();
        }
    }
}

/// Everything a worker's thread owns.
pub struct Shell {
    pub net: Net,
    pub worker: Worker,
    pub mail: Receiver<Mail>,
    pub peers: Vec<Mailbox>,
    pub rtp: Arc<PacketThreads>,
    pub resolver: Arc<Resolver>,
    pub records: CdrWriter,
    pub bindings: KeyedLog<Record>,
    pub hep: Option<HepExport>,
    /// The bound address of each listening link, for copies of signalling.
    pub links: Vec<(LinkId, SocketAddr)>,
    pub clock: Clock,
    pub pace: Pace,
    pub admission: Admission,
    /// A journal could not be written: no new call is taken until it can.
    pub storing: Arc<AtomicBool>,
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
                publish_at = now + PUBLISH;
            }
            let due = self.worker.poll_timeout().map_or(publish_at, |due| due.min(publish_at));
            let now = match self.net.wait(now, Some(due.since(now))) {
                Ok(now) => now,
                Err(error) => {
                    error!(%error, "waiting for the network failed");
                    return;
                }
            };
            if self.worker.poll_timeout().is_some_and(|due| due <= now) {
                self.worker.handle_timeout(now);
                self.carry_out(now);
            }
            let messages = self.read_network(now);
            if self.read_mail(now) {
                break;
            }
            self.commit();
            self.net.flush();
            if let Some(rest) = self.pace.rest(now, self.clock.now(), messages, self.worker.calls() > 0) {
                super::clock::pause(rest);
            }
        }
        self.commit();
        self.net.flush();
    }

    /// How many messages there were.
    fn read_network(&mut self, now: Time) -> u32 {
        let mut messages = 0;
        while let Some(event) = self.net.poll_event() {
            match event {
                NetEvent::Message { flow, bytes } => {
                    if let Some(hep) = &mut self.hep {
                        let local = self.links.iter().find(|(link, _)| *link == flow.link).map(|(_, address)| *address);
                        hep.copy(now, flow.transport, flow.remote, local.unwrap_or(self.links[0].1), bytes);
                    }
                    messages += 1;
                    self.worker.handle_input(now, Input::Message { flow, bytes });
                }
                NetEvent::Opened { .. } => {}
                NetEvent::Closed { flow, reason } => {
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
        messages
    }

    /// True when told to stop.
    fn read_mail(&mut self, now: Time) -> bool {
        loop {
            let input = match self.mail.try_recv() {
                Ok(Mail::Media(event)) => Input::Media(event),
                Ok(Mail::Resolved { query, addresses }) => Input::Resolved { query, addresses },
                Ok(Mail::Peer(message)) => Input::Peer(message),
                Ok(Mail::Tables(tables)) => Input::Tables(tables),
                Ok(Mail::Directory(directory)) => Input::Directory(directory),
                Ok(Mail::Command(command)) => match self.admission.ordered(command) {
                    Some(command) => Input::Command(command),
                    None => continue,
                },
                Ok(Mail::Tls(tls)) => {
                    self.net.reload_tls(tls);
                    continue;
                }
                Ok(Mail::Stop) | Err(TryRecvError::Disconnected) => return true,
                Err(TryRecvError::Empty) => return false,
            };
            self.worker.handle_input(now, input);
            self.carry_out(now);
        }
    }

    fn carry_out(&mut self, now: Time) {
        while let Some(output) = self.worker.poll_output() {
            match output {
                Output::Send(transmit) => {
                    if let Some(hep) = &mut self.hep {
                        let link = match &transmit.to {
                            Destination::Flow(flow) => Some(flow.link),
                            Destination::Address { .. } => None,
                        };
                        let local =
                            self.links.iter().find(|(known, _)| Some(*known) == link).map(|(_, address)| *address);
                        let local = local.unwrap_or(self.links[0].1);
                        hep.copy(now, transmit.to.transport(), local, transmit.to.remote(), &transmit.bytes);
                    }
                    self.net.send(&transmit.to, None, transmit.bytes, transmit.ticket);
                }
                Output::Media(command) => self.rtp.send(command),
                Output::Record(record) => {
                    if let Err(error) = self.records.append(&record) {
                        error!(%error, "a call's record could not be kept");
                    }
                }
                Output::Binding(change) => self.keep(&change),
                Output::Resolve { query, question } => self.resolve(query, question),
                Output::Peer { worker, message } => {
                    if let Some(peer) = self.peers.get(usize::from(worker)) {
                        peer.post(Mail::Peer(message));
                    }
                }
                Output::Note(note) => log_note(&note),
                Output::TrunkHealth { trunk, healthy: true } => info!(%trunk, "the trunk answers its probes"),
                Output::TrunkHealth { trunk, healthy: false } => warn!(%trunk, "the trunk does not answer its probes"),
                Output::Registered { trunk, status } if (200..300).contains(&status) => {
                    debug!(%trunk, "registered with the provider");
                }
                Output::Registered { trunk, status } => warn!(%trunk, status, "the provider refuses our registration"),
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
        let Some(own) = self.peers.get(usize::from(self.worker.number())).cloned() else { return };
        let sx_exchange::Question { host, port, transport, secure } = question;
        self.resolver.resolve(query, Question { host, port, transport, secure }, move |resolved| {
            let addresses = resolved.result.unwrap_or_else(|error| {
                debug!(%error, "a name could not be looked up");
                Vec::new()
            });
            own.post(Mail::Resolved { query, addresses });
        });
    }

    /// Writes what must survive a crash, before anything that follows from it is sent.
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
                self.storing.store(false, Ordering::Relaxed);
                self.worker.handle_input(now, Input::Command(Command::Drain));
            }
            Commit::Recovered(command) => {
                info!("journals are written again");
                self.storing.store(true, Ordering::Relaxed);
                if let Some(command) = command {
                    self.worker.handle_input(now, Input::Command(command));
                }
            }
        }
    }
}

fn log_note(note: &Note) {
    match note {
        Note::Begun { call, trace, .. } => info!(%call, %trace, "a call has come"),
        Note::Dialled { call, leg, trunk, reason } => {
            debug!(%call, %leg, trunk = trunk.as_deref().unwrap_or("-"), %reason, "a target is tried");
        }
        Note::AttemptFailed { call, cause, status, .. } => debug!(%call, %cause, status, "an attempt has failed"),
        Note::Answered { call, after, .. } => info!(%call, after_ms = after.as_millis() as u64, "a call was answered"),
        Note::Transferred { call, .. } => info!(%call, "a call was transferred"),
        Note::TransferFailed { call, status } => info!(%call, status, "a transfer has failed"),
        Note::Ended { call, cause, status, talked, sentence, .. } => {
            info!(%call, %cause, status, talked_ms = talked.as_millis() as u64, sentence = %sentence, "a call has ended");
        }
        Note::NotAdmitted { why, .. } => warn!(?why, "a call was not admitted"),
        Note::Unexpected { leg, event } => debug!(%leg, event, "an event that nothing waited for"),
    }
}
