//! A log whose last write was torn is not accused, and nothing that others were shown can be hidden in a hole.

use proptest::prelude::*;
use sx_engine::Time;
use sx_witness::{
    Batch, CHECKPOINTS_APPEND_BYTES_MAX, Chain, Draft, Facts, FiledFault, IndexEntry, Kind, Notice, Options, Problem,
    Renderer, SegmentCheck, SigningKey, Tail, Verdict, Verification, checkpoint_line, lines_end,
};

const SECTOR: usize = 512;
const TIME: Time = Time::from_secs(1_795_000_000);

/// A segment: what was acknowledged, and a write behind it.
struct Log {
    bytes: Vec<u8>,
    /// Where the acknowledged records end.
    acknowledged: usize,
    /// The lines of `checkpoints.jsonl`.
    filed: Vec<u8>,
    entries: Vec<IndexEntry>,
}

fn key() -> SigningKey {
    SigningKey::from_seed("exchange.example/log", [1; 32]).expect("a good name")
}

/// So many records in the last write, and a subject of this length, which says where sectors begin.
fn log(records: usize, length: usize) -> Log {
    let (mut renderer, mut chain) = (Renderer::new("node-1"), Chain::new());
    let (mut bytes, mut entries) = (Vec::new(), Vec::new());
    let mut put = |drafts: Vec<Draft<'_>>, chain: &mut Chain, bytes: &mut Vec<u8>, entries: &mut Vec<IndexEntry>| {
        let mut batch = Batch::default();
        drafts.iter().for_each(|draft| renderer.render(draft, &mut batch));
        chain.append(&batch, bytes, entries);
    };
    let facts = Facts::new().with("format", 1).with("key", key().verifying_key().to_string());
    let subject = "x".repeat(length);
    let begun = Draft { outcome: "begun", subject: &subject, facts, ..Draft::new(TIME, Kind::Log) };
    put(vec![begun, Draft::new(TIME, Kind::Invite)], &mut chain, &mut bytes, &mut entries);
    let shown = chain.checkpoint(TIME, "node-1", &key(), &mut bytes, &mut entries);
    put(vec![Draft::new(TIME, Kind::Ringing)], &mut chain, &mut bytes, &mut entries);
    let acknowledged = bytes.len();
    put(vec![Draft::new(TIME, Kind::Connected); records], &mut chain, &mut bytes, &mut entries);
    // One that nobody was shown, since the write that it is in never came to its end.
    chain.checkpoint(TIME, "node-1", &key(), &mut bytes, &mut entries);
    put(vec![Draft::new(TIME, Kind::Terminated)], &mut chain, &mut bytes, &mut entries);
    bytes.resize(bytes.len().next_multiple_of(4096) + 4096, 0);
    Log { bytes, acknowledged, filed: (checkpoint_line(&shown.note, &[]) + "\n").into_bytes(), entries }
}

fn verify(log: &Log, piece: usize) -> Verdict {
    let mut verification = Verification::new(key().verifying_key(), Options::default());
    verification.checkpoints_file(&log.filed);
    let mut check = SegmentCheck::new(0, true);
    log.bytes.chunks(piece).for_each(|piece| check.feed(piece));
    verification.take(check.finish());
    verification.finish()
}

impl Log {
    /// Takes back the sectors of the last write that have a bit here, the first sector having the lowest.
    fn tear(mut self, lost: u32) -> Self {
        let used = self.bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        for (bit, sector) in (self.acknowledged / SECTOR..=used / SECTOR).enumerate() {
            if lost >> bit & 1 == 1 {
                let from = self.acknowledged.max(sector * SECTOR);
                self.bytes[from..(sector + 1) * SECTOR].fill(0);
            }
        }
        self
    }

    /// How many records there are before an offset.
    fn records_before(&self, offset: usize) -> u64 {
        self.bytes[..offset].iter().filter(|byte| **byte == b'\n').count() as u64
    }
}

#[test]
fn however_a_write_was_torn_the_log_is_not_accused() {
    // The acknowledged records end anywhere in a sector, at its end, and at its beginning.
    let at_sector =
        (0..SECTOR).find(|length| log(12, *length).acknowledged.is_multiple_of(SECTOR)).expect("one of them");
    for length in [0, 100, 301, at_sector, at_sector + SECTOR - 1, at_sector + 1] {
        for lost in 0..1 << 7 {
            let log = log(12, length).tear(lost);
            let end = lines_end(&log.bytes);
            let torn = log.bytes[end..].iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64 + 1);
            for piece in [7, 512, 1 << 20] {
                let verdict = verify(&log, piece);
                assert!(verdict.is_honest(), "length {length}, lost {lost:b}: {:?}", verdict.problems);
                assert_eq!((verdict.torn_bytes, verdict.is_torn()), (torn, torn > 0));
                assert_eq!(verdict.records, log.records_before(end), "no line behind a hole is a record");
                assert!(end >= log.acknowledged && verdict.records >= 4, "what was acknowledged is a record");
                assert_eq!(matches!(verdict.notices[..], [Notice::TornTail { .. }]), torn > 0, "{verdict:?}");
            }
        }
    }
}

#[test]
fn a_hole_in_what_others_were_shown_is_an_accusation() {
    let whole = log(6, 100);
    let covered = whole.entries[3].offset as usize;
    for from in 0..covered {
        for sectors in [1, 2, 40] {
            let mut log = log(6, 100);
            let to = ((from / SECTOR + sectors) * SECTOR).min(log.bytes.len());
            log.bytes[from..to].fill(0);
            let verdict = verify(&log, 1 << 20);
            assert!(!verdict.is_honest(), "a hole from {from} to {to} hides records");
            let first = whole.records_before(from);
            assert!(verdict.problems.iter().all(|problem| problem.record() >= first), "{:?}", verdict.problems);
        }
    }
}

#[test]
fn zero_bytes_that_no_disk_leaves_are_an_accusation() {
    let whole = log(6, 100);
    let used = whole.bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    for from in whole.acknowledged..used - 1 {
        let line = whole.bytes[..from].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for length in [1, 2, 511, 512, 513] {
            let (mut log, to) = (log(6, 100), from + length);
            if to >= used {
                continue;
            }
            log.bytes[from..to].fill(0);
            let is_hole = (from == line || from % SECTOR == 0) && to % SECTOR == 0;
            let verdict = verify(&log, 1 << 20);
            assert_eq!(verdict.is_honest(), is_hole, "zero bytes from {from} to {to}: {:?}", verdict.problems);
            assert_eq!(verdict, verify(&log, 3), "however it is read");
        }
    }
}

#[test]
fn zero_bytes_within_a_line_are_judged_alike_wherever_pieces_end() {
    let whole = log(3, 100);
    let end = whole.entries[3].offset as usize;
    for is_last in [false, true] {
        for at in (whole.entries[1].offset as usize..end).step_by(29) {
            let mut bytes = whole.bytes.clone();
            bytes[at..at + 20].fill(0);
            let judge = |piece: usize| {
                let mut check = SegmentCheck::new(0, is_last);
                bytes.chunks(piece).for_each(|piece| check.feed(piece));
                let mut verification = Verification::new(key().verifying_key(), Options::default());
                verification.take(check.finish());
                verification.finish()
            };
            let at_once = judge(bytes.len());
            assert!(!at_once.is_honest(), "zero bytes at {at}");
            // Pieces that end before the zero bytes, within them, with them and behind them.
            for piece in (1..24).chain(at - 1..at + 23) {
                assert_eq!(judge(piece), at_once, "zero bytes at {at} in pieces of {piece}");
            }
        }
    }
}

#[test]
fn a_closed_segment_has_no_torn_write() {
    let whole = log(6, 100);
    let records = whole.records_before(whole.bytes.len());
    for lost in 0..1 << 5 {
        let torn = log(6, 100).tear(lost);
        let mut check = SegmentCheck::new(0, false);
        check.feed(&torn.bytes);
        let mut verification = Verification::new(key().verifying_key(), Options::default());
        verification.take(check.finish());
        verification.take(SegmentCheck::new(records, true).finish());
        assert_eq!(verification.finish().is_honest(), torn.bytes == whole.bytes, "lost {lost:b}");
    }
}

#[test]
fn a_line_of_checkpoints_that_was_torn_is_a_notice_and_no_more() {
    let whole = log(6, 100);
    for cut in 0..whole.filed.len() {
        let mut log = log(6, 100);
        log.filed.extend_from_slice(&whole.filed[..cut]);
        let verdict = verify(&log, 1 << 20);
        assert!(verdict.is_honest(), "{:?}", verdict.problems);
        assert_eq!(verdict.notices.len(), usize::from(cut > 0), "{:?}", verdict.notices);
    }
}

#[test]
fn a_hole_in_the_checkpoints_with_more_behind_it_than_is_appended_at_once_is_an_accusation() {
    let mut log = log(6, 100);
    let line = log.filed.clone();
    log.filed = line.repeat(CHECKPOINTS_APPEND_BYTES_MAX / line.len() + 20);
    let whole = log.filed.clone();
    let found: Vec<bool> = (0..12)
        .map(|sector| {
            log.filed.clone_from(&whole);
            log.filed[sector * SECTOR..(sector + 1) * SECTOR].fill(0);
            let behind = whole.len() - lines_end(&log.filed);
            let verdict = verify(&log, 1 << 20);
            let is_last = behind <= CHECKPOINTS_APPEND_BYTES_MAX;
            assert_eq!(verdict.is_honest(), is_last, "{behind} bytes: {:?}", verdict.problems);
            match is_last {
                true => assert!(matches!(verdict.notices[..], [Notice::TornCheckpoints { .. }])),
                false => assert!(matches!(verdict.problems[..], [Problem::Filed { fault: FiledFault::Form, .. }])),
            }
            is_last
        })
        .collect();
    assert!(found.contains(&true) && found.contains(&false), "{found:?}");
}

#[test]
fn the_end_that_is_not_there_is_named() {
    let mut log = log(6, 100);
    let at = log.entries[1].offset as usize;
    log.bytes[at..at.next_multiple_of(SECTOR)].fill(0);
    let said = verify(&log, 1 << 20);
    assert!(matches!(said.problems[..], [Problem::Truncated { had: 3, there: 1, .. }]), "{said:?}");
}

proptest! {
    #[test]
    fn a_tail_is_judged_alike_in_pieces_of_any_size(
        parts in proptest::collection::vec((any::<bool>(), 1..1500_usize), 0..6),
        offset in 0..2000_u64,
        piece in 1..600_usize,
    ) {
        let mut bytes = Vec::new();
        for (written, length) in parts {
            bytes.extend(vec![if written { b'x' } else { 0 }; length]);
        }
        let mut whole = Tail::new(offset, 1000);
        whole.feed(&bytes);
        let mut cut = Tail::new(offset, 1000);
        bytes.chunks(piece).for_each(|piece| cut.feed(piece));
        prop_assert_eq!(whole.torn_bytes(), cut.torn_bytes());
        let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64 + 1);
        prop_assert!(whole.torn_bytes().is_none_or(|bytes| bytes == written));
    }
}
