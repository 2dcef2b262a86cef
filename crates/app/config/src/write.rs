//! From what is meant back to text: the effective configuration as TOML, and what differs between two of them.

mod toml_text;
mod tree;
mod trust;

pub(crate) use toml_text::inline;

use crate::keys::{self, Kind};
use crate::meant::Config;
use crate::reader::{entry_name, join};
use crate::said::{Said, Table};
use std::collections::BTreeMap;

/// The effective configuration as TOML that says every key. Secrets are shown as `<secret>`.
pub(crate) fn print(config: &Config) -> String {
    toml_text::document(&tree::config(config))
}

/// One line for each key whose value differs: `sip.t1_ms: 500 -> 400`. Secrets are not shown.
pub(crate) fn diff(old: &Config, new: &Config) -> Vec<Change> {
    let (old, new) = (tree::config(old), tree::config(new));
    let (mut before, mut after) = (Flat::new(), Flat::new());
    flatten("", "", &old, &mut before);
    flatten("", "", &new, &mut after);
    let mut changes: Vec<Change> =
        before.iter().filter_map(|(key, value)| changed(key, value, after.get(key))).collect();
    changes.extend(
        before.iter().filter(|(key, _)| is_gone(key, &before, &after)).map(|(key, value)| value.change(key, "removed")),
    );
    changes.extend(
        after.iter().filter(|(key, _)| is_gone(key, &after, &before)).map(|(key, value)| value.change(key, "added")),
    );
    changes.sort();
    changes
}

/// A key at which two configurations differ. `Display` gives a line: `sip.t1_ms: 500 -> 400`. Secrets are not shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The key.
    pub key: String,
    /// What is different there, in words.
    pub what: String,
}

impl Change {
    fn of(key: &str, what: String) -> Self {
        Self { key: key.to_owned(), what }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.key, self.what)
    }
}

/// Keys and what stands at them.
type Flat<'t> = BTreeMap<String, Value<'t>>;

/// What stands at a flattened key.
#[derive(PartialEq)]
enum Value<'t> {
    Leaf(&'t Said),
    /// A trunk, a room or a route is here; its keys follow.
    Entry,
    /// The names of trunks, rooms or routes in their order.
    Names(Vec<String>),
}

impl Value<'_> {
    fn change(&self, key: &str, what: &str) -> Change {
        match self {
            Self::Leaf(said) if !matches!(said, Said::Secret(_)) => {
                Change::of(key, format!("{what} ({})", inline(said)))
            }
            _ => Change::of(key, what.to_owned()),
        }
    }
}

/// What to say about a key that both have.
fn changed(key: &str, before: &Value<'_>, after: Option<&Value<'_>>) -> Option<Change> {
    match (before, after?) {
        (before, after) if before == after => None,
        (Value::Leaf(Said::Secret(_)), _) => Some(Change::of(key, "changed".to_owned())),
        (Value::Leaf(before), Value::Leaf(after)) => {
            Some(Change::of(key, format!("{} -> {}", inline(before), inline(after))))
        }
        (Value::Names(before), Value::Names(after)) => {
            let kept = |names: &[String], others: &[String]| -> Vec<String> {
                names.iter().filter(|name| others.contains(name)).cloned().collect()
            };
            let (kept_before, kept_after) = (kept(before, after), kept(after, before));
            let moved = kept_before != kept_after;
            moved.then(|| Change::of(key, format!("order [{}] -> [{}]", kept_before.join(", "), kept_after.join(", "))))
        }
        _ => None,
    }
}

/// Is this key missing in the other, and not only because its whole entry is?
fn is_gone(key: &str, here: &Flat<'_>, there: &Flat<'_>) -> bool {
    let entry = key.rsplit_once("].").map(|(entry, _)| format!("{entry}]"));
    let whole_entry_gone = entry.is_some_and(|entry| here.contains_key(&entry) && !there.contains_key(&entry));
    !there.contains_key(key) && !whole_entry_gone
}

/// Trunks, rooms and routes are told apart by name, so that one that moves is not one that changes; the order of names is a
/// value of its own. Other lists are compared whole.
fn flatten<'t>(path: &str, shown: &str, table: &'t Table, into: &mut Flat<'t>) {
    for (name, node) in table {
        let (path, shown) = (join(path, name), join(shown, name));
        match &node.said {
            Said::Table(below) if is_section(&path) => flatten(&path, &shown, below, into),
            Said::List(items) if matches!(path.as_str(), "trunk" | "room" | "route") => {
                let mut names = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    if let Said::Table(entry) = &item.said {
                        let name = entry_name(entry, index);
                        let shown = format!("{shown}[{name}]");
                        flatten(&format!("{path}[]"), &shown, entry, into);
                        into.insert(shown, Value::Entry);
                        names.push(name);
                    }
                }
                into.insert(shown, Value::Names(names));
            }
            said => {
                into.insert(shown, Value::Leaf(said));
            }
        }
    }
}

fn is_section(path: &str) -> bool {
    keys::CONFIG.find(path).is_some_and(|entry| matches!(entry.key.kind, Kind::Section))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Problem;
    use crate::keys::{KEYS, Key};
    use crate::reload::RELOADED;
    use crate::said::{Node, parse};

    /// What a printed configuration says at a path without lists.
    fn said_at<'t>(table: &'t Table, path: &str) -> Option<&'t Said> {
        match path.split_once('.') {
            None => table.get(path).map(|node| &node.said),
            Some((first, rest)) => match table.get(first) {
                Some(Node { said: Said::Table(below), .. }) => said_at(below, rest),
                _ => None,
            },
        }
    }

    /// What the keys of the server that cosigns go with.
    const COSIGNS: &str = "listen = \"127.0.0.1:1\"\ncosigns = [{ key = \"south.example/south+e136176f+AQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUF\" }]";

    /// Values of a plain key that are not its default.
    fn candidates(key: &Key) -> Vec<String> {
        match key.kind {
            Kind::Flag => vec!["true".into(), "false".into()],
            Kind::Number { min, max, .. } => {
                // 601 lies between limits that must not be crossed.
                let numbers = [min.max(1), min + 1, 601.clamp(min, max), max, max - 1];
                numbers.iter().map(ToString::to_string).collect()
            }
            Kind::Choice(words) => words.iter().map(|word| format!("\"{word}\"")).collect(),
            Kind::Text => vec!["\"another\"".into()],
            Kind::Path => vec!["\"/another/path\"".into()],
            _ => Vec::new(),
        }
    }

    /// Every plain key reaches its field and comes back from it: no two are swapped and none is forgotten.
    #[test]
    fn what_is_said_at_a_key_is_what_is_printed_there() {
        let hep = "address = \"h\"";
        for key in KEYS.iter().filter(|key| !key.path.contains('[') && !candidates(key).is_empty()) {
            let (section, name) = key.path.rsplit_once('.').expect("a section");
            let mut taken = 0;
            for value in candidates(key) {
                let hep = if section == "hep" { hep } else { "" };
                let partner = match key.path {
                    "sip.tls.certificate" => "key = \"k\"",
                    "sip.tls.key" => "certificate = \"c\"",
                    "api.certificate" => "key = \"k\"",
                    "api.key" => "certificate = \"c\"",
                    "witness.certificate" => &format!("certificate_key = \"k\"\n{COSIGNS}"),
                    "witness.certificate_key" => &format!("certificate = \"c\"\n{COSIGNS}"),
                    "witness.requests_per_minute" => COSIGNS,
                    "sip.tls.crl_required" => "client_ca = \"a\"\nclient_crl = [\"r\"]",
                    "escalation.room" => "[[room]]\nname = \"another\"",
                    _ => "",
                };
                let text = format!("[{section}]\n{name} = {value}\n{hep}\n{partner}\n");
                match Config::from_text(&text) {
                    Ok(config) => {
                        let (printed, errors) = parse("printed", &config.print());
                        assert_eq!(errors, []);
                        let said = said_at(&printed, key.path).map(inline);
                        assert_eq!(said, Some(value), "{}", key.path);
                        taken += 1;
                    }
                    Err(errors) => {
                        let only_conflicts = errors.iter().all(|error| matches!(error.problem, Problem::Conflict(_)));
                        assert!(only_conflicts, "{text}: {errors:?}");
                    }
                }
            }
            assert!(taken > 0, "{} takes none of its own values", key.path);
        }
    }

    /// The list of what needs no restart is what is taken over, key by key.
    #[test]
    fn a_key_is_taken_over_or_waits_as_the_list_says() {
        let in_list = |path: &str| {
            RELOADED
                .iter()
                .any(|key| path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
        };
        assert!(RELOADED.iter().all(|key| KEYS.iter().any(|known| known.path == *key)));
        let (mut taken, mut waiting) = (0, 0);
        for key in KEYS.iter().filter(|key| !key.path.contains('[') && !candidates(key).is_empty()) {
            let (section, name) = key.path.rsplit_once('.').expect("a section");
            let before = match (section, key.path) {
                ("hep", _) => "[hep]\naddress = \"h\"\n",
                (_, "sip.tls.certificate" | "sip.tls.key") => "[sip.tls]\ncertificate = \"c\"\nkey = \"k\"\n",
                _ => "",
            };
            let running = Config::from_text(before).expect("it is right");
            for value in candidates(key) {
                let line = format!("{name} = {value}\n");
                let text = match before.lines().find(|line| line.starts_with(&format!("{name} = "))) {
                    Some(said) => before.replace(&format!("{said}\n"), &line),
                    None if before.is_empty() => format!("[{section}]\n{line}"),
                    None => format!("{before}{line}"),
                };
                let Ok(new) = Config::from_text(&text) else { continue };
                if diff(&running, &new).is_empty() {
                    continue;
                }
                let mixed = running.reloaded(&new);
                let (at_once, later) = (diff(&running, &mixed), diff(&mixed, &new));
                assert_ne!(at_once.is_empty(), later.is_empty(), "{text}: {at_once:?} {later:?}");
                assert_eq!(later.is_empty(), in_list(key.path), "{}", key.path);
                if later.is_empty() { taken += 1 } else { waiting += 1 }
            }
        }
        assert!(taken > 10 && waiting > 50, "{taken} taken, {waiting} waiting");
    }

    #[test]
    fn a_number_one_beyond_its_range_is_refused_with_the_range() {
        for key in KEYS.iter().filter(|key| !key.path.contains('[')) {
            let Kind::Number { min, max, .. } = key.kind else { continue };
            let (section, name) = key.path.rsplit_once('.').expect("a section");
            for value in [min - 1, max + 1] {
                let errors = Config::from_text(&format!("[{section}]\n{name} = {value}\n")).expect_err(key.path);
                let error = errors.iter().find(|error| error.key == key.path).expect("an error at the key");
                assert_eq!(error.problem, Problem::OutOfRange { allowed: key.kind.allowed() });
                assert_eq!((error.line, &error.value), (2, &value.to_string()));
            }
        }
    }
}
