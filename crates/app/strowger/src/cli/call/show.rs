//! `strowger call show`: one call, while it lasts from the exchange, afterwards from its detail record.

use super::control::{ControlCommand, run_control};
use crate::cli::WrongUsage;
use crate::cli::api::{Api, ApiArgs, refused};
use crate::cli::cdr::{CdrCommand, run_cdr};
use crate::cli::output::{self, Table, printable};
use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::process::ExitCode;
use sx_config::Config;
use sx_http::{ClientError, Verb};
use sx_types::CallId;

const SHOW_HELP: &str = "\
A live call is asked of the management API; where the exchange does not run, or has no such call, its detail record
is shown as strowger cdr show does. Loss and jitter are those of what the party sends; PEER LOSS
is what the party says of what it receives.

Examples:
  strowger call show 019ab2c3-d4e5-7000-8000-0123456789ab --token-file viewer.token
  STROWGER_TOKEN=sxt_… strowger call show 019ab2c3-d4e5-7000-8000-0123456789ab --json";

/// What can be done with calls of the exchange.
#[derive(Debug, Subcommand)]
pub(crate) enum CallCommand {
    /// Show a call of the exchange and the quality of its media
    #[command(after_help = SHOW_HELP)]
    Show(ShowArgs),
    #[command(flatten)]
    Control(ControlCommand),
}

/// Which call, and how to ask.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The call's identifier
    #[arg(value_name = "ID")]
    call: CallId,
    #[command(flatten)]
    api: ApiArgs,
}

/// Carries out what is to be done with a call of the exchange.
///
/// # Errors
/// When the exchange refuses to tell, or nothing is known of the call.
pub(crate) fn run_command(config: &Config, command: CallCommand, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        CallCommand::Show(args) => run_show(config, &args, json),
        CallCommand::Control(command) => run_control(config, command, json),
    }
}

fn run_show(config: &Config, args: &ShowArgs, json: bool) -> anyhow::Result<ExitCode> {
    match ask(config, args)? {
        Some(call) if json => output::json_line(&call),
        Some(call) => output::text(&describe(&call)?),
        None => run_cdr(config, CdrCommand::Show { call: args.call }, json),
    }
}

/// What the exchange says of a call; `None` when it has none of this name, does not run, or there is no token to ask it with.
fn ask(config: &Config, args: &ShowArgs) -> anyhow::Result<Option<Value>> {
    let api = match Api::of(config, &args.api) {
        Err(error) if error.is::<WrongUsage>() => return Err(error),
        Err(_) => return Ok(None),
        Ok(api) => api,
    };
    let answer = api.ask(Verb::Get, &format!("/calls/{}", args.call), "");
    let does_not_run = |error: &anyhow::Error| {
        let found = error.downcast_ref::<ClientError>();
        matches!(found, Some(ClientError::Connect { error, .. }) if error.kind() == ErrorKind::ConnectionRefused)
    };
    match answer {
        Ok((200, call)) => Ok(Some(call)),
        Ok((404, _)) => Ok(None),
        Ok((status, problem)) => bail!(refused(status, &problem)),
        Err(error) if does_not_run(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A live call, for people.
fn describe(call: &Value) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for (name, key) in [
        ("call", "id"),
        ("trace", "trace_id"),
        ("state", "state"),
        ("caller", "caller"),
        ("dialled", "dialled"),
        ("start", "started"),
        ("answer", "answered"),
        ("room", "room"),
        ("recording", "recording"),
        ("files", "recording_name"),
    ] {
        writeln!(text, "{name:<9} {}", printable(&shown(&call[key])))?;
    }
    let controls = controls(&call["parties"]);
    if !controls.is_empty() {
        writeln!(text, "control   {controls}")?;
    }
    let legs = call["legs"].as_array().map(Vec::as_slice).unwrap_or_default();
    if legs.is_empty() {
        return Ok(text);
    }
    let mut table = Table::new(&[
        "MEDIA",
        "KIND",
        "CODEC",
        "RECEIVED",
        "SENT",
        "LOST",
        "JITTER",
        "ROUND TRIP",
        "MOS",
        "WORST",
        "LATEST",
        "PEER LOSS",
    ]);
    for leg in legs {
        for stream in leg["streams"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let (mos, unit) = (&stream["mos"], with_unit);
            table.row([
                shown(&leg["party"]),
                shown(&stream["kind"]),
                shown(&stream["codec"]),
                unit(&stream["packets_received"], " packets"),
                unit(&stream["packets_sent"], " packets"),
                unit(&stream["loss_percent"], " %"),
                unit(&stream["jitter_ms"], " ms"),
                unit(&stream["round_trip_ms"], " ms"),
                shown(&mos["mean"]),
                shown(&mos["least"]),
                shown(&mos["latest"]),
                unit(&stream["peer"]["loss_percent"], " %"),
            ]);
        }
    }
    write!(text, "\n{table}")?;
    Ok(text)
}

/// What was asked of the parties, as `caller held, called muted`.
fn controls(parties: &Value) -> String {
    let words = [("held", "held"), ("muted", "muted"), ("played_to", "played to")];
    let of = |party: &'static str| {
        words.iter().filter(move |(key, _)| parties[party][key] == true).map(move |(_, word)| format!("{party} {word}"))
    };
    of("caller").chain(of("called")).collect::<Vec<_>>().join(", ")
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn with_unit(value: &Value, unit: &str) -> String {
    if value.is_null() { "-".to_owned() } else { format!("{value}{unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_not_measured_is_a_dash() {
        let stream = json!({ "kind": "audio", "codec": "PCMA", "packets_received": 250, "jitter_ms": 1.25,
            "mos": { "mean": 4.3, "least": 3.92, "latest": 4.41 }, "peer": { "loss_percent": 1.5 } });
        let parties =
            json!({ "caller": { "held": true, "muted": false }, "called": { "muted": true, "played_to": true } });
        assert_eq!(controls(&parties), "caller held, called muted, called played to");
        let text = describe(&json!({ "id": "x", "legs": [{ "party": "caller", "streams": [stream] }] })).expect("text");
        assert!(text.starts_with("call      x\ntrace     -\n"), "{text}");
        let row = text.lines().last().expect("a row");
        let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        let expected =
            ["caller", "audio", "PCMA", "250 packets", "-", "-", "1.25 ms", "-", "4.3", "3.92", "4.41", "1.5 %"];
        assert_eq!(cells, expected);
    }
}
