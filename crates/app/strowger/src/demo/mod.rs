//! `strowger demo`: the main job on embedded defaults, shown and checked.
//!
//! An exchange starts in a new data folder, two soft phones register with it, one of them over TLS, and one calls the
//! other. Each hears a tone that only the other makes. Then two calls are refused, as they should be, and say why; four
//! intruders are kept out, each by another layer; and the witness log tells it all, and is verified. Last an agent tells of a
//! hazard, and the expert who knows about it is fetched to the council's room.

mod capture;
mod hazard;
mod intruders;
mod report;
mod setup;
mod stay;
mod story;

use crate::cli::ladder::Ladder;
use crate::cli::{DemoOptions, report_errors};
use crate::serve::{Exchange, Signals, end_with_any_thread, start_logging};
use anyhow::{Context as _, bail, ensure};
pub use capture::{Capture, Captured};
use report::Report;
use setup::Setup;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};
use sx_codec::hears;
use sx_phone::{AnswerMode, AudioSource, Phone, PhoneConfig, PhoneEvent, Server};
use sx_types::Transport;

/// What alice's phone says, in hertz.
const ALICE_HZ: f64 = 440.0;
/// What bob's phone says.
const BOB_HZ: f64 = 1_000.0;
/// How long they talk.
const TALK: Duration = Duration::from_millis(1_500);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the demonstration. The exit code is 1 when any check fails, and 2 when its configuration is wrong.
pub fn run(options: &DemoOptions) -> anyhow::Result<ExitCode> {
    let signals = Signals::listen()?;
    let setup = match Setup::prepare(options) {
        Ok(setup) => setup,
        Err(error) => match error.downcast::<setup::WrongConfig>() {
            Ok(setup::WrongConfig(errors)) => return report_errors(&errors, options.json),
            Err(error) => return Err(error),
        },
    };
    start_logging(setup.config.log.level, setup.config.log.format);
    end_with_any_thread();
    let report = Report { json: options.json, signals: &signals };
    let begun = SystemTime::now();
    let started = report.check("exchange", || {
        let exchange = Exchange::start(setup.config.clone())?;
        let detail = format!("up on {} with its data in {}", exchange.listening(), setup.data.display());
        Ok((exchange, detail))
    });
    let exchange = match started {
        Ok(exchange) => exchange,
        Err(error) => {
            report.verdict(&Err(error));
            return Ok(ExitCode::FAILURE);
        }
    };
    let outcome = show(&setup, &exchange, report, begun);
    if outcome.is_err() || options.once {
        report.verdict(&outcome);
        exchange.stop();
        return Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    stay::stay(&setup, exchange, report)
}

/// The demonstration itself: each line that is printed was checked.
fn show(setup: &Setup, exchange: &Exchange, report: Report<'_>, begun: SystemTime) -> anyhow::Result<()> {
    let udp = setup::loopback(exchange.address_of(Transport::Udp).context("no UDP listener")?);
    let tls = setup::loopback(exchange.address_of(Transport::Tls).context("no TLS listener")?);
    let capture = Capture::start(&setup.collector)?;
    let alice = phone(setup, "alice", Server::new(Transport::Udp, udp), ALICE_HZ, None)?;
    let bob = phone(setup, "bob", setup.tls_server(tls), BOB_HZ, Some(Duration::from_millis(300)))?;
    for (name, phone, transport) in [("alice", &alice, "UDP"), ("bob", &bob, "TLS")] {
        report.check("register", || {
            let expires = phone.wait_registered(PATIENCE).with_context(|| format!("{name} did not register"))?;
            Ok(((), format!("{name} over {transport} for {expires} s")))
        })?;
    }
    call(setup, report, &alice, &bob)?;
    let messages = report.check("messages", || {
        let messages = capture.call(2, PATIENCE).context("not every leg's BYE and its answer were copied")?;
        let detail = format!("{} of the call were copied, the answers to BYE among them", messages.len());
        Ok((messages, detail))
    })?;
    // What is sent from a socket with every address is copied as sent from none in particular.
    let bound = [Transport::Udp, Transport::Tls].into_iter().filter_map(|transport| exchange.address_of(transport));
    let exchange_at = [udp, tls].into_iter().chain(bound).collect();
    let mut ladder = Ladder::new(&[
        ("alice".to_owned(), vec![alice.address()]),
        ("exchange".to_owned(), exchange_at),
        ("bob".to_owned(), vec![bob.address()]),
    ]);
    for message in &messages {
        ladder.add(message.time_nanos, message.source, message.destination, &message.first_line);
    }
    report.ladder(&ladder);
    refusals(setup, report, udp, &alice)?;
    intruders::keep_out(setup, report, udp)?;
    alice.stop();
    bob.stop();
    report.check("record", || Ok(((), record(setup, begun)?)))?;
    ensure!(exchange.sign_witness(), "the witness log could not be signed");
    story::tell(setup, report)?;
    hazard::show(setup, exchange, report)
}

fn phone(setup: &Setup, user: &str, server: Server, hz: f64, answers: Option<Duration>) -> anyhow::Result<Phone> {
    let config = PhoneConfig {
        password: Some(setup.password_of(user).to_owned()),
        register: Some(600),
        answer: answers.map_or(AnswerMode::Manual, |after| AnswerMode::Auto { after }),
        source: AudioSource::Tone(vec![(hz, -12.0)]),
        ..PhoneConfig::new(server, setup.domain(), user)
    };
    Phone::start(config).with_context(|| format!("{user}'s phone did not start"))
}

fn call(setup: &Setup, report: Report<'_>, alice: &Phone, bob: &Phone) -> anyhow::Result<()> {
    report.check("call", || {
        let begun = Instant::now();
        alice.call(&format!("sip:bob@{}", setup.domain()));
        let answered =
            alice.wait_for(|event| matches!(event, PhoneEvent::Answered { .. } | PhoneEvent::Refused { .. }), PATIENCE);
        let codec = match answered.context("the call was not answered")? {
            PhoneEvent::Answered { codec } => codec,
            PhoneEvent::Refused { status, reason, warning } => {
                bail!("the call was refused: {status} {reason} - {}", warning.unwrap_or_default())
            }
            other => bail!("the call came to nothing: {other:?}"),
        };
        Ok(((), format!("alice -> bob answered after {} ms, {codec}", begun.elapsed().as_millis())))
    })?;
    crate::serve::pause(TALK);
    report.check("hang-up", || {
        alice.hangup();
        bob.wait_for(|event| matches!(event, PhoneEvent::Ended { by_peer: true, .. }), PATIENCE)
            .context("bob's leg did not end")?;
        alice
            .wait_for(|event| matches!(event, PhoneEvent::Ended { .. }), PATIENCE)
            .context("alice's leg did not end")?;
        Ok(((), "both legs are gone".to_owned()))
    })?;
    for (name, phone, own, other) in [("alice", alice, ALICE_HZ, BOB_HZ), ("bob", bob, BOB_HZ, ALICE_HZ)] {
        report.check("audio", || Ok(((), heard(name, phone, own, other)?)))?;
    }
    Ok(())
}

fn heard(name: &str, phone: &Phone, own: f64, other: f64) -> anyhow::Result<String> {
    let heard = phone.heard();
    ensure!(heard.len() > 4_000, "{name} heard {} samples only", heard.len());
    // The beginning is left out: the first packets may come before the other side sends.
    let heard = &heard[heard.len() / 3..];
    ensure!(hears(heard, other), "{name} does not hear the other's {other} Hz");
    ensure!(!hears(heard, own), "{name} hears its own {own} Hz");
    let stats = phone.stats();
    Ok(format!(
        "{name} hears {other} Hz and not its own {own} Hz ({} packets, {} lost)",
        stats.packets_received, stats.packets_lost
    ))
}

fn refusals(setup: &Setup, report: Report<'_>, udp: SocketAddr, alice: &Phone) -> anyhow::Result<()> {
    report.check("refused", || {
        let wrong = PhoneConfig {
            password: Some("not the password".to_owned()),
            register: Some(600),
            ..PhoneConfig::new(Server::new(Transport::Udp, udp), setup.domain(), "alice")
        };
        let wrong = Phone::start(wrong)?;
        let failed = wrong.wait_for(
            |event| matches!(event, PhoneEvent::RegistrationFailed { .. } | PhoneEvent::Registered { .. }),
            PATIENCE,
        )?;
        let PhoneEvent::RegistrationFailed { status, reason, warning } = failed else {
            bail!("a wrong password was accepted")
        };
        ensure!(status == 403, "a wrong password got {status}");
        wrong.stop();
        let warning = warning.unwrap_or_default();
        Ok(((), format!("a wrong password: {status} {reason} - {warning}; the log says who it was")))
    })?;
    report.check("refused", || {
        alice.call(&format!("sip:nobody@{}", setup.domain()));
        let refused = alice
            .wait_for(|event| matches!(event, PhoneEvent::Refused { .. } | PhoneEvent::Answered { .. }), PATIENCE)?;
        let PhoneEvent::Refused { status, reason, warning } = refused else { bail!("an unknown number was answered") };
        ensure!(status == 404, "an unknown number got {status}");
        Ok(((), format!("an unknown number: {status} {reason} - {}", warning.unwrap_or_default())))
    })
}

/// The call's record is there, once; those of earlier runs in the same folder are older than this exchange.
fn record(setup: &Setup, since: SystemTime) -> anyhow::Result<String> {
    let since = since.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let begun = Instant::now();
    let reader = sx_store::SharedFolder::attach(&setup.data)?.cdrs()?;
    loop {
        let records = reader.list(&sx_store::CdrFilter::default())?;
        let answered: Vec<_> = records.iter().filter(|record| record.answer.is_some_and(|at| at >= since)).collect();
        if let [record] = answered[..] {
            let seconds = (record.end - record.answer.unwrap_or(record.end)) as f64 / 1e9;
            let cause = record.cause;
            return Ok(format!("{}: {} -> {}, {seconds:.1} s, {cause}", record.call, record.caller, record.dialled));
        }
        ensure!(begun.elapsed() < PATIENCE, "{} records of answered calls instead of one", answered.len());
        crate::serve::pause(Duration::from_millis(50));
    }
}
