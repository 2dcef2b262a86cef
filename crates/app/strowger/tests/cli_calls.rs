//! Call detail records, looked at while a server writes them, and the soft telephone's refusals.

mod bed;

use bed::Bed;
use serde_json::Value;
use std::sync::Arc;
use sx_call::{Attempt, CallRecord, Cdr, Ender};
use sx_leg::{Address, Source};
use sx_media::PortStats;
use sx_store::{CdrOptions, CdrStore, DataFolder};
use sx_types::{CallId, Cause, Codec};

/// 2026-11-20 at noon.
const NOON: u64 = 1_795_176_000_000_000_000;
const SECOND: u64 = 1_000_000_000;

/// The call of a minute after noon; every other one is answered and talks for three seconds.
fn cdr(minute: u64, caller: &str) -> Cdr {
    let start = NOON + minute * 60 * SECOND;
    let call = CallId::new(start / 1_000_000, minute.into());
    let answer = minute.is_multiple_of(2).then_some(start + 2 * SECOND);
    let routed = Address::new("bob", "example.org");
    let attempt = Attempt {
        target: Arc::from("contact:sip:bob@192.0.2.7"),
        routed: routed.clone(),
        start,
        ring: Some(start + SECOND),
        answer,
        end: start + 5 * SECOND,
        cause: Cause::NORMAL,
        status: 0,
    };
    Cdr {
        call,
        trace: call.into(),
        source: Source::User(Address::new(caller, "example.org")),
        caller: Address::new(caller, "example.org"),
        dialled: routed,
        start,
        ring: Some(start + SECOND),
        answer,
        end: start + 5 * SECOND,
        cause: if answer.is_some() { Cause::NORMAL } else { Cause::USER_BUSY },
        status: if answer.is_some() { 200 } else { 486 },
        ended_by: Ender::Called,
        attempts: vec![attempt],
        codec: answer.map(|_| Codec::Pcma),
        caller_media: None,
        called_media: None,
    }
}

fn open_store(bed: &Bed) -> CdrStore {
    let folder = DataFolder::open(&bed.data()).expect("nobody has it");
    CdrStore::open(&folder, &CdrOptions::default(), || sx_engine::Time::ZERO).expect("the store").0
}

/// Four calls, in a folder that a server has.
fn with_calls() -> (Bed, CdrStore) {
    let bed = Bed::new();
    let mut store = open_store(&bed);
    let mut writer = store.writer("worker-0").expect("a writer");
    for (minute, caller) in [(0, "alice"), (1, "alice"), (2, "carol"), (3, "al\u{1b}[2Jex")] {
        writer.append(&CallRecord::Ended(Box::new(cdr(minute, caller)))).expect("room");
    }
    writer.commit().expect("a commit");
    drop(writer);
    store.fold().expect("folded");
    (bed, store)
}

#[test]
fn old_calls_are_purged_while_a_server_has_the_folder() {
    let (bed, _store) = with_calls();
    let out = bed.ok(&["cdr", "purge", "--before", "2026-11-20T12:02"]);
    assert_eq!(out, "removed 2 calls from before 2026-11-20T12:02:00.000Z\n");
    assert_eq!(bed.ok(&["cdr", "count"]), "2\n");
    let done: Value =
        serde_json::from_str(&bed.ok(&["cdr", "purge", "--before", "2026-11-20", "--json"])).expect("JSON");
    assert_eq!((&done["done"], &done["calls"]), (&"purged".into(), &0.into()));
    assert_eq!(bed.run(&["cdr", "purge"]).code, Some(2), "a time is needed");
}

#[test]
fn calls_are_listed_the_latest_first() {
    let (bed, _store) = with_calls();
    let out = bed.ok(&["cdr", "list", "--limit", "2"]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 3, "{out}");
    assert!(lines[0].starts_with("CALL  ") && lines[1].contains("2026-11-20T12:03:00.000Z"), "{out}");
    assert!(
        lines[2].contains("  carol@example.org     bob@example.org  3.0 s   200     16 Normal call clearing"),
        "{out}"
    );
    assert!(!out.contains('\u{1b}'), "a caller's name does not reach the terminal as it is");
}

#[test]
fn a_record_tells_how_each_party_was_heard_as_far_as_it_was_measured() {
    let bed = Bed::new();
    let mut store = open_store(&bed);
    let mut writer = store.writer("worker-0").expect("a writer");
    let heard = PortStats { packets_received: 250, jitter_us: 1_300, ..PortStats::default() };
    let (mos_min_x100, mos_mean_x100, mos_last_x100) = (392, 417, 441);
    let measured = PortStats {
        round_trip_us: 83_200,
        mos_min_x100,
        mos_mean_x100,
        mos_last_x100,
        r_last_x10: 932,
        loss_max_permille: 50,
        ..heard
    };
    let cdr = Cdr { caller_media: Some(measured), called_media: Some(heard), ..cdr(0, "alice") };
    let id = cdr.call.to_string();
    writer.append(&CallRecord::Ended(Box::new(cdr))).expect("room");
    writer.commit().expect("a commit");
    drop(writer);
    store.fold().expect("folded");
    let out = bed.ok(&["cdr", "show", &id]);
    let words = |party: &str| -> Vec<String> {
        let mut lines = out.lines().filter(|line| line.starts_with(party) && line.contains(" packets "));
        lines.next().map(|line| line.split_whitespace().map(str::to_owned).collect()).unwrap_or_default()
    };
    let lost_and_on = |party: &str| words(party)[5..].join(" ");
    assert_eq!(lost_and_on("caller"), "0 1.3 ms 83.2 ms 4.17 3.92 93.2 0 0", "{out}");
    assert_eq!(lost_and_on("called"), "0 1.3 ms - - - - 0 0", "{out}");
    let line: Value = serde_json::from_str(&bed.ok(&["cdr", "show", &id, "--json"])).expect("JSON");
    assert_eq!(line["caller_media"]["mos_last_x100"], 441);
    assert_eq!(line["caller_media"]["loss_max_permille"], 50);
    assert_eq!(line["called_media"]["mos_last_x100"], Value::Null);
}

#[test]
fn a_long_address_is_cut_in_a_list_and_whole_elsewhere() {
    let bed = Bed::new();
    let mut store = open_store(&bed);
    let mut writer = store.writer("worker-0").expect("a writer");
    let long = "0".repeat(500);
    writer.append(&CallRecord::Ended(Box::new(cdr(0, &long)))).expect("room");
    writer.commit().expect("a commit");
    drop(writer);
    store.fold().expect("folded");
    let out = bed.ok(&["cdr", "list"]);
    assert!(out.lines().all(|line| line.chars().count() < 170), "{out}");
    assert!(out.contains(&format!("  {}…  bob@example.org", "0".repeat(31))), "{out}");
    assert!(bed.ok(&["cdr", "show", &cdr(0, "").call.to_string()]).contains(&long));
    assert!(bed.ok(&["cdr", "list", "--json"]).contains(&long));
}

#[test]
fn calls_are_chosen_and_counted() {
    let (bed, _store) = with_calls();
    for (options, expected) in [
        (&[][..], "4\n"),
        (&["--answered"], "2\n"),
        (&["--unanswered", "--caller", "alice"], "1\n"),
        (&["--dialled", "bob"], "4\n"),
        (&["--from", "2026-11-20T12:01", "--to", "2026-11-20T13:03+01:00"], "2\n"),
        (&["--from", "2026-11-21"], "0\n"),
    ] {
        assert_eq!(bed.ok(&[&["cdr", "count"], options].concat()), expected, "{options:?}");
    }
    assert_eq!(bed.ok(&["cdr", "count", "--json"]), "{\"count\":4}\n");
}

#[test]
fn a_call_is_shown_with_its_attempts() {
    let (bed, _store) = with_calls();
    let call = cdr(2, "carol").call.to_string();
    let out = bed.ok(&["cdr", "show", &call]);
    for expected in
        ["answer    2026-11-20T12:02:02.000Z (after 2000 ms)", "talked    3.0 s", "contact:sip:bob@192.0.2.7"]
    {
        assert!(out.contains(expected), "{out}");
    }
    let object: Value = serde_json::from_str(&bed.ok(&["cdr", "show", &call, "--json"])).expect("JSON");
    assert_eq!((&object["call"], &object["codec"]), (&call.as_str().into(), &"PCMA".into()));
    let run = bed.run(&["cdr", "show", "00000000-0000-7000-8000-000000000000"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.err.contains("there is no call"), "{run:?}");
}

#[test]
fn a_call_says_who_ended_it() {
    let bed = Bed::new();
    let mut store = open_store(&bed);
    let mut writer = store.writer("worker-0").expect("a writer");
    let unreached = "nobody: a party could not be reached, or not any more";
    let lost = "nobody: it was lost with the process, which was alive at the end above";
    let enders = [
        (Ender::Caller, "caller", "the caller, alice@example.org"),
        (Ender::Called, "called", "the called party, contact:sip:bob@192.0.2.7"),
        (Ender::Party, "peer", "one of the parties"),
        (Ender::Exchange, "exchange", "the exchange"),
        (Ender::Operator, "operator", "an operator, or the stop of the exchange"),
        (Ender::Timer, "timer", "a timer of the exchange"),
        (Ender::Failure, "failure", unreached),
        (Ender::Process, "process", lost),
    ];
    let calls =
        enders.iter().zip(0..).map(|((ended_by, ..), minute)| Cdr { ended_by: *ended_by, ..cdr(minute, "alice") });
    let mut calls: Vec<Cdr> = calls.collect();
    // Who has come in the place of another one is not named by what only one of them was called.
    let mut moved = Cdr { ended_by: Ender::Called, ..cdr(10, "alice") };
    moved.attempts.push(moved.attempts[0].clone());
    calls.push(moved);
    for call in &calls {
        writer.append(&CallRecord::Ended(Box::new(call.clone()))).expect("room");
    }
    writer.commit().expect("a commit");
    store.fold().expect("folded");
    let words = enders.map(|(_, word, text)| (word, text)).into_iter().chain([("called", "the called party")]);
    let csv = bed.ok(&["cdr", "export"]);
    for ((call, (word, text)), line) in calls.iter().zip(words).zip(csv.lines().skip(1)) {
        let id = call.call.to_string();
        let out = bed.ok(&["cdr", "show", &id]);
        assert!(out.contains(&format!("\nended by  {text}\n")), "{out}");
        let object: Value = serde_json::from_str(&bed.ok(&["cdr", "show", &id, "--json"])).expect("JSON");
        assert_eq!(object["ended_by"], word);
        assert!(line.starts_with(&id) && line.split(',').nth(14) == Some(word), "{line}");
    }
}

#[test]
fn exports_are_csv_or_json_lines() {
    let (bed, _store) = with_calls();
    let csv = bed.ok(&["cdr", "export", "--caller", "alice"]);
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.starts_with("call,trace,source,"), "{csv}");
    let attempts = bed.ok(&["cdr", "export", "--attempts", "--from", "2026-11-20T12:02"]);
    assert_eq!(attempts.lines().count(), 3, "{attempts}");
    assert!(attempts.starts_with("call,attempt,target,"), "{attempts}");
    for options in [&["--format", "json"][..], &["--json"]] {
        let json = bed.ok(&[&["cdr", "export"], options].concat());
        let calls = json.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        assert!(calls.map(|call| call["attempts"].as_array().map_or(0, Vec::len)).eq([1; 4]), "{json}");
    }
    assert_eq!(bed.ok(&["cdr", "export", "--output", "calls.csv"]), "");
    assert_eq!(std::fs::read_to_string(bed.path("calls.csv")).expect("a file").lines().count(), 5);
}

#[test]
fn a_mistyped_folder_is_not_one_without_calls() {
    let bed = Bed::new();
    let run = bed.run(&["cdr", "count", "--data", "mistyped"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.err.contains("there is no data folder mistyped") && !bed.path("mistyped").exists(), "{run:?}");
}

#[test]
fn a_telephone_without_a_name_is_wrong_usage() {
    let bed = Bed::new();
    let run = bed.run(&["call", "sip:bob@127.0.0.1", "--from", "alice"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.err.contains("USER@DOMAIN"), "{run:?}");
}

#[test]
fn a_call_that_nobody_answers_fails_and_says_so() {
    let bed = Bed::new();
    // Bound and never read: whoever sends there gets neither an answer nor an error.
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let uri = format!("sip:bob@{}", nobody.local_addr().expect("an address"));
    let run = bed.run(&["call", &uri, "--from", "alice@example.org", "--timeout", "0.2", "--json"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let last: Value = serde_json::from_str(run.out.lines().last().expect("a line")).expect("JSON");
    assert_eq!((&last["event"], &last["ok"]), (&"failed".into(), &false.into()));
    assert_eq!(last["error"], "no answer within 0.2 s");
}
