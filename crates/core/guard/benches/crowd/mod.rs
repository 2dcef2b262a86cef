//! A policy of 10,000 identities and 500 rules of two to four conditions each, and requests of every kind to it.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};
use sx_guard::{
    Action, Authentication, Conditions, Country, Definition, Entry, IdentityPattern, Obligations, Policy, PolicyHash,
    PublicKey, Request, Rule, Source, SourceKind, Status, Then, Weekday,
};
use sx_types::{Codec, Consent, Transport};

const IDENTITIES: u32 = 10_000;
const RULES: u32 = 500;

/// What changes from request to request.
pub struct Facts {
    number: u32,
    identity: String,
    trunk: String,
    subject: String,
}

pub fn policy() -> Policy {
    let mut definition = Definition {
        registry: (0..IDENTITIES).map(entry).collect(),
        rules: (0..RULES).map(rule).collect(),
        ..Definition::default()
    };
    definition.codec.allowed = Some(vec![Codec::Pcma, Codec::Pcmu, Codec::Opus]);
    definition.codec.trunks = (0..50).map(|n| (format!("trunk-{n}").into(), vec![Codec::Pcma])).collect();
    Policy::build(definition, PolicyHash::of(b"a crowd")).expect("rules that do not clash")
}

fn entry(n: u32) -> Entry {
    let mut key = [0; 32];
    key[..4].copy_from_slice(&n.to_be_bytes());
    Entry {
        identity: format!("user-{n}@domain-{}.example", n % 40).into(),
        status: if n.is_multiple_of(50) { Status::Suspended } else { Status::Active },
        key: Some(PublicKey(key)),
        class: ["user", "expert", "guest"][n as usize % 3].into(),
        organisation: format!("organisation-{}", n % 100).into(),
    }
}

/// Most match rarely, as rules do; those that match often only add obligations.
fn rule(n: u32) -> Rule {
    let base = Conditions { dialled_prefix: vec![format!("+{}", 1_000 + n).into()], ..Conditions::default() };
    let text = |text: String| vec![text.into_boxed_str()];
    let network = format!("10.{}.0.0/16", n % 250).parse().expect("a network");
    let when = match n % 5 {
        0 => Conditions { source: vec![SourceKind::User], class: text("expert".into()), ..base },
        1 => Conditions {
            network: vec![network],
            weekdays: vec![Weekday::Saturday, Weekday::Sunday],
            dialled_prefix: Vec::new(),
            score_min: Some(600 - n),
            ..base
        },
        2 => Conditions {
            identity: vec![
                IdentityPattern::Domain(format!("domain-{}.example", n % 40).into()),
                IdentityPattern::Exact(format!("user-{n}@domain-0.example").into()),
            ],
            ..base
        },
        3 => Conditions {
            trunk: text(format!("trunk-{}", n % 60)),
            country: vec![Country([b'A' + (n % 26) as u8, b'E'])],
            action: vec![Action::Call],
            score_min: Some(600 - n),
            dialled_prefix: Vec::new(),
            ..base
        },
        _ => Conditions {
            organisation: text(format!("organisation-{}", n % 100)),
            hours: vec!["20-06".parse().expect("hours")],
            score_min: Some(600 - n),
            dialled_prefix: Vec::new(),
            ..base
        },
    };
    let then = [Then::Reject, Then::Conditional, Then::Approve][n as usize % 3];
    let obligations = Obligations {
        record: then == Then::Conditional,
        consent: (then == Then::Conditional).then_some(Consent::Law),
        ..Obligations::default()
    };
    Rule { name: format!("rule-{n}").into(), when, then, status: None, reason: None, obligations }
}

/// What single decisions have taken, of so many.
pub struct Percentiles {
    pub p50: Duration,
    pub p99: Duration,
    pub p999: Duration,
}

impl std::fmt::Display for Percentiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { p50, p99, p999 } = self;
        write!(f, "a decision among 10,000 identities and 500 rules: p50 {p50:?}, p99 {p99:?}, p99.9 {p999:?}")
    }
}

/// Decides a hundred thousand times, each measured by itself, and takes of ten rounds the one with the best p99: whatever
/// else the machine does makes a round slower, and none faster.
pub fn percentiles() -> Percentiles {
    const ROUNDS: usize = 10;
    const DECISIONS: usize = 10_000;
    let policy = policy();
    let facts = facts(1_000);
    let requests: Vec<Request<'_>> = requests(&facts).collect();
    let round = |_| {
        let mut times: Vec<Duration> = requests.iter().cycle().take(DECISIONS).map(|r| timed(&policy, r)).collect();
        times.sort_unstable();
        let at = |permille: usize| times[times.len() * permille / 1_000 - 1];
        Percentiles { p50: at(500), p99: at(990), p999: at(999) }
    };
    (0..ROUNDS).map(round).min_by_key(|round| round.p99).expect("there are rounds")
}

#[expect(clippy::disallowed_methods, reason = "what is measured here is real time")]
fn timed(policy: &Policy, request: &Request<'_>) -> Duration {
    let begun = Instant::now();
    black_box(policy.decide(black_box(request)));
    begun.elapsed()
}

pub fn facts(count: u32) -> Vec<Facts> {
    let spread = |n: u32| n.wrapping_mul(2_654_435_761) >> 8;
    let one = |n: u32| Facts {
        number: spread(n),
        identity: format!("user-{0}@domain-{1}.example", spread(n) % 11_000, spread(n) % 11_000 % 40),
        trunk: format!("trunk-{}", spread(n) % 70),
        subject: format!("+{}55512{}", 900 + spread(n) % 700, n % 100),
    };
    (0..count).map(one).collect()
}

pub fn requests(facts: &[Facts]) -> impl Iterator<Item = Request<'_>> {
    const OFFERS: [&[Codec]; 4] = [
        &[Codec::Pcma, Codec::TelephoneEvent],
        &[Codec::Opus, Codec::Pcma],
        &[Codec::G729, Codec::Pcmu, Codec::TelephoneEvent],
        &[Codec::Pcma],
    ];
    facts.iter().map(|facts| {
        let n = facts.number;
        let from_trunk = n.is_multiple_of(4);
        Request {
            action: if n.is_multiple_of(7) { Action::Message } else { Action::Call },
            source: if from_trunk { Source::Trunk(&facts.trunk) } else { Source::User },
            identity: if from_trunk { &facts.trunk } else { &facts.identity },
            address: IpAddr::V4(Ipv4Addr::new(10, (n >> 4) as u8, 3, 4)),
            transport: Transport::ALL[n as usize % 5],
            country: Some([b'A' + (n % 26) as u8, b'E']),
            organisation: "",
            authenticated: if from_trunk { Authentication::Trunk } else { Authentication::DigestSha256 },
            subject: &facts.subject,
            other_codecs: &[],
            codecs: OFFERS[n as usize / 3 % 4],
            score_milli: n % 300,
            recent: n % 62,
            calls: 1,
            hour_utc: (n % 24) as u8,
            weekday: (n % 7) as u8,
            escalation: None,
        }
    })
}
