//! Telephones that dial a room, as SIP.

mod driver;

use driver::{Bench, Manner, text, value};
use std::sync::atomic::Ordering;
use sx_call::{Command, Invite, MemberChange};
use sx_exchange::Input;
use sx_leg::{Address, Bounds, Identity};
use sx_media::{Attendance, MediaCommand, PortId};
use sx_sip::message::{HeaderName, Method};
use sx_types::{CallId, Cause, Codec};

const ROOM: &str = "[exchange]\ndomains = [\"example.org\"]\n[[room]]\nname = \"council\"\nmembers_max = 2\n\
    [[route]]\nname = \"conference\"\nexact = \"5000\"\nto = [{ room = \"council\" }]\n";

const COUNCIL: &str = "sip:5000@example.org";

fn phones() -> Bench {
    with_phones(Bench::new(ROOM))
}

fn with_phones(mut bench: Bench) -> Bench {
    for (name, address) in [("alice", "192.0.2.11:5060"), ("bob", "192.0.2.12:5060"), ("carol", "192.0.2.13:5060")] {
        bench.phone(name, address, Manner::Answers);
    }
    bench
}

/// Who takes part, by port, as packet threads have it.
fn attending(bench: &Bench) -> Vec<(PortId, Attendance)> {
    let mut attending: Vec<(PortId, Attendance)> = Vec::new();
    for command in &bench.media {
        match command {
            MediaCommand::Attend { port, attendance } => {
                attending.retain(|(known, _)| known != port);
                attending.extend(attendance.as_ref().map(|attendance| (*port, (**attendance).clone())));
            }
            MediaCommand::Close { port } => attending.retain(|(known, _)| known != port),
            _ => {}
        }
    }
    attending
}

fn members(bench: &Bench) -> Vec<(String, u32)> {
    bench.tables.routes.rooms().iter().map(|room| (room.name.to_string(), room.members.count())).collect()
}

/// The last answer to a request of this method, as text.
fn answered(bench: &mut Bench, name: &str, method: &str) -> String {
    let received = bench.received(name);
    let mut answers = received.iter().filter(|m| m.status().is_some() && value(m, HeaderName::CSeq).ends_with(method));
    text(answers.next_back().expect("an answer"))
}

#[test]
fn two_who_dial_a_room_are_in_it_until_they_hang_up() {
    let mut bench = phones();
    let alice = bench.dial("alice", COUNCIL);
    let bob = bench.dial("bob", COUNCIL);
    assert_eq!(bench.statuses("alice", "INVITE"), [407, 200], "{}", bench.ladder());
    let both = attending(&bench);
    assert_eq!(both.len(), 2);
    for (port, attendance) in &both {
        assert_eq!((&*attendance.room, attendance.muted), ("council", false));
        assert_eq!(attendance.from.first().map(|coding| coding.codec), Some(Codec::Pcmu));
        assert!(bench.remote_of(*port).is_some() && bench.patch_of(*port).is_none());
    }
    assert_eq!(members(&bench), [("council".to_owned(), 2)]);
    let to_alice = answered(&mut bench, "alice", "INVITE");
    assert!(to_alice.contains("m=audio "), "{to_alice}");
    bench.hang_up("alice", alice);
    assert_eq!((attending(&bench).len(), members(&bench)[0].1), (1, 1));
    bench.hang_up("bob", bob);
    assert!(bench.open.is_empty() && attending(&bench).is_empty());
    bench.assert_over(2);
    let cdr = bench.ended()[0];
    assert_eq!((&*cdr.attempts[0].target, cdr.status), ("room:council", 200));
    assert!(cdr.caller_media.is_some() && cdr.called_media.is_none());
}

#[test]
fn a_room_that_is_full_is_busy_and_says_so() {
    let mut bench = phones();
    bench.dial("alice", COUNCIL);
    bench.dial("bob", COUNCIL);
    bench.dial("carol", COUNCIL);
    assert_eq!(bench.statuses("carol", "INVITE"), [407, 486], "{}", bench.ladder());
    let refused = answered(&mut bench, "carol", "INVITE");
    assert!(refused.contains("\"the room is full\""), "{refused}");
    assert_eq!(bench.last_recorded("rejected")["facts"]["status"], 486);
}

#[test]
fn members_are_counted_over_all_workers() {
    let mut bench = with_phones(Bench::with_workers(ROOM, 2));
    for (name, worker) in [("alice", 0), ("bob", 1), ("carol", 0)] {
        bench.lands_on = worker;
        bench.dial(name, COUNCIL);
    }
    assert_eq!(bench.workers.iter().map(sx_exchange::Worker::calls).collect::<Vec<_>>(), [1, 1], "{}", bench.ladder());
    assert_eq!(bench.statuses("carol", "INVITE"), [407, 486], "{}", bench.ladder());
}

#[test]
fn a_member_is_in_the_room_of_the_process_that_takes_its_call_over() {
    let mut bench = phones();
    let session = bench.dial("alice", COUNCIL);
    let before = attending(&bench);
    let call = bench.workers[0].list().next().expect("a call").call;
    let snapshot = bench.export(call).expect("nothing is under way");
    bench.replace(snapshot);
    let how = |members: &[(PortId, Attendance)]| members.iter().map(|(_, how)| how.clone()).collect::<Vec<_>>();
    assert_eq!(how(&attending(&bench)), how(&before));
    bench.hang_up("alice", session);
    assert!(bench.open.is_empty() && attending(&bench).is_empty());
}

#[test]
fn a_codec_that_cannot_be_mixed_is_not_acceptable_here() {
    let mut bench = phones();
    bench.dial_with("alice", COUNCIL, |spec| {
        let offer = spec.offer.take().expect("an offer");
        let offer = String::from_utf8_lossy(&offer).replace("RTP/AVP 0", "RTP/AVP 18");
        spec.offer = Some(offer.into_bytes().into());
    });
    assert_eq!(bench.statuses("alice", "INVITE"), [407, 488], "{}", bench.ladder());
    let refused = answered(&mut bench, "alice", "INVITE");
    assert!(refused.contains("\"no codec is offered that the room can be spoken to in\""), "{refused}");
    assert_eq!(members(&bench)[0].1, 0);
    bench.assert_over(1);
}

#[test]
fn nobody_is_in_a_room_before_that_is_on_the_disk_and_the_log_names_it() {
    let mut bench = phones();
    bench.log.waits = true;
    let session = bench.dial("alice", COUNCIL);
    bench.pass_s(1);
    assert_eq!(bench.statuses("alice", "INVITE"), [407], "{}", bench.ladder());
    assert!(attending(&bench).is_empty());
    bench.log.waits = false;
    bench.settle();
    bench.pass_s(1);
    assert_eq!(bench.statuses("alice", "INVITE"), [407, 200], "{}", bench.ladder());
    assert_eq!(attending(&bench).len(), 1);
    for kind in ["connected", "bridge_established"] {
        assert_eq!(bench.last_recorded(kind)["facts"]["room"], "council", "{kind}");
    }
    bench.hang_up("alice", session);
    let call = bench.last_recorded("invite")["call_id"].clone();
    let of = bench.log.records.iter().filter(|record| record["call_id"] == call);
    let story: Vec<_> = of.map(|record| record["kind"].as_str().expect("a kind").to_owned()).collect();
    assert_eq!(story, ["invite", "admission", "trying", "connected", "bridge_established", "terminated"]);
    bench.assert_over(1);
}

#[test]
fn a_member_on_hold_stays_and_is_not_heard() {
    let mut bench = phones();
    let session = bench.dial("alice", COUNCIL);
    for (direction, told, muted) in [("sendonly", "recvonly", true), ("sendrecv", "sendrecv", false)] {
        bench.reoffer("alice", session, direction);
        assert!(answered(&mut bench, "alice", "INVITE").contains(&format!("a={told}")), "{}", bench.ladder());
        assert_eq!(attending(&bench).iter().map(|(_, member)| member.muted).collect::<Vec<_>>(), [muted]);
    }
    assert_eq!(members(&bench)[0].1, 1);
    bench.hang_up("alice", session);
    bench.assert_over(1);
}

#[test]
fn a_room_has_the_codecs_that_this_build_has() {
    let bench = phones();
    let can_code: Vec<Codec> = sx_media::by_preference(sx_audio::codable(), sx_media::Preference::Quality);
    assert_eq!(bench.tables.routes.rooms()[0].codecs.to_vec(), can_code);
}

#[test]
fn an_operator_ends_it_as_any_call() {
    let mut bench = phones();
    bench.dial("alice", COUNCIL);
    assert_eq!(bench.workers[0].counts().calls_answered.load(Ordering::Relaxed), 1);
    bench.tell(0, Input::Command(Command::Clear { cause: Cause::NORMAL }));
    assert_eq!(bench.requests("alice", Method::Bye).len(), 1, "{}", bench.ladder());
    assert_eq!(members(&bench)[0].1, 0);
    bench.assert_over(1);
}

const TWO_ROOMS: &str = "[exchange]\ndomains = [\"example.org\"]\n[[room]]\nname = \"council\"\n[[room]]\nname = \"annex\"\n\
    members_max = 2\n[[route]]\nname = \"conference\"\nexact = \"5000\"\nto = [{ room = \"council\" }]\n";

/// Who takes part in which room, and who of them is muted, in the order of their ports.
fn seats(bench: &Bench) -> Vec<(String, bool)> {
    attending(bench).into_iter().map(|(_, how)| (how.room.to_string(), how.muted)).collect()
}

fn change(bench: &mut Bench, place: usize, change: MemberChange) {
    let mut calls: Vec<_> = bench.workers[0].list().map(|call| call.call).collect();
    calls.sort();
    bench.tell(0, Input::Command(Command::Member { call: calls[place], change }));
}

#[test]
fn a_member_is_muted_and_heard_again_also_when_it_changes_its_session() {
    let mut bench = with_phones(Bench::new(TWO_ROOMS));
    let alice = bench.dial("alice", COUNCIL);
    bench.dial("bob", COUNCIL);
    change(&mut bench, 0, MemberChange::Mute(true));
    let mut found = seats(&bench);
    found.sort();
    assert_eq!(found, [("council".into(), false), ("council".into(), true)]);
    bench.reoffer("alice", alice, "sendrecv");
    assert_eq!(seats(&bench).iter().filter(|(_, muted)| *muted).count(), 1, "another description does not unmute it");
    assert!(bench.workers[0].list().any(|call| call.muted && call.room.as_deref() == Some("council")));
    change(&mut bench, 0, MemberChange::Mute(false));
    assert!(seats(&bench).iter().all(|(_, muted)| !muted));
}

#[test]
fn a_member_is_moved_to_another_room_that_has_a_place() {
    let mut bench = with_phones(Bench::new(TWO_ROOMS));
    for name in ["alice", "bob", "carol"] {
        bench.dial(name, COUNCIL);
    }
    for place in 0..3 {
        change(&mut bench, place, MemberChange::Move("annex".into()));
    }
    // There are two places, and the third member stays where it was.
    assert_eq!(members(&bench), [("council".to_owned(), 1), ("annex".to_owned(), 2)]);
    let mut rooms: Vec<String> = seats(&bench).into_iter().map(|(room, _)| room).collect();
    rooms.sort();
    assert_eq!(rooms, ["annex", "annex", "council"]);
    change(&mut bench, 2, MemberChange::Move("attic".into()));
    assert_eq!(members(&bench), [("council".to_owned(), 1), ("annex".to_owned(), 2)], "there is no such room");
    for name in ["alice", "bob", "carol"] {
        let session = bench.who(name).dialled[0];
        bench.hang_up(name, session);
    }
    assert_eq!(members(&bench), [("council".to_owned(), 0), ("annex".to_owned(), 0)]);
    bench.assert_over(3);
}

#[test]
fn nobody_dials_into_a_locked_room_and_whoever_it_calls_comes_in() {
    let mut bench = with_phones(Bench::new(TWO_ROOMS));
    bench.dial("alice", COUNCIL);
    bench.tables.routes.room("council").expect("it is there").members.lock(true);
    bench.dial("bob", COUNCIL);
    assert_eq!(bench.statuses("bob", "INVITE"), [407, 403], "{}", bench.ladder());
    assert!(answered(&mut bench, "bob", "INVITE").contains("\"the room is locked\""));
    let invite = Invite {
        call: CallId::from_u128(9),
        trace: CallId::from_u128(9).into(),
        room: "council".into(),
        from: Identity::default(),
        to: Address::new("carol", "example.org"),
        headers: Vec::new(),
        bounds: Bounds::default(),
        arrival: None,
    };
    bench.tell(0, Input::Command(Command::Invite(Box::new(invite))));
    assert_eq!(members(&bench)[0], ("council".to_owned(), 2));
    bench.tables.routes.room("council").expect("it is there").members.lock(false);
    bench.dial("bob", COUNCIL);
    assert_eq!(members(&bench)[0], ("council".to_owned(), 3));
}
