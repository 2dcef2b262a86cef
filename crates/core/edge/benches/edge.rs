//! What the edge costs a message.

#![expect(missing_docs, reason = "criterion makes a public function")]

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use sx_edge::{Network, Networks, Source, SourceLimits, Sources, is_scanner};
use sx_engine::Time;

const KEY: [u8; 16] = *b"the same always.";

fn address(n: u32) -> IpAddr {
    // An odd factor: each number gives another address.
    Ipv4Addr::from(n.wrapping_mul(2_654_435_761)).into()
}

fn arriving(criterion: &mut Criterion, name: &str, sources: u32, step: Duration) {
    let limits = SourceLimits { unknown: u32::MAX, ..SourceLimits::default() };
    let from: Vec<Source> = (0..sources).map(|n| Source::of(address(n), &limits.prefixes)).collect();
    let mut table = Sources::new(limits, KEY);
    let mut now = Time::from_secs(1_700_000_000);
    for source in &from {
        table.arrived(now, *source);
    }
    let mut next = 0;
    criterion.bench_function(name, |bencher| {
        bencher.iter(|| {
            next = if next + 1 == from.len() { 0 } else { next + 1 };
            now = now + step;
            black_box(table.arrived(now, from[next]))
        });
    });
}

fn sources(criterion: &mut Criterion) {
    arriving(criterion, "arrived, one of 1,000 sources", 1_000, Duration::from_micros(10));
    arriving(criterion, "arrived, one of 100,000 sources", 100_000, Duration::from_micros(10));
    arriving(criterion, "arrived, a million distinct sources", 1_000_000, Duration::from_micros(1));
}

fn networks(criterion: &mut Criterion) {
    let network = |n: u32| -> Network {
        let bits = 16 + n % 17;
        let IpAddr::V4(v4) = address(n) else { unreachable!("the addresses are IPv4") };
        let first = Ipv4Addr::from(u32::from(v4) & u32::MAX << (32 - bits));
        format!("{first}/{bits}").parse().expect("the bits after the prefix are cleared")
    };
    let all: Networks<u32> = (0..10_000).map(|n| (network(n), n)).collect();
    let asked: Vec<IpAddr> = (0..10_000).map(|n| address(n / 2 + (n & 1) * 1_000_000)).collect();
    let mut next = 0;
    criterion.bench_function("find among 10,000 networks", |bencher| {
        bencher.iter(|| {
            next = (next + 1) % asked.len();
            black_box(all.find(asked[next]))
        });
    });
}

fn scanners(criterion: &mut Criterion) {
    let user_agent = b"Grandstream GXP2170 1.0.11.64 00:0b:82:aa:bb:cc";
    criterion
        .bench_function("is_scanner of an honest name", |bencher| bencher.iter(|| black_box(is_scanner(user_agent))));
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = sources, networks, scanners
}
criterion_main!(benches);
