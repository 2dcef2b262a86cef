//! Call detail records for other programs: CSV and JSON lines, written as they are read.
//!
//! Times are RFC 3339 in UTC with milliseconds. What is not known is an empty field in CSV and `null` in JSON.

use super::port_numbers::{STATS, stats_numbers};
use super::recordings::hash_text;
use super::table::{STATS_NAMES, ended_by_name, source_name, stats_columns};
use super::{CdrFilter, CdrReader};
use crate::DatabaseError;
use serde::Serialize;
use std::io::{self, Write};
use sx_call::{Attempt, CallRecording, Cdr};
use sx_engine::Time;
use sx_leg::Source;
use sx_media::PortStats;
use sx_types::Codec;

/// The columns of a CSV export before those of the media ports. Behind them come `caller_packets_received` to
/// `caller_last_payload_type`, what the port facing the caller counted, and the same with `called_`.
///
/// - `call`: the call's identifier; `trace`: of the story it belongs to;
/// - `source`: `user`, `trunk` or `exchange`; `source_name`: which one;
/// - `caller`, `dialled`: as `user@domain`;
/// - `start`, `ring`, `answer`, `end`: times;
/// - `talk_s`: seconds between answer and end, with milliseconds; 0.000 when there was no answer;
/// - `cause`: the Q.850 value; `cause_text`: its words; `status`: the protocol's own status, 0 for none;
/// - `ended_by`: `caller`, `called`, `exchange`, `operator`, `timer`, `failure` (a party could not be reached, or not any
///   more) or `process` (the call was lost with it); `peer` in records of earlier versions, for one of the parties;
/// - `attempts`: how many targets were tried; `codec`: the audio codec by its registered name.
pub const CDR_COLUMNS: [&str; 17] = [
    "call",
    "trace",
    "source",
    "source_name",
    "caller",
    "dialled",
    "start",
    "ring",
    "answer",
    "end",
    "talk_s",
    "cause",
    "cause_text",
    "status",
    "ended_by",
    "attempts",
    "codec",
];

/// The columns of a CSV export behind all others: the files of the call's recordings that have ended, with a space between
/// them, and what each of them hashes to. A file has no space in its name.
pub const CDR_RECORDING_COLUMNS: [&str; 2] = ["recordings", "recordings_sha256"];

/// The columns of a CSV export of attempts: the call, the attempt's place in it from 1, what was tried
/// (`trunk:NAME`, `contact:URI` or `uri:URI`), the address asked for there, times, cause and status.
pub const CDR_ATTEMPT_COLUMNS: [&str; 11] =
    ["call", "attempt", "target", "routed", "start", "ring", "answer", "end", "cause", "cause_text", "status"];

/// Why an export stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database cannot be read.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The output does not take any more.
    #[error("cannot write the export: {0}")]
    Output(#[from] io::Error),
}

impl CdrReader {
    /// Writes the calls as CSV with a line of [`CDR_COLUMNS`] first.
    ///
    /// # Errors
    /// When the database cannot be read or `output` not written.
    pub fn export_csv(&self, filter: &CdrFilter, output: impl Write) -> Result<(), ExportError> {
        let mut csv = csv::Writer::from_writer(output);
        let stats: Vec<String> = stats_columns().collect();
        let columns = CDR_COLUMNS.into_iter().chain(stats.iter().map(String::as_str)).chain(CDR_RECORDING_COLUMNS);
        csv.write_record(columns).map_err(io_error)?;
        self.for_each(filter, |cdr| {
            let recordings = self.recordings(cdr.call)?;
            csv.write_record(cdr_fields(&cdr, &recordings)).map_err(io_error)
        })?;
        Ok(csv.flush()?)
    }

    /// Writes the attempts of the calls as CSV with a line of [`CDR_ATTEMPT_COLUMNS`] first.
    ///
    /// # Errors
    /// When the database cannot be read or `output` not written.
    pub fn export_attempts_csv(&self, filter: &CdrFilter, output: impl Write) -> Result<(), ExportError> {
        let mut csv = csv::Writer::from_writer(output);
        csv.write_record(CDR_ATTEMPT_COLUMNS).map_err(io_error)?;
        self.for_each(filter, |cdr| {
            for (index, attempt) in cdr.attempts.iter().enumerate() {
                csv.write_record(attempt_fields(&cdr, index + 1, attempt)).map_err(io_error)?;
            }
            Ok::<(), ExportError>(())
        })?;
        Ok(csv.flush()?)
    }

    /// Writes the calls as JSON, one object with its attempts a line.
    ///
    /// # Errors
    /// When the database cannot be read or `output` not written.
    pub fn export_json(&self, filter: &CdrFilter, output: impl Write) -> Result<(), ExportError> {
        let mut output = io::BufWriter::new(output);
        self.for_each(filter, |cdr| {
            let recordings = self.recordings(cdr.call)?.iter().map(RecordingLine::from).collect();
            let line = Line { recordings, ..Line::from(&cdr) };
            serde_json::to_writer(&mut output, &line).map_err(io::Error::from)?;
            Ok::<(), ExportError>(output.write_all(b"\n")?)
        })?;
        Ok(output.flush()?)
    }
}

fn io_error(error: csv::Error) -> ExportError {
    ExportError::Output(error.into())
}

fn cdr_fields(cdr: &Cdr, recordings: &[CallRecording]) -> Vec<String> {
    let files = || recordings.iter().flat_map(|recording| &recording.files);
    let names: Vec<&str> = files().map(|file| &*file.name).collect();
    let hashes: Vec<String> = files().map(|file| hash_text(&file.sha256)).collect();
    let talk = cdr.answer.map_or(0, |answer| cdr.end.saturating_sub(answer)) / 1_000_000;
    let mut fields = vec![
        cdr.call.to_string(),
        cdr.trace.to_string(),
        source_name(&cdr.source).to_owned(),
        source_text(&cdr.source),
        cdr.caller.to_string(),
        cdr.dialled.to_string(),
        time(cdr.start),
        cdr.ring.map(time).unwrap_or_default(),
        cdr.answer.map(time).unwrap_or_default(),
        time(cdr.end),
        format!("{}.{:03}", talk / 1000, talk % 1000),
        cdr.cause.0.to_string(),
        cdr.cause.text().to_owned(),
        cdr.status.to_string(),
        ended_by_name(cdr.ended_by).to_owned(),
        cdr.attempts.len().to_string(),
        cdr.codec.map_or_else(String::new, |codec| codec.name().to_owned()),
    ];
    for media in [&cdr.caller_media, &cdr.called_media] {
        match media {
            Some(stats) => {
                fields.extend(known(stats).map(|number| number.as_ref().map_or_else(String::new, u64::to_string)));
            }
            None => fields.extend([const { String::new() }; STATS]),
        }
    }
    fields.extend([names.join(" "), hashes.join(" ")]);
    fields
}

fn attempt_fields(cdr: &Cdr, number: usize, attempt: &Attempt) -> [String; CDR_ATTEMPT_COLUMNS.len()] {
    [
        cdr.call.to_string(),
        number.to_string(),
        attempt.target.to_string(),
        attempt.routed.to_string(),
        time(attempt.start),
        attempt.ring.map(time).unwrap_or_default(),
        attempt.answer.map(time).unwrap_or_default(),
        time(attempt.end),
        attempt.cause.0.to_string(),
        attempt.cause.text().to_owned(),
        attempt.status.to_string(),
    ]
}

fn time(nanos: u64) -> String {
    Time::from_nanos(nanos).to_string()
}

fn source_text(source: &Source) -> String {
    match source {
        Source::User(address) => address.to_string(),
        Source::Trunk(name) => name.to_string(),
        Source::Exchange => String::new(),
    }
}

/// A call as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    call: String,
    trace: String,
    source: &'a str,
    source_name: String,
    caller: String,
    dialled: String,
    start: String,
    ring: Option<String>,
    answer: Option<String>,
    end: String,
    cause: u8,
    cause_text: &'a str,
    status: u16,
    ended_by: &'a str,
    codec: Option<&'a str>,
    attempts: Vec<AttemptLine<'a>>,
    recordings: Vec<RecordingLine>,
    caller_media: Option<serde_json::Map<String, serde_json::Value>>,
    called_media: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Serialize)]
struct AttemptLine<'a> {
    target: &'a str,
    routed: String,
    start: String,
    ring: Option<String>,
    answer: Option<String>,
    end: String,
    cause: u8,
    cause_text: &'a str,
    status: u16,
}

impl<'a> From<&'a Cdr> for Line<'a> {
    fn from(cdr: &'a Cdr) -> Self {
        Self {
            call: cdr.call.to_string(),
            trace: cdr.trace.to_string(),
            source: source_name(&cdr.source),
            source_name: source_text(&cdr.source),
            caller: cdr.caller.to_string(),
            dialled: cdr.dialled.to_string(),
            start: time(cdr.start),
            ring: cdr.ring.map(time),
            answer: cdr.answer.map(time),
            end: time(cdr.end),
            cause: cdr.cause.0,
            cause_text: cdr.cause.text(),
            status: cdr.status,
            ended_by: ended_by_name(cdr.ended_by),
            codec: cdr.codec.map(Codec::name),
            attempts: cdr.attempts.iter().map(AttemptLine::from).collect(),
            recordings: Vec::new(),
            caller_media: cdr.caller_media.as_ref().map(stats_object),
            called_media: cdr.called_media.as_ref().map(stats_object),
        }
    }
}

/// A recording of a call.
#[derive(Serialize)]
struct RecordingLine {
    recording: u8,
    complete: bool,
    files: Vec<FileLine>,
}

#[derive(Serialize)]
struct FileLine {
    name: String,
    bytes: u64,
    sha256: String,
}

impl From<&CallRecording> for RecordingLine {
    fn from(recording: &CallRecording) -> Self {
        let file = |file: &sx_call::RecordingFile| FileLine {
            name: file.name.to_string(),
            bytes: file.bytes,
            sha256: hash_text(&file.sha256),
        };
        Self {
            recording: recording.number,
            complete: recording.complete,
            files: recording.files.iter().map(file).collect(),
        }
    }
}

impl<'a> From<&'a Attempt> for AttemptLine<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        Self {
            target: &attempt.target,
            routed: attempt.routed.to_string(),
            start: time(attempt.start),
            ring: attempt.ring.map(time),
            answer: attempt.answer.map(time),
            end: time(attempt.end),
            cause: attempt.cause.0,
            cause_text: attempt.cause.text(),
            status: attempt.status,
        }
    }
}

fn stats_object(stats: &PortStats) -> serde_json::Map<String, serde_json::Value> {
    STATS_NAMES.into_iter().map(str::to_owned).zip(known(stats).map(Into::into)).collect()
}

/// What a port has counted. Of quality that nobody has measured there are no numbers.
fn known(stats: &PortStats) -> [Option<u64>; STATS] {
    let mut numbers = stats_numbers(stats).map(Some);
    let [.., round_trip, mos_min, mos_mean, mos_last, r_last, loss_max] = &mut numbers;
    *round_trip = round_trip.filter(|us| *us > 0);
    if stats.mos_mean_x100 == 0 {
        for number in [mos_min, mos_mean, mos_last, r_last, loss_max] {
            *number = None;
        }
    }
    numbers
}
