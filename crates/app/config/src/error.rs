//! What is wrong with a configuration, and where.

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
}

fn suggestion(did_you_mean: &Option<String>) -> String {
    did_you_mean.as_ref().map_or_else(String::new, |key| format!("; did you mean \"{key}\"?"))
}

impl ConfigError {
    /// Where it is: `strowger.toml:12`.
    pub fn place(&self) -> String {
        if self.line > 0 { format!("{}:{}", self.file, self.line) } else { self.file.clone() }
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
