//! Parties of which somebody else wants something: on hold, muted, played to, connected elsewhere.

mod driver;

use driver::{A, B, C, World, add_council, alice, answer, bob, carol, definition, offer, sdp};
use sx_call::{Command, Controls, Note, Parties, PartyChange, Phase, Settings};
use sx_leg::Address;
use sx_media::{MediaEvent, PlayOutcome, Playing, PortId};
use sx_route::MediaMode;
use sx_types::{CallId, Cause, HoldMusic, HoldMusicWhen};

/// The ports that face A and B have these indices.
const OF_A: u64 = 0;
const OF_B: u64 = 1;

/// A has music, B has none; they talk.
fn talking_in(mode: MediaMode) -> World {
    let mut definition = definition(mode);
    add_council(&mut definition);
    let music = HoldMusic { sound: "music.wav".into(), when: HoldMusicWhen::Inactive };
    definition.users.access.hold_music = Some(music);
    let mut world = World::with(definition, Settings::default());
    world.incoming(A, "300", Some(&alice())).answers(B, Some(answer(&bob()))).forget_lines();
    world
}

fn talking() -> World {
    talking_in(MediaMode::Relay)
}

/// A is in the council's room.
fn in_room() -> World {
    let mut definition = definition(MediaMode::Relay);
    add_council(&mut definition);
    let mut world = World::with(definition, Settings::default());
    world.incoming(A, "500", Some(&alice())).forget_lines();
    assert_eq!(world.attending.len(), 1);
    world
}

fn change(world: &mut World, who: Parties, change: PartyChange) {
    let call = world.only_call();
    world.command(Command::Parties { call, who, change }).expect(&[]);
}

fn port(world: &World, index: u64) -> PortId {
    *world.ports.iter().find(|port| port.0 & 0xff == index).expect("a port")
}

fn played(world: &World, index: u64) -> Option<&Playing> {
    world.playing.get(&port(world, index))
}

fn sounds(world: &World) -> [Option<&str>; 2] {
    [OF_A, OF_B].map(|index| played(world, index).map(|playing| &*playing.sound))
}

fn controls(world: &World) -> [Controls; 2] {
    world.calls.summary(world.only_call()).expect("a call").controls
}

#[test]
fn who_is_put_on_hold_by_somebody_else_hears_music_and_the_other_silence() {
    let mut world = talking();
    change(&mut world, Parties::Caller, PartyChange::Hold(true));
    assert_eq!(sounds(&world), [Some("music.wav"), Some("tone:silence")]);
    assert!(played(&world, OF_A).is_some_and(|playing| playing.repeats));
    assert!(controls(&world)[0].held && !controls(&world)[1].held && world.patched.is_empty());
    // A change of the session takes none of it back.
    world.offers(B, Some(&bob())).accepts(A, answer(&alice())).forget_lines();
    assert_eq!(sounds(&world), [Some("music.wav"), Some("tone:silence")]);
    // Who has no music hears silence.
    change(&mut world, Parties::Both, PartyChange::Hold(true));
    assert_eq!(sounds(&world), [Some("music.wav"), Some("tone:silence")]);
    change(&mut world, Parties::Both, PartyChange::Hold(false));
    assert!(world.playing.is_empty() && world.patched.len() == 2);
    world.ends(A, 0);
    world.the_record();
}

#[test]
fn who_is_muted_is_not_heard_and_hears() {
    let mut world = talking();
    change(&mut world, Parties::Called, PartyChange::Mute(true));
    assert_eq!(sounds(&world), [Some("tone:silence"), None]);
    // Where no more sounds can be played it is not heard either.
    assert_eq!(world.patched.keys().copied().collect::<Vec<_>>(), [port(&world, OF_A)]);
    assert!(controls(&world)[1].muted);
    change(&mut world, Parties::Called, PartyChange::Mute(false));
    assert_eq!((sounds(&world), controls(&world)), ([None, None], [Controls::default(); 2]));
}

#[test]
fn a_sound_is_heard_once_and_then_what_was_heard_before() {
    let mut world = talking();
    change(&mut world, Parties::Called, PartyChange::Mute(true));
    change(&mut world, Parties::Caller, PartyChange::Play(Some("hello.wav".into())));
    let first = played(&world, OF_A).expect("a sound").clone();
    assert_eq!((&*first.sound, first.repeats, sounds(&world)[1]), ("hello.wav", false, None));
    change(&mut world, Parties::Caller, PartyChange::Play(Some("again.wav".into())));
    let second = played(&world, OF_A).expect("a sound").number;
    assert_ne!(first.number, second);
    let at = port(&world, OF_A);
    world.media(MediaEvent::Played { port: at, number: first.number, heard: PlayOutcome::Whole });
    assert_eq!(sounds(&world)[0], Some("again.wav"), "that was the end of another");
    assert!(controls(&world)[0].played_to);
    world.media(MediaEvent::Played { port: at, number: second, heard: PlayOutcome::Whole });
    assert_eq!(sounds(&world), [Some("tone:silence"), None]);
    // It can be ended, and one that there is not changes nothing for long.
    change(&mut world, Parties::Both, PartyChange::Play(Some("long.wav".into())));
    assert_eq!(sounds(&world), [Some("long.wav"), Some("long.wav")]);
    change(&mut world, Parties::Both, PartyChange::Play(None));
    assert_eq!(sounds(&world), [Some("tone:silence"), None]);
    world.ends(B, 0);
    world.the_record();
}

#[test]
fn a_member_of_a_room_hears_its_music_in_place_of_the_room() {
    let mut world = in_room();
    change(&mut world, Parties::Caller, PartyChange::Hold(true));
    assert!(world.attending.is_empty());
    assert_eq!(sounds_of_only(&world), Some("tone:silence"));
    change(&mut world, Parties::Caller, PartyChange::Hold(false));
    assert_eq!(world.attending.len(), 1);
    change(&mut world, Parties::Caller, PartyChange::Mute(true));
    assert!(world.attending.values().all(|attendance| attendance.muted) && controls(&world)[0].muted);
    world.ends(A, 0);
    world.the_record();
}

fn sounds_of_only(world: &World) -> Option<&str> {
    world.playing.values().next().map(|playing| &*playing.sound)
}

#[test]
fn a_party_is_connected_elsewhere_and_the_other_is_told_nothing_but_the_end() {
    for (who, [stays, leaves]) in
        [(Parties::Caller, [(A, "a"), (B, "out0")]), (Parties::Called, [(B, "out0"), (A, "a")])]
    {
        let mut world = talking();
        let call = world.only_call();
        let transfer = PartyChange::Transfer(Address::new("301", "pbx"));
        world.command(Command::Parties { call, who, change: transfer }).expect(&["out1 dial one/301 nothing"]);
        assert_eq!(world.calls.summary(call).map(|call| call.phase), Some(Phase::Transferring));
        world.rings(C).expect(&[]);
        world.answers(C, Some(offer(&carol()))).forget_lines();
        let said = if stays.0 == A { alice() } else { bob() };
        world.accepts(stays.0, answer(&said));
        let last = world.lines.last().cloned();
        assert_eq!(last, Some(format!("{} hangup 16", leaves.1)));
        world.let_end().ends(C, 0);
        world.the_record();
    }
}

#[test]
fn who_was_on_hold_hears_whom_it_is_connected_with() {
    let mut world = talking();
    change(&mut world, Parties::Caller, PartyChange::Hold(true));
    let call = world.only_call();
    let transfer = PartyChange::Transfer(Address::new("301", "pbx"));
    world.command(Command::Parties { call, who: Parties::Caller, change: transfer });
    assert_eq!(sounds(&world)[0], Some("music.wav"), "the music goes on until somebody answers");
    world.answers(C, Some(offer(&carol()))).accepts(A, answer(&alice())).let_end().forget_lines();
    assert!(world.playing.is_empty() && world.patched.len() == 2);
    assert_eq!(controls(&world), [Controls::default(); 2]);
    change(&mut world, Parties::Caller, PartyChange::Hold(true));
    let enter = PartyChange::Enter { room: "council".into(), other: CallId::new(1, 99) };
    world.command(Command::Parties { call, who: Parties::Both, change: enter });
    world.accepts(A, answer(&alice())).accepts(C, answer(&carol()));
    assert_eq!((world.attending.len(), world.playing.len()), (2, 0));
    world.ends(A, 0).ends(C, 0);
    world.all_records();
}

#[test]
fn a_target_that_is_busy_leaves_everybody_as_they_were() {
    let mut world = talking();
    let call = world.only_call();
    let transfer = PartyChange::Transfer(Address::new("301", "pbx"));
    world.command(Command::Parties { call, who: Parties::Caller, change: transfer.clone() }).forget_lines();
    // Another one, or one of both, is nothing while the first goes on.
    world.command(Command::Parties { call, who: Parties::Called, change: transfer.clone() }).expect(&[]);
    world.ends(C, 486).expect(&[]);
    assert!(world.notes.iter().any(|note| matches!(note, Note::TransferFailed { status: 486, .. })));
    world.command(Command::Parties { call, who: Parties::Both, change: transfer }).expect(&[]);
    assert_eq!(world.calls.summary(call).map(|call| call.phase), Some(Phase::Talking));
    world.ends(A, 0);
    world.the_record();
}

#[test]
fn a_member_leaves_its_room_for_who_answers_and_stays_when_nobody_does() {
    let mut world = in_room();
    let call = world.only_call();
    let transfer = PartyChange::Transfer(Address::new("300", "pbx"));
    let order = Command::Parties { call, who: Parties::Caller, change: transfer };
    world.command(order.clone()).expect(&["out0 dial one/300 nothing"]);
    assert_eq!(world.attending.len(), 1, "it hears the room until then");
    world.ends(B, 486).expect(&[]);
    assert_eq!((world.attending.len(), controls(&world)), (1, [Controls::default(); 2]));
    assert_eq!(world.calls.summary(call).map(|call| call.phase), Some(Phase::Talking));
    world.command(order).expect(&["out1 dial one/300 nothing"]);
    world.answers(C, Some(offer(&carol()))).accepts(A, answer(&alice())).forget_lines();
    assert_eq!(world.tables.members("council").map(|members| members.count()), Some(0));
    assert_eq!(world.calls.summary(call).and_then(|call| call.room), None);
    assert_eq!(world.patched.len(), 2);
    world.ends(C, 0).expect(&["a hangup 16"]);
    world.the_record();
}

#[test]
fn one_comes_into_a_room_and_the_other_is_hung_up() {
    for mode in [MediaMode::Relay, MediaMode::Direct] {
        let mut world = talking_in(mode);
        let (call, other) = (world.only_call(), CallId::new(1, 99));
        let enter = PartyChange::Enter { room: "council".into(), other };
        world.command(Command::Parties { call, who: Parties::Called, change: enter });
        world.expect(&match mode {
            MediaMode::Relay => ["a hangup 16", "out0 offer 10.0.0.1:20002 sendrecv"],
            _ => ["a hangup 16", "out0 offer 10.0.0.1:20000 sendrecv"],
        });
        assert!(world.attending.is_empty(), "not before it has agreed");
        world.accepts(B, answer(&bob())).expect(&[]);
        assert_eq!(world.attending.len(), 1);
        assert_eq!(world.calls.summary(call).and_then(|call| call.room).as_deref(), Some("council"));
        world.let_end().ends(B, 0);
        let record = world.the_record();
        assert_eq!((record.cause, world.tables.members("council").map(|room| room.count())), (Cause::NORMAL, Some(0)));
    }
}

#[test]
fn both_come_into_a_room_each_with_a_call_of_its_own() {
    let mut world = talking();
    let (call, other) = (world.only_call(), CallId::new(1, 99));
    change_muted(&mut world);
    let enter = PartyChange::Enter { room: "council".into(), other };
    world.command(Command::Parties { call, who: Parties::Both, change: enter });
    // That of the called party has a port of its own by now.
    world.expect(&["a offer 10.0.0.1:20000 sendrecv", "out0 offer 10.0.0.1:20000 sendrecv"]);
    assert_eq!(world.tables.members("council").map(|room| room.count()), Some(2));
    let trace = world.calls.summary(call).map(|call| call.trace);
    let second = world.calls.summary(other).expect("a call");
    assert_eq!((Some(second.trace), &*second.dialled.user, second.phase), (trace, "council", Phase::Talking));
    // Who meets an offer of its own is asked again.
    world.event(A, sx_leg::LegEvent::OfferRefused { cause: Cause(31), status: 491, sentence: Box::default() });
    world.accepts(B, answer(&bob())).expect(&[]);
    world.after(std::time::Duration::from_secs(1)).expect(&["a offer 10.0.0.1:20000 sendrecv"]);
    world.accepts(A, answer(&alice()));
    let muted: Vec<bool> = world.attending.values().map(|attendance| attendance.muted).collect();
    assert_eq!(muted.iter().filter(|muted| **muted).count(), 1, "who was muted is");
    assert_eq!((world.attending.len(), world.ports.len()), (2, 2));
    world.ends(A, 0).expect(&[]);
    assert_eq!(world.attending.len(), 1, "the other one stays");
    world.ends(B, 0);
    let records = world.all_records();
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|record| record.answer.is_some() && record.cause == Cause::NORMAL));
}

fn change_muted(world: &mut World) {
    change(world, Parties::Called, PartyChange::Mute(true));
}

#[test]
fn nobody_is_hung_up_for_a_room_that_is_full_or_not_there() {
    let mut world = talking();
    for number in 10..12 {
        world.incoming(sx_types::LegId(number), "500", Some(&sdp("192.0.2.7", 4000 + number as u16, "sendrecv")));
    }
    world.forget_lines();
    let call = world.calls.list().find(|call| call.room.is_none()).expect("the two").call;
    for (room, who) in [("council", Parties::Both), ("attic", Parties::Caller)] {
        let enter = PartyChange::Enter { room: room.into(), other: CallId::new(1, 99) };
        world.command(Command::Parties { call, who, change: enter }).expect(&[]);
    }
    assert_eq!(world.tables.members("council").map(|room| room.count()), Some(2));
    assert_eq!(world.calls.summary(call).map(|call| call.phase), Some(Phase::Talking));
}

#[test]
fn who_does_not_take_the_sound_of_a_room_is_hung_up() {
    let mut world = talking();
    let (call, other) = (world.only_call(), CallId::new(1, 99));
    let enter = PartyChange::Enter { room: "council".into(), other };
    world.command(Command::Parties { call, who: Parties::Both, change: enter }).forget_lines();
    world.event(A, sx_leg::LegEvent::OfferRefused { cause: Cause(88), status: 488, sentence: Box::default() });
    world.expect(&["a hangup 88"]);
    world.after(std::time::Duration::from_secs(60)).expect(&["out0 hangup 102"]);
    assert_eq!(world.tables.members("council").map(|room| room.count()), Some(0));
    world.all_records();
}
