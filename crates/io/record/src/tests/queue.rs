//! The queue, and many recordings on one thread.

use super::small_disk::small_disk;
use super::{FRAME, ended, mixed, push_frames, read_wav, runs};
use crate::sink::{Create, StoredFile, on_disk};
use crate::{Handed, Party, Recorder, RecorderLimits, RecordingHandle, RecordingSettings};
use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

/// Tells of each write.
struct ToldFile {
    file: Box<dyn StoredFile>,
    told: Sender<usize>,
}

impl StoredFile for ToldFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)?;
        self.told.send(bytes.len()).map_err(io::Error::other)
    }

    fn overwrite(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.overwrite(offset, bytes)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }
}

/// A disk that makes no file until it is let, and tells of each write.
fn slow_disk() -> (Create, Sender<()>, Receiver<usize>) {
    slowed(on_disk())
}

fn slowed(create: Create) -> (Create, Sender<()>, Receiver<usize>) {
    let ((go, gate), (told, writes)) = (mpsc::channel::<()>(), mpsc::channel());
    let gate = Mutex::new(gate);
    let create: Create = Arc::new(move |path| {
        gate.lock().expect("nobody panics with it").recv().map_err(io::Error::other)?;
        Ok(Box::new(ToldFile { file: create(path)?, told: told.clone() }))
    });
    (create, go, writes)
}

#[test]
fn what_finds_no_room_is_silence_of_the_same_length() {
    let folder = tempfile::tempdir().expect("a folder");
    let (create, gate, writes) = slow_disk();
    // A second of both parties.
    let limits = RecorderLimits { queue_samples_max: 100 * (FRAME as usize + 64), ..RecorderLimits::default() };
    let (mut recorder, ends) = Recorder::start_on(limits, &create).expect("threads");
    // It goes before the recorder, which waits for its threads, so that a test that fails ends.
    let go = gate;
    let mut handle = recorder.open(mixed(folder.path())).expect("settings that fit together");
    // The thread stands still, and this one does not.
    push_frames(&mut handle, 0..60, 5, 1);
    assert_eq!(handle.lost_frames(), 20);
    go.send(()).expect("the thread waits");
    // The header, then the second.
    assert_eq!((writes.recv(), writes.recv()), (Ok(44), Ok(16_000)));
    assert_eq!(handle.push(Party::Caller, 60 * FRAME, &[7; FRAME as usize]), Handed::Queued);
    handle.close();
    let outcome = ended(&ends).outcome;
    let frame = FRAME as usize;
    assert_eq!(runs(&read_wav(&folder.path().join("call.wav")).2), [(6, 8_000), (0, 10 * frame), (7, frame)]);
    assert_eq!((outcome.lost_frames, outcome.duration_ms), (20, 1_220));
}

#[test]
fn what_is_lost_at_the_end_is_silence_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let (create, gate, _writes) = slow_disk();
    let limits = RecorderLimits { queue_samples_max: 2 * (FRAME as usize + 64), ..RecorderLimits::default() };
    let (mut recorder, ends) = Recorder::start_on(limits, &create).expect("threads");
    // It goes before the recorder, which waits for its threads, so that a test that fails ends.
    let go = gate;
    let mut handle = recorder.open(mixed(folder.path())).expect("settings that fit together");
    push_frames(&mut handle, 0..10, 5, 1);
    handle.close();
    go.send(()).expect("the thread waits");
    assert_eq!(ended(&ends).outcome.duration_ms, 200);
}

#[test]
fn a_hundred_recordings_share_a_thread() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut recorder, ends) = Recorder::start(RecorderLimits::default()).expect("threads");
    let named = |number: i16| RecordingSettings { name: format!("call-{number}"), ..mixed(folder.path()) };
    let mut handles: Vec<_> = (0..100).map(|number| recorder.open(named(number)).expect("room")).collect();
    for frame in 0..100 {
        for (number, handle) in (0..).zip(&mut handles) {
            push_frames(handle, frame..frame + 1, number, 1_000);
        }
    }
    drop(handles);
    for _ in 0..100 {
        let outcome = ended(&ends).outcome;
        assert!(outcome.error.is_none() && outcome.lost_frames == 0, "{outcome:?}");
    }
    for number in 0..100 {
        let path = folder.path().join(format!("call-{number}.wav"));
        assert_eq!(runs(&read_wav(&path).2), [(number + 1_000, 16_000)]);
    }
}

#[test]
fn a_recorder_that_stops_ends_what_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut recorder, ends) = Recorder::start(RecorderLimits::default()).expect("threads");
    let mut handle = recorder.open(mixed(folder.path())).expect("settings that fit together");
    push_frames(&mut handle, 0..50, 1, 1);
    recorder.stop();
    assert_eq!(ended(&ends).outcome.duration_ms, 1_000);
    assert_eq!(handle.push(Party::Caller, 8_000, &[1; 160]), Handed::Lost);
}

/// Of twenty frames two find room before the thread goes on; what is said of the others when the recording ends in this way.
fn lost_when_it_ends(create: Create, end: impl FnOnce(Recorder, RecordingHandle)) -> (u64, bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let (create, gate, _writes) = slowed(create);
    let limits = RecorderLimits { queue_samples_max: 2 * (FRAME as usize + 64), ..RecorderLimits::default() };
    let (mut recorder, ends) = Recorder::start_on(limits, &create).expect("threads");
    // It goes before the recorder, which waits for its threads, so that a test that fails ends.
    let go = gate;
    let mut handle = recorder.open(mixed(folder.path())).expect("settings that fit together");
    push_frames(&mut handle, 0..10, 5, 1);
    go.send(()).expect("the thread waits");
    end(recorder, handle);
    let outcome = ended(&ends).outcome;
    (outcome.lost_frames, outcome.error.is_some())
}

#[test]
fn what_was_lost_is_told_however_a_recording_ends() {
    assert_eq!(lost_when_it_ends(on_disk(), |_, handle| handle.close()), (18, false));
    assert_eq!(lost_when_it_ends(on_disk(), |recorder, _handle| recorder.stop()), (18, false));
    // There is room for the header alone, or not even for that.
    for bytes in [60, 20] {
        assert_eq!(lost_when_it_ends(small_disk(bytes), |recorder, _handle| recorder.stop()), (18, true));
    }
}
