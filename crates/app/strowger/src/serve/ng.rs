//! The thread that speaks the NG control protocol: its sockets, and the loop that drives the engine.

mod doors;
#[cfg(test)]
mod tests;

use super::clock::Clock;
use super::fate;
use super::settings::{codable, recordable};
use doors::{Came, Doors};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use sx_bind_ng::{
    Input, Interface, NgCalls, Output, RecordingNote, RecordingRules, RecordingState, Settings, SoundNames,
};
use sx_config::Config;
use sx_engine::{Engine, Rng};
use sx_http::MetricsText;
use sx_io_rtp::{PacketThreads, Sounds};
use sx_media::MediaEvent;
use sx_store::WitnessLog;
use sx_types::{Fingerprint, TraceId};
use sx_witness::{Draft, Facts, Kind};

/// The number in the ids of ports that proxies have asked for. No worker has it: there are 256 of them at most.
pub const NG_WORKER: u16 = u16::MAX;

/// What other threads tell this one.
enum Mail {
    Media(MediaEvent),
    Sounds(SoundNames),
    Drain,
    Clear,
    Stop,
}

/// How packet threads reach the thread.
#[derive(Clone)]
pub struct NgMailbox {
    mail: Sender<Mail>,
    waker: Arc<mio::Waker>,
}

/// What the thread has counted, for metrics.
#[derive(Debug, Default)]
pub struct NgCounts {
    /// Calls at the moment.
    pub calls: AtomicU64,
    /// Messages that came from where nobody may send.
    pub refused: AtomicU64,
    /// Messages that were taken.
    pub requests: AtomicU64,
}

/// The thread's sockets, open, before it runs.
pub struct NgParts {
    doors: Doors,
    inbox: Receiver<Mail>,
    mailbox: NgMailbox,
}

/// The thread.
pub struct NgServer {
    mailbox: NgMailbox,
    counts: Arc<NgCounts>,
    udp: Option<SocketAddr>,
    tcp: Option<SocketAddr>,
    thread: Option<JoinHandle<()>>,
}

impl NgCounts {
    /// For scrapers.
    pub fn write(&self, out: &mut MetricsText) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        out.gauge("strowger_ng_calls", "", "Calls that proxies have asked for by the NG protocol, at the moment.")
            .sample(&[], read(&self.calls));
        out.counter("strowger_ng_messages", "", "Messages of the NG protocol, by what has become of them.")
            .sample(&[("result", "taken")], read(&self.requests))
            .sample(&[("result", "refused")], read(&self.refused));
    }
}

impl NgParts {
    /// Opens the sockets. `None`: nothing of the kind is wanted.
    ///
    /// # Errors
    /// An address cannot be bound.
    pub fn open(config: &Config) -> anyhow::Result<Option<Self>> {
        if !config.ng.is_spoken() {
            return Ok(None);
        }
        let doors = Doors::open(&config.ng)?;
        let (mail, inbox) = channel();
        let mailbox = NgMailbox { mail, waker: doors.waker() };
        Ok(Some(Self { doors, inbox, mailbox }))
    }

    /// Where packet threads tell what has become of ports.
    pub fn mailbox(&self) -> NgMailbox {
        self.mailbox.clone()
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(
        self,
        settings: Settings,
        (clock, rng): (Clock, Rng),
        rtp: Arc<PacketThreads>,
        log: WitnessLog,
    ) -> std::io::Result<NgServer> {
        let counts = Arc::<NgCounts>::default();
        let (udp, tcp) = self.doors.addresses();
        let engine = NgCalls::new(clock.now(), settings, rng);
        let thread = Thread { doors: self.doors, inbox: self.inbox, engine, rtp, log, clock, counts: counts.clone() };
        let thread = std::thread::Builder::new().name("ng".into()).spawn(move || thread.run())?;
        Ok(NgServer { mailbox: self.mailbox, counts, udp, tcp, thread: Some(thread) })
    }
}

impl NgMailbox {
    /// Hands an event over, and wakes the thread.
    pub fn media(&self, event: MediaEvent) {
        self.post(Mail::Media(event));
    }

    fn post(&self, mail: Mail) {
        // A thread that has stopped reads no more, and misses nothing.
        let _ = self.mail.send(mail);
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "the thread of the NG protocol cannot be woken");
        }
    }
}

impl NgServer {
    /// What it has counted.
    pub fn counts(&self) -> Arc<NgCounts> {
        self.counts.clone()
    }

    /// Plays these from now on.
    pub fn set_sounds(&self, sounds: &Sounds) {
        self.mailbox.post(Mail::Sounds(Arc::new(sounds.names().collect())));
    }

    /// Takes no new calls from now on.
    pub fn drain(&self) {
        self.mailbox.post(Mail::Drain);
    }

    /// Ends every call.
    pub fn clear(&self) {
        self.mailbox.post(Mail::Clear);
    }

    /// Calls at the moment, as of the last second.
    pub fn calls(&self) -> u64 {
        self.counts.calls.load(Ordering::Relaxed)
    }

    /// Where it listens: UDP, TCP.
    pub fn addresses(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        (self.udp, self.tcp)
    }
}

impl Drop for NgServer {
    fn drop(&mut self) {
        self.mailbox.post(Mail::Stop);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the NG protocol had panicked");
        }
    }
}

struct Thread {
    doors: Doors,
    inbox: Receiver<Mail>,
    engine: NgCalls,
    rtp: Arc<PacketThreads>,
    log: WitnessLog,
    clock: Clock,
    counts: Arc<NgCounts>,
}

/// How long the thread waits for the witness log.
const PATIENCE: Duration = Duration::from_millis(100);
/// The longest wait, so that what is counted is seen.
const TURN: Duration = Duration::from_secs(1);

impl Thread {
    fn run(mut self) {
        loop {
            let now = self.clock.now();
            let timeout = self.engine.poll_timeout().map_or(TURN, |due| due.since(now).min(TURN));
            if let Err(error) = self.doors.wait(timeout) {
                fate::end(&format_args!("waiting for requests of the NG protocol failed: {error}"));
            }
            if self.turn() {
                break;
            }
            self.counts.calls.store(self.engine.calls() as u64, Ordering::Relaxed);
            self.counts.refused.store(self.doors.refused(), Ordering::Relaxed);
        }
    }

    /// True when told to stop.
    fn turn(&mut self) -> bool {
        let now = self.clock.now();
        if self.engine.poll_timeout().is_some_and(|due| due <= now) {
            self.engine.handle_timeout(now);
            self.carry_out();
        }
        while let Some(Came { from, bytes }) = self.doors.next() {
            self.counts.requests.fetch_add(1, Ordering::Relaxed);
            self.engine.handle_input(now, Input::Request { from, bytes: &bytes });
            self.carry_out();
        }
        while let Ok(mail) = self.inbox.try_recv() {
            match mail {
                Mail::Media(event) => self.engine.handle_input(now, Input::Media(event)),
                Mail::Sounds(sounds) => self.engine.handle_input(now, Input::Sounds(sounds)),
                Mail::Drain => self.engine.handle_input(now, Input::Drain(true)),
                Mail::Clear => self.engine.handle_input(now, Input::Clear),
                Mail::Stop => return true,
            }
            self.carry_out();
        }
        false
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Answer { to, bytes } => self.doors.send(to, &bytes),
                Output::Media(command) => self.rtp.send(command),
                Output::Recording(note) => self.witness(note),
            }
        }
    }

    /// Writes down what becomes of a recording. A disk that is slow holds requests up, and calls no longer than this.
    fn witness(&self, note: RecordingNote) {
        let mut facts = Facts::new().with("recording", i64::from(note.number));
        let outcome = match note.what {
            RecordingState::Begun { consent, signalled_as } => {
                facts.push("consent", consent.word());
                facts.push("signalled_as", signalled_as.to_string());
                "begun"
            }
            RecordingState::Paused => "paused",
            RecordingState::Resumed => "resumed",
            RecordingState::Ended => "ended",
            RecordingState::Failed => "failed",
        };
        let now = self.clock.now();
        let (call, trace) = (Some(note.call), Some(TraceId::from(note.call)));
        let draft = Draft { outcome, call, trace, facts, ..Draft::new(now, Kind::Recording) };
        let patience = if self.log.is_failing() { Duration::ZERO } else { PATIENCE };
        if !self.log.record(&draft, now, patience) {
            tracing::error!(call = %note.call, outcome, "what becomes of a recording is not in the witness log yet");
        }
    }
}

/// What the engine is told of a configuration, what can be played, and by what our certificate is known in handshakes of DTLS.
pub(super) fn settings(config: &Config, sounds: &Sounds, certificate: Fingerprint) -> Settings {
    let interface = |named: &sx_config::MediaInterface| Interface {
        name: named.name.clone(),
        ipv4: named.ipv4.is_some(),
        ipv6: named.ipv6.is_some(),
    };
    Settings {
        worker: NG_WORKER,
        interfaces: config.media.interfaces.iter().map(interface).collect(),
        srtp_suites: config.media.srtp_suites.clone().into(),
        certificate: Some(certificate),
        codable: codable(&config.media),
        sounds: Arc::new(sounds.names().collect()),
        recording: config
            .recording
            .as_ref()
            .and(config.ng.recording_consent)
            .map(|consent| RecordingRules { consent, codecs: recordable() }),
        calls_max: config.ng.calls_max,
        delete_delay: config.ng.delete_delay,
        silence_timeout: config.ng.silence_timeout,
        idle_timeout: config.ng.idle_timeout,
        ..Settings::default()
    }
}
