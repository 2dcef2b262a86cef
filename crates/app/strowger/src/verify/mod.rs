//! `strowger verify`: tries a whole path out on the real thing, check by check.
//!
//! An exchange of its own starts beside whatever runs, with two council members in its room; a hazard is escalated to the
//! expert's telephone as often as is asked for, and what that telephone, the network and the exchange made of it is held
//! against what it should be.

mod checks;
mod council;
mod refusals;
mod report;
mod rounds;
mod stage;

use crate::cli::WrongUsage;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use report::Report;
use serde_json::json;
use stage::{Peer, Stage};
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Shown below the help of `strowger verify`.
pub const HELP: &str = "\
Examples:
  strowger verify expert sip:lind@127.0.0.1:5070 --echo
  strowger verify expert 'sip:lind@192.0.2.7:5061;transport=tls' --ca lind.pem --report lind.json --yes";

const EXPERT_HELP: &str = "\
An exchange of its own, on free ports and in a folder that goes when it ends, rings the expert at the address as often as
--rounds says and joins them to a room with two council members. 17 things are looked at: the client, the message, the
set-up time, the INVITE with its headers, the responses in their order, ACK, the room, evidence, NDI, the records of
the witness, security, the latency of sound, the call held for a while, BYE, the clean-up, the logs, and the figures; and
two refusals: a source that is not the expert's, and an expert who is not approved.

A telephone that answers and plays back what it hears shows by --echo that it hears and is heard; of any other the packets
are counted. With transport=tls the exchange speaks TLS and SRTP to it, and nothing else.

Nobody is called whose address is not this machine's own before you have agreed: --yes agrees.

The exit code is 0 when every check has passed, and 1 when one has not.

Examples:
  strowger verify expert sip:lind@127.0.0.1:5070 --echo
  strowger verify expert 'sip:lind@127.0.0.1:5071;transport=tls' --ca lind.pem --echo --rounds 9
  strowger verify expert sip:lind@192.0.2.7 --yes --json";

/// What can be verified.
#[derive(Debug, Subcommand)]
pub enum VerifyCommand {
    /// Escalate a hazard to an expert's telephone, and look at all of it
    #[command(after_help = EXPERT_HELP)]
    Expert(ExpertArgs),
}

/// Whom to ring, and how.
#[derive(Clone, Debug, Args)]
pub struct ExpertArgs {
    /// The telephone: sip:user@host[:port][;transport=udp|tcp|tls]
    uri: String,
    /// It plays back what it hears
    #[arg(long)]
    echo: bool,
    /// The authorities, or the certificate itself, that its TLS is held against [default: those of the system]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How often it is rung
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// For how long the last call is held, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    hold: u64,
    /// For how long it rings at most, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    ring: u64,
    /// Where the report goes
    #[arg(long, value_name = "FILE", default_value = "verify-expert.json")]
    report: PathBuf,
    /// Call an address that is not this machine's own without asking
    #[arg(long)]
    yes: bool,
}

/// Carries out `strowger verify`.
///
/// # Errors
/// When nothing could be tried: that a check fails is told by the exit code.
pub fn run(command: VerifyCommand, json: bool) -> anyhow::Result<ExitCode> {
    let VerifyCommand::Expert(args) = command;
    let peer = Peer::parse(&args.uri).map_err(|error| WrongUsage(format!("{}: {error:#}", args.uri)))?;
    may_call(&peer, args.yes)?;
    let mut report = Report::new(json);
    let figures = match Stage::set(&args, &peer) {
        Ok(stage) => checks::run(&mut report, stage, &args),
        Err(error) => {
            report.failed("client", &error);
            json!({})
        }
    };
    let document = report.document(&args.uri, &figures);
    write(&args.report, &format!("{document:#}\n"))?;
    report.verdict(&args.report);
    Ok(if report.has_passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Nobody's telephone rings by accident.
fn may_call(peer: &Peer, agreed: bool) -> anyhow::Result<()> {
    let addresses = (peer.host.as_str(), peer.port).to_socket_addrs();
    let is_ours = |ip: IpAddr| ip.is_loopback() || std::net::UdpSocket::bind((ip, 0)).is_ok();
    let is_local = addresses.is_ok_and(|mut addresses| addresses.all(|address| is_ours(address.ip())));
    if is_local || agreed {
        return Ok(());
    }
    let input = std::io::stdin();
    if !input.is_terminal() {
        let message = format!("{} is not an address of this machine; --yes has it called all the same", peer.host);
        return Err(WrongUsage(message).into());
    }
    let mut output = std::io::stderr();
    write!(output, "{} is not an address of this machine. Ring {}? [y/N] ", peer.host, peer.user)?;
    output.flush()?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(WrongUsage("nobody was called".into()).into()),
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("the report cannot be written to {}", path.display()))
}
