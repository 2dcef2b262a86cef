//! The tokens that open the management API, of which only hashes are kept.
//!
//! Whoever makes a token hands in random bytes and is given the secret once; nobody can read it here again. A token that
//! was revoked or has expired stays listed, so that an operator can see what a client is still trying.

mod news;
mod secret;
#[cfg(test)]
mod tests;

pub use news::TokenNews;
pub use secret::{TOKEN_RANDOM_BYTES, TokenSecret};

use crate::{DatabaseError, OpenDatabaseError, SharedFolder, database};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use secret::{Hash, hash_of, is_secret, same};
use std::path::PathBuf;
use sx_engine::Time;
use sx_types::{Role, TOKEN_NAME_BYTES_MAX};

const FILE: &str = "tokens.sqlite";
const VERSION: i64 = 1;
/// Tokens that are kept. Each lookup goes through all of them.
const TOKENS_MAX: u64 = 256;
/// When a token was used is noted to the minute, so that not every request writes to the disk.
const LAST_USED_STEP_NS: u64 = 60_000_000_000;

/// Times are nanoseconds since the Unix epoch.
const SCHEMA: &str = "
    CREATE TABLE tokens (id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, hash BLOB NOT NULL,
        created INTEGER NOT NULL, expires INTEGER, last_used INTEGER, revoked INTEGER) WITHOUT ROWID;";

const COLUMNS: &str = "id, name, role, created, expires, last_used, revoked, hash";

/// A token as an operator sees it: without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenEntry {
    /// Its public name, which logs may bear: 12 hexadecimal digits.
    pub id: Box<str>,
    /// Whose or what for.
    pub name: Box<str>,
    /// What it lets its bearer do. `None`: it was made by a program that has roles which this one does not know, and opens
    /// nothing here.
    pub role: Option<Role>,
    /// When it was made.
    pub created: Time,
    /// From when it opens nothing; `None`: never of itself.
    pub expires: Option<Time>,
    /// When it was used last, to the minute.
    pub last_used: Option<Time>,
    /// When it was taken back.
    pub revoked: Option<Time>,
}

/// A token to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewToken<'a> {
    /// Whose or what for.
    pub name: &'a str,
    /// What it lets its bearer do.
    pub role: Role,
    /// From when it opens nothing; `None`: never of itself.
    pub expires: Option<Time>,
}

/// Why tokens were not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The caller's name cannot be one.
    #[error("{text:?} is no name of a token: 1 to {TOKEN_NAME_BYTES_MAX} bytes without control characters")]
    Name {
        /// The text.
        text: String,
    },
    /// The caller's token would have expired before it was made.
    #[error("the token would expire at once; give it a time to come, or none")]
    ExpiresAtOnce,
    /// All places are taken by tokens that are in use.
    #[error("there are {TOKENS_MAX} tokens that have neither expired nor been revoked; revoke one first")]
    TooMany,
    /// The caller names a token that is not there.
    #[error("there is no token {id}")]
    Unknown {
        /// Its public name.
        id: String,
    },
    /// The database refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Why a secret opens nothing. This is for the operator; its bearer is told the same in every case.
#[derive(Debug, thiserror::Error)]
pub enum TokenRefused {
    /// It is the secret of no token.
    #[error("no such token")]
    Unknown,
    /// The token's time is over.
    #[error("the token {id} has expired")]
    Expired {
        /// Its public name.
        id: Box<str>,
        /// Since when.
        since: Time,
    },
    /// The token was taken back.
    #[error("the token {id} was revoked")]
    Revoked {
        /// Its public name.
        id: Box<str>,
        /// Since when.
        since: Time,
    },
    /// What it lets its bearer do is said in a word that this program does not know.
    #[error("the role of the token {id} is not known")]
    Role {
        /// Its public name.
        id: Box<str>,
    },
    /// The fault is ours: the database cannot be read.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The tokens in the data folder. Several processes may have them open, and all may change them.
pub struct Tokens {
    connection: Connection,
    path: PathBuf,
}

impl SharedFolder {
    /// Opens the tokens.
    ///
    /// # Errors
    /// When the database cannot be opened or is of a newer version.
    pub fn tokens(&self) -> Result<Tokens, OpenDatabaseError> {
        let path = self.path().join(FILE);
        let connection = database::open(&path, VERSION, SCHEMA)?;
        connection.execute_batch(news::SCHEMA).map_err(DatabaseError::at("open", &path))?;
        Ok(Tokens { connection, path })
    }
}

impl Tokens {
    /// Makes a token. `random` comes from a source that nobody can predict; the secret is given here and never again.
    ///
    /// # Errors
    /// When the name cannot be one, the token would have expired already, or there are too many.
    pub fn create(
        &mut self,
        new: NewToken<'_>,
        now: Time,
        random: &[u8; TOKEN_RANDOM_BYTES],
    ) -> Result<(TokenEntry, TokenSecret), TokensError> {
        if new.name.is_empty() || new.name.len() > TOKEN_NAME_BYTES_MAX || new.name.contains(char::is_control) {
            return Err(TokensError::Name { text: new.name.to_owned() });
        }
        if new.expires.is_some_and(|expires| expires <= now) {
            return Err(TokensError::ExpiresAtOnce);
        }
        let (id, secret) = secret::of(random);
        let entry = TokenEntry {
            id: id.into(),
            name: new.name.into(),
            role: Some(new.role),
            created: now,
            expires: new.expires,
            last_used: None,
            revoked: None,
        };
        let added = add(&mut self.connection, &entry, new.role, &hash_of(secret.as_str()), now);
        if added.map_err(self.at("add a token to"))? { Ok((entry, secret)) } else { Err(TokensError::TooMany) }
    }

    /// Whose secret is it, and what may its bearer do? Notes that it was used.
    ///
    /// Every lookup reads the database, so that a token that another process revokes opens nothing from then on.
    ///
    /// # Errors
    /// Why it opens nothing.
    pub fn look_up(&mut self, secret: &str, now: Time) -> Result<(TokenEntry, Role), TokenRefused> {
        if !is_secret(secret) {
            return Err(TokenRefused::Unknown);
        }
        let hash = hash_of(secret);
        let mut found = None;
        // Neither the database's search nor an early end, so that the time it takes says nothing about the hashes.
        for (entry, other) in self.rows()? {
            if same(&hash, &other) {
                found = Some(entry);
            }
        }
        let Some(mut entry) = found else { return Err(TokenRefused::Unknown) };
        if let Some(since) = entry.revoked {
            return Err(TokenRefused::Revoked { id: entry.id, since });
        }
        if let Some(since) = entry.expires.filter(|expires| *expires <= now) {
            return Err(TokenRefused::Expired { id: entry.id, since });
        }
        let Some(role) = entry.role else { return Err(TokenRefused::Role { id: entry.id }) };
        self.note_use(&mut entry, now);
        Ok((entry, role))
    }

    /// All tokens, also those that open nothing any more, the oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&self) -> Result<Vec<TokenEntry>, TokensError> {
        let mut all: Vec<_> = self.rows()?.into_iter().map(|(entry, _)| entry).collect();
        all.sort_by(|one, other| (one.created, &one.id).cmp(&(other.created, &other.id)));
        Ok(all)
    }

    /// Takes a token back, for good. One that was taken back already stays so since then.
    ///
    /// # Errors
    /// When there is no such token.
    pub fn revoke(&mut self, id: &str, now: Time) -> Result<(), TokensError> {
        let sql = "UPDATE tokens SET revoked = coalesce(revoked, ?2) WHERE id = ?1";
        let changed = self.connection.execute(sql, params![id, stored(now)]).map_err(self.at("revoke a token in"))?;
        if changed > 0 { Ok(()) } else { Err(TokensError::Unknown { id: id.to_owned() }) }
    }

    fn rows(&self) -> Result<Vec<(TokenEntry, Hash)>, DatabaseError> {
        let read_all = || {
            let mut statement = self.connection.prepare_cached(&format!("SELECT {COLUMNS} FROM tokens"))?;
            let rows = statement.query_map([], token)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read_all().map_err(self.at("read"))
    }

    /// Notes the use of a token. That it cannot be noted is no reason to refuse the bearer.
    fn note_use(&self, entry: &mut TokenEntry, now: Time) {
        let fresh = |used: Time| now.as_nanos().saturating_sub(used.as_nanos()) < LAST_USED_STEP_NS;
        if entry.last_used.is_some_and(fresh) {
            return;
        }
        let sql = "UPDATE tokens SET last_used = ?2 WHERE id = ?1";
        match self
            .connection
            .execute(sql, params![entry.id, stored(now)])
            .map_err(self.at("note the use of a token in"))
        {
            Ok(_) => entry.last_used = Some(now),
            Err(error) => tracing::warn!(%error, "the use of a token could not be noted"),
        }
    }

    fn at(&self, doing: &'static str) -> impl FnOnce(rusqlite::Error) -> DatabaseError {
        DatabaseError::at(doing, &self.path)
    }
}

/// Adds a token, in the place of the oldest useless one when there are too many; false when all are of use.
fn add(connection: &mut Connection, entry: &TokenEntry, role: Role, hash: &Hash, now: Time) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let count: i64 = transaction.query_row("SELECT count(*) FROM tokens", [], |row| row.get(0))?;
    if count.cast_unsigned() >= TOKENS_MAX {
        let sql = "SELECT id FROM tokens WHERE revoked IS NOT NULL OR expires <= ? ORDER BY created, id LIMIT 1";
        let useless: Option<String> = transaction.query_row(sql, [stored(now)], |row| row.get(0)).optional()?;
        let Some(useless) = useless else { return Ok(false) };
        transaction.execute("DELETE FROM tokens WHERE id = ?", [useless])?;
    }
    let sql = "INSERT INTO tokens (id, name, role, hash, created, expires) VALUES (?, ?, ?, ?, ?, ?)";
    let expires = entry.expires.map(stored);
    transaction.execute(sql, params![entry.id, entry.name, role.as_str(), hash, stored(entry.created), expires])?;
    transaction.commit().map(|()| true)
}

fn token(row: &Row) -> rusqlite::Result<(TokenEntry, Hash)> {
    let time = |column| row.get::<_, Option<i64>>(column).map(|nanos| nanos.map(read));
    let role: String = row.get(2)?;
    let entry = TokenEntry {
        id: row.get(0)?,
        name: row.get(1)?,
        role: Role::from_name(&role),
        created: row.get(3).map(read)?,
        expires: time(4)?,
        last_used: time(5)?,
        revoked: time(6)?,
    };
    Ok((entry, row.get(7)?))
}

/// A time as the database keeps it.
fn stored(time: Time) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

fn read(nanos: i64) -> Time {
    Time::from_nanos(nanos.cast_unsigned())
}
