//! Calls that another engine carries on.

mod driver;

use driver::{A, B, C, World, answer, sdp};
use std::sync::Arc;
use std::time::Duration;
use sx_call::{CallSnapshot, Command, ExportError, Found, ImportError, Input, Settings};
use sx_engine::Engine;
use sx_media::{MediaEvent, PortId, PortMemory};
use sx_route::MediaMode;
use sx_types::LegId;

/// The call moves to another engine with packet threads of its own, as text; the legs stay as they are.
fn moved(world: &mut World, mode: MediaMode) -> World {
    let call = world.only_call();
    let snapshot = world.export().expect("nothing is being waited for");
    let text = serde_json::to_string(&snapshot).expect("a snapshot is serialisable");
    let settings = Settings { worker: 9, first_outgoing_leg: LegId(B.0 + 100), ..Settings::default() };
    let mut other = World::with(driver::definition(mode), settings);
    other.now = world.now;
    other.records = std::mem::take(&mut world.records);
    other.ending = std::mem::take(&mut world.ending);
    other.ended = std::mem::take(&mut world.ended);
    let snapshot: CallSnapshot = serde_json::from_str(&text).expect("and back");
    assert_eq!(snapshot.call(), call);
    other.calls.import(world.now, snapshot).expect("there is room");
    other.drain();
    assert!(world.calls.forget(call) && world.calls.is_empty());
    assert_eq!(world.calls.poll_timeout(), None);
    let of_nine = |port: &PortId| PortId(9 << 48 | port.0 & ((1 << 48) - 1));
    assert_eq!(other.ports, world.ports.iter().map(of_nine).collect::<Vec<_>>(), "its ports are the new worker's");
    assert_eq!(other.resumed, other.ports, "and go on with what the others have known");
    let patched = world.patched.iter().map(|(from, to)| (of_nine(from), of_nine(to)));
    assert_eq!(other.patched, patched.collect(), "whoever heard each other still does");
    other
}

fn established() -> World {
    let mut world = World::new(MediaMode::Relay);
    world.incoming(A, "300", Some(&sdp("192.0.2.1", 4000, "sendrecv"))).rings(B);
    world.answers(B, Some(answer(&sdp("192.0.2.2", 5000, "sendrecv")))).forget_lines();
    world
}

/// Hold, resume and hang up; what was said and what was written of it.
fn carry_on(world: &mut World) -> (Vec<String>, sx_call::Cdr) {
    world.after(Duration::from_secs(5));
    world.offers(A, Some(&sdp("192.0.2.1", 4000, "sendonly")));
    world.accepts(B, sx_leg::Media::Answer(driver::text(&sdp("192.0.2.2", 5000, "recvonly"))));
    world.offers(A, Some(&sdp("192.0.2.1", 4000, "sendrecv")));
    world.accepts(B, answer(&sdp("192.0.2.2", 5000, "sendrecv")));
    world.after(Duration::from_secs(5)).ends(B, 0);
    let lines = std::mem::take(&mut world.lines);
    (lines, world.the_record())
}

#[test]
fn an_established_call_goes_on_elsewhere_as_it_would_have_here() {
    let stayed = carry_on(&mut established());
    let went = carry_on(&mut moved(&mut established(), MediaMode::Relay));
    assert_eq!(stayed.0.len(), 5);
    assert_eq!(stayed, went);
}

#[test]
fn the_longest_duration_counts_from_the_answer_wherever_the_call_is() {
    let mut world = established();
    world.after(Duration::from_secs(3600));
    let mut world = moved(&mut world, MediaMode::Relay);
    world.after(Duration::from_secs(3 * 3600 - 1)).expect(&[]);
    world.after(Duration::from_secs(2)).expect(&["a hangup 102", "out0 hangup 102"]);
    world.the_record();
}

#[test]
fn a_ringing_call_goes_on_with_its_plan() {
    let mut world = World::new(MediaMode::Direct);
    world.incoming(A, "100", Some("OA")).rings(B).forget_lines();
    let mut world = moved(&mut world, MediaMode::Direct);
    world.ends(B, 503).expect(&["out100 dial two/100 OA"]);
    world.answers(LegId(B.0 + 100), Some(answer("AC"))).expect(&["a answer answer:AC"]);
    world.ends(A, 0).expect(&["out100 hangup 16"]);
    assert_eq!(world.the_record().attempts.len(), 2);
}

#[test]
fn a_registrar_is_asked_again() {
    let mut world = World::new(MediaMode::Direct);
    world.incoming(A, "bob", Some("OA")).forget_lines();
    let mut world = moved(&mut world, MediaMode::Direct);
    world.command(Command::Undrain).expect(&["locate bob@pbx"]);
    let (query, _) = world.queries[0].clone();
    world.input(Input::Located { query, found: Found::Unknown }).expect(&["a reject 0 1"]);
    world.the_record();
}

#[test]
fn a_transfer_goes_on_elsewhere() {
    let mut world = established();
    world.transfer(A, "301", None).rings(C).ends(A, 0).forget_lines();
    let mut world = moved(&mut world, MediaMode::Relay);
    world.answers(C, Some(driver::offer(&sdp("192.0.2.3", 6000, "sendrecv"))));
    world.expect(&["out0 offer 10.0.0.1:20002 sendrecv"]);
    let mut world = moved(&mut world, MediaMode::Relay);
    world.accepts(B, answer(&sdp("192.0.2.2", 5000, "sendrecv")));
    world.expect(&["out1 confirm answer:10.0.0.1:20000 sendrecv"]);
    world.ends(B, 0);
    world.the_record();
}

#[test]
fn a_call_is_not_restored_twice_nor_beyond_the_limit() {
    let mut world = established();
    let call = world.only_call();
    let snapshot = world.export().expect("an established call");
    let mut other = World::with(driver::definition(MediaMode::Relay), Settings { calls_max: 1, ..Settings::default() });
    other.calls.import(world.now, snapshot.clone()).expect("room for one");
    assert_eq!(other.calls.import(world.now, snapshot.clone()), Err(ImportError::Full));
    let mut other = World::new(MediaMode::Relay);
    other.calls.import(world.now, snapshot.clone()).expect("room");
    assert_eq!(other.calls.import(world.now, snapshot), Err(ImportError::Present(call)));
}

/// Whoever may bring a snapshot has written it with an editor, perhaps.
#[test]
fn a_snapshot_that_no_exchange_has_written_is_refused() {
    let mut world = established();
    let call = world.only_call();
    world.offers(A, Some(&sdp("192.0.2.1", 4000, "sendonly")));
    let text = serde_json::to_string(&world.export().expect("a call")).expect("text");
    let unique = format!("\"unique\":{}", 1_u64 << 40);
    let facing = format!("\"leg\":{},\"stream\":0", A.0);
    let names = [0, 1].map(|at: usize| format!("\"id\":{},\"leg\"", world.ports[at].0));
    for (good, bad) in [
        ("\"memory\":{", "\"nothing\":{"),
        ("\"by\":0", "\"by\":2"),
        ("\"state\":{\"Talking", "\"state\":\"Ending\",\"nothing\":{\"Talking"),
        (&facing, "\"leg\":7,\"stream\":0"),
        (&names[0], &names[1]),
        ("\"unique\":", &format!("{unique},\"nothing\":")),
    ] {
        assert!(text.contains(good), "{text}");
        let snapshot = serde_json::from_str(&text.replacen(good, bad, 1)).expect("it has the form of one");
        let mut other = World::new(MediaMode::Relay);
        assert_eq!(other.calls.import(world.now, snapshot), Err(ImportError::Malformed), "{bad}");
    }
    assert!(world.calls.forget(call));
}

#[test]
fn a_call_that_waits_for_a_port_is_not_exported() {
    let mut world = World::new(MediaMode::Relay);
    world.threads = driver::Threads::Silent;
    world.incoming(A, "300", Some(&sdp("192.0.2.1", 4000, "sendrecv")));
    assert!(world.export().is_none());
}

#[test]
fn what_ports_have_said_counts_until_the_call_changes() {
    let mut world = established();
    let call = world.only_call();
    let export = |world: &World| world.calls.export(call).map(drop);
    assert!(world.export().is_some());
    // Another suite may be agreed on now, of which the ports have said nothing.
    world.offers(A, Some(&sdp("192.0.2.1", 4000, "sendonly")));
    world.accepts(B, answer(&sdp("192.0.2.2", 5000, "recvonly")));
    assert_eq!(export(&world), Err(ExportError::Unasked));
    // What is on its way meanwhile is of no use either, nor what an earlier question is answered.
    let port = world.ports[0];
    let memory = || Box::new(PortMemory::default());
    world.media(MediaEvent::Remembered { port, memory: memory() });
    assert_eq!(export(&world), Err(ExportError::Unasked));
    world.threads = driver::Threads::Silent;
    world.command(Command::Remember { call }).command(Command::Remember { call });
    for (asked, expected) in [Err(ExportError::Unasked), Ok(())].into_iter().enumerate() {
        for port in world.ports.clone() {
            world.media(MediaEvent::Remembered { port, memory: memory() });
        }
        assert_eq!(export(&world), expected, "{asked}");
    }
    world.threads = driver::Threads::Open;
    world.ends(A, 0);
    world.the_record();
}

/// Keys that are not there yet cannot be taken along, and nobody else can end the handshake.
#[test]
fn a_call_in_the_middle_of_a_handshake_is_not_exported() {
    let mut world = established();
    let call = world.only_call();
    assert!(world.export().is_some());
    world.threads = driver::Threads::Silent;
    for (shaking, expected) in [(true, Err(ExportError::Shaking)), (false, Ok(()))] {
        world.command(Command::Remember { call });
        for port in world.ports.clone() {
            let memory = Box::new(PortMemory { shaking: shaking && port == world.ports[0], ..PortMemory::default() });
            world.media(MediaEvent::Remembered { port, memory });
        }
        assert_eq!(world.calls.export(call).map(drop), expected);
    }
    world.threads = driver::Threads::Open;
    world.ends(A, 0);
    world.the_record();
}

/// Descriptions were numbers before they were text.
#[test]
fn a_snapshot_of_the_format_before_is_gone_on_with() {
    let mut world = established();
    let text = serde_json::to_string(&world.export().expect("a call")).expect("text");
    let before = numbered(serde_json::from_str(&text).expect("a value"));
    assert!(before.to_string().contains("[118,61,48,"), "{before}");
    let mut other = World::new(MediaMode::Relay);
    let snapshot: CallSnapshot = serde_json::from_value(before.clone()).expect("a snapshot");
    other.calls.import(world.now, snapshot).expect("room");
    for (format, refused) in [(5, true), (7, false), (8, true)] {
        let mut value = before.clone();
        value["format"] = format.into();
        let snapshot = serde_json::from_value(value).expect("a snapshot");
        let mut other = World::new(MediaMode::Relay);
        let expected = if refused { Err(ImportError::Format(format)) } else { Ok(()) };
        assert_eq!(other.calls.import(world.now, snapshot), expected);
    }
    world.ends(A, 0);
    world.the_record();
}

/// A snapshot of format 6.
fn numbered(mut snapshot: serde_json::Value) -> serde_json::Value {
    fn change(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) if text.starts_with("v=0") => *value = text.bytes().collect(),
            serde_json::Value::Object(fields) => fields.values_mut().for_each(change),
            serde_json::Value::Array(values) => values.iter_mut().for_each(change),
            _ => {}
        }
    }
    change(&mut snapshot);
    snapshot["format"] = 6.into();
    snapshot
}

/// Without what they know, packets would be protected as others were.
#[test]
fn a_call_whose_ports_have_not_said_what_they_know_is_not_exported() {
    let mut world = established();
    let call = world.only_call();
    assert_eq!(world.calls.export(call).err(), Some(ExportError::Unasked));
    assert!(world.export().is_some());
    world.ends(A, 0);
    world.the_record();
}

/// Where a call has come to, its trunk is not configured, and then it is.
#[test]
fn a_call_of_a_trunk_that_is_not_known_here_frees_no_place_of_anybody_else() {
    for ends_before in [true, false] {
        let mut world = established();
        let snapshot = world.export().expect("nothing is waited for");
        let mut unknown = driver::definition(MediaMode::Relay);
        unknown.trunks.iter_mut().for_each(|trunk| trunk.name = format!("not-{}", trunk.name).into());
        unknown.rules.clear();
        let mut other = World::with(unknown, Settings { worker: 9, ..Settings::default() });
        other.now = world.now;
        other.records = std::mem::take(&mut world.records);
        other.calls.import(world.now, snapshot).expect("there is room");
        other.drain();
        if ends_before {
            other.ends(B, 0).after(Duration::from_secs(60));
        }
        let tables = sx_route::Tables::build(driver::definition(MediaMode::Relay)).expect("a sound definition");
        let tables = Arc::new(tables.following(&other.tables));
        let load = tables.load("one").expect("it is there now").clone();
        // A call of another worker.
        assert!(load.occupy(u32::MAX));
        other.input(Input::Tables(tables));
        assert_eq!(load.active(), if ends_before { 1 } else { 2 });
        if !ends_before {
            other.ends(B, 0).after(Duration::from_secs(60));
        }
        assert_eq!(load.active(), 1);
    }
}
