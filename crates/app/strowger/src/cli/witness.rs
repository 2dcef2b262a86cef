//! `strowger witness`: the audit log, verified, searched and proved from without the exchange that has written it.

mod audit;
mod keys;
mod proofs;
mod records;
mod vouching;

use super::configuration;
use super::when::parse_time;
use super::{WrongUsage, output};
use crate::wanted::Wanted;
use clap::{Args, Subcommand, ValueEnum};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use sx_config::{AnchorKind, ConfigError};
use sx_store::{FileError, KeyError, WitnessFolder, WitnessReadError, read_bounded, read_named_text};
use sx_witness::VerifyingKey;

/// Shown below the help of `strowger witness`.
pub(crate) const HELP: &str = "\
DIR is the folder of a log, or a copy of it: witness/ in the data folder unless something else is said. Nothing is written into
it, and an exchange may be running on it.

Exit codes:
  0  done, and all that was asked for holds
  1  it does not hold: the log was changed, a proof is none, a record is not there
  2  wrong usage, or a wrong configuration
  3  cannot read: nothing can be said about the log

Examples:
  strowger witness verify --key exchange.pub
  strowger witness trace 019ab2c3-d4e5-7000-8000-0123456789ab
  strowger witness prove 12345 -o record.proof
  strowger witness check-proof record.proof --key exchange.pub";

const VERIFY_HELP: &str = "\
Each record must be as it was signed, each where it belongs. Keep the last checkpoint somewhere else (-o) and give it to the next
verification as an anchor: only so is it found out when the end of the log was cut off, or all of it written anew.

A log in which nothing is signed by its key is not ok, unless it has no more than its first record: whoever lacks the key can write all
of a log anew, but cannot sign it.

How many checkpoints are cosigned is said, and by whom. Where a record, --witness or the configuration tells of a cosignature that
checkpoints.jsonl does not have, a notice says so. Others may be lost unnoticed: nothing says that they were there, and the next
cosignature covers what they did.

A folder that was set back to an older state as a whole holds in itself; only an anchor tells. Where an exchange has gone on with it and a
witness has refused it then, having seen more of the log, a record says so, and a notice.

A log whose last write was cut short is torn: nothing in it was changed, but what stands behind its last record was never acknowledged
or is lost, and only an anchor can tell which. That is said in the place of ok, and is no failure.

Examples:
  strowger witness verify
  strowger witness verify /mnt/copy/witness --key exchange.example/log+1a2b3c4d+AbCd...
  strowger witness verify --key exchange.pub --anchor yesterday.note -o today.note
  strowger witness verify --expect-size 12345 --json";

const PROVE_HELP: &str = "\
The proof is a C2SP tlog-proof: it holds the record itself, and can be checked by anybody who has the log's key and nothing else.

Examples:
  strowger witness prove 12345 -o record.proof
  strowger witness prove 12345 /mnt/copy/witness --size 16384";

const CHECK_PROOF_HELP: &str = "\
Prints the record that was proved.

Examples:
  strowger witness check-proof record.proof --key exchange.pub
  strowger witness check-proof record.proof --key exchange.pub --json | jq .record";

const CONSISTENCY_HELP: &str = "\
A and B are numbers of records, or files that hold checkpoints. B must be one that the log has signed. The proof is the body of a C2SP
add-checkpoint request.

Examples:
  strowger witness consistency yesterday.note today.note
  strowger witness consistency 4096 16384 -o growth.proof";

const TRACE_HELP: &str = "\
What has the form of an identifier is looked for, in any order; a path with a / in it, or the name of a folder that is there, is the
folder of a log (./NAME where that has the form of an identifier). The records of several nodes are put together by time.

The segments that records were found in are verified, and held against the indexes of all others and the checkpoints that the key
beside the log has signed; without that key all of the log is verified, with the key that it names itself. When that does not hold, the
records are shown all the same, what is wrong is said on standard error, and the exit code is 1. Only verify looks at every segment, takes
the key from elsewhere (--key), and compares anchors and cosignatures: a
record whose identifier was changed is missed here when nothing else of its segment is shown.

Examples:
  strowger witness trace 019ab2c3-d4e5-7000-8000-0123456789ab
  strowger witness trace --sip-call-id 843817637684230@998sdasdh09
  strowger witness trace 019ab2c3d4e5700080000123456789ab /logs/node-1 /logs/node-2 --format csv";

const EXPORT_HELP: &str = "\
Times are UTC unless they say otherwise. JSON lines are the records as they stand in the log.

The segments of that time are verified, and held against the indexes of all others and the checkpoints that the key beside the log has
signed. When that does not hold, the records are written all the same, what is wrong is said on standard error, and the exit code is
1. Only verify takes the key from elsewhere (--key), and compares anchors and cosignatures.

Examples:
  strowger witness export --from 2026-11-20 --to 2026-11-21 -o day.jsonl
  strowger witness export --from 2026-11-20T08:00 --to 2026-11-20T09:00 --format csv";

const KEYGEN_HELP: &str = "\
The file is for its owner alone and holds the key that signs; what is printed is the key that verifies, for auditors.

Examples:
  strowger witness keygen exchange.example/log -o witness.key
  strowger witness keygen exchange.example/log -o /etc/strowger/witness.key > exchange.pub";

const STATUS_HELP: &str = "\
Says what is there and verifies nothing.

Examples:
  strowger witness status
  strowger witness status /mnt/copy/witness --json";

/// What can be done with a witness log.
#[derive(Debug, Subcommand)]
pub(crate) enum WitnessCommand {
    /// Find out whether anything was changed, removed, doubled or moved
    #[command(after_help = VERIFY_HELP)]
    Verify(VerifyArgs),
    /// Make the proof that a record is in the log
    #[command(after_help = PROVE_HELP)]
    Prove {
        /// The number of the record
        #[arg(value_name = "SEQ")]
        record: u64,
        /// The folder of the log
        dir: Option<PathBuf>,
        /// Prove it against the checkpoint of so many records [default: the last one]
        #[arg(long, value_name = "N")]
        size: Option<u64>,
        #[command(flatten)]
        output: Output,
    },
    /// Check the proof that a record is in a log, without the log
    #[command(after_help = CHECK_PROOF_HELP)]
    CheckProof {
        /// The proof
        file: PathBuf,
        #[command(flatten)]
        key: Key,
    },
    /// Make the proof that the log has only grown, and check it
    #[command(after_help = CONSISTENCY_HELP)]
    Consistency {
        /// What there was first
        #[arg(value_name = "A")]
        old: proofs::Position,
        /// What there was later
        #[arg(value_name = "B")]
        new: proofs::Position,
        /// The folder of the log
        dir: Option<PathBuf>,
        #[command(flatten)]
        key: Key,
        #[command(flatten)]
        output: Output,
    },
    /// Show all records of a call, or of all calls of a story
    #[command(after_help = TRACE_HELP)]
    Trace {
        /// Identifiers of traces or calls, and folders of logs
        #[arg(value_name = "TRACE_OR_CALL_ID|DIR", required_unless_present = "sip_call_id")]
        what: Vec<String>,
        /// All records of the calls whose caller's SIP requests have this Call-ID, and of such requests that were refused
        #[arg(long, value_name = "ID")]
        sip_call_id: Option<String>,
        /// How [default: text; json with --json]
        #[arg(long, value_enum)]
        format: Option<TraceFormat>,
    },
    /// Write the records of a time for other programs
    #[command(after_help = EXPORT_HELP)]
    Export {
        /// The folder of the log
        dir: Option<PathBuf>,
        /// Records of this time or later: 2026-11-20 or 2026-11-20T14:30[:05][Z|+01:00]
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        from: Option<u64>,
        /// Records of before this time
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        to: Option<u64>,
        /// How
        #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl)]
        format: ExportFormat,
        #[command(flatten)]
        output: Output,
    },
    /// Make a key that signs a log
    #[command(after_help = KEYGEN_HELP)]
    Keygen {
        /// What the log is to be called: a name like exchange.example/log, for ever
        name: String,
        /// Write the key that signs to this file, which must not be there yet
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Say what is there: records, checkpoints, files
    #[command(after_help = STATUS_HELP)]
    Status {
        /// The folder of the log
        dir: Option<PathBuf>,
    },
}

/// What is verified against what.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The folder of the log
    dir: Option<PathBuf>,
    #[command(flatten)]
    key: Key,
    /// A file with a checkpoint that was kept: the log must still contain it
    #[arg(long, value_name = "FILE")]
    anchor: Vec<PathBuf>,
    /// There must be so many records at least
    #[arg(long, value_name = "N")]
    expect_size: Option<u64>,
    /// The key of a witness whose cosignatures must hold [default: those of the configuration that has the log]
    #[arg(long, value_name = "FILE|KEY")]
    witness: Vec<String>,
    /// Write the last checkpoint that holds to this file, to be the anchor of the next verification
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Whose log it is said to be.
#[derive(Debug, Args)]
pub(crate) struct Key {
    /// The key that verifies, or a file that holds it [default: key.pub beside the log, which proves little]
    #[arg(long, value_name = "FILE|KEY")]
    key: Option<String>,
}

/// Where the result goes.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What the records of a trace look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TraceFormat {
    /// A table
    Text,
    /// A record a line, as it was signed
    Json,
    /// A line of headings, then a line a record
    Csv,
}

/// What an export looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// A record a line, as it was signed
    Jsonl,
    /// A line of headings, then a line a record
    Csv,
}

/// What holds for every command.
pub(crate) struct Setting<'a> {
    wanted: &'a Wanted,
    json: bool,
}

/// A file that was named cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {problem}", path.display())]
pub(crate) struct CannotRead {
    path: PathBuf,
    problem: String,
}

/// The configuration that was to say where the log is.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is wrong")]
struct WrongConfiguration(Vec<ConfigError>);

/// The exit code when nothing can be said about the log.
const CANNOT_READ: u8 = 3;

/// Carries out `strowger witness`. The configuration is read only when it must say where the log is.
///
/// # Errors
/// When what was asked for does not hold, or cannot be written.
pub(crate) fn run_witness(command: WitnessCommand, wanted: &Wanted, json: bool) -> anyhow::Result<ExitCode> {
    match run(command, &Setting { wanted, json }) {
        Err(error) if cannot_read(&error) => {
            tell!("strowger: {error:#}");
            Ok(ExitCode::from(CANNOT_READ))
        }
        Err(error) => match error.downcast::<WrongConfiguration>() {
            Ok(WrongConfiguration(errors)) => configuration::report(&errors, json),
            Err(error) => Err(error),
        },
        done => done,
    }
}

fn run(command: WitnessCommand, setting: &Setting<'_>) -> anyhow::Result<ExitCode> {
    match command {
        WitnessCommand::Verify(args) => audit::verify(setting, args),
        WitnessCommand::Status { dir } => audit::status(setting, dir),
        WitnessCommand::Prove { record, dir, size, output } => {
            proofs::prove(&setting.open(dir)?, record, size, &output)
        }
        WitnessCommand::CheckProof { file, key } => proofs::check(setting, &file, &key),
        WitnessCommand::Consistency { old, new, dir, key, output } => {
            proofs::consistency(&setting.open(dir)?, &old, &new, &key, &output)
        }
        WitnessCommand::Trace { what, sip_call_id, format } => {
            records::trace(setting, &what, sip_call_id.as_deref(), format)
        }
        WitnessCommand::Export { dir, from, to, format, output } => {
            records::export(&setting.open(dir)?, from, to, format, &output)
        }
        WitnessCommand::Keygen { name, output } => keys::make(&name, &output, setting.json),
    }
}

fn cannot_read(error: &anyhow::Error) -> bool {
    let unreadable = |error: &WitnessReadError| {
        use WitnessReadError::{File, Key, Moving, NoFolder, NoLog};
        matches!(error, File(_) | Key(_) | NoFolder { .. } | NoLog { .. } | Moving)
    };
    let of_the_log = error.downcast_ref().is_some_and(unreadable);
    of_the_log || error.is::<FileError>() || error.is::<KeyError>() || error.is::<CannotRead>()
}

impl Setting<'_> {
    /// The log in this folder, or the one that the configuration has.
    fn open(&self, dir: Option<PathBuf>) -> anyhow::Result<WitnessFolder> {
        let dir = dir.map_or_else(|| self.usual_folder(), Ok)?;
        Ok(WitnessFolder::open(&dir)?)
    }

    /// The keys of the witnesses that the configuration has the log shown to; none where the data folder was named instead.
    fn peers(&self) -> Result<Vec<VerifyingKey>, WrongConfiguration> {
        if self.wanted.data.is_some() {
            return Ok(Vec::new());
        }
        let anchors = self.wanted.load().map_err(WrongConfiguration)?.witness.anchors;
        let keys = anchors.iter().filter_map(|anchor| match &anchor.kind {
            AnchorKind::Peer(key) => Some(key.clone()),
            AnchorKind::Https { .. } | AnchorKind::S3(_) => None,
        });
        Ok(keys.collect())
    }

    fn usual_folder(&self) -> Result<PathBuf, WrongConfiguration> {
        let data = match &self.wanted.data {
            Some(data) => data.clone(),
            None => self.wanted.load().map_err(WrongConfiguration)?.exchange.data,
        };
        Ok(WitnessFolder::of_data(&data))
    }
}

impl Output {
    /// Writes a text to the file, or prints it.
    fn text(&self, text: &str) -> anyhow::Result<ExitCode> {
        match &self.output {
            Some(path) => write_file(path, text).map(|()| ExitCode::SUCCESS),
            None => output::text(text),
        }
    }
}

fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).map_err(|error| anyhow::anyhow!("cannot write {}: {error}", path.display()))
}

/// No key, checkpoint or proof is longer: that of a record of the largest size is a tenth of it.
const NAMED_BYTES_MAX: u64 = 1 << 20;

/// A small text file that was named on the command line.
fn read_file(path: &Path) -> Result<String, CannotRead> {
    // What the shell has opened for us ends when whoever writes it has; to open any other pipe may take for ever.
    let is_open = path == Path::new("/dev/stdin") || path.starts_with("/dev/fd");
    let text = match is_open {
        true => fs::File::open(path).and_then(|file| read_bounded(file, NAMED_BYTES_MAX)),
        false => read_named_text(path, NAMED_BYTES_MAX),
    };
    text.map_err(|error| CannotRead { path: path.to_owned(), problem: error.to_string() })
}

fn wrong_usage(message: impl Into<String>) -> anyhow::Error {
    WrongUsage(message.into()).into()
}
