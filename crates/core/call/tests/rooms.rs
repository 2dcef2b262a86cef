//! Callers whose way is a room are answered by the exchange and hear each other.

mod driver;

use driver::{A, B, Threads, World, alice, answer, bob, definition, print, sdp, shaking};
use std::sync::Arc;
use std::time::Duration;
use sx_call::{CallSnapshot, Command, Ender, Input, Note, Phase, Settings};
use sx_leg::{LegEvent, Source};
use sx_media::{Attendance, Keys, Means, MediaEvent};
use sx_route::{
    Definition, Destination, DestinationKind, DomainFilter, Fork, Match, MediaMode, Room, Rule, SourceFilter,
};
use sx_types::{Cause, Codec, Dtmf, LegId, RoomSounds, SrtpPolicy};

const E: LegId = LegId(2);
const F: LegId = LegId(3);

fn room(members_max: u32) -> Room {
    let codecs = Arc::from([Codec::Opus, Codec::G722, Codec::Pcmu, Codec::Pcma]);
    Room { name: "council".into(), members_max, codecs, sounds: Default::default(), members: Arc::default() }
}

fn destination(kind: DestinationKind, priority: u16) -> Destination {
    Destination { kind, priority, weight: 1, user: None }
}

/// 5… leads to the room, 6… to trunk one and then to the room.
fn with_room(mode: MediaMode, members_max: u32) -> Definition {
    let mut definition = definition(mode);
    let to_room = |priority| destination(DestinationKind::Room("council".into()), priority);
    let rule = |name: &str, prefix: &str, destinations| Rule {
        name: name.into(),
        source: SourceFilter::Any,
        domain: DomainFilter::Ours,
        matches: Match::Prefix(prefix.into()),
        strip: 0,
        prepend: "".into(),
        destinations,
        fork: Fork::Serial,
        ring_ms_max: None,
    };
    definition.rules.push(rule("council", "5", vec![to_room(1)]));
    let trunk = destination(DestinationKind::Trunk("one".into()), 1);
    definition.rules.push(rule("late", "6", vec![trunk, to_room(2)]));
    definition.rooms.push(room(members_max));
    definition
}

fn world() -> World {
    World::with(with_room(MediaMode::Relay, 3), Settings::default())
}

fn members(world: &World) -> u32 {
    world.tables.members("council").map_or(0, |members| members.count())
}

/// How the one member takes part.
#[track_caller]
fn attends(world: &World) -> Attendance {
    let attending: Vec<_> = world.attending.values().collect();
    assert_eq!(attending.len(), 1, "one member");
    attending[0].clone()
}

fn codecs(attendance: &Attendance) -> Vec<Codec> {
    assert!(attendance.from.iter().zip(&attendance.to).all(|(from, to)| from.is_same(to)));
    attendance.to.iter().map(|coding| coding.codec).collect()
}

fn audio(formats: &str, lines: &str) -> String {
    alice().replace("AVP 0\r\n", &format!("AVP {formats}\r\n{lines}"))
}

const OPUS: &str = "a=rtpmap:111 opus/48000/2\r\n";
const EVENTS: &str = "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n";

#[test]
fn a_caller_is_answered_and_takes_part_until_it_hangs_up() {
    let mut world = world();
    world.incoming(A, "5000", Some(&alice())).expect(&["a answer answer:10.0.0.1:20000 sendrecv"]);
    let attends = attends(&world);
    assert_eq!((&*attends.room, codecs(&attends), attends.muted), ("council", vec![Codec::Pcmu], false));
    let remotes: Vec<_> = world.remotes.values().map(|remote| remote.rtp.to_string()).collect();
    assert_eq!((remotes, members(&world)), (vec!["192.0.2.1:4000".to_owned()], 1));
    assert_eq!(world.calls.list().map(|call| call.phase).collect::<Vec<_>>(), [Phase::Talking]);
    let room: Vec<_> = world
        .notes
        .iter()
        .filter_map(|note| match note {
            Note::Answered { leg, room, .. } => Some((*leg, room.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(room, [(A, Some("council".into()))]);
    world.after(Duration::from_secs(60)).ends(A, 0).expect(&[]);
    assert_eq!((members(&world), world.attending.len()), (0, 0));
    let cdr = world.the_record();
    let [attempt] = &cdr.attempts[..] else { panic!("one attempt") };
    assert_eq!((&*attempt.target, attempt.status, attempt.answer), ("room:council", 200, cdr.answer));
    assert_eq!((cdr.codec, cdr.status, cdr.ended_by), (Some(Codec::Pcmu), 200, Ender::Caller));
    assert_eq!((cdr.end - cdr.start, cdr.caller_media.is_some(), cdr.called_media), (60_000_000_000, true, None));
}

#[test]
fn who_has_its_keys_in_its_sound_is_listened_to_in_a_room() {
    for (dtmf, expected) in [(Dtmf::Auto, false), (Dtmf::Inband, true)] {
        let mut definition = with_room(MediaMode::Relay, 3);
        definition.users.access.dtmf = dtmf;
        let mut world = World::with(definition, Settings::default());
        world.incoming(A, "5000", Some(&alice()));
        assert_eq!(attends(&world).keys_in_band, expected);
        let port = world.ports[0];
        world.media(MediaEvent::Pressed { port, key: '5', duration_ms: 100 });
        assert_eq!(attends(&world).keys_in_band, expected, "it is told, and goes on");
    }
}

#[test]
fn a_member_is_answered_in_the_order_of_the_room_and_keeps_its_keys() {
    let mut world = world();
    let offer = audio("8 0 18 111 101", &format!("{OPUS}{EVENTS}"));
    world.incoming(A, "5000", Some(&offer));
    let told = String::from_utf8_lossy(&world.told[&A]).into_owned();
    assert!(told.contains("m=audio 20000 RTP/AVP 111 0 8 101\r\n") && told.contains("a=fmtp:101 0-15\r\n"), "{told}");
    let expected = [Codec::Opus, Codec::Pcmu, Codec::Pcma, Codec::TelephoneEvent];
    assert_eq!(codecs(&attends(&world)), expected);
    for _ in 0..3 {
        world.event(A, LegEvent::Digit { digit: '6', duration_ms: 100 });
    }
    assert!(!world.notes.iter().any(|note| matches!(note, Note::Unexpected { .. })), "keys are no surprise");
    world.ends(A, 0);
    assert_eq!(world.the_record().codec, Some(Codec::Opus));
}

#[test]
fn only_its_sound_is_taken() {
    let mut world = world();
    let offer = alice().replace("m=audio", "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\nm=audio");
    world.incoming(A, "5000", Some(&offer)).expect(&["a answer answer:10.0.0.1:20000 sendrecv"]);
    assert!(String::from_utf8_lossy(&world.told[&A]).contains("m=video 0 "));
    assert_eq!((world.ports.len(), world.attending.len()), (1, 1));
    world.ends(A, 0).the_record();
}

#[test]
fn who_offers_nothing_that_can_be_mixed_is_refused() {
    let mut world = world();
    world.incoming(A, "5000", Some(&audio("18", ""))).expect(&["a reject 488 88"]);
    assert_eq!(world.warnings, ["no codec is offered that the room can be spoken to in"]);
    assert_eq!((members(&world), world.asked.len()), (0, 0));
    let cdr = world.the_record();
    assert_eq!((cdr.status, cdr.attempts[0].status, cdr.answer), (488, 488, None));
}

#[test]
fn a_room_that_is_full_is_busy_until_a_member_leaves() {
    let mut world = World::with(with_room(MediaMode::Relay, 2), Settings::default());
    world.incoming(A, "5000", Some(&alice())).incoming(E, "5000", Some(&bob())).forget_lines();
    world.incoming(F, "5000", Some(&alice())).expect(&["c reject 486 17"]);
    assert_eq!((world.warnings.join("; "), members(&world)), ("the room is full".into(), 2));
    world.ends(E, 0).incoming(LegId(4), "5000", Some(&bob()));
    assert_eq!((world.attending.len(), members(&world)), (2, 2));
    world.ends(A, 0).ends(LegId(4), 0);
    let statuses: Vec<_> = world.all_records().iter().map(|cdr| cdr.status).collect();
    assert_eq!((statuses, members(&world)), (vec![486, 200, 200, 200], 0));
}

#[test]
fn who_makes_no_offer_is_made_one_and_takes_part_when_it_has_answered() {
    let mut world = world();
    world.incoming(A, "5000", None).expect(&["a answer offer:10.0.0.1:20000 sendrecv"]);
    assert!(String::from_utf8_lossy(&world.told[&A]).contains("m=audio 20000 RTP/AVP 96 9 0 8 101\r\n"));
    assert!(world.attending.is_empty());
    world.event(A, LegEvent::Confirmed { media: Some(answer(&alice())) }).expect(&[]);
    assert_eq!(codecs(&attends(&world)), [Codec::Pcmu]);
    world.ends(A, 0);
    assert_eq!(world.the_record().codec, Some(Codec::Pcmu));
}

#[test]
fn who_does_not_answer_the_offer_is_hung_up() {
    for late in [true, false] {
        let mut world = world();
        world.incoming(A, "5000", None).forget_lines();
        let unanswered = LegEvent::Confirmed { media: None };
        let world = if late { world.after(Duration::from_secs(40)) } else { world.event(A, unanswered) };
        world.expect(&[if late { "a hangup 102" } else { "a hangup 88" }]);
        world.the_record();
        assert_eq!(members(world), 0);
    }
}

#[test]
fn nobody_is_answered_before_it_is_written_down() {
    let wait = Some(Duration::from_secs(2));
    let settings = || Settings { answer_wait: wait, ..Settings::default() };
    let mut world = World::with(with_room(MediaMode::Relay, 3), settings());
    world.incoming(A, "5000", Some(&alice())).expect(&[]);
    assert!(world.attending.is_empty() && world.export().is_none());
    world.after(Duration::from_secs(1)).input(Input::Written { leg: A });
    world.expect(&["a answer answer:10.0.0.1:20000 sendrecv"]).ends(A, 0);
    let cdr = world.the_record();
    assert_eq!(cdr.answer.map(|at| at - cdr.start), Some(1_000_000_000));

    let mut world = World::with(with_room(MediaMode::Relay, 3), settings());
    world.incoming(A, "5000", Some(&alice())).after(Duration::from_secs(2)).expect(&["a reject 503 41"]);
    let cdr = world.the_record();
    assert_eq!((cdr.answer, cdr.attempts[0].answer, members(&world)), (None, None, 0));
}

#[test]
fn hold_keeps_a_member_in_the_room_and_nobody_hears_it() {
    let mut world = world();
    world.incoming(A, "5000", Some(&alice())).forget_lines();
    for (direction, told, muted) in
        [("sendonly", "recvonly", true), ("inactive", "inactive", true), ("sendrecv", "sendrecv", false)]
    {
        let expected = format!("a answer-offer answer:10.0.0.1:20000 {told}");
        world.offers(A, Some(&sdp("192.0.2.1", 4000, direction))).expect(&[&expected]);
        assert_eq!((attends(&world).muted, members(&world)), (muted, 1), "{direction}");
    }
    world.ends(A, 0).the_record();
}

#[test]
fn a_member_may_change_its_codec_and_its_address() {
    let mut world = world();
    world.incoming(A, "5000", Some(&alice())).forget_lines();
    let offer = audio("9 101", EVENTS).replace("4000", "4010");
    world.offers(A, Some(&offer)).expect(&["a answer-offer answer:10.0.0.1:20000 sendrecv"]);
    assert_eq!(codecs(&attends(&world)), [Codec::G722, Codec::TelephoneEvent]);
    assert_eq!(world.remotes.values().next().map(|remote| remote.rtp.port()), Some(4010));
    world.offers(A, Some(&audio("18", ""))).expect(&["a refuse-offer 488 88"]);
    assert_eq!(codecs(&attends(&world)), [Codec::G722, Codec::TelephoneEvent], "it goes on as it was");
    world.ends(A, 0).the_record();
}

#[test]
fn sound_that_moves_to_another_stream_is_waited_for() {
    let mut world = world();
    world.incoming(A, "5000", Some(&alice())).forget_lines();
    let offer = alice().replace("m=audio 4000 RTP/AVP 0\r\n", "m=audio 0 RTP/AVP 0\r\nm=audio 4020 RTP/AVP 0\r\n");
    world.offers(A, Some(&offer)).expect(&["a answer-offer answer:10.0.0.1:0,20002 sendrecv"]);
    let ports: Vec<_> = world.attending.keys().map(|port| port.0 & 0xff).collect();
    assert_eq!(
        (ports, world.ports.len()),
        (vec![1], 1),
        "the other port is closed, so that nobody waits for sound there"
    );
    world.offers(A, Some(&alice())).expect(&["a answer-offer answer:10.0.0.1:20000 sendrecv"]);
    assert_eq!((world.attending.len(), world.ports.len()), (1, 1));
    world.ends(A, 0).the_record();
}

#[test]
fn a_member_that_asks_for_an_offer_is_made_one_with_what_it_has() {
    let mut world = world();
    world.incoming(A, "5000", Some(&audio("0 111", OPUS))).offers(A, Some(&sdp("192.0.2.1", 4000, "sendonly")));
    world.offers(A, Some(&audio("0 111", OPUS).replace("sendrecv", "sendonly"))).forget_lines();
    world.offers(A, None).expect(&["a answer-offer offer:10.0.0.1:20000 sendrecv"]);
    assert!(String::from_utf8_lossy(&world.told[&A]).contains("RTP/AVP 111 0\r\n"));
    world.offers(A, None).expect(&["a refuse-offer 491 31"]);
    world.event(A, LegEvent::OfferConfirmed { media: Some(answer(&alice())) }).expect(&[]);
    assert_eq!((codecs(&attends(&world)), attends(&world).muted), (vec![Codec::Pcmu], false));
    world.ends(A, 0).the_record();
}

#[test]
fn a_member_is_given_keys_as_any_party_is() {
    let mut definition = with_room(MediaMode::Relay, 3);
    definition.users.access.srtp = SrtpPolicy::Required;
    let mut world = World::with(definition, Settings::default());
    let key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    let crypto = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n");
    let offer = audio("0", &crypto).replace("RTP/AVP", "RTP/SAVP");
    world.incoming(A, "5000", Some(&offer)).expect(&["a answer answer:10.0.0.1:20000 sendrecv"]);
    let told = String::from_utf8_lossy(&world.told[&A]).into_owned();
    assert!(told.contains("m=audio 20000 RTP/SAVP 0\r\n") && told.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80"));
    let keys: Vec<_> = world.keys.values().collect();
    assert!(matches!(keys[..], [Some(keys)] if matches!(**keys, Keys::Described(_))), "{keys:?}");
    assert_eq!(codecs(&attends(&world)), [Codec::Pcmu]);
    world.ends(A, 0);
    world.incoming(E, "5000", Some(&alice())).expect(&["b reject 0 88"]);
    world.all_records();
}

#[test]
fn a_member_may_have_its_keys_from_a_handshake() {
    let means = Means { certificate: Some(print(0xee)), ..Means::default() };
    let mut world = World::with(with_room(MediaMode::Relay, 3), Settings { means, ..Settings::default() });
    let offer = shaking(&alice(), 1, "actpass");
    world.incoming(A, "5000", Some(&offer)).expect(&["a answer answer:10.0.0.1:20000 sendrecv"]);
    let told = String::from_utf8_lossy(&world.told[&A]).into_owned();
    assert!(told.contains(&format!("a=fingerprint:{}", print(0xee))), "{told}");
    let keys: Vec<_> = world.keys.values().collect();
    assert!(matches!(keys[..], [Some(keys)] if matches!(**keys, Keys::Handshake(_))), "{keys:?}");
    assert_eq!(codecs(&attends(&world)), [Codec::Pcmu]);
    world.ends(A, 0).the_record();
}

#[test]
fn who_answers_before_the_room_can_leaves_it_its_place() {
    let mut definition = with_room(MediaMode::Direct, 3);
    let rule = definition.rules.iter_mut().find(|rule| &*rule.name == "late").expect("the rule");
    rule.destinations[1].priority = 1;
    rule.fork = Fork::Parallel;
    let mut world = World::with(definition, Settings::default());
    world.threads = Threads::Silent;
    world.incoming(A, "6000", Some(&alice()));
    assert_eq!(members(&world), 1);
    world.answers(B, Some(answer(&bob())));
    assert_eq!((members(&world), world.attending.len()), (0, 0));
    world.after(Duration::from_secs(3)).ends(A, 0).after(Duration::from_secs(3));
    let attempts = world.the_record().attempts;
    assert_eq!(attempts.iter().map(|attempt| attempt.answer.is_some()).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_caller_whose_media_would_pass_us_by_is_mixed_all_the_same() {
    let mut world = World::with(with_room(MediaMode::Direct, 3), Settings::default());
    world.incoming(A, "5000", Some(&alice())).expect(&["a answer answer:10.0.0.1:20000 sendrecv"]);
    attends(&world);
    world.ends(A, 0).the_record();
}

#[test]
fn a_room_is_tried_after_a_trunk_and_closes_what_it_does_not_need() {
    let mut world = world();
    let video = "m=audio 4000 RTP/AVP 0\r\nm=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n";
    let offer = alice().replace("m=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n", video);
    world.incoming(A, "6000", Some(&offer)).ends(B, 503).forget_lines();
    assert_eq!((world.ports.len(), world.attending.len()), (1, 1));
    world.ends(A, 0);
    let targets: Vec<_> = world.the_record().attempts.iter().map(|attempt| attempt.target.to_string()).collect();
    assert_eq!(targets, ["trunk:one", "room:council"]);
}

#[test]
fn without_a_port_nobody_comes_in() {
    for (threads, status) in [(Threads::Fail, 503), (Threads::Silent, 503)] {
        let mut world = world();
        world.threads = threads;
        world.incoming(A, "5000", Some(&alice())).after(Duration::from_secs(5)).expect(&["a reject 503 47"]);
        assert_eq!(members(&world), 0);
        assert_eq!(world.the_record().status, status);
    }
}

#[test]
fn a_caller_that_gives_up_before_it_is_answered_gives_its_place_back() {
    let mut world = world();
    world.threads = Threads::Silent;
    world.incoming(A, "5000", Some(&alice()));
    assert_eq!(members(&world), 1);
    world.ends(A, 487).after(Duration::from_secs(2));
    assert_eq!((world.the_record().status, members(&world)), (487, 0));
}

#[test]
fn operators_time_and_silence_end_it() {
    let ended = |end: &dyn Fn(&mut World)| {
        let mut world = world();
        world.incoming(A, "5000", Some(&alice())).forget_lines();
        end(&mut world);
        assert_eq!((world.lines.len(), members(&world)), (1, 0));
        world.the_record().ended_by
    };
    let hang_up = |world: &mut World| {
        let call = world.only_call();
        world.command(Command::Hangup { call, cause: Cause::NORMAL, by: Ender::Operator });
    };
    assert_eq!(ended(&hang_up), Ender::Operator);
    assert_eq!(ended(&|world| _ = world.command(Command::Clear { cause: Cause::NORMAL })), Ender::Operator);
    assert_eq!(ended(&|world| _ = world.after(Duration::from_secs(4 * 3600))), Ender::Timer);
    let silent = |world: &mut World| {
        let port = world.ports[0];
        world.input(Input::Media(MediaEvent::Silent { port }));
    };
    assert_eq!(ended(&silent), Ender::Timer);
}

#[test]
fn a_member_is_not_transferred_and_nobody_is_transferred_into_a_room() {
    let mut world = world();
    world.incoming(A, "5000", Some(&alice())).forget_lines();
    world.transfer(A, "300", None).expect(&["a transfer-progress 603"]);
    assert_eq!(members(&world), 1);
    world.incoming_with(E, "300", Some(&alice()), |incoming| incoming.source = Source::Exchange);
    world.answers(B, Some(answer(&bob()))).forget_lines();
    world.transfer(E, "5000", None);
    let last = world.lines.last().cloned();
    assert_eq!((last.as_deref(), members(&world)), (Some("b transfer-progress 488"), 1));
    world.ends(A, 0).ends(E, 0).all_records();
}

#[test]
fn a_member_goes_on_in_another_engine() {
    let mut world = world();
    world.incoming(A, "5000", Some(&alice())).forget_lines();
    let snapshot = world.export().expect("nothing is waited for");
    let text = serde_json::to_string(&snapshot).expect("a snapshot is serialisable");
    let settings = Settings { worker: 9, first_outgoing_leg: LegId(B.0 + 100), ..Settings::default() };
    let mut other = World::with(with_room(MediaMode::Relay, 3), settings);
    other.now = world.now;
    let snapshot: CallSnapshot = serde_json::from_str(&text).expect("and back");
    other.calls.import(world.now, snapshot).expect("there is room");
    other.drain();
    assert!(world.calls.forget(world.only_call()));
    assert_eq!((members(&world), members(&other)), (0, 1));
    assert_eq!(attends(&other), attends(&world), "it takes part there as it did here");
    other.offers(A, Some(&sdp("192.0.2.1", 4000, "sendonly")));
    other.expect(&["a answer-offer answer:10.0.0.1:20000 recvonly"]);
    other.after(Duration::from_secs(1)).ends(A, 0);
    let cdr = other.the_record();
    assert_eq!((cdr.attempts[0].status, members(&other)), (200, 0));
}

#[test]
fn members_are_counted_across_tables_that_follow_each_other() {
    let mut world = world();
    world.incoming(A, "5000", Some(&alice())).forget_lines();
    let tables = |definition| sx_route::Tables::build(definition).expect("a sound definition");
    let without = Arc::new(tables(definition(MediaMode::Relay)).following(&world.tables));
    world.input(Input::Tables(without.clone()));
    world.offers(A, Some(&sdp("192.0.2.1", 4000, "sendonly")));
    world.expect(&["a answer-offer answer:10.0.0.1:20000 recvonly"]);
    let again = Arc::new(tables(with_room(MediaMode::Relay, 1)).following(&without));
    world.input(Input::Tables(again));
    world.incoming(E, "5000", Some(&bob())).expect(&["b reject 486 17"]);
    world.ends(A, 0);
    assert_eq!(members(&world), 0);
    world.all_records();
}

/// Where a member has come to, its room is not configured, and then it is.
#[test]
fn a_member_of_a_room_that_is_not_known_here_frees_no_place_of_anybody_else() {
    let mut world = world();
    world.incoming(A, "5000", Some(&alice())).forget_lines();
    let snapshot = world.export().expect("nothing is waited for");
    let settings = Settings { worker: 9, first_outgoing_leg: LegId(B.0 + 100), ..Settings::default() };
    let mut other = World::with(definition(MediaMode::Relay), settings);
    other.now = world.now;
    other.records = std::mem::take(&mut world.records);
    other.calls.import(world.now, snapshot).expect("there is room");
    other.drain();
    let tables = sx_route::Tables::build(with_room(MediaMode::Relay, 3)).expect("a sound definition");
    let tables = Arc::new(tables.following(&other.tables));
    let members = tables.members("council").expect("it is there now").clone();
    // A member that another worker has.
    assert!(members.occupy(u32::MAX));
    other.input(Input::Tables(tables));
    assert_eq!(members.count(), 2);
    other.ends(A, 0).after(Duration::from_secs(60));
    assert_eq!(members.count(), 1);
}

#[test]
fn a_member_takes_part_with_the_sounds_of_its_room() {
    let sounds = RoomSounds { joined: Some("tone:joined".into()), ..RoomSounds::default() };
    let mut definition = with_room(MediaMode::Relay, 3);
    definition.rooms[0].sounds = sounds.clone();
    let mut world = World::with(definition, Settings::default());
    world.incoming(A, "5000", Some(&alice()));
    assert_eq!(attends(&world).sounds, sounds);
}
