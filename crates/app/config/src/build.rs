//! From what is said to what is meant, section by section.

mod escalation;
mod evidence;
mod media;
mod ng;
mod recording;
mod room;
mod route;
mod sip;
mod sounds;
mod trunk;
mod trust;

use crate::error::{ConfigError, Problem, sorted};
use crate::keys;
use crate::meant::{Cdr, Config, Danger, Exchange, Hep, Http, Log, LogFormat, LogLevel, Ndi};
use crate::reader::{Reader, Run, spell_out};
use crate::said::{self, Origin, Table};
use crate::source::Outside;
use crate::value::{HostPort, is_host};
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

/// Builds the configuration from a tree, or says everything that is wrong with it. `errors` were found before.
pub(crate) fn build(
    file: &str,
    mut table: Table,
    outside: &dyn Outside,
    errors: Vec<ConfigError>,
) -> Result<Config, Vec<ConfigError>> {
    if said::is_broken(&errors) {
        return Err(sorted(errors));
    }
    spell_out(&keys::CONFIG, "", &mut table);
    let run = Run { keys: &keys::CONFIG, outside, errors: RefCell::new(errors.into()) };
    let top = Reader::top(&run, &table, Origin::new(file, 1));
    top.tested_list("include", |_| true);
    let exchange = exchange(&top.section("exchange"));
    let ng = ng::ng(&top.section("ng"));
    let sip = sip::sip(&top.section("sip"), &exchange, &ng);
    ng::check_doors(&top.section("ng"), &ng, &sip);
    let media = media::media(&top.section("media"));
    let danger = danger(&top.section("danger"));
    let trunks = trunk::trunks(&top, &sip, &media, &danger);
    let rooms = room::rooms(&top, &media.sounds);
    let routes = route::routes(&top, &sip, &media.sounds, (&trunks, &rooms));
    let section = top.section("ndi");
    let ndi = Ndi { interfaces: section.parsed_list("interfaces"), sources_max: section.number("sources_max") };
    let evidence = evidence::evidence(&top.section("evidence"));
    let escalation = escalation::escalation(&top.section("escalation"), &rooms, &media.sounds);
    let config = Config {
        registrar: sip::registrar(&top.section("registrar")),
        http: http(&top.section("http")),
        cdr: Cdr { keep: days_or_forever(&top.section("cdr"), "keep_days") },
        edge: trust::edge(&top.section("edge")),
        organisations: trust::organisations(&top),
        policy: trust::policy(&top.section("policy")),
        witness: trust::witness(&top.section("witness"), &exchange),
        api: trust::api(&top.section("api")),
        recording: top
            .has("recording")
            .then(|| recording::recording(&top.section("recording"), &exchange, &media.sounds)),
        hep: top.has("hep").then(|| hep(&top.section("hep"))),
        log: log(&top.section("log")),
        danger,
        exchange,
        sip,
        media,
        ng,
        trunks,
        rooms,
        routes,
        escalation,
        evidence,
        ndi,
    };
    let errors = run.errors.into_inner().into_errors();
    if errors.is_empty() { Ok(config) } else { Err(sorted(errors)) }
}

fn exchange(section: &Reader<'_>) -> Exchange {
    let domains: Vec<Arc<str>> =
        section.tested_list("domains", is_host).iter().map(|domain| domain.to_ascii_lowercase().into()).collect();
    if domains.is_empty() {
        section.conflict(&["domains"], "at least one domain is needed");
    }
    Exchange {
        name: section.text("name"),
        domains,
        data: section.path("data"),
        workers: or_cores(section.number("workers")),
        drain: section.seconds("drain_s"),
    }
}

fn http(section: &Reader<'_>) -> Http {
    Http { listen: section.parsed("listen").unwrap_or(NO_ADDRESS) }
}

/// A number of days, of which 0 means "for ever".
fn days_or_forever(section: &Reader<'_>, name: &str) -> Option<Duration> {
    const DAY_S: u64 = 86_400;
    let days: u64 = section.number(name);
    (days > 0).then(|| Duration::from_secs(days * DAY_S))
}

fn hep(section: &Reader<'_>) -> Hep {
    const HEP_PORT: u16 = 9060;
    let address = section.parsed("address").unwrap_or_else(|| HostPort { host: "".into(), port: None });
    Hep {
        address: HostPort { port: address.port.or(Some(HEP_PORT)), ..address },
        capture_id: section.number("capture_id"),
        password: section.secret("password"),
    }
}

fn log(section: &Reader<'_>) -> Log {
    Log {
        level: section.choice("level", LogLevel::Info),
        format: section.choice("format", LogFormat::Text),
        refusals_per_minute: section.number("refusals_per_minute"),
        refusal_sources_max: section.number("refusal_sources_max"),
    }
}

fn danger(section: &Reader<'_>) -> Danger {
    Danger {
        accept_any_certificate: section.flag("accept_any_certificate"),
        unauthenticated_calls: section.flag("unauthenticated_calls"),
        any_source: section.flag("any_source"),
    }
}

/// Stands where an address was refused; never leaves `build`, because the error does.
const NO_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// The number itself, or for 0 how many cores this process may use.
fn or_cores(number: usize) -> usize {
    match number {
        0 => std::thread::available_parallelism().map_or(1, NonZero::get),
        number => number,
    }
}

/// Refuses every entry whose name an earlier one has.
pub(crate) fn refuse_same_names(entries: &[Reader<'_>]) {
    let mut seen: HashMap<&str, String> = HashMap::new();
    // What is wrong with a name by itself is said by whoever takes it.
    for (entry, name) in entries.iter().filter_map(|entry| Some((entry, entry.text_as_said("name")?))) {
        if let Some(first) = seen.get(name) {
            entry.refuse("name", Problem::Twice { first: first.clone() });
        } else {
            seen.insert(name, entry.origin().to_string());
        }
    }
}

/// The weight and priority of an entry. Without a priority its place in the list is meant; a weight alone would say
/// nothing, because no other entry has the same priority.
fn order(entry: &Reader<'_>, index: usize) -> (u16, u16) {
    if entry.has("weight") && !entry.has("priority") {
        entry.conflict(&["weight"], "a weight needs a priority: entries share calls only at the same priority");
    }
    let place = u16::try_from(index + 1).unwrap_or(u16::MAX);
    (entry.number("weight"), entry.number_if_said("priority").unwrap_or(place))
}
