//! The recordings of calls beside their records: a row for each file, by which it is found and held against its hash.
//!
//! A recording may end before its call or after it, so that its rows may be there before the call's, and later.

use super::{CdrReader, table};
use crate::DatabaseError;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::sync::Arc;
use sx_call::{CallRecording, RecordingFile};
use sx_types::CallId;

/// A database may be older than this table. A recording without a file has a row without one.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS cdr_recording (call BLOB NOT NULL, recording INTEGER NOT NULL,
    position INTEGER NOT NULL, end_ns INTEGER NOT NULL, complete INTEGER NOT NULL, file TEXT, bytes INTEGER, sha256 BLOB,
    PRIMARY KEY (call, recording, position)) WITHOUT ROWID;";

/// Writes what there is of a recording. False: it was there already.
pub(super) fn insert(connection: &Connection, recording: &CallRecording) -> rusqlite::Result<bool> {
    let mut insert =
        connection.prepare_cached("INSERT OR IGNORE INTO cdr_recording VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?;
    let files = recording.files.iter().map(Some);
    let nothing = recording.files.is_empty().then_some(None);
    let mut rows = 0;
    for (position, file) in files.chain(nothing).enumerate() {
        rows += insert.execute(params![
            table::call_key(recording.call),
            recording.number,
            position as i64,
            recording.at.cast_signed(),
            recording.complete,
            file.map(|file| &*file.name),
            file.map(|file| file.bytes.cast_signed()),
            file.map(|file| file.sha256),
        ])?;
    }
    Ok(rows > 0)
}

/// Forgets the recordings of a call. The files stay: how long is for whoever keeps them.
pub(super) fn purge(connection: &Connection, call: &[u8; 16]) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM cdr_recording WHERE call = ?")?.execute([call])?;
    Ok(())
}

impl CdrReader {
    /// The recordings of a call that have ended.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn recordings(&self, call: CallId) -> Result<Vec<CallRecording>, DatabaseError> {
        self.read_recordings(call).map_err(DatabaseError::at("read", self.path()))
    }

    fn read_recordings(&self, call: CallId) -> rusqlite::Result<Vec<CallRecording>> {
        // Who only reads makes no table.
        let there = "SELECT 1 FROM sqlite_master WHERE name = 'cdr_recording'";
        if self.connection().prepare_cached(there)?.query_row([], |_| Ok(())).optional()?.is_none() {
            return Ok(Vec::new());
        }
        let select = "SELECT recording, end_ns, complete, file, bytes, sha256 FROM cdr_recording WHERE call = ?
            ORDER BY recording, position";
        let mut statement = self.connection().prepare_cached(select)?;
        let mut rows = statement.query([table::call_key(call)])?;
        let mut recordings: Vec<CallRecording> = Vec::new();
        while let Some(row) = rows.next()? {
            let number = row.get(0)?;
            let file = match row.get::<_, Option<Arc<str>>>(3)? {
                Some(name) => {
                    Some(RecordingFile { name, bytes: row.get::<_, i64>(4)?.cast_unsigned(), sha256: row.get(5)? })
                }
                None => None,
            };
            match recordings.last_mut().filter(|last| last.number == number) {
                Some(last) => last.files.extend(file),
                None => recordings.push(CallRecording {
                    call,
                    number,
                    at: row.get::<_, i64>(1)?.cast_unsigned(),
                    complete: row.get(2)?,
                    files: file.into_iter().collect(),
                }),
            }
        }
        Ok(recordings)
    }
}

/// A hash as text.
pub fn hash_text(sha256: &[u8; 32]) -> String {
    sha256.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{begun, ended, open};
    use super::*;
    use sx_call::CallRecord;
    use tempfile::tempdir;

    fn recording(call: CallId, number: u8, files: &[&str]) -> CallRecording {
        let file = |name: &&str| RecordingFile { name: (*name).into(), bytes: 44, sha256: [number; 32] };
        CallRecording {
            call,
            number,
            at: 1_800_000_000_000_000_000,
            complete: number == 0,
            files: files.iter().map(file).collect(),
        }
    }

    #[test]
    fn a_call_has_its_recordings_whether_they_end_before_it_or_after_it() {
        let dir = tempdir().expect("a folder");
        let (_folder, mut store, _) = open(dir.path());
        let (mut calls, mut recordings) = (store.writer("w").expect("a writer"), store.writer("r").expect("a writer"));
        let cdr = ended(1);
        let all = [recording(cdr.call, 0, &["a-0-caller.wav", "a-0-called.wav"]), recording(cdr.call, 1, &[])];
        for one in &all {
            recordings.append(&CallRecord::Recorded(Box::new(one.clone()))).expect("room");
        }
        recordings.commit().expect("room");
        store.fold().expect("a fold");
        calls.append(&CallRecord::Begun(begun(1))).expect("room");
        calls.append(&CallRecord::Ended(cdr.clone())).expect("room");
        // It is read again after a crash.
        recordings.append(&CallRecord::Recorded(Box::new(all[1].clone()))).expect("room");
        recordings.commit().expect("room");
        calls.commit().expect("room");
        store.fold().expect("a fold");
        let reader = crate::SharedFolder::attach(dir.path()).expect("a folder").cdrs().expect("a reader");
        assert_eq!(reader.recordings(cdr.call).expect("a reading"), all);
        assert_eq!(reader.recordings(ended(2).call).expect("a reading"), []);
        let mut lines = Vec::new();
        reader.export_json(&Default::default(), &mut lines).expect("an export");
        let line: serde_json::Value = serde_json::from_slice(&lines).expect("a line");
        assert_eq!(line["recordings"][0]["files"][1]["name"], "a-0-called.wav");
        assert_eq!(line["recordings"][1], serde_json::json!({ "recording": 1, "complete": false, "files": [] }));
        let mut table = Vec::new();
        reader.export_csv(&Default::default(), &mut table).expect("an export");
        let table = String::from_utf8(table).expect("text");
        assert!(table.contains("a-0-caller.wav a-0-called.wav") && table.contains(&hash_text(&[0; 32])), "{table}");
    }
}
