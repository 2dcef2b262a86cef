//! What becomes of each payload type that may arrive.

use sx_codec::{Decoder, Encoder, Format};
use sx_media::{Coding, Conversion, KeyWay};
use sx_types::{Codec, PayloadType};

/// The other side takes nothing that can be coded here, and there is something that does not pass as it is. It is the fault
/// of whoever has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other side takes no sound that can be coded here")]
pub struct NotConvertible;

/// What becomes of a payload type.
#[derive(Debug)]
pub(crate) enum Route {
    /// It passes as it is, under this payload type. How it is decoded here, if it is.
    Pass(PayloadType, Option<Format>),
    /// It is decoded, and coded anew. The decoder comes with the first packet.
    Code(Format, Option<Box<Decoder>>),
    /// A telephone event: another payload type, and perhaps another clock.
    Event,
    /// A telephone event that ends here.
    Key,
    /// Comfort noise that the other side takes as well.
    Noise(Coding),
    /// Comfort noise that the other side is to hear as sound.
    NoiseAsSound,
}

/// A payload type that may arrive.
#[derive(Debug)]
pub(crate) struct Arriving {
    pub(crate) payload_type: PayloadType,
    /// Ticks a second of its timestamps.
    pub(crate) clock_hz: u32,
    pub(crate) route: Route,
}

/// What sound is coded as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coded {
    pub(crate) coding: Coding,
    pub(crate) format: Format,
}

/// Can a codec be decoded and coded here, whatever its clock is?
pub fn can_code(codec: Codec) -> bool {
    codable().any(|known| known == codec)
}

/// The codecs that can be decoded and coded here, at their registered clocks.
pub fn codable() -> impl Iterator<Item = Codec> {
    Codec::ALL.into_iter().filter(|codec| Format::from_codec(*codec, codec.clock_hz()).is_some())
}

/// How a coding is coded here; `None` when it is not. Two channels are no more than what Opus has in its name.
pub(crate) fn format_of(coding: &Coding) -> Option<Format> {
    let mono = coding.channels == 1 || coding.codec == Codec::Opus;
    Format::from_codec(coding.codec, coding.clock_hz).filter(|_| mono)
}

/// What sound becomes when it does not pass: the first that the receiver takes and that can be coded.
pub(crate) fn coded(to: &[Coding]) -> Option<Coded> {
    to.iter().find_map(|coding| Some(Coded { coding: *coding, format: format_of(coding)? }))
}

/// The same where what may come instead is known: Opus has no more bandwidth than that, which spares a filter and half of
/// the encoder's work.
pub(crate) fn coded_from(conversion: &Conversion) -> Option<Coded> {
    let coded = coded(&conversion.to)?;
    let is_passed = |coding: &Coding| conversion.passes(coding).is_some();
    let mut formats = conversion.from.iter().filter(|coding| !is_passed(coding)).filter_map(format_of);
    let is_narrow = formats.all(|format| format.sample_hz() == 8_000);
    Some(if is_narrow { Coded { format: narrow(coded.format), ..coded } } else { coded })
}

/// How a format is coded where 4 kHz are all there is.
fn narrow(format: Format) -> Format {
    match format {
        #[cfg(feature = "opus")]
        Format::Opus(_) => Format::Opus(sx_codec::OpusRate::Hz8000),
        format => format,
    }
}

/// What becomes of everything that may arrive.
pub(crate) fn routes(conversion: &Conversion, coded: Option<&Coded>) -> Result<Vec<Arriving>, NotConvertible> {
    let mut arriving = Vec::with_capacity(conversion.from.len());
    for coding in &conversion.from {
        let passes = conversion.passes(coding);
        let route = match (coding.codec, passes) {
            (Codec::TelephoneEvent, _) if conversion.keys.to != KeyWay::Events => Some(Route::Key),
            (Codec::TelephoneEvent, _) => conversion.takes_events().then_some(Route::Event),
            (Codec::ComfortNoise, _) => match nearest(conversion, coding, coded) {
                Some(noise) => Some(Route::Noise(noise)),
                None => coded.map(|_| Route::NoiseAsSound),
            },
            (_, Some(payload_type)) => Some(Route::Pass(payload_type, format_of(coding))),
            (_, None) => match format_of(coding) {
                Some(format) if coded.is_some() => Some(Route::Code(format, None)),
                Some(_) => return Err(NotConvertible),
                None => None,
            },
        };
        // What cannot become anything is not expected, and dropped like what nobody has negotiated.
        let known = |payload_type| arriving.iter().any(|other: &Arriving| other.payload_type == payload_type);
        if let Some(route) = route.filter(|_| !known(coding.payload_type)) {
            arriving.push(Arriving { payload_type: coding.payload_type, clock_hz: coding.clock_hz, route });
        }
    }
    let is_sound = |arriving: &Arriving| matches!(arriving.route, Route::Pass(..) | Route::Code(..));
    if arriving.iter().any(is_sound) { Ok(arriving) } else { Err(NotConvertible) }
}

/// The receiver's comfort noise: that with the clock of the sound that it is sent, then with that of what arrives, then any.
fn nearest(conversion: &Conversion, coding: &Coding, coded: Option<&Coded>) -> Option<Coding> {
    let of_kind = || conversion.to.iter().filter(|taken| taken.codec == coding.codec);
    let sound = conversion.to.iter().find(|taken| taken.is_sound()).map_or(coding.clock_hz, |sound| sound.clock_hz);
    let sound = coded.map_or(sound, |coded| coded.coding.clock_hz);
    let with_clock = |clock_hz| of_kind().find(|taken| taken.clock_hz == clock_hz);
    with_clock(sound).or_else(|| with_clock(coding.clock_hz)).or_else(|| of_kind().next()).copied()
}

/// An encoder, set as the receiver wants it.
pub(crate) fn encoder(coded: &Coded) -> Encoder {
    match coded.format {
        #[cfg(feature = "opus")]
        Format::Opus(rate) => {
            let wanted = coded.coding.opus;
            let settings = sx_codec::OpusSettings::default();
            let set = wanted.bit_rate.unwrap_or(settings.bit_rate);
            let bit_rate = wanted.bit_rate_max.map_or(set, |most| most.min(set));
            let complexity = wanted.complexity.unwrap_or(settings.complexity);
            Encoder::opus(sx_codec::OpusSettings {
                rate,
                bit_rate,
                complexity,
                fec: wanted.fec,
                dtx: wanted.dtx,
                ..settings
            })
        }
        format => Encoder::new(format),
    }
}

/// Samples of a packet that lasts so long, or 20 ms where the codec has none of this length, or it would be too long for a
/// datagram.
pub(crate) fn frame_samples(format: Format, ptime_ms: u16) -> usize {
    let samples = |ms: u16| format.frame_samples(std::time::Duration::from_millis(ms.into()));
    let fits = |ms: &u16| {
        let samples = samples(*ms);
        samples > 0 && format.is_frame(samples) && format.payload_len(samples) <= PAYLOAD_MAX
    };
    let wanted = ptime_ms.clamp(PTIME_MIN_MS, PTIME_MAX_MS);
    samples([wanted, 20, 10].into_iter().find(fits).unwrap_or(10))
}

/// Packets last between these.
const PTIME_MIN_MS: u16 = 10;
const PTIME_MAX_MS: u16 = 60;
/// More does not fit into a datagram on every link.
const PAYLOAD_MAX: usize = 1_400;

#[cfg(test)]
mod tests {
    use super::*;
    use sx_codec::{L16Rate, Law};
    use sx_media::{KeyRules, SoundRule};

    #[test]
    fn frames_are_those_that_the_codec_has() {
        let check = |format, ptime_ms, samples| assert_eq!(frame_samples(format, ptime_ms), samples, "{format:?}");
        check(Format::G711(Law::A), 20, 160);
        check(Format::G711(Law::A), 30, 240);
        check(Format::G711(Law::A), 0, 80);
        check(Format::G711(Law::A), 1_000, 480);
        check(Format::G722, 30, 480);
        check(Format::L16(L16Rate::Hz48000), 20, 480);
        check(Format::L16(L16Rate::Hz16000), 40, 640);
        #[cfg(feature = "opus")]
        {
            check(Format::Opus(sx_codec::OpusRate::Hz16000), 40, 640);
            check(Format::Opus(sx_codec::OpusRate::Hz16000), 30, 320);
        }
    }

    fn conversion(from: &[(u8, Codec)], to: &[(u8, Codec)]) -> Conversion {
        let codings =
            |list: &[(u8, Codec)]| list.iter().map(|(n, codec)| Coding::new(PayloadType(*n), *codec)).collect();
        Conversion {
            from: codings(from),
            to: codings(to),
            ptime_ms: 20,
            keys: KeyRules::default(),
            anew: false,
            sound: SoundRule::Heard,
        }
    }

    #[cfg(feature = "opus")]
    #[test]
    fn opus_has_the_bandwidth_of_the_other_side() {
        use sx_codec::OpusRate::{Hz8000, Hz16000};
        let check = |from: &[(u8, Codec)], to: &[(u8, Codec)], rate| {
            let conversion = conversion(from, to);
            let coded = coded_from(&conversion);
            let routes = routes(&conversion, coded.as_ref()).expect("it can be");
            let decoded = routes.iter().find_map(|arriving| match arriving.route {
                Route::Code(format, _) => Some(format),
                _ => None,
            });
            let opus = [coded.map(|coded| coded.format), decoded].into_iter().flatten();
            let opus: Vec<_> = opus.filter(|format| matches!(format, Format::Opus(_))).collect();
            assert_eq!(opus, [Format::Opus(rate)], "{from:?} to {to:?}");
        };
        let (opus, pcmu, g722) = ((96, Codec::Opus), (0, Codec::Pcmu), (9, Codec::G722));
        check(&[pcmu], &[opus], Hz8000);
        check(&[pcmu, (8, Codec::Pcma)], &[opus], Hz8000);
        check(&[g722], &[opus], Hz16000);
        check(&[pcmu, g722], &[opus], Hz16000);
        check(&[opus], &[pcmu], Hz16000);
        check(&[opus], &[g722], Hz16000);
    }

    #[test]
    fn what_cannot_be_coded_is_told() {
        let refused = |conversion: &Conversion| routes(conversion, coded(&conversion.to).as_ref()).is_err();
        assert!(refused(&conversion(&[(0, Codec::Pcmu)], &[(18, Codec::G729)])));
        assert!(refused(&conversion(&[(18, Codec::G729)], &[(0, Codec::Pcmu)])));
        assert!(refused(&conversion(&[], &[(0, Codec::Pcmu)])));
        assert!(refused(&conversion(&[(101, Codec::TelephoneEvent)], &[(101, Codec::TelephoneEvent)])));
        assert!(!refused(&conversion(&[(18, Codec::G729)], &[(18, Codec::G729)])), "it passes as it is");
        assert!(!refused(&conversion(&[(0, Codec::Pcmu), (18, Codec::G729)], &[(8, Codec::Pcma)])));
    }
}
