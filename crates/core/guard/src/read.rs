//! What a rule reads of a request, for explanations.

use crate::definition::{Conditions, Weekday};
use crate::explain::{Fact, fact, one_of};
use crate::facts::Source;
use crate::reading::Reading;
use crate::value::Country;

/// Each condition of a rule, what the request says to it, and whether it holds.
pub(crate) fn conditions_read(when: &Conditions, reading: &Reading<'_, '_>) -> Vec<Fact> {
    let mut read = Vec::new();
    few_values(when, reading, &mut read);
    texts(when, reading, &mut read);
    places(when, reading, &mut read);
    if let Some(score_min) = when.score_min {
        let score = reading.request.score_milli;
        read.push(fact("score_min", &score, format!("{score_min} or more"), score >= score_min));
    }
    read
}

fn few_values(when: &Conditions, reading: &Reading<'_, '_>, read: &mut Vec<Fact>) {
    let request = reading.request;
    let weekday = Weekday::ALL[usize::from(request.weekday % 7)];
    let hour = request.hour_utc % 24;
    let in_hours = when.hours.iter().any(|hours| hours.bits() & (1 << hour) != 0);
    among(read, "action", &request.action, &when.action);
    among(read, "source", &request.source.kind(), &when.source);
    among(read, "transport", &request.transport, &when.transport);
    among(read, "authenticated", &request.authenticated.kind(), &when.authenticated);
    among(read, "weekdays", &weekday, &when.weekdays);
    listed(read, "hours", &format!("{hour:02}"), &when.hours, in_hours);
}

fn texts(when: &Conditions, reading: &Reading<'_, '_>, read: &mut Vec<Fact>) {
    let request = reading.request;
    let alike = |texts: &[Box<str>], text: &str| texts.iter().any(|one| one.eq_ignore_ascii_case(text));
    let trunk = match request.source {
        Source::Trunk(name) => Some(name),
        _ => None,
    };
    let user = request.subject.split('@').next().unwrap_or_default();
    let dialled = alike(&when.dialled, request.subject) || alike(&when.dialled, user);
    let begins = |prefix: &str| {
        let start = request.subject.as_bytes().get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    let identity = when.identity.iter().any(|pattern| pattern.accepts(request.identity));
    let has_prefix = when.dialled_prefix.iter().any(|prefix| begins(prefix));
    let from_trunk = trunk.is_some_and(|name| alike(&when.trunk, name));
    listed(read, "trunk", trunk.unwrap_or("none"), &when.trunk, from_trunk);
    listed(read, "class", reading.class, &when.class, alike(&when.class, reading.class));
    let organisation = alike(&when.organisation, reading.organisation);
    listed(read, "organisation", reading.organisation, &when.organisation, organisation);
    listed(read, "identity", request.identity, &when.identity, identity);
    listed(read, "dialled", request.subject, &when.dialled, dialled);
    listed(read, "dialled_prefix", request.subject, &when.dialled_prefix, has_prefix);
}

fn places(when: &Conditions, reading: &Reading<'_, '_>, read: &mut Vec<Fact>) {
    let country = reading.request.country.map(Country);
    let shown = country.map_or_else(|| "unknown".to_owned(), |country| country.to_string());
    let from_there = country.is_some_and(|country| when.country.contains(&country));
    listed(read, "country", &shown, &when.country, from_there);
    let inside = when.network.iter().any(|network| network.contains(reading.address));
    listed(read, "network", &reading.address.to_string(), &when.network, inside);
}

fn among<T: PartialEq + ToString>(read: &mut Vec<Fact>, name: &'static str, value: &T, wanted: &[T]) {
    let holds = wanted.contains(value);
    listed(read, name, &value.to_string(), wanted, holds);
}

fn listed<T: ToString>(read: &mut Vec<Fact>, name: &'static str, value: &str, wanted: &[T], holds: bool) {
    if !wanted.is_empty() {
        read.push(fact(name, value, one_of(wanted.iter().map(ToString::to_string)), holds));
    }
}
