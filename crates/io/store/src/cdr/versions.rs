//! Records and tables that were written before ports counted what they coded anew.

use super::encoding::{decode, encode};
use super::table;
use super::tests::ended;
use sx_call::CallRecord;
use tempfile::tempdir;

/// A record as it was before ports counted what they coded anew.
#[test]
fn a_record_of_the_version_before_is_read() {
    let mut bytes = Vec::new();
    let record = CallRecord::Ended(ended(0));
    encode(&record, &mut bytes);
    // The four numbers at the end of both ports are zero, a byte each.
    let second = 1 + bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == 1).expect("a flag");
    bytes.truncate(bytes.len() - 2);
    bytes.drain(second - 3..second - 1);
    bytes[0] = 1;
    assert_eq!(decode(&bytes), Ok(record));
}

#[test]
fn tables_of_before_get_the_columns_that_are_new() {
    let dir = tempdir().expect("a folder");
    let path = dir.path().join(table::FILE);
    drop(table::open(&path).expect("a database"));
    let old = rusqlite::Connection::open(&path).expect("a database");
    for column in
        ["caller_packets_transcoded", "caller_decode_errors", "called_packets_transcoded", "called_decode_errors"]
    {
        old.execute_batch(&format!("ALTER TABLE cdr DROP COLUMN {column}")).expect("a change");
    }
    drop(old);
    let connection = table::open(&path).expect("a database");
    let cdr = ended(3);
    assert!(table::insert(&connection, &cdr).expect("an insert"));
    let read = connection.query_row(&table::SELECT, [], table::read).expect("a row");
    assert_eq!(read.called_media, cdr.called_media);
}
