//! The telephone's thread: one loop over commands, timers, sockets and what the user agent core makes of them.

use crate::call::Call;
use crate::config::PhoneConfig;
use crate::event::TraceEntry;
use crate::handle::Command;
use crate::registration::{REGISTRATION, Registration};
use crate::setup::Clock;
use crate::shared::Shared;
use crate::source::Source;
use crate::wav::{Recording, WavError};
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;
use sx_engine::{Rng, Time};
use sx_net::{Net, NetEvent, SendFailure, Waker};
use sx_sip::agent::{Agent, AgentEvent, Disposition};
use sx_sip::digest::Credentials;
use sx_sip::message::{HeaderName, Message, StartLine, escape_user};
use sx_types::{Destination, Flow, Ticket, Transport};

/// How long a telephone that stops waits for the answers to its BYE and its REGISTER.
const STOP_MAX: Duration = Duration::from_secs(3);
/// All that the thread owns.
pub(crate) struct Run {
    pub config: PhoneConfig,
    pub shared: Arc<Shared>,
    pub agent: Agent,
    pub now: Time,
    pub rng: Rng,
    pub local_ip: IpAddr,
    pub server: Destination,
    pub credentials: Option<Arc<Credentials>>,
    pub registration: Registration,
    pub source: Source,
    /// The line.
    pub call: Option<Call>,
    pub commands: Receiver<Command>,
    pub net: Net,
    pub clock: Clock,
    /// What our Contact names.
    pub sent_by: String,
    pub recording: Option<Recording>,
    pub calls: u64,
    pub stop_by: Option<Time>,
    /// Why a message could not be sent, until that is told with what comes of it.
    pub unsent: Option<SendFailure>,
}

/// A [`NetEvent`] that borrows nothing.
enum Arrival {
    Message(Flow, Bytes),
    Closed(Flow),
    SendFailed(Ticket, SendFailure),
}

impl Run {
    pub fn waker(&self) -> Arc<Waker> {
        self.net.waker()
    }

    /// What our Contact names, as an address.
    pub fn address(&self) -> SocketAddr {
        let listening = self.net.local_addresses().first().map(|(_, address, _)| *address);
        listening.unwrap_or(SocketAddr::new(self.local_ip, self.config.local_port))
    }

    /// The loop.
    pub fn until_stopped(mut self) {
        // Opening files, sockets and certificates has taken its time.
        self.now = self.clock.now();
        if self.config.register.is_some() {
            self.register();
        }
        loop {
            self.begin_turn();
            if self.has_stopped() {
                break;
            }
            let patience = self.poll_timeout().map(|at| at.since(self.now));
            if let Err(error) = self.net.wait(self.now, patience) {
                tracing::error!(%error, "the telephone's sockets fail, it stops");
                break;
            }
            self.now = self.clock.now();
            while let Some(arrival) = self.next_arrival() {
                self.take(arrival);
                self.drain();
            }
        }
        self.net.flush();
        if let Some(Err(error)) = self.recording.take().map(Recording::finish) {
            tracing::error!(%error, "the recording is not whole");
        }
    }

    /// Does what was commanded, and what the time asks for.
    fn begin_turn(&mut self) {
        self.now = self.clock.now();
        while let Ok(command) = self.commands.try_recv() {
            self.carry_out(command);
        }
        self.turn();
        self.drain();
    }

    /// Why what ended with this status and no answer was not sent.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.1
    // An error of the transport is told as a 503.
    pub fn why_unsent(&mut self, status: u16) -> Option<String> {
        self.unsent.take().filter(|_| status == 503).map(|reason| reason.to_string())
    }

    pub fn is_stopping(&self) -> bool {
        self.stop_by.is_some()
    }

    pub fn next_owner(&mut self) -> u64 {
        self.calls += 1;
        self.calls
    }

    /// `sip:1001@example.com`
    pub fn address_of_record(&self) -> String {
        format!("sip:{}@{}", escape_user(&self.config.user), self.config.domain)
    }

    /// The value of From, without tag.
    pub fn caller(&self) -> Box<str> {
        let aor = self.address_of_record();
        match &self.config.display {
            Some(display) => {
                let display = display.replace('\\', "\\\\").replace('"', "\\\"");
                format!("\"{display}\" <{aor}>").into()
            }
            None => format!("<{aor}>").into(),
        }
    }

    /// The URI at which requests reach us.
    pub fn contact_uri(&self) -> String {
        let (user, sent_by) = (escape_user(&self.config.user), &self.sent_by);
        format!("sip:{user}@{sent_by}{}", self.config.server.transport.uri_parameter())
    }

    /// Holds open the way to the server.
    //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.1
    pub fn keep_alive(&mut self) {
        self.net.send(&self.server, None, Bytes::from_static(b"\r\n\r\n"), Ticket::default());
    }

    /// Moves the sound of a call forward and keeps what was heard.
    pub fn hear(&mut self, call: &mut Call) {
        let turn = call.media.turn(self.now, &mut self.source);
        for key in turn.keys {
            self.shared.emit(crate::PhoneEvent::Digit(key));
        }
        if turn.samples.is_empty() {
            return;
        }
        self.shared.hear(&turn.samples);
        let written = self.recording.as_mut().map_or(Ok(()), |recording| recording.write(&turn.samples));
        self.check_recording(written);
    }

    /// Brings the recording up to date.
    pub fn flush_recording(&mut self) {
        let written = self.recording.as_mut().map_or(Ok(()), Recording::flush);
        self.check_recording(written);
    }

    fn check_recording(&mut self, written: Result<(), WavError>) {
        if let Err(error) = written {
            tracing::error!(%error, "the recording ends here");
            self.recording = None;
        }
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Register => self.register(),
            Command::Call(number) => self.dial(&number),
            Command::Answer => self.answer(),
            Command::Reject(status) => self.reject(status),
            Command::Hangup => self.hangup(),
            Command::Dtmf(keys, mode) => self.press(&keys, mode),
            Command::Hold => self.hold(true),
            Command::Resume => self.hold(false),
            Command::Transfer(number) => self.transfer(&number),
            Command::Say(source) => {
                // What cannot be read is not said: the source stays as it is.
                if let Ok(source) = Source::open(&source) {
                    self.source = source;
                }
            }
            Command::Stop => {
                self.stop_by = Some(self.now + STOP_MAX);
                self.hangup();
                self.unregister();
            }
        }
        self.drain();
    }

    /// Does what the time asks for.
    fn turn(&mut self) {
        if let Some(mut call) = self.call.take() {
            self.hear(&mut call);
            self.shared.count(call.media.stats());
            self.call = Some(call);
        }
        self.call_timeout();
        self.registration_timeout();
        self.agent.handle_timeout(self.now);
    }

    fn poll_timeout(&self) -> Option<Time> {
        let call = self.call.as_ref().map(|call| call.poll_timeout(self.now));
        let all = [call, self.registration.poll_timeout(), self.agent.poll_timeout(), self.stop_by];
        all.into_iter().flatten().min()
    }

    fn has_stopped(&self) -> bool {
        let is_quiet = || self.agent.sessions() == 0 && self.registration.is_off() && self.net.is_flushed();
        self.stop_by.is_some_and(|stop_by| stop_by <= self.now || is_quiet())
    }

    /// Carries out what the agent wants, and hears what it tells.
    fn drain(&mut self) {
        loop {
            while let Some(transmit) = self.agent.poll_transmit() {
                self.trace(true, transmit.to.transport(), transmit.to.remote(), &transmit.bytes);
                self.net.send(&transmit.to, None, transmit.bytes, transmit.ticket);
            }
            match self.agent.poll_event() {
                Some(AgentEvent::Session { owner, event, .. }) => self.session_event(owner, event),
                Some(AgentEvent::Response { owner: REGISTRATION, response, status, seq }) => {
                    self.registration_response(status, response.as_deref(), seq);
                }
                Some(AgentEvent::Response { .. }) => {}
                None => break,
            }
        }
    }

    fn next_arrival(&mut self) -> Option<Arrival> {
        loop {
            return Some(match self.net.poll_event()? {
                NetEvent::Message { flow, bytes } => Arrival::Message(flow, Bytes::copy_from_slice(bytes)),
                NetEvent::Closed { flow, reason } => {
                    tracing::info!(%flow, %reason, "a connection is gone");
                    Arrival::Closed(flow)
                }
                NetEvent::SendFailed { ticket, to, reason } => {
                    tracing::warn!(remote = %to.remote(), %reason, "a message was not sent");
                    Arrival::SendFailed(ticket, reason)
                }
                NetEvent::Opened { .. } => continue,
            });
        }
    }

    fn take(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Message(flow, bytes) => {
                self.trace(false, flow.transport, flow.remote, &bytes);
                let Ok(message) = Message::parse(bytes) else { return };
                self.overhear(&message);
                match self.agent.receive(self.now, flow, &message) {
                    Disposition::Request => self.take_request(flow, &message),
                    disposition => self.agent.refuse(flow, &message, disposition),
                }
            }
            Arrival::Closed(flow) if flow.remote == self.config.server.address => self.connection_lost(),
            Arrival::Closed(_) => {}
            Arrival::SendFailed(ticket, reason) => {
                self.unsent = Some(reason);
                self.agent.handle_send_failed(self.now, ticket);
            }
        }
    }

    fn trace(&self, sent: bool, transport: Transport, remote: SocketAddr, bytes: &Bytes) {
        let first = bytes.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
        let first_line = String::from_utf8_lossy(first).into_owned();
        tracing::debug!(sent, %transport, %remote, first_line, "message");
        let bytes = bytes.clone();
        self.shared.record(TraceEntry { time: self.now, sent, transport, remote, first_line, bytes });
    }
}

impl Drop for Run {
    /// However the loop ends, whoever waits is told.
    fn drop(&mut self) {
        self.shared.stopped();
    }
}

/// The reason phrase of a response and the text of its Warning.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.43
pub(crate) fn warning_of<B: AsRef<[u8]>>(response: &Message<B>) -> (String, Option<String>) {
    let reason = match response.start_line() {
        StartLine::Response { reason, .. } => String::from_utf8_lossy(reason).into_owned(),
        StartLine::Request { .. } => String::new(),
    };
    let warning = response.text(HeaderName::Warning).map(|value| match (value.find('"'), value.rfind('"')) {
        (Some(begin), Some(end)) if begin < end => value[begin + 1..end].replace("\\\"", "\"").replace("\\\\", "\\"),
        _ => value.to_owned(),
    });
    (reason, warning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Server;
    use std::net::UdpSocket;
    use std::sync::mpsc::channel;

    #[test]
    fn the_first_message_bears_the_time_at_which_it_was_sent() {
        let registrar = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let server = Server::new(Transport::Udp, registrar.local_addr().expect("bound"));
        let (commands, inbox) = channel();
        let shared = Arc::new(Shared::default());
        let mut run =
            Run::open(PhoneConfig::new(server, "example.com", "alice"), inbox, shared.clone()).expect("opens");
        let later = run.now + Duration::from_millis(20);
        while run.clock.now() < later {
            std::hint::spin_loop();
        }
        commands.send(Command::Register).expect("it listens");
        run.begin_turn();
        let trace = shared.trace();
        assert!(trace[0].first_line.starts_with("REGISTER ") && trace[0].time >= later, "{trace:?}");
    }
}
