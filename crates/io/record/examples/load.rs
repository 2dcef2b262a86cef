//! So many recordings at once, for so long, at the pace of calls: nothing may be lost. Says what that takes of a core.
//!
//! ```text
//! cargo run --release -p sx-record --features opus --example load -- [RECORDINGS [SECONDS [THREADS [FOLDER]]]]
//! ```
//!
//! Each recording has two parties in stereo at 8 kHz, who speak in turn. It is done once as WAV and, where this was built with
//! Opus, once as Ogg/Opus. The files stay when a folder is named. The exit code is 1 when a frame was lost or a file is short.

#![expect(clippy::print_stdout, reason = "what it says is what it is for")]
#![expect(clippy::disallowed_methods, reason = "it has the pace of calls, and nobody wakes it")]

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use sx_engine::Time;
use sx_record::{
    Container, Layout, Party, Recorder, RecorderLimits, RecordingSettings, RecordingsEnded, SampleRate, Tracks,
};

const HZ: usize = 8_000;
/// Samples of a frame of 20 ms.
const FRAME: usize = HZ / 50;
/// A turn of the recording threads of the exchange: what two frames bring.
const TURN: Duration = Duration::from_millis(40);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = |otherwise: usize| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let (recordings, seconds, threads) = (number(100), number(20), number(1));
    let named = arguments.next();
    let own = tempfile::tempdir().expect("a folder");
    let folder = named.as_deref().map_or(own.path(), Path::new);
    let voices = [voice(1, seconds), voice(2, seconds)];
    let mut all_well = true;
    for (name, container) in containers() {
        let before = cpu_seconds();
        let begun = Instant::now();
        let (lost, short) = record(folder, container, &voices, (recordings, threads));
        let (took, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds() - before);
        println!(
            "{name}: {recordings} recordings of {seconds} s by {threads} threads in {took:.1} s: {lost} frames lost, {short} short; \
             {cpu:.2} s of a processor, {:.1} % of a core, {:.3} % a recording",
            100.0 * cpu / took,
            100.0 * cpu / took / recordings as f64,
        );
        all_well &= lost == 0 && short == 0;
    }
    if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn containers() -> Vec<(&'static str, Container)> {
    vec![
        ("wav", Container::Wav),
        #[cfg(feature = "opus")]
        ("opus", Container::OggOpus { bit_rate: 24_000, complexity: 0 }),
    ]
}

/// Records, and gives the frames that were lost and the recordings that are not as long as what was said.
fn record(
    folder: &Path,
    container: Container,
    voices: &[Vec<i16>; 2],
    (recordings, threads): (usize, usize),
) -> (u64, usize) {
    let threads = NonZero::new(threads).unwrap_or(NonZero::<usize>::MIN);
    let limits = RecorderLimits { recordings_max: recordings, threads, ..RecorderLimits::default() };
    let (mut recorder, ends) = Recorder::start(limits).expect("threads");
    let settings = |number: usize| RecordingSettings {
        folder: folder.to_owned(),
        name: format!("load-{}-{number}", container.extension()),
        tracks: Tracks::Together(Layout::Stereo),
        container,
        rate: SampleRate::Hz8000,
        recipients: Vec::new(),
        began: Time::from_secs(1_800_000_000),
        facts: BTreeMap::new(),
    };
    let mut handles: Vec<_> =
        (0..recordings).map(|number| recorder.open(settings(number)).expect("there is room")).collect();
    let begun = Instant::now();
    let turn = 2 * FRAME;
    for (number, at) in (0..voices[0].len()).step_by(turn).enumerate() {
        let due = TURN * number as u32;
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        for handle in &mut handles {
            for (party, voice) in [Party::Caller, Party::Callee].into_iter().zip(voices) {
                for (frame, samples) in voice[at..voice.len().min(at + turn)].chunks(FRAME).enumerate() {
                    handle.push(party, (at + frame * FRAME) as u64, samples);
                }
            }
        }
    }
    handles.into_iter().for_each(sx_record::RecordingHandle::close);
    let expected_ms = voices[0].len() as u64 * 1_000 / HZ as u64;
    outcomes(&ends, recordings, expected_ms)
}

fn outcomes(ends: &RecordingsEnded, recordings: usize, expected_ms: u64) -> (u64, usize) {
    let (mut lost, mut short) = (0, 0);
    for _ in 0..recordings {
        let outcome = ends.wait(Duration::from_secs(120)).expect("it ends").outcome;
        lost += outcome.lost_frames;
        let whole = outcome.error.is_none() && outcome.late_samples == 0 && outcome.duration_ms >= expected_ms;
        short += usize::from(!whole);
    }
    (lost, short)
}

/// Something like speech: a low voice with harmonics that come and go, a little noise, and pauses of half a second, in turn.
fn voice(seed: u32, seconds: usize) -> Vec<i16> {
    let mut noise = seed;
    (0..HZ * seconds)
        .map(|n| {
            let t = n as f64 / HZ as f64;
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let hiss = f64::from(noise >> 16) / 65_536.0 - 0.5;
            let pitch = 110.0 * f64::from(seed) + 15.0 * (2.0 * t).sin();
            let tract =
                |harmonic: u32| (f64::from(harmonic) * 0.7 + 3.0 * (5.0 * t).sin()).cos().abs() / f64::from(harmonic);
            let buzz: f64 = (1..12)
                .map(|harmonic| tract(harmonic) * (std::f64::consts::TAU * pitch * f64::from(harmonic) * t).sin())
                .sum();
            let speaks = (t + 1.5 * f64::from(seed)) % 3.0 < 2.5;
            (if speaks { 3_000.0 * buzz + 400.0 * hiss } else { 20.0 * hiss }) as i16
        })
        .collect()
}

/// What all threads of the process have taken.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks: f64 = behind_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    ticks / 100.0
}
