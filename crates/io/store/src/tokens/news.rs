//! What has become of tokens that nobody has been told of: each piece of news is told until somebody says that it was taken.

use super::{TokenEntry, Tokens, TokensError};
use rusqlite::params;
use std::collections::BTreeMap;
use sx_engine::Time;

/// What was told of each token. An earlier version of the exchange does not look at it.
pub(super) const SCHEMA: &str =
    "CREATE TABLE IF NOT EXISTS tokens_told (id TEXT NOT NULL PRIMARY KEY, revoked INTEGER NOT NULL) WITHOUT ROWID;";

/// What has become of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenNews {
    /// It was made.
    Made(TokenEntry),
    /// It was taken back.
    Revoked {
        /// Its public name.
        id: Box<str>,
        /// When.
        since: Time,
    },
    /// It is not listed any more: it was of no use, and its place was needed.
    Gone {
        /// Its public name.
        id: Box<str>,
    },
}

impl TokenNews {
    /// The public name of the token.
    pub fn id(&self) -> &str {
        match self {
            Self::Made(token) => &token.id,
            Self::Revoked { id, .. } | Self::Gone { id } => id,
        }
    }
}

impl Tokens {
    /// A number that is another when another connection has changed anything. Reading it is cheap.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn version(&self) -> Result<i64, TokensError> {
        let read = self.connection.pragma_query_value(None, "data_version", |row| row.get(0));
        Ok(read.map_err(self.at("read"))?)
    }

    /// What has become of tokens and was not [`told`](Self::told), the oldest tokens first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn news(&self) -> Result<Vec<TokenNews>, TokensError> {
        let mut told = self.all_told().map_err(self.at("read"))?;
        let mut news = Vec::new();
        for token in self.list()? {
            let (id, revoked) = (token.id.clone(), token.revoked);
            let known = told.remove(&id);
            if known.is_none() {
                news.push(TokenNews::Made(token));
            }
            if let Some(since) = revoked.filter(|_| known != Some(true)) {
                news.push(TokenNews::Revoked { id, since });
            }
        }
        news.extend(told.into_keys().map(|id| TokenNews::Gone { id }));
        Ok(news)
    }

    /// This need not be told again.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn told(&mut self, news: &TokenNews) -> Result<(), TokensError> {
        let id = news.id();
        let done = match news {
            TokenNews::Gone { .. } => self.connection.execute("DELETE FROM tokens_told WHERE id = ?", [id]),
            TokenNews::Made(_) | TokenNews::Revoked { .. } => {
                let revoked = matches!(news, TokenNews::Revoked { .. });
                let sql = "INSERT INTO tokens_told (id, revoked) VALUES (?1, ?2)
                    ON CONFLICT (id) DO UPDATE SET revoked = excluded.revoked";
                self.connection.execute(sql, params![id, revoked])
            }
        };
        done.map_err(self.at("note what was told in"))?;
        Ok(())
    }

    fn all_told(&self) -> rusqlite::Result<BTreeMap<Box<str>, bool>> {
        let mut statement = self.connection.prepare_cached("SELECT id, revoked FROM tokens_told")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }
}
