//! How long a route takes among a hundred thousand prefixes.

#![expect(missing_docs, reason = "criterion makes a public function")]

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use sx_leg::{Address, Source};
use sx_route::{
    Definition, Destination, DestinationKind, DomainFilter, Facts, Fork, Match, Rule, SourceFilter, Tables, Trunk, plan,
};

fn tables(prefixes: u32) -> Tables {
    let trunks = (0..10).map(|n| Trunk::new(&format!("carrier-{n}"))).collect();
    let rule = |n: u32| Rule {
        name: format!("r{n}").into(),
        source: SourceFilter::Any,
        domain: DomainFilter::Ours,
        matches: Match::Prefix(format!("{:07}", n.wrapping_mul(7_919) % 10_000_000).into()),
        strip: 0,
        prepend: "".into(),
        destinations: (0..2)
            .map(|place| Destination {
                kind: DestinationKind::Trunk(format!("carrier-{}", (n + place) % 10).into()),
                priority: place as u16,
                weight: 1,
                user: None,
            })
            .collect(),
        fork: Fork::Serial,
        ring_ms_max: None,
    };
    let definition = Definition {
        domains: vec!["pbx".into()],
        trunks,
        rules: (0..prefixes).map(rule).collect(),
        ..Definition::default()
    };
    Tables::build(definition).expect("the rules name trunks that exist")
}

fn routing(criterion: &mut Criterion) {
    let source = Source::User(Address::new("alice", "pbx"));
    for prefixes in [100, 100_000] {
        let tables = tables(prefixes);
        let numbers: Vec<Address> = (0..1_000u32)
            .map(|n| Address::new(&format!("{:07}5551234", n.wrapping_mul(7_919) % 10_000_000), "pbx"))
            .collect();
        let mut next = 0;
        criterion.bench_function(&format!("plan among {prefixes} prefixes"), |bencher| {
            bencher.iter(|| {
                next = (next + 1) % numbers.len();
                let facts = Facts { source: &source, to: &numbers[next], trunks: &[], random: next as u64 };
                black_box(plan(&tables, &facts))
            });
        });
    }
}

criterion_group!(benches, routing);
criterion_main!(benches);
