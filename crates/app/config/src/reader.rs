//! Reads a table of the said tree against the table of keys, and collects every error on the way.
//!
//! A reader never stops at an error: it notes it and gives the default, so that all errors are found in one run.
//! What was built is thrown away when there was any.

mod item;
mod short;

pub(crate) use short::spell_out;

use crate::error::{ConfigError, Found, Problem};
use crate::keys::{self, Entry, KeyTable, Kind};
use crate::said::{Node, Origin, Said, Table};
use crate::secret::Secret;
use crate::source::Outside;
use item::{in_range, parse, plain, plain_text, secret, tested, word, wrong_type};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// What all readers of one run share.
pub(crate) struct Run<'a> {
    /// The keys there are.
    pub(crate) keys: &'static KeyTable,
    pub(crate) outside: &'a dyn Outside,
    pub(crate) errors: RefCell<Found>,
}

/// A table and where it stands.
pub(crate) struct Reader<'a> {
    run: &'a Run<'a>,
    table: &'a Table,
    /// The place of the table, for keys that are missing.
    origin: Origin,
    /// Its path in the table of keys: `trunk[]`.
    path: String,
    /// Its path as shown: `trunk[carrier]`.
    shown: String,
}

/// A word that stands for a value.
pub(crate) trait Word: Copy + PartialEq + 'static {
    /// Every value and its word.
    const WORDS: &'static [(&'static str, Self)];

    /// The word of this value.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }
}

static NO_KEYS: LazyLock<Table> = LazyLock::new(BTreeMap::new);

impl<'a> Reader<'a> {
    /// Reads the top of the tree.
    pub(crate) fn top(run: &'a Run<'a>, table: &'a Table, origin: Origin) -> Self {
        let reader = Self { run, table, origin, path: String::new(), shown: String::new() };
        reader.refuse_unknown();
        reader
    }

    fn below(&self, node: &'a Node, table: &'a Table, path: String, shown: String) -> Self {
        let reader = Self { run: self.run, table, origin: node.origin.clone(), path, shown };
        reader.refuse_unknown();
        reader
    }

    fn refuse_unknown(&self) {
        for (name, node) in self.table {
            if self.run.keys.find(&join(&self.path, name)).is_none() || name.contains(['.', '[']) {
                let nearest = keys::nearest(name, self.run.keys.names_under(&self.path));
                let did_you_mean = nearest.map(str::to_owned);
                let key = join(&self.shown, name);
                self.note(node.origin.error(&key, String::new(), Problem::UnknownKey { did_you_mean }));
            }
        }
    }

    fn note(&self, error: ConfigError) {
        self.run.errors.borrow_mut().push(error);
    }

    /// Notes that what stands at a key is no good.
    pub(crate) fn refuse(&self, name: &str, problem: Problem) {
        let key = if name.is_empty() { self.shown.clone() } else { join(&self.shown, name) };
        // A password that stands where a reference should is still a password.
        let is_secret = |entry: &Entry| matches!(entry.key.kind, Kind::Secret);
        let is_secret = self.run.keys.find(&join(&self.path, name)).is_some_and(is_secret);
        let error = match self.table.get(name) {
            Some(node) if is_secret => node.origin.error(&key, Secret::SHOWN.to_owned(), problem),
            Some(node) => node.origin.error(&key, node.shown(), problem),
            None => self.origin.error(&key, String::new(), problem),
        };
        self.note(error);
    }

    /// Notes that two values do not fit together, unless one of these keys has an error of its own already.
    pub(crate) fn conflict(&self, names: &[&str], problem: &str) {
        let is_spoilt = |name: &&str| self.run.errors.borrow().has(&join(&self.shown, name));
        if !names.iter().any(is_spoilt) {
            let name = names.iter().find(|name| self.has(name)).or(names.first()).copied().unwrap_or_default();
            self.refuse(name, Problem::Conflict(problem.to_owned()));
        }
    }

    /// Is the key given?
    pub(crate) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Is an empty list given there?
    pub(crate) fn is_empty_list(&self, name: &str) -> bool {
        self.table.get(name).is_some_and(|node| matches!(&node.said, Said::List(items) if items.is_empty()))
    }

    /// The text that stands at a key, good or not.
    pub(crate) fn text_as_said(&self, name: &str) -> Option<&'a str> {
        match self.table.get(name).map(|node| &node.said) {
            Some(Said::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// How many errors were found so far, here and elsewhere.
    pub(crate) fn errors(&self) -> usize {
        self.run.errors.borrow().errors().len()
    }

    /// The keys of this table that have the errors which were found after so many.
    pub(crate) fn spoilt_since(&self, errors: usize) -> Vec<String> {
        let start = format!("{}.", self.shown);
        let found = self.run.errors.borrow();
        let here = found.errors()[errors..].iter().filter_map(|error| error.key.strip_prefix(&start));
        here.map(str::to_owned).collect()
    }

    /// What stands at a key, where it stands, or else its default. A missing key that must be given is noted.
    fn node(&self, name: &str) -> Option<(&'a Node, &'static Entry)> {
        let entry = self.run.keys.find(&join(&self.path, name))?;
        if let Some(node) = self.table.get(name) {
            return Some((node, entry));
        }
        if matches!(entry.key.default, keys::Default::Required) {
            self.refuse(name, Problem::Missing { allowed: entry.key.kind.allowed() });
        }
        entry.default.as_ref().map(|node| (node, entry))
    }

    /// What `read` makes of the value at a key; of its default, when the value is refused.
    fn read<T>(&self, name: &str, read: impl Fn(&'a Said, &Kind) -> Result<T, Problem>) -> Option<T> {
        let (node, entry) = self.node(name)?;
        match read(&node.said, &entry.key.kind) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.refuse(name, problem);
                entry.default.as_ref().and_then(|node| read(&node.said, &entry.key.kind).ok())
            }
        }
    }

    /// A flag; `None` where it is not given and has no default.
    pub(crate) fn flag_if_said(&self, name: &str) -> Option<bool> {
        self.read(name, |said, kind| match said {
            Said::Flag(flag) => Ok(*flag),
            _ => Err(wrong_type(kind)),
        })
    }

    /// A flag that has a default.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.flag_if_said(name).unwrap_or_default()
    }

    /// A number; `None` where it is not given and has no default. Its range fits `T`.
    pub(crate) fn number_if_said<T: TryFrom<i64>>(&self, name: &str) -> Option<T> {
        let number = self.read(name, |said, kind| match (said, kind) {
            (Said::Integer(number), Kind::Number { min, max, .. }) => in_range(*number, *min, *max, kind),
            _ => Err(wrong_type(kind)),
        })?;
        T::try_from(number).ok()
    }

    /// A number that has a default.
    pub(crate) fn number<T: TryFrom<i64> + Default>(&self, name: &str) -> T {
        self.number_if_said(name).unwrap_or_default()
    }

    /// A number of seconds.
    pub(crate) fn seconds(&self, name: &str) -> Duration {
        Duration::from_secs(self.number(name))
    }

    /// A number of seconds, of which 0 means "off".
    pub(crate) fn seconds_or_off(&self, name: &str) -> Option<Duration> {
        Some(self.seconds(name)).filter(|duration| !duration.is_zero())
    }

    /// A number of milliseconds.
    pub(crate) fn milliseconds(&self, name: &str) -> Duration {
        Duration::from_millis(self.number(name))
    }

    /// A list of numbers; `None` where it is not given and has no default.
    pub(crate) fn numbers_if_said(&self, name: &str) -> Option<Vec<i64>> {
        self.items(name, |said, kind| match (said, kind) {
            (Said::Integer(number), Kind::Numbers { min, max }) => in_range(*number, *min, *max, kind),
            _ => Err(wrong_type(kind)),
        })
    }

    /// Text; `None` where it is not given and has no default.
    pub(crate) fn text_if_said(&self, name: &str) -> Option<Arc<str>> {
        self.read(name, |said, kind| plain_text(said, kind).map(Arc::from))
    }

    /// Text that must be given or has a default.
    pub(crate) fn text(&self, name: &str) -> Arc<str> {
        self.text_if_said(name).unwrap_or_default()
    }

    /// Text that means more than its characters.
    pub(crate) fn parsed<T: FromStr>(&self, name: &str) -> Option<T> {
        self.read(name, |said, kind| parse(plain_text(said, kind)?, kind))
    }

    /// Text that must pass a test.
    pub(crate) fn tested(&self, name: &str, test: fn(&str) -> bool) -> Option<Arc<str>> {
        self.read(name, |said, kind| tested(plain_text(said, kind)?, kind, test))
    }

    /// A list of texts that mean more than their characters.
    pub(crate) fn parsed_list<T: FromStr>(&self, name: &str) -> Vec<T> {
        self.list(name, |text, kind| parse(text, kind))
    }

    /// A list of texts that each must pass a test.
    pub(crate) fn tested_list(&self, name: &str, test: fn(&str) -> bool) -> Vec<Arc<str>> {
        self.list(name, |text, kind| tested(text, kind, test))
    }

    /// A list of texts that `check` makes values of, or says what is wrong with.
    pub(crate) fn checked_list<T>(&self, name: &str, check: fn(&str) -> Result<T, Problem>) -> Vec<T> {
        self.list(name, |text, _| check(text))
    }

    /// Reads each item of a list; the ones that are refused are noted where they stand.
    fn list<T>(&self, name: &str, read: impl Fn(&str, &Kind) -> Result<T, Problem>) -> Vec<T> {
        self.items(name, |said, kind| read(plain_text(said, kind)?, kind)).unwrap_or_default()
    }

    fn items<T>(&self, name: &str, read: impl Fn(&Said, &Kind) -> Result<T, Problem>) -> Option<Vec<T>> {
        let (node, entry) = self.node(name)?;
        let Said::List(items) = &node.said else {
            self.refuse(name, wrong_type(&entry.key.kind));
            return None;
        };
        let mut read_items = Vec::new();
        for item in items {
            match read(&item.said, &entry.key.kind) {
                Ok(value) => read_items.push(value),
                Err(problem) => self.note(item.origin.error(&join(&self.shown, name), item.shown(), problem)),
            }
        }
        Some(read_items)
    }

    /// One of some words; `None` where it is not given and has no default.
    pub(crate) fn choice_if_said<T: Word>(&self, name: &str) -> Option<T> {
        self.read(name, |said, kind| word(plain_text(said, kind)?, kind))
    }

    /// One of some words, where `T` is known to have a default there.
    pub(crate) fn choice<T: Word>(&self, name: &str, otherwise: T) -> T {
        self.choice_if_said(name).unwrap_or(otherwise)
    }

    /// Some of some words.
    pub(crate) fn choices<T: Word>(&self, name: &str) -> Vec<T> {
        self.list(name, word)
    }

    /// Some of some words, each once: in an order of preference the second of two would mean nothing.
    pub(crate) fn choices_in_order<T: Word>(&self, name: &str) -> Vec<T> {
        let said = RefCell::new(Vec::new());
        self.list(name, |text, kind| {
            let value: T = word(text, kind)?;
            if said.borrow().contains(&value) {
                return Err(Problem::Conflict("stands in the list twice".to_owned()));
            }
            said.borrow_mut().push(value);
            Ok(value)
        })
    }

    /// A path; relative ones start at the directory of the main file.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.run.outside.resolve(&self.text(name))
    }

    /// Is there a file that can be read? Or why not.
    pub(crate) fn check_file(&self, path: &Path) -> Result<(), String> {
        self.run.outside.check_file(path)
    }

    /// The path of a file that must be there; `None` where it is not given and has no default.
    pub(crate) fn file_if_said(&self, name: &str) -> Option<PathBuf> {
        self.read(name, |said, kind| {
            let path = self.run.outside.resolve(plain_text(said, kind)?);
            self.run.outside.check_file(&path).map_err(Problem::Unreadable)?;
            Ok(path)
        })
    }

    /// A list of paths of files. Those that are given must be there; a default need not.
    pub(crate) fn files(&self, name: &str) -> Vec<PathBuf> {
        self.list(name, |text, _| {
            let path = self.run.outside.resolve(text);
            if self.has(name) {
                self.run.outside.check_file(&path).map_err(Problem::Unreadable)?;
            }
            Ok(path)
        })
    }

    /// A table of texts under free names.
    pub(crate) fn texts(&self, name: &str) -> Vec<(Arc<str>, Arc<str>)> {
        let texts = self.read(name, |said, kind| match said {
            Said::Table(table) => table
                .iter()
                .map(|(name, node)| Ok((Arc::from(name.as_str()), Arc::from(plain_text(&node.said, kind)?))))
                .collect(),
            _ => Err(wrong_type(kind)),
        });
        texts.unwrap_or_default()
    }

    /// The secret that is referred to.
    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        let node = self.table.get(name)?;
        secret(&node.said, self.run.outside).map_err(|problem| self.refuse(name, problem)).ok()
    }

    /// The table at a key; an empty one where there is none.
    pub(crate) fn section(&self, name: &str) -> Self {
        let path = join(&self.path, name);
        let shown = join(&self.shown, name);
        match self.table.get(name).map(|node| (node, &node.said)) {
            Some((node, Said::Table(table))) => return self.below(node, table, path, shown),
            Some(_) => self.refuse(name, wrong_type(&Kind::Section)),
            None => {}
        }
        Self { run: self.run, table: &NO_KEYS, origin: self.origin.clone(), path, shown }
    }

    /// The tables of a list.
    pub(crate) fn entries(&self, name: &str) -> Vec<Self> {
        let Some((node, entry)) = self.node(name) else { return Vec::new() };
        let Said::List(items) = &node.said else {
            self.refuse(name, wrong_type(&entry.key.kind));
            return Vec::new();
        };
        let path = format!("{}[]", join(&self.path, name));
        let mut readers = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match &item.said {
                Said::Table(table) => {
                    let shown = format!("{}[{}]", join(&self.shown, name), entry_name(table, index));
                    readers.push(self.below(item, table, path.clone(), shown));
                }
                _ => {
                    let problem = wrong_type(&entry.key.kind);
                    self.note(item.origin.error(&join(&self.shown, name), item.shown(), problem));
                }
            }
        }
        readers
    }

    /// Where a key of a table in this one stands, if it is given.
    pub(crate) fn origin_in(&self, table: &str, name: &str) -> Option<&'a Origin> {
        match &self.table.get(table)?.said {
            Said::Table(table) => table.get(name).map(|node| &node.origin),
            _ => None,
        }
    }

    /// Where it stands.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }
}

/// The name of an entry where it has one, or else its place counted from 1.
pub(crate) fn entry_name(table: &Table, index: usize) -> String {
    let name = ["name", "identity"].iter().find_map(|name| table.get(*name));
    match name.map(|node| &node.said) {
        Some(Said::Text(name)) if plain(name) => name.clone(),
        _ => (index + 1).to_string(),
    }
}

pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
