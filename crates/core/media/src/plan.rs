//! What codecs cost and what they are worth, in units that are the same for all of them, and what a conference of so many
//! members needs.
//!
//! Rates are in bits a second. *Payload* is what the codec makes; *on the wire* is that with the headers of RTP, UDP and IPv4,
//! as it loads a link, without what lies below IP and without SRTP. Quality is the R factor of the wideband E-model.

use sx_types::{Codec, Kind};

/// What a codec costs and is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CodecCost {
    /// The codec.
    pub codec: Codec,
    /// Bits of payload a second, each way; of pictures what a preset says.
    pub payload_bit_s: u32,
    /// Payload bytes of a packet: 20 ms of sound, or as much of a picture as fits.
    pub packet_bytes: u32,
    /// The R factor, of 129 at most; `None` for pictures.
    //  ITU-T G.107.1 with the impairments of G.113, appendix IV; those of Opus are an estimate of ours.
    pub quality: Option<u8>,
    /// Microseconds of a processor for a second of sound, coded and decoded once, as far as estimated; `None` when it is not
    /// coded here.
    pub cpu_us_per_s: Option<u32>,
}

/// The table. Its last column is estimated in powers of ten; `examples/cost.rs` of sx-audio measures it on a machine.
const COSTS: [CodecCost; 8] = [
    sound(Codec::Pcmu, 64_000, 93, Some(PCMU_US)),
    sound(Codec::Pcma, 64_000, 93, Some(PCMA_US)),
    sound(Codec::G722, 64_000, 116, Some(G722_US)),
    sound(Codec::G729, 8_000, 82, None),
    sound(Codec::Opus, 32_000, 119, Some(OPUS_US)),
    sound(Codec::L16, 705_600, 93, None),
    picture(Codec::Vp8),
    picture(Codec::H264),
];

const PCMU_US: u32 = 100;
const PCMA_US: u32 = 100;
const G722_US: u32 = 1_000;
const OPUS_US: u32 = 10_000;

const fn sound(codec: Codec, payload_bit_s: u32, quality: u8, cpu_us_per_s: Option<u32>) -> CodecCost {
    let packet_bytes = payload_bit_s / 8 / SOUND_PACKETS_S;
    CodecCost { codec, payload_bit_s, packet_bytes, quality: Some(quality), cpu_us_per_s }
}

const fn picture(codec: Codec) -> CodecCost {
    CodecCost { codec, payload_bit_s: 1_000_000, packet_bytes: PICTURE_BYTES, quality: None, cpu_us_per_s: None }
}

/// Packets of 20 ms.
const SOUND_PACKETS_S: u32 = 50;
/// What encoders of pictures put into a packet at most.
const PICTURE_BYTES: u32 = 1_200;
/// RTP, UDP and IPv4.
const HEADER_BYTES: u32 = 12 + 8 + 20;

/// What a codec costs and is worth; `None` for what goes beside sound.
pub fn cost_of(codec: Codec) -> Option<&'static CodecCost> {
    COSTS.iter().find(|cost| cost.codec == codec)
}

/// What is preferred among codecs that can be coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preference {
    /// What sounds best, then what takes the smaller rate.
    #[default]
    Quality,
    /// What takes the smallest rate on the wire, then what sounds better.
    Bandwidth,
    /// What costs the processor least, then what sounds better.
    Cpu,
}

/// These codecs in the order of a preference; those that are no sound, or cannot be coded, are left out.
pub fn by_preference(codecs: impl Iterator<Item = Codec>, preference: Preference) -> Vec<Codec> {
    let known = |codec| cost_of(codec).filter(|cost| codec.kind() == Kind::Audio && cost.cpu_us_per_s.is_some());
    let mut costs: Vec<_> = codecs.filter_map(known).collect();
    costs.sort_by_key(|cost| {
        let worst = u8::MAX - cost.quality.unwrap_or(0);
        let (rate, cpu) = (cost.wire_bit_s(), cost.cpu_us_per_s.unwrap_or(u32::MAX));
        match preference {
            Preference::Quality => (u32::from(worst), rate, cpu),
            Preference::Bandwidth => (rate, worst.into(), cpu),
            Preference::Cpu => (cpu, worst.into(), rate),
        }
    });
    costs.iter().map(|cost| cost.codec).collect()
}

impl CodecCost {
    /// Bits a second on the wire, at the rate of the table.
    pub fn wire_bit_s(&self) -> u32 {
        self.wire_of(self.payload_bit_s)
    }

    /// The same at another rate of payload.
    fn wire_of(&self, payload_bit_s: u32) -> u32 {
        let packets = f64::from(payload_bit_s) / 8.0 / f64::from(self.packet_bytes);
        payload_bit_s + (packets * f64::from(HEADER_BYTES) * 8.0).round() as u32
    }
}

/// What members of a conference send: one stream of sound, and of pictures perhaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Browsers: VP8 with 1 Mbit/s, and Opus.
    Browser,
    /// Browsers, desk telephones and trunks: H.264 with 1.2 Mbit/s, and G.711, which everybody has.
    Mixed,
    /// Narrow links: VP8 with 0.5 Mbit/s, and G.729, which is passed on and not coded here.
    Constrained,
    /// Opus alone.
    AudioOnly,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Browser, Self::Mixed, Self::Constrained, Self::AudioOnly];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Mixed => "mixed",
            Self::Constrained => "constrained",
            Self::AudioOnly => "audio-only",
        }
    }

    /// The codec of its sound.
    pub const fn sound(self) -> Codec {
        match self {
            Self::Browser | Self::AudioOnly => Codec::Opus,
            Self::Mixed => Codec::Pcmu,
            Self::Constrained => Codec::G729,
        }
    }

    /// The codec of its pictures, and their payload in bits a second.
    pub const fn pictures(self) -> Option<(Codec, u32)> {
        match self {
            Self::Browser => Some((Codec::Vp8, 1_000_000)),
            Self::Mixed => Some((Codec::H264, 1_200_000)),
            Self::Constrained => Some((Codec::Vp8, 500_000)),
            Self::AudioOnly => None,
        }
    }
}

/// A rate, both ways of saying it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Bits of payload a second.
    pub payload_bit_s: u64,
    /// Bits a second on the wire.
    pub wire_bit_s: u64,
}

/// What a conference needs in one way of running it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// What a member sends.
    pub up: Rate,
    /// What a member is sent.
    pub down: Rate,
    /// What the exchange receives and sends, all members together.
    pub total: Rate,
    /// Processors of the exchange that are busy; `None` when the sound cannot be coded here.
    pub processors: Option<f64>,
    /// Of what is on the wire, the share that is payload.
    pub efficiency: f64,
}

/// What a conference needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Its members.
    pub members: u32,
    /// What they send.
    pub preset: Preset,
    /// Everybody is sent the streams of all others.
    pub relayed: Load,
    /// Everybody is sent one stream: the sound of all others mixed, and the picture of who speaks.
    pub mixed: Load,
}

impl Plan {
    /// The plan of a conference.
    pub fn new(members: u32, preset: Preset) -> Self {
        let member = member(preset);
        let others = u64::from(members.saturating_sub(1));
        let sound = cost_of(preset.sound());
        // A packet is received once and sent to each of the others, or to everybody once.
        let relay = |packets: f64, copies: f64| packets * (copies + 1.0) * PACKET_US / 1e6;
        let packets = f64::from(members) * packets_s(preset);
        let relayed = Load::new(member, times(member, others), members, Some(relay(packets, others as f64)));
        // Each is decoded once, mixed, and coded once for each that hears it.
        let coding = sound.and_then(|cost| cost.cpu_us_per_s).map(|us| f64::from(us) * f64::from(members) / 1e6);
        let mixed = Load::new(member, member, members, coding.map(|coding| coding + relay(packets, 1.0)));
        Self { members, preset, relayed, mixed }
    }
}

impl Load {
    fn new(up: Rate, down: Rate, members: u32, processors: Option<f64>) -> Self {
        let both =
            Rate { payload_bit_s: up.payload_bit_s + down.payload_bit_s, wire_bit_s: up.wire_bit_s + down.wire_bit_s };
        let efficiency = both.payload_bit_s as f64 / both.wire_bit_s.max(1) as f64;
        Self { up, down, total: times(both, members.into()), processors, efficiency }
    }
}

/// Microseconds of a processor for a packet that is received or sent: half of what relaying one has cost (docs/performance.md).
const PACKET_US: f64 = 3.5;

fn member(preset: Preset) -> Rate {
    let sound = cost_of(preset.sound()).map(|cost| (cost, cost.payload_bit_s));
    let pictures = preset.pictures().and_then(|(codec, rate)| Some((cost_of(codec)?, rate)));
    sound.into_iter().chain(pictures).fold(Rate::default(), |sum, (cost, payload_bit_s)| Rate {
        payload_bit_s: sum.payload_bit_s + u64::from(payload_bit_s),
        wire_bit_s: sum.wire_bit_s + u64::from(cost.wire_of(payload_bit_s)),
    })
}

fn packets_s(preset: Preset) -> f64 {
    let pictures = preset.pictures().map_or(0.0, |(_, rate)| f64::from(rate) / 8.0 / f64::from(PICTURE_BYTES));
    f64::from(SOUND_PACKETS_S) + pictures
}

fn times(rate: Rate, count: u64) -> Rate {
    Rate { payload_bit_s: rate.payload_bit_s * count, wire_bit_s: rate.wire_bit_s * count }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_have_their_rates() {
        let expected = [1_032_000, 1_264_000, 508_000, 32_000];
        for (preset, payload_bit_s) in Preset::ALL.into_iter().zip(expected) {
            assert_eq!(member(preset).payload_bit_s, payload_bit_s, "{}", preset.name());
        }
    }

    #[test]
    fn headers_are_counted_by_the_packet() {
        let wire = |codec| cost_of(codec).map(CodecCost::wire_bit_s);
        // 50 packets of 40 bytes of headers are 16 kbit/s.
        assert_eq!(
            (wire(Codec::Pcmu), wire(Codec::G729), wire(Codec::Opus)),
            (Some(80_000), Some(24_000), Some(48_000))
        );
        assert_eq!(wire(Codec::Vp8), Some(1_033_333));
        assert_eq!(wire(Codec::TelephoneEvent), None);
    }

    #[test]
    fn a_conference_of_twelve() {
        let plan = Plan::new(12, Preset::Browser);
        assert_eq!(plan.relayed.up, Rate { payload_bit_s: 1_032_000, wire_bit_s: 1_081_333 });
        assert_eq!(plan.relayed.down.payload_bit_s, 11 * 1_032_000);
        assert_eq!(plan.relayed.total.payload_bit_s, 12 * 12 * 1_032_000);
        assert_eq!((plan.mixed.down, plan.mixed.total.payload_bit_s), (plan.mixed.up, 12 * 2 * 1_032_000));
        assert!(plan.mixed.efficiency > 0.95 && plan.mixed.processors > plan.relayed.processors.map(|_| 0.0));
        assert_eq!(Plan::new(12, Preset::Constrained).mixed.processors, None, "G.729 is not coded here");
        assert_eq!(Plan::new(0, Preset::Browser).relayed.total, Rate::default());
    }

    #[test]
    fn the_preference_decides_the_order() {
        let order = |preference| by_preference(Codec::ALL.into_iter(), preference);
        assert_eq!(order(Preference::Quality), [Codec::Opus, Codec::G722, Codec::Pcmu, Codec::Pcma]);
        assert_eq!(order(Preference::Bandwidth), [Codec::Opus, Codec::G722, Codec::Pcmu, Codec::Pcma]);
        assert_eq!(order(Preference::Cpu)[3], Codec::Opus);
    }
}
