//! Evidence as it comes, breaks off, is whole, and is removed.

use super::*;
use sha2::{Digest as _, Sha256};

const LIMITS: EvidenceLimits = EvidenceLimits {
    bytes_max: 200_000,
    pieces_max: 2,
    total_bytes_max: 300_000,
    unfinished_for: Duration::from_secs(3_600),
    kept_for: Duration::from_secs(86_400),
};
const HAZARD: TraceId = TraceId::from_u128(7);

struct Fixture {
    _folder: tempfile::TempDir,
    data: DataFolder,
    evidence: Evidence,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().expect("a folder");
    let data = DataFolder::open(folder.path()).expect("a data folder");
    let evidence = Evidence::open(&data, LIMITS).expect("nothing is there");
    Fixture { _folder: folder, data, evidence }
}

fn new(id: u128, bytes: &[u8]) -> NewEvidence<'static> {
    NewEvidence {
        escalation: HAZARD,
        id: TraceId::from_u128(id),
        name: "valve.png",
        media_type: "image/png",
        length: bytes.len() as u64,
        sha256: Some(Sha256::digest(bytes).into()),
        by: "anna",
    }
}

fn untouched(text: &str) -> (String, u32) {
    (text.to_owned(), 0)
}

/// Bytes that are no text, and no two chunks of them the same.
fn picture(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}

#[test]
fn what_comes_in_pieces_is_kept_as_it_was_announced_also_behind_a_restart() {
    let Fixture { _folder, data, mut evidence } = fixture();
    let (bytes, id) = (picture(150_000), TraceId::from_u128(1));
    evidence.create(new(1, &bytes), Time::from_secs(1)).expect("there is room");
    let first = evidence.append(HAZARD, id, 0, &bytes[..CHUNK_BYTES]).expect("the first");
    assert_eq!(first.offset, 65_536);
    for wrong in [0, 65_535, 65_537, 150_000, u64::MAX] {
        let error = evidence.append(HAZARD, id, wrong, b"x").expect_err("not the next");
        assert!(matches!(error, EvidenceError::WrongOffset { at: 65_536 }), "{error}");
    }
    assert!(matches!(
        evidence.append(HAZARD, id, 65_536, &picture(100_000)),
        Err(EvidenceError::TooLong { max: 150_000 })
    ));
    assert!(matches!(
        evidence.finish(HAZARD, id, Time::from_secs(2), untouched),
        Err(EvidenceError::Unfinished { at: 65_536, length: 150_000 })
    ));

    let mut evidence = Evidence::open(&data, LIMITS).expect("what was there");
    assert_eq!(evidence.get(HAZARD, id).expect("it is there").offset, 65_536);
    evidence.append(HAZARD, id, 65_536, &bytes[CHUNK_BYTES..]).expect("the rest");
    let whole = evidence.finish(HAZARD, id, Time::from_secs(3), untouched).expect("as announced").clone();

    let kept = Evidence::open(&data, LIMITS).expect("what was there");
    assert_eq!(kept.get(HAZARD, id).expect("it is there"), &whole);
    assert_eq!(fs::read(kept.content(&whole)).expect("bytes"), bytes);
    let whole = whole.whole.expect("it is whole");
    assert_eq!(
        whole.chunks,
        bytes.chunks(CHUNK_BYTES).map(|chunk| Sha256::digest(chunk).into()).collect::<Vec<[u8; 32]>>()
    );
    assert_eq!((whole.sha256, whole.bytes), (Sha256::digest(&bytes).into(), 150_000));
    assert!(matches!(evidence.append(HAZARD, id, 150_000, b""), Err(EvidenceError::Whole)));
}

#[test]
fn what_is_another_than_was_announced_is_gone() {
    let Fixture { mut evidence, .. } = fixture();
    let (bytes, id) = (picture(10), TraceId::from_u128(1));
    evidence.create(new(1, &bytes), Time::ZERO).expect("there is room");
    evidence.append(HAZARD, id, 0, &[0; 10]).expect("as long as announced");
    let error = evidence.finish(HAZARD, id, Time::ZERO, untouched).expect_err("another");
    assert!(matches!(error, EvidenceError::Mismatch { .. }), "{error}");
    assert!(matches!(evidence.get(HAZARD, id), Err(EvidenceError::Unknown)));
    assert_eq!(fs::read_dir(&evidence.folder).expect("a folder").count(), 0);
}

#[test]
fn of_text_is_kept_what_may_be() {
    let Fixture { mut evidence, .. } = fixture();
    let (text, id) = ("call anna@example.org\n".as_bytes(), TraceId::from_u128(1));
    evidence.create(new(1, text), Time::ZERO).expect("there is room");
    evidence.append(HAZARD, id, 0, text).expect("as long as announced");
    let redact = |text: &str| (text.replace("anna@example.org", "[REDACTED:EMAIL]"), 1);
    let entry = evidence.finish(HAZARD, id, Time::ZERO, redact).expect("as announced").clone();
    let kept = fs::read(evidence.content(&entry)).expect("bytes");
    assert_eq!(kept, b"call [REDACTED:EMAIL]\n");
    let whole = entry.whole.expect("it is whole");
    assert_eq!((whole.sha256, whole.redacted), (Sha256::digest(text).into(), 1));
    assert_eq!((whole.kept_sha256, whole.bytes), (Sha256::digest(&kept).into(), kept.len() as u64));
}

#[test]
fn what_breaks_off_while_text_is_blotted_out_begins_again() {
    let Fixture { _folder, data, mut evidence } = fixture();
    let (text, id) = ("call anna@example.org\n".as_bytes(), TraceId::from_u128(1));
    let redact = |text: &str| (text.replace("anna@example.org", "[REDACTED:EMAIL]"), 1);
    evidence.create(new(1, text), Time::ZERO).expect("there is room");
    evidence.append(HAZARD, id, 0, text).expect("as long as announced");
    let place = evidence.place(evidence.get(HAZARD, id).expect("it is there"));
    let (entry, aside) = (place.join(ENTRY), place.join("aside"));
    fs::rename(&entry, &aside).expect("it is there");
    fs::create_dir(&entry).expect("its place is free");
    evidence.finish(HAZARD, id, Time::ZERO, redact).expect_err("it cannot be written down");
    assert_eq!(evidence.get(HAZARD, id).expect("it is there").whole, None);
    fs::remove_dir(&entry).expect("it is empty");
    fs::rename(&aside, &entry).expect("its place is free");

    let mut evidence = Evidence::open(&data, LIMITS).expect("what was there");
    let whole = evidence.finish(HAZARD, id, Time::ZERO, redact).expect("as announced").clone();
    assert!(!place.join(CONTENT).exists(), "what says something about persons is gone");
    fs::write(place.join(CONTENT), text).expect("as if it had ended before it was removed");
    let evidence = Evidence::open(&data, LIMITS).expect("what was there");
    assert!(!place.join(CONTENT).exists(), "it is gone when it is opened again");
    assert_eq!(evidence.get(HAZARD, id).expect("it is there"), &whole);
    assert_eq!(fs::read(evidence.content(&whole)).expect("bytes"), b"call [REDACTED:EMAIL]\n");
}

#[test]
fn there_is_only_so_much_room() {
    let Fixture { mut evidence, .. } = fixture();
    let create = |evidence: &mut Evidence, id, length| {
        let new = NewEvidence { length, ..new(id, b"") };
        evidence.create(new, Time::ZERO).map(|entry| entry.length)
    };
    assert!(matches!(create(&mut evidence, 1, 200_001), Err(EvidenceError::TooLong { max: 200_000 })));
    assert!(matches!(create(&mut evidence, 1, 1 << 30), Err(EvidenceError::TooLong { .. })));
    create(&mut evidence, 1, 200_000).expect("there is room");
    let full = create(&mut evidence, 2, 100_001);
    assert!(matches!(full, Err(EvidenceError::NoRoom { total: 200_000, max: 300_000 })), "{full:?}");
    create(&mut evidence, 2, 100_000).expect("there is room");
    assert!(matches!(create(&mut evidence, 3, 0), Err(EvidenceError::TooMany { max: 2 })));
}

#[test]
fn what_is_old_and_what_was_given_up_is_swept_away() {
    let Fixture { mut evidence, .. } = fixture();
    for id in [1, 2] {
        evidence.create(new(id, b"\x01\x02"), Time::ZERO).expect("there is room");
    }
    evidence.append(HAZARD, TraceId::from_u128(1), 0, b"\x01\x02").expect("all of it");
    evidence.finish(HAZARD, TraceId::from_u128(1), Time::ZERO, untouched).expect("as announced");
    let swept = |evidence: &mut Evidence, at| {
        evidence.sweep(Time::from_secs(at)).iter().map(|entry| entry.id.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(swept(&mut evidence, 3_599), [0; 0]);
    assert_eq!(swept(&mut evidence, 3_600), [2]);
    assert_eq!(swept(&mut evidence, 86_400), [1]);
    assert_eq!((evidence.count(), evidence.total_bytes()), (0, 0));
}
