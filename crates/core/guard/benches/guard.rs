//! How long a decision takes among 10,000 identities and 500 rules.

#![expect(missing_docs, reason = "criterion makes a public function")]

mod crowd;

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::io::Write as _;
use std::time::Duration;
use sx_guard::{Conditions, Definition, Policy, PolicyHash, Request};

/// The spread, which a mean does not show.
fn percentiles(_: &mut Criterion) {
    let times = crowd::percentiles();
    writeln!(std::io::stderr(), "{times}").expect("somebody reads it");
    assert!(times.p99 < Duration::from_micros(50), "{times}");
}

fn deciding(criterion: &mut Criterion) {
    let policy = crowd::policy();
    let facts = crowd::facts(1_000);
    let requests: Vec<Request<'_>> = crowd::requests(&facts).collect();
    let mut next = 0;
    criterion.bench_function("decide among 10,000 identities and 500 rules", |bencher| {
        bencher.iter(|| {
            next = (next + 1) % requests.len();
            black_box(policy.decide(black_box(&requests[next])));
        });
    });
    let policy = worst();
    // Every rule's condition is looked at to the end, and none matches.
    let request = Request { country: Some(*b"ZZ"), subject: "+99", ..requests[1] };
    criterion.bench_function("decide where 500 rules of one action nearly match", |bencher| {
        bencher.iter(|| black_box(policy.decide(black_box(&request))));
    });
}

/// Rules that no bit rules out.
fn worst() -> Policy {
    let crowd = crowd::policy();
    let rules = crowd.rules().iter().enumerate().map(|(index, rule)| {
        let when = Conditions {
            dialled_prefix: vec!["+9".into()],
            network: vec!["10.0.0.0/8".parse().expect("a network")],
            identity: vec![format!("nobody-{index}@nowhere.example").parse().expect("an identity")],
            ..Conditions::default()
        };
        sx_guard::Rule { when, ..rule.clone() }
    });
    let definition = Definition { rules: rules.collect(), ..Definition::built_in() };
    Policy::build(definition, PolicyHash::of(b"the worst")).expect("rules that do not clash")
}

criterion_group!(benches, percentiles, deciding);
criterion_main!(benches);
