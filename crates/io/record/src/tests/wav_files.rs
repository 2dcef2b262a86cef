//! What stands in WAV files and their side-cars.

use super::{
    BEGAN, FRAME, check_files, ended, mixed, push_frames, read_wav, record, record_on, runs, settings, side_car,
};
use crate::recording::Recording;
use crate::sink::on_disk;
use crate::{
    Container, Layout, Party, PauseError, Recorder, RecorderLimits, RecordingHandle, RecordingSettings, SampleRate,
    StartError, Tracks, verify,
};
use std::fs;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

const SECOND: usize = 8_000;

#[test]
fn each_party_is_where_the_layout_has_it() {
    for (tracks, expected) in [
        (Tracks::Together(Layout::Mixed), vec![("call.wav", 1, [(70, SECOND)].to_vec())]),
        (
            Tracks::PerLeg,
            vec![("call-caller.wav", 1, vec![(100, SECOND)]), ("call-callee.wav", 1, vec![(-30, SECOND)])],
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let outcome =
            record(settings(folder.path(), tracks, Container::Wav), |handle| push_frames(handle, 0..50, 100, -30));
        assert!(outcome.error.is_none() && outcome.duration_ms == 1_000, "{outcome:?}");
        for ((name, channels, samples), file) in expected.iter().zip(&outcome.files) {
            let (found_channels, hz, found) = read_wav(&folder.path().join(&file.name));
            assert_eq!(
                (file.name.as_str(), found_channels, hz, runs(&found)),
                (*name, *channels, 8_000, samples.clone())
            );
        }
        check_files(folder.path(), &outcome);
    }
}

#[test]
fn stereo_has_a_party_a_channel_at_every_rate() {
    for rate in [SampleRate::Hz8000, SampleRate::Hz16000, SampleRate::Hz48000] {
        let folder = tempfile::tempdir().expect("a folder");
        let stereo = settings(folder.path(), Tracks::Together(Layout::Stereo), Container::Wav);
        let frame = rate.hz() as usize / 50;
        let outcome = record(RecordingSettings { rate, ..stereo }, |handle| {
            handle.push(Party::Caller, 0, &vec![1; frame]);
            handle.push(Party::Callee, 0, &vec![2; frame]);
        });
        let (channels, hz, samples) = read_wav(&folder.path().join("call.wav"));
        assert_eq!((channels, hz, outcome.duration_ms), (2, rate.hz(), 20));
        assert_eq!(samples, [1, 2].repeat(frame));
    }
}

#[test]
fn a_sum_that_is_too_loud_is_clipped() {
    let folder = tempfile::tempdir().expect("a folder");
    record(mixed(folder.path()), |handle| push_frames(handle, 0..1, 30_000, 30_000));
    assert_eq!(runs(&read_wav(&folder.path().join("call.wav")).2), [(i16::MAX, FRAME as usize)]);
}

#[test]
fn a_file_that_was_cut_by_a_crash_is_read_up_to_the_last_second() {
    let folder = tempfile::tempdir().expect("a folder");
    let create = on_disk();
    let mut recording =
        Recording::open(mixed(folder.path()), Arc::default(), u32::MAX, &create).map_err(drop).expect("files");
    for frame in 0..125 {
        for party in [Party::Caller, Party::Callee] {
            recording.frame(party, frame * FRAME, &[5; FRAME as usize], &create).expect("room");
        }
    }
    // Neither closed nor dropped in order: what the disk has now is what a crash leaves.
    let part = folder.path().join("call.wav.part");
    assert_eq!(runs(&read_wav(&part).2), [(10, 2 * SECOND)]);
    // And when the file is longer or shorter than its lengths say, the samples are where they were.
    let bytes = fs::read(&part).expect("it is there");
    let cut = &bytes[..44 + 3_000];
    assert!(cut[44..].chunks(2).all(|sample| sample == [10, 0]));
    std::mem::forget(recording);
}

#[test]
fn a_pause_cuts_time_out_and_is_noted() {
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = record(mixed(folder.path()), |handle| {
        push_frames(handle, 0..50, 1, 0);
        handle.pause(50 * FRAME, "card number", Some("consent-4711")).expect("it goes on");
        assert_eq!(handle.pause(51 * FRAME, "", None), Err(PauseError::AsBefore));
        push_frames(handle, 50..150, 99, 99);
        handle.resume(150 * FRAME).expect("it is paused");
        assert_eq!(handle.resume(150 * FRAME), Err(PauseError::AsBefore));
        push_frames(handle, 150..175, 2, 0);
    });
    assert_eq!(runs(&read_wav(&folder.path().join("call.wav")).2), [(1, SECOND), (2, SECOND / 2)]);
    assert_eq!(outcome.duration_ms, 1_500);
    let [pause] = &outcome.pauses[..] else { panic!("{outcome:?}") };
    assert_eq!((pause.offset_ms, pause.began), (1_000, BEGAN + Duration::from_secs(1)));
    assert_eq!(pause.ended, Some(BEGAN + Duration::from_secs(3)));
    let told = &side_car(folder.path())["pauses"][0];
    assert_eq!((&told["reason"], &told["consent"]), (&"card number".into(), &"consent-4711".into()));
    assert_eq!(told["ended"], "2027-01-15T08:00:03.000Z");
}

#[test]
fn what_was_handed_in_beyond_the_begin_of_a_pause_is_not_written() {
    let folder = tempfile::tempdir().expect("a folder");
    record(mixed(folder.path()), |handle| {
        handle.push(Party::Caller, 0, &[7; 1_000]);
        handle.pause(300, "card number", None).expect("it goes on");
    });
    assert_eq!(runs(&read_wav(&folder.path().join("call.wav")).2), [(7, 300)]);
}

#[test]
fn hours_without_sound_are_cut_and_half_a_minute_is_silence() {
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = record(mixed(folder.path()), |handle| {
        push_frames(handle, 0..1, 1, 0);
        push_frames(handle, 1_000..1_001, 2, 0);
        push_frames(handle, 1_000_000..1_000_001, 3, 0);
    });
    let frame = FRAME as usize;
    assert_eq!(
        runs(&read_wav(&folder.path().join("call.wav")).2),
        [(1, frame), (0, 999 * frame), (2, frame), (3, frame)]
    );
    assert_eq!(outcome.pauses[0].offset_ms, 20_020);
    assert_eq!(outcome.pauses[0].ended, Some(BEGAN + Duration::from_secs(20_000)));
}

#[test]
fn a_pause_that_found_no_room_ends_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    // A gap of 40 s before each frame but the first.
    let frame = |number: u64| number * 40 * SECOND as u64;
    let outcome = record(mixed(folder.path()), |handle| {
        for number in 0..=1_000 {
            handle.push(Party::Caller, frame(number), &[1; FRAME as usize]);
        }
        handle.pause(frame(1_000) + FRAME, "card number", None).expect("it goes on");
        handle.resume(frame(2_000)).expect("it is paused");
    });
    assert_eq!(outcome.pauses.len(), 1_000);
    let last = outcome.pauses.last().expect("a thousand");
    assert_eq!((&*last.reason, last.ended), ("no sound was handed in", Some(BEGAN + Duration::from_secs(40_000))));
}

#[test]
fn a_file_that_is_full_is_followed_by_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = RecorderLimits { part_bytes_max: 44 + 20_000, ..RecorderLimits::default() };
    let outcome = record_on(&on_disk(), limits, mixed(folder.path()), |handle| push_frames(handle, 0..150, 3, 0));
    let names: Vec<_> = outcome.files.iter().map(|file| (file.name.as_str(), file.bytes, file.duration_ms)).collect();
    let expected = [("call.wav", 20_044, 1_250), ("call-2.wav", 20_044, 1_250), ("call-3.wav", 8_044, 500)];
    assert_eq!((names.as_slice(), outcome.duration_ms), (&expected[..], 3_000));
    let samples: usize = expected.iter().map(|(name, ..)| read_wav(&folder.path().join(name)).2.len()).sum();
    assert_eq!(samples, 3 * SECOND);
    check_files(folder.path(), &outcome);
    assert!(verify(&folder.path().join("call-3.wav")).expect("a side-car")[0].intact);
}

#[test]
fn a_file_that_was_changed_is_not_intact() {
    let folder = tempfile::tempdir().expect("a folder");
    record(settings(folder.path(), Tracks::PerLeg, Container::Wav), |handle| push_frames(handle, 0..50, 1, 2));
    let all = || verify(&folder.path().join("call.json")).expect("a side-car");
    assert!(all().len() == 2 && all().iter().all(|file| file.intact));
    let changed = folder.path().join("call-callee.wav");
    let mut bytes = fs::read(&changed).expect("it is there");
    bytes[1_000] ^= 1;
    fs::write(&changed, bytes).expect("room");
    assert_eq!(all().iter().map(|file| file.intact).collect::<Vec<_>>(), [true, false]);
    fs::remove_file(&changed).expect("it is there");
    assert_eq!(all()[1].sha256, None);
    assert!(verify(&folder.path().join("other.wav")).is_err());
}

#[test]
fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    record(mixed(folder.path()), |handle| push_frames(handle, 0..1, 1, 0));
    // Neither its file nor, where the files have other names, its side-car.
    for again in [mixed(folder.path()), settings(folder.path(), Tracks::PerLeg, Container::Wav)] {
        let outcome = record(again, |handle| push_frames(handle, 0..1, 2, 0));
        assert!(outcome.files.is_empty());
        check_files(folder.path(), &outcome);
        let error = outcome.error.expect("the name is taken").to_string();
        assert!(error.contains("nothing is overwritten"), "{error}");
    }
    assert_eq!(runs(&read_wav(&folder.path().join("call.wav")).2), [(1, FRAME as usize)]);
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 2);
    // Nor is a file that somebody else has put there.
    let other = tempfile::tempdir().expect("a folder");
    fs::write(other.path().join("call.wav"), "mine").expect("room");
    let outcome = record(mixed(other.path()), |handle| push_frames(handle, 0..1, 2, 0));
    check_files(other.path(), &outcome);
    assert_eq!(fs::read(other.path().join("call.wav")).expect("it is there"), b"mine");
}

#[test]
fn a_name_leads_nowhere_else_and_no_more_than_so_many_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = RecorderLimits { recordings_max: 1, ..RecorderLimits::default() };
    let (mut recorder, ends) = Recorder::start(limits).expect("threads");
    for name in ["", "../up", ".hidden", "a/b", "a b", &"n".repeat(129)] {
        let error = recorder.open(RecordingSettings { name: name.to_owned(), ..mixed(folder.path()) });
        assert_eq!(error.expect_err("no name"), StartError::Name(name.to_owned()));
    }
    let first = recorder.open(mixed(folder.path())).expect("the first");
    let second = || RecordingSettings { name: "second".to_owned(), ..mixed(folder.path()) };
    assert_eq!(recorder.open(second()).expect_err("the second"), StartError::TooMany(1));
    first.close();
    ended(&ends);
    recorder.open(second()).expect("the first has ended");
}

#[test]
fn several_threads_write_and_each_recording_stays_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = RecorderLimits { threads: NonZero::new(3).expect("three"), ..RecorderLimits::default() };
    let (mut recorder, ends) = Recorder::start(limits).expect("threads");
    let named = |number: i16| RecordingSettings { name: format!("call-{number}"), ..mixed(folder.path()) };
    let mut handles: Vec<_> = (1..=7).map(|number| recorder.open(named(number)).expect("there is room")).collect();
    for frame in 0..50 {
        for (handle, value) in handles.iter_mut().zip(1_i16..) {
            push_frames(handle, frame..frame + 1, 100 * value, 0);
        }
    }
    handles.into_iter().for_each(RecordingHandle::close);
    let ids: std::collections::BTreeSet<_> = (0..7).map(|_| ended(&ends).id).collect();
    assert_eq!(ids.len(), 7, "each ends once");
    for number in 1..=7_i16 {
        let (.., samples) = read_wav(&folder.path().join(format!("call-{number}.wav")));
        assert_eq!(runs(&samples), [(100 * number, 50 * FRAME as usize)]);
    }
}
