//! The tables call detail records end up in.

use super::port_numbers::{STATS, stats_from, stats_numbers};
use super::recordings;
use crate::{DatabaseError, OpenDatabaseError, database};
use rusqlite::types::{FromSqlError, Type, ValueRef};
use rusqlite::{Connection, Row, Statement, ToSql};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use sx_call::{Attempt, Cdr, Ender};
use sx_leg::{Address, Source};
use sx_media::PortStats;
use sx_types::{CallId, Cause, Codec, TraceId};

/// The version of these tables.
pub(super) const VERSION: i64 = 1;

/// The name of the database in the data folder.
pub(super) const FILE: &str = "cdr.sqlite";

/// `cdr_journal` and `cdr_open` say how far each journal is folded in: everything before `segment` is, but for the
/// calls that were alive at its end, whose records lie in `cdr_open` as they stood in the journal.
pub(super) static SCHEMA: LazyLock<String> = LazyLock::new(|| {
    let stats: String = stats_columns().map(|column| format!(", {column} INTEGER")).collect();
    format!(
        "CREATE TABLE cdr (call BLOB PRIMARY KEY, trace BLOB NOT NULL, source TEXT NOT NULL, source_user TEXT,
             source_domain TEXT, source_trunk TEXT, caller_user TEXT NOT NULL, caller_domain TEXT NOT NULL,
             dialled_user TEXT NOT NULL, dialled_domain TEXT NOT NULL, start_ns INTEGER NOT NULL, ring_ns INTEGER,
             answer_ns INTEGER, end_ns INTEGER NOT NULL, cause INTEGER NOT NULL, status INTEGER NOT NULL,
             ended_by TEXT NOT NULL, codec TEXT{stats}) WITHOUT ROWID;
         CREATE INDEX cdr_start ON cdr (start_ns);
         CREATE TABLE cdr_attempt (call BLOB NOT NULL, position INTEGER NOT NULL, target TEXT NOT NULL,
             routed_user TEXT NOT NULL, routed_domain TEXT NOT NULL, start_ns INTEGER NOT NULL, ring_ns INTEGER,
             answer_ns INTEGER, end_ns INTEGER NOT NULL, cause INTEGER NOT NULL, status INTEGER NOT NULL,
             PRIMARY KEY (call, position)) WITHOUT ROWID;
         CREATE INDEX cdr_attempt_target ON cdr_attempt (target, start_ns);
         CREATE TABLE cdr_journal (name TEXT PRIMARY KEY, segment INTEGER NOT NULL, last_ns INTEGER NOT NULL)
             WITHOUT ROWID;
         CREATE TABLE cdr_open (journal TEXT NOT NULL, call BLOB NOT NULL, begun BLOB NOT NULL, answered BLOB,
             PRIMARY KEY (journal, call)) WITHOUT ROWID;
         {FOLDED}"
    )
});

/// How far the segment that `cdr_journal` names, or a later one, is folded in: what lies before `offset` is in `cdr`, or
/// was and has been removed. A database may be older than this table.
const FOLDED: &str = "CREATE TABLE IF NOT EXISTS cdr_folded (journal TEXT PRIMARY KEY, segment INTEGER NOT NULL,
    offset INTEGER NOT NULL) WITHOUT ROWID;";

/// Opens the database for reading and writing; creates it when it is not there.
pub(super) fn open(path: &Path) -> Result<Connection, OpenDatabaseError> {
    let connection = database::open(path, VERSION, &SCHEMA)?;
    let extended = connection
        .execute_batch(FOLDED)
        .and_then(|()| connection.execute_batch(recordings::TABLE))
        .and_then(|()| add_columns(&connection));
    extended.map_err(DatabaseError::at("open", path))?;
    Ok(connection)
}

/// Adds the columns that a database from before has not; what they would have counted there was nothing.
fn add_columns(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info('cdr')")?;
    let there = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    for column in stats_columns().filter(|column| !there.contains(column)) {
        connection.execute_batch(&format!("ALTER TABLE cdr ADD COLUMN {column} INTEGER"))?;
    }
    Ok(())
}

/// The columns of `cdr` before those of the media ports, in the order of the table.
const COLUMNS: [&str; 18] = [
    "call",
    "trace",
    "source",
    "source_user",
    "source_domain",
    "source_trunk",
    "caller_user",
    "caller_domain",
    "dialled_user",
    "dialled_domain",
    "start_ns",
    "ring_ns",
    "answer_ns",
    "end_ns",
    "cause",
    "status",
    "ended_by",
    "codec",
];

const ATTEMPT_COLUMNS: &str =
    "position, target, routed_user, routed_domain, start_ns, ring_ns, answer_ns, end_ns, cause, status";

/// What a port counts; the columns are these with `caller_` and with `called_` before them.
pub(super) const STATS_NAMES: [&str; STATS] = [
    "packets_received",
    "bytes_received",
    "packets_sent",
    "bytes_sent",
    "rtcp_received",
    "packets_lost",
    "jitter_us",
    "rejected_source",
    "rejected_format",
    "send_errors",
    "last_payload_type",
    "packets_transcoded",
    "decode_errors",
    "round_trip_us",
    "mos_min_x100",
    "mos_mean_x100",
    "mos_last_x100",
    "r_last_x10",
    "loss_max_permille",
];

/// The columns of both media ports.
pub(super) fn stats_columns() -> impl Iterator<Item = String> {
    ["caller", "called"].into_iter().flat_map(|side| STATS_NAMES.map(|name| format!("{side}_{name}")))
}

/// All columns of `cdr`, for a SELECT whose rows go to [`read`].
pub(super) static SELECT: LazyLock<String> = LazyLock::new(|| {
    let stats: String = stats_columns().map(|column| format!(", {column}")).collect();
    format!("SELECT {}{stats} FROM cdr", COLUMNS.join(", "))
});

static SELECT_ATTEMPTS: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {ATTEMPT_COLUMNS} FROM cdr_attempt WHERE call = ? ORDER BY position"));

/// A call that is there already stays as it is: its record was complete when it came.
static INSERT: LazyLock<String> = LazyLock::new(|| {
    let columns: Vec<String> = COLUMNS.into_iter().map(str::to_owned).chain(stats_columns()).collect();
    let places = vec!["?"; columns.len()].join(",");
    format!("INSERT OR IGNORE INTO cdr ({}) VALUES ({places})", columns.join(", "))
});

static INSERT_ATTEMPT: LazyLock<String> = LazyLock::new(|| {
    format!("INSERT OR IGNORE INTO cdr_attempt (call, {ATTEMPT_COLUMNS}) VALUES (?{})", ",?".repeat(10))
});

/// Writes a record and its attempts. False: the call was there already.
pub(super) fn insert(connection: &Connection, cdr: &Cdr) -> rusqlite::Result<bool> {
    let mut bind = Bind { statement: &mut *connection.prepare_cached(&INSERT)?, index: 0 };
    bind_cdr(&mut bind, cdr)?;
    if bind.statement.raw_execute()? == 0 {
        return Ok(false);
    }
    for (position, attempt) in cdr.attempts.iter().enumerate() {
        let mut bind = Bind { statement: &mut *connection.prepare_cached(&INSERT_ATTEMPT)?, index: 0 };
        bind_attempt(&mut bind, cdr.call, position as u64, attempt)?;
        bind.statement.raw_execute()?;
    }
    Ok(true)
}

/// Removes records of calls that came before a time, and their attempts: the earliest, at most so many. How many.
pub(super) fn purge(connection: &Connection, before: u64, calls_max: u64) -> rusqlite::Result<u64> {
    let before = i64::try_from(before).unwrap_or(i64::MAX);
    let max = i64::try_from(calls_max).unwrap_or(i64::MAX);
    let mut find = connection.prepare_cached("SELECT call FROM cdr WHERE start_ns < ? ORDER BY start_ns LIMIT ?")?;
    let calls = find.query_map([before, max], |row| row.get::<_, [u8; 16]>(0))?.collect::<Result<Vec<_>, _>>()?;
    for call in &calls {
        connection.prepare_cached("DELETE FROM cdr_attempt WHERE call = ?")?.execute([call])?;
        recordings::purge(connection, call)?;
        connection.prepare_cached("DELETE FROM cdr WHERE call = ?")?.execute([call])?;
    }
    Ok(calls.len() as u64)
}

/// Reads a record, without its attempts, from a row of [`SELECT`].
pub(super) fn read(row: &Row) -> rusqlite::Result<Cdr> {
    let user = |index| Ok::<_, rusqlite::Error>(Address { user: row.get(index)?, domain: row.get(index + 1)? });
    let source = match row.get_ref(2)?.as_str()? {
        "user" => Source::User(user(3)?),
        "trunk" => Source::Trunk(row.get(5)?),
        "exchange" => Source::Exchange,
        _ => return Err(unknown(2)),
    };
    let word = row.get_ref(16)?.as_str()?;
    let ended_by = ENDERS.into_iter().find(|ender| ended_by_name(*ender) == word).ok_or_else(|| unknown(16))?;
    let codec = match row.get_ref(17)?.as_str_or_null()? {
        Some(name) => Some(Codec::from_name(name).ok_or_else(|| unknown(17))?),
        None => None,
    };
    Ok(Cdr {
        call: CallId::from_u128(u128::from_be_bytes(row.get(0)?)),
        trace: TraceId::from_u128(u128::from_be_bytes(row.get(1)?)),
        source,
        caller: user(6)?,
        dialled: user(8)?,
        start: number(row, 10)?,
        ring: number_option(row, 11)?,
        answer: number_option(row, 12)?,
        end: number(row, 13)?,
        cause: Cause(row.get(14)?),
        status: row.get(15)?,
        ended_by,
        attempts: Vec::new(),
        codec,
        caller_media: stats(row, COLUMNS.len())?,
        called_media: stats(row, COLUMNS.len() + STATS)?,
    })
}

/// The attempts of a call, in order.
pub(super) fn read_attempts(connection: &Connection, call: CallId) -> rusqlite::Result<Vec<Attempt>> {
    let mut statement = connection.prepare_cached(&SELECT_ATTEMPTS)?;
    let rows = statement.query_map([call_key(call)], |row| {
        let target: Arc<str> = row.get(1)?;
        Ok(Attempt {
            target,
            routed: Address { user: row.get(2)?, domain: row.get(3)? },
            start: number(row, 4)?,
            ring: number_option(row, 5)?,
            answer: number_option(row, 6)?,
            end: number(row, 7)?,
            cause: Cause(row.get(8)?),
            status: row.get(9)?,
        })
    })?;
    rows.collect()
}

/// The key of a call in the database: its 16 bytes, which sort by the time it was made.
pub(super) fn call_key(call: CallId) -> [u8; 16] {
    call.as_u128().to_be_bytes()
}

/// The word for who ended a call.
pub(super) fn ended_by_name(ended_by: Ender) -> &'static str {
    match ended_by {
        Ender::Caller => "caller",
        Ender::Called => "called",
        Ender::Party => "peer",
        Ender::Exchange => "exchange",
        Ender::Operator => "operator",
        Ender::Timer => "timer",
        Ender::Failure => "failure",
        Ender::Process => "process",
    }
}

/// Everybody who ends calls.
pub(super) const ENDERS: [Ender; 8] = [
    Ender::Caller,
    Ender::Called,
    Ender::Party,
    Ender::Exchange,
    Ender::Operator,
    Ender::Timer,
    Ender::Failure,
    Ender::Process,
];

/// The word for where a call came from.
pub(super) fn source_name(source: &Source) -> &'static str {
    match source {
        Source::User(_) => "user",
        Source::Trunk(_) => "trunk",
        Source::Exchange => "exchange",
    }
}

/// Binds one value after the other.
struct Bind<'a, 'c> {
    statement: &'a mut Statement<'c>,
    index: usize,
}

impl Bind<'_, '_> {
    fn value(&mut self, value: impl ToSql) -> rusqlite::Result<()> {
        self.index += 1;
        self.statement.raw_bind_parameter(self.index, value)
    }

    /// SQLite has no unsigned numbers: the bits are kept, and read back as they were.
    fn number(&mut self, number: u64) -> rusqlite::Result<()> {
        self.value(number.cast_signed())
    }

    fn number_option(&mut self, number: Option<u64>) -> rusqlite::Result<()> {
        self.value(number.map(u64::cast_signed))
    }

    fn address(&mut self, address: &Address) -> rusqlite::Result<()> {
        self.value(&*address.user)?;
        self.value(&*address.domain)
    }
}

fn bind_cdr(bind: &mut Bind, cdr: &Cdr) -> rusqlite::Result<()> {
    bind.value(call_key(cdr.call))?;
    bind.value(cdr.trace.as_u128().to_be_bytes())?;
    bind.value(source_name(&cdr.source))?;
    let (user, trunk) = match &cdr.source {
        Source::User(address) => (Some(address), None),
        Source::Trunk(name) => (None, Some(&**name)),
        Source::Exchange => (None, None),
    };
    bind.value(user.map(|address| &*address.user))?;
    bind.value(user.map(|address| &*address.domain))?;
    bind.value(trunk)?;
    bind.address(&cdr.caller)?;
    bind.address(&cdr.dialled)?;
    bind.number(cdr.start)?;
    bind.number_option(cdr.ring)?;
    bind.number_option(cdr.answer)?;
    bind.number(cdr.end)?;
    bind.value(cdr.cause.0)?;
    bind.value(cdr.status)?;
    bind.value(ended_by_name(cdr.ended_by))?;
    bind.value(cdr.codec.map(Codec::name))?;
    for media in [&cdr.caller_media, &cdr.called_media] {
        let numbers = media.as_ref().map(stats_numbers);
        for index in 0..STATS {
            bind.number_option(numbers.map(|numbers| numbers[index]))?;
        }
    }
    Ok(())
}

fn bind_attempt(bind: &mut Bind, call: CallId, position: u64, attempt: &Attempt) -> rusqlite::Result<()> {
    bind.value(call_key(call))?;
    bind.number(position)?;
    bind.value(&*attempt.target)?;
    bind.address(&attempt.routed)?;
    bind.number(attempt.start)?;
    bind.number_option(attempt.ring)?;
    bind.number_option(attempt.answer)?;
    bind.number(attempt.end)?;
    bind.value(attempt.cause.0)?;
    bind.value(attempt.status)
}

fn number(row: &Row, index: usize) -> rusqlite::Result<u64> {
    row.get(index).map(i64::cast_unsigned)
}

fn number_option(row: &Row, index: usize) -> rusqlite::Result<Option<u64>> {
    row.get::<_, Option<i64>>(index).map(|number| number.map(i64::cast_unsigned))
}

fn stats(row: &Row, first: usize) -> rusqlite::Result<Option<PortStats>> {
    if row.get_ref(first)? == ValueRef::Null {
        return Ok(None);
    }
    let mut numbers = [0; STATS];
    for (offset, value) in numbers.iter_mut().enumerate() {
        *value = number_option(row, first + offset)?.unwrap_or(0);
    }
    stats_from(numbers).ok_or_else(|| unknown(first)).map(Some)
}

/// A value that this version never writes.
fn unknown(index: usize) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(FromSqlError::InvalidType))
}
