//! The expert is rung, as often as is asked for.

use super::ExpertArgs;
use super::checks::{Council, members};
use super::report::Report;
use super::stage::{PATIENCE, Stage};
use crate::cli::signed_message;
use crate::signer::Signer;
use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use sx_http::Verb;

/// The source of video that the message names. That nobody has it is no error.
pub const NDI_SOURCE: &str = "VERIFY (CAM 1)";
/// Who tells of the hazard.
pub const GUARDIAN: &str = "guardian.security";

/// What the rounds have shown.
pub struct Rounds {
    /// From the message to the answer, as the exchange has it, in milliseconds.
    pub answered_ms: Vec<f64>,
    /// From the message to the expert being heard who hears, in milliseconds; only of those who play back.
    pub two_way_ms: Vec<f64>,
    /// The last escalation, which still stands.
    pub last: Value,
}

/// Rings the expert as often as is asked for. The last one stays.
pub fn rounds(report: &mut Report, stage: &Stage, council: &Council, args: &ExpertArgs) -> Option<Rounds> {
    let mut rounds = Rounds { answered_ms: Vec::new(), two_way_ms: Vec::new(), last: Value::Null };
    for round in 1..=args.rounds {
        let begun = report_first(report, round, || begin(stage, council, args))?;
        let answered = escalated(stage, council, args, begun, &mut rounds);
        if let Err(error) = answered {
            report.failed("set-up time", &error.context(format!("round {round} of {}", args.rounds)));
            return None;
        }
        if round < args.rounds
            && let Err(error) = ended(stage, council, &rounds.last)
        {
            report.failed("BYE", &error.context(format!("round {round} of {}", args.rounds)));
            return None;
        }
    }
    Some(rounds)
}

/// The message of the first round is a check of its own; those of the others are as good or fail the set-up.
fn report_first<T>(report: &mut Report, round: u32, begin: impl FnOnce() -> anyhow::Result<(T, String)>) -> Option<T> {
    if round == 1 {
        return report.check("message", begin);
    }
    match begin() {
        Ok((begun, _)) => Some(begun),
        Err(error) => {
            report.failed("set-up time", &error.context(format!("round {round}")));
            None
        }
    }
}

/// Sends the message: when that was, and what it has become.
fn begin(stage: &Stage, council: &Council, args: &ExpertArgs) -> anyhow::Result<((Instant, Value), String)> {
    let message = message(stage, GUARDIAN, "safety", Some(NDI_SOURCE))?;
    if args.echo {
        council.speaker.speaks();
    }
    let begun = Instant::now();
    let (status, answer) = stage.api.ask(Verb::Post, "/escalations", &message.to_string())?;
    ensure!(status == 201, "the message is refused with {status}: {}", answer["detail"]);
    let text = answer["content"]["text"].as_str().unwrap_or_default();
    ensure!(text.contains("[REDACTED:EMAIL]") && !text.contains('@'), "a person is named: {text}");
    let detail = format!(
        "signed, taken, routed ({}), and nobody is named in it",
        answer["because"].as_str().unwrap_or_default()
    );
    Ok(((begun, answer), detail))
}

/// A message of a guardian about a hazard of this kind.
pub fn message(stage: &Stage, guardian: &str, kind: &str, ndi: Option<&str>) -> anyhow::Result<Value> {
    let role = guardian.strip_prefix("guardian.").unwrap_or(guardian);
    let signer = Signer::read(&stage.config.exchange.data.join("guardians").join(format!("{role}.key")))?;
    let mut payload = json!({
        "text": "a verification, asked for by somebody@example.org",
        "hazard": { "type": kind, "severity": "low", "rationale": "a verification", "auto_escalate": true },
    });
    if let Some(ndi) = ndi {
        payload["ndi_stream"] = ndi.into();
    }
    signed_message(guardian, &signer, &payload)
}

/// Waits until the expert has answered and, when they play back what they hear, until that is heard.
fn escalated(
    stage: &Stage,
    council: &Council,
    args: &ExpertArgs,
    (begun, answer): (Instant, Value),
    rounds: &mut Rounds,
) -> anyhow::Result<()> {
    let patience = Duration::from_secs(args.ring) + PATIENCE;
    if args.echo {
        let heard = council.speaker.hears_by(patience);
        let heard =
            heard.with_context(|| format!("the expert does not play back what is said ({})", state(stage, &answer)))?;
        rounds.two_way_ms.push(heard.duration_since(begun).as_secs_f64() * 1e3);
        council.speaker.hears_the_tone().or_else(|_| {
            crate::serve::pause(Duration::from_millis(600));
            council.speaker.hears_the_tone()
        })?;
        council.speaker.is_silent();
    }
    loop {
        rounds.last = look(stage, &answer)?;
        match rounds.last["state"].as_str() {
            Some("connected") => break,
            Some("ringing") if begun.elapsed() < patience => crate::serve::pause(Duration::from_millis(10)),
            other => bail!("nobody has answered: {} {}", other.unwrap_or_default(), rounds.last["tried"]),
        }
    }
    let at = |name: &str| rounds.last[name].as_str().and_then(|text| crate::cli::when::parse_time(text).ok());
    let (from, to) = at("began").zip(at("connected")).context("the exchange does not say when")?;
    rounds.answered_ms.push(to.saturating_sub(from) as f64 / 1e6);
    Ok(())
}

fn look(stage: &Stage, escalation: &Value) -> anyhow::Result<Value> {
    stage.get(&format!("/escalations/{}", escalation["id"].as_str().unwrap_or_default()))
}

fn state(stage: &Stage, escalation: &Value) -> String {
    look(stage, escalation).map_or_else(|error| error.to_string(), |now| format!("{}, {}", now["state"], now["tried"]))
}

fn ended(stage: &Stage, council: &Council, escalation: &Value) -> anyhow::Result<()> {
    let path = format!("/escalations/{}", escalation["id"].as_str().unwrap_or_default());
    let (status, _) = stage.api.ask(Verb::Delete, &path, "")?;
    ensure!(matches!(status, 202 | 204), "it cannot be ended: {status}");
    stage.wait_for("the expert has left the room", || Ok(members(stage)?.len() == 2))?;
    council.speaker.hears_nothing(PATIENCE)
}
