//! `strowger call show`: one call, while it lasts from the exchange, afterwards from its detail record.

use super::control::{ControlCommand, run_control};
use crate::cli::cdr::{CdrCommand, run_cdr};
use crate::cli::output::{self, Table, printable};
use crate::cli::{WrongUsage, password};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use sx_config::Config;
use sx_types::CallId;

const SHOW_HELP: &str = "\
A live call is asked of the management API of this machine, which needs a token; where there is none, or no such
call, its detail record is shown as strowger cdr show does. Loss and jitter are those of what the party sends; PEER LOSS
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
    /// Read the token from the first line of this file
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The token; everybody on this machine can see it: better use --token-file
    #[arg(long, env = "STROWGER_TOKEN", hide_env_values = true, conflicts_with = "token_file")]
    token: Option<String>,
    /// Where the API listens [default: api.listen of the configuration]
    #[arg(long, value_name = "ADDRESS")]
    api: Option<SocketAddr>,
}

/// How long the exchange may take to connect, and to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// A call's description is far shorter.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

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
    let token = match &args.token_file {
        Some(path) => Some(password::read_file(path)?),
        None => args.token.clone(),
    };
    let listen = match args.api {
        Some(address) => Some(address),
        None if config.api.identity.is_some() && token.is_some() => {
            bail!("the management API is behind TLS here: ask it with a client of HTTP")
        }
        None => Some(config.api.listen).filter(|address| address.port() != 0),
    };
    let live = match (listen, token) {
        (Some(address), Some(token)) => ask(address, &token, args.call)?,
        _ => None,
    };
    match live {
        Some(call) if json => output::json_line(&call),
        Some(call) => output::text(&describe(&call)?),
        None => run_cdr(config, CdrCommand::Show { call: args.call }, json),
    }
}

/// What the exchange says of a call; `None` when it has none of this name, or does not run.
fn ask(address: SocketAddr, token: &str, call: CallId) -> anyhow::Result<Option<Value>> {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv6() { [0, 0, 0, 0, 0, 0, 0, 1].into() } else { [127, 0, 0, 1].into() });
    }
    //= https://www.rfc-editor.org/rfc/rfc6750#section-5.3
    // Tokens are to be shown over TLS only: without it, this one does not leave the machine.
    if !address.ip().is_loopback() {
        return Err(WrongUsage(format!("a token is not sent to {address} without TLS")).into());
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(WrongUsage("the token has characters that none has".to_owned()).into());
    }
    let mut stream = match TcpStream::connect_timeout(&address, PATIENCE) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(None),
        connected => connected.with_context(|| format!("cannot connect to {address}"))?,
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    // HTTP/1.0: the answer ends where the connection does, and comes in one piece.
    let request =
        format!("GET /api/v1/calls/{call} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).context("the management API has not answered")?;
    read(&answer)
}

fn read(answer: &str) -> anyhow::Result<Option<Value>> {
    let (head, body) = answer.split_once("\r\n\r\n").context("what the management API answers is no HTTP")?;
    let body: Value = serde_json::from_str(body).context("the management API answers something else than JSON")?;
    match head.split(' ').nth(1) {
        Some("200") => Ok(Some(body)),
        Some("404") => Ok(None),
        status => {
            let detail = body["detail"].as_str().or(body["title"].as_str()).unwrap_or("no reason given");
            bail!("the management API refuses with {}: {}", status.unwrap_or("no status"), printable(detail))
        }
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
        let text = describe(&json!({ "id": "x", "legs": [{ "party": "caller", "streams": [stream] }] })).expect("text");
        assert!(text.starts_with("call      x\ntrace     -\n"), "{text}");
        let row = text.lines().last().expect("a row");
        let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        let expected =
            ["caller", "audio", "PCMA", "250 packets", "-", "-", "1.25 ms", "-", "4.3", "3.92", "4.41", "1.5 %"];
        assert_eq!(cells, expected);
    }

    #[test]
    fn a_call_that_is_not_there_is_looked_for_elsewhere_and_a_refusal_is_said() {
        assert_eq!(read("HTTP/1.0 404 Not Found\r\n\r\n{}").expect("an answer"), None);
        assert_eq!(read("HTTP/1.0 200 OK\r\nA: b\r\n\r\n{\"id\":1}").expect("an answer"), Some(json!({ "id": 1 })));
        let refused = read("HTTP/1.0 401 Unauthorized\r\n\r\n{\"detail\":\"the token\\u001b opens nothing\"}");
        assert_eq!(
            refused.expect_err("refused").to_string(),
            "the management API refuses with 401: the token? opens nothing"
        );
    }

    #[test]
    fn a_token_leaves_the_machine_on_no_account() {
        let call = "019ab2c3-d4e5-7000-8000-0123456789ab".parse().expect("an identifier");
        let elsewhere = ask("192.0.2.1:8081".parse().expect("an address"), "sxt_a", call);
        assert!(elsewhere.expect_err("refused").is::<WrongUsage>());
        let broken = ask("127.0.0.1:1".parse().expect("an address"), "a\r\nX: y", call);
        assert!(broken.expect_err("refused").is::<WrongUsage>());
    }
}
