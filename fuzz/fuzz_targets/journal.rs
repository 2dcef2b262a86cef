//! A journal's segment of any bytes, and records of any bytes in a log of bindings: what is read are whole records, what
//! is torn is cut once, and what was read is read again after the log was compacted.
//!
//! The first byte of the input says which of the two it is. Each input writes files, where
//! `TMPDIR` says: `make fuzz` sets it to a folder in memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::fs;
use std::path::Path;
use sx_engine::Time;
use sx_sip::registrar::{Record, Registrar, RegistrarConfig};
use sx_store::{Entries, Journal, JournalError, JournalOptions, KeyedLog, ReadError, Replay, SyncPolicy};

/// What a frame has before its record: the length and the checksum.
const FRAME_BYTES: usize = 8;
const RECORDS_MAX: usize = 32;
const OPTIONS: JournalOptions =
    JournalOptions { segment_bytes_max: 1 << 12, buffer_bytes_max: 1 << 20, sync: SyncPolicy::Never };

fn open(dir: &Path) -> Result<(Journal, Replay, Vec<Vec<u8>>), JournalError> {
    let mut records = Vec::new();
    let (journal, replay) = Journal::open(dir, &OPTIONS, |record| records.push(record.to_vec()))?;
    Ok((journal, replay, records))
}

fn segment(bytes: &[u8]) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("00000001.log");
    fs::write(&path, bytes).expect("a segment");
    let (mut journal, replay, records) = match open(dir.path()) {
        Ok(opened) => opened,
        Err(JournalError::Read(ReadError::Foreign { .. })) => {
            return assert_eq!(fs::read(&path).expect("the file"), bytes, "what is not ours is left alone");
        }
        Err(error) => panic!("{error}"),
    };
    let good: usize = records.iter().map(|record| FRAME_BYTES + record.len()).sum();
    let lost: u64 = replay.torn.iter().map(|torn| torn.lost_bytes).sum();
    assert!(good as u64 + lost <= bytes.len() as u64);
    assert_eq!(replay.records, records.len() as u64);
    journal.append(b"one more").expect("room");
    journal.commit().expect("it is written");
    drop(journal);
    let (_, replay, again) = open(dir.path()).expect("it opens as before");
    assert!(replay.torn.is_empty(), "what was cut is not torn any more");
    assert_eq!(again.split_last(), Some((&b"one more".to_vec(), &records[..])));
}

fn log(dir: &Path) -> (KeyedLog<Record>, Entries<Record>) {
    KeyedLog::<Record>::open(dir, &OPTIONS).expect("it opens")
}

/// Records with the byte 0x1e between them, each with a valid frame.
fn bindings(records: &[u8]) {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut journal, ..) = open(dir.path()).expect("it opens");
    for record in records.split(|byte| *byte == 0x1e).take(RECORDS_MAX) {
        journal.append(record).expect("room");
    }
    journal.commit().expect("it is written");
    drop(journal);

    let (written, entries) = log(dir.path());
    written.compact();
    drop(written);
    let (mut written, compacted) = log(dir.path());
    assert_eq!(compacted, entries);
    let (now, mut registrar) = (Time::from_secs(1_800_000_000), Registrar::new(RegistrarConfig::default(), [9; 16]));
    for (aor, record) in &entries {
        registrar.restore(now, aor, record);
        let live = record.0.iter().filter(|binding| u64::from(binding.expires) > now.as_secs()).count();
        assert!(registrar.contacts(now, aor).count() <= live);
        written.put(aor, record).expect("what was read can be written");
    }
    assert!(registrar.users() <= entries.len());
    written.commit().expect("it is written");
    drop(written);
    assert_eq!(log(dir.path()).1, entries);
}

fuzz_target!(|input: &[u8]| {
    match input.split_first() {
        Some((b'b', records)) => bindings(records),
        Some((_, bytes)) => segment(bytes),
        None => {}
    }
});
