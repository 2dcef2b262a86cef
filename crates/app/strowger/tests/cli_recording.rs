//! Recordings on the command line: verified and decrypted.
#![cfg(feature = "recordings")]

mod bed;

use bed::Bed;
use std::collections::BTreeMap;
use std::time::Duration;
use sx_engine::Time;
use sx_record::{Container, Layout, Party, Recorder, RecorderLimits, RecordingSettings, SampleRate, Tracks};

/// A pair of keys of age that is for tests alone.
const IDENTITY: &str = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
const RECIPIENT: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

/// A recording of a second in both channels; the hash of its file.
fn record(bed: &Bed, name: &str, recipients: &[&str]) -> String {
    let (mut recorder, ended) = Recorder::start(RecorderLimits::default()).expect("threads");
    let settings = RecordingSettings {
        folder: bed.path(""),
        name: name.to_owned(),
        tracks: Tracks::Together(Layout::Stereo),
        container: Container::Wav,
        rate: SampleRate::Hz8000,
        recipients: recipients.iter().map(|recipient| recipient.parse().expect("a recipient")).collect(),
        began: Time::from_secs(1_800_000_000),
        facts: BTreeMap::new(),
    };
    let mut handle = recorder.open(settings).expect("settings that fit together");
    handle.push(Party::Caller, 0, &[1; 4_000]);
    handle.push(Party::Caller, 4_000, &[1; 4_000]);
    handle.push(Party::Callee, 4_000, &[2; 4_000]);
    handle.close();
    let outcome = ended.wait(Duration::from_secs(120)).expect("it ends").outcome;
    sx_record::hex(&outcome.files[0].sha256)
}

#[test]
fn a_recording_is_verified_until_it_is_changed() {
    let bed = Bed::new();
    let hash = record(&bed, "call-7", &[]);
    assert_eq!(bed.ok(&["recording", "verify", "call-7.wav", "--sha256", &hash]), "call-7.wav: ok\n");
    let told: serde_json::Value =
        serde_json::from_str(&bed.ok(&["recording", "verify", "call-7.json", "--json"])).expect("JSON");
    assert_eq!((&told["sha256"], &told["intact"]), (&hash.as_str().into(), &true.into()));
    let other = bed.run(&["recording", "verify", "call-7.wav", "--sha256", &"0".repeat(64)]);
    assert_eq!((other.code, other.out.as_str()), (Some(1), "call-7.wav: was changed\n"));

    // A hash that was kept elsewhere needs no side-car, which may be lost.
    let text = std::fs::read_to_string(bed.path("call-7.json")).expect("it is there");
    std::fs::remove_file(bed.path("call-7.json")).expect("it is there");
    let untold = bed.ok(&["recording", "verify", "call-7.wav", "--sha256", &hash, "--json"]);
    let untold: serde_json::Value = serde_json::from_str(&untold).expect("JSON");
    assert_eq!((&told["complete"], &untold["complete"]), (&true.into(), &serde_json::Value::Null));
    assert_eq!(bed.ok(&["recording", "verify", "call-7.wav", "--sha256", &hash]), "call-7.wav: ok\n");
    assert_eq!(bed.run(&["recording", "verify", "call-7.wav", "--sha256", &"0".repeat(64)]).code, Some(1));
    assert_eq!(bed.run(&["recording", "verify", "call-7.wav", "--sha256", "abc"]).code, Some(2), "no hash");
    // One that ended early is as it was, and not all of the call.
    let mut cut: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    (cut["complete"], cut["error"]) = (false.into(), "no room".into());
    bed.write("call-7.json", &cut.to_string());
    let told = bed.ok(&["recording", "verify", "call-7.wav"]);
    assert_eq!(told, "call-7.wav: ok, but the recording ended before its call: no room\n");
    bed.write("call-7.json", &text);

    let mut bytes = std::fs::read(bed.path("call-7.wav")).expect("it is there");
    bytes[100] ^= 1;
    std::fs::write(bed.path("call-7.wav"), bytes).expect("room");
    assert_eq!(bed.run(&["recording", "verify", "call-7.wav"]).code, Some(1));
    std::fs::remove_file(bed.path("call-7.wav")).expect("it is there");
    let gone = bed.run(&["recording", "verify", "call-7.wav"]);
    assert_eq!((gone.code, gone.out.as_str()), (Some(1), "call-7.wav: is not there, or cannot be read\n"));
    assert!(bed.run(&["recording", "verify", "other.wav"]).err.contains("no side-car"));
}

#[test]
fn a_recording_is_decrypted_as_it_would_have_been_in_the_clear() {
    let bed = Bed::new();
    record(&bed, "open", &[]);
    record(&bed, "sealed", &[RECIPIENT]);
    bed.write("keys.txt", &format!("# for tests\n{IDENTITY}\n"));
    let decrypt = ["recording", "decrypt", "sealed.wav.age", "--identity", "keys.txt"];
    assert_eq!(bed.ok(&decrypt), "sealed.wav: 32044 bytes\n");
    let read = |name| std::fs::read(bed.path(name)).expect("it is there");
    assert!(read("open.wav") == read("sealed.wav"));
    // Nothing is overwritten.
    assert_eq!(bed.run(&decrypt).code, Some(1));

    bed.write("nobody.txt", "AGE-SECRET-KEY-1\n");
    let nobody = bed.run(&["recording", "decrypt", "sealed.wav.age", "-i", "nobody.txt", "-o", "x.wav"]);
    assert!(nobody.code == Some(1) && nobody.err.contains("nobody.txt"), "{nobody:?}");
    bed.write("empty.txt", "# nobody\n");
    let empty = bed.run(&["recording", "decrypt", "sealed.wav.age", "-i", "empty.txt", "-o", "x.wav"]);
    assert!(empty.code == Some(1) && empty.err.contains("empty.txt"), "{empty:?}");
    let open = bed.run(&["recording", "decrypt", "open.wav", "-i", "keys.txt"]);
    assert!(open.code == Some(2) && open.err.contains("-o"), "{open:?}");
}

#[test]
fn a_recording_that_was_cut_off_is_decrypted_with_a_warning() {
    let bed = Bed::new();
    record(&bed, "sealed", &[RECIPIENT]);
    bed.write("keys.txt", IDENTITY);
    let bytes = std::fs::read(bed.path("sealed.wav.age")).expect("it is there");
    std::fs::write(bed.path("cut.wav.age"), &bytes[..bytes.len() - 1]).expect("room");
    let run = bed.run(&["recording", "decrypt", "cut.wav.age", "-i", "keys.txt"]);
    assert!(run.code == Some(1) && run.err.contains("cut off or changed"), "{run:?}");
    assert!(bed.path("cut.wav").exists());
}
