//! Who speaks, who is in front, and who is heard when not all can be.

use crate::{Party, Voice, silence, tone};
use sx_codec::listen;
use sx_mix::{Gain, MemberId, MemberSettings, Rate, Role, RoomEvent, RoomSettings, SILENCE_DBOV};

const RATE: Rate = Rate::Hz8000;

/// Something like speech: syllables of 160 ms and pauses of 60 ms, and a sentence is followed by 0.3 s.
fn speech(hz: f64, amplitude: f64) -> Voice {
    let mut voice = tone(hz, amplitude, RATE);
    let mut frame = 0;
    Box::new(move |samples| {
        frame += 1;
        let quiet = frame % 11 >= 8 || frame % 100 >= 85;
        let scale = if quiet { 300 } else { 1 };
        voice(samples).into_iter().map(|sample| sample / scale).collect()
    })
}

/// Noise of a line, about -65 dBov.
fn noise() -> Voice {
    let mut seed = 1u32;
    Box::new(move |samples| {
        (0..samples)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 16) as i16 / 1_000
            })
            .collect()
    })
}

fn party(members: u64) -> Party {
    let mut party = Party::new(RoomSettings::default());
    for id in 1..=members {
        party.join(id, RATE, noise());
    }
    party.run(50);
    party
}

#[test]
fn whoever_speaks_is_told_once_and_so_is_its_end() {
    let mut party = party(3);
    assert!(party.events.is_empty() && party.room.dominant().is_none());
    party.say(2, speech(300.0, 6_000.0));
    party.run(200);
    let speaking = RoomEvent::Speaking(MemberId(2));
    assert_eq!(party.events, [speaking, RoomEvent::Dominant(Some(MemberId(2)))]);
    assert!(party.room.speaking(MemberId(2)) && !party.room.speaking(MemberId(1)));
    party.forget();
    party.say(2, noise());
    party.run(100);
    assert_eq!(party.events, [RoomEvent::Quiet(MemberId(2))]);
    assert_eq!(party.room.dominant(), Some(MemberId(2)), "nobody has taken its place");
}

#[test]
fn a_cough_is_heard_and_makes_no_speaker() {
    let mut party = party(2);
    party.forget();
    party.say(1, tone(300.0, 20_000.0, RATE));
    party.run(4);
    party.say(1, silence());
    party.run(50);
    assert!(party.events.is_empty(), "{:?}", party.events);
    assert!(party.heard(2).iter().any(|sample| *sample > 19_000));
}

#[test]
fn the_conversation_goes_from_one_to_the_other() {
    let mut party = party(3);
    let mut turns = Vec::new();
    for id in [1, 2, 3, 1] {
        party.say(id, speech(200.0 + 100.0 * id as f64, 5_000.0));
        party.run(150);
        party.say(id, noise());
        party.run(10);
        turns.push(party.room.dominant());
    }
    assert_eq!(turns, [1, 2, 3, 1].map(|id| Some(MemberId(id))));
    let changes = party.events.iter().filter(|event| matches!(event, RoomEvent::Dominant(_)));
    assert_eq!(changes.count(), 4, "{:?}", party.events);
}

#[test]
fn who_is_in_front_stays_there_while_others_interject() {
    let mut party = party(3);
    party.say(1, speech(300.0, 4_000.0));
    party.run(100);
    for _ in 0..5 {
        party.say(2, tone(500.0, 16_000.0, RATE));
        party.run(15);
        party.say(2, noise());
        party.run(60);
        assert_eq!(party.room.dominant(), Some(MemberId(1)));
    }
    party.leave(1);
    party.run(1);
    assert_eq!(party.room.dominant(), None);
    assert_eq!(party.events.last(), Some(&RoomEvent::Dominant(None)));
    party.say(3, speech(300.0, 4_000.0));
    party.run(30);
    assert_eq!(party.room.dominant(), Some(MemberId(3)));
}

#[test]
fn noise_is_not_heard_and_a_muted_member_does_not_speak() {
    let mut party = party(2);
    party.forget();
    party.run(20);
    assert!(party.heard(2).iter().all(|sample| *sample == 0));
    party.room.set_muted(MemberId(1), true).expect("a member");
    party.say(1, speech(300.0, 6_000.0));
    party.run(50);
    assert!(party.events.is_empty() && !party.room.speaking(MemberId(1)));
    assert!(party.room.level_dbov(MemberId(1)).expect("a member") > -25.0, "its meter moves nevertheless");
    party.room.set_muted(MemberId(1), false).expect("a member");
    party.run(30);
    assert!(party.room.speaking(MemberId(1)));
    party.room.set_muted(MemberId(1), true).expect("a member");
    party.run(1);
    assert_eq!(party.events.last(), Some(&RoomEvent::Quiet(MemberId(1))));
}

#[test]
fn meters_show_the_level() {
    let mut party = party(2);
    party.say(1, tone(300.0, 32_767.0, RATE));
    party.say(2, Box::new(|_| Vec::new()));
    party.run(100);
    let level = |id| party.room.level_dbov(MemberId(id));
    assert!((level(1).expect("a member") + 3.01).abs() < 0.05, "{:?}", level(1));
    assert!((level(2).expect("a member") - SILENCE_DBOV).abs() < 0.1 && level(3).is_none());
}

fn heard_of(party: &mut Party, listener: u64, speakers: u64) -> Vec<u64> {
    party.forget();
    party.run(20);
    let heard = party.heard(listener);
    (1..=speakers).filter(|id| listen(&heard, [300.0 * *id as f64])[0].dbm0 > -40.0).collect()
}

#[test]
fn the_loudest_are_heard_when_not_all_can_be() {
    let mut party = Party::new(RoomSettings { speakers_max: 2, ..RoomSettings::default() });
    for id in 1..=4 {
        party.join(id, RATE, tone(300.0 * id as f64, 1_000.0 * id as f64, RATE));
    }
    party.join(5, RATE, silence());
    party.run(50);
    assert_eq!(heard_of(&mut party, 5, 4), [3, 4]);
    assert_eq!(heard_of(&mut party, 4, 4), [3]);
    // A little louder is not loud enough to take somebody's place; a gain counts.
    party.room.set_gain(MemberId(2), Gain::from_db(6.0)).expect("a member");
    party.run(50);
    assert_eq!(heard_of(&mut party, 5, 4), [3, 4]);
    party.room.set_gain(MemberId(2), Gain::from_db(12.0)).expect("a member");
    party.run(50);
    assert_eq!(heard_of(&mut party, 5, 4), [2, 4]);
    party.room.set_role(MemberId(1), Role::Moderator).expect("a member");
    party.run(5);
    assert_eq!(heard_of(&mut party, 5, 4), [1, 2]);
}

#[test]
fn speakers_of_equal_level_do_not_take_turns_by_the_frame() {
    let mut party = Party::new(RoomSettings { speakers_max: 1, ..RoomSettings::default() });
    party.join_as(1, MemberSettings::new(RATE), speech(300.0, 6_000.0));
    party.run(7);
    party.join_as(2, MemberSettings::new(RATE), speech(600.0, 6_000.0));
    party.join(3, RATE, silence());
    let mut changes = 0;
    let mut last = Vec::new();
    for _ in 0..100 {
        party.forget();
        party.run(2);
        let heard = party.heard(3);
        let now: Vec<bool> = [300.0, 600.0].iter().map(|hz| listen(&heard, [*hz])[0].dbm0 > -30.0).collect();
        if now.contains(&true) && now != last {
            changes += 1;
            last = now;
        }
    }
    assert!((2..8).contains(&changes), "{changes} in 4 s, which are two sentences of each");
}
