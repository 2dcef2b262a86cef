//! Records and tables that were written before ports counted all that they count now.

use super::encoding::{decode, encode};
use super::port_numbers::STATS;
use super::table;
use super::tests::ended;
use sx_call::CallRecord;
use tempfile::tempdir;

/// A record whose ports have these numbers, as the version with so many of them wrote it: the others are zero, a byte each.
#[track_caller]
fn check(version: u8, counted: usize) {
    let mut bytes = Vec::new();
    let record = CallRecord::Ended(ended(0));
    encode(&record, &mut bytes);
    let later = STATS - counted;
    let second = 1 + bytes[..bytes.len() - later].iter().rposition(|byte| *byte == 1).expect("a flag");
    bytes.truncate(bytes.len() - later);
    bytes.drain(second - 1 - later..second - 1);
    bytes[0] = version;
    assert_eq!(decode(&bytes), Ok(record), "version {version}");
}

#[test]
fn records_of_the_versions_before_are_read() {
    check(3, STATS);
    check(2, 13);
    check(1, 11);
}

#[test]
fn a_record_of_a_version_to_come_is_refused() {
    let mut bytes = Vec::new();
    encode(&CallRecord::Ended(ended(0)), &mut bytes);
    for version in [0, 4] {
        bytes[0] = version;
        assert!(decode(&bytes).is_err(), "version {version}");
    }
}

/// What ports count that the first tables have no columns for.
const NEW: [&str; 8] = [
    "_packets_transcoded",
    "_decode_errors",
    "_round_trip_us",
    "_mos_min_x100",
    "_mos_mean_x100",
    "_mos_last_x100",
    "_r_last_x10",
    "_loss_max_permille",
];

#[test]
fn tables_of_before_get_the_columns_that_are_new() {
    let dir = tempdir().expect("a folder");
    let path = dir.path().join(table::FILE);
    drop(table::open(&path).expect("a database"));
    let old = rusqlite::Connection::open(&path).expect("a database");
    for column in table::stats_columns().filter(|column| NEW.iter().any(|new| column.ends_with(new))) {
        old.execute_batch(&format!("ALTER TABLE cdr DROP COLUMN {column}")).expect("a change");
    }
    drop(old);
    let connection = table::open(&path).expect("a database");
    let cdr = ended(3);
    assert!(table::insert(&connection, &cdr).expect("an insert"));
    let read = connection.query_row(&table::SELECT, [], table::read).expect("a row");
    assert_eq!(read.called_media, cdr.called_media);
}
