//! The users who may register and call, with the hashes that digest authentication needs in place of passwords.

#[cfg(test)]
mod tests;

use crate::{DatabaseError, OpenDatabaseError, SharedFolder, database};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::io::Read;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

const FILE: &str = "users.sqlite";
const VERSION: i64 = 1;
const NAME_BYTES_MAX: usize = 255;

/// `version` counts changes; every user and every removed user bears the count at which it was changed last.
const SCHEMA: &str = "
    CREATE TABLE users (name TEXT NOT NULL, domain TEXT NOT NULL, ha1_md5 BLOB NOT NULL, ha1_sha256 BLOB NOT NULL,
        enabled INTEGER NOT NULL, created INTEGER NOT NULL, changed INTEGER NOT NULL, version INTEGER NOT NULL,
        PRIMARY KEY (name, domain)) WITHOUT ROWID;
    CREATE INDEX users_version ON users (version);
    CREATE TABLE users_removed (name TEXT NOT NULL, domain TEXT NOT NULL, version INTEGER NOT NULL,
        PRIMARY KEY (name, domain)) WITHOUT ROWID;
    CREATE INDEX users_removed_version ON users_removed (version);
    CREATE TABLE users_state (version INTEGER NOT NULL);
    INSERT INTO users_state VALUES (0);";

const UPSERT: &str = "INSERT INTO users VALUES (?1, ?2, ?3, ?4, 1, ?5, ?5, ?6)
    ON CONFLICT DO UPDATE SET ha1_md5 = ?3, ha1_sha256 = ?4, changed = ?5, version = ?6";

/// The hashes of `user:realm:password` that stand in for the password (RFC 7616, section 3.4.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ha1 {
    /// By MD5.
    pub md5: [u8; 16],
    /// By SHA-256.
    pub sha256: [u8; 32],
}

/// A user who may authenticate.
#[derive(Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// The name, as it stands before the `@`.
    pub name: Box<str>,
    /// The domain, in lower case; the realm of the hashes is the caller's business.
    pub domain: Box<str>,
    /// H(user:realm:password) by MD5.
    pub ha1_md5: [u8; 16],
    /// H(user:realm:password) by SHA-256.
    pub ha1_sha256: [u8; 32],
}

/// A user as an operator sees it: without hashes, and also when it may not authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserEntry {
    /// The name.
    pub name: Box<str>,
    /// The domain.
    pub domain: Box<str>,
    /// May the user authenticate?
    pub enabled: bool,
    /// When it was added, in nanoseconds since the Unix epoch.
    pub created: u64,
    /// When it was changed last, in nanoseconds since the Unix epoch.
    pub changed: u64,
}

/// What has changed since a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserChanges {
    /// The version to ask from next time.
    pub version: u64,
    /// Users added or changed, as they are now.
    pub changed: Vec<UserRecord>,
    /// Users removed or disabled: name and domain.
    pub removed: Vec<(Box<str>, Box<str>)>,
}

/// What an import has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Users that were not there before.
    pub added: u64,
    /// Users that were there and have the file's password now.
    pub changed: u64,
}

/// Why users were not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The caller wants to add a user that is there.
    #[error("the user {name}@{domain} exists; change its password or remove it")]
    Exists {
        /// The name.
        name: String,
        /// The domain.
        domain: String,
    },
    /// The caller names a user that is not there.
    #[error("there is no user {name}@{domain}")]
    Unknown {
        /// The name.
        name: String,
        /// The domain.
        domain: String,
    },
    /// The caller's name or domain cannot be one.
    #[error(
        "{text:?} is no user name or domain: 1 to {NAME_BYTES_MAX} bytes without blanks, control characters, and any of : @ \" < >"
    )]
    Name {
        /// The text.
        text: String,
    },
    /// A line of the caller's file is not `name,password`. Nothing was imported.
    #[error("line {line} of the import: {reason}; nothing was imported")]
    Import {
        /// The line, from 1; the first of the blank lines before it when there are some.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The database refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The users in the data folder. Several processes may have them open, and all may change them.
pub struct Users {
    connection: Connection,
    path: PathBuf,
}

impl SharedFolder {
    /// Opens the users.
    ///
    /// # Errors
    /// When the database cannot be opened or is of a newer version.
    pub fn users(&self) -> Result<Users, OpenDatabaseError> {
        let path = self.path().join(FILE);
        Ok(Users { connection: database::open(&path, VERSION, SCHEMA)?, path })
    }
}

impl Users {
    /// Adds a user.
    ///
    /// # Errors
    /// When it is there already, or its name cannot be one.
    pub fn add(&mut self, user: &UserRecord) -> Result<(), UsersError> {
        let (name, domain) = checked(&user.name, &user.domain)?;
        let added = self.change("add a user to", |connection, version| {
            let known = exists(connection, name, &domain)?;
            if !known {
                upsert(connection, name, &domain, Ha1 { md5: user.ha1_md5, sha256: user.ha1_sha256 }, version)?;
            }
            Ok(!known)
        })?;
        if added { Ok(()) } else { Err(UsersError::Exists { name: name.to_owned(), domain }) }
    }

    /// Gives a user another password.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn passwd(&mut self, name: &str, domain: &str, ha1: Ha1) -> Result<(), UsersError> {
        self.change_one(name, domain, |connection, domain, version| {
            let known = exists(connection, name, domain)?;
            if known {
                upsert(connection, name, domain, ha1, version)?;
            }
            Ok(known)
        })
    }

    /// Lets a user authenticate, or not.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn set_enabled(&mut self, name: &str, domain: &str, enabled: bool) -> Result<(), UsersError> {
        self.change_one(name, domain, |connection, domain, version| {
            let sql = "UPDATE users SET enabled = ?3, changed = ?4, version = ?5 WHERE name = ?1 AND domain = ?2";
            Ok(connection.execute(sql, params![name, domain, enabled, now(), version])? > 0)
        })
    }

    /// Removes a user.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn remove(&mut self, name: &str, domain: &str) -> Result<(), UsersError> {
        self.change_one(name, domain, |connection, domain, version| {
            let sql = "DELETE FROM users WHERE name = ?1 AND domain = ?2";
            let known = connection.execute(sql, params![name, domain])? > 0;
            if known {
                let sql = "INSERT OR REPLACE INTO users_removed VALUES (?1, ?2, ?3)";
                connection.execute(sql, params![name, domain, version])?;
            }
            Ok(known)
        })
    }

    /// Takes users from CSV lines `name,password`, all or none. A first line that says just that is passed over. A
    /// user that is there gets the password; `hash` makes the hashes of a name and a password, or says what is wrong with
    /// the password.
    ///
    /// # Errors
    /// When a line is not of that form, or bears a name or a password that cannot be one; the error names the line.
    pub fn import(
        &mut self,
        domain: &str,
        csv: impl Read,
        mut hash: impl FnMut(&str, &str) -> Result<Ha1, String>,
    ) -> Result<Imported, UsersError> {
        let domain = checked("name", domain)?.1;
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(csv);
        let mut line = csv::StringRecord::new();
        let mut imported = Imported::default();
        let mut wrong = None;
        self.change("import users into", |connection, version| {
            loop {
                match read_line(&mut reader, &mut line) {
                    Ok(None) => return Ok(imported.added + imported.changed > 0),
                    Ok(Some((1, "name", "password"))) => {}
                    Ok(Some((line, name, password))) => {
                        let hashes = match hash(name, password) {
                            Ok(hashes) => hashes,
                            Err(reason) => {
                                wrong = Some(UsersError::Import { line, reason });
                                return Ok(false);
                            }
                        };
                        let known = exists(connection, name, &domain)?;
                        upsert(connection, name, &domain, hashes, version)?;
                        *(if known { &mut imported.changed } else { &mut imported.added }) += 1;
                    }
                    Err(error) => {
                        wrong = Some(error);
                        return Ok(false);
                    }
                }
            }
        })?;
        wrong.map_or(Ok(imported), Err)
    }

    /// All users, by domain and name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&self) -> Result<Vec<UserEntry>, UsersError> {
        let sql = "SELECT name, domain, enabled, created, changed FROM users WHERE version > ? ORDER BY domain, name";
        self.rows(sql, 0, |row| {
            Ok(UserEntry {
                name: row.get(0)?,
                domain: row.get(1)?,
                enabled: row.get(2)?,
                created: row.get::<_, i64>(3)?.cast_unsigned(),
                changed: row.get::<_, i64>(4)?.cast_unsigned(),
            })
        })
    }

    /// All users who may authenticate. To follow what others change, begin with
    /// [`changed_since(0)`](Self::changed_since) instead, which also gives a version.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn load_all(&self) -> Result<Vec<UserRecord>, UsersError> {
        self.rows("SELECT name, domain, ha1_md5, ha1_sha256 FROM users WHERE enabled AND version > ?", 0, user)
    }

    /// How often users have been changed, by whatever process. Reading it is cheap.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn version(&self) -> Result<u64, UsersError> {
        Ok(version(&self.connection).map_err(self.at("read"))?)
    }

    /// What has changed since `version`, by whatever process; `None` when nothing has. Since 0 it is everything.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn changed_since(&self, since: u64) -> Result<Option<UserChanges>, UsersError> {
        if self.version()? == since {
            return Ok(None);
        }
        // One transaction, so that version and users are of the same moment.
        let transaction = self.connection.unchecked_transaction().map_err(self.at("read"))?;
        // A version from the future is of a database that has been replaced by an older one: all is new then.
        let version = version(&transaction).map_err(self.at("read"))?;
        let since = if since > version { 0 } else { since };
        let sql = "SELECT name, domain, ha1_md5, ha1_sha256 FROM users WHERE enabled AND version > ?";
        let changed = self.rows(sql, since, user)?;
        let sql = "SELECT name, domain FROM users WHERE NOT enabled AND version > ?1
                   UNION ALL SELECT name, domain FROM users_removed WHERE version > ?1";
        let removed = self.rows(sql, since, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Some(UserChanges { version, changed, removed }))
    }

    /// The rows of a statement whose one parameter is a version.
    fn rows<T>(&self, sql: &str, since: u64, read: impl Fn(&Row) -> rusqlite::Result<T>) -> Result<Vec<T>, UsersError> {
        let read_all = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let rows = statement.query_map([since.cast_signed()], |row| read(row))?;
            rows.collect::<rusqlite::Result<Vec<T>>>()
        };
        Ok(read_all().map_err(self.at("read"))?)
    }

    /// Changes a user that must be there.
    fn change_one(
        &mut self,
        name: &str,
        domain: &str,
        work: impl FnOnce(&Connection, &str, i64) -> rusqlite::Result<bool>,
    ) -> Result<(), UsersError> {
        let domain = domain.to_ascii_lowercase();
        let known = self.change("change a user in", |connection, version| work(connection, &domain, version))?;
        if known { Ok(()) } else { Err(UsersError::Unknown { name: name.to_owned(), domain }) }
    }

    /// Does `work` in one transaction under a new version. When `work` gives false, nothing has changed.
    fn change(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&Connection, i64) -> rusqlite::Result<bool>,
    ) -> Result<bool, DatabaseError> {
        let run = |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let sql = "UPDATE users_state SET version = version + 1 RETURNING version";
            let version = transaction.query_row(sql, [], |row| row.get(0))?;
            let changed = work(&transaction, version)?;
            if changed { transaction.commit().map(|()| true) } else { transaction.rollback().map(|()| false) }
        };
        run(&mut self.connection).map_err(DatabaseError::at(doing, &self.path))
    }

    fn at(&self, doing: &'static str) -> impl FnOnce(rusqlite::Error) -> DatabaseError {
        DatabaseError::at(doing, &self.path)
    }
}

fn version(connection: &Connection) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached("SELECT version FROM users_state")?;
    statement.query_row([], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
}

fn exists(connection: &Connection, name: &str, domain: &str) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM users WHERE name = ? AND domain = ?")?;
    Ok(statement.query_row([name, domain], |_| Ok(())).optional()?.is_some())
}

/// Adds a user, or gives one that is there other hashes.
fn upsert(connection: &Connection, name: &str, domain: &str, ha1: Ha1, version: i64) -> rusqlite::Result<()> {
    connection.prepare_cached(UPSERT)?.execute(params![name, domain, ha1.md5, ha1.sha256, now(), version])?;
    let mut back = connection.prepare_cached("DELETE FROM users_removed WHERE name = ? AND domain = ?")?;
    back.execute([name, domain])?;
    Ok(())
}

fn user(row: &Row) -> rusqlite::Result<UserRecord> {
    Ok(UserRecord { name: row.get(0)?, domain: row.get(1)?, ha1_md5: row.get(2)?, ha1_sha256: row.get(3)? })
}

/// The name, and the domain in lower case, if they can be such.
fn checked<'a>(name: &'a str, domain: &str) -> Result<(&'a str, String), UsersError> {
    for text in [name, domain] {
        //= https://www.rfc-editor.org/rfc/rfc7616#section-3.4.2
        // The parts of what is hashed are joined by colons, so a colon within one would make two users alike.
        // The others would make it another name where it stands in a URI or a header.
        let forbidden = |c: char| c.is_control() || c.is_whitespace() || ":@\"<>".contains(c);
        if text.is_empty() || text.len() > NAME_BYTES_MAX || text.contains(forbidden) {
            return Err(UsersError::Name { text: text.to_owned() });
        }
    }
    Ok((name, domain.to_ascii_lowercase()))
}

/// The next line of an import: its number, the name and the password.
fn read_line<'a>(
    reader: &mut csv::Reader<impl Read>,
    record: &'a mut csv::StringRecord,
) -> Result<Option<(u64, &'a str, &'a str)>, UsersError> {
    let wrong = |line, reason| UsersError::Import { line, reason };
    let found = reader.read_record(record);
    let line = record.position().map_or_else(|| reader.position().line(), csv::Position::line);
    if !found.map_err(|error| wrong(error.position().map_or(line, csv::Position::line), error.to_string()))? {
        return Ok(None);
    }
    let (Some(name), Some(password), 2) = (record.get(0), record.get(1), record.len()) else {
        return Err(wrong(line, format!("{} fields where name,password was expected", record.len())));
    };
    checked(name, "domain").map_err(|error| wrong(line, error.to_string()))?;
    Ok(Some((line, name, password)))
}

/// Nanoseconds since the Unix epoch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

impl std::fmt::Debug for Ha1 {
    /// A hash opens the door as the password does, so it is not shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ha1")
    }
}

impl std::fmt::Debug for UserRecord {
    /// Without the hashes, which open the door as the password does.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UserRecord({}@{})", self.name, self.domain)
    }
}
