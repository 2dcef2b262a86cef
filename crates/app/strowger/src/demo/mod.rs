//! `strowger demo`: the main job on embedded defaults, shown and checked.
//!
//! An exchange starts in a new data folder, two soft phones register with it, one of them over TLS, and one calls the
//! other. Each hears a tone that only the other makes. Then two calls are refused, as they should be, and say why.

mod capture;
mod setup;

use crate::cli::DemoOptions;
use crate::cli::ladder::Ladder;
use crate::serve::{Exchange, end_with_any_thread, start_logging};
use anyhow::{Context as _, bail, ensure};
use capture::Capture;
use setup::Setup;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};
use sx_codec::hears;
use sx_config::{LogFormat, LogLevel};
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

/// Runs the demonstration. The exit code is 1 when any check fails.
pub fn run(options: &DemoOptions) -> anyhow::Result<ExitCode> {
    start_logging(LogLevel::Warn, LogFormat::Text);
    end_with_any_thread();
    let setup = Setup::prepare(options.data.as_deref(), options.once)?;
    let begun = SystemTime::now();
    let exchange = Exchange::start(setup.config.clone())?;
    say(&format!("exchange   up on {} with its data in {}", exchange.listening(), setup.data.display()));
    let outcome = show(&setup, &exchange, begun);
    match &outcome {
        Ok(()) => say("\nEvery check has passed."),
        Err(error) => say(&format!("\nFAILED: {error:#}")),
    }
    if outcome.is_err() || options.once {
        exchange.stop();
        return Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    stay(&setup, exchange)
}

/// Whoever has stopped reading is not told any more.
fn say(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// The demonstration itself: each line that is printed was checked.
fn show(setup: &Setup, exchange: &Exchange, begun: SystemTime) -> anyhow::Result<()> {
    let udp = setup::loopback(exchange.address_of(Transport::Udp).context("no UDP listener")?);
    let tls = setup::loopback(exchange.address_of(Transport::Tls).context("no TLS listener")?);
    let capture = Capture::start(&setup.collector)?;
    let alice = phone(setup, "alice", Server::new(Transport::Udp, udp), ALICE_HZ, None)?;
    let bob = phone(setup, "bob", setup.tls_server(tls), BOB_HZ, Some(Duration::from_millis(300)))?;
    let expires = alice.wait_registered(PATIENCE).context("alice did not register")?;
    say(&format!("register   alice over UDP for {expires} s"));
    let expires = bob.wait_registered(PATIENCE).context("bob did not register")?;
    say(&format!("register   bob over TLS for {expires} s"));
    // The messages so far are registrations; the ladder is to show the call.
    capture.clear();
    call(setup, &alice, &bob)?;
    let messages = capture.messages();
    ensure!(!messages.is_empty(), "no copy of the call's signalling has arrived");
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
    say(&format!("\n{ladder}"));
    refusals(setup, udp, &alice)?;
    alice.stop();
    bob.stop();
    record(setup, begun)
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

fn call(setup: &Setup, alice: &Phone, bob: &Phone) -> anyhow::Result<()> {
    let begun = Instant::now();
    alice.call(&format!("sip:bob@{}", setup.domain()));
    let answered =
        alice.wait_for(|event| matches!(event, PhoneEvent::Answered { .. } | PhoneEvent::Refused { .. }), PATIENCE);
    let PhoneEvent::Answered { codec } = answered.context("the call was not answered")? else {
        bail!("the call was refused");
    };
    say(&format!("call       alice -> bob answered after {} ms, {codec}", begun.elapsed().as_millis()));
    crate::serve::pause(TALK);
    alice.hangup();
    bob.wait_for(|event| matches!(event, PhoneEvent::Ended { by_peer: true, .. }), PATIENCE)
        .context("bob's leg did not end")?;
    alice.wait_for(|event| matches!(event, PhoneEvent::Ended { .. }), PATIENCE).context("alice's leg did not end")?;
    for (name, phone, own, other) in [("alice", alice, ALICE_HZ, BOB_HZ), ("bob", bob, BOB_HZ, ALICE_HZ)] {
        let heard = phone.heard();
        ensure!(heard.len() > 4_000, "{name} heard {} samples only", heard.len());
        // The beginning is left out: the first packets may come before the other side sends.
        let heard = &heard[heard.len() / 3..];
        ensure!(hears(heard, other), "{name} does not hear the other's {other} Hz");
        ensure!(!hears(heard, own), "{name} hears its own {own} Hz");
        let stats = phone.stats();
        say(&format!(
            "audio      {name} hears {other} Hz and not its own {own} Hz ({} packets, {} lost)",
            stats.packets_received, stats.packets_lost
        ));
    }
    say("hang-up    both legs are gone");
    Ok(())
}

fn refusals(setup: &Setup, udp: SocketAddr, alice: &Phone) -> anyhow::Result<()> {
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
    say(&format!("refused    a wrong password: {status} {reason} - {}", warning.unwrap_or_default()));
    wrong.stop();
    alice.call(&format!("sip:nobody@{}", setup.domain()));
    let refused =
        alice.wait_for(|event| matches!(event, PhoneEvent::Refused { .. } | PhoneEvent::Answered { .. }), PATIENCE)?;
    let PhoneEvent::Refused { status, reason, warning } = refused else { bail!("an unknown number was answered") };
    ensure!(status == 404, "an unknown number got {status}");
    say(&format!("refused    an unknown number: {status} {reason} - {}", warning.unwrap_or_default()));
    Ok(())
}

/// The call's record is there, once; those of earlier runs in the same folder are older than this exchange.
fn record(setup: &Setup, since: SystemTime) -> anyhow::Result<()> {
    let since = since.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let begun = Instant::now();
    let reader = sx_store::SharedFolder::attach(&setup.data)?.cdrs()?;
    loop {
        let records = reader.list(&sx_store::CdrFilter::default())?;
        let answered: Vec<_> = records.iter().filter(|record| record.answer.is_some_and(|at| at >= since)).collect();
        if let [record] = answered[..] {
            let seconds = (record.end - record.answer.unwrap_or(record.end)) as f64 / 1e9;
            say(&format!(
                "record     {}: {} -> {}, {seconds:.1} s, {}",
                record.call, record.caller, record.dialled, record.cause
            ));
            return Ok(());
        }
        ensure!(begun.elapsed() < PATIENCE, "{} records of answered calls instead of one", answered.len());
        crate::serve::pause(Duration::from_millis(50));
    }
}

/// Stays up for real phones until a signal comes.
fn stay(setup: &Setup, mut exchange: Exchange) -> anyhow::Result<ExitCode> {
    let signals = crate::serve::Signals::listen()?;
    say("\nThe exchange stays up. To register a phone of your own:");
    say(&format!("  domain      {}", setup.domain()));
    say(&format!(
        "  server      {} (UDP or TCP), {} (TLS; the certificate is {})",
        shown(&exchange, Transport::Udp),
        shown(&exchange, Transport::Tls),
        setup.certificate.display()
    ));
    for user in ["alice", "bob"] {
        say(&format!("  user        {user}, password {}", setup.password_of(user)));
    }
    say(&format!("  another     strowger user add carol --data {}", setup.data.display()));
    say(&format!("  metrics     http://{}/metrics", exchange.http_address()));
    say("Ctrl-C ends it.");
    while signals.wait(Duration::from_secs(1)).is_none() {
        exchange.watch_users();
    }
    exchange.stop();
    Ok(ExitCode::SUCCESS)
}

fn shown(exchange: &Exchange, transport: Transport) -> String {
    let bound = exchange.address_of(transport);
    bound.map(|address| SocketAddr::new(exchange.outward_ip(), address.port()).to_string()).unwrap_or_default()
}
