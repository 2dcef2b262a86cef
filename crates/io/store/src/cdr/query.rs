//! Reading call detail records, also from another process while the exchange runs.

use super::table;
use crate::{DatabaseError, OpenDatabaseError, SharedFolder, database};
use rusqlite::{Connection, OptionalExtension as _, params_from_iter};
use std::path::PathBuf;
use sx_call::Cdr;
use sx_types::CallId;

/// Which calls. Every condition that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CdrFilter {
    /// Calls that came at this time or later, in nanoseconds since the Unix epoch.
    pub since: Option<u64>,
    /// Calls that came before this time, in nanoseconds since the Unix epoch.
    pub until: Option<u64>,
    /// Calls by this user or number, whatever the domain.
    pub caller: Option<String>,
    /// Calls that dialled this user or number, whatever the domain.
    pub dialled: Option<String>,
    /// Calls that were (not) answered.
    pub answered: Option<bool>,
    /// The latest call first instead of the earliest.
    pub latest_first: bool,
    /// At most so many calls.
    pub limit: Option<u64>,
}

/// Reads the database of call detail records. It sees what is folded, each query one moment of it.
pub struct CdrReader {
    connection: Connection,
    path: PathBuf,
}

impl SharedFolder {
    /// Opens the call detail records for reading. There need not be any.
    ///
    /// # Errors
    /// When the database cannot be read or is of a newer version.
    pub fn cdrs(&self) -> Result<CdrReader, OpenDatabaseError> {
        let path = self.path().join(table::FILE);
        let connection = database::open_to_read(&path, table::VERSION, &table::SCHEMA)?;
        Ok(CdrReader { connection, path })
    }
}

impl CdrReader {
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Gives the calls to `each`, one after the other, by the time they came.
    ///
    /// # Errors
    /// When the database cannot be read, or `each` fails.
    pub fn for_each<E: From<DatabaseError>>(
        &self,
        filter: &CdrFilter,
        mut each: impl FnMut(Cdr) -> Result<(), E>,
    ) -> Result<(), E> {
        let (conditions, values) = conditions(filter);
        let order = if filter.latest_first { "DESC" } else { "ASC" };
        let limit = filter.limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
        let select = &*table::SELECT;
        let sql = format!("{select}{conditions} ORDER BY start_ns {order}, call {order}{limit}");
        let at = |error| E::from(DatabaseError::at("read", &self.path)(error));
        let mut statement = self.connection.prepare_cached(&sql).map_err(at)?;
        let mut rows = statement.query(params_from_iter(values)).map_err(at)?;
        while let Some(row) = rows.next().map_err(at)? {
            let mut cdr = table::read(row).map_err(at)?;
            cdr.attempts = table::read_attempts(&self.connection, cdr.call).map_err(at)?;
            each(cdr)?;
        }
        Ok(())
    }

    /// The calls, in memory: give the filter a limit.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&self, filter: &CdrFilter) -> Result<Vec<Cdr>, DatabaseError> {
        let mut cdrs = Vec::new();
        self.for_each(filter, |cdr| {
            cdrs.push(cdr);
            Ok::<(), DatabaseError>(())
        })?;
        Ok(cdrs)
    }

    /// One call.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn show(&self, call: CallId) -> Result<Option<Cdr>, DatabaseError> {
        self.read_one(call).map_err(DatabaseError::at("read", &self.path))
    }

    fn read_one(&self, call: CallId) -> rusqlite::Result<Option<Cdr>> {
        let sql = format!("{} WHERE call = ?", *table::SELECT);
        let key = [table::call_key(call)];
        let Some(mut cdr) = self.connection.prepare_cached(&sql)?.query_row(key, table::read).optional()? else {
            return Ok(None);
        };
        cdr.attempts = table::read_attempts(&self.connection, call)?;
        Ok(Some(cdr))
    }

    /// How many calls there are; the filter's limit does not count.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn count(&self, filter: &CdrFilter) -> Result<u64, DatabaseError> {
        let (conditions, values) = conditions(filter);
        let sql = format!("SELECT count(*) FROM cdr{conditions}");
        self.connection
            .query_row(&sql, params_from_iter(values), |row| row.get::<_, i64>(0))
            .map(i64::cast_unsigned)
            .map_err(DatabaseError::at("read", &self.path))
    }
}

/// The filter as a WHERE clause, which may be empty, and its values.
fn conditions(filter: &CdrFilter) -> (String, Vec<rusqlite::types::Value>) {
    // SQLite's numbers end at 2^63, which as a time is the year 2262.
    let time = |time: u64| i64::try_from(time).unwrap_or(i64::MAX).into();
    let mut conditions = Vec::new();
    let mut values = Vec::new();
    let mut add = |condition: &'static str, value: Option<rusqlite::types::Value>| {
        if let Some(value) = value {
            conditions.push(condition);
            values.push(value);
        }
    };
    add("start_ns >= ?", filter.since.map(time));
    add("start_ns < ?", filter.until.map(time));
    add("caller_user = ?", filter.caller.clone().map(Into::into));
    add("dialled_user = ?", filter.dialled.clone().map(Into::into));
    add("(answer_ns IS NOT NULL) = ?", filter.answered.map(Into::into));
    let joined = conditions.join(" AND ");
    (if joined.is_empty() { joined } else { format!(" WHERE {joined}") }, values)
}
