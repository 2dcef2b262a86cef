//! The registries of experts and of guardians: who they are, how they stand, and the keys that they sign with.
//!
//! What is written down of one is a JSON text that this module does not read. A key belongs to one entry of either registry.

#[cfg(test)]
mod tests;

use crate::{DatabaseError, OpenDatabaseError, SharedFolder, database};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use sx_expert::Standing;

const FILE: &str = "registry.sqlite";
const VERSION: i64 = 1;

/// `version` of the state counts changes.
const SCHEMA: &str = "
    CREATE TABLE entries (kind TEXT NOT NULL, id TEXT NOT NULL, document TEXT NOT NULL, standing TEXT NOT NULL,
        key BLOB, proof BLOB, registered INTEGER NOT NULL, changed INTEGER NOT NULL,
        PRIMARY KEY (kind, id)) WITHOUT ROWID;
    CREATE UNIQUE INDEX entries_key ON entries (key);
    CREATE TABLE registry_state (version INTEGER NOT NULL);
    INSERT INTO registry_state VALUES (0);";

const COLUMNS: &str = "id, document, standing, key, proof, registered, changed";

/// Which registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistryKind {
    /// Those who can be rung.
    Experts,
    /// Those who escalate and vote.
    Guardians,
}

/// An entry to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// What records call it; unique within its registry.
    pub id: Box<str>,
    /// What is written down, a JSON text.
    pub document: Box<str>,
    /// The public key; Ed25519.
    pub key: Option<[u8; 32]>,
    /// The signature of what is written down, by that key.
    pub proof: Option<[u8; 64]>,
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryEntry {
    /// What records call it.
    pub id: Box<str>,
    /// What is written down, a JSON text.
    pub document: Box<str>,
    /// How they stand.
    pub standing: Standing,
    /// The public key.
    pub key: Option<[u8; 32]>,
    /// The signature of what is written down.
    pub proof: Option<[u8; 64]>,
    /// When it was made, in nanoseconds since the Unix epoch.
    pub registered: u64,
    /// When it was changed last, in nanoseconds since the Unix epoch.
    pub changed: u64,
}

/// Why entries were not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The caller wants to add one that is there.
    #[error("there is an entry {id} already")]
    Exists {
        /// What it is called.
        id: Box<str>,
    },
    /// The caller names one that is not there.
    #[error("there is no entry {id}")]
    Unknown {
        /// What it would be called.
        id: Box<str>,
    },
    /// The key is that of somebody else.
    #[error("the key of {id} is that of {of} already; one identity has one key")]
    KeyTaken {
        /// Whom the caller gives it to.
        id: Box<str>,
        /// Whose it is.
        of: Box<str>,
    },
    /// The entry was revoked, which is for good.
    #[error("{id} was revoked, which is for good; make another entry with another key")]
    Revoked {
        /// What it is called.
        id: Box<str>,
    },
    /// The database refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// A registry in the data folder. Several processes may have it open, and all may change it.
pub struct Registry {
    connection: Connection,
    path: PathBuf,
    kind: RegistryKind,
}

impl SharedFolder {
    /// Opens a registry.
    ///
    /// # Errors
    /// When the database cannot be opened or is of a newer version.
    pub fn registry(&self, kind: RegistryKind) -> Result<Registry, OpenDatabaseError> {
        let path = self.path().join(FILE);
        Ok(Registry { connection: database::open(&path, VERSION, SCHEMA)?, path, kind })
    }
}

impl RegistryKind {
    const fn word(self) -> &'static str {
        match self {
            Self::Experts => "expert",
            Self::Guardians => "guardian",
        }
    }
}

impl Registry {
    /// Adds entries, all or none; they are in good standing.
    ///
    /// # Errors
    /// When one is there already, or has the key of somebody else.
    pub fn add(&mut self, entries: &[NewEntry]) -> Result<(), RegistryError> {
        self.write(entries, false)
    }

    /// Adds entries, or gives those that are there what these say, all or none. How they stand does not change.
    ///
    /// # Errors
    /// When one was revoked, or has the key of somebody else.
    pub fn put(&mut self, entries: &[NewEntry]) -> Result<(), RegistryError> {
        self.write(entries, true)
    }

    fn write(&mut self, entries: &[NewEntry], replaces: bool) -> Result<(), RegistryError> {
        let kind = self.kind;
        self.change("change", |connection| {
            for entry in entries {
                if let Some(standing) = standing_of(connection, kind, &entry.id)? {
                    match (replaces, standing) {
                        (false, _) => return Ok(Err(RegistryError::Exists { id: entry.id.clone() })),
                        (true, Standing::Revoked) => return Ok(Err(RegistryError::Revoked { id: entry.id.clone() })),
                        (true, _) => {}
                    }
                }
                if let Some(of) = owner_of(connection, kind, entry)? {
                    return Ok(Err(RegistryError::KeyTaken { id: entry.id.clone(), of }));
                }
                let sql = "INSERT INTO entries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
                    ON CONFLICT (kind, id) DO UPDATE SET document = ?3, key = ?5, proof = ?6, changed = ?7";
                let active = Standing::Active.word();
                connection.prepare_cached(sql)?.execute(params![
                    kind.word(),
                    entry.id,
                    entry.document,
                    active,
                    entry.key,
                    entry.proof,
                    now()
                ])?;
            }
            Ok(Ok(()))
        })
    }

    /// Changes how somebody stands. Who was revoked stays so.
    ///
    /// # Errors
    /// When there is no such entry, or it was revoked.
    pub fn set_standing(&mut self, id: &str, standing: Standing) -> Result<(), RegistryError> {
        let kind = self.kind;
        self.change("change", |connection| match standing_of(connection, kind, id)? {
            None => Ok(Err(RegistryError::Unknown { id: id.into() })),
            Some(Standing::Revoked) if standing != Standing::Revoked => {
                Ok(Err(RegistryError::Revoked { id: id.into() }))
            }
            Some(_) => {
                let sql = "UPDATE entries SET standing = ?3, changed = ?4 WHERE kind = ?1 AND id = ?2";
                connection.execute(sql, params![kind.word(), id, standing.word(), now()])?;
                Ok(Ok(()))
            }
        })
    }

    /// All entries, by what they are called.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&self) -> Result<Vec<RegistryEntry>, RegistryError> {
        let read = || {
            let sql = format!("SELECT {COLUMNS} FROM entries WHERE kind = ? ORDER BY id");
            let mut statement = self.connection.prepare_cached(&sql)?;
            let rows = statement.query_map([self.kind.word()], entry)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        Ok(read().map_err(DatabaseError::at("read", &self.path))?)
    }

    /// One entry.
    ///
    /// # Errors
    /// When there is none, or the database cannot be read.
    pub fn get(&self, id: &str) -> Result<RegistryEntry, RegistryError> {
        let sql = format!("SELECT {COLUMNS} FROM entries WHERE kind = ? AND id = ?");
        let found = self.connection.query_row(&sql, [self.kind.word(), id], entry).optional();
        let found = found.map_err(DatabaseError::at("read", &self.path))?;
        found.ok_or_else(|| RegistryError::Unknown { id: id.into() })
    }

    /// How often either registry was changed, by whatever process. Reading it is cheap.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn version(&self) -> Result<u64, RegistryError> {
        let read = || {
            let mut statement = self.connection.prepare_cached("SELECT version FROM registry_state")?;
            statement.query_row([], |row| row.get::<_, i64>(0))
        };
        Ok(read().map_err(DatabaseError::at("read", &self.path))?.cast_unsigned())
    }

    /// Does `work` in one transaction, and counts it. When `work` refuses, nothing has changed.
    fn change(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<Result<(), RegistryError>>,
    ) -> Result<(), RegistryError> {
        let run = |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            transaction.execute("UPDATE registry_state SET version = version + 1", [])?;
            let done = work(&transaction)?;
            if done.is_ok() { transaction.commit() } else { transaction.rollback() }.map(|()| done)
        };
        run(&mut self.connection).map_err(DatabaseError::at(doing, &self.path))?
    }
}

fn standing_of(connection: &Connection, kind: RegistryKind, id: &str) -> rusqlite::Result<Option<Standing>> {
    let mut statement = connection.prepare_cached("SELECT standing FROM entries WHERE kind = ? AND id = ?")?;
    statement.query_row([kind.word(), id], |row| standing(row, 0)).optional()
}

/// Who else has the key of an entry.
fn owner_of(connection: &Connection, kind: RegistryKind, entry: &NewEntry) -> rusqlite::Result<Option<Box<str>>> {
    let Some(key) = &entry.key else { return Ok(None) };
    let sql = "SELECT id FROM entries WHERE key = ?1 AND NOT (kind = ?2 AND id = ?3)";
    connection.prepare_cached(sql)?.query_row(params![key, kind.word(), entry.id], |row| row.get(0)).optional()
}

fn entry(row: &Row<'_>) -> rusqlite::Result<RegistryEntry> {
    Ok(RegistryEntry {
        id: row.get(0)?,
        document: row.get(1)?,
        standing: standing(row, 2)?,
        key: row.get(3)?,
        proof: row.get(4)?,
        registered: row.get::<_, i64>(5)?.cast_unsigned(),
        changed: row.get::<_, i64>(6)?.cast_unsigned(),
    })
}

/// A word that nobody knows is somebody's hand in the file: whoever it is about is called by nobody.
fn standing(row: &Row<'_>, column: usize) -> rusqlite::Result<Standing> {
    let word: Box<str> = row.get(column)?;
    Ok(Standing::from_word(&word).unwrap_or(Standing::Suspended))
}

/// Nanoseconds since the Unix epoch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
