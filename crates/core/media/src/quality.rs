//! What a conversation is worth: the E-model (ITU-T G.107) for a call over packets.
//!
//! `R = 93.2 - Idd - Ie,eff`: what is left of the best that a telephone can be, when delay, coding and loss are taken off.
//! All other parameters are at their defaults (G.107, table 2), echo is perfectly cancelled, and nobody gets an advantage
//! for what his access is otherwise good for (A = 0).
//!
//! The scale is that of the narrow band, up to 3.4 kHz, so that it is the same for all calls: it knows nothing better than
//! 93.2, and a wideband codec is that at best. Those who choose among codecs ask [`cost_of`](crate::cost_of), whose scale
//! goes to 129.

use std::time::Duration;
use sx_types::Codec;

/// The R factor when nothing is impaired but by the defaults.
//  ITU-T G.107 (06/2015), table 2 and clause 7.7.
pub const R_DEFAULT: f64 = 93.2;

/// What a codec takes off, and how well what it has lost is concealed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EquipmentImpairment {
    /// `Ie`: the impairment when nothing is lost.
    pub ie: f64,
    /// `Bpl`: the robustness against loss.
    pub bpl: f64,
}

/// How packets get lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PacketLoss {
    /// The share that is lost or comes too late, 0 to 1.
    pub share: f64,
    /// `BurstR`: 1 when losses are random, more when they cluster.
    pub burst_ratio: f64,
}

impl PacketLoss {
    /// Nothing is lost.
    pub const NONE: Self = Self { share: 0.0, burst_ratio: 1.0 };
}

/// The impairment by a codec; `None` when it carries no speech.
///
/// | codec | Ie | Bpl | source |
/// | --- | --- | --- | --- |
/// | PCMU, PCMA | 0 | 25.1 | G.113, appendix I, with loss concealment |
/// | G.729 | 11 | 19 | G.113, appendix I, for G.729 annex A |
/// | L16 | 0 | 25.1 | an estimate: what it loses is concealed as that of G.711 is |
/// | G.722 | 0 | 25.1 | an estimate: no value exists on this scale (on that of the wide band, G.113 appendix IV has Ie 13 of 129, which is above 93.2), and it is concealed here as G.711 is |
/// | Opus | 0 | 10 | an estimate: no recommendation has a value. Bpl is that of GSM-EFR and AMR 12.2 (G.113, appendix I), which conceal by prediction likewise; with in-band FEC it is better |
pub const fn equipment_impairment(codec: Codec) -> Option<EquipmentImpairment> {
    match codec {
        Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::L16 => Some(EquipmentImpairment { ie: 0.0, bpl: 25.1 }),
        Codec::G729 => Some(EquipmentImpairment { ie: 11.0, bpl: 19.0 }),
        Codec::Opus => Some(EquipmentImpairment { ie: 0.0, bpl: 10.0 }),
        Codec::TelephoneEvent | Codec::ComfortNoise | Codec::Vp8 | Codec::H264 => None,
    }
}

/// `Ie,eff`: the impairment by a codec and by what is lost of it, 0 to 95.
//  ITU-T G.107 (06/2015), equation (7-29).
pub fn effective_equipment_impairment(equipment: EquipmentImpairment, loss: PacketLoss) -> f64 {
    let percent = loss.share.clamp(0.0, 1.0) * 100.0;
    // Below 1 losses are more regular than chance has them, which the model does not know.
    let burst_ratio = loss.burst_ratio.max(1.0);
    equipment.ie + (95.0 - equipment.ie) * percent / (percent / burst_ratio + equipment.bpl)
}

/// `Idd`: the impairment by the time from mouth to ear, even without echo; 0 up to 100 ms.
//  ITU-T G.107 (06/2015), equations (7-27) and (7-28), with sT = 1 and mT = 100 ms.
pub fn delay_impairment(one_way: Duration) -> f64 {
    let millis = one_way.as_secs_f64() * 1_000.0;
    if millis <= 100.0 {
        return 0.0;
    }
    let x = (millis / 100.0).log2();
    let root = |x: f64| (1.0 + x.powi(6)).powf(1.0 / 6.0);
    25.0 * (root(x) - 3.0 * root(x / 3.0) + 2.0)
}

/// The R factor, 0 to 93.2; without a delay, that of listening alone.
//  ITU-T G.107 (06/2015), equation (7-1).
pub fn r_factor(equipment: EquipmentImpairment, loss: PacketLoss, one_way: Duration) -> f64 {
    (R_DEFAULT - delay_impairment(one_way) - effective_equipment_impairment(equipment, loss)).max(0.0)
}

/// The mean opinion score that is to be expected, 1 to 4.5.
//  ITU-T G.107 (06/2015), annex B, equation (B-4).
pub fn mean_opinion_score(r: f64) -> f64 {
    if r <= 0.0 {
        return 1.0;
    }
    if r >= 100.0 {
        return 4.5;
    }
    // Below an R of 6.5 the curve dips under the scale.
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(found: f64, expected: f64, by: f64) {
        assert!((found - expected).abs() <= by, "{found} is not {expected}");
    }

    fn equipment(codec: Codec) -> EquipmentImpairment {
        equipment_impairment(codec).expect("it carries speech")
    }

    #[test]
    fn scores_are_those_of_annex_b() {
        // The provisional guide of table B.1, the default, and the ends.
        let expected = [
            (90.0, 4.34),
            // The table rounds up to 4.03.
            (80.0, 4.024),
            (70.0, 3.60),
            (60.0, 3.10),
            (50.0, 2.58),
            (R_DEFAULT, 4.41),
            (0.0, 1.0),
            (-5.0, 1.0),
            (3.0, 1.0),
            (100.0, 4.5),
            (129.0, 4.5),
        ];
        for (r, mos) in expected {
            close(mean_opinion_score(r), mos, 0.005);
        }
    }

    #[test]
    fn a_score_never_falls_when_r_rises() {
        let scores: Vec<f64> = (0..=1_000).map(|r| mean_opinion_score(f64::from(r) / 10.0)).collect();
        assert!(scores.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(scores.iter().all(|score| (1.0..=4.5).contains(score)));
    }

    #[test]
    fn delay_is_felt_from_100_ms_on() {
        // Worked by hand: at 200 ms X is 1, so that Idd is 25 (2^(1/6) - 3 (1 + 1/729)^(1/6) + 2).
        for (millis, idd) in [(0, 0.0), (100, 0.0), (150, 0.16), (200, 3.04), (400, 24.07)] {
            close(delay_impairment(Duration::from_millis(millis)), idd, 0.01);
        }
        assert!(delay_impairment(Duration::from_secs(60)).is_finite());
    }

    #[test]
    fn loss_is_felt_as_the_codec_conceals_it() {
        let loss = |percent: f64, burst_ratio| PacketLoss { share: percent / 100.0, burst_ratio };
        // 95 x 1 / (1 + 25.1), 95 x 5 / (5 + 25.1), 11 + 84 x 2 / (2 + 19), and the bursts of twice the length.
        for (codec, loss, expected) in [
            (Codec::Pcmu, PacketLoss::NONE, 0.0),
            (Codec::Pcma, loss(1.0, 1.0), 3.640),
            (Codec::Pcma, loss(5.0, 1.0), 15.781),
            (Codec::Pcma, loss(5.0, 2.0), 17.210),
            (Codec::Pcma, loss(5.0, 0.2), 15.781),
            (Codec::G729, PacketLoss::NONE, 11.0),
            (Codec::G729, loss(2.0, 1.0), 19.0),
            (Codec::Opus, loss(10.0, 1.0), 47.5),
        ] {
            close(effective_equipment_impairment(equipment(codec), loss), expected, 0.001);
        }
    }

    #[test]
    fn a_call_without_impairment_is_the_default_and_one_without_packets_is_nothing() {
        for codec in [Codec::Pcmu, Codec::G722, Codec::Opus] {
            let r = r_factor(equipment(codec), PacketLoss::NONE, Duration::from_millis(50));
            close(r, 93.2, 0.0);
            close(mean_opinion_score(r), 4.41, 0.005);
        }
        let all = PacketLoss { share: 1.0, burst_ratio: f64::INFINITY };
        assert_eq!(r_factor(equipment(Codec::Pcma), all, Duration::from_secs(1)), 0.0);
        assert_eq!(equipment_impairment(Codec::H264), None);
    }
}
