//! An entry of a journal of call records: read, written and read again; and taken into the database, where a call that
//! it begins is ended, twice, without anything being written twice.
//!
//! The input is a list of entries with the bytes 0x1e 0x1e between them. An input with a whole entry
//! writes files, where `TMPDIR` says: `make fuzz` sets it to a folder in memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::HashSet;
use sx_call::CallRecord;
use sx_engine::Time;
use sx_store::{CdrFilter, CdrOptions, CdrStore, DataFolder, JournalOptions, SyncPolicy};

/// The encoding is nobody's business outside of its crate, and is taken from there as it stands.
#[path = "../../crates/io/store/src/cdr/encoding.rs"]
#[allow(dead_code, reason = "the store reads some of it in other ways")]
mod encoding;
#[path = "../../crates/io/store/src/cdr/port_numbers.rs"]
#[allow(dead_code, reason = "likewise")]
mod port_numbers;

const ENTRIES_MAX: usize = 8;

fn entries(input: &[u8]) -> Vec<CallRecord> {
    let mut entries = Vec::new();
    let mut rest = input;
    while entries.len() < ENTRIES_MAX {
        let at = rest.windows(2).position(|window| window == [0x1e, 0x1e]);
        let entry = &rest[..at.unwrap_or(rest.len())];
        let head = encoding::peek(entry);
        if let Ok(record) = encoding::decode(entry) {
            let head = head.expect("what is whole has a head");
            let mut bytes = Vec::new();
            encoding::encode(&record, &mut bytes);
            assert_eq!(encoding::peek(&bytes).map(|head| head.call), Ok(head.call));
            assert_eq!(encoding::decode(&bytes).as_ref(), Ok(&record), "what was written is read again");
            entries.push(record);
        }
        let Some(at) = at else { break };
        rest = &rest[at + 2..];
    }
    entries
}

fn fold(records: &[CallRecord]) {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = DataFolder::open(dir.path()).expect("a data folder");
    let journal = JournalOptions { sync: SyncPolicy::Never, ..JournalOptions::default() };
    let options = CdrOptions { journal, ..CdrOptions::default() };
    let (mut store, _) = CdrStore::open(&folder, &options, || Time::ZERO).expect("an empty store");
    let mut writer = store.writer("worker-0").expect("a writer");
    for record in records {
        writer.append(record).expect("room");
    }
    writer.commit().expect("it is written");
    store.fold().expect("what could be read is taken in");
    drop((writer, store));
    let calls: HashSet<_> = records
        .iter()
        .filter_map(|record| match record {
            CallRecord::Begun(cdr) | CallRecord::Ended(cdr) => Some(cdr.call),
            CallRecord::Answered { call, .. } | CallRecord::Moved { call, .. } => Some(*call),
            CallRecord::Recorded(recording) => Some(recording.call),
            CallRecord::Alive { .. } => None,
        })
        .collect();
    let count = || folder.shared().cdrs().expect("a database").count(&CdrFilter::default()).expect("a count");
    let before = count();
    // A call that has not ended has a record when the store opens again, and then no call is alive any more.
    drop(CdrStore::open(&folder, &options, || Time::ZERO).expect("the store of an earlier run"));
    let after = count();
    let (store, recovery) = CdrStore::open(&folder, &options, || Time::ZERO).expect("the store of an earlier run");
    drop(store);
    assert_eq!(recovery.calls_cut_off, 0);
    assert!(before <= after && after as usize <= calls.len());
    assert_eq!(count(), after);
}

fuzz_target!(|input: &[u8]| {
    let entries = entries(input);
    if !entries.is_empty() {
        fold(&entries);
    }
});
