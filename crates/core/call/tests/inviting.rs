//! A room calls somebody, who is a member when they answer.

mod driver;

use driver::{B, C, World, add_council, answer, bob, carol, definition, sdp};
use std::time::Duration;
use sx_call::{Command, Ender, Invite, NotAdmitted, Note, Phase, Settings};
use sx_leg::{Address, Bounds, Header, Identity};
use sx_route::MediaMode;
use sx_types::{CallId, Cause, Codec};

fn world_in(mode: MediaMode) -> World {
    let mut definition = definition(mode);
    add_council(&mut definition);
    World::with(definition, Settings::default())
}

fn world() -> World {
    world_in(MediaMode::Relay)
}

fn call(number: u128) -> CallId {
    CallId::new(1, number)
}

fn invite(to: &str) -> Invite {
    let from = Identity { address: Address::new("council", "pbx"), ..Identity::default() };
    let headers = vec![Header { name: "X-Trace".into(), value: "t".into() }];
    let (trace, bounds) = (call(7).into(), Bounds::default());
    Invite {
        call: call(7),
        trace,
        room: "council".into(),
        from,
        to: Address::new(to, "pbx"),
        headers,
        bounds,
        arrival: None,
    }
}

fn invites<'w>(world: &'w mut World, to: &str) -> &'w mut World {
    world.command(Command::Invite(Box::new(invite(to))))
}

fn members(world: &World) -> u32 {
    world.tables.members("council").map_or(0, |members| members.count())
}

/// Nothing is left of the call.
#[track_caller]
fn check_over(world: &World) {
    assert_eq!((members(world), world.calls.len(), world.attending.len()), (0, 0, 0));
}

#[test]
fn who_is_called_by_a_room_is_a_member_until_it_hangs_up() {
    let mut world = world();
    invites(&mut world, "300").expect(&["out0 dial one/300 10.0.0.1:20000 sendrecv"]);
    assert_eq!((members(&world), world.attending.len()), (1, 0), "its place is kept");
    let told = String::from_utf8_lossy(&world.told[&B]).into_owned();
    assert!(told.contains("m=audio 20000 RTP/AVP 0 101\r\n"), "{told}");
    assert_eq!(world.calls.summary(call(7)).map(|call| call.phase), Some(Phase::Ringing));
    world.rings(B).expect(&[]);
    world.answers(B, Some(answer(&bob()))).expect(&[]);
    let attends: Vec<_> =
        world.attending.values().map(|attends| (attends.room.to_string(), attends.to[0].codec)).collect();
    assert_eq!(attends, [("council".to_owned(), Codec::Pcmu)]);
    assert_eq!(world.remotes.values().map(|remote| remote.rtp.to_string()).collect::<Vec<_>>(), ["192.0.2.2:5000"]);
    assert_eq!(world.calls.summary(call(7)).map(|call| call.phase), Some(Phase::Talking));
    world.after(Duration::from_secs(30)).ends(B, 0).expect(&[]);
    check_over(&world);
    let cdr = world.the_record();
    assert_eq!((&*cdr.caller.user, &*cdr.dialled.user, cdr.ended_by), ("council", "300", Ender::Called));
    assert_eq!(
        (cdr.codec, cdr.status, cdr.end - cdr.answer.expect("answered")),
        (Some(Codec::Pcmu), 200, 30_000_000_000)
    );
    assert!(cdr.ring.is_some() && cdr.called_media.is_some() && cdr.caller_media.is_none());
}

#[test]
fn its_media_passes_through_us_also_where_that_of_others_need_not() {
    let mut world = world_in(MediaMode::Direct);
    invites(&mut world, "300").expect(&["out0 dial one/300 10.0.0.1:20000 sendrecv"]);
    world.answers(B, Some(answer(&bob())));
    assert_eq!(world.attending.len(), 1);
}

#[test]
fn the_next_one_is_called_when_one_does_not_answer() {
    let mut world = world();
    invites(&mut world, "100").expect(&["out0 dial one/100 10.0.0.1:20000 sendrecv"]);
    world.ends(B, 503).expect(&["out1 dial two/100 10.0.0.1:20002 sendrecv"]);
    world.rings(C).after(Duration::from_secs(20)).expect(&["out1 hangup 19"]);
    world.ends(C, 487);
    check_over(&world);
    let cdr = world.the_record();
    assert_eq!((cdr.attempts.len(), cdr.answer, cdr.ended_by), (2, None, Ender::Timer));
}

#[test]
fn of_several_the_first_that_answers_is_a_member() {
    let mut world = world();
    invites(&mut world, "200").forget_lines();
    world.rings(B).rings(C).answers(C, Some(answer(&carol()))).expect(&["out0 hangup 26"]);
    world.ends(B, 487);
    assert_eq!((members(&world), world.attending.len()), (1, 1));
    world.ends(C, 0);
    check_over(&world);
}

#[test]
fn an_answer_that_comes_early_is_the_one_that_holds() {
    let mut world = world();
    invites(&mut world, "300");
    world.early(B, &bob());
    assert_eq!(world.attending.len(), 0, "nobody has answered");
    world.answers(B, None);
    assert_eq!(world.attending.len(), 1);
}

#[test]
fn who_answers_without_sound_that_the_room_can_mix_is_hung_up() {
    let other_codec = sdp("192.0.2.2", 5000, "sendrecv").replace("RTP/AVP 0", "RTP/AVP 3");
    for wrong in [None, Some(answer(&other_codec))] {
        let mut world = world();
        invites(&mut world, "300").forget_lines();
        world.answers(B, wrong).expect(&["out0 hangup 88"]);
        world.ends(B, 0);
        check_over(&world);
    }
}

#[test]
fn an_operator_ends_it_while_it_rings_and_while_they_talk() {
    for answers in [false, true] {
        let mut world = world();
        invites(&mut world, "300").rings(B).forget_lines();
        if answers {
            world.answers(B, Some(answer(&bob()))).forget_lines();
        }
        world
            .command(Command::Hangup { call: call(7), cause: Cause::NORMAL, by: Ender::Operator })
            .expect(&["out0 hangup 16"]);
        world.ends(B, 0);
        check_over(&world);
        assert_eq!(world.the_record().ended_by, Ender::Operator);
    }
}

#[test]
fn a_room_that_is_full_or_gone_and_an_exchange_that_drains_call_nobody() {
    let check = |world: &mut World, invite: Invite, expected: NotAdmitted| {
        world.command(Command::Invite(Box::new(invite))).expect(&[]);
        let why = world.notes.iter().rev().find_map(|note| match note {
            Note::NotAdmitted { why, .. } => Some(*why),
            _ => None,
        });
        assert_eq!(why, Some(expected));
    };
    let mut world = world();
    check(&mut world, Invite { room: "attic".into(), ..invite("300") }, NotAdmitted::NoPlace { status: 404 });
    for number in 1..=3 {
        world.command(Command::Invite(Box::new(Invite { call: call(number), ..invite("300") })));
    }
    world.forget_lines();
    check(&mut world, invite("300"), NotAdmitted::NoPlace { status: 486 });
    assert_eq!((members(&world), world.calls.len()), (3, 3));
    world.command(Command::Drain);
    check(&mut world, invite("300"), NotAdmitted::Draining);
}

#[test]
fn nobody_is_called_where_the_exchange_answers_by_itself_or_the_dial_plan_knows_no_way() {
    let mut world = world();
    invites(&mut world, "5000").expect(&[]);
    check_over(&world);
    assert_eq!(world.the_record().answer, None);
    invites(&mut world, "carol").expect(&["locate carol@pbx"]);
    world.found(&[]).expect(&[]);
    check_over(&world);
}

#[test]
fn a_member_that_was_called_puts_the_room_on_hold_and_comes_back() {
    let mut world = world();
    invites(&mut world, "300").answers(B, Some(answer(&bob()))).forget_lines();
    world.offers(B, Some(&sdp("192.0.2.2", 5000, "sendonly")));
    world.expect(&["out0 answer-offer answer:10.0.0.1:20000 recvonly"]);
    world.offers(B, Some(&sdp("192.0.2.2", 5000, "sendrecv")));
    world.expect(&["out0 answer-offer answer:10.0.0.1:20000 sendrecv"]);
    assert_eq!(world.attending.len(), 1);
}

#[test]
fn who_is_called_while_the_call_goes_elsewhere_is_a_member_there() {
    let mut world = world();
    invites(&mut world, "300").rings(B).forget_lines();
    let snapshot = world.export().expect("nothing is being waited for");
    let text = serde_json::to_string(&snapshot).expect("a snapshot is serialisable");
    assert!(world.calls.forget(call(7)) && members(&world) == 0);
    let mut other = world_in(MediaMode::Relay);
    other.now = world.now;
    other.records = std::mem::take(&mut world.records);
    let snapshot = serde_json::from_str(&text).expect("and back");
    other.calls.import(other.now, snapshot).expect("there is room");
    other.drain();
    assert_eq!(members(&other), 1);
    other.answers(B, Some(answer(&bob()))).expect(&[]);
    assert_eq!(other.attending.len(), 1);
    other.ends(B, 0);
    check_over(&other);
}

#[test]
fn the_room_hears_what_is_said_of_who_comes_in() {
    let mut world = world();
    let invite = Invite { arrival: Some("safety.wav".into()), ..invite("300") };
    world.command(Command::Invite(Box::new(invite)));
    world.rings(B).answers(B, Some(answer(&bob())));
    let joined: Vec<_> = world.attending.values().map(|attends| attends.sounds.joined.clone()).collect();
    assert_eq!(joined, [Some("safety.wav".into())]);
}
