//! A segment of a witness log: however it is cut, its report is the same, and a log that consists of it is judged without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sx_witness::{Options, SegmentCheck, SigningKey, Verdict, Verification};

/// What is said of a log that is this segment alone, when it comes in pieces of so many bytes.
fn judge(segment: &[u8], piece: usize, first: u64, is_last: bool) -> Verdict {
    let mut check = SegmentCheck::new(first, is_last);
    segment.chunks(piece).for_each(|piece| check.feed(piece));
    let report = check.finish();
    assert_eq!(report.hashes().len(), report.offsets().len());
    // Behind a hole in the last segment there are no lines.
    let newlines = segment.iter().filter(|byte| **byte == b'\n').count();
    assert!(report.hashes().len() == newlines || is_last && segment.contains(&0) && report.hashes().len() < newlines);
    let key = SigningKey::from_seed("example.org/fuzz", [7; 32]).expect("a good name").verifying_key();
    let mut verification = Verification::new(key, Options::default());
    verification.checkpoints_file(segment);
    verification.take(report);
    verification.index_file(first, segment);
    verification.finish()
}

fuzz_target!(|input: &[u8]| {
    let [size, flags, segment @ ..] = input else { return };
    let (first, is_last) = (u64::from(flags >> 1), flags & 1 == 1);
    let whole = judge(segment, segment.len().max(1), first, is_last);
    assert_eq!(whole, judge(segment, usize::from(*size) + 1, first, is_last));
    assert!(whole.problems.iter().all(|problem| !problem.to_string().is_empty()));
});
