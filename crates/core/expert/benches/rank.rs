//! Whom to call first among ten thousand.

#![expect(missing_docs, reason = "criterion makes a public function")]

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use sx_engine::Time;
use sx_expert::{Expert, Hours, Need, Presence, rank};

fn experts() -> Vec<Expert> {
    let hours = Hours::parse("mon-fri 09:00-17:00, sat 22:00-02:00", "Europe/Berlin").expect("hours");
    let expert = |number: u32| {
        let mut expert = Expert::new(&format!("expert-{number}"), "somebody");
        for subject in
            ["legal", "safety", "privacy", "ethical", "conflict"].iter().cycle().skip(number as usize % 5).take(2)
        {
            expert.knows(subject, (number % 7) as u8);
        }
        expert.hours = number.is_multiple_of(2).then(|| hours.clone());
        expert.languages = vec!["en".into(), "de-ch".into()];
        expert
    };
    (0..10_000).map(expert).collect()
}

fn ranking(criterion: &mut Criterion) {
    let experts = experts();
    let need = Need { subject: "safety", language: "de", ..Need::default() };
    let presence = |index: usize| Presence {
        reachable: !index.is_multiple_of(3),
        calls: u32::from(index.is_multiple_of(4)),
        rings: 0,
        rings_max: 3,
    };
    let now = Time::from_secs(1_795_428_000);
    criterion.bench_function("10,000 experts", |bencher| {
        bencher.iter(|| rank(black_box(&experts), black_box(&need), presence, now));
    });
}

criterion_group!(benches, ranking);
criterion_main!(benches);
