//! The command line: what may be asked, and the commands that are not a server.
//!
//! [`dispatch`] carries out what was asked. Everything that only reads or changes the data folder works while a server
//! runs on the same folder, which notices changes of users by itself.

mod api;
mod call;
mod cdr;
mod codec;
mod configuration;
mod drain;
mod escalate;
mod evidence;
pub mod ladder;
mod output;
mod password;
mod policy;
mod progress;
#[cfg(feature = "recordings")]
mod recording;
mod registry;
pub mod token;
mod user;
mod vote;
pub mod when;
mod witness;

pub(crate) use api::{Api, ApiArgs};
pub(crate) use configuration::report as report_errors;
pub(crate) use escalate::signed as signed_message;
pub(crate) use evidence::{hand_in as hand_in_evidence, take as take_evidence};
pub use password::random as random_password;
pub(crate) use registry::signed_expert;

use crate::wanted::Wanted;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;
use std::process::ExitCode;

/// All that can be said on the command line.
#[derive(Debug, Parser)]
#[command(name = "strowger", version, about = "A call exchange for SIP", styles = STYLES, after_help = ROOT_HELP)]
#[command(max_term_width = 100, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// The configuration [default: ./strowger.toml, else /etc/strowger/strowger.toml, else built-in defaults]
    #[arg(long, value_name = "FILE", global = true, env = "STROWGER_CONFIG", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// The data folder, instead of the one in the configuration
    #[arg(long, value_name = "DIR", global = true, help_heading = "Global options")]
    pub data: Option<PathBuf>,
    /// Print for programs: one JSON object a line; a wrong configuration is one array of errors
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// Say more: debug in the log, messages of a call; twice for every step
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the exchange until SIGTERM or SIGINT; SIGHUP reads the configuration again
    #[command(after_help = SERVE_HELP)]
    Serve,
    /// Show the exchange at work: two phones register, call each other over UDP and TLS, and are heard
    #[command(after_help = DEMO_HELP)]
    Demo(DemoArgs),
    /// Read the configuration and say all that is wrong with it
    #[command(after_help = CHECK_HELP)]
    Check,
    /// Print the configuration in effect: every key, secrets hidden
    #[command(after_help = PRINT_CONFIG_HELP)]
    PrintConfig,
    /// Call somebody, or wait for a call, as a telephone without microphone and loudspeaker; or handle calls of the exchange
    #[command(after_help = call::HELP)]
    Call(Box<call::CallArgs>),
    /// Add, change, list and remove the users who may register and call
    #[command(subcommand, after_help = user::HELP)]
    User(user::UserCommand),
    /// Tell the running exchange of a hazard, and have the right expert rung for it
    #[command(after_help = escalate::HELP)]
    Escalate(Box<escalate::EscalateArgs>),
    /// Hand in evidence with an escalation, and take it
    #[command(subcommand, after_help = evidence::HELP)]
    Evidence(evidence::EvidenceCommand),
    /// Try the whole path to an expert out on a real telephone
    #[command(subcommand, after_help = crate::verify::HELP)]
    Verify(crate::verify::VerifyCommand),
    /// Ask the council about an escalation, and hand in ballots of guardians
    #[command(subcommand, after_help = vote::HELP)]
    Vote(vote::VoteCommand),
    /// Add, list, suspend and revoke the experts who are rung for hazards
    #[command(subcommand, after_help = registry::EXPERT_HELP)]
    Expert(registry::ExpertCommand),
    /// Add, list, suspend and revoke the guardians who escalate and vote
    #[command(subcommand, after_help = registry::GUARDIAN_HELP)]
    Guardian(registry::GuardianCommand),
    /// Give and take the tokens that open the management API
    #[command(subcommand, after_help = token::HELP)]
    Token(token::TokenCommand),
    /// List, show, count and export call detail records
    #[command(subcommand, after_help = cdr::HELP)]
    Cdr(cdr::CdrCommand),
    /// Verify, search and prove from the witness log, which records what was done and why
    #[command(subcommand, after_help = witness::HELP)]
    Witness(witness::WitnessCommand),
    /// Check a policy, and try it out on requests
    #[command(subcommand, after_help = policy::HELP)]
    Policy(policy::PolicyCommand),
    /// Verify recordings of calls, and decrypt them
    #[cfg(feature = "recordings")]
    #[command(subcommand, after_help = recording::HELP)]
    Recording(recording::RecordingCommand),
    /// Say what codecs cost, and what a conference takes of links and processors
    #[command(subcommand, after_help = codec::HELP)]
    Codec(codec::CodecCommand),
    /// Tell the running exchange to take no new calls, and wait until it has ended
    #[command(after_help = drain::HELP)]
    Drain(drain::DrainArgs),
    /// Print the version
    #[command(after_help = VERSION_HELP)]
    Version,
    /// Print the reference of all configuration keys, as Markdown
    #[command(after_help = REFERENCE_HELP)]
    Reference,
    /// Print the completion script of a shell
    #[command(after_help = COMPLETION_HELP)]
    Completion {
        /// The shell
        shell: Shell,
    },
}

/// What the demonstration is told on the command line.
#[derive(Clone, Copy, Debug, Args)]
pub struct DemoArgs {
    /// End when everything was shown, on ports that disturb nobody, instead of staying up for phones of your own
    #[arg(long)]
    pub once: bool,
}

/// What the demonstration is told.
#[derive(Clone, Debug, Default)]
pub struct DemoOptions {
    /// Where its data goes; `None`: a folder that is removed at the end.
    pub data: Option<PathBuf>,
    /// End when everything was shown.
    pub once: bool,
    /// Print for programs.
    pub json: bool,
    /// How much more the log is to say.
    pub verbose: u8,
}

/// The caller has asked for something that cannot be: the exit code is 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongUsage(pub(crate) String);

/// The exit code of wrong usage and of a wrong configuration.
const WRONG: u8 = 2;

/// Does what was asked. An error is a failure whose exit code is 1.
pub fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    match run(cli) {
        // Whoever reads our output, such as `head`, has seen enough.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        Err(error) if error.is::<WrongUsage>() => {
            tell!("strowger: {error}");
            Ok(ExitCode::from(WRONG))
        }
        done => done,
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let json = cli.json;
    match cli.command {
        Command::Demo(_) if cli.config.is_some() => {
            let message =
                "the demonstration runs on a configuration of its own: leave --config and STROWGER_CONFIG out";
            return Err(WrongUsage(message.to_owned()).into());
        }
        Command::Demo(args) => {
            let (data, once, verbose) = (cli.data, args.once, cli.verbose);
            return crate::demo::run(&DemoOptions { data, once, json, verbose });
        }
        Command::Call(args) if args.command.is_none() => return call::run_call(&args, json, cli.verbose),
        Command::Version => return output::version(json),
        Command::Reference => return output::text(&sx_config::reference()),
        Command::Completion { shell } => return completion(shell),
        Command::Verify(command) => return crate::verify::run(command, json),
        Command::Codec(command) => return codec::run_codec(command, json),
        Command::Policy(command) => {
            // A policy can be looked at by itself: only a configuration that is named is held against it.
            let wanted = cli.config.map(|path| Wanted { path: Some(path), data: cli.data, verbose: 0 });
            return policy::run_policy(command, wanted.as_ref(), json);
        }
        #[cfg(feature = "recordings")]
        Command::Recording(command) => return recording::run_recording(&command, json),
        Command::Witness(command) => {
            // These read it for themselves, and only when it must say where the log is.
            let wanted = Wanted { path: configuration::find(cli.config), data: cli.data, verbose: 0 };
            return witness::run_witness(command, &wanted, json);
        }
        _ => {}
    }
    let verbose = if matches!(cli.command, Command::Serve) { cli.verbose } else { 0 };
    let wanted = Wanted { path: configuration::find(cli.config), data: cli.data, verbose };
    let loaded = match cli.command {
        Command::Cdr(_)
        | Command::Token(_)
        | Command::Expert(_)
        | Command::Guardian(_)
        | Command::Escalate(_)
        | Command::Evidence(_)
        | Command::Vote(_) => wanted.load_for_folder(),
        _ => wanted.load(),
    };
    let config = match loaded {
        Ok(config) => config,
        Err(errors) => return configuration::report(&errors, json),
    };
    match cli.command {
        Command::Check => configuration::run_check(&config, wanted.path.as_deref(), json),
        Command::PrintConfig => configuration::run_print(&config, json),
        Command::User(command) => user::run_user(&config, command, json),
        Command::Escalate(args) => escalate::run_escalate(&config, &args, json),
        Command::Evidence(command) => evidence::run_evidence(&config, command, json),
        Command::Vote(command) => vote::run_vote(&config, command, json),
        Command::Expert(command) => registry::run_expert(&config, command, json),
        Command::Guardian(command) => registry::run_guardian(&config, command, json),
        Command::Token(command) => token::run_token(&config, command, json),
        Command::Cdr(command) => cdr::run_cdr(&config, command, json),
        Command::Call(args) => match args.command {
            Some(command) => call::run_command(&config, command, json),
            None => call::run_call(&args, json, cli.verbose),
        },
        Command::Drain(args) => drain::run_drain(&config, args, json),
        _ => crate::serve::run(config, &wanted),
    }
}

fn completion(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "strowger", &mut script);
    output::text(&String::from_utf8_lossy(&script))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref().map(std::io::Error::kind);
    error.chain().any(|cause| kind(cause) == Some(std::io::ErrorKind::BrokenPipe))
}

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Green.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

const ROOT_HELP: &str = "\
Exit codes:
  0  done
  1  failed; standard error says why
  2  wrong usage, or a wrong configuration
  3  the log or the proof cannot be read, so that nothing can be said of it (`strowger witness`)
  70 a thread of the exchange has failed: it has to be started again

Each key of the configuration can be set by an environment variable: sip.t1_ms by STROWGER_SIP__T1_MS.

Examples:
  strowger demo                          see it work, on built-in defaults
  strowger user add alice                add a user; prints a password
  strowger serve                         run the exchange
  strowger check --config new.toml       is this configuration good?
  strowger cdr list --limit 20           the latest calls
  strowger witness verify                was anything in the audit log changed?";

const SERVE_HELP: &str = "\
Examples:
  strowger serve
  strowger serve --config /etc/strowger/strowger.toml --data /var/lib/strowger
  STROWGER_LOG__FORMAT=json strowger serve";

const DEMO_HELP: &str = "\
With --data the folder stays when the demonstration ends; without it, a temporary one is removed.

It runs on built-in defaults and reads no configuration file: --config is refused. Environment variables override keys as
they do for serve (ports, log, limits, media), but for those it relies on itself: exchange.domains, exchange.data,
sip.tls and hep; sip.listen needs an address for udp and one for tls.

With --json each check is an object with name, ok and detail; the ladder's has its messages as an array, steps; the
last one is the verdict.

Examples:
  strowger demo             show everything, then stay up for phones of your own
  strowger demo --once      show everything and end; the exit code says whether all was well
  strowger demo --once --json | tail -1
  STROWGER_LOG__LEVEL=debug STROWGER_HTTP__LISTEN=127.0.0.1:9090 strowger demo";

const CHECK_HELP: &str = "\
Examples:
  strowger check
  strowger check --config new.toml && mv new.toml strowger.toml
  strowger check --json     the errors and warnings as a JSON array of file, line, key, value, problem and warning (true or false)";

const PRINT_CONFIG_HELP: &str = "\
Examples:
  strowger print-config > strowger.toml     a file to start from
  STROWGER_SIP__T1_MS=250 strowger print-config
  strowger print-config --json";

const VERSION_HELP: &str = "\
Examples:
  strowger version
  strowger version --json";

const REFERENCE_HELP: &str = "\
Examples:
  strowger reference | less";

const COMPLETION_HELP: &str = "\
Examples:
  strowger completion bash > /etc/bash_completion.d/strowger
  strowger completion zsh > \"${fpath[1]}/_strowger\"
  strowger completion fish > ~/.config/fish/completions/strowger.fish";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_may_stand_anywhere() {
        for line in ["strowger --data d --json -vv cdr count", "strowger cdr count --data d -v --json -v"] {
            let cli = Cli::try_parse_from(line.split(' ')).expect("good usage");
            assert!(cli.json && cli.verbose == 2 && cli.data == Some("d".into()), "{line}");
        }
    }

    #[test]
    fn every_command_shows_examples() {
        fn check(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:\n  "), "{}", command.get_name());
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
