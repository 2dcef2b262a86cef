//! `strowger`: the command line of the exchange.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "what is said of an option is its help, where brackets are no links"
)]

/// Writes a line to standard error. Where that takes no more, nobody can be told, and the exit code still says what came of it:
/// `eprintln!` would panic.
macro_rules! tell {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _nobody_listens = writeln!(std::io::stderr(), $($words)*);
    }};
}

mod cli;
mod demo;
mod serve;
mod signer;
mod temporary;
mod tokens;
mod verify;
mod wanted;

use clap::Parser as _;

use std::process::ExitCode;

/// Messages and calls are many small values that live shortly; docs/performance.md has what this gave, link-time
/// optimisation included.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::dispatch(cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            tell!("strowger: {}", sentences(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error and what has caused it, each said once: some name their cause themselves.
fn sentences(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for sentence in error.chain().map(ToString::to_string).filter(|sentence| !sentence.is_empty()) {
        if text.is_empty() {
            text = sentence;
        } else if !text.contains(&sentence) {
            text = format!("{text}: {sentence}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_names_itself_is_not_said_again() {
        let error = anyhow::anyhow!("no entry").context("x cannot be read: no entry").context("nothing to show");
        assert_eq!(sentences(&error), "nothing to show: x cannot be read: no entry");
    }
}
