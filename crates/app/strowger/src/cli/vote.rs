//! `strowger vote`: asks the council, and hands in ballots.

use super::api::{Api, ApiArgs, refused};
use super::output;
use crate::serve::ballot_bytes;
use crate::signer::{Signer, hex};
use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use sx_config::Config;
use sx_council::Choice;
use sx_http::Verb;

/// Shown below the help of `strowger vote`.
pub(crate) const HELP: &str = "\
The guardians in good standing vote on a question about an escalation, each with a ballot that they sign. Three in four of those
who say yes or no have to say yes, and half of all have to vote. Should more than 95 in a hundred want it, a guardian who may
can veto: then it rests for 14 days.

Examples:
  strowger vote open 01a2... --question 'Shall the plant be stopped?' --hours 24
  strowger vote cast 01a3... --as guardian.legal --choice approve
  strowger vote show 01a3...";

const OPEN_HELP: &str = "\
Examples:
  strowger vote open 01a208961d37744989019841f144709d --question 'Shall the plant be stopped?'
  strowger vote open 01a208961d37744989019841f144709d --question 'May we publish?' --hours 24 --json";

const CAST_HELP: &str = "\
Examples:
  strowger vote cast 01a20896... --as guardian.legal --choice approve
  strowger vote cast 01a20896... --as carol --key carol.key --choice veto";

const SHOW_HELP: &str = "\
Examples:
  strowger vote show 01a20896...
  strowger vote show 01a20896... --json";

/// What can be done with votes.
#[derive(Debug, Subcommand)]
pub(crate) enum VoteCommand {
    /// Ask the council
    #[command(after_help = OPEN_HELP)]
    Open(OpenArgs),
    /// Hand in the ballot of a guardian
    #[command(after_help = CAST_HELP)]
    Cast(CastArgs),
    /// Show a vote and its ballots
    #[command(after_help = SHOW_HELP)]
    Show {
        /// The vote
        id: String,
        #[command(flatten)]
        api: ApiArgs,
    },
}

/// A question.
#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// The escalation that it is about
    escalation: String,
    /// What is asked
    #[arg(long)]
    question: String,
    /// For how many hours ballots are taken
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=720))]
    hours: u64,
    #[command(flatten)]
    api: ApiArgs,
}

/// A ballot.
#[derive(Debug, Args)]
pub(crate) struct CastArgs {
    /// The vote
    id: String,
    /// The guardian
    #[arg(long = "as", value_name = "GUARDIAN")]
    guardian: String,
    /// What they say
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(Choice::ALL.map(Choice::word)))]
    choice: String,
    /// Their key [default: that which the exchange has made for them]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    api: ApiArgs,
}

/// Carries out `strowger vote`.
///
/// # Errors
/// When the exchange cannot be asked, or refuses.
pub(crate) fn run_vote(config: &Config, command: VoteCommand, json: bool) -> anyhow::Result<ExitCode> {
    let (api, verb, path, body) = match command {
        VoteCommand::Open(args) => {
            let body = json!({ "question": args.question, "seconds": args.hours * 3_600 });
            (args.api, Verb::Post, format!("/escalations/{}/votes", args.escalation), body.to_string())
        }
        VoteCommand::Cast(args) => {
            let path = args.key.clone().unwrap_or_else(|| super::escalate::key_of(config, &args.guardian));
            let signer =
                Signer::read(&path).with_context(|| format!("{} has to sign; --key names their key", args.guardian))?;
            let timestamp = crate::serve::now().to_string();
            let bytes =
                ballot_bytes(&args.id, &args.guardian, &args.choice, &timestamp).context("a ballot has a form")?;
            let body = json!({
                "guardian": args.guardian, "choice": args.choice, "timestamp": timestamp, "signature": hex(&signer.sign(&bytes)),
            });
            (args.api, Verb::Post, format!("/votes/{}/ballots", args.id), body.to_string())
        }
        VoteCommand::Show { id, api } => (api, Verb::Get, format!("/votes/{id}"), String::new()),
    };
    let (status, answer) = Api::of(config, &api)?.ask(verb, &path, &body)?;
    let is_good = status < 300;
    match json {
        true => output::json_line(&answer)?,
        false => output::text(&if is_good { shown(&answer) } else { refused(status, &answer) + "\n" })?,
    };
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn shown(answer: &Value) -> String {
    let text = |value: &Value| output::printable(value.as_str().unwrap_or_default());
    let tally = &answer["tally"];
    let ballots = answer["ballots"].as_array().map_or(&[][..], Vec::as_slice);
    let lines: String =
        ballots.iter().map(|ballot| format!("  {} {}\n", text(&ballot["guardian"]), text(&ballot["choice"]))).collect();
    format!(
        "vote {}\n{}\n{}: {} approve, {} reject, {} abstain, {} veto, of {}\n{lines}",
        text(&answer["id"]),
        text(&answer["question"]),
        text(&answer["state"]),
        tally["approve"],
        tally["reject"],
        tally["abstain"],
        tally["veto"],
        tally["electors"],
    )
}
