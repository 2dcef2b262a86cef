//! What the databases have in common: how one is opened and which version its tables have.

use crate::{DatabaseError, FileError};
use rusqlite::{Connection, OpenFlags};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long to wait for another process that is writing.
const BUSY_MAX: Duration = Duration::from_secs(10);

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenDatabaseError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// SQLite refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A newer version of the exchange has made the tables.
    #[error("{} was written by a newer version of the exchange (tables {found}, known {known}); run that version",
        path.display())]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The version of its tables.
        found: i64,
        /// The version known here.
        known: i64,
    },
}

/// Opens the database for reading and writing; creates it, for the owner's eyes only, when it is not there.
pub(crate) fn open(path: &Path, version: i64, schema: &str) -> Result<Connection, OpenDatabaseError> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path);
    drop(file.map_err(FileError::at("open", path))?);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(DatabaseError::at("open", path))?;
    let prepared = prepare(&mut connection, version, schema).map_err(DatabaseError::at("open", path))?;
    check_version(path, prepared, version)?;
    Ok(connection)
}

/// Opens the database for reading. One that is not there reads as an empty one.
pub(crate) fn open_to_read(path: &Path, version: i64, schema: &str) -> Result<Connection, OpenDatabaseError> {
    let at = DatabaseError::at("open", path);
    if !path.exists() {
        return Ok(Connection::open_in_memory()
            .and_then(|connection| connection.execute_batch(schema).map(|()| connection))
            .map_err(at)?);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(BUSY_MAX)?;
        let found = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok((connection, found))
    });
    let (connection, found) = opened.map_err(at)?;
    check_version(path, found, version)?;
    Ok(connection)
}

fn check_version(path: &Path, found: i64, known: i64) -> Result<(), OpenDatabaseError> {
    if found > known { Err(OpenDatabaseError::Newer { path: path.to_owned(), found, known }) } else { Ok(()) }
}

/// Makes the tables when there are none; gives the version of the tables there are.
fn prepare(connection: &mut Connection, version: i64, schema: &str) -> rusqlite::Result<i64> {
    connection.busy_timeout(BUSY_MAX)?;
    // Readers and the writer do not wait for each other in this mode.
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    // What a commit has taken is taken out of the journal next, so the commit must have reached the disk.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.set_prepared_statement_cache_capacity(32);
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found == 0 {
        transaction.execute_batch(schema)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
        return Ok(version);
    }
    Ok(found)
}
