//! `strowger call list|connect|end|hold|…`: what operators want of the calls of the running exchange.

use crate::cli::api::{Api, ApiArgs, refused};
use crate::cli::output::{self, Table, printable};
use crate::serve::escaped;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::process::ExitCode;
use sx_config::Config;
use sx_http::Verb;
use sx_types::CallId;

const CONNECT_HELP: &str = "\
The first is rung, and hears that it rings while the second is called. Each is shown the other as calling.

Examples:
  strowger call connect anna +493012345678";

const LIST_HELP: &str = "\
Examples:
  strowger call list
  strowger call list --json";
const END_HELP: &str = "\
Examples:
  strowger call end 019ab2c3-d4e5-7000-8000-0123456789ab";
const HOLD_HELP: &str = "\
Examples:
  strowger call hold 019ab2c3-d4e5-7000-8000-0123456789ab --party caller";
const RESUME_HELP: &str = "\
Examples:
  strowger call resume 019ab2c3-d4e5-7000-8000-0123456789ab --party caller";
const MUTE_HELP: &str = "\
Examples:
  strowger call mute 019ab2c3-d4e5-7000-8000-0123456789ab --party called";
const UNMUTE_HELP: &str = "\
Examples:
  strowger call unmute 019ab2c3-d4e5-7000-8000-0123456789ab --party both";
const PLAY_HELP: &str = "\
Examples:
  strowger call play 019ab2c3-d4e5-7000-8000-0123456789ab notice.wav --party called";
const STOP_HELP: &str = "\
Examples:
  strowger call stop 019ab2c3-d4e5-7000-8000-0123456789ab --party called";
const TRANSFER_HELP: &str = "\
Examples:
  strowger call transfer 019ab2c3-d4e5-7000-8000-0123456789ab +493012345678 --party caller";
const MOVE_HELP: &str = "\
Examples:
  strowger call move 019ab2c3-d4e5-7000-8000-0123456789ab council --party both";

/// What can be done with the calls there are, and what makes one.
#[derive(Debug, Subcommand)]
pub(crate) enum ControlCommand {
    /// List the calls there are
    #[command(after_help = LIST_HELP)]
    List {
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Call somebody, and have them talk to somebody else
    #[command(after_help = CONNECT_HELP)]
    Connect {
        /// Who is called first: a user, a number, an address
        from: String,
        /// Who is called when the first has answered
        to: String,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Hang a call up
    #[command(after_help = END_HELP)]
    End {
        /// The call's identifier
        #[arg(value_name = "ID")]
        call: CallId,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Put a party on hold: it hears music, and is heard by nobody
    #[command(after_help = HOLD_HELP)]
    Hold(PartyArgs),
    /// Take a party back from hold
    #[command(after_help = RESUME_HELP)]
    Resume(PartyArgs),
    /// Have nobody hear a party
    #[command(after_help = MUTE_HELP)]
    Mute(PartyArgs),
    /// Have a party heard again
    #[command(after_help = UNMUTE_HELP)]
    Unmute(PartyArgs),
    /// Have a party hear a sound once: a file of media.sounds, or a tone
    #[command(after_help = PLAY_HELP)]
    Play {
        #[command(flatten)]
        party: PartyArgs,
        /// The sound, as notice.wav or tone:beep
        sound: String,
    },
    /// Have a party hear no sound any more
    #[command(after_help = STOP_HELP)]
    Stop(PartyArgs),
    /// Connect a party elsewhere; the other is hung up when somebody answers there
    #[command(after_help = TRANSFER_HELP)]
    Transfer {
        #[command(flatten)]
        party: PartyArgs,
        /// With whom: a user, a number, an address
        to: String,
    },
    /// Bring a party, or both, into a room
    #[command(after_help = MOVE_HELP)]
    Move {
        #[command(flatten)]
        party: PartyArgs,
        /// The room
        room: String,
    },
}

/// Of which call.
#[derive(Debug, Args)]
pub(crate) struct PartyArgs {
    /// The call's identifier
    #[arg(value_name = "ID")]
    call: CallId,
    /// Which party of it
    #[arg(long, value_enum)]
    party: PartyChoice,
    #[command(flatten)]
    api: ApiArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PartyChoice {
    Caller,
    Called,
    Both,
}

/// Carries out one of these.
///
/// # Errors
/// When the exchange cannot be asked.
pub(crate) fn run_control(config: &Config, command: ControlCommand, json: bool) -> anyhow::Result<ExitCode> {
    let (api, verb, path, body) = asked(command);
    let (status, answer) = Api::of(config, &api)?.ask(verb, &path, &body)?;
    let is_good = status < 300;
    let text = match (is_good, &answer) {
        (false, _) => refused(status, &answer) + "\n",
        (true, Value::Null) => "done\n".to_owned(),
        (true, _) if answer["calls"].is_array() => listed(&answer),
        (true, _) => format!("call {}\n", printable(answer["id"].as_str().unwrap_or_default())),
    };
    match json {
        true if answer.is_null() => output::json_line(&json!({ "status": status }))?,
        true => output::json_line(&answer)?,
        false => output::text(&text)?,
    };
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the exchange is asked.
fn asked(command: ControlCommand) -> (ApiArgs, Verb, String, String) {
    let of = |party: PartyArgs, change: &str, more: Option<(&str, String)>| {
        let name = match party.party {
            PartyChoice::Caller => "caller",
            PartyChoice::Called => "called",
            PartyChoice::Both => "both",
        };
        let more = more.map_or_else(String::new, |(name, value)| format!("&{name}={}", escaped(&value)));
        let path = format!("/calls/{}/parties/{name}?change={change}{more}", party.call);
        (party.api, Verb::Post, path, String::new())
    };
    match command {
        ControlCommand::List { api } => (api, Verb::Get, "/calls".to_owned(), String::new()),
        ControlCommand::Connect { from, to, api } => {
            (api, Verb::Post, "/calls".to_owned(), json!({ "from": from, "to": to }).to_string())
        }
        ControlCommand::End { call, api } => (api, Verb::Delete, format!("/calls/{call}"), String::new()),
        ControlCommand::Hold(party) => of(party, "hold", None),
        ControlCommand::Resume(party) => of(party, "resume", None),
        ControlCommand::Mute(party) => of(party, "mute", None),
        ControlCommand::Unmute(party) => of(party, "unmute", None),
        ControlCommand::Play { party, sound } => of(party, "play", Some(("sound", sound))),
        ControlCommand::Stop(party) => of(party, "stop", None),
        ControlCommand::Transfer { party, to } => of(party, "transfer", Some(("to", to))),
        ControlCommand::Move { party, room } => of(party, "move", Some(("to", room))),
    }
}

fn listed(answer: &Value) -> String {
    let text = |value: &Value| printable(value.as_str().unwrap_or("-"));
    let mut table = Table::new(&["CALL", "STATE", "CALLER", "DIALLED", "ANSWERED", "ROOM"]);
    for call in answer["calls"].as_array().map_or(&[][..], Vec::as_slice) {
        table.row(["id", "state", "caller", "dialled", "answered", "room"].map(|key| text(&call[key])));
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_names_the_party_and_what_becomes_of_it() {
        let call: CallId = "019ab2c3-d4e5-7000-8000-0123456789ab".parse().expect("an identifier");
        let party = PartyArgs { call, party: PartyChoice::Called, api: ApiArgs::default() };
        let (_, verb, path, body) = asked(ControlCommand::Transfer { party, to: "+49 30/x".into() });
        assert_eq!((verb, body.as_str()), (Verb::Post, ""));
        assert_eq!(path, format!("/calls/{call}/parties/called?change=transfer&to=%2B49%2030%2Fx"));
    }

    #[test]
    fn calls_are_listed_a_line_each() {
        let calls = json!({ "calls": [{ "id": "x", "state": "talking", "caller": "a\u{1b}", "dialled": "b", "answered": null }] });
        let text = listed(&calls);
        let last: Vec<&str> = text.lines().last().expect("a row").split_whitespace().collect();
        assert_eq!(last, ["x", "talking", "a?", "b", "-", "-"], "{text}");
    }
}
