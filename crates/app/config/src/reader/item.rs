//! One value: is it what its key wants?

use super::Word;
use crate::error::Problem;
use crate::keys::Kind;
use crate::said::Said;
use crate::secret::Secret;
use crate::source::Outside;
use std::str::FromStr;
use std::sync::Arc;

pub(super) fn wrong_type(kind: &Kind) -> Problem {
    Problem::WrongType { allowed: kind.allowed() }
}

fn not_allowed(kind: &Kind) -> Problem {
    Problem::NotAllowed { allowed: kind.allowed() }
}

pub(super) fn in_range(number: i64, min: i64, max: i64, kind: &Kind) -> Result<i64, Problem> {
    if (min..=max).contains(&number) { Ok(number) } else { Err(Problem::OutOfRange { allowed: kind.allowed() }) }
}

/// Text that may stand in a header, a label or a log line.
pub(super) fn plain(text: &str) -> bool {
    (1..=255).contains(&text.len()) && !text.chars().any(char::is_control)
}

pub(super) fn plain_text<'s>(said: &'s Said, kind: &Kind) -> Result<&'s str, Problem> {
    match said {
        Said::Text(text) if plain(text) => Ok(text),
        Said::Text(_) if matches!(kind, Kind::Path | Kind::Paths | Kind::Texts) => {
            Err(Problem::NotAllowed { allowed: Kind::Text.allowed() })
        }
        Said::Text(_) => Err(not_allowed(kind)),
        _ => Err(wrong_type(kind)),
    }
}

pub(super) fn parse<T: FromStr>(text: &str, kind: &Kind) -> Result<T, Problem> {
    text.parse().map_err(|_| not_allowed(kind))
}

pub(super) fn tested(text: &str, kind: &Kind, test: fn(&str) -> bool) -> Result<Arc<str>, Problem> {
    if test(text) { Ok(text.into()) } else { Err(not_allowed(kind)) }
}

pub(super) fn word<T: Word>(text: &str, kind: &Kind) -> Result<T, Problem> {
    T::WORDS.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| not_allowed(kind))
}

pub(super) fn secret(said: &Said, outside: &dyn Outside) -> Result<Secret, Problem> {
    let table = match said {
        Said::Secret(secret) => return Ok(secret.clone()),
        Said::Table(table) => table,
        _ => return Err(wrong_type(&Kind::Secret)),
    };
    let mut references = table.iter().map(|(name, node)| (name.as_str(), &node.said));
    let found = match (references.next(), references.next()) {
        (Some(("env", Said::Text(name))), None) => {
            outside.variable(name).ok_or_else(|| format!("the environment variable {name} is not set"))
        }
        (Some(("file", Said::Text(path))), None) => outside.secret_file(path),
        _ => return Err(wrong_type(&Kind::Secret)),
    };
    match found {
        Ok(text) if text.is_empty() => Err(Problem::Secret("the secret is empty".into())),
        Ok(text) if text.chars().any(char::is_control) => {
            Err(Problem::Secret("the secret has control characters or several lines".into()))
        }
        Ok(text) => Ok(Secret::new(&text)),
        Err(why) => Err(Problem::Secret(why)),
    }
}
