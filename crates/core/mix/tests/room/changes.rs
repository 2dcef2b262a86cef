//! What is changed is heard, and its changing is not.

use crate::{Party, Voice, largest_step, nothing, silence, tone};
use proptest::prelude::*;
use sx_codec::{level_dbm0, listen};
use sx_mix::{
    Gain, HeardBy, JoinError, MemberId, MemberSettings, Rate, Role, RoomSettings, SOURCES_MAX, SourceId, SourceSettings,
};

const RATE: Rate = Rate::Hz8000;
/// A tone whose own steps are at most 2π · 200 / 8,000 of its amplitude.
const LOW_HZ: f64 = 200.0;
const AMPLITUDE: f64 = 8_000.0;
/// The steps of that tone, and those that a change over 5 ms adds: the amplitude in 40 samples.
const STEP_MAX: i32 = 1_256 + 200 + 8;

fn low() -> Voice {
    tone(LOW_HZ, AMPLITUDE, RATE)
}

/// One who speaks, one who listens, another who does.
fn party() -> Party {
    let mut party = Party::new(RoomSettings { removes_constant: false, ..RoomSettings::default() });
    party.join(1, RATE, low());
    party.join(2, RATE, nothing());
    party.join(3, RATE, silence());
    // Not a whole number of periods: 20 ms are four.
    party.voices.get_mut(&MemberId(1)).expect("a member").1(13);
    party.run(10);
    party
}

/// A change silences the first member for the second one, without a click, and for the third one as is said.
fn check_silences(party: &mut Party, for_third_too: bool, change: impl FnOnce(&mut Party)) {
    party.forget();
    party.run(3);
    change(party);
    party.run(4);
    let heard = party.heard(2);
    assert!(largest_step(&heard) <= STEP_MAX, "{}", largest_step(&heard));
    assert!(level_dbm0(&heard[..480]) > -11.0);
    assert!(heard[480 + 40..].iter().all(|sample| *sample == 0));
    let third = party.heard(3);
    assert_eq!(level_dbm0(&third[480 + 160..]) < -60.0, for_third_too);
    assert!(largest_step(&third) <= STEP_MAX, "{}", largest_step(&third));
}

/// A change lets the second member hear the first one again, without a click.
fn check_is_heard(party: &mut Party, change: impl FnOnce(&mut Party)) {
    party.forget();
    party.run(3);
    change(party);
    party.run(4);
    let heard = party.heard(2);
    assert!(heard[..480].iter().all(|sample| *sample == 0));
    assert!(largest_step(&heard) <= STEP_MAX, "{}", largest_step(&heard));
    assert!(listen(&heard[640..], [LOW_HZ])[0].share > 0.99 && level_dbm0(&heard[640..]) > -11.0);
}

#[test]
fn a_member_can_be_muted() {
    let mut party = party();
    check_silences(&mut party, true, |party| party.room.set_muted(MemberId(1), true).expect("a member"));
    check_is_heard(&mut party, |party| party.room.set_muted(MemberId(1), false).expect("a member"));
}

#[test]
fn a_member_can_be_deaf() {
    let mut party = party();
    check_silences(&mut party, false, |party| party.room.set_deaf(MemberId(2), true).expect("a member"));
    check_is_heard(&mut party, |party| party.room.set_deaf(MemberId(2), false).expect("a member"));
}

#[test]
fn a_member_can_whisper() {
    let mut party = party();
    check_silences(&mut party, false, |party| party.room.whisper(MemberId(1), &[MemberId(3)]).expect("a member"));
    party.say(2, tone(1_500.0, 3_000.0, RATE));
    party.forget();
    party.run(10);
    // Who whispers hears the room, and whoever it whispers to hears both.
    assert!(listen(&party.heard(1)[160..], [1_500.0])[0].share > 0.99);
    let [low, other] = listen(&party.heard(3)[160..], [LOW_HZ, 1_500.0]);
    assert!(low.share > 0.8 && other.share > 0.1, "{low:?} {other:?}");
    party.say(2, nothing());
    party.run(25);
    check_is_heard(&mut party, |party| party.room.end_whisper(MemberId(1)).expect("a member"));
}

#[test]
fn a_whisper_is_not_for_those_who_come_later_with_the_same_id() {
    let mut party = party();
    party.room.whisper(MemberId(1), &[MemberId(3), MemberId(4)]).expect("a member");
    party.run(5);
    party.leave(3);
    party.join(3, RATE, nothing());
    party.join(4, RATE, nothing());
    party.forget();
    party.run(20);
    for id in 2..=4 {
        assert!(party.heard(id).iter().all(|sample| *sample == 0), "{id}");
    }
}

#[test]
fn a_member_can_leave_and_come_back_and_break_off() {
    let mut party = party();
    check_silences(&mut party, true, |party| party.leave(1));
    check_is_heard(&mut party, |party| party.join(1, RATE, low()));
    check_silences(&mut party, true, |party| party.say(1, nothing()));
    check_is_heard(&mut party, |party| party.say(1, low()));
}

#[test]
fn a_member_can_come_into_the_middle_of_a_word() {
    let mut party = party();
    party.join(4, RATE, nothing());
    party.run(3);
    let heard = party.heard(4);
    assert!(heard[0].abs() < 300 && largest_step(&heard) <= STEP_MAX);
    assert!(heard[40..] == party.heard(2)[10 * 160 + 40..]);
}

#[test]
fn who_comes_in_as_all_others_go_hears_the_end_of_a_word() {
    let mut party = party();
    (1..=3).for_each(|id| party.leave(id));
    party.join(4, RATE, nothing());
    party.run(1);
    let heard = party.heard(4);
    assert!(heard.iter().any(|sample| *sample != 0) && largest_step(&heard) <= STEP_MAX);
}

#[test]
fn a_gain_is_heard_and_its_change_is_not() {
    let mut party = party();
    party.forget();
    party.run(10);
    let before = level_dbm0(&party.heard(2));
    for db in [-6.0, -20.0, 6.0, 0.0] {
        party.room.set_gain(MemberId(1), Gain::from_db(db)).expect("a member");
        party.run(11);
        let heard = party.heard(2);
        assert!((level_dbm0(&heard[160..]) - before - f64::from(db)).abs() < 0.05);
        assert!(largest_step(&heard) <= 2 * STEP_MAX);
    }
    // From nothing to something and back, the tail too has its gain.
    party.room.set_gain(MemberId(1), Gain::from_db(-20.0)).expect("a member");
    party.run(5);
    party.forget();
    party.leave(1);
    party.run(1);
    let heard = party.heard(2);
    assert!(heard.iter().all(|sample| sample.abs() <= 800) && heard[0] != 0);
}

#[test]
fn all_but_moderators_are_muted_at_once() {
    let mut party = party();
    let moderator = MemberSettings { role: Role::Moderator, ..MemberSettings::new(RATE) };
    party.join_as(9, moderator, tone(1_500.0, 4_000.0, RATE));
    party.room.mute_all();
    party.run(5);
    party.forget();
    party.run(20);
    let [low, moderator] = listen(&party.heard(2), [LOW_HZ, 1_500.0]);
    assert!(low.share < 0.001 && moderator.share > 0.99);
}

#[test]
fn what_is_too_much_is_turned_down_and_not_clipped() {
    let mut party = Party::new(RoomSettings::default());
    for id in 0..6 {
        party.join(id, RATE, tone(300.0 + 400.0 * id as f64, 16_000.0, RATE));
    }
    party.join(9, RATE, nothing());
    party.run(10);
    party.forget();
    party.run(50);
    let heard = party.heard(9);
    let tones = listen(&heard, [300.0, 700.0, 1_100.0, 1_500.0, 1_900.0, 2_300.0]);
    // What is clipped or wrapped becomes something else.
    let share: f64 = tones.iter().map(|tone| tone.share).sum();
    assert!(share > 0.995, "{share}: {tones:?}");
    let peak = heard.iter().map(|sample| i32::from(*sample).abs()).max().expect("samples");
    assert!((30_000..=32_767).contains(&peak), "{peak}");
    // When there is room again, it is as loud as it was said.
    for id in 1..6 {
        party.leave(id);
    }
    party.run(30);
    party.forget();
    party.run(20);
    let alone = level_dbm0(&tone(300.0, 16_000.0, RATE)(3_200));
    assert!((level_dbm0(&party.heard(9)) - alone).abs() < 0.05);
}

#[test]
fn a_constant_part_is_left_out() {
    let biased = || -> Voice {
        let mut low = low();
        Box::new(move |samples| low(samples).into_iter().map(|sample| sample + 2_000).collect())
    };
    let mut party = Party::new(RoomSettings::default());
    party.join(1, RATE, biased());
    party.join(2, Rate::Hz16000, nothing());
    party.run(200);
    party.forget();
    party.run(50);
    let heard = party.heard(2);
    let mean = heard.iter().map(|sample| f64::from(*sample)).sum::<f64>() / heard.len() as f64;
    assert!(mean.abs() < 10.0, "{mean}");
    // A constant is no voice.
    party.say(1, Box::new(|samples| vec![2_000; samples]));
    party.run(30);
    party.forget();
    party.run(5);
    assert!(party.heard(2).iter().all(|sample| *sample == 0));
}

fn source(rate: Rate, heard_by: HeardBy) -> SourceSettings {
    SourceSettings { rate, gain: Gain::UNITY, heard_by }
}

#[test]
fn who_is_alone_hears_music() {
    let mut party = Party::new(RoomSettings::default());
    party.room.add_source(SourceId(1), source(Rate::Hz16000, HeardBy::Lonely)).expect("there is room");
    party.sources.insert(SourceId(1), (Rate::Hz16000, tone(LOW_HZ, AMPLITUDE, Rate::Hz16000)));
    party.join(2, RATE, nothing());
    party.run(5);
    party.forget();
    party.run(3);
    party.join(3, RATE, nothing());
    party.run(4);
    let heard = party.heard(2);
    assert!(listen(&heard[..480], [LOW_HZ])[0].share > 0.99);
    assert!(heard[520..].iter().all(|sample| *sample == 0) && largest_step(&heard) <= STEP_MAX);
    assert!(party.heard(3).iter().all(|sample| *sample == 0));
    party.leave(3);
    check_is_heard_source(&mut party);
    party.room.remove_source(SourceId(1)).expect("a source");
    party.sources.clear();
    party.run(4);
    let heard = party.heard(2);
    assert!(largest_step(&heard) <= STEP_MAX && heard[40..].iter().all(|sample| *sample == 0));
}

fn check_is_heard_source(party: &mut Party) {
    party.forget();
    party.run(5);
    let heard = party.heard(2);
    assert!(listen(&heard[160..], [LOW_HZ])[0].share > 0.99 && largest_step(&heard) <= STEP_MAX);
}

#[test]
fn a_prompt_is_for_all_or_for_one() {
    let mut party = party();
    party.say(1, nothing());
    party.run(30);
    for (heard_by, others) in [(HeardBy::Everybody, true), (HeardBy::Only(vec![MemberId(2), MemberId(7)]), false)] {
        party.room.add_source(SourceId(5), source(RATE, heard_by)).expect("there is room");
        party.room.set_source_gain(SourceId(5), Gain::from_db(-6.0)).expect("a source");
        party.sources.insert(SourceId(5), (RATE, tone(1_000.0, AMPLITUDE, RATE)));
        party.join(7, RATE, nothing());
        party.forget();
        party.run(10);
        let expected = level_dbm0(&tone(1_000.0, AMPLITUDE, RATE)(1_600)) - 6.0;
        assert!((level_dbm0(&party.heard(2)[160..]) - expected).abs() < 0.1);
        assert_eq!(listen(&party.heard(3), [1_000.0])[0].share > 0.9, others);
        assert_eq!(listen(&party.heard(7), [1_000.0])[0].share > 0.9, others, "it came later");
        assert!(party.events.is_empty(), "a prompt is no speaker");
        party.room.remove_source(SourceId(5)).expect("a source");
        party.sources.clear();
        party.leave(7);
        party.run(2);
    }
    for id in 0..SOURCES_MAX as u64 {
        party.room.add_source(SourceId(id), source(RATE, HeardBy::Everybody)).expect("there is room");
    }
    let taken = party.room.add_source(SourceId(0), source(RATE, HeardBy::Everybody));
    let full = party.room.add_source(SourceId(99), source(RATE, HeardBy::Everybody));
    assert_eq!((taken, full), (Err(JoinError::Taken), Err(JoinError::Full(SOURCES_MAX))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever is done and in whatever order, also at other rates, there is no step that is none of the voice's own.
    #[test]
    fn nothing_clicks(
        rate in prop::sample::select(Rate::ALL.to_vec()),
        doings in proptest::collection::vec((0..10u8, 1..4usize), 1..20),
    ) {
        let mut party = party();
        party.leave(1);
        party.join(1, rate, tone(LOW_HZ, AMPLITUDE, rate));
        party.forget();
        for (doing, ticks) in doings {
            let (room, talker) = (&mut party.room, MemberId(1));
            match doing {
                0 => room.set_muted(talker, true).expect("a member"),
                1 => room.set_muted(talker, false).expect("a member"),
                2 => room.set_deaf(MemberId(2), true).expect("a member"),
                3 => room.set_deaf(MemberId(2), false).expect("a member"),
                4 => room.whisper(talker, &[MemberId(3)]).expect("a member"),
                5 => room.end_whisper(talker).expect("a member"),
                6 => room.set_gain(talker, Gain::from_db(-10.0)).expect("a member"),
                7 => room.set_gain(talker, Gain::UNITY).expect("a member"),
                8 => {
                    party.leave(1);
                    party.run(ticks - 1);
                    party.join(1, rate, tone(LOW_HZ, AMPLITUDE, rate));
                }
                _ => party.say(1, nothing()),
            }
            party.run(ticks);
            if doing == 9 {
                party.say(1, tone(LOW_HZ, AMPLITUDE, rate));
            }
        }
        for id in [2, 3] {
            let heard = party.heard(id);
            // Twice the ramp, where two things change at once.
            prop_assert!(largest_step(&heard) <= STEP_MAX + 200, "{id}: {}", largest_step(&heard));
        }
    }
}
