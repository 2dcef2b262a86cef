//! A hazard that an agent tells of: the right expert's telephone rings, and whoever answers is in the council's room with
//! those who are there, and has the evidence.

use super::report::Report;
use super::setup::{self, COUNCIL, EXPERT, ROOM_NUMBER, Setup};
use super::story::Story;
use super::{PATIENCE, phone};
use crate::cli::{Api, ApiArgs, hand_in_evidence, signed_message, take_evidence};
use crate::serve::Exchange;
use crate::signer::Signer;
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use sx_codec::hears;
use sx_http::Verb;
use sx_phone::{Phone, PhoneEvent, Server};
use sx_types::Transport;

/// What the members of the council and the expert say, in hertz.
const TONES: [f64; 4] = [500.0, 700.0, 1_100.0, 1_500.0];
/// How long they are in the room together.
const MEETING: Duration = Duration::from_millis(2_500);
/// What is listened to of it, to the end: a second.
const LISTENED: usize = 8_000;
/// Who tells of the hazard.
const GUARDIAN: &str = "guardian.technical";

/// Shows it all, and checks each part.
pub fn show(setup: &Setup, exchange: &Exchange, report: Report<'_>) -> anyhow::Result<()> {
    let api = Api::of(&setup.config, &ApiArgs::at(format!("http://{}", exchange.api_address())))?;
    let council = report.check("council", || council(setup, exchange))?;
    let udp = setup::loopback(exchange.address_of(Transport::Udp).context("no UDP listener")?);
    let answers = Some(Duration::from_millis(300));
    let expert = phone(setup, EXPERT, Server::new(Transport::Udp, udp), TONES[3], answers)?;
    expert.wait_registered(PATIENCE).context("the expert's phone did not register")?;
    report.check("guard", || Ok(((), nobody_knows(setup, &api)?)))?;
    let hazard = report.check("hazard", || hazard(setup, &api))?;
    report.check("expert", || answered(&api, &hazard, &expert))?;
    crate::serve::pause(MEETING);
    let everybody: Vec<(&str, &Phone)> = COUNCIL.into_iter().zip(&council).chain([(EXPERT, &expert)]).collect();
    for (number, (name, phone)) in everybody.iter().enumerate() {
        report.check("meeting", || Ok(((), all_others(name, phone, number)?)))?;
    }
    report.check("evidence", || Ok(((), evidence(setup, &api, &hazard)?)))?;
    for (_, phone) in everybody {
        phone.hangup();
        phone.wait_for(PhoneEvent::is_end, PATIENCE).context("a call to the room did not end")?;
    }
    Story::of(setup)?.tell_trace(report, hazard["trace_id"].as_str().unwrap_or_default())
}

fn council(setup: &Setup, exchange: &Exchange) -> anyhow::Result<(Vec<Phone>, String)> {
    let udp = setup::loopback(exchange.address_of(Transport::Udp).context("no UDP listener")?);
    let mut phones = Vec::new();
    for (name, hz) in COUNCIL.into_iter().zip(TONES) {
        let phone = phone(setup, name, Server::new(Transport::Udp, udp), hz, None)?;
        phone.wait_registered(PATIENCE).with_context(|| format!("{name} did not register"))?;
        phone.call(&format!("sip:{ROOM_NUMBER}@{}", setup.domain()));
        let over = |event: &PhoneEvent| *event == PhoneEvent::Established || event.is_end();
        let joined = phone.wait_for(over, PATIENCE)?;
        ensure!(joined == PhoneEvent::Established, "{name} could not join the room: {joined:?}");
        phones.push(phone);
    }
    Ok((phones, format!("{} have dialled {ROOM_NUMBER} and are in the room", COUNCIL.join(", "))))
}

/// A message of the guardian about a hazard of this kind.
fn message(setup: &Setup, kind: &str, text: &str) -> anyhow::Result<String> {
    let role = GUARDIAN.trim_start_matches("guardian.");
    let signer = Signer::read(&setup.data.join("guardians").join(format!("{role}.key")))?;
    let payload = json!({
        "text": text,
        "hazard": { "type": kind, "severity": "critical", "rationale": text, "auto_escalate": true },
    });
    Ok(signed_message(GUARDIAN, &signer, &payload)?.to_string())
}

/// A hazard that no expert here knows about is refused, with the reason.
fn nobody_knows(setup: &Setup, api: &Api) -> anyhow::Result<String> {
    let message = message(setup, "legal", "may we publish this?")?;
    let (status, answer) = api.ask(Verb::Post, "/escalations", &message)?;
    ensure!(status == 422 && answer["reason"] == "no-specialist", "it got {status}: {answer}");
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    Ok(format!(
        "a legal hazard, which nobody knows about: {status} {} by the gate {}: {}",
        text("reason"),
        text("rule"),
        text("detail")
    ))
}

fn hazard(setup: &Setup, api: &Api) -> anyhow::Result<(Value, String)> {
    let text = "valve 7 is open; ask jane@example.org, SSN 536-22-1234";
    let (status, answer) = api.ask(Verb::Post, "/escalations", &message(setup, "safety", text)?)?;
    ensure!(status == 201, "the message was refused: {status} {}", answer["detail"]);
    let kept = answer["content"]["text"].as_str().unwrap_or_default().to_owned();
    ensure!(kept == "valve 7 is open; ask [REDACTED:EMAIL], SSN [REDACTED:SSN]", "it says {kept}");
    Ok((answer, format!("{GUARDIAN} says, signed: {kept}")))
}

fn answered(api: &Api, hazard: &Value, expert: &Phone) -> anyhow::Result<((), String)> {
    let begun = Instant::now();
    let ringing = expert.wait_for(|event| matches!(event, PhoneEvent::Incoming { .. }), PATIENCE);
    let ringing = ringing.context("the expert's phone did not ring")?;
    let path = format!("/escalations/{}", hazard["id"].as_str().unwrap_or_default());
    loop {
        let (_, now) = api.ask(Verb::Get, &path, "")?;
        if now["state"] == "connected" {
            let from = match ringing {
                PhoneEvent::Incoming { from, .. } => from,
                _ => String::new(),
            };
            let tried = now["tried"].as_array().map_or(0, Vec::len);
            return Ok(((), format!("{EXPERT}'s phone rang ({from}), {tried} tried, and {EXPERT} is in the room")));
        }
        ensure!(begun.elapsed() < PATIENCE, "the expert is not in the room: {}", now["state"]);
        crate::serve::pause(Duration::from_millis(20));
    }
}

/// Everybody in the room hears all others and not themselves.
fn all_others(name: &str, phone: &Phone, number: usize) -> anyhow::Result<String> {
    let heard = phone.heard();
    ensure!(heard.len() > LISTENED, "{name} heard {} samples only", heard.len());
    let heard = &heard[heard.len() - LISTENED..];
    let others: Vec<f64> = TONES.into_iter().filter(|hz| *hz != TONES[number]).collect();
    let missing: Vec<&f64> = others.iter().filter(|hz| !hears(heard, **hz)).collect();
    ensure!(missing.is_empty(), "{name} does not hear {missing:?} Hz");
    ensure!(!hears(heard, TONES[number]), "{name} hears its own {} Hz", TONES[number]);
    let words: Vec<String> = others.iter().map(ToString::to_string).collect();
    Ok(format!("{name} hears {} Hz and not its own {} Hz", words.join(", "), TONES[number]))
}

/// Handed in, taken by the link that the expert was told, and acknowledged.
fn evidence(setup: &Setup, api: &Api, hazard: &Value) -> anyhow::Result<String> {
    let id = hazard["id"].as_str().context("an escalation has an id")?;
    let path = setup.data.join("valve-7.csv");
    std::fs::write(&path, "time,bar\n12:00:00,7.1\n12:00:01,9.8\n")?;
    hand_in_evidence(api, id, &path)?;
    let (status, link) =
        api.ask(Verb::Post, &format!("/escalations/{id}/links"), &json!({ "to": EXPERT }).to_string())?;
    ensure!(status == 201, "there is no link: {status}");
    let taken = take_evidence(link["url"].as_str().unwrap_or_default(), &setup.data.join("taken"))?;
    let receipt = taken.first().context("there is no receipt")?;
    let hash = receipt["sha256"].as_str().unwrap_or_default();
    let signature = receipt["signature"]["signature_bytes"].as_str().unwrap_or_default();
    ensure!(!signature.is_empty(), "the receipt is not signed");
    Ok(format!(
        "valve-7.csv, taken by {EXPERT}: sha256 {}…, receipt signed {}…",
        &hash[..16.min(hash.len())],
        &signature[..16.min(signature.len())]
    ))
}
