//! Calls that are lost with a process which had nothing to write but that it was alive.

use super::*;

const MINUTE: u64 = 60 * SECOND;

/// Signs of life after a call that began at noon was answered, a minute between them, until so many minutes after.
fn live(writer: &mut CdrWriter, minutes: std::ops::RangeInclusive<u64>) {
    for minute in minutes {
        write(writer, &[CallRecord::Alive { at: NOON + 5 * SECOND + minute * MINUTE }]);
    }
}

/// The calls after the process has died at this moment, and how many of them were cut off.
fn killed(path: &Path) -> (Vec<Cdr>, u64) {
    let copy = crashed(path);
    let (folder, _store, recovery) = open(copy.path());
    (all(&folder), recovery.calls_cut_off)
}

#[test]
fn a_call_that_is_cut_off_on_a_quiet_exchange_ends_at_the_last_sign_of_life() {
    let dir = tempdir().expect("a folder");
    let (_folder, mut store, _) = open(dir.path());
    let mut writer = store.writer("w").expect("a writer");
    write(&mut writer, &[CallRecord::Begun(begun(0)), answered(0)]);
    live(&mut writer, 1..=10);
    let answer = NOON + 5 * SECOND;
    let (cdrs, cut_off) = killed(dir.path());
    let cdr = &cdrs[0];
    assert_eq!((cdr.answer, cdr.end, cut_off), (Some(answer), answer + 10 * MINUTE, 1));
    assert_eq!((cdr.cause, cdr.ended_by), (Cause(41), Ender::Process));
    assert_eq!((cdr.attempts[0].answer, cdr.attempts[0].end), (cdr.answer, cdr.end));
}

#[test]
fn a_call_that_has_ended_is_not_made_longer_by_what_outlives_it() {
    let dir = tempdir().expect("a folder");
    let (_folder, mut store, _) = open(dir.path());
    let mut writers = [store.writer("one").expect("a writer"), store.writer("two").expect("a writer")];
    write(&mut writers[0], &[CallRecord::Begun(begun(0)), answered(0), CallRecord::Ended(ended(0))]);
    write(&mut writers[1], &[CallRecord::Begun(begun(1)), answered(1)]);
    for writer in &mut writers {
        live(writer, 1..=10);
    }
    let copy = crashed(dir.path());
    let (folder, mut next, recovery) = open(copy.path());
    let cut_off = all(&folder);
    assert_eq!((&cut_off[0], recovery.calls_cut_off), (&*ended(0), 1));
    assert_eq!((cut_off[1].call, cut_off[1].end), (call(1), NOON + 5 * SECOND + 10 * MINUTE));
    // Nor is one that was cut off, by the next process.
    let mut writer = next.writer("two").expect("a writer");
    write(&mut writer, &[CallRecord::Begun(begun(2))]);
    live(&mut writer, 11..=20);
    let (cdrs, count) = killed(copy.path());
    assert_eq!((&cdrs[..2], cdrs.len(), count), (&cut_off[..], 3, 1));
}

#[test]
fn signs_of_life_outlast_the_segments_they_stand_in() {
    let dir = tempdir().expect("a folder");
    let (_folder, mut store, _) = open(dir.path());
    let mut writer = store.writer("w").expect("a writer");
    write(&mut writer, &[CallRecord::Begun(begun(0)), answered(0)]);
    // Some ninety of them fill a segment.
    live(&mut writer, 1..=1000);
    store.fold().expect("a fold");
    assert!(store.counters().segments_removed.load(Ordering::Relaxed) > 5);
    assert_eq!((store.counters().fold_lag(), store.counters().journal.damaged.load(Ordering::Relaxed)), (0, 0));
    let last = NOON + 5 * SECOND + 1000 * MINUTE;
    assert_eq!(killed(dir.path()).0[0].end, last);
    // Of segments that are gone the database knows the last sign.
    let copy = crashed(dir.path());
    let segments = list(&copy.path().join("cdr/w")).expect("segments");
    assert_eq!(segments.len(), 1);
    fs::remove_file(&segments[0].path).expect("a file");
    let end = killed(copy.path()).0[0].end;
    assert!(end > last - 100 * MINUTE && end < last, "the last one in the segment before: {end}");
}
