//! Records that are read as they are written.

use super::*;
use crate::witness::tail::TailError;

/// The numbers that are told, each with its line.
fn told(tail: &mut crate::LogTail, until: u64) -> Vec<(u64, String)> {
    let mut lines = Vec::new();
    tail.read(until, usize::MAX, |number, line| lines.push((number, line.to_owned()))).expect("they are there");
    lines
}

#[test]
fn each_record_is_told_once_in_its_order_over_all_segments() {
    let dir = tempdir().expect("a folder");
    let small = WitnessOptions { segment_bytes_max: 20_000, checkpoint_records: 50, ..options() };
    let log = open_on(dir.path(), disk_for(dir.path()).expect("a disk"), small).expect("a log");
    let port = log.port().expect("a port");
    let (mut tail, mut late) = (log.tail(0), log.tail(777));
    let mut lines = Vec::new();
    for _ in 0..60 {
        write(&port, 20);
        lines.extend(told(&mut tail, log.durable()));
    }
    assert!(files::list(dir.path(), files::SEGMENT).expect("segments").len() > 3);
    let durable = log.durable();
    assert_eq!((tail.next(), lines.len() as u64), (durable, durable));
    assert_eq!(told(&mut tail, durable), []);
    let all: Vec<_> = records(dir.path()).into_iter().enumerate().map(|(number, line)| (number as u64, line)).collect();
    assert_eq!(lines, all[..lines.len()]);
    assert_eq!(told(&mut late, durable), all[777..lines.len()]);
}

#[test]
fn as_many_are_told_as_there_is_room_for() {
    let dir = tempdir().expect("a folder");
    let log = open(dir.path());
    let port = log.port().expect("a port");
    write(&port, 50);
    let mut tail = log.tail(10);
    for expected in [10..17, 17..24] {
        let mut numbers = Vec::new();
        tail.read(log.durable(), 7, |number, _| numbers.push(number)).expect("they are there");
        assert!(numbers.into_iter().eq(expected));
    }
}

#[test]
fn what_is_kept_no_longer_is_gone() {
    let dir = tempdir().expect("a folder");
    let small = WitnessOptions { segment_bytes_max: 20_000, keep_bytes: 50_000, checkpoint_records: 50, ..options() };
    let log = open_on(dir.path(), disk_for(dir.path()).expect("a disk"), small).expect("a log");
    let port = log.port().expect("a port");
    for _ in 0..60 {
        write(&port, 20);
    }
    let mut tail = log.tail(0);
    let gone = tail.read(log.durable(), 1, |_, _| {});
    assert!(matches!(gone, Err(TailError::Gone { record: 0 })), "{gone:?}");
}
