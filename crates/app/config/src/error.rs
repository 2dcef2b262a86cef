//! What is wrong with a configuration, and where.

use std::collections::HashSet;
use std::fmt;

/// One thing that is wrong. `Display` gives a whole line: `strowger.toml:12: sip.t1_ms = 0: out of range; allowed: 50 to 10000 ms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, or the environment variable, that says it.
    pub file: String,
    /// The line, counted from 1; 0 where there is none.
    pub line: usize,
    /// The key, as `sip.t1_ms` or `trunk[carrier].calls_max`; empty when it is about the whole file.
    pub key: String,
    /// The value as written; empty when there is none, when it is long, or when it may be a secret.
    pub value: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong. Always the fault of who wrote the configuration, or of the files and variables it refers to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The text is not TOML.
    #[error("not TOML: {0}")]
    Syntax(String),
    /// No key has this name.
    #[error("unknown key{}", suggestion(.did_you_mean))]
    UnknownKey {
        /// The key that was probably meant.
        did_you_mean: Option<String>,
    },
    /// The value is of another type.
    #[error("of the wrong type; allowed: {allowed}")]
    WrongType {
        /// What may stand here.
        allowed: String,
    },
    /// The number is too small or too large.
    #[error("out of range; allowed: {allowed}")]
    OutOfRange {
        /// The range and its unit.
        allowed: String,
    },
    /// The text is not one of those that may stand here.
    #[error("not allowed here; allowed: {allowed}")]
    NotAllowed {
        /// What may stand here.
        allowed: String,
    },
    /// The key must be given and is not.
    #[error("missing; allowed: {allowed}")]
    Missing {
        /// What may stand here.
        allowed: String,
    },
    /// Two places give the same key, or the same name.
    #[error("said twice; first in {first}")]
    Twice {
        /// The file and line of the other place.
        first: String,
    },
    /// A secret is referred to and is not there, or everybody may read it.
    #[error("{0}")]
    Secret(String),
    /// Two values do not fit together.
    #[error("{0}")]
    Conflict(String),
    /// More is wrong with the file than is said: [`ERRORS_MAX`] are.
    #[error("and {count} more error{}", if *.count == 1 { "" } else { "s" })]
    More {
        /// How many are not said.
        count: usize,
    },
}

/// How many errors are said of one file, the first by their lines; of further ones only how many there are.
pub const ERRORS_MAX: usize = 100;

impl Problem {
    /// The same without what kind of problem it is, where that is told anyway.
    pub(crate) fn why(&self) -> String {
        match self {
            Self::Unreadable(why) => why.clone(),
            other => other.to_string(),
        }
    }
}

fn suggestion(did_you_mean: &Option<String>) -> String {
    did_you_mean.as_ref().map_or_else(String::new, |key| format!("; did you mean \"{key}\"?"))
}

impl ConfigError {
    /// Where it is: `strowger.toml:12`.
    pub fn place(&self) -> String {
        if self.line > 0 { format!("{}:{}", self.file, self.line) } else { self.file.clone() }
    }

    /// How many errors it stands for, where it says that there are more.
    pub fn count(&self) -> usize {
        match self.problem {
            Problem::More { count } => count,
            _ => 1,
        }
    }

    /// What is wrong there: `sip.t1_ms = 0: out of range; allowed: 50 to 10000 ms`.
    pub fn fault(&self) -> String {
        let Self { key, value, problem, .. } = self;
        match (key.is_empty(), value.is_empty()) {
            (true, _) => problem.to_string(),
            (false, true) => format!("{key}: {problem}"),
            (false, false) => format!("{key} = {value}: {problem}"),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.fault())
    }
}

impl std::error::Error for ConfigError {}

/// Sorts errors by file and line, and leaves out what of a file is beyond [`ERRORS_MAX`].
pub(crate) fn sorted(mut errors: Vec<ConfigError>) -> Vec<ConfigError> {
    let is_more = |error: &ConfigError| matches!(error.problem, Problem::More { .. });
    errors.sort_by(|a, b| (&a.file, is_more(a), a.line).cmp(&(&b.file, is_more(b), b.line)));
    let mut said: Vec<ConfigError> = Vec::new();
    for of_file in errors.chunk_by(|a, b| a.file == b.file) {
        let (first, further) = of_file.split_at(of_file.len().min(ERRORS_MAX));
        said.extend_from_slice(first);
        let count = further.iter().map(ConfigError::count).sum();
        if let [last, ..] = further {
            let (file, problem) = (last.file.clone(), Problem::More { count });
            said.push(ConfigError { file, line: 0, key: String::new(), value: String::new(), problem });
        }
    }
    said
}

/// Errors as they are found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    errors: Vec<ConfigError>,
    /// The keys that have one.
    keys: HashSet<String>,
}

impl Found {
    pub(crate) fn push(&mut self, error: ConfigError) {
        if !self.keys.contains(&error.key) {
            self.keys.insert(error.key.clone());
        }
        self.errors.push(error);
    }

    /// Is there an error at this key?
    pub(crate) fn has(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// Those that were found, in the order in which they were.
    pub(crate) fn errors(&self) -> &[ConfigError] {
        &self.errors
    }

    pub(crate) fn into_errors(self) -> Vec<ConfigError> {
        self.errors
    }
}

impl From<Vec<ConfigError>> for Found {
    fn from(errors: Vec<ConfigError>) -> Self {
        Self { keys: errors.iter().map(|error| error.key.clone()).collect(), errors }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_file_the_first_errors_are_said_and_the_rest_counted_however_often_they_are_sorted() {
        let error = |file: &str, line: usize| ConfigError {
            file: file.to_owned(),
            line,
            key: "key".to_owned(),
            value: String::new(),
            problem: Problem::Conflict(String::new()),
        };
        let of_a = (1..=ERRORS_MAX + 7).rev().map(|line| error("a", line));
        let of_b = (1..=ERRORS_MAX).map(|line| error("b", line));
        let said = sorted(of_a.chain(of_b).collect());
        assert_eq!(said.len(), 2 * ERRORS_MAX + 1);
        assert_eq!((said[0].line, said[ERRORS_MAX - 1].line), (1, ERRORS_MAX));
        assert_eq!(said[ERRORS_MAX].to_string(), "a: and 7 more errors");
        assert_eq!(said.iter().map(ConfigError::count).sum::<usize>(), 2 * ERRORS_MAX + 7);
        let again = sorted(said.iter().cloned().chain([error("a", 1)]).collect());
        assert_eq!(again[ERRORS_MAX].to_string(), "a: and 8 more errors");
        assert_eq!(sorted(said.clone()), said);
    }
}
