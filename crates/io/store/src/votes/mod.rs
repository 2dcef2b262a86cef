//! Votes of the council and their ballots, as they were cast. What comes of them is not decided here.

#[cfg(test)]
mod tests;

use crate::{DatabaseError, OpenDatabaseError, SharedFolder, database};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::path::PathBuf;

const FILE: &str = "votes.sqlite";
const VERSION: i64 = 1;

/// `told` is what was last written down of how a vote stands. A guardian has one ballot in a vote.
const SCHEMA: &str = "
    CREATE TABLE votes (id TEXT PRIMARY KEY, escalation TEXT NOT NULL, question TEXT NOT NULL, electors TEXT NOT NULL,
        opened INTEGER NOT NULL, closes INTEGER NOT NULL, told TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX votes_told ON votes (told);
    CREATE TABLE ballots (vote TEXT NOT NULL, guardian TEXT NOT NULL, choice TEXT NOT NULL, document TEXT NOT NULL,
        came INTEGER NOT NULL, PRIMARY KEY (vote, guardian)) WITHOUT ROWID;";

const COLUMNS: &str = "id, escalation, question, electors, opened, closes, told";

/// A vote, without its ballots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoteRecord {
    /// What it is called.
    pub id: Box<str>,
    /// The escalation that it is about.
    pub escalation: Box<str>,
    /// What is asked.
    pub question: Box<str>,
    /// Who may vote, a JSON text.
    pub electors: Box<str>,
    /// When it was opened, in nanoseconds since the Unix epoch.
    pub opened: u64,
    /// When it closes, in nanoseconds since the Unix epoch.
    pub closes: u64,
    /// What was last written down of how it stands.
    pub told: Box<str>,
}

/// A ballot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BallotRecord {
    /// Whose.
    pub guardian: Box<str>,
    /// What they say.
    pub choice: Box<str>,
    /// What they have signed, and their signature, a JSON text.
    pub document: Box<str>,
    /// When it came, in nanoseconds since the Unix epoch.
    pub cast: u64,
}

/// Why votes were not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum VotesError {
    /// There is no such vote.
    #[error("there is no vote {id}")]
    Unknown {
        /// What it would be called.
        id: Box<str>,
    },
    /// The guardian has voted.
    #[error("{guardian} has voted already")]
    Cast {
        /// Who.
        guardian: Box<str>,
    },
    /// The database refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The votes in the data folder.
pub struct Votes {
    connection: Connection,
    path: PathBuf,
}

impl SharedFolder {
    /// Opens the votes.
    ///
    /// # Errors
    /// When the database cannot be opened or is of a newer version.
    pub fn votes(&self) -> Result<Votes, OpenDatabaseError> {
        let path = self.path().join(FILE);
        Ok(Votes { connection: database::open(&path, VERSION, SCHEMA)?, path })
    }
}

impl Votes {
    /// Keeps a vote that is opened.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn open(&mut self, vote: &VoteRecord) -> Result<(), VotesError> {
        let VoteRecord { id, escalation, question, electors, opened, closes, told } = vote;
        let sql = "INSERT INTO votes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let values = params![id, escalation, question, electors, opened.cast_signed(), closes.cast_signed(), told];
        self.connection.execute(sql, values).map_err(self.at("write"))?;
        Ok(())
    }

    /// Keeps a ballot.
    ///
    /// # Errors
    /// When the guardian has voted already.
    pub fn cast(&mut self, vote: &str, ballot: &BallotRecord) -> Result<(), VotesError> {
        let BallotRecord { guardian, choice, document, cast } = ballot;
        let sql = "INSERT INTO ballots VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
        let values = params![vote, guardian, choice, document, cast.cast_signed()];
        let added = self.connection.execute(sql, values).map_err(self.at("write"))?;
        if added == 1 { Ok(()) } else { Err(VotesError::Cast { guardian: guardian.clone() }) }
    }

    /// Notes what was written down of how a vote stands.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn told(&mut self, vote: &str, told: &str) -> Result<(), VotesError> {
        let sql = "UPDATE votes SET told = ?2 WHERE id = ?1";
        self.connection.execute(sql, [vote, told]).map_err(self.at("write"))?;
        Ok(())
    }

    /// A vote and its ballots, in the order in which they came.
    ///
    /// # Errors
    /// When there is no such vote.
    pub fn get(&self, id: &str) -> Result<(VoteRecord, Vec<BallotRecord>), VotesError> {
        let read = || {
            let sql = format!("SELECT {COLUMNS} FROM votes WHERE id = ?");
            let Some(found) = self.connection.query_row(&sql, [id], vote).optional()? else { return Ok(None) };
            let sql = "SELECT guardian, choice, document, came FROM ballots WHERE vote = ? ORDER BY came, guardian";
            let mut statement = self.connection.prepare_cached(sql)?;
            let ballots = statement.query_map([id], ballot)?.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(Some((found, ballots)))
        };
        let found: Option<_> = read().map_err(self.at("read"))?;
        found.ok_or_else(|| VotesError::Unknown { id: id.into() })
    }

    /// The latest votes, at most so many; and how many there are.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&self, max: u32) -> Result<(u64, Vec<VoteRecord>), VotesError> {
        let read = || {
            let total: i64 = self.connection.query_row("SELECT count(*) FROM votes", [], |row| row.get(0))?;
            let sql = format!("SELECT {COLUMNS} FROM votes ORDER BY opened DESC, id LIMIT ?");
            let mut statement = self.connection.prepare_cached(&sql)?;
            Ok((total.cast_unsigned(), statement.query_map([max], vote)?.collect::<rusqlite::Result<Vec<_>>>()?))
        };
        Ok(read().map_err(self.at("read"))?)
    }

    /// The votes of which one of these was last written down.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn standing(&self, told: &str) -> Result<Vec<Box<str>>, VotesError> {
        let read = || {
            let mut statement = self.connection.prepare_cached("SELECT id FROM votes WHERE told = ?")?;
            statement.query_map([told], |row| row.get(0))?.collect::<rusqlite::Result<Vec<_>>>()
        };
        Ok(read().map_err(self.at("read"))?)
    }

    fn at(&self, doing: &'static str) -> impl FnOnce(rusqlite::Error) -> DatabaseError {
        DatabaseError::at(doing, &self.path)
    }
}

fn vote(row: &Row<'_>) -> rusqlite::Result<VoteRecord> {
    Ok(VoteRecord {
        id: row.get(0)?,
        escalation: row.get(1)?,
        question: row.get(2)?,
        electors: row.get(3)?,
        opened: row.get::<_, i64>(4)?.cast_unsigned(),
        closes: row.get::<_, i64>(5)?.cast_unsigned(),
        told: row.get(6)?,
    })
}

fn ballot(row: &Row<'_>) -> rusqlite::Result<BallotRecord> {
    let cast = row.get::<_, i64>(3)?.cast_unsigned();
    Ok(BallotRecord { guardian: row.get(0)?, choice: row.get(1)?, document: row.get(2)?, cast })
}
