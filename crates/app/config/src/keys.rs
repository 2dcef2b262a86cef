//! The tables of keys. Reading, the names of overrides, suggestions for unknown keys and the references all come from
//! them.

mod facts;
mod policy;
mod table;

pub(crate) use facts::FACTS_KEYS;
pub(crate) use policy::POLICY_KEYS;
pub(crate) use table::{CODED, KEYS};

use crate::said::{Node, parse_value};
use std::collections::HashMap;
use std::sync::LazyLock;

/// One key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// Its path; `[]` stands for an entry of a list: `trunk[].name`.
    pub(crate) path: &'static str,
    /// What may stand there.
    pub(crate) kind: Kind,
    /// What holds when nothing stands there.
    pub(crate) default: Default,
    /// What it is.
    pub(crate) about: &'static str,
    /// Where it is a limit: the metric that shows how near it is.
    pub(crate) metric: Option<&'static str>,
}

/// What may stand at a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A table.
    Section,
    /// A list of tables. Where `short` names a key, a bare text stands for a table with this key only.
    Entries { short: Option<&'static str> },
    /// `true` or `false`.
    Flag,
    /// A whole number of a unit.
    Number { min: i64, max: i64, unit: &'static str },
    /// A list of whole numbers.
    Numbers { min: i64, max: i64 },
    /// Text without control characters, 1 to 255 bytes.
    Text,
    /// Text of a shape, in the words of the reference.
    Shape(&'static str),
    /// A list of texts of a shape.
    Shapes(&'static str),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Some of these words, in order.
    Choices(&'static [&'static str]),
    /// The name of a file or directory.
    Path,
    /// A list of them.
    Paths,
    /// A table of texts under free names.
    Texts,
    /// A reference to a secret.
    Secret,
}

/// What holds when a key is not given.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Default {
    /// This value, in TOML.
    Is(&'static str),
    /// It must be given.
    Required,
    /// There is none; in the words of the reference, what then holds.
    Absent(&'static str),
}

impl Kind {
    /// What may stand there, in words.
    pub(crate) fn allowed(&self) -> String {
        let words = |words: &[&str]| words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        match self {
            Self::Section => "a table".into(),
            Self::Entries { short: None } => "a list of tables".into(),
            Self::Entries { short: Some(short) } => {
                format!("a list of tables, or of texts that give \"{short}\" alone")
            }
            Self::Flag => "true or false".into(),
            Self::Number { min, max, unit: "" } => format!("{min} to {max}"),
            Self::Number { min, max, unit } => format!("{min} to {max} {unit}"),
            Self::Numbers { min, max } => format!("a list of numbers from {min} to {max}"),
            Self::Text => "text of 1 to 255 bytes without control characters".into(),
            Self::Shape(shape) => (*shape).into(),
            Self::Shapes(shape) => format!("a list, each entry {shape}"),
            Self::Choice(choices) => words(choices),
            Self::Choices(choices) => format!("a list of {}", words(choices)),
            Self::Path => "a path".into(),
            Self::Paths => "a list of paths".into(),
            Self::Texts => "a table of texts".into(),
            Self::Secret => "{ env = \"NAME\" } or { file = \"path\" }, a file with mode 0600 or stricter".into(),
        }
    }
}

/// A key and its default as a value.
pub(crate) struct Entry {
    pub(crate) key: &'static Key,
    pub(crate) default: Option<Node>,
}

/// The keys of one kind of file, and where each is found.
pub(crate) struct KeyTable {
    /// In the order of the reference.
    pub(crate) keys: &'static [Key],
    index: HashMap<&'static str, Entry>,
}

/// The keys of the configuration.
pub(crate) static CONFIG: LazyLock<KeyTable> = LazyLock::new(|| KeyTable::new(KEYS));
/// The keys of a policy file.
pub(crate) static POLICY: LazyLock<KeyTable> = LazyLock::new(|| KeyTable::new(POLICY_KEYS));
/// The keys of the facts that a policy is tried with.
pub(crate) static FACTS: LazyLock<KeyTable> = LazyLock::new(|| KeyTable::new(FACTS_KEYS));

impl KeyTable {
    fn new(keys: &'static [Key]) -> Self {
        let entry = |key: &'static Key| {
            let default = match key.default {
                Default::Is(text) => parse_value("default", text).ok(),
                Default::Required | Default::Absent(_) => None,
            };
            (key.path, Entry { key, default })
        };
        Self { keys, index: keys.iter().map(entry).collect() }
    }

    /// The key at this path of the table, as `trunk[].name`.
    pub(crate) fn find(&self, path: &str) -> Option<&Entry> {
        self.index.get(path)
    }

    /// The last names of the keys directly under a path; the empty path is the top.
    pub(crate) fn names_under(&self, prefix: &str) -> impl Iterator<Item = &'static str> + use<> {
        let start = if prefix.is_empty() { String::new() } else { format!("{prefix}.") };
        let below = move |key: &'static Key| key.path.strip_prefix(start.as_str()).filter(|rest| !rest.contains('.'));
        self.keys.iter().filter_map(below)
    }
}

/// The name nearest to a mistaken one, when it is near.
pub(crate) fn nearest(name: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    // A longer text is no slip of a finger, and comparing it would cost its length times the length of every name.
    const LENGTH_MAX: usize = 64;
    if name.len() > LENGTH_MAX {
        return None;
    }
    let near = |candidate: &'static str| {
        let steps = distance(name, candidate);
        (steps <= 1 + candidate.len() / 4).then_some((steps, candidate))
    };
    names.filter_map(near).min_by_key(|(steps, _)| *steps).map(|(_, candidate)| candidate)
}

/// How many letters must be put in, taken out or changed to make one text of the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_toml_and_every_path_has_its_section() {
        for table in [&CONFIG, &POLICY, &FACTS] {
            for key in table.keys {
                if let Default::Is(text) = key.default {
                    assert!(parse_value("default", text).is_ok(), "{}", key.path);
                }
                if let Some((parent, _)) = key.path.rsplit_once('.') {
                    let parent = parent.strip_suffix("[]").unwrap_or(parent);
                    let kind = table.find(parent).map(|entry| entry.key.kind);
                    assert!(matches!(kind, Some(Kind::Section | Kind::Entries { .. })), "{}", key.path);
                }
                assert!(key.about.ends_with(['.', '?']), "{}", key.path);
            }
            assert_eq!(table.index.len(), table.keys.len(), "a key stands twice");
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(nearest(name, CONFIG.names_under("sip")), expected, "{name}");
        };
        check("t1ms", Some("t1_ms"));
        check("lisen", Some("listen"));
        check("sesion_expires_s", Some("session_expires_s"));
        check("colour", None);
        check(&"x".repeat(1000), None);
    }
}
