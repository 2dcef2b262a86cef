//! `strowger cdr`: call detail records.

use super::output::{self, Table, printable, shortened};
use super::when::parse_time;
use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use sx_call::{CallRecording, Cdr, Ender};
use sx_config::Config;
use sx_engine::Time;
use sx_media::PortStats;
use sx_store::{CdrFilter, CdrReader, SharedFolder};
use sx_types::{CallId, Codec};

/// Shown below the help of `strowger cdr`.
pub(crate) const HELP: &str = "\
A call is here a fraction of a second after it has ended. All times are UTC.

Examples:
  strowger cdr list
  strowger cdr show 019ab2c3-d4e5-7000-8000-0123456789ab
  strowger cdr export --format csv --from 2026-11-01 --to 2026-12-01 > november.csv";

const LIST_HELP: &str = "\
Long addresses are cut, which an ellipsis shows; cdr show and --json have them whole.

Examples:
  strowger cdr list --limit 20
  strowger cdr list --caller alice --from 2026-11-20T08:00
  strowger cdr list --unanswered --json";

const SHOW_HELP: &str = "\
Who ended the call is the caller, the called party, the exchange, an operator, a timer, or nobody: when a party was out
of reach, or the process was lost with the call.

Examples:
  strowger cdr show 019ab2c3-d4e5-7000-8000-0123456789ab
  strowger cdr show 019ab2c3d4e5700080000123456789ab --json";

const COUNT_HELP: &str = "\
Examples:
  strowger cdr count
  strowger cdr count --answered --from 2026-11-20";

const EXPORT_HELP: &str = "\
In ended_by stands caller, called, exchange, operator, timer, failure (a party was out of reach) or process (the call was
lost with it); peer, for one of the parties, in records of earlier versions.

Examples:
  strowger cdr export > calls.csv
  strowger cdr export --attempts --output attempts.csv
  strowger cdr export --format json --from 2026-11-20 --to 2026-11-21";

const PURGE_HELP: &str = "\
What is removed cannot be brought back; export it before. The key cdr.keep_days has the exchange do this by itself.
The room in the database is used again; the file does not shrink.

Examples:
  strowger cdr purge --before 2026-01-01
  strowger cdr purge --before 2026-01-01T12:00+01:00 --json";

/// What can be done with call detail records.
#[derive(Debug, Subcommand)]
pub(crate) enum CdrCommand {
    /// List calls, the latest first
    #[command(after_help = LIST_HELP)]
    List {
        #[command(flatten)]
        which: Which,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u64,
    },
    /// Show all that is known of one call
    #[command(after_help = SHOW_HELP)]
    Show {
        /// The call's identifier
        #[arg(value_name = "ID")]
        call: CallId,
    },
    /// Count calls
    #[command(after_help = COUNT_HELP)]
    Count {
        #[command(flatten)]
        which: Which,
    },
    /// Write calls for other programs, the earliest first
    #[command(after_help = EXPORT_HELP)]
    Export {
        #[command(flatten)]
        which: Which,
        /// How [default: csv; json with --json]
        #[arg(long, value_enum)]
        format: Option<Format>,
        /// Write the targets that were tried instead of the calls (CSV; JSON has both in any case)
        #[arg(long)]
        attempts: bool,
        /// Write to this file instead of standard output
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Remove old calls
    #[command(after_help = PURGE_HELP)]
    Purge {
        /// Calls that came before this time
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        before: u64,
    },
}

/// Which calls.
#[derive(Debug, Default, Args)]
pub(crate) struct Which {
    /// Calls that came at this time or later: 2026-11-20 or 2026-11-20T14:30[:05][Z|+01:00]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: Option<u64>,
    /// Calls that came before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    to: Option<u64>,
    /// Calls by this user or number
    #[arg(long, value_name = "USER")]
    caller: Option<String>,
    /// Calls that dialled this user or number
    #[arg(long, value_name = "USER")]
    dialled: Option<String>,
    /// Only calls that were answered
    #[arg(long, conflicts_with = "unanswered")]
    answered: bool,
    /// Only calls that were not answered
    #[arg(long)]
    unanswered: bool,
}

/// What an export looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line of headings, then a line a call
    Csv,
    /// An object a line, with its attempts
    Json,
}

impl Which {
    fn filter(self) -> CdrFilter {
        let answered = (self.answered || self.unanswered).then_some(self.answered);
        let Self { from: since, to: until, caller, dialled, .. } = self;
        CdrFilter { since, until, caller, dialled, answered, ..CdrFilter::default() }
    }
}

/// Carries out `strowger cdr`.
///
/// # Errors
/// When the records cannot be read, or the call is not among them.
pub(crate) fn run_cdr(config: &Config, command: CdrCommand, json: bool) -> anyhow::Result<ExitCode> {
    let data = &config.exchange.data;
    // Attaching would create it, and a mistyped folder would look like one without calls.
    ensure!(data.is_dir(), "there is no data folder {}", data.display());
    let folder = SharedFolder::attach(data)?;
    let reader = folder.cdrs()?;
    match command {
        CdrCommand::List { which, limit } => {
            let filter = CdrFilter { latest_first: true, limit: Some(limit), ..which.filter() };
            if json {
                reader.export_json(&filter, std::io::stdout().lock())?;
                return Ok(ExitCode::SUCCESS);
            }
            list(&reader, &filter)
        }
        CdrCommand::Show { call } => {
            let Some(cdr) = reader.show(call)? else { bail!("there is no call {call}") };
            if json {
                show_json(&reader, &cdr)
            } else {
                output::text(&(describe(&cdr)? + &recordings(&reader.recordings(call)?)))
            }
        }
        CdrCommand::Count { which } => {
            let count = reader.count(&which.filter())?;
            if json { output::json_line(&json!({ "count": count })) } else { output::text(&format!("{count}\n")) }
        }
        CdrCommand::Purge { before } => {
            let calls = folder.purge_cdrs(before)?;
            if json {
                return output::json_line(&json!({ "done": "purged", "calls": calls, "before": time(before) }));
            }
            output::text(&format!("removed {calls} calls from before {}\n", time(before)))
        }
        CdrCommand::Export { which, format, attempts, output } => {
            let format = format.unwrap_or(if json { Format::Json } else { Format::Csv });
            let filter = which.filter();
            match output {
                Some(path) => {
                    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
                    export(&reader, &filter, format, attempts, file)
                }
                None => export(&reader, &filter, format, attempts, std::io::stdout().lock()),
            }
        }
    }
}

fn export(
    reader: &CdrReader,
    filter: &CdrFilter,
    format: Format,
    attempts: bool,
    output: impl Write,
) -> anyhow::Result<ExitCode> {
    match format {
        Format::Json => reader.export_json(filter, output)?,
        Format::Csv if attempts => reader.export_attempts_csv(filter, output)?,
        Format::Csv => reader.export_csv(filter, output)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// One long address of one caller would move the columns of all; whole ones are in `cdr show` and with `--json`.
const ADDRESS_WIDTH: usize = 32;

fn list(reader: &CdrReader, filter: &CdrFilter) -> anyhow::Result<ExitCode> {
    let mut table = Table::new(&["CALL", "START", "CALLER", "DIALLED", "TALKED", "STATUS", "CAUSE"]);
    for cdr in reader.list(filter)? {
        table.row([
            cdr.call.to_string(),
            time(cdr.start),
            shortened(&cdr.caller.to_string(), ADDRESS_WIDTH),
            shortened(&cdr.dialled.to_string(), ADDRESS_WIDTH),
            talked(&cdr),
            number_or_dash(cdr.status),
            cdr.cause.to_string(),
        ]);
    }
    output::text(&table.to_string())
}

/// The line that an export would have for this call.
fn show_json(reader: &CdrReader, cdr: &Cdr) -> anyhow::Result<ExitCode> {
    let at_its_time = CdrFilter { since: Some(cdr.start), until: Some(cdr.start + 1), ..CdrFilter::default() };
    let mut lines = Vec::new();
    reader.export_json(&at_its_time, &mut lines)?;
    let wanted = cdr.call.to_string();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let object: serde_json::Value = serde_json::from_slice(line)?;
        if object["call"] == wanted.as_str() {
            return output::text(&format!("{}\n", String::from_utf8_lossy(line)));
        }
    }
    bail!("the call {wanted} has just been removed")
}

/// All of a record, for people.
fn describe(cdr: &Cdr) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let after = |at: Option<u64>| match at {
        Some(at) => format!("{} (after {} ms)", time(at), at.saturating_sub(cdr.start) / 1_000_000),
        None => "-".to_owned(),
    };
    for (name, value) in [
        ("call", cdr.call.to_string()),
        ("trace", cdr.trace.to_string()),
        ("source", source(cdr)),
        ("caller", cdr.caller.to_string()),
        ("dialled", cdr.dialled.to_string()),
        ("start", time(cdr.start)),
        ("ring", after(cdr.ring)),
        ("answer", after(cdr.answer)),
        ("end", after(Some(cdr.end))),
        ("talked", talked(cdr)),
        ("cause", cdr.cause.to_string()),
        ("status", number_or_dash(cdr.status)),
        ("ended by", ended_by(cdr)),
        ("codec", cdr.codec.map_or("-", Codec::name).to_owned()),
    ] {
        writeln!(text, "{name:<9} {}", printable(&value))?;
    }
    if !cdr.attempts.is_empty() {
        let mut table = Table::new(&["ATTEMPT", "TARGET", "ROUTED", "START", "RANG", "ANSWERED", "STATUS", "CAUSE"]);
        for (index, attempt) in cdr.attempts.iter().enumerate() {
            let yes_or_no = |at: Option<u64>| if at.is_some() { "yes" } else { "no" }.to_owned();
            table.row([
                (index + 1).to_string(),
                attempt.target.to_string(),
                attempt.routed.to_string(),
                time(attempt.start),
                yes_or_no(attempt.ring),
                yes_or_no(attempt.answer),
                number_or_dash(attempt.status),
                attempt.cause.to_string(),
            ]);
        }
        write!(text, "\n{table}")?;
    }
    if cdr.caller_media.is_some() || cdr.called_media.is_some() {
        write!(text, "\n{}", media(cdr))?;
    }
    Ok(text)
}

/// The files of what was recorded; empty when nothing was.
fn recordings(recordings: &[CallRecording]) -> String {
    if recordings.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["RECORDING", "COMPLETE", "FILE", "BYTES", "SHA-256"]);
    for recording in recordings {
        let complete = if recording.complete { "yes" } else { "no" };
        for file in recording.files.iter().map(Some).chain(recording.files.is_empty().then_some(None)) {
            table.row([
                recording.number.to_string(),
                complete.to_owned(),
                file.map_or("-", |file| &*file.name).to_owned(),
                file.map_or_else(|| "-".to_owned(), |file| file.bytes.to_string()),
                file.map_or_else(|| "-".to_owned(), |file| sx_store::hash_text(&file.sha256)),
            ]);
        }
    }
    format!("\n{table}")
}

/// What both ports counted.
fn media(cdr: &Cdr) -> Table {
    let mut table = Table::new(&[
        "MEDIA",
        "RECEIVED",
        "SENT",
        "LOST",
        "JITTER",
        "ROUND TRIP",
        "MOS",
        "WORST",
        "R",
        "REJECTED",
        "TRANSCODED",
    ]);
    for (party, stats) in [("caller", &cdr.caller_media), ("called", &cdr.called_media)] {
        let Some(stats) = stats else { continue };
        let PortStats { packets_received, packets_sent, packets_lost, jitter_us, packets_transcoded, .. } = stats;
        // Where no score was measured, the R factor says nothing.
        let measured = |text: String| if stats.mos_mean_x100 == 0 { "-".to_owned() } else { text };
        let score = |x100: u16| measured(format!("{:.2}", f64::from(x100) / 100.0));
        table.row([
            party.to_owned(),
            format!("{packets_received} packets"),
            format!("{packets_sent} packets"),
            packets_lost.to_string(),
            milliseconds(*jitter_us),
            match stats.round_trip_us {
                0 => "-".to_owned(),
                us => milliseconds(us),
            },
            score(stats.mos_mean_x100),
            score(stats.mos_min_x100),
            measured(format!("{:.1}", f64::from(stats.r_last_x10) / 10.0)),
            (stats.rejected_source + stats.rejected_format).to_string(),
            packets_transcoded.to_string(),
        ]);
    }
    table
}

fn milliseconds(us: u32) -> String {
    format!("{:.1} ms", f64::from(us) / 1_000.0)
}

fn time(nanos: u64) -> String {
    Time::from_nanos(nanos).to_string()
}

fn talked(cdr: &Cdr) -> String {
    match cdr.answer {
        Some(answer) => format!("{:.1} s", cdr.end.saturating_sub(answer) as f64 / 1e9),
        None => "-".to_owned(),
    }
}

fn number_or_dash(status: u16) -> String {
    if status == 0 { "-".to_owned() } else { status.to_string() }
}

fn source(cdr: &Cdr) -> String {
    match &cdr.source {
        sx_leg::Source::User(address) => format!("user {address}"),
        sx_leg::Source::Trunk(name) => format!("trunk {name}"),
        sx_leg::Source::Exchange => "the exchange".to_owned(),
    }
}

/// Who ended the call, by name where it is a party.
fn ended_by(cdr: &Cdr) -> String {
    match cdr.ended_by {
        Ender::Caller => format!("the caller, {}", cdr.caller),
        Ender::Called => match called(cdr) {
            Some(target) => format!("the called party, {target}"),
            None => "the called party".to_owned(),
        },
        Ender::Party => "one of the parties".to_owned(),
        Ender::Exchange => "the exchange".to_owned(),
        Ender::Operator => "an operator, or the stop of the exchange".to_owned(),
        Ender::Timer => "a timer of the exchange".to_owned(),
        Ender::Failure => "nobody: a party could not be reached, or not any more".to_owned(),
        Ender::Process => "nobody: it was lost with the process, which was alive at the end above".to_owned(),
    }
}

/// The target that was the called party: the one that answered, else the only one tried. After a transfer there was more
/// than one.
fn called(cdr: &Cdr) -> Option<&str> {
    let mut targets = cdr.attempts.iter().filter(|attempt| attempt.answer.is_some() || cdr.answer.is_none());
    let first = targets.next()?;
    targets.next().is_none().then_some(&*first.target)
}
