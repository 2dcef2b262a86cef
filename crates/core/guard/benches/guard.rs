//! How long a decision takes.

#![expect(missing_docs, reason = "criterion makes a public function")]

use criterion::{Criterion, criterion_group, criterion_main};

fn deciding(_: &mut Criterion) {}

criterion_group!(benches, deciding);
criterion_main!(benches);
