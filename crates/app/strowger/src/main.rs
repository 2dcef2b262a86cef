//! `strowger`: the command line of the exchange.

mod cli;
mod demo;
mod serve;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::dispatch(cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("strowger: {error:#}");
            ExitCode::FAILURE
        }
    }
}
