//! Everybody hears all others, and not itself.

use crate::{Party, nothing, silence, tone};
use sx_codec::{Resampler, level_dbm0, listen};
use sx_mix::{FrameError, JoinError, MemberId, MemberSettings, MixKind, Rate, Role, Room, RoomSettings};

/// Of an amplitude that 25 of them have room in full scale, apart by more than a window of listening tells.
const AMPLITUDE: f64 = 1_300.0;

fn hz(member: u64) -> f64 {
    200.0 + 125.0 * member as f64
}

/// At 8 kHz, where listening is done.
fn narrow(samples: &[i16], rate: Rate) -> Vec<i16> {
    let mut out = Vec::new();
    Resampler::new(rate.hz(), 8_000).expect("known rates").process(samples, &mut out);
    out
}

fn check_everybody_hears_the_others(rates: &[Rate]) {
    let mut party = Party::new(RoomSettings::default());
    let members = rates.len() as u64;
    for (id, rate) in (0..members).zip(rates) {
        party.join(id, *rate, tone(hz(id), AMPLITUDE, *rate));
    }
    party.run(10);
    party.forget();
    party.run(50);
    assert_eq!(party.mixes, rates.len());
    let level = level_dbm0(&narrow(&tone(1_000.0, AMPLITUDE, Rate::Hz8000)(8_000), Rate::Hz8000));
    for (id, rate) in (0..members).zip(rates) {
        let heard = narrow(&party.heard(id), *rate).split_off(800);
        for other in 0..members {
            let [tone] = listen(&heard, [hz(other)]);
            if other == id {
                assert!(tone.dbm0 < level - 50.0, "{id} of {members} hears itself: {tone:?}");
            } else {
                assert!((tone.dbm0 - level).abs() < 0.2, "{id} of {members}, {other}: {tone:?} for {level}");
            }
        }
    }
}

#[test]
fn each_of_twelve_hears_the_other_eleven_and_not_itself() {
    for rate in Rate::ALL {
        check_everybody_hears_the_others(&[rate; 12]);
    }
}

#[test]
fn each_of_twentyfive_hears_the_other_twentyfour_and_not_itself() {
    check_everybody_hears_the_others(&[Rate::Hz8000; 25]);
    check_everybody_hears_the_others(&[Rate::Hz48000; 25]);
}

#[test]
fn members_of_all_rates_hear_each_other() {
    let rates: Vec<Rate> = Rate::ALL.into_iter().cycle().take(25).collect();
    check_everybody_hears_the_others(&rates);
}

#[test]
fn what_a_wideband_member_says_is_narrowband_only_for_narrowband_members() {
    let mut party = Party::new(RoomSettings::default());
    party.join(1, Rate::Hz48000, tone(6_000.0, 8_000.0, Rate::Hz48000));
    party.join(2, Rate::Hz16000, nothing());
    party.join(3, Rate::Hz8000, nothing());
    party.run(20);
    // At 16 kHz, played at half the speed, it is 3,000 Hz.
    let [wide] = listen(&party.heard(2)[1_600..], [3_000.0]);
    assert!(wide.share > 0.99 && wide.dbm0 > -10.0, "{wide:?}");
    assert!(level_dbm0(&party.heard(3)[800..]) < -60.0);
}

#[test]
fn what_was_said_before_a_pause_is_not_heard_after_it() {
    let settings = RoomSettings { gate_dbov: f32::NEG_INFINITY, removes_constant: false, ..RoomSettings::default() };
    let mut party = Party::new(settings);
    party.join(1, Rate::Hz8000, tone(440.0, 20_000.0, Rate::Hz8000));
    party.join(2, Rate::Hz16000, nothing());
    party.run(5);
    party.say(1, nothing());
    party.run(3);
    party.say(1, silence());
    party.forget();
    party.run(3);
    // At another rate what was said is still in a filter.
    assert!(party.heard(2).iter().all(|sample| *sample == 0));
}

#[test]
fn members_of_one_rate_hear_each_other_to_the_sample() {
    let settings = RoomSettings { removes_constant: false, ..RoomSettings::default() };
    let mut party = Party::new(settings);
    let voice = || tone(440.0, 9_000.0, Rate::Hz16000);
    party.join(1, Rate::Hz16000, voice());
    party.join(2, Rate::Hz16000, tone(700.0, 5_000.0, Rate::Hz16000));
    party.join(3, Rate::Hz8000, silence());
    party.run(10);
    assert!(party.heard(2)[320..] == voice()(3_200)[320..]);
}

#[test]
fn who_does_not_speak_shares_a_mix() {
    let mut room = Room::new(RoomSettings::default());
    for id in 0..25 {
        let rate = if id % 5 == 0 { Rate::Hz48000 } else { Rate::Hz8000 };
        room.join(MemberId(id), &MemberSettings::new(rate)).expect("there is room");
    }
    room.mix();
    let mut voices = [1, 2, 3].map(|id| (id, tone(hz(id), 5_000.0, Rate::Hz8000)));
    for _ in 0..5 {
        for (id, voice) in &mut voices {
            room.handle_frame(MemberId(*id), &voice(160)).expect("a frame");
        }
        let tick = room.mix();
        // The three, and the others at both rates.
        assert_eq!(tick.mixes().len(), 5);
        for (id, number) in tick.hearers() {
            let mix = tick.mix(number).expect("a mix");
            let speaks = (1..=3).contains(&id.0);
            assert_eq!(mix.kind, if speaks { MixKind::Particular } else { MixKind::Common });
            assert_eq!(mix.rate, if id.0 % 5 == 0 { Rate::Hz48000 } else { Rate::Hz8000 });
            assert_eq!((mix.samples.len(), mix.silent), (mix.rate.frame_samples(), false));
            assert_eq!(tick.mix_of(id), Some(number));
        }
        assert_eq!((tick.mix_of(MemberId(99)), tick.mix(5)), (None, None));
    }
    let tick = room.mix();
    assert_eq!(tick.mixes().len(), 5, "what they said dies away");
    let tick = room.mix();
    assert_eq!(tick.mixes().len(), 2, "nobody speaks: the same for all, at each rate");
    assert!(tick.mixes().all(|mix| mix.silent && mix.kind == MixKind::Common));
    assert!(tick.mixes().all(|mix| mix.samples.iter().all(|sample| *sample == 0)));
}

#[test]
fn a_room_takes_as_many_as_it_is_told_and_each_once() {
    let mut room = Room::new(RoomSettings { members_max: 2, ..RoomSettings::default() });
    let settings = MemberSettings::new(Rate::Hz8000);
    assert_eq!(room.join(MemberId(1), &settings), Ok(()));
    assert_eq!(room.join(MemberId(1), &settings), Err(JoinError::Taken));
    assert_eq!(room.join(MemberId(2), &settings), Ok(()));
    assert_eq!(room.join(MemberId(3), &settings), Err(JoinError::Full(2)));
    assert_eq!(room.members().collect::<Vec<_>>(), [MemberId(1), MemberId(2)]);
    room.leave(MemberId(1)).expect("a member");
    assert_eq!(room.join(MemberId(3), &settings), Ok(()));
    assert_eq!(room.handle_frame(MemberId(1), &[0; 160]), Err(FrameError::Absent));
    assert_eq!(room.handle_frame(MemberId(3), &[0; 80]), Err(FrameError::Length { wanted: 160, given: 80 }));
    assert!(room.leave(MemberId(1)).is_err() && room.set_muted(MemberId(1), true).is_err());
}

#[test]
fn a_listener_is_not_heard() {
    let mut party = Party::new(RoomSettings::default());
    let settings = MemberSettings { role: Role::Listener, ..MemberSettings::new(Rate::Hz8000) };
    party.join_as(1, settings, tone(440.0, 9_000.0, Rate::Hz8000));
    party.join(2, Rate::Hz8000, tone(700.0, 9_000.0, Rate::Hz8000));
    party.run(20);
    assert!(party.heard(2).iter().all(|sample| *sample == 0));
    assert!(listen(&party.heard(1)[160..], [700.0])[0].share > 0.99);
    party.room.set_role(MemberId(1), Role::Speaker).expect("a member");
    party.run(20);
    assert!(listen(&party.heard(2)[160..], [440.0])[0].share > 0.99);
}
