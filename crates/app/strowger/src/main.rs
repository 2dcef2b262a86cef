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
mod tokens;
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
            tell!("strowger: {error:#}");
            ExitCode::FAILURE
        }
    }
}
