//! `strowger call`: the soft telephone.

mod control;
mod options;
mod report;
mod show;

pub(crate) use options::{CallArgs, HELP};
pub(crate) use show::run_command;

use super::ladder::Ladder;
use super::output;
use report::Reporter;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use sx_config::{LogFormat, LogLevel};
use sx_phone::{DtmfMode, Phone, PhoneEvent};

/// How often the clock and signals are looked at.
const TURN: Duration = Duration::from_millis(50);
/// How long the other end may take to agree that a call is over.
const HANGUP_PATIENCE: Duration = Duration::from_secs(5);
/// A key that is pressed at the very beginning is missed by some.
const DTMF_AFTER: Duration = Duration::from_millis(300);

/// Carries out `strowger call`: the exit code is 0 when the call was answered and has ended in order.
///
/// # Errors
/// When the telephone cannot start, or standard output takes no more.
pub(crate) fn run_call(args: &CallArgs, json: bool, verbose: u8) -> anyhow::Result<ExitCode> {
    crate::serve::start_logging(LogLevel::Warn, LogFormat::Text);
    let config = args.phone()?;
    let server = config.server.address;
    let stop = interrupted()?;
    let phone = Phone::start(config)?;
    let mut line = Line {
        events: phone.events(),
        report: Reporter::new(json),
        stage: Stage::Registering,
        heard: Heard::default(),
        args,
        phone,
    };
    let local = line.phone.address();
    let fields = [("local", local.to_string().into()), ("server", server.to_string().into())];
    line.report.say("started", &format!("{local} towards {server}"), &fields)?;
    let end = line.run(&stop)?;
    let stats = line.phone.stats();
    let level = sx_codec::level_dbm0(&line.phone.heard());
    let trace = if verbose > 0 { line.phone.trace() } else { Vec::new() };
    // The recording is complete when the telephone has stopped.
    line.phone.stop();
    if verbose > 0 && !json {
        let mut ladder = Ladder::new(&[("phone".to_owned(), vec![local]), ("server".to_owned(), vec![server])]);
        for entry in &trace {
            let (from, to): (SocketAddr, SocketAddr) =
                if entry.sent { (local, entry.remote) } else { (entry.remote, local) };
            ladder.add(entry.time.as_nanos(), from, to, &entry.first_line);
        }
        output::text(&format!("\n{ladder}\n"))?;
    }
    line.report.summary(&line.heard, &stats, level, &end)?;
    Ok(if end.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// True once somebody has asked us to stop.
fn interrupted() -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The second time it ends us at once, whatever we wait for.
        signal_hook::flag::register_conditional_default(signal, stop.clone())?;
        signal_hook::flag::register(signal, stop.clone())?;
    }
    Ok(stop)
}

/// What was learnt of the call.
#[derive(Debug, Default)]
struct Heard {
    codec: Option<&'static str>,
    digits: String,
    answered: Option<Instant>,
    talked: Duration,
}

/// Where the call is.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The registrar has not answered yet.
    Registering,
    /// Nobody has answered yet, or called yet; until then.
    Waiting { until: Option<Instant> },
    /// The parties talk.
    Talking { keys_at: Option<Instant>, until: Option<Instant> },
    /// We have hung up, and wait for the other end.
    HangingUp { until: Instant },
}

/// Why there was no call as it should be.
type Failure = String;

struct Line<'a> {
    args: &'a CallArgs,
    phone: Phone,
    events: Receiver<PhoneEvent>,
    report: Reporter,
    stage: Stage,
    heard: Heard,
}

impl Line<'_> {
    /// Runs until the call is over, and says whether it was as it should be.
    fn run(&mut self, stop: &AtomicBool) -> anyhow::Result<Result<(), Failure>> {
        let mut failure = None;
        if !self.args.register {
            self.begin();
        }
        loop {
            match self.events.recv_timeout(TURN) {
                Ok(event) => {
                    self.report.event(&event)?;
                    if let Some(end) = self.take(event) {
                        return Ok(failure.map_or(end, Err));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(Err("the telephone has stopped".to_owned())),
            }
            let now = Instant::now();
            if stop.load(Ordering::Relaxed) && !matches!(self.stage, Stage::HangingUp { .. }) {
                if matches!(self.stage, Stage::Registering) || self.is_idle() {
                    return Ok(Err("interrupted".to_owned()));
                }
                if self.heard.answered.is_none() {
                    failure = Some("interrupted".to_owned());
                }
                self.hang_up(now);
            }
            match self.look_at_clock(now) {
                Ok(()) => {}
                Err(why) if self.is_idle() => return Ok(Err(why)),
                Err(why) if matches!(self.stage, Stage::HangingUp { .. }) => {
                    return Ok(Err(failure.unwrap_or(why)));
                }
                Err(why) => {
                    failure = Some(why);
                    self.hang_up(now);
                }
            }
        }
    }

    /// Nobody has called yet, so that there is nothing to hang up.
    fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Waiting { .. }) && self.args.uri.is_none()
    }

    fn begin(&mut self) {
        let patience = self.args.timeout();
        self.stage = Stage::Waiting { until: patience.map(|patience| Instant::now() + patience) };
        if let Some(uri) = &self.args.uri {
            self.phone.call(uri);
        }
    }

    fn hang_up(&mut self, now: Instant) {
        self.phone.hangup();
        self.stage = Stage::HangingUp { until: now + HANGUP_PATIENCE };
    }

    /// Does what is due.
    fn look_at_clock(&mut self, now: Instant) -> Result<(), Failure> {
        let over = |until: Option<Instant>| until.is_some_and(|until| until <= now);
        match &mut self.stage {
            Stage::Waiting { until } if over(*until) => {
                *until = None;
                let seconds = self.args.timeout().unwrap_or_default().as_secs_f64();
                Err(format!("no {} within {seconds} s", if self.args.uri.is_some() { "answer" } else { "call" }))
            }
            Stage::Talking { until, .. } if over(*until) => {
                self.hang_up(now);
                Ok(())
            }
            Stage::Talking { keys_at, .. } if over(*keys_at) => {
                *keys_at = None;
                let mode = if self.args.dtmf_info { DtmfMode::Info } else { DtmfMode::Rtp };
                self.phone.send_dtmf(self.args.dtmf.as_deref().unwrap_or_default(), mode);
                Ok(())
            }
            Stage::HangingUp { until } if *until <= now => {
                Err("the other end did not agree that the call is over".into())
            }
            _ => Ok(()),
        }
    }

    /// Takes an event; the end of the call when it is over.
    fn take(&mut self, event: PhoneEvent) -> Option<Result<(), Failure>> {
        match event {
            PhoneEvent::Registered { .. } if matches!(self.stage, Stage::Registering) => {
                if self.args.uri.is_none() && !self.args.answer {
                    return Some(Ok(()));
                }
                self.begin();
            }
            PhoneEvent::RegistrationFailed { status, reason, warning } if matches!(self.stage, Stage::Registering) => {
                return Some(Err(report::refusal("the registration failed", status, &reason, warning.as_deref())));
            }
            PhoneEvent::Answered { codec } => {
                self.heard.codec = Some(codec.name());
                self.heard.answered = Some(Instant::now());
            }
            PhoneEvent::Established if !matches!(self.stage, Stage::HangingUp { .. }) => {
                let now = Instant::now();
                let keys_at = self.args.dtmf.is_some().then_some(now + DTMF_AFTER);
                self.stage = Stage::Talking { keys_at, until: self.args.duration().map(|duration| now + duration) };
            }
            PhoneEvent::Digit(key) => self.heard.digits.push(key),
            PhoneEvent::Ended { status, reason, .. } => {
                let Some(answered) = self.heard.answered else {
                    return Some(Err(report::refusal("not answered", status, &reason, None)));
                };
                self.heard.talked = answered.elapsed();
                return Some(if status < 300 { Ok(()) } else { Err(report::refusal("failed", status, &reason, None)) });
            }
            PhoneEvent::Refused { status, reason, warning } => {
                return Some(Err(report::refusal("refused", status, &reason, warning.as_deref())));
            }
            _ => {}
        }
        None
    }
}
