//! `strowger`: the command line of the exchange.

#![expect(clippy::print_stderr, reason = "a command line speaks on its standard streams")]
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "what is said of an option is its help, where brackets are no links"
)]

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
            eprintln!("strowger: {error:#}");
            ExitCode::FAILURE
        }
    }
}
