//! A request in the policy's own numbers.

use crate::definition::{Entry, GUARDIAN, Weekday};
use crate::facts::{Action, AuthenticationKind, Request, Source, SourceKind};
use crate::policy::Policy;
use crate::value::domain_of;
use std::borrow::Cow;
use std::net::IpAddr;
use sx_types::{Transport, judged_user};

/// A request and what the policy knows of who asks. Made once a decision, so that no rule looks a text up.
pub(crate) struct Reading<'r, 'p> {
    pub(crate) request: &'r Request<'r>,
    /// The entry of the registry.
    pub(crate) entry: Option<&'p Entry>,
    /// What the rules know the class and the organisation by.
    pub(crate) class: &'p str,
    pub(crate) organisation: &'r str,
    /// One bit for each of the facts that have few values.
    pub(crate) bits: u64,
    pub(crate) trunk: Option<u32>,
    pub(crate) identity: Option<u32>,
    pub(crate) domain: Option<u32>,
    pub(crate) class_number: Option<u32>,
    pub(crate) organisation_number: Option<u32>,
    /// What was dialled, whole and without its domain.
    pub(crate) dialled: [Option<u32>; 2],
    pub(crate) prefix: Option<u32>,
    pub(crate) address: IpAddr,
}

/// The place of each group of bits.
pub(crate) const ACTION_AT: u32 = 0;
pub(crate) const SOURCE_AT: u32 = ACTION_AT + Action::ALL.len() as u32;
pub(crate) const TRANSPORT_AT: u32 = SOURCE_AT + SourceKind::ALL.len() as u32;
pub(crate) const AUTHENTICATED_AT: u32 = TRANSPORT_AT + Transport::ALL.len() as u32;
pub(crate) const WEEKDAY_AT: u32 = AUTHENTICATED_AT + AuthenticationKind::ALL.len() as u32;
pub(crate) const HOUR_AT: u32 = WEEKDAY_AT + Weekday::ALL.len() as u32;
const _: () = assert!(HOUR_AT + 24 <= u64::BITS, "the groups fit into one word");

impl<'r, 'p: 'r> Reading<'r, 'p> {
    pub(crate) fn of(policy: &'p Policy, request: &'r Request<'r>) -> Self {
        let entry = policy.registered(request.identity);
        // An identity that nobody has proved gives nothing but its bad standing.
        let speaks_for = entry.filter(|_| request.source != Source::Anonymous);
        let class = speaks_for.map(|entry| &*entry.class).filter(|class| !class.is_empty());
        let is_guardian = request.escalation.is_some_and(|escalation| escalation.standing.is_some());
        let class = class.unwrap_or(if is_guardian { GUARDIAN } else { request.source.class() });
        let organisation = match request.organisation {
            "" => speaks_for.map_or("", |entry| &*entry.organisation),
            said => said,
        };
        let names = &policy.names;
        let subject = judged_subject(request);
        let user = subject.split('@').next().unwrap_or_default();
        Self {
            request,
            entry,
            class,
            organisation,
            bits: bits(request),
            trunk: match request.source {
                Source::Trunk(name) => names.trunks.find(name),
                _ => None,
            },
            identity: names.identities.find(request.identity),
            domain: domain_of(request.identity).and_then(|domain| names.domains.find(domain)),
            class_number: names.classes.find(class),
            organisation_number: names.organisations.find(organisation),
            dialled: [names.dialled.find(&subject), names.dialled.find(user)],
            prefix: names.prefixes.longest(&subject),
            address: request.address.to_canonical(),
        }
    }
}

/// Of a number that is called, without the parameters that it was asked for with; they would hide it from the rules.
fn judged_subject<'r>(request: &Request<'r>) -> Cow<'r, str> {
    let subject = request.subject;
    if request.action == Action::Register {
        return subject.into();
    }
    let (user, domain) = subject.split_at(subject.rfind('@').unwrap_or(subject.len()));
    let judged = judged_user(user);
    if judged == user { subject.into() } else { format!("{judged}{domain}").into() }
}

fn bits(request: &Request<'_>) -> u64 {
    let hour = u32::from(request.hour_utc % 24);
    let weekday = u32::from(request.weekday % 7);
    1 << (ACTION_AT + request.action as u32)
        | 1 << (SOURCE_AT + request.source.kind() as u32)
        | 1 << (TRANSPORT_AT + request.transport as u32)
        | 1 << (AUTHENTICATED_AT + request.authenticated.kind() as u32)
        | 1 << (WEEKDAY_AT + weekday)
        | 1 << (HOUR_AT + hour)
}
