//! What the protection of a packet of voice costs: 20 ms of G.711, which are 172 bytes with their header.

#![expect(missing_docs, reason = "criterion makes a public function")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use sx_rtp::srtp::{MasterKey, Protector, Suite, Unprotector};
use sx_rtp::{Header, Ssrc};
use sx_types::PayloadType;

const PACKET: usize = 172;

/// The next packet of a stream, in a buffer as a packet thread has it.
fn write_packet(sequence: u16, buffer: &mut [u8; 2048]) {
    let header = Header {
        marker: false,
        payload_type: PayloadType(0),
        sequence,
        timestamp: 160 * u32::from(sequence),
        ssrc: Ssrc(0x1234_5678),
    };
    buffer[..12].copy_from_slice(&header.to_bytes());
}

fn packets(criterion: &mut Criterion) {
    for suite in Suite::ALL {
        let bytes = vec![7; suite.key_bytes() + suite.salt_bytes()];
        let key = MasterKey::from_bytes(suite, &bytes).expect("its length");
        let mut protector = Protector::new(suite, &key).expect("its key");
        let mut unprotector = Unprotector::new(suite, &key).expect("its key");
        let mut buffer = [0x55; 2048];
        let mut sequence = 0_u16;
        let mut group = criterion.benchmark_group(suite.sdp_name());
        group.throughput(Throughput::Elements(1));
        group.bench_function("protect and unprotect", |bencher| {
            bencher.iter(|| {
                sequence = sequence.wrapping_add(1);
                write_packet(sequence, &mut buffer);
                let sent = protector.protect_rtp(&mut buffer, PACKET).expect("sent once");
                black_box(unprotector.unprotect_rtp(&mut buffer[..sent]).expect("authentic"))
            });
        });
        let mut forged = [0x55; 2048];
        write_packet(sequence.wrapping_add(1000), &mut forged);
        group.bench_function("refuse a forged packet", |bencher| {
            bencher.iter(|| black_box(unprotector.unprotect_rtp(&mut forged[..PACKET + suite.rtp_overhead()])));
        });
        group.bench_function("protect", |bencher| {
            bencher.iter(|| {
                sequence = sequence.wrapping_add(1);
                write_packet(sequence, &mut buffer);
                black_box(protector.protect_rtp(&mut buffer, PACKET).expect("sent once"))
            });
        });
        group.bench_function("derive the keys", |bencher| {
            bencher.iter(|| black_box(Protector::new(suite, black_box(&key))));
        });
        group.finish();
    }
}

criterion_group!(benches, packets);
criterion_main!(benches);
