//! The exchange as a process: builds every part in the order they depend on each other, waits for a signal, drains.

mod admission;
mod anchor;
mod asking;
mod bans;
mod bindings;
mod build;
mod clock;
mod cosign;
mod counting;
mod custody;
mod escalation_metrics;
mod events;
mod fate;
mod handover;
mod hep;
mod log;
mod mailbox;
mod management;
mod media_metrics;
mod metrics;
mod ng;
mod notice;
mod outward;
mod pace;
mod parts;
mod people;
mod recordings;
mod reload;
mod resolver;
mod settings;
mod shell;
mod signals;
mod sounds;
#[cfg(test)]
mod tests;
mod tls;
mod tokens;
mod trust;
mod trust_metrics;
mod vitals;
mod witness;

pub use build::Exchange;
pub use clock::{pause, wall as now};
pub use custody::escaped;
pub use fate::end_with_any_thread;
pub use log::start_logging;
pub use management::votes::ballot_bytes;
pub use outward::outward_ip;
pub use recordings::unbuilt;
pub use signals::Signals;
pub use sounds::sounds;
pub use trust::{countries, doubts};

use crate::wanted::Wanted;
use build::{Fault, StartError};
use management::{NotReloaded, ReloadRequest, Reloading};
use reload::Reloaded;
use signals::Signal;
use std::borrow::Cow;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use sx_config::{Config, ConfigError, Problem};
use sx_witness::Kind;
use tracing::{error, info, warn};
use trust::{Drain, Unwitnessed};

/// Runs an exchange until it is told to stop; `wanted` is where its configuration is from. The exit code says whether it ended in order.
pub fn run(config: Config, wanted: &Wanted) -> anyhow::Result<ExitCode> {
    start_logging(config.log.level, config.log.format);
    end_with_any_thread();
    // Before any thread begins, so that no signal is lost between the start and the loop below.
    let signals = Signals::listen()?;
    let name = config.exchange.name.clone();
    let mut exchange = Exchange::start_for(config, Some(signals.door()))?;
    let (http, api) = (exchange.http_address(), exchange.api_address());
    info!(%name, listening = %exchange.listening(), %http, %api, "the exchange is ready");
    let signal = loop {
        match signals.wait(Duration::from_secs(1)) {
            // Why it was not taken over stands in the log, and the old one stays.
            Some(Signal::Reload) => drop(reload(&mut exchange, wanted, Reloading::Configuration, BY_SIGNAL)),
            Some(Signal::Asked(ReloadRequest { what, by, answer, claim })) => {
                if claim.take() {
                    // Whoever has waited for too long hears no more of it.
                    let _ = answer.try_send(reload(&mut exchange, wanted, what, &by));
                }
            }
            Some(Signal::Stop(signal)) => break signal,
            None => exchange.watch(),
        }
    };
    drain(&mut exchange, &signals, signal);
    exchange.stop();
    info!("the exchange has stopped");
    Ok(ExitCode::SUCCESS)
}

/// Whoever sends a signal is somebody on this machine, and no more is known.
const BY_SIGNAL: &str = "operator";

/// Reads the configuration or the policy again. A bad one changes nothing, and says why.
fn reload(exchange: &mut Exchange, wanted: &Wanted, what: Reloading, by: &str) -> Result<Reloaded, NotReloaded> {
    let done = match what {
        Reloading::Configuration => match wanted.load() {
            Ok(config) => exchange.reload(&config, by).map_err(not_reloaded),
            Err(errors) => Err(NotReloaded::Wrong(errors.into_iter().map(Fault::Said).collect())),
        },
        Reloading::Policy => exchange.reload_policy(by).map_err(not_reloaded),
    };
    match &done {
        Ok(Reloaded { changed, waiting }) => {
            if changed.is_empty() && waiting.is_empty() {
                info!(?what, "it was read again; nothing has changed");
            }
            changed.iter().for_each(|change| info!(%change, "the configuration has changed"));
            waiting.iter().for_each(|change| warn!(%change, "this change of the configuration waits for a restart"));
        }
        Err(NotReloaded::Wrong(faults)) => {
            faults.iter().for_each(|error| error!(%error, "the configuration is wrong; the old one stays"));
        }
        Err(why) => error!(error = %why, "the configuration was not taken over; the old one stays"),
    }
    let kind = match what {
        Reloading::Configuration => Kind::Config,
        Reloading::Policy => Kind::Policy,
    };
    match &done {
        // Nothing can be written.
        Ok(_) | Err(NotReloaded::Unwitnessed) => {}
        Err(NotReloaded::Wrong(faults)) => {
            let (named, unnamed) = named(faults);
            exchange.reload_refused(kind, (&named, unnamed), by);
        }
        Err(why) => exchange.reload_refused(kind, (&[why], 0), by),
    }
    done
}

/// The faults that are told, and how many more there are.
fn named(faults: &[Fault]) -> (Vec<&Fault>, usize) {
    let unnamed = |fault: &&Fault| matches!(fault, Fault::Said(ConfigError { problem: Problem::More { .. }, .. }));
    let (more, named): (Vec<&Fault>, _) = faults.iter().partition(unnamed);
    let count = |fault: &&Fault| if let Fault::Said(error) = fault { error.count() } else { 0 };
    (named, more.iter().map(count).sum())
}

/// What is wrong, one by one where it is told so.
fn not_reloaded(error: anyhow::Error) -> NotReloaded {
    match error.downcast() {
        Ok(StartError::Tables(faults) | StartError::Policy(faults)) => NotReloaded::Wrong(faults),
        Ok(other) => NotReloaded::Failed(other.to_string()),
        Err(error) if error.is::<Unwitnessed>() => NotReloaded::Unwitnessed,
        Err(error) => NotReloaded::Failed(format!("{error:#}")),
    }
}

/// Takes no new calls and waits for those there are: until the configured time is over, or a second signal comes.
fn drain(exchange: &mut Exchange, signals: &Signals, signal: &'static str) {
    let patience = exchange.drain_time();
    let begun = Instant::now();
    let record = |exchange: &Exchange, outcome, reason: &str, hung_up| {
        exchange.witness_drain(&Drain { by: BY_SIGNAL, signal, outcome, reason, hung_up });
    };
    // Whoever is about to end does so also when that cannot be written down.
    record(exchange, "requested", "", None);
    exchange.drain();
    info!(calls = exchange.calls(), seconds = patience.as_secs(), "draining");
    let mut reason = Cow::Borrowed("the time to drain is over");
    while exchange.calls() > 0 && begun.elapsed() < patience {
        if let Some(Signal::Stop(second)) = signals.wait(Duration::from_millis(200)) {
            warn!(calls = exchange.calls(), "stopping at once");
            reason = format!("a second signal, {second}, has ended it").into();
            break;
        }
    }
    let left = exchange.calls();
    if left == 0 {
        reason = Cow::Borrowed("");
    }
    record(exchange, "carried_out", &reason, Some(left));
    if left > 0 {
        warn!(calls = left, %reason, "the calls there are are hung up");
        exchange.clear();
    }
    // Nobody is left in a call that nobody carries any more, and each record says when its call ended.
    let begun = Instant::now();
    while exchange.calls() > 0 && begun.elapsed() < FAREWELL {
        pause(Duration::from_millis(100));
    }
}

/// How long the peers of calls that are hung up at the end have to answer.
const FAREWELL: Duration = Duration::from_secs(3);

#[cfg(test)]
mod reloads {
    use super::*;

    #[test]
    fn what_is_counted_and_not_told_is_no_fault_of_its_own() {
        let said = |problem: Problem| {
            let file = "policy.toml".to_owned();
            Fault::Said(ConfigError { file, line: 0, key: String::new(), value: String::new(), problem })
        };
        let faults = [said(Problem::Conflict("wrong".to_owned())), said(Problem::More { count: 41 })];
        let (told, untold) = named(&faults);
        assert_eq!((told, untold), (vec![&faults[0]], 41));
    }
}
