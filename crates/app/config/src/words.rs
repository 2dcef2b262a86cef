//! The words that configuration uses for the values of enums.

use crate::meant::{
    AnchorMethod, AssertedIdentity, ClientCertificate, DigestAlgorithm, LatchMode, LogFormat, LogLevel, MediaMode,
    MediaPriority, Privacy, RecordingBandwidth, RecordingContainer, RecordingTracks, ReliableProvisional, Rering,
    Retention, RingOrder, RtcpXr, Transcode,
};
use crate::reader::Word;
use sx_audio::Country;
use sx_guard::{Action, AuthenticationKind, Obstacle, SourceKind, Status, Then, Unlisted, Weekday};
use sx_media::Preference;
use sx_rtp::srtp::Suite;
use sx_types::{Codec, Consent, Dtmf, HoldMusicWhen, SrtpKeying, SrtpPolicy, Transport};

/// Values with their words, for tables that are made elsewhere.
const fn paired<T: Copy, const N: usize>(words: [&'static str; N], values: [T; N]) -> [(&'static str, T); N] {
    let mut pairs = [("", values[0]); N];
    let mut place = 0;
    while place < N {
        pairs[place] = (words[place], values[place]);
        place += 1;
    }
    pairs
}

/// A switch that reads better as a word than as a flag.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Switch {
    Off,
    On,
}

/// The word for a kind of anchor, of which the rest stands elsewhere.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum AnchorWord {
    Peer,
    Https,
    S3,
}

impl Word for Switch {
    const WORDS: &'static [(&'static str, Self)] = &[("off", Self::Off), ("on", Self::On)];
}

impl Word for Transport {
    const WORDS: &'static [(&'static str, Self)] = &paired(Self::URI_TOKENS, Self::ALL);
}

impl Word for Consent {
    const WORDS: &'static [(&'static str, Self)] = &paired(Self::WORDS, Self::ALL);
}

impl Word for ClientCertificate {
    const WORDS: &'static [(&'static str, Self)] =
        &[("none", Self::None), ("optional", Self::Optional), ("required", Self::Required)];
}

impl Word for RecordingContainer {
    const WORDS: &'static [(&'static str, Self)] = &[("wav", Self::Wav), ("opus", Self::Opus)];
}

impl Word for RingOrder {
    const WORDS: &'static [(&'static str, Self)] = &[("serial", Self::Serial), ("parallel", Self::Parallel)];
}

impl Word for Rering {
    const WORDS: &'static [(&'static str, Self)] = &[("never", Self::Never), ("cut-off", Self::CutOff)];
}

impl Word for RecordingTracks {
    const WORDS: &'static [(&'static str, Self)] =
        &[("stereo", Self::Stereo), ("mixed", Self::Mixed), ("per-leg", Self::PerLeg)];
}

impl Word for RecordingBandwidth {
    const WORDS: &'static [(&'static str, Self)] =
        &[("narrowband", Self::Narrowband), ("wideband", Self::Wideband), ("fullband", Self::Fullband)];
}

impl Word for DigestAlgorithm {
    const WORDS: &'static [(&'static str, Self)] = &[("SHA-256", Self::Sha256), ("MD5", Self::Md5)];
}

impl Word for MediaMode {
    const WORDS: &'static [(&'static str, Self)] = &[("relay", Self::Relay), ("direct", Self::Direct)];
}

impl Word for Country {
    const WORDS: &'static [(&'static str, Self)] =
        &[("us", Self::UnitedStates), ("gb", Self::UnitedKingdom), ("de", Self::Germany), ("fr", Self::France)];
}

impl Word for HoldMusicWhen {
    const WORDS: &'static [(&'static str, Self)] = &[("inactive", Self::Inactive), ("always", Self::Always)];
}

impl Word for Transcode {
    const WORDS: &'static [(&'static str, Self)] = &[("needed", Self::Needed), ("never", Self::Never)];
}

impl Word for Preference {
    const WORDS: &'static [(&'static str, Self)] =
        &[("quality", Self::Quality), ("bandwidth", Self::Bandwidth), ("cpu", Self::Cpu)];
}

impl Word for MediaPriority {
    const WORDS: &'static [(&'static str, Self)] = &[("real-time", Self::RealTime), ("normal", Self::Normal)];
}

impl Word for RtcpXr {
    const WORDS: &'static [(&'static str, Self)] =
        &[("never", Self::Never), ("negotiated", Self::Negotiated), ("always", Self::Always)];
}

impl Word for LatchMode {
    const WORDS: &'static [(&'static str, Self)] = &[("exact", Self::Exact), ("port", Self::Port), ("nat", Self::Nat)];
}

impl Word for LogLevel {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

impl Word for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

impl Word for AssertedIdentity {
    const WORDS: &'static [(&'static str, Self)] =
        &[("pass", Self::Pass), ("set", Self::Set), ("remove", Self::Remove)];
}

impl Word for Privacy {
    const WORDS: &'static [(&'static str, Self)] = &[("honour", Self::Honour), ("ignore", Self::Ignore)];
}

impl Word for ReliableProvisional {
    const WORDS: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("supported", Self::Supported), ("required", Self::Required)];
}

impl Word for Codec {
    const WORDS: &'static [(&'static str, Self)] = &paired(Self::NAMES, Self::ALL);
}

impl Word for AnchorMethod {
    const WORDS: &'static [(&'static str, Self)] = &[("put", Self::Put), ("post", Self::Post)];
}

impl Word for AnchorWord {
    const WORDS: &'static [(&'static str, Self)] = &[("peer", Self::Peer), ("https", Self::Https), ("s3", Self::S3)];
}

impl Word for Retention {
    const WORDS: &'static [(&'static str, Self)] =
        &[("compliance", Self::Compliance), ("governance", Self::Governance)];
}

impl Word for Action {
    const WORDS: &'static [(&'static str, Self)] = &paired(Self::WORDS, Self::ALL);
}

impl Word for AuthenticationKind {
    const WORDS: &'static [(&'static str, Self)] = &paired(Self::WORDS, Self::ALL);
}

impl Word for Obstacle {
    const WORDS: &'static [(&'static str, Self)] = &paired(Self::WORDS, Self::ALL);
}

impl Word for SourceKind {
    const WORDS: &'static [(&'static str, Self)] = &paired(Self::WORDS, Self::ALL);
}

impl Word for Status {
    const WORDS: &'static [(&'static str, Self)] = &paired(Self::WORDS, Self::ALL);
}

impl Word for SrtpPolicy {
    const WORDS: &'static [(&'static str, Self)] = &paired(Self::WORDS, Self::ALL);
}

impl Word for Dtmf {
    const WORDS: &'static [(&'static str, Self)] = &paired(Self::WORDS, Self::ALL);
}

impl Word for SrtpKeying {
    const WORDS: &'static [(&'static str, Self)] = &paired(Self::WORDS, Self::ALL);
}

impl Word for Suite {
    const WORDS: &'static [(&'static str, Self)] = &paired(Self::NAMES, Self::ALL);
}

impl Word for Then {
    const WORDS: &'static [(&'static str, Self)] = &paired(Self::WORDS, Self::ALL);
}

impl Word for Unlisted {
    const WORDS: &'static [(&'static str, Self)] = &paired(Self::WORDS, Self::ALL);
}

impl Word for Weekday {
    const WORDS: &'static [(&'static str, Self)] = &paired(Self::WORDS, Self::ALL);
}
