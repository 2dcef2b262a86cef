//! JSON as the same tree that TOML gives: each value with its line, and a key that stands there twice named.

use crate::error::{ConfigError, Problem};
use crate::reader::join;
use crate::said::{Lines, Node, Said, Table};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Reads a text that is to be an object. Of a key that is said twice the first value is what is gone on with, as in TOML.
pub(super) fn parse(file: &str, text: &str) -> (Table, Vec<ConfigError>) {
    let mut reading = Reading { text, lines: Lines::of(file, text), errors: Vec::new() };
    // The whole of it first: this also bounds how deep it goes.
    let whole = serde_json::from_str::<serde_json::Value>(text).map_err(|error| reading.no_json(&error, 1));
    let said = match whole.and_then(|_| serde_json::from_str(text).map_err(|error| reading.no_json(&error, 1))) {
        Ok(raw) => reading.said(raw, ""),
        Err(()) => None,
    };
    match said {
        Some(Said::Table(table)) => (table, reading.errors),
        _ => (Table::new(), reading.errors),
    }
}

struct Reading<'t> {
    text: &'t str,
    lines: Lines,
    errors: Vec<ConfigError>,
}

impl<'t> Reading<'t> {
    /// What the value at a key says; `None` for `null`, which says nothing.
    fn said(&mut self, raw: &'t RawValue, key: &str) -> Option<Said> {
        let text = raw.get();
        let said = match text.as_bytes().first() {
            Some(b'{') => {
                serde_json::from_str(text).map(|Members(members)| Some(Said::Table(self.table(members, key))))
            }
            Some(b'[') => serde_json::from_str(text).map(|items: Vec<&'t RawValue>| {
                let nodes = items.into_iter().filter_map(|item| self.node(item, key));
                Some(Said::List(nodes.collect()))
            }),
            _ => serde_json::from_str(text).map(plain),
        };
        // It was read before, as a part of the whole.
        said.unwrap_or_else(|error| {
            let line = self.lines.origin(self.place(text)).line;
            self.no_json(&error, line);
            None
        })
    }

    fn node(&mut self, raw: &'t RawValue, key: &str) -> Option<Node> {
        let origin = self.lines.origin(self.place(raw.get()));
        self.said(raw, key).map(|said| Node { origin, said })
    }

    fn table(&mut self, members: Vec<(String, &'t RawValue)>, key: &str) -> Table {
        let mut table = Table::new();
        let mut seen = std::collections::BTreeSet::new();
        for (name, raw) in members {
            let key = join(key, &name);
            if !seen.insert(name.clone()) {
                let problem = Problem::Conflict("said twice in one object".to_owned());
                self.errors.push(self.lines.origin(self.place(raw.get())).error(&key, String::new(), problem));
            } else if let Some(node) = self.node(raw, &key) {
                table.insert(name, node);
            }
        }
        table
    }

    /// Where a part of the text begins.
    fn place(&self, part: &str) -> usize {
        (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize)
    }

    fn no_json(&mut self, error: &serde_json::Error, from: usize) {
        let origin = self.lines.at_line(from + error.line().saturating_sub(1));
        self.errors.push(origin.error("", String::new(), Problem::Syntax(format!("nor JSON: {error}"))));
    }
}

fn plain(value: serde_json::Value) -> Option<Said> {
    use serde_json::Value;
    Some(match value {
        Value::Bool(flag) => Said::Flag(flag),
        Value::Number(number) => number.as_i64().map_or_else(|| Said::Other(number.to_string()), Said::Integer),
        Value::String(text) => Said::Text(text),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    })
}

/// The members of an object in the order given; serde's own map would keep the last of two of a name in silence.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}
