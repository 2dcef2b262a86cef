//! The keyed log and its compaction.

use super::*;
use crate::journal::list;
use crate::{JournalError, SyncPolicy};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::Ordering;
use tempfile::tempdir;

const OPTIONS: JournalOptions =
    JournalOptions { segment_bytes_max: 2000, buffer_bytes_max: 1 << 20, sync: SyncPolicy::Never };

fn open(dir: &Path) -> (KeyedLog<u64>, Entries<u64>) {
    KeyedLog::open(dir, &OPTIONS).expect("the log opens")
}

fn files(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Puts 100 keys over and over, so that many segments are closed.
fn fill(log: &mut KeyedLog<u64>) {
    for number in 0..1000 {
        log.put(&format!("key-{:03}", number % 100), &number).expect("a put");
        log.commit().expect("a commit");
    }
    log.delete("key-007").expect("a delete");
    log.commit().expect("a commit");
}

fn filled() -> Entries<u64> {
    (0..100).filter(|key| *key != 7).map(|key| (format!("key-{key:03}"), 900 + key)).collect()
}

#[test]
fn compaction_keeps_what_counts_and_removes_the_rest() {
    let dir = tempdir().expect("a folder");
    let (mut log, _) = open(dir.path());
    fill(&mut log);
    log.compact();
    let after = files(dir.path());
    assert_eq!(after.len(), 2, "a snapshot and the growing segment: {after:?}");
    assert!(log.counters().compactions.load(Ordering::Relaxed) > 0);
    log.put("key-000", &1).expect("a put");
    drop(log);
    let mut expected = filled();
    expected[0].1 = 1;
    assert_eq!(open(dir.path()).1, expected);
}

#[test]
fn a_deleted_key_stays_deleted_when_its_put_is_in_the_snapshot() {
    let dir = tempdir().expect("a folder");
    for delete in [false, true] {
        let (mut log, entries) = open(dir.path());
        assert_eq!(entries.len(), usize::from(delete));
        if delete { log.delete("key") } else { log.put("key", &1) }.expect("room");
        drop(log);
        open(dir.path()).0.compact();
    }
    assert_eq!(open(dir.path()).1, []);
}

#[test]
fn a_crash_at_any_step_of_a_compaction_loses_nothing() {
    let dir = tempdir().expect("a folder");
    let (mut log, _) = open(dir.path());
    fill(&mut log);
    drop(log);
    let before: Vec<_> = files(dir.path()).into_iter().map(|name| (name.clone(), read(dir.path(), &name))).collect();
    let (log, _) = open(dir.path());
    log.compact();
    drop(log);
    let after: Vec<_> = files(dir.path()).into_iter().map(|name| (name.clone(), read(dir.path(), &name))).collect();
    let snapshot = after.iter().find(|(name, _)| name.ends_with(".snap")).expect("a snapshot");

    // The temporary file was written in part.
    for length in [0, 5, 100, snapshot.1.len()] {
        let mut crashed = before.clone();
        crashed.push(("snapshot.tmp".to_owned(), snapshot.1[..length].to_vec()));
        check_files(&crashed);
    }
    // The snapshot has its name, and of what it replaces any number of files is left, in any order.
    for removed in 0..before.len() {
        let mut crashed = after.clone();
        crashed.extend_from_slice(&before[removed..]);
        check_files(&crashed);
        crashed.truncate(after.len());
        crashed.extend_from_slice(&before[..removed]);
        check_files(&crashed);
    }
}

fn read(dir: &Path, name: &str) -> Vec<u8> {
    fs::read(dir.join(name)).expect("a file")
}

fn check_files(files: &[(String, Vec<u8>)]) {
    let dir = tempdir().expect("a folder");
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).expect("a file");
    }
    let names: Vec<_> = files.iter().map(|(name, _)| name).collect();
    let (log, entries) = open(dir.path());
    assert_eq!(entries, filled(), "{names:?}");
    log.compact();
    drop(log);
    assert_eq!(open(dir.path()).1, filled(), "{names:?}");
}

#[test]
fn small_segments_are_left_alone() {
    let dir = tempdir().expect("a folder");
    let (mut log, _) = open(dir.path());
    log.put("key", &1).expect("a put");
    drop(log);
    let (log, _) = open(dir.path());
    turn_of(&log.compaction, &log.counters, false);
    assert_eq!(log.counters().compactions.load(Ordering::Relaxed), 0);
    assert_eq!(files(dir.path()), ["00000001.log"]);
}

#[test]
fn a_torn_tail_costs_one_entry_and_is_reported() {
    let dir = tempdir().expect("a folder");
    let (mut log, _) = open(dir.path());
    log.put("a", &1).expect("a put");
    log.put("b", &2).expect("a put");
    drop(log);
    let path = &list(dir.path()).expect("segments")[0].path;
    let bytes = fs::read(path).expect("the segment");
    fs::write(path, &bytes[..bytes.len() - 1]).expect("a cut");
    let (log, entries) = open(dir.path());
    assert_eq!(entries, [("a".to_owned(), 1)]);
    assert_eq!(log.counters().journal.torn_tails.load(Ordering::Relaxed), 1);
}

#[test]
fn an_entry_of_another_type_is_left_out_and_counted() {
    let dir = tempdir().expect("a folder");
    let (mut log, _) = open(dir.path());
    log.put("number", &1).expect("a put");
    drop(log);
    let opened: Result<(KeyedLog<String>, _), JournalError> = KeyedLog::open(dir.path(), &OPTIONS);
    let (log, entries) = opened.expect("the log opens");
    assert_eq!(entries, []);
    assert_eq!(log.counters().journal.damaged.load(Ordering::Relaxed), 1);
}

#[test]
fn a_hundred_thousand_bindings_are_replayed() {
    let dir = tempdir().expect("a folder");
    let options = JournalOptions { sync: SyncPolicy::Never, ..JournalOptions::default() };
    let value = ["sip:anna@192.0.2.7:5060;transport=udp;line=0123456789abcdef".repeat(4)];
    let (mut log, _) = KeyedLog::<[String; 1]>::open(dir.path(), &options).expect("the log opens");
    for number in 0..100_000 {
        log.put(&format!("user-{number:06}@example.org"), &value).expect("a put");
        if number % 1000 == 999 {
            log.commit().expect("a commit");
        }
    }
    drop(log);
    let (_, entries) = KeyedLog::<[String; 1]>::open(dir.path(), &options).expect("the log opens");
    assert_eq!(entries.len(), 100_000);
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u64),
    Delete(u8),
    Compact,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..20_u8, any::<u64>()).prop_map(|(key, value)| Step::Put(key, value)),
        4 => (0..20_u8).prop_map(Step::Delete),
        1 => Just(Step::Compact),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_log_is_a_map_whenever_it_is_compacted_or_reopened(steps in proptest::collection::vec(step(), 0..150)) {
        let dir = tempdir().expect("a folder");
        let options = JournalOptions { segment_bytes_max: 200, ..OPTIONS };
        let reopen = || KeyedLog::<u64>::open(dir.path(), &options).expect("the log opens");
        let (mut log, mut map) = (reopen().0, BTreeMap::new());
        for step in steps {
            match step {
                Step::Put(key, value) => {
                    map.insert(key.to_string(), value);
                    log.put(&key.to_string(), &value).expect("a put");
                }
                Step::Delete(key) => {
                    map.remove(&key.to_string());
                    log.delete(&key.to_string()).expect("a delete");
                }
                Step::Compact => log.compact(),
                Step::Reopen => {
                    drop(log);
                    let (opened, entries) = reopen();
                    prop_assert_eq!(&entries, &map.clone().into_iter().collect::<Vec<_>>());
                    log = opened;
                }
            }
            log.commit().expect("a commit");
        }
        drop(log);
        prop_assert_eq!(reopen().1, map.into_iter().collect::<Vec<_>>());
    }
}
