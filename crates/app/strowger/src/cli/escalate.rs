//! `strowger escalate`: tells the exchange of a hazard as an agent does, and shows who is rung for it.

use super::api::{Api, ApiArgs};
use super::{evidence, output};
use crate::signer::{Signer, hex};
use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use sx_config::Config;
use sx_engine::Time;
use sx_http::Verb;
use sx_ifmessage::{HazardKind, Severity};

/// Shown below the help of `strowger escalate`.
pub(crate) const HELP: &str = "\
The message is signed with the key of a guardian and sent to the management API. What it says of persons is blotted out
before anybody sees it. Then the experts who know about the hazard are rung, the best first, and whoever answers joins
the room that escalation.room names.

Without a token in STROWGER_TOKEN one is made in the data folder that is good for five minutes.

The exit code is 0 when an expert is in the room, or the message was held or shared, and 1 when it was refused or nobody
has answered.

Examples:
  strowger escalate --hazard safety --text 'valve 7 is open'
  strowger escalate --hazard safety --text 'valve 7 is open' --evidence valve.png --evidence readings.csv
  strowger escalate --hazard legal --severity high --text 'may we publish this?' --as guardian.legal
  STROWGER_TOKEN=sxt_... strowger escalate --hazard privacy --text 'a leak' --key agent.key --as IF.guard.privacy \\
      --url https://exchange.example.org:9443 --ca authority.pem";

/// A hazard to tell of.
#[derive(Clone, Debug, Args)]
pub(crate) struct EscalateArgs {
    /// What kind of hazard it is
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(HazardKind::WORDS))]
    hazard: String,
    /// What is the matter
    #[arg(long)]
    text: String,
    /// How bad it is
    #[arg(long, default_value = "high", value_parser = clap::builder::PossibleValuesParser::new(Severity::WORDS))]
    severity: String,
    /// Why it is a hazard [default: the text]
    #[arg(long)]
    rationale: Option<String>,
    /// How sure the agent is, from 0 to 1, instead of having a human decide in any case
    #[arg(long, value_parser = sureness)]
    confidence: Option<f64>,
    /// The language that the expert had better speak, as de
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
    /// The NDI source that shows it, as 'STUDIO (CAM 1)'
    #[arg(long, value_name = "SOURCE")]
    ndi: Option<String>,
    /// The guardian who says so
    #[arg(long = "as", value_name = "GUARDIAN", default_value = "guardian.security")]
    sender: String,
    /// Their key [default: that which the exchange has made for them]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Evidence: files that are handed in with it
    #[arg(long, value_name = "FILE")]
    evidence: Vec<PathBuf>,
    #[command(flatten)]
    api: ApiArgs,
    /// How long to wait for an expert, in seconds; 0 waits for none
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    wait: u64,
}

/// How often it is asked how things are.
const ASK_EVERY: Duration = Duration::from_millis(200);

fn sureness(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "a number from 0 to 1".to_owned())
}

/// Carries out `strowger escalate`.
///
/// # Errors
/// When the exchange cannot be told. That it refuses is an answer.
pub(crate) fn run_escalate(config: &Config, args: &EscalateArgs, json: bool) -> anyhow::Result<ExitCode> {
    let message = message(config, args)?;
    let api = Api::of(config, &args.api)?;
    let (status, mut answer) = api.ask(Verb::Post, "/escalations", &message.to_string())?;
    if status != 201 {
        if json {
            output::json_line(&answer)?;
        } else {
            output::text(&refusal(status, &answer))?;
        }
        return Ok(ExitCode::FAILURE);
    }
    let id = answer["id"].as_str().context("the answer names no escalation")?.to_owned();
    let path = format!("/escalations/{id}");
    // Whoever is rung hears it ring meanwhile.
    let evidence = hand_in_all(&api, &id, &args.evidence, json)?;
    let until = Instant::now() + Duration::from_secs(args.wait);
    let mut told = 0;
    loop {
        if !json {
            told = tell_tried(&answer, told)?;
        }
        if answer["state"] != "ringing" || Instant::now() >= until {
            break;
        }
        crate::serve::pause(ASK_EVERY);
        let (status, now) = api.ask(Verb::Get, &path, "")?;
        if status != 200 {
            bail!(
                "the escalation cannot be looked at any more: {status} {}",
                now["detail"].as_str().unwrap_or_default()
            );
        }
        answer = now;
    }
    let state = answer["state"].as_str().unwrap_or_default();
    let is_good = args.wait == 0 || ["connected", "held", "shared", "ended"].contains(&state);
    if json {
        answer["evidence"] = evidence.into();
        output::json_line(&answer)?;
    } else {
        output::text(&outcome(&answer))?;
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Hands files in. One that cannot be is told, and changes nothing of the rest.
fn hand_in_all(api: &Api, id: &str, files: &[PathBuf], json: bool) -> anyhow::Result<Vec<Value>> {
    let mut all = Vec::new();
    for file in files {
        let shown = file.display().to_string();
        match evidence::hand_in(api, id, file) {
            Ok(kept) => {
                if !json {
                    let hash = kept["sha256"].as_str().unwrap_or_default();
                    output::text(&format!("evidence {shown}: {} bytes sha256 {hash}\n", kept["bytes"]))?;
                }
                all.push(kept);
            }
            Err(error) => {
                tell!("strowger: the evidence {shown} was not taken: {error:#}");
                all.push(json!({ "name": shown, "state": "failed", "detail": format!("{error:#}") }));
            }
        }
    }
    Ok(all)
}

/// The message, signed.
fn message(config: &Config, args: &EscalateArgs) -> anyhow::Result<Value> {
    let path = args.key.clone().unwrap_or_else(|| key_of(config, &args.sender));
    let signer = Signer::read(&path).with_context(|| format!("{} has to sign; --key names their key", args.sender))?;
    let mut payload = json!({
        "text": args.text,
        "hazard": {
            "type": args.hazard,
            "severity": args.severity,
            "rationale": args.rationale.as_ref().unwrap_or(&args.text),
            "auto_escalate": args.confidence.is_none(),
        },
    });
    if let Some(confidence) = args.confidence {
        payload["confidence"] = confidence.into();
    }
    if let Some(source) = &args.ndi {
        payload["ndi_stream"] = source.as_str().into();
    }
    if let Some(language) = &args.language {
        payload["language"] = language.to_ascii_lowercase().into();
    }
    signed(&args.sender, &signer, &payload)
}

/// A message of this guardian, signed.
pub(crate) fn signed(sender: &str, signer: &Signer, payload: &Value) -> anyhow::Result<Value> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    let sequence = u64::try_from(now.as_millis()).context("the clock is far ahead")?;
    let message = json!({
        "id": format!("strowger-escalate-{sequence}"),
        "timestamp": Time::from_millis(sequence).to_string(),
        "level": 2,
        "source": sender,
        "destination": "council",
        "version": "2.1",
        "performative": "escalate",
        "conversation_id": format!("if://conversation/cli-{sequence}"),
        "sequence_num": sequence,
        "citation_ids": [],
        "payload": payload,
    });
    let Value::Object(mut message) = message else { bail!("a message is an object") };
    sign(&mut message, signer)?;
    Ok(Value::Object(message))
}

/// The key of a guardian that the exchange has made itself.
pub(crate) fn key_of(config: &Config, guardian: &str) -> PathBuf {
    let role = guardian.strip_prefix("guardian.").unwrap_or(guardian);
    config.exchange.data.join("guardians").join(format!("{role}.key"))
}

fn sign(message: &mut Map<String, Value>, signer: &Signer) -> anyhow::Result<()> {
    let canonical = sx_ifmessage::canonical(message).context("the message has no canonical form")?;
    let fields: Vec<&String> = message.keys().collect();
    let signature = json!({
        "algorithm": "ed25519",
        "public_key": hex(&signer.public_key()),
        "signature_bytes": hex(&signer.sign(&canonical)),
        "signed_fields": fields,
    });
    message.insert("signature".into(), signature);
    Ok(())
}

/// Who was tried since it was told last.
fn tell_tried(answer: &Value, told: usize) -> anyhow::Result<usize> {
    let tried = answer["tried"].as_array().map_or(&[][..], Vec::as_slice);
    for attempt in tried.iter().skip(told) {
        let text = |name: &str| output::printable(attempt[name].as_str().unwrap_or_default());
        output::text(&format!("rings {} at {}\n", text("expert"), text("address")))?;
    }
    Ok(tried.len())
}

fn outcome(answer: &Value) -> String {
    let text = |name: &str| output::printable(answer[name].as_str().unwrap_or_default());
    let story = format!("trace {}\n", text("trace_id"));
    match text("state").as_str() {
        "connected" => format!("{} is in the room {}\ncall {}\n{story}", text("expert"), text("room"), text("call_id")),
        "no_expert" => {
            let over = answer["passed_over"].as_array().map_or(&[][..], Vec::as_slice);
            let line = |one: &Value| {
                let part = |name: &str| output::printable(one[name].as_str().unwrap_or_default());
                format!("{} {}\n", part("expert"), part("why"))
            };
            format!("nobody has answered\n{}{story}", over.iter().map(line).collect::<String>())
        }
        "ringing" => format!("nobody has answered yet\n{story}"),
        other => format!("{other}: {}\n{story}", text("because")),
    }
}

fn refusal(status: u16, answer: &Value) -> String {
    let text = |name: &str| output::printable(answer[name].as_str().unwrap_or_default());
    let by = match (text("rule"), text("reason")) {
        (rule, reason) if !rule.is_empty() => format!(" ({rule}: {reason})"),
        (_, reason) if !reason.is_empty() => format!(" ({reason})"),
        _ => String::new(),
    };
    let field = |one: &Value| {
        let part = |name: &str| output::printable(one[name].as_str().unwrap_or_default());
        format!("  {} {}\n", part("field"), part("detail"))
    };
    let fields: String = answer["errors"].as_array().map_or(&[][..], Vec::as_slice).iter().map(field).collect();
    format!("refused with {status}{by}: {}\n{fields}", text("detail"))
}
