//! What is said: a tree of values, each with the place that says it.

use crate::error::{ConfigError, Problem};
use crate::secret::Secret;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) origin: Origin,
    pub(crate) said: Said,
}

/// A file and a line, or another source and line 0.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) file: Arc<str>,
    pub(crate) line: usize,
}

/// A value, before anybody asks whether it is the right one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    Text(String),
    Integer(i64),
    Flag(bool),
    List(Vec<Node>),
    Table(Table),
    /// Never shown.
    Secret(Secret),
    /// A number with a fraction, a date, or an integer beyond 64 bits: no key wants one.
    Other(String),
}

/// Keys and what they say.
pub(crate) type Table = BTreeMap<String, Node>;

/// Two nodes are equal when they say the same, wherever they stand.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.said == other.said
    }
}

impl Origin {
    pub(crate) fn new(file: &str, line: usize) -> Self {
        Self { file: file.into(), line }
    }

    /// An error about what stands here.
    pub(crate) fn error(&self, key: &str, value: String, problem: Problem) -> ConfigError {
        ConfigError { file: self.file.to_string(), line: self.line, key: key.to_owned(), value, problem }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

impl Node {
    /// The value as an error may show it: short, and nothing that may hold a secret.
    pub(crate) fn shown(&self) -> String {
        const SHOWN_CHARS_MAX: usize = 80;
        let text = match &self.said {
            Said::Secret(_) => return Secret::SHOWN.to_owned(),
            Said::Table(_) => return String::new(),
            Said::List(items) if items.iter().any(|item| matches!(item.said, Said::Table(_))) => return String::new(),
            said => crate::write::inline(said),
        };
        if text.chars().count() <= SHOWN_CHARS_MAX { text } else { String::new() }
    }
}

/// What the reader of TOML says of a key that stands there already: its errors have no kinds to tell it by. The first value is what it goes on with, so that all else
/// is still read; a test sees that it says so.
const DOUBLED: &str = "duplicate key";

/// What it says of a line that is a key and nothing else, behind which it reads no further value; a test sees that, too.
const KEY_ALONE: &str = "key with no value";

/// Reads TOML. What can be read is returned even when there are errors.
pub(crate) fn parse(file: &str, text: &str) -> (Table, Vec<ConfigError>) {
    let lines = Lines::of(file, text);
    if is_json(text) {
        return (Table::new(), vec![lines.at_line(1).error("", String::new(), Problem::Syntax(JSON.to_owned()))]);
    }
    let (document, mut errors) = DeTable::parse_recoverable(text);
    let start = |error: &toml::de::Error| error.span().unwrap_or_default().start;
    let alone: Vec<usize> = errors.iter().filter(|error| error.message().starts_with(KEY_ALONE)).map(start).collect();
    if !alone.is_empty() {
        errors.extend(DeTable::parse_recoverable(&lines.without(text, &alone)).1);
    }
    // What else is wrong with a line follows from the first that is.
    errors.sort_by_key(start);
    let (mut doubled, mut wrong) = (BTreeSet::new(), BTreeSet::new());
    let told = errors.iter().filter_map(|error| {
        let span = error.span().unwrap_or_default();
        let origin = lines.origin(span.start);
        if error.message() == DOUBLED {
            let problem = Problem::Conflict("said twice in one table, or in two ways".to_owned());
            let key = text.get(span.clone()).unwrap_or_default();
            return doubled.insert(span.start).then(|| origin.error(key, String::new(), problem));
        }
        let problem = Problem::Syntax(error.message().to_owned());
        wrong.insert(origin.line).then(|| origin.error("", String::new(), problem))
    });
    let told = told.collect();
    (lines.table(document.into_inner()), told)
}

/// Is a text an object or a list of JSON? As TOML it would be wrong in every line, or have tables that nobody has meant.
fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

const JSON: &str = "it is JSON; what stands there as {\"a\": 1} is written a = 1 here";

/// Is a text no TOML at all? What was recovered from one would only draw errors that are not there.
pub(crate) fn is_broken(errors: &[ConfigError]) -> bool {
    errors.iter().any(|error| matches!(error.problem, Problem::Syntax(_)))
}

/// The lines of the tables of a file that are no TOML in places, each with the tables within it: what was recovered from them would
/// draw errors that are not there. A header that is no TOML leaves its keys to the table before, which is broken with it.
pub(crate) fn broken_tables(file: &str, text: &str, errors: &[ConfigError]) -> Vec<Range<usize>> {
    let of_file = errors.iter().filter(|error| error.file == file && matches!(error.problem, Problem::Syntax(_)));
    let mut wrong: BTreeSet<usize> = of_file.map(|error| error.line).collect();
    if wrong.is_empty() {
        return Vec::new();
    }
    // Of a text of several lines that has no end the fault is told where it was looked for.
    let several = |line: &str| ["\"\"\"", "'''"].iter().any(|quotes| line.contains(quotes));
    wrong.extend((1..).zip(text.lines()).filter(|(_, line)| several(line)).map(|(number, _)| number));
    // The top of the file, which is about the whole of it, has no header.
    let (mut starts, mut within) = (vec![0], "");
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| line.trim_start().starts_with('[')) {
        let mut names = line.trim_matches(['[', ']', ' ', '\t']).splitn(2, '.');
        let (first, is_deeper) = (names.next().unwrap_or_default(), names.next().is_some());
        if !(is_deeper && first == within) {
            starts.push(number);
        }
        within = first;
    }
    let ends = starts.iter().skip(1).copied().chain([usize::MAX]);
    let tables: Vec<Range<usize>> = starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect();
    let is_broken = |place: usize, table: &Range<usize>| {
        let next = tables.get(place + 1).is_some_and(|next| wrong.contains(&next.start));
        next || wrong.range(table.clone()).next().is_some()
    };
    (0..).zip(&tables).filter(|(place, table)| is_broken(*place, table)).map(|(_, table)| table.clone()).collect()
}

/// Reads one TOML value that does not stand in a file.
pub(crate) fn parse_value(source: &str, text: &str) -> Result<Node, String> {
    let lines = Lines { file: source.into(), starts: Vec::new() };
    match DeValue::parse(text) {
        Ok(value) => Ok(Node { origin: Origin::new(source, 0), said: lines.value(value.into_inner()) }),
        Err(error) => Err(error.message().to_owned()),
    }
}

/// Adds what a further file says. `joins(key)`: are lists under this key joined? Anything else said twice is an error.
pub(crate) fn merge(into: &mut Table, from: Table, joins: fn(&str) -> bool) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    merge_at("", into, from, joins, &mut errors);
    errors
}

fn merge_at(prefix: &str, into: &mut Table, from: Table, joins: fn(&str) -> bool, errors: &mut Vec<ConfigError>) {
    for (key, node) in from {
        let path = format!("{prefix}{key}");
        let Some(old) = into.get_mut(&key) else {
            into.insert(key, node);
            continue;
        };
        match (&mut old.said, node.said) {
            (Said::Table(old), Said::Table(new)) => merge_at(&format!("{path}."), old, new, joins, errors),
            (Said::List(old), Said::List(new)) if joins(&path) => old.extend(new),
            _ => {
                let first = old.origin.to_string();
                errors.push(node.origin.error(&path, String::new(), Problem::Twice { first }));
            }
        }
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0)
        .chain(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1))
        .collect()
}

/// Turns places in a text into lines.
pub(crate) struct Lines {
    file: Arc<str>,
    /// Where each line starts; empty for a text that is no file.
    starts: Vec<usize>,
}

impl Lines {
    pub(crate) fn of(file: &str, text: &str) -> Self {
        Self { file: file.into(), starts: line_starts(text) }
    }

    pub(crate) fn at_line(&self, line: usize) -> Origin {
        Origin { file: self.file.clone(), line }
    }

    pub(crate) fn origin(&self, at: usize) -> Origin {
        Origin { file: self.file.clone(), line: self.starts.partition_point(|start| *start <= at) }
    }

    /// The text with the lines left blank that have these places.
    fn without(&self, text: &str, places: &[usize]) -> String {
        let blank: BTreeSet<usize> = places.iter().map(|at| self.origin(*at).line).collect();
        let line = |(number, line): (usize, &str)| match blank.contains(&number) {
            true => line.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect(),
            false => line.to_owned(),
        };
        (1..).zip(text.split_inclusive('\n')).map(line).collect()
    }

    fn table(&self, table: DeTable<'_>) -> Table {
        let entry = |(key, value): (Spanned<_>, Spanned<DeValue<'_>>)| {
            let origin = self.origin(key.span().start);
            let key: std::borrow::Cow<'_, str> = key.into_inner();
            (key.into_owned(), Node { origin, said: self.value(value.into_inner()) })
        };
        table.into_iter().map(entry).collect()
    }

    fn value(&self, value: DeValue<'_>) -> Said {
        match value {
            DeValue::String(text) => Said::Text(text.into_owned()),
            DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(number) => Said::Integer(number),
                Err(_) => Said::Other(integer.to_string()),
            },
            DeValue::Boolean(flag) => Said::Flag(flag),
            DeValue::Float(float) => Said::Other(float.to_string()),
            DeValue::Datetime(datetime) => Said::Other(datetime.to_string()),
            DeValue::Array(items) => {
                let node = |item: Spanned<DeValue<'_>>| {
                    let origin = self.origin(item.span().start);
                    Node { origin, said: self.value(item.into_inner()) }
                };
                Said::List(items.into_iter().map(node).collect())
            }
            DeValue::Table(table) => Said::Table(self.table(table)),
        }
    }
}
