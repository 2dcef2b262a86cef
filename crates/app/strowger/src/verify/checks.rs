//! The checks, in the order of a call's life.

use super::council::Member;
use super::report::Report;
use super::rounds::{GUARDIAN, NDI_SOURCE, Rounds, message, rounds};
use super::stage::{COUNCIL, PATIENCE, ROOM, Stage};
use super::{ExpertArgs, refusals};
use crate::cli::{hand_in_evidence, take_evidence};
use crate::demo::Captured;
use crate::signer::{from_hex, verifies};
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use sx_http::Verb;

/// Below this an expert is in the room.
const SET_UP_MAX: Duration = Duration::from_secs(2);
/// Below this is what is said heard.
const LATENCY_MAX: Duration = Duration::from_millis(100);
/// Nothing is left after this.
const CLEAN_UP_MAX: Duration = Duration::from_secs(5);
/// As long as a room takes to find out that the network is quick.
const SETTLES: Duration = Duration::from_secs(3);
/// How often the latency is measured.
const LATENCIES: u32 = 5;
/// What is said goes in the next packet, which is so long away at most.
const PACKET: Duration = Duration::from_millis(20);
/// Packets a second, each way.
const PACKETS_PER_S: f64 = 50.0;

/// The council in the room.
pub struct Council {
    pub speaker: Member,
    listener: Member,
    /// How long it takes from one to the other.
    one_way: Duration,
}

/// Makes all of them. What could not be come to has not passed. The figures.
pub fn run(report: &mut Report, stage: Stage, args: &ExpertArgs) -> Value {
    let Some(council) = report.check("client", || council(&stage)) else { return json!({}) };
    let Some(rounds) = rounds(report, &stage, &council, args) else { return json!({}) };
    let mut figures = report.check("set-up time", || set_up(&rounds)).unwrap_or_default();
    let call = rounds.last["call_id"].as_str().unwrap_or_default().to_owned();
    signalling(report, &stage, &rounds.last);
    report.check("room", || room(&stage, &call));
    report.check("evidence", || evidence(&stage, &rounds.last));
    report.check("NDI", || ndi(&rounds.last));
    report.check("witness", || witness(&stage, &rounds.last));
    report.check("security", || security(&stage));
    if let Some(latency) = report.check("latency", || latency(&stage, &council, &call, args)) {
        figures["latency_ms"] = latency;
    }
    report.check("held call", || held(&stage, &call, args));
    report.check("BYE", || bye(&stage, &rounds.last));
    if let Some(clean_up) = report.check("clean-up", || clean_up(&stage, council)) {
        figures["clean_up_ms"] = clean_up;
    }
    refusals::run(report, &stage);
    let counted = counted(&stage, args);
    report.check("logs", || logs(stage));
    if let Some(counted) = report.check("figures", || counted) {
        figures["counted"] = counted;
    }
    figures
}

/// Two are in the room and hear each other.
fn council(stage: &Stage) -> anyhow::Result<(Council, String)> {
    let speaker = Member::join(stage, COUNCIL[0], PATIENCE)?;
    let listener = Member::join(stage, COUNCIL[1], PATIENCE)?;
    stage.wait_for("both are in the room", || Ok(members(stage)?.len() == 2))?;
    speaker.speaks();
    listener.hears_by(PATIENCE)?;
    crate::serve::pause(Duration::from_millis(600));
    listener.hears_the_tone()?;
    // A room waits for what may come late, for less when nothing has: what is measured is how it is from then on.
    crate::serve::pause(SETTLES);
    let mut sum = Duration::ZERO;
    for place in 0..LATENCIES {
        speaker.is_silent();
        listener.hears_nothing(PATIENCE)?;
        sum += said_and_heard(&speaker, &listener, place)?;
    }
    speaker.is_silent();
    let one_way = sum / LATENCIES;
    let detail = format!("two members are in the room and hear each other after {} ms", one_way.as_millis());
    Ok((Council { speaker, listener, one_way }, detail))
}

/// How long it takes until what one says another hears. Silence ends with a packet: so that the time until the next one is no
/// other each time, it is spoken a part of a packet later, each time another.
fn said_and_heard(speaker: &Member, listener: &Member, place: u32) -> anyhow::Result<Duration> {
    crate::serve::pause(PACKET * place / LATENCIES);
    let begun = Instant::now();
    speaker.speaks();
    Ok(listener.hears_by(PATIENCE)?.duration_since(begun))
}

fn set_up(rounds: &Rounds) -> anyhow::Result<(Value, String)> {
    let answered = Spread::of(&rounds.answered_ms);
    let two_way = Spread::of(&rounds.two_way_ms);
    let slowest = if rounds.two_way_ms.is_empty() { answered.max } else { two_way.max };
    let said = |spread: &Spread| format!("{:.0} ms at the median, {:.0} at the most", spread.median, spread.max);
    let mut detail = format!("answered after {} of {}", said(&answered), rounds.answered_ms.len());
    let mut figures = json!({ "answered_ms": answered.json(&rounds.answered_ms) });
    if !rounds.two_way_ms.is_empty() {
        detail = format!("heard both ways after {}; {detail}", said(&two_way));
        figures["two_way_ms"] = two_way.json(&rounds.two_way_ms);
    }
    ensure!(slowest <= SET_UP_MAX.as_secs_f64() * 1e3, "more than {} s: {detail}", SET_UP_MAX.as_secs());
    Ok((figures, detail))
}

struct Spread {
    median: f64,
    max: f64,
}

impl Spread {
    fn of(times: &[f64]) -> Self {
        let mut times = times.to_vec();
        times.sort_by(f64::total_cmp);
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        Self { median, max: times.last().copied().unwrap_or_default() }
    }

    fn json(&self, all: &[f64]) -> Value {
        json!({ "median": self.median, "max": self.max, "all": all })
    }
}

/// INVITE, what is answered to it, and ACK, as the exchange has sent and heard them.
fn signalling(report: &mut Report, stage: &Stage, last: &Value) {
    let call = report.check("INVITE", || {
        let all = stage.capture.messages();
        let invite = all
            .iter()
            .rev()
            .find(|message| message.first_line.starts_with("INVITE ") && message.header("X-IF-Source").is_some());
        let invite = invite.context("none has gone out with the headers of an escalation")?;
        let trace = last["if_trace"].as_str().or(last["id"].as_str());
        for (name, expected) in [
            ("X-IF-Trace-ID", trace),
            ("X-IF-Hazard", Some("safety")),
            ("X-IF-Source", Some(GUARDIAN)),
            ("X-IF-Bridge-Mode", Some("room")),
            ("X-IF-Authenticated-User", Some(GUARDIAN)),
        ] {
            ensure!(invite.header(name).as_deref() == expected, "{name} is {:?}", invite.header(name));
        }
        let of_call =
            all.iter().filter(|message| message.call_id == invite.call_id).cloned().collect::<Vec<Captured>>();
        Ok((of_call, "with its five X-IF headers, as the message says".to_owned()))
    });
    let call = call.unwrap_or_default();
    let answers: Vec<u16> =
        call.iter().filter(|message| message.is_invite()).filter_map(|message| message.status).collect();
    report.check("responses", || {
        let (last, before) = answers.split_last().context("nothing was answered")?;
        ensure!((200..300).contains(last) && before.iter().all(|status| *status < 200), "they are {answers:?}");
        let words: Vec<String> = answers.iter().map(ToString::to_string).collect();
        Ok(((), words.join(", ")))
    });
    report.check("ACK", || {
        let place = |wanted: &dyn Fn(&Captured) -> bool| call.iter().position(wanted);
        let answered = place(&|message| message.is_invite() && message.status.is_some_and(|status| status >= 200));
        let ack = place(&|message| message.first_line.starts_with("ACK "));
        ensure!(ack.context("none was sent")? > answered.context("nothing was answered")?, "it went before the answer");
        Ok(((), "sent, behind the answer".to_owned()))
    });
}

pub fn members(stage: &Stage) -> anyhow::Result<Vec<Value>> {
    let answer = stage.get(&format!("/rooms/{ROOM}/members"))?;
    Ok(answer["members"].as_array().cloned().unwrap_or_default())
}

fn room(stage: &Stage, call: &str) -> anyhow::Result<((), String)> {
    let members = members(stage)?;
    let is_there = members.iter().any(|member| member["id"] == call);
    ensure!(is_there && members.len() == 3, "{} are in the room, the expert among them: {is_there}", members.len());
    Ok(((), format!("the expert is one of three in the room {ROOM}")))
}

/// Two files are handed in, and taken by the link that the expert would have.
fn evidence(stage: &Stage, last: &Value) -> anyhow::Result<((), String)> {
    let id = last["id"].as_str().context("an escalation has an id")?;
    let folder = stage.folder.path();
    let mut picture = vec![0; 150_000];
    aws_lc_rs::rand::fill(&mut picture).map_err(|_| anyhow::anyhow!("the operating system gives no randomness"))?;
    let files = [("picture.png", &picture[..]), ("note.txt", b"call somebody@example.org\n")];
    for (name, content) in files {
        std::fs::write(folder.join(name), content)?;
        hand_in_evidence(&stage.api, id, &folder.join(name))?;
    }
    let link = stage.command(&["evidence", "link", id, "--to", "expert"])?;
    let receipts = take_evidence(link.trim(), &folder.join("taken"))?;
    ensure!(receipts.len() == 2, "there are {} receipts", receipts.len());
    ensure!(std::fs::read(folder.join("taken/picture.png"))? == picture, "the picture is another");
    let note = std::fs::read_to_string(folder.join("taken/note.txt"))?;
    ensure!(note == "call [REDACTED:EMAIL]\n", "the note says: {note}");
    receipts.iter().try_for_each(is_signed)?;
    Ok(((), "two files handed in, taken by a link that was signed, and receipts for both".to_owned()))
}

/// Is the receipt signed by whom it says?
fn is_signed(receipt: &Value) -> anyhow::Result<()> {
    let mut unsigned = receipt.as_object().cloned().context("a receipt is an object")?;
    unsigned.remove("file");
    let signature = unsigned.remove("signature").context("a receipt is signed")?;
    let bytes = sx_ifmessage::canonical(&unsigned).context("a receipt has a canonical form")?;
    let key = signature["public_key"].as_str().and_then(from_hex::<32>).context("it names the key")?;
    let signature = signature["signature_bytes"].as_str().and_then(from_hex::<64>).context("it has a signature")?;
    ensure!(verifies(&key, &bytes, &signature), "the signature of a receipt is wrong");
    Ok(())
}

fn ndi(last: &Value) -> anyhow::Result<((), String)> {
    ensure!(last["ndi"]["stream"] == NDI_SOURCE, "the source that the message names is not reported: {}", last["ndi"]);
    let state = last["ndi"]["state"].as_str().unwrap_or_default();
    ensure!(["available", "absent"].contains(&state), "it is not looked for: {state}");
    Ok(((), format!("{NDI_SOURCE} was looked for and is {state}")))
}

/// The story is on record, and the log that has it is whole.
fn witness(stage: &Stage, last: &Value) -> anyhow::Result<((), String)> {
    let trace = last["trace_id"].as_str().unwrap_or_default();
    let told = stage.get(&format!("/witness/traces/{trace}?limit=200"))?;
    let records = told["records"].as_array().context("there are none")?;
    for (kind, outcome) in [
        ("admission", "approve"),
        ("escalation", "rings"),
        ("escalation", "connected"),
        ("evidence", "whole"),
        ("evidence", "handed_out"),
        ("evidence", "received"),
    ] {
        let is_there = records.iter().any(|record| record["kind"] == kind && record["outcome"] == outcome);
        ensure!(is_there, "that {kind}: {outcome} is not on record");
    }
    ensure!(!told.to_string().contains("somebody@"), "a person is named in the record");
    stage.command(&["witness", "verify"])?;
    Ok(((), format!("{} records of it, nobody named, and the log is whole", records.len())))
}

/// What is said is protected where the address asks for it; and whoever signs nothing escalates nothing.
fn security(stage: &Stage) -> anyhow::Result<((), String)> {
    let mut unsigned = message(stage, GUARDIAN, "safety", None)?;
    unsigned.as_object_mut().context("a message is an object")?.remove("signature");
    let (status, answer) = stage.api.ask(Verb::Post, "/escalations", &unsigned.to_string())?;
    ensure!(status == 403, "a message that nobody has signed gets {status}: {answer}");
    let all = stage.capture.messages();
    let ours = |message: &&Captured| message.is_invite() && message.header("X-IF-Source").is_some();
    let invite = all.iter().find(ours).context("there is no INVITE")?;
    let answer = all.iter().find(|message| message.call_id == invite.call_id && message.status == Some(200));
    let answer = answer.context("there is no answer")?;
    let protected = |message: &Captured| message.text.contains("RTP/SAVP") || message.text.contains("UDP/TLS/RTP/SAVP");
    let by_tls = invite.header("Via").is_some_and(|via| via.starts_with("SIP/2.0/TLS"));
    if !stage.secure {
        return Ok((
            (),
            "UDP or TCP and RTP in the clear, as its address asks; unsigned messages are refused".to_owned(),
        ));
    }
    ensure!(by_tls, "the INVITE did not go over TLS");
    ensure!(protected(invite) && protected(answer), "the sound is not protected");
    Ok(((), "TLS with its certificate verified, SRTP both ways; unsigned messages are refused".to_owned()))
}

/// How long it takes until what is said is heard at the other end.
fn latency(stage: &Stage, council: &Council, call: &str, args: &ExpertArgs) -> anyhow::Result<(Value, String)> {
    let one_way = council.one_way.as_secs_f64() * 1e3;
    let (latency, how) = if args.echo {
        let mut sum = Duration::ZERO;
        for place in 0..LATENCIES {
            council.speaker.is_silent();
            council.speaker.hears_nothing(PATIENCE)?;
            council.listener.hears_nothing(PATIENCE)?;
            sum += said_and_heard(&council.speaker, &council.speaker, place)?;
        }
        council.speaker.is_silent();
        let there_and_back = (sum / LATENCIES).as_secs_f64() * 1e3;
        (there_and_back / 2.0, format!("half of {there_and_back:.0} ms there and back"))
    } else {
        let call = stage.get(&format!("/calls/{call}"))?;
        let trips = call["legs"].as_array().into_iter().flatten();
        let trips = trips.flat_map(|leg| leg["streams"].as_array().into_iter().flatten());
        let trip = trips.filter_map(|stream| stream["round_trip_ms"].as_f64()).fold(0.0, f64::max);
        (one_way + trip / 2.0, format!("{one_way:.0} ms in the room, and half of {trip:.0} ms on the network"))
    };
    ensure!(latency < LATENCY_MAX.as_secs_f64() * 1e3, "{latency:.0} ms: {how}");
    Ok((json!({ "one_way": latency, "between_members": one_way }), format!("{latency:.0} ms: {how}")))
}

/// The call stays, and packets go both ways all the time.
fn held(stage: &Stage, call: &str, args: &ExpertArgs) -> anyhow::Result<((), String)> {
    let path = format!("/calls/{call}");
    let before = packets(&stage.get(&path)?);
    crate::serve::pause(Duration::from_secs(args.hold));
    let after = packets(&stage.get(&path)?);
    let expected = args.hold as f64 * PACKETS_PER_S;
    let (received, sent) = (after.0 - before.0, after.1 - before.1);
    // They are counted twice a second.
    let is_there = |count: f64| count >= (expected - PACKETS_PER_S) * 0.95;
    ensure!(is_there(received) && is_there(sent), "{received} packets came and {sent} went, of {expected} each");
    Ok(((), format!("for {} s; {received} packets came and {sent} went", args.hold)))
}

/// Packets received and sent by all its legs.
fn packets(call: &Value) -> (f64, f64) {
    let legs = call["legs"].as_array().into_iter().flatten();
    let streams = legs.flat_map(|leg| leg["streams"].as_array().into_iter().flatten());
    streams.fold((0.0, 0.0), |(received, sent), stream| {
        let count = |name: &str| stream[name].as_f64().unwrap_or_default();
        (received + count("packets_received"), sent + count("packets_sent"))
    })
}

fn bye(stage: &Stage, last: &Value) -> anyhow::Result<((), String)> {
    let byes = |status: Option<u16>| {
        let all = stage.capture.messages();
        all.iter().filter(|message| message.is_bye() && message.status == status).count()
    };
    let (asked, answered) = (byes(None), byes(Some(200)));
    let path = format!("/escalations/{}", last["id"].as_str().unwrap_or_default());
    let (status, _) = stage.api.ask(Verb::Delete, &path, "")?;
    ensure!(matches!(status, 202 | 204), "it cannot be ended: {status}");
    stage.wait_for("BYE is answered", || Ok(byes(None) > asked && byes(Some(200)) > answered))?;
    Ok(((), "sent and answered with 200".to_owned()))
}

fn clean_up(stage: &Stage, council: Council) -> anyhow::Result<(Value, String)> {
    let begun = Instant::now();
    council.speaker.leave(PATIENCE)?;
    council.listener.leave(PATIENCE)?;
    for name in ["strowger_calls", "strowger_escalations", "strowger_room_members"] {
        stage.wait_for(name, || Ok(stage.metric(name)? == 0.0))?;
    }
    stage.wait_for("media ports", || {
        Ok(stage.metric("strowger_media_ports_opened_total")? == stage.metric("strowger_media_ports_closed_total")?)
    })?;
    let took = begun.elapsed();
    ensure!(took <= CLEAN_UP_MAX, "it took {} ms", took.as_millis());
    let ms = took.as_millis() as u64;
    Ok((ms.into(), format!("no call, no member, no escalation and no media port is left after {ms} ms")))
}

/// How many it has counted.
fn counted(stage: &Stage, args: &ExpertArgs) -> anyhow::Result<(Value, String)> {
    let count = |outcome: &str| stage.metric(&format!("strowger_escalations_decided_total{{outcome=\"{outcome}\"}}"));
    let (connected, ended, rejected) = (count("connected")?, count("ended")?, count("rejected")?);
    let rounds = f64::from(args.rounds);
    let detail = format!("{connected} connected, {ended} ended, {rejected} refused");
    ensure!((connected, ended, rejected) == (rounds, rounds, 3.0), "{detail}, of {rounds} and 3");
    Ok((json!({ "connected": connected, "ended": ended, "rejected": rejected }), detail))
}

/// The exchange has ended in order, and complains of nothing.
fn logs(stage: Stage) -> anyhow::Result<((), String)> {
    let log = stage.end()?;
    let errors: Vec<&str> = log.lines().filter(|line| line.contains(" ERROR ") || line.contains("panicked")).collect();
    ensure!(errors.is_empty(), "{} errors, the first is: {}", errors.len(), errors[0]);
    ensure!(log.lines().count() > 0, "it says nothing at all");
    ensure!(!log.contains("somebody@"), "a person is named in the log");
    Ok(((), format!("{} lines, no error, nobody named", log.lines().count())))
}
