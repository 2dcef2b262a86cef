//! Whatever proxies ask in whatever order: no port is opened twice, and nothing is left in the end.

mod driver;

use driver::{KEY, PCMU, Threads, World, list, sdp, text};
use std::time::Duration;
use sx_bind_ng::{RecordingRules, Settings, SoundNames};
use sx_engine::Rng;
use sx_media::RecordingCommand;
use sx_ng::Value;
use sx_types::{Codec, Consent};

const TAGS: [&str; 4] = ["a", "b", "c", ""];
const HOSTS: [&str; 3] = ["192.0.2.1", "10.0.0.7", "0.0.0.0"];
const FLAGS: [&str; 7] = [
    "asymmetric",
    "SIP-source-address",
    "loop-protect",
    "codec-strip-PCMU",
    "SDES-off",
    "codec-transcode-opus",
    "SDES-only-AEAD_AES_128_GCM",
];
const CONTROLS: [&str; 11] = [
    "play media",
    "stop media",
    "play DTMF",
    "block DTMF",
    "unblock DTMF",
    "block media",
    "unblock media",
    "silence media",
    "start recording",
    "pause recording",
    "stop recording",
];
const TRANSPORTS: [&str; 5] = ["RTP/AVP", "RTP/SAVP", "RTP/AVPF", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF"];
const MUX: [&str; 5] = ["offer", "demux", "accept", "reject", "require"];

fn one_of<'a>(rng: &mut Rng, all: &[&'a str]) -> &'a str {
    all[rng.below(all.len() as u64) as usize]
}

/// A description of some streams, some of them as nobody should have them.
fn description(rng: &mut Rng) -> String {
    let sections: String = (0..rng.below(4)).map(|_| section(rng)).collect();
    if rng.below(20) == 0 { sections } else { sdp(one_of(rng, &HOSTS), &sections) }
}

fn section(rng: &mut Rng) -> String {
    let secure = format!("{}{KEY}", PCMU.replace("RTP/AVP", "RTP/SAVP"));
    let section = match rng.below(8) {
        0 => "m=video 40010 RTP/AVPF 96\r\na=rtpmap:96 VP8/90000\r\n".to_owned(),
        1 => "m=image 40020 udptl t38\r\n".to_owned(),
        2 => PCMU.replace("40000", "0"),
        3 => "m=audio 40030 UDP/TLS/RTP/SAVPF 0\r\na=fingerprint:sha-256 AB\r\na=setup:actpass\r\n".to_owned(),
        4 | 5 => secure,
        _ => PCMU.to_owned(),
    };
    section + ["", "a=rtcp-mux\r\n", "a=inactive\r\n"][rng.below(3) as usize]
}

fn request(rng: &mut Rng) -> (&'static str, Vec<(&'static str, Value<'static>)>) {
    let command = match rng.below(4) {
        0 => one_of(rng, &CONTROLS),
        _ => one_of(rng, &["offer", "offer", "offer", "answer", "answer", "delete", "query", "list", "statistics"]),
    };
    let mut all = vec![("call-id", text(one_of(rng, &["x", "y", "z"]))), ("from-tag", text(one_of(rng, &TAGS)))];
    all.push(("sdp", text(&description(rng))));
    let mut sometimes = |one_in: u64, key: &'static str, value: &mut dyn FnMut(&mut Rng) -> Value<'static>| {
        if rng.below(one_in) == 0 {
            all.push((key, value(rng)));
        }
    };
    sometimes(2, "to-tag", &mut |rng| text(one_of(rng, &TAGS)));
    sometimes(3, "via-branch", &mut |rng| text(one_of(rng, &["1", "2"])));
    sometimes(3, "transport-protocol", &mut |rng| text(one_of(rng, &TRANSPORTS)));
    sometimes(3, "rtcp-mux", &mut |rng| list(&[one_of(rng, &MUX)]));
    sometimes(3, "flags", &mut |rng| list(&[one_of(rng, &FLAGS)]));
    sometimes(2, "file", &mut |_| text("a.wav"));
    sometimes(2, "code", &mut |rng| Value::Integer(rng.below(17) as i64));
    sometimes(4, "all", &mut |_| text("all"));
    sometimes(4, "address", &mut |rng| text(one_of(rng, &HOSTS)));
    sometimes(8, "record-call", &mut |_| text("yes"));
    sometimes(3, "received-from", &mut |_| list(&["IP4", "203.0.113.9"]));
    sometimes(2, "delete-delay", &mut |rng| Value::Integer(rng.below(3) as i64));
    (command, all)
}

fn run(seed: u64) {
    let mut rng = Rng::from_number(seed);
    let sounds = SoundNames::new([("a.wav".into(), None)].into());
    let codecs = [Codec::Pcmu].into();
    let recording = Some(RecordingRules { consent: Consent::Law, codecs });
    let settings = Settings {
        calls_max: 2,
        branches_max: 3,
        streams_max: 3,
        waiting_max: 2,
        sounds,
        recording,
        ..Settings::default()
    };
    let mut world = World::with(settings);
    for number in 0..60 {
        match rng.below(8) {
            0 => world.pass(Duration::from_secs(rng.below(20))),
            1 => world.threads = [Threads::Obey, Threads::Exhausted, Threads::Silent][rng.below(3) as usize],
            2 => world.speak(),
            _ => {
                let (command, all) = request(&mut rng);
                world.ask_as(&number.to_string(), command, &all);
            }
        }
    }
    let asked = 60;
    world.speak();
    world.pass(Duration::from_secs(20_000));
    assert!(world.open.is_empty(), "seed {seed}: ports are left open: {:?}", world.open);
    assert_eq!(world.calls.calls(), 0, "seed {seed}");
    let begun = world.records.iter().filter(|(_, command)| matches!(command, RecordingCommand::Begin(_))).count();
    let ended = world.records.iter().filter(|(_, command)| *command == RecordingCommand::End).count();
    assert_eq!(begun, ended, "seed {seed}: a recording goes on");
    assert!(world.played.is_empty() && world.taps.is_empty(), "seed {seed}");
    assert!(world.answers.len() <= asked, "seed {seed}: nobody is answered twice");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(world.answers.iter().all(|(_, bytes)| said(bytes).contains("\"result\":")), "seed {seed}");
}

#[test]
fn nothing_is_left_whatever_is_asked() {
    (0..150).for_each(run);
}
