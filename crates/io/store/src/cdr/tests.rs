//! Records of calls, and crashes at every moment.

mod any_record;
mod signs_of_life;

use super::encoding::encode;
use super::*;
use crate::SyncPolicy;
use crate::journal::list;
use std::fs;
use std::path::Path;
use sx_call::{Attempt, Cdr, Ender};
use sx_leg::{Address, Source};
use sx_media::PortStats;
use sx_types::{CallId, Cause, Codec, TraceId};
use tempfile::{TempDir, tempdir};

const SECOND: u64 = 1_000_000_000;
/// 2026-11-20T12:00:00Z.
const NOON: u64 = 1_795_176_000 * SECOND;

/// Small segments, and a day between folds, so that a test says when there is one.
pub(super) fn options() -> CdrOptions {
    let journal = JournalOptions { segment_bytes_max: 3000, sync: SyncPolicy::Never, ..JournalOptions::default() };
    CdrOptions { journal, fold_interval: Duration::from_secs(86_400), keep: None }
}

fn noon() -> Time {
    Time::from_nanos(NOON)
}

fn call(number: u64) -> CallId {
    CallId::new(NOON / 1_000_000 + number, number.into())
}

/// A call `number` seconds after noon as it is when it is admitted.
pub(super) fn begun(number: u64) -> Box<Cdr> {
    let start = NOON + number * SECOND;
    Box::new(Cdr {
        call: call(number),
        trace: TraceId::from_u128(number.into()),
        source: Source::User(Address::new("anna", "example.org")),
        caller: Address::new("+4930123456", "example.org"),
        dialled: Address::new("030987654", "example.org"),
        start,
        ring: None,
        answer: None,
        end: start,
        cause: Cause::NORMAL,
        status: 0,
        ended_by: Ender::Exchange,
        attempts: Vec::new(),
        codec: None,
        caller_media: None,
        called_media: None,
    })
}

/// The same call when it is over, after a minute.
pub(super) fn ended(number: u64) -> Box<Cdr> {
    let mut cdr = begun(number);
    let start = cdr.start;
    (cdr.ring, cdr.answer, cdr.end) = (Some(start + SECOND), Some(start + 5 * SECOND), start + 60 * SECOND);
    (cdr.status, cdr.ended_by, cdr.codec) = (200, Ender::Called, Some(Codec::Pcma));
    let stats =
        PortStats { packets_received: 2750, bytes_received: 473_000, last_payload_type: 8, ..Default::default() };
    (cdr.caller_media, cdr.called_media) = (Some(stats), Some(PortStats { jitter_us: 1300, ..stats }));
    cdr.attempts = vec![
        Attempt {
            target: "trunk:first".into(),
            routed: Address::new("+4930987654", "first.example"),
            start,
            ring: None,
            answer: None,
            end: start + SECOND / 2,
            cause: Cause::CONGESTION,
            status: 503,
        },
        Attempt {
            target: "trunk:second".into(),
            routed: Address::new("+4930987654", "second.example"),
            start: start + SECOND / 2,
            ring: cdr.ring,
            answer: cdr.answer,
            end: cdr.end,
            cause: Cause::NORMAL,
            status: 200,
        },
    ];
    cdr
}

fn answered(number: u64) -> CallRecord {
    CallRecord::Answered { call: call(number), at: NOON + (number + 5) * SECOND, by: "trunk:second".into() }
}

pub(super) fn open(path: &Path) -> (DataFolder, CdrStore, Recovery) {
    let folder = DataFolder::open(path).expect("the folder opens");
    let (store, recovery) = CdrStore::open(&folder, &options(), noon).expect("the store opens");
    (folder, store, recovery)
}

pub(super) fn write(writer: &mut CdrWriter, records: &[CallRecord]) {
    for record in records {
        writer.append(record).expect("room");
    }
    writer.commit().expect("a commit");
}

/// The data folder as a crash at this moment would leave it.
pub(super) fn crashed(path: &Path) -> TempDir {
    let copy = tempdir().expect("a folder");
    copy_folder(path, copy.path());
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&target).expect("a folder");
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

fn all(folder: &DataFolder) -> Vec<Cdr> {
    folder.shared().cdrs().expect("a reader").list(&CdrFilter::default()).expect("the calls")
}

#[test]
fn a_call_that_has_ended_is_folded_while_the_writer_goes_on() {
    let dir = tempdir().expect("a folder");
    let (folder, mut store, _) = open(dir.path());
    let mut writer = store.writer("worker-0").expect("a writer");
    let reader = folder.shared().cdrs().expect("a reader");
    for number in 0..200 {
        write(&mut writer, &[CallRecord::Begun(begun(number)), answered(number), CallRecord::Ended(ended(number))]);
        assert_eq!(store.counters().fold_lag(), 3);
        store.fold().expect("a fold");
        assert_eq!(store.counters().fold_lag(), 0);
        assert_eq!(reader.count(&CdrFilter::default()).expect("a count"), number + 1);
        assert_eq!(reader.show(call(number)).expect("a call"), Some(*ended(number)));
    }
    assert_eq!(list(&dir.path().join("cdr/worker-0")).expect("segments").len(), 1, "folded segments are removed");
    assert!(store.counters().segments_removed.load(Ordering::Relaxed) > 5);
    drop((writer, store));
    assert_eq!(list(&dir.path().join("cdr/worker-0")).expect("segments"), [], "a closed journal is folded to its end");
    assert_eq!(open_again(folder, dir.path()).1, Recovery::default());
}

fn open_again(folder: DataFolder, path: &Path) -> (Vec<Cdr>, Recovery) {
    drop(folder);
    let (folder, store, recovery) = open(path);
    drop(store);
    (all(&folder), recovery)
}

#[test]
fn a_crash_at_any_moment_gives_each_call_exactly_one_record() {
    let dir = tempdir().expect("a folder");
    let (_folder, mut store, _) = open(dir.path());
    let mut writers = [store.writer("worker-0").expect("a writer"), store.writer("worker-1").expect("a writer")];
    for number in 0..60 {
        let writer = &mut writers[number as usize % 2];
        write(writer, &[CallRecord::Begun(begun(number))]);
        if number >= 20 {
            // Each call lives for twenty others, which is longer than a segment.
            write(writer, &[answered(number - 20), CallRecord::Ended(ended(number - 20))]);
        }
        if number % 7 == 3 {
            store.fold().expect("a fold");
        }
        let copy = crashed(dir.path());
        check_recovered(copy.path(), number + 1);
    }
}

/// After a crash when calls up to `count` had begun and all but the last twenty of them ended.
fn check_recovered(path: &Path, count: u64) {
    let (folder, store, recovery) = open(path);
    drop(store);
    let live = count.min(20);
    assert_eq!(recovery.calls_cut_off, live);
    let cdrs = all(&folder);
    assert_eq!(cdrs.len() as u64, count);
    let end = cdrs.iter().map(|cdr| cdr.end.max(cdr.start)).max().expect("there are calls");
    for (number, cdr) in (0..).zip(&cdrs) {
        if number + live < count {
            assert_eq!(*cdr, *ended(number));
        } else {
            let expected = Cdr { end, cause: Cause(41), ended_by: Ender::Process, ..*begun(number) };
            assert_eq!(*cdr, expected);
        }
    }
    let (again, recovery) = open_again(folder, path);
    assert_eq!((again, recovery.calls_cut_off), (cdrs, 0));
}

#[test]
fn a_call_that_another_process_has_taken_over_is_none_that_was_cut_off() {
    let dir = tempdir().expect("a folder");
    let (folder, mut store, _) = open(dir.path());
    let mut writer = store.writer("w").expect("a writer");
    let moved = CallRecord::Moved { call: call(1), at: NOON + SECOND };
    write(&mut writer, &[CallRecord::Begun(begun(0)), CallRecord::Begun(begun(1)), answered(1), moved]);
    drop((writer, store));
    let (cdrs, recovery) = open_again(folder, dir.path());
    assert_eq!((recovery.calls_cut_off, cdrs.len()), (1, 1));
    assert_eq!(cdrs[0].call, call(0));
}

#[test]
fn a_crash_between_fold_and_removal_gives_no_double() {
    let dir = tempdir().expect("a folder");
    let (folder, mut store, _) = open(dir.path());
    let mut writer = store.writer("w").expect("a writer");
    write(&mut writer, &[CallRecord::Begun(begun(900)), CallRecord::Begun(begun(901)), answered(901)]);
    for number in 0..50 {
        write(&mut writer, &[CallRecord::Begun(begun(number)), CallRecord::Ended(ended(number))]);
    }
    let before = crashed(dir.path());
    store.fold().expect("a fold");
    // Everything is in the database, and no segment is removed yet.
    let after = crashed(dir.path());
    copy_folder(&before.path().join("cdr"), &after.path().join("cdr"));
    let (folder_after, store_after, recovery) = open(after.path());
    assert_eq!(recovery.calls_cut_off, 2);
    assert_eq!(all(&folder_after).len(), 52);
    drop(store_after);
    // And once more, when the crash came in the midst of that.
    copy_folder(&before.path().join("cdr"), &after.path().join("cdr"));
    let (again, recovery) = open_again(folder_after, after.path());
    assert_eq!((again.len(), recovery.calls_cut_off), (52, 0));
    assert_eq!((list(&after.path().join("cdr/w")).expect("segments"), set_aside(after.path())), (vec![], 0));
    drop((writer, store, folder));
}

#[test]
fn a_call_that_was_answered_is_cut_off_as_answered() {
    let dir = tempdir().expect("a folder");
    let (_folder, mut store, _) = open(dir.path());
    let mut writer = store.writer("w").expect("a writer");
    write(&mut writer, &[CallRecord::Begun(begun(0)), answered(0)]);
    // Its records are in segments that are gone.
    for number in 1..100 {
        write(&mut writer, &[CallRecord::Begun(begun(number)), CallRecord::Ended(ended(number))]);
    }
    store.fold().expect("a fold");
    let copy = crashed(dir.path());
    let (folder, ..) = open(copy.path());
    let cdr = folder.shared().cdrs().expect("a reader").show(call(0)).expect("a query").expect("the call");
    let last = ended(99).end;
    assert_eq!(
        (cdr.answer, cdr.end, cdr.cause, cdr.ended_by),
        (Some(NOON + 5 * SECOND), last, Cause(41), Ender::Process)
    );
    let attempt = &cdr.attempts[0];
    assert_eq!((&*attempt.target, attempt.answer, attempt.end), ("trunk:second", cdr.answer, last));
}

#[test]
fn a_call_cut_off_in_its_last_record_is_cut_off() {
    let dir = tempdir().expect("a folder");
    let (_folder, mut store, _) = open(dir.path());
    let mut writer = store.writer("w").expect("a writer");
    write(&mut writer, &[CallRecord::Begun(begun(0)), CallRecord::Ended(ended(0))]);
    let path = list(&dir.path().join("cdr/w")).expect("segments").remove(0).path;
    let whole = fs::metadata(&path).expect("a file").len();
    let mut last = Vec::new();
    encode(&CallRecord::Ended(ended(0)), &mut last);
    for cut in 1..=last.len() as u64 + 8 {
        let copy = crashed(dir.path());
        let torn = copy.path().join("cdr/w").join(path.file_name().expect("a name"));
        File::options().write(true).open(torn).and_then(|file| file.set_len(whole - cut)).expect("a cut");
        let (folder, _store, recovery) = open(copy.path());
        assert_eq!(recovery.calls_cut_off, 1);
        assert_eq!(recovery.replay.torn.len(), usize::from(cut < last.len() as u64 + 8));
        assert_eq!(all(&folder)[0].cause, Cause(41));
    }
}

#[test]
fn records_wait_in_the_journal_while_the_database_refuses() {
    let dir = tempdir().expect("a folder");
    let (folder, mut store, _) = open(dir.path());
    let mut writer = store.writer("w").expect("a writer");
    let other = rusqlite::Connection::open(dir.path().join(table::FILE)).expect("a connection");
    other.execute_batch("ALTER TABLE cdr_attempt RENAME TO elsewhere").expect("a change");
    write(&mut writer, &[CallRecord::Begun(begun(0)), CallRecord::Ended(ended(0))]);
    for _ in 0..2 {
        let error = store.fold().expect_err("a table is missing");
        assert!(error.to_string().contains("cdr.sqlite"), "{error}");
    }
    assert_eq!(store.counters().fold_lag(), 2);
    assert_eq!(store.counters().fold_failures.load(Ordering::Relaxed), 2);
    other.execute_batch("ALTER TABLE elsewhere RENAME TO cdr_attempt").expect("a change");
    store.fold().expect("a fold");
    assert_eq!((all(&folder), store.counters().fold_lag()), (vec![*ended(0)], 0));
}

#[test]
fn a_record_that_cannot_be_read_costs_only_itself() {
    let dir = tempdir().expect("a folder");
    let (folder, mut store, _) = open(dir.path());
    let mut writer = store.writer("w").expect("a writer");
    writer.journal.append(b"\x09 of another version").expect("room");
    write(&mut writer, &[CallRecord::Ended(ended(0))]);
    store.fold().expect("a fold");
    assert_eq!(all(&folder).len(), 1);
    assert_eq!(store.counters().journal.damaged.load(Ordering::Relaxed), 1);
}

/// The segments that were set aside.
fn set_aside(path: &Path) -> usize {
    let entries = fs::read_dir(path.join("cdr/w")).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "damaged")).count()
}

#[test]
fn a_segment_with_bytes_that_are_no_records_is_set_aside_and_not_removed() {
    let dir = tempdir().expect("a folder");
    let (folder, mut store, _) = open(dir.path());
    let mut writer = store.writer("w").expect("a writer");
    write(&mut writer, &[CallRecord::Ended(ended(0))]);
    let path = list(&dir.path().join("cdr/w")).expect("segments").remove(0).path;
    // Once the process has died, and once while it runs on to the next segment.
    let copy = crashed(dir.path());
    let spoilt = copy.path().join("cdr/w").join(path.file_name().expect("a name"));
    fs::write(&spoilt, [&fs::read(&spoilt).expect("a file")[..], &[7; 40]].concat()).expect("a file");
    let (copied, other, recovery) = open(copy.path());
    assert_eq!((recovery.replay.torn.len(), set_aside(copy.path())), (1, 1));
    assert_eq!(other.counters().segments_set_aside.load(Ordering::Relaxed), 1);
    // And when it dies once more, after the records are in the database and before the segment is set aside.
    drop((copied, other));
    fs::rename(spoilt.with_extension("damaged"), &spoilt).expect("a file");
    let (copied, _other, recovery) = open(copy.path());
    assert_eq!((recovery.replay.segments, set_aside(copy.path()), all(&copied).len()), (0, 1, 1));

    writer.journal.append(b"\x09 of another version").expect("room");
    for number in 1..60 {
        write(&mut writer, &[CallRecord::Ended(ended(number))]);
    }
    store.fold().expect("a fold");
    assert_eq!((all(&folder).len(), set_aside(dir.path())), (60, 1));
    let counters = store.counters();
    assert_eq!(counters.segments_set_aside.load(Ordering::Relaxed), 1);
    assert!(counters.segments_removed.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_journal_that_was_taken_away_costs_the_next_one_nothing() {
    let dir = tempdir().expect("a folder");
    let (folder, mut store, _) = open(dir.path());
    let mut writer = store.writer("w").expect("a writer");
    for number in 0..60 {
        write(&mut writer, &[CallRecord::Ended(ended(number))]);
    }
    store.fold().expect("a fold");
    drop((writer, store, folder));
    fs::remove_dir_all(dir.path().join("cdr")).expect("a folder");
    let (_folder, mut store, _) = open(dir.path());
    let mut writer = store.writer("w").expect("a writer");
    write(&mut writer, &[CallRecord::Ended(ended(60))]);
    let copy = crashed(dir.path());
    assert_eq!(all(&open(copy.path()).0).len(), 61);
}

#[test]
fn a_journal_that_was_taken_away_after_a_crash_costs_the_next_one_nothing_either() {
    let dir = tempdir().expect("a folder");
    let (_folder, mut store, _) = open(dir.path());
    let mut writer = store.writer("w").expect("a writer");
    (0..3).for_each(|number| write(&mut writer, &[CallRecord::Ended(ended(number))]));
    store.fold().expect("a fold");
    let copy = crashed(dir.path());
    fs::remove_dir_all(copy.path().join("cdr")).expect("a folder");
    let (_again, mut store, _) = open(copy.path());
    let mut writer = store.writer("w").expect("a writer");
    write(&mut writer, &[CallRecord::Ended(ended(3))]);
    let copy = crashed(copy.path());
    assert_eq!(all(&open(copy.path()).0).len(), 4);
}

#[test]
fn a_name_is_for_one_writer_and_a_file_name() {
    let dir = tempdir().expect("a folder");
    let (_folder, mut store, _) = open(dir.path());
    let _writer = store.writer("w").expect("a writer");
    for name in ["w", "", "../w", "a/b", "."] {
        assert!(matches!(store.writer(name), Err(CdrError::Name { .. })), "{name:?}");
    }
}

#[test]
fn a_filter_takes_the_calls_that_meet_every_condition() {
    let dir = tempdir().expect("a folder");
    let (folder, mut store, _) = open(dir.path());
    let mut writer = store.writer("w").expect("a writer");
    for number in 0..10 {
        let mut cdr = ended(number);
        if number % 2 == 1 {
            (cdr.answer, cdr.caller) = (None, Address::new("bert", "example.org"));
        }
        write(&mut writer, &[CallRecord::Ended(cdr)]);
    }
    store.fold().expect("a fold");
    let reader = folder.shared().cdrs().expect("a reader");
    let any = CdrFilter::default();
    let check = |filter: &CdrFilter, expected: &[u64]| {
        let calls: Vec<_> = reader.list(filter).expect("calls").into_iter().map(|cdr| cdr.call).collect();
        assert_eq!(calls, expected.iter().map(|number| call(*number)).collect::<Vec<_>>(), "{filter:?}");
        if filter.limit.is_none() {
            assert_eq!(reader.count(filter).expect("a count"), expected.len() as u64, "{filter:?}");
        }
    };
    check(&any, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    check(&CdrFilter { since: Some(NOON + 8 * SECOND), ..any.clone() }, &[8, 9]);
    check(&CdrFilter { until: Some(NOON + 2 * SECOND), ..any.clone() }, &[0, 1]);
    check(&CdrFilter { answered: Some(false), ..any.clone() }, &[1, 3, 5, 7, 9]);
    check(&CdrFilter { answered: Some(true), caller: Some("bert".into()), ..any.clone() }, &[]);
    check(&CdrFilter { caller: Some("bert".into()), limit: Some(2), ..any.clone() }, &[1, 3]);
    check(&CdrFilter { dialled: Some("030987654".into()), latest_first: true, limit: Some(2), ..any }, &[9, 8]);
}

#[test]
fn exports_are_as_documented() {
    let dir = tempdir().expect("a folder");
    let (folder, mut store, _) = open(dir.path());
    let mut writer = store.writer("w").expect("a writer");
    let mut odd = begun(1);
    (odd.source, odd.caller) = (Source::Trunk("north".into()), Address::new("a \"b\", c\n", "example.org"));
    (odd.cause, odd.status) = (Cause::NO_ROUTE, 404);
    let mut own = begun(2);
    own.source = Source::Exchange;
    // One party's sound was measured and the other's was not.
    let mut measured = ended(0);
    measured.caller_media = measured.caller_media.map(|stats| PortStats {
        round_trip_us: 83_200,
        mos_min_x100: 392,
        mos_mean_x100: 417,
        mos_last_x100: 441,
        r_last_x10: 932,
        loss_max_permille: 0,
        ..stats
    });
    write(&mut writer, &[CallRecord::Ended(measured), CallRecord::Ended(odd), CallRecord::Ended(own)]);
    store.fold().expect("a fold");
    let reader = folder.shared().cdrs().expect("a reader");
    let (any, mut csv, mut attempts, mut json) = (CdrFilter::default(), Vec::new(), Vec::new(), Vec::new());
    reader.export_csv(&any, &mut csv).expect("an export");
    reader.export_attempts_csv(&any, &mut attempts).expect("an export");
    reader.export_json(&any, &mut json).expect("an export");
    for (name, written) in [("cdr.csv", csv), ("attempts.csv", attempts), ("cdr.jsonl", json)] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        let written = String::from_utf8(written).expect("text");
        assert_eq!(written, fs::read_to_string(&path).expect("a golden file"), "{name}");
    }
}

#[test]
fn an_export_into_a_closed_pipe_is_an_error() {
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let dir = tempdir().expect("a folder");
    let reader = crate::SharedFolder::attach(dir.path()).expect("a folder").cdrs().expect("a reader");
    match reader.export_csv(&CdrFilter::default(), Closed) {
        Err(ExportError::Output(error)) => assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe),
        other => panic!("{other:?}"),
    }
}

#[test]
fn many_calls_in_many_batches_are_folded_once_each() {
    let dir = tempdir().expect("a folder");
    let mut options = options();
    options.journal = JournalOptions { sync: SyncPolicy::Never, ..JournalOptions::default() };
    let folder = DataFolder::open(dir.path()).expect("the folder opens");
    let (mut store, _) = CdrStore::open(&folder, &options, noon).expect("the store opens");
    let mut writer = store.writer("w").expect("a writer");
    let count = if cfg!(debug_assertions) { 10_000 } else { 100_000 };
    let (begun, ended) = (begun(0), ended(0));
    for number in 0..count {
        let with_id = |cdr: &Cdr| Box::new(Cdr { call: call(number), ..cdr.clone() });
        let records = [CallRecord::Begun(with_id(&begun)), answered(number), CallRecord::Ended(with_id(&ended))];
        write(&mut writer, &records);
    }
    store.fold().expect("a fold");
    assert_eq!(folder.shared().cdrs().expect("a reader").count(&CdrFilter::default()).expect("a count"), count);
}
