//! What a record costs: to render, to append in groups of 64, to read, to verify.

#![expect(missing_docs, reason = "criterion makes a public function")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use sx_engine::Time;
use sx_types::{CallId, TraceId};
use sx_witness::{Batch, Chain, Draft, Facts, Kind, Line, Options, Renderer, SegmentCheck, SigningKey, Verification};

const GROUP: u64 = 64;
const RECORDS: u64 = 64 * 1024;

fn facts(number: u64) -> Facts<'static> {
    Facts::new().with("legs", 2).with("trunk", "carrier-a").with("ring_ms", number % 30_000)
}

fn draft(number: u64) -> Draft<'static> {
    Draft {
        actor: "trunk:carrier-a",
        subject: "+441632960123",
        outcome: "answered",
        reason: "",
        call: Some(CallId::new(1_790_000_000_000 + number, u128::from(number) << 40)),
        trace: Some(TraceId::from_u128(u128::from(number) << 64 | 7)),
        policy_version: "3",
        facts: facts(number),
        ..Draft::new(Time::from_nanos(1_790_000_000_000_000_000 + number * 1_300_000), Kind::Connected)
    }
}

fn group(renderer: &mut Renderer, from: u64) -> Batch {
    let mut batch = Batch::default();
    (from..from + GROUP).for_each(|number| renderer.render(&draft(number), &mut batch));
    batch
}

/// A log of one segment with a checkpoint at its end.
fn log(key: &SigningKey) -> Vec<u8> {
    let (mut renderer, mut chain, mut out) = (Renderer::new("node-1"), Chain::new(), Vec::new());
    let mut index = Vec::new();
    let mut begin = Batch::default();
    let named = Facts::new().with("format", 1).with("key", key.verifying_key().to_string());
    renderer.render(&Draft { outcome: "begun", facts: named, ..Draft::new(Time::ZERO, Kind::Log) }, &mut begin);
    chain.append(&begin, &mut out, &mut index);
    for from in (0..RECORDS).step_by(GROUP as usize) {
        chain.append(&group(&mut renderer, from), &mut out, &mut index);
    }
    chain.checkpoint(Time::ZERO, "node-1", key, &mut out, &mut index);
    out
}

fn write(c: &mut Criterion) {
    let mut writing = c.benchmark_group("write");
    writing.throughput(Throughput::Elements(GROUP));
    let (mut renderer, mut batch) = (Renderer::new("node-1"), Batch::default());
    let drafts: Vec<Draft<'_>> = (0..GROUP).map(draft).collect();
    writing.bench_function("render", |b| {
        b.iter(|| {
            batch.clear();
            drafts.iter().for_each(|draft| renderer.render(draft, &mut batch));
            batch.bytes()
        });
    });
    let batch = group(&mut renderer, 0);
    let (mut chain, mut out, mut index) = (Chain::new(), Vec::new(), Vec::new());
    writing.bench_function("append, group of 64", |b| {
        b.iter(|| {
            out.clear();
            index.clear();
            chain.append(black_box(&batch), &mut out, &mut index)
        });
    });
    writing.finish();
    let key = SigningKey::from_seed("exchange.example/log", [7; 32]).expect("a good name");
    c.bench_function("sign a checkpoint", |b| {
        b.iter_batched(
            || chain.clone(),
            |mut chain| chain.checkpoint(Time::ZERO, "node-1", &key, &mut Vec::new(), &mut Vec::new()),
            BatchSize::SmallInput,
        );
    });
}

fn read(c: &mut Criterion) {
    let key = SigningKey::from_seed("exchange.example/log", [7; 32]).expect("a good name");
    let bytes = log(&key);
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let mut reading = c.benchmark_group("read");
    reading.sample_size(20);
    reading.throughput(Throughput::Bytes(bytes.len() as u64));
    reading.bench_function("parse, bytes", |b| {
        b.iter(|| lines.iter().map(|line| Line::parse(line).map_or(0, |line| line.seq())).sum::<u64>());
    });
    reading.throughput(Throughput::Elements(RECORDS));
    reading.bench_function("verify a segment, records", |b| {
        b.iter(|| {
            let mut check = SegmentCheck::new(0, true);
            bytes.chunks(1 << 20).for_each(|piece| check.feed(piece));
            let mut verification = Verification::new(key.verifying_key(), Options::default());
            verification.take(check.finish());
            let verdict = verification.finish();
            assert!(verdict.is_honest());
            verdict.records
        });
    });
    reading.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(std::time::Duration::from_millis(300)).measurement_time(std::time::Duration::from_millis(1500));
    targets = write, read
}
criterion_main!(benches);
