//! `strowger escalate`: tells the exchange of a hazard as an agent does, and shows who is rung for it.

use super::{WrongUsage, output};
use crate::signer::{Signer, hex};
use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use sx_config::Config;
use sx_engine::Time;
use sx_http::{BASE, ClientLimits, ClientRequest, HttpClient, HttpUrl, Verb, client_tls};
use sx_ifmessage::{HazardKind, Severity};
use sx_store::{NewToken, SharedFolder, TOKEN_RANDOM_BYTES};
use sx_types::Role;

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
    /// The guardian who says so
    #[arg(long = "as", value_name = "GUARDIAN", default_value = "guardian.security")]
    sender: String,
    /// Their key [default: that which the exchange has made for them]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Where the management API is [default: as the configuration says]
    #[arg(long)]
    url: Option<String>,
    /// The authorities that its certificate is held against
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How long to wait for an expert, in seconds; 0 waits for none
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    wait: u64,
}

/// How often it is asked how things are.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// How long a token is good that is made for this.
const TOKEN_TIME: Duration = Duration::from_secs(300);

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
    let api = Api::of(config, args)?;
    let (status, mut answer) = api.ask(Verb::Post, "/escalations", &message.to_string())?;
    if status != 201 {
        if json {
            output::json_line(&answer)?;
        } else {
            output::text(&refusal(status, &answer))?;
        }
        return Ok(ExitCode::FAILURE);
    }
    let path = format!("/escalations/{}", answer["id"].as_str().context("the answer names no escalation")?);
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
        output::json_line(&answer)?;
    } else {
        output::text(&outcome(&answer))?;
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The message, signed.
fn message(config: &Config, args: &EscalateArgs) -> anyhow::Result<Value> {
    let own = || {
        let role = args.sender.strip_prefix("guardian.").unwrap_or(&args.sender);
        config.exchange.data.join("guardians").join(format!("{role}.key"))
    };
    let path = args.key.clone().unwrap_or_else(own);
    let signer = Signer::read(&path).with_context(|| format!("{} has to sign; --key names their key", args.sender))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    let sequence = u64::try_from(now.as_millis()).context("the clock is far ahead")?;
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
    if let Some(language) = &args.language {
        payload["language"] = language.to_ascii_lowercase().into();
    }
    let message = json!({
        "id": format!("strowger-escalate-{sequence}"),
        "timestamp": Time::from_millis(sequence).to_string(),
        "level": 2,
        "source": args.sender,
        "destination": "council",
        "version": "2.1",
        "performative": "escalate",
        "conversation_id": format!("if://conversation/cli-{sequence}"),
        "sequence_num": sequence,
        "citation_ids": [],
        "payload": payload,
    });
    let Value::Object(mut message) = message else { bail!("a message is an object") };
    sign(&mut message, &signer)?;
    Ok(Value::Object(message))
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

/// The management API of an exchange.
struct Api {
    client: HttpClient,
    base: HttpUrl,
    token: String,
}

impl Api {
    fn of(config: &Config, args: &EscalateArgs) -> anyhow::Result<Self> {
        let mut listen = config.api.listen;
        if listen.ip().is_unspecified() {
            listen.set_ip(if listen.is_ipv6() {
                IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])
            } else {
                [127, 0, 0, 1].into()
            });
        }
        let scheme = if config.api.identity.is_some() { "https" } else { "http" };
        let base = args.url.clone().unwrap_or_else(|| format!("{scheme}://{listen}"));
        let base: HttpUrl = base.parse().map_err(|error| WrongUsage(format!("--url {base}: {error}")))?;
        let tls = match &args.ca {
            Some(path) => {
                let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                Some(client_tls(&pem).with_context(|| format!("{} holds no authorities", path.display()))?)
            }
            None => None,
        };
        let token = match std::env::var("STROWGER_TOKEN") {
            Ok(token) if !token.is_empty() => token,
            _ => token_for_now(config)?,
        };
        let client = HttpClient::new(tls, ClientLimits::default())?.trusting_loopback();
        Ok(Self { client, base: base.join(BASE.trim_start_matches('/'))?, token })
    }

    /// The status and the document that have come back.
    fn ask(&self, verb: Verb, path: &str, body: &str) -> anyhow::Result<(u16, Value)> {
        let url = self.base.join(path.trim_start_matches('/'))?;
        let request =
            ClientRequest { verb, url: &url, media_type: "application/json", bearer: Some(&self.token), body };
        let answer = self.client.send(&request).context("the management API cannot be asked")?;
        Ok((answer.status, serde_json::from_slice(&answer.body).unwrap_or_default()))
    }
}

/// Whoever may write to the data folder may do all that a token lets them do.
fn token_for_now(config: &Config) -> anyhow::Result<String> {
    let data = &config.exchange.data;
    if !data.is_dir() {
        bail!("there is no data folder {} to make a token in; STROWGER_TOKEN can hold one", data.display());
    }
    let mut random = [0; TOKEN_RANDOM_BYTES];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| anyhow::anyhow!("the operating system gives no randomness"))?;
    let now = crate::serve::now();
    let new = NewToken { name: "strowger-escalate", role: Role::Operator, expires: Some(now + TOKEN_TIME) };
    let (_, secret) = SharedFolder::attach(data)?.tokens()?.create(new, now, &random)?;
    Ok(secret.as_str().to_owned())
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
