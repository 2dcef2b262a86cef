//! Where a password comes from.

use super::WrongUsage;
use anyhow::Context as _;
use clap::Args;
use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;

/// Where the password of a user comes from. A command line is seen by every user of the machine, so none stands there.
#[derive(Debug, Args)]
pub(crate) struct PasswordArgs {
    /// Read the password from the first line of this file
    #[arg(long, value_name = "FILE", conflicts_with = "password_stdin")]
    password_file: Option<PathBuf>,
    /// Read the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
}

/// A user's password.
pub(crate) enum Password {
    /// The operator's.
    Given(String),
    /// Ours: it is shown once.
    Made(String),
}

impl PasswordArgs {
    /// Reads the password, or makes one when none is given.
    ///
    /// # Errors
    /// When it cannot be read, or cannot be a password.
    pub(crate) fn password(&self) -> anyhow::Result<Password> {
        if self.password_stdin {
            let text = first_line(std::io::stdin().lock()).context("cannot read the password from standard input")?;
            return checked(&text, "standard input").map(Password::Given);
        }
        match &self.password_file {
            Some(path) => read_file(path).map(Password::Given),
            None => random().map(Password::Made),
        }
    }
}

impl Password {
    /// The text.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Given(text) | Self::Made(text) => text,
        }
    }

    /// The text, when the operator does not know it yet.
    pub(crate) fn made(&self) -> Option<&str> {
        match self {
            Self::Given(_) => None,
            Self::Made(text) => Some(text),
        }
    }
}

/// The first line of a file, as a password.
///
/// # Errors
/// When it cannot be read, or cannot be a password.
pub(crate) fn read_file(path: &PathBuf) -> anyhow::Result<String> {
    let name = path.display().to_string();
    let text = std::fs::File::open(path).and_then(first_line).with_context(|| format!("cannot read {name}"))?;
    checked(&text, &name)
}

/// No password that a person or a program chose is longer.
const PASSWORD_BYTES_MAX: u64 = 1024;

fn first_line(input: impl Read) -> std::io::Result<String> {
    let mut line = String::new();
    BufReader::new(input.take(PASSWORD_BYTES_MAX + 1)).read_line(&mut line)?;
    Ok(line)
}

fn checked(line: &str, from: &str) -> anyhow::Result<String> {
    let text = line.strip_suffix('\n').unwrap_or(line);
    let text = text.strip_suffix('\r').unwrap_or(text);
    ensure_password(text).map_err(|reason| WrongUsage(format!("the first line of {from} is {reason}")))?;
    Ok(text.to_owned())
}

/// What is wrong with a password, if anything.
pub(crate) fn ensure_password(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() as u64 > PASSWORD_BYTES_MAX || text.contains(char::is_control) {
        return Err(format!("no password; allowed: 1 to {PASSWORD_BYTES_MAX} bytes without control characters"));
    }
    Ok(())
}

/// Letters and digits that are not easily confused: 5 bits each.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// 100 bits, which nobody tries out.
const LENGTH: usize = 20;

/// A password that nobody chose.
pub fn random() -> anyhow::Result<String> {
    let mut bytes = [0; LENGTH];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| anyhow::anyhow!("the operating system gives no randomness"))?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_line_is_no_part_of_the_password() {
        for (line, expected) in [("s3cret\n", "s3cret"), ("s3cret\r\n", "s3cret"), (" a b ", " a b "), ("x\ny", "x")] {
            assert_eq!(checked(&first_line(line.as_bytes()).expect("a line"), "here").expect("good"), expected);
        }
    }

    #[test]
    fn what_cannot_be_a_password_is_wrong_usage() {
        for line in ["", "\n", "a\tb\n", &"x".repeat(2000)] {
            let error = checked(&first_line(line.as_bytes()).expect("a line"), "here").expect_err("refused");
            assert!(error.is::<WrongUsage>(), "{line:?}");
        }
    }

    #[test]
    fn random_passwords_differ() {
        let (one, other) = (random().expect("randomness"), random().expect("randomness"));
        assert!(one != other && one.len() == LENGTH && one.bytes().all(|byte| LETTERS.contains(&byte)));
    }
}
