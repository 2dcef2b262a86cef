//! `strowger witness trace` and `export`: records for people and for other programs.

use super::super::output::{self, Table, shortened};
use super::vouching::vouch;
use super::{ExportFormat, Output, Setting, TraceFormat, wrong_usage};
use crate::cli::progress::watched;
use anyhow::{Context as _, bail};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use sx_engine::Time;
use sx_exchange::SIP_CALL_ID_CHARS_MAX;
use sx_store::{RecordId, WitnessFolder, WitnessFound, WitnessSearch};
use sx_types::{CallId, TraceId};
use sx_witness::Line;

/// The columns of records as CSV, in the order in which somebody reads them.
const COLUMNS: [&str; 12] = [
    "time",
    "node",
    "seq",
    "kind",
    "outcome",
    "actor",
    "subject",
    "reason",
    "call_id",
    "trace_id",
    "policy_version",
    "facts",
];
/// One long address would move the columns of all; whole ones are in the other formats.
const CELL_WIDTH: usize = 32;

/// Nor would a long list be read.
const FACT_WIDTH: usize = 64;

/// What stands for a call or a trace.
const ID_SHAPE: &str = "the identifier of a call or a trace, which is a UUID or 32 hexadecimal digits";

/// A record with what it is sorted by.
struct Hit {
    time: Time,
    node: String,
    seq: u64,
    line: Vec<u8>,
}

/// `strowger witness trace`.
pub(super) fn trace(
    setting: &Setting<'_>,
    what: &[String],
    sip_call_id: Option<&str>,
    format: Option<TraceFormat>,
) -> anyhow::Result<ExitCode> {
    // A record has no more of it.
    let named = sip_call_id.map(|id| RecordId::Sip(id.chars().take(SIP_CALL_ID_CHARS_MAX).collect()));
    let (mut ids, mut folders): (Vec<RecordId>, Vec<_>) = (named.into_iter().collect(), Vec::new());
    let mut wanted: Vec<&str> = sip_call_id.into_iter().collect();
    for text in what {
        match ids_of(text) {
            found if !found.is_empty() => {
                ids.extend(found);
                wanted.push(text);
            }
            _ if is_folder(text) => folders.push(setting.open(Some(PathBuf::from(text)))?),
            _ => return Err(wrong_usage(format!("{text:?} is neither {ID_SHAPE}, nor a folder that is there"))),
        }
    }
    if ids.is_empty() {
        return Err(wrong_usage(format!("say what is looked for: {ID_SHAPE}; or --sip-call-id")));
    }
    if folders.is_empty() {
        folders.push(setting.open(None)?);
    }
    let mut search = WitnessSearch { ids: Some(ids.clone()), ..WitnessSearch::default() };
    let (mut hits, mut found) = search_all(&folders, &search)?;
    if sip_call_id.is_some() {
        ids.extend(hits.iter().filter_map(|hit| Line::parse(&hit.line).ok()?.call_id()).map(RecordId::Call));
        ids.dedup();
        search.ids = Some(ids);
        (hits, found) = search_all(&folders, &search)?;
    }
    if hits.is_empty() {
        let places: Vec<String> = folders.iter().map(|folder| folder.path().display().to_string()).collect();
        bail!("no record of {} in {}", wanted.join(" or "), places.join(" or "));
    }
    show(&hits, format.unwrap_or(if setting.json { TraceFormat::Json } else { TraceFormat::Text }))?;
    vouch(&folders, &found)
}

fn show(hits: &[Hit], format: TraceFormat) -> anyhow::Result<ExitCode> {
    match format {
        TraceFormat::Text => output::text(&table(hits).to_string()),
        TraceFormat::Json => {
            let lines: Vec<u8> = hits.iter().flat_map(|hit| hit.line.iter().copied().chain([b'\n'])).collect();
            output::text(&String::from_utf8_lossy(&lines))
        }
        TraceFormat::Csv => {
            let mut text = headings()?;
            for hit in hits {
                text.extend(csv_row(&hit.line)?);
            }
            output::text(&String::from_utf8_lossy(&text))
        }
    }
}

/// Is it said to be one, or is there one of that name?
fn is_folder(text: &str) -> bool {
    text.contains('/') || Path::new(text).is_dir()
}

/// What a text may name: with hyphens a call, without them a trace, or a call.
fn ids_of(text: &str) -> Vec<RecordId> {
    let call = text.parse().map(|call: CallId| RecordId::Call(call));
    let trace = text.parse().map(|trace: TraceId| RecordId::Trace(trace)).ok().filter(|_| !text.contains('-'));
    call.ok().into_iter().chain(trace).collect()
}

/// The records of all nodes, by time, and what was found in each folder.
fn search_all(folders: &[WitnessFolder], search: &WitnessSearch) -> anyhow::Result<(Vec<Hit>, Vec<WitnessFound>)> {
    let (mut hits, mut all) = (Vec::new(), Vec::new());
    for folder in folders {
        let found = watched("search", |progress| {
            folder.search(search, progress, |lines| {
                hits.extend(lines.split(|byte| *byte == b'\n').filter_map(hit));
                true
            })
        })?;
        all.push(found);
    }
    hits.sort_by(|a, b| (a.time, &a.node, a.seq).cmp(&(b.time, &b.node, b.seq)));
    Ok((hits, all))
}

fn hit(line: &[u8]) -> Option<Hit> {
    let read = Line::parse(line).ok()?;
    Some(Hit { time: read.time(), node: read.node().into_owned(), seq: read.seq(), line: line.to_vec() })
}

fn table(hits: &[Hit]) -> Table {
    let mut table = Table::new(&["TIME", "NODE", "SEQ", "KIND", "OUTCOME", "ACTOR", "SUBJECT", "REASON", "FACTS"]);
    for hit in hits {
        let Ok(line) = Line::parse(&hit.line) else { continue };
        let cell = |text: Option<std::borrow::Cow<'_, str>>| match text.as_deref() {
            None | Some("") => "-".to_owned(),
            Some(text) => shortened(text, CELL_WIDTH),
        };
        table.row([
            line.time().to_string(),
            shortened(&hit.node, CELL_WIDTH),
            hit.seq.to_string(),
            line.kind().to_string(),
            cell(line.outcome()),
            cell(line.actor()),
            cell(line.subject()),
            cell(line.reason()),
            facts(&line),
        ]);
    }
    table
}

/// What else a record says, as `name=value`.
fn facts(line: &Line<'_>) -> String {
    let facts = line.facts();
    let each = facts.as_object().into_iter().flatten().map(|(name, value)| match value.as_str() {
        Some(text) if !text.is_empty() && !text.contains([' ', '"', '=']) => {
            format!("{name}={}", shortened(&output::printable(text), FACT_WIDTH))
        }
        _ => format!("{name}={}", shortened(&value.to_string(), FACT_WIDTH)),
    });
    let facts: Vec<String> = each.collect();
    if facts.is_empty() { "-".to_owned() } else { facts.join(" ") }
}

fn headings() -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    writer.into_inner().context("a line of CSV in memory")
}

/// A record as a line of CSV; nothing when it is none.
fn csv_row(line: &[u8]) -> anyhow::Result<Vec<u8>> {
    let Ok(read) = Line::parse(line) else { return Ok(Vec::new()) };
    let text = |text: Option<std::borrow::Cow<'_, str>>| text.map(std::borrow::Cow::into_owned).unwrap_or_default();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        read.time().to_string(),
        read.node().into_owned(),
        read.seq().to_string(),
        read.kind().to_string(),
        text(read.outcome()),
        text(read.actor()),
        text(read.subject()),
        text(read.reason()),
        read.call_id().map(|call| call.to_string()).unwrap_or_default(),
        read.trace_id().map(|trace| trace.to_string()).unwrap_or_default(),
        text(read.policy_version()),
        read.facts_text().unwrap_or_default().to_owned(),
    ])?;
    writer.into_inner().context("a line of CSV in memory")
}

/// `strowger witness export`.
pub(super) fn export(
    folder: &WitnessFolder,
    from: Option<u64>,
    to: Option<u64>,
    format: ExportFormat,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let (from, to) = (from.map(Time::from_nanos), to.map(Time::from_nanos));
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        return Err(wrong_usage(format!(
            "no time is from {from} on and before {to}: --from must be earlier than --to"
        )));
    }
    let search = WitnessSearch { from, to, ..WitnessSearch::default() };
    match &output.output {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            write_records(folder, &search, format, BufWriter::new(file))
        }
        None => write_records(folder, &search, format, BufWriter::new(std::io::stdout().lock())),
    }
}

fn write_records(
    folder: &WitnessFolder,
    search: &WitnessSearch,
    format: ExportFormat,
    mut output: impl Write,
) -> anyhow::Result<ExitCode> {
    if format == ExportFormat::Csv {
        output.write_all(&headings()?)?;
    }
    let mut written = Ok(());
    let found = watched("export", |progress| {
        folder.search(search, progress, |lines| {
            written = write_lines(lines, format, &mut output);
            written.is_ok()
        })
    })?;
    written?;
    output.flush()?;
    vouch(std::slice::from_ref(folder), &[found])
}

fn write_lines(lines: &[u8], format: ExportFormat, output: &mut impl Write) -> anyhow::Result<()> {
    if format == ExportFormat::Jsonl {
        return Ok(output.write_all(lines)?);
    }
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        output.write_all(&csv_row(line)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_names_a_call_and_digits_alone_either() {
        assert_eq!(ids_of("019ab2c3-d4e5-7000-8000-0123456789ab").len(), 1);
        assert_eq!(ids_of("019ab2c3d4e5700080000123456789ab").len(), 2);
        assert!(ids_of("/logs/node-1").is_empty() && ids_of("019ab2c3").is_empty());
    }
}
