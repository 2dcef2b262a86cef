//! A sound that is played to one party: samples in, packets out, at a clock's pace.

use crate::reports::Reporter;
use crate::route::{Coded, NotConvertible, coded, encoder, frame_samples};
use crate::sending::{Sending, Sent};
use crate::sounds::{Sound, Voice};
use crate::{FRAME_MS, Playing};
use sx_codec::{Encoder, Resampler};
use sx_engine::{Rng, Time};
use sx_rtp::Ssrc;

/// A sound on its way to a party.
///
/// The loop: [`play`](Self::play) each [`FRAME_MS`], then [`poll_packet`](Self::poll_packet) and
/// [`poll_report`](Self::poll_report), until it [`is_over`](Self::is_over).
///
/// ```
/// use sx_audio::{Country, Player, Playing, Sounds};
/// use sx_engine::{Rng, Time};
/// use sx_media::Coding;
/// use sx_rtp::{Packet, Ssrc};
/// use sx_types::{Codec, PayloadType};
///
/// let sound = Sounds::new(Country::Germany).find("tone:beep").ok_or("no such tone")?;
/// let to = vec![Coding::new(PayloadType(8), Codec::Pcma)];
/// let playing = Playing { sound: "tone:beep".into(), repeats: false, to, ptime_ms: 20, number: 1 };
/// let now = Time::from_secs(1_800_000_000);
/// let mut player = Player::new(now, &playing, &sound, Ssrc(5), &mut Rng::from_number(1))?;
/// player.play(now);
/// let packet = Packet::parse(player.poll_packet().ok_or("no packet")?)?;
/// assert_eq!((packet.payload_type(), packet.ssrc(), packet.payload().len()), (PayloadType(8), Ssrc(5), 160));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Player {
    voice: Voice,
    coded: Coded,
    resampler: Option<Resampler>,
    encoder: Encoder,
    /// Samples of a packet.
    frame: usize,
    taken: Vec<i16>,
    /// What does not fill a packet yet.
    pending: Vec<i16>,
    payload: Vec<u8>,
    sending: Sending,
    reporter: Reporter,
    report: Vec<u8>,
}

impl Player {
    /// A sound from its beginning, in packets of the source `ssrc`.
    ///
    /// # Errors
    /// [`NotConvertible`] when the party takes nothing that can be coded.
    pub fn new(now: Time, playing: &Playing, sound: &Sound, ssrc: Ssrc, rng: &mut Rng) -> Result<Self, NotConvertible> {
        let coded = coded(&playing.to).ok_or(NotConvertible)?;
        let voice = Voice::new(sound, playing.repeats);
        let to_hz = coded.format.sample_hz();
        let resampler = (voice.sample_hz() != to_hz).then(|| Resampler::new(voice.sample_hz(), to_hz));
        Ok(Self {
            // Sound is read at rates that the resampler knows, and codecs have no others.
            resampler: resampler.map(|known| known.ok_or(NotConvertible)).transpose()?,
            voice,
            encoder: encoder(&coded),
            frame: frame_samples(coded.format, playing.ptime_ms),
            taken: Vec::new(),
            pending: Vec::new(),
            payload: Vec::new(),
            sending: Sending::new(ssrc, coded.coding.clock_hz, rng),
            reporter: Reporter::new(now, ssrc, rng),
            report: Vec::new(),
            coded,
        })
    }

    /// What it sends follows what the party was sent before, in the name of the same source.
    pub fn resume(&mut self, now: Time, sent: &Sent) {
        self.sending.resume(now, sent);
    }

    /// The sound goes on where another player of it was.
    pub fn follow(&mut self, before: Self) {
        self.voice = before.voice;
    }

    /// The next [`FRAME_MS`], at `now`.
    pub fn play(&mut self, now: Time) {
        self.sending.begin(now);
        if self.is_over() {
            return;
        }
        self.taken.clear();
        self.voice.take(self.voice.sample_hz() as usize / 1_000 * FRAME_MS, &mut self.taken);
        match &mut self.resampler {
            Some(resampler) => resampler.process(&self.taken, &mut self.pending),
            None => self.pending.extend_from_slice(&self.taken),
        }
        if self.voice.is_over() {
            self.finish();
        }
        let ticks = self.coded.format.rtp_ticks(self.frame) as u64;
        let whole = self.pending.len() / self.frame * self.frame;
        for samples in self.pending[..whole].chunks_exact(self.frame) {
            self.payload.clear();
            let coded = self.encoder.encode(samples, &mut self.payload).map(|()| &*self.payload);
            self.sending.coded(self.coded.coding.payload_type, self.sending.end(), ticks, coded);
        }
        self.pending.drain(..whole);
    }

    /// What the resampler holds comes out, and the last packet is filled with silence.
    fn finish(&mut self) {
        if let Some(resampler) = &mut self.resampler {
            let behind = resampler.delay_samples() as usize * self.voice.sample_hz() as usize
                / self.coded.format.sample_hz() as usize;
            resampler.process(&vec![0; behind], &mut self.pending);
        }
        let whole = self.pending.len().next_multiple_of(self.frame);
        self.pending.resize(whole, 0);
    }

    /// So many times of [`FRAME_MS`] have passed in which nothing was played, since there was no time.
    pub fn skip(&mut self, ticks: u64) {
        let hz = u64::from(self.coded.coding.clock_hz);
        self.sending.pass(ticks * hz * FRAME_MS as u64 / 1_000);
        self.sending.pause();
    }

    /// What was made at last goes nowhere, as while the party receives nothing.
    pub fn withdraw(&mut self) {
        self.sending.withdraw();
    }

    /// The next packet to be sent.
    pub fn poll_packet(&mut self) -> Option<&[u8]> {
        self.sending.poll()
    }

    /// A report for the party, if it is time.
    pub fn poll_report(&mut self, now: Time) -> Option<&[u8]> {
        if !self.reporter.is_due(now) {
            return None;
        }
        self.report.clear();
        self.reporter.write(now, self.sending.sent().as_ref(), None, &mut self.report);
        Some(&self.report)
    }

    /// Packets that are missing, since this was last asked, because their sound could not be encoded.
    pub fn take_encode_errors(&mut self) -> u64 {
        self.sending.take_encode_errors()
    }

    /// What was sent; `None` when nothing was.
    pub fn sent(&self) -> Option<Sent> {
        self.sending.sent()
    }

    /// Has all of it been played?
    pub fn is_over(&self) -> bool {
        self.voice.is_over() && self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::indication::Country;
    use crate::sounds::Sounds;
    use crate::wav::Recorded;
    use std::sync::Arc;
    use std::time::Duration;
    use sx_codec::{Decoder, Format, Tone, hears, level_dbm0};
    use sx_media::Coding;
    use sx_rtp::{Header, Packet};
    use sx_types::{Codec, PayloadType};

    const START: Time = Time::from_secs(1_800_000_000);

    fn playing(codec: Codec, repeats: bool, ptime_ms: u16) -> Playing {
        let to = vec![Coding::new(PayloadType(96), Codec::TelephoneEvent), Coding::new(PayloadType(97), codec)];
        Playing { sound: "it".into(), repeats, to, ptime_ms, number: 0 }
    }

    /// 440 Hz for so many milliseconds.
    fn recorded(sample_hz: u32, ms: u32) -> Sound {
        let mut up = Resampler::new(8_000, sample_hz).expect("a rate that it knows");
        let tone: Vec<i16> = Tone::new(440.0, -10.0).take(ms as usize * 8).collect();
        let mut samples = Vec::new();
        up.process(&tone, &mut samples);
        Sound::Recorded(Arc::new(Recorded { sample_hz, samples: samples.into(), is_cut: false }))
    }

    /// The headers of what was played in so many ticks, and what is to be heard of it at 8,000 samples a second.
    fn listen(player: &mut Player, codec: Codec, ticks: u32) -> (Vec<Header>, Vec<i16>) {
        let format = Format::from_codec(codec, codec.clock_hz()).expect("it is coded here");
        let mut decoder = Decoder::new(format);
        let (mut headers, mut wide) = (Vec::new(), Vec::new());
        for tick in 0..ticks {
            player.play(START + Duration::from_millis(u64::from(tick) * 20));
            while let Some(packet) = player.poll_packet() {
                let packet = Packet::parse(packet).expect("RTP");
                headers.push(packet.header());
                decoder.decode(packet.payload(), &mut wide).expect("the codec's own");
            }
        }
        let mut narrow = Vec::new();
        Resampler::new(format.sample_hz(), 8_000).expect("rates that it knows").process(&wide, &mut narrow);
        (headers, narrow)
    }

    fn new(playing: &Playing, sound: &Sound) -> Player {
        Player::new(START, playing, sound, Ssrc(9), &mut Rng::from_number(3)).expect("it can be coded")
    }

    #[test]
    fn a_sound_is_heard_whole_in_any_codec_from_any_rate() {
        let mut codecs = vec![Codec::Pcmu, Codec::Pcma, Codec::G722];
        codecs.extend(cfg!(feature = "opus").then_some(Codec::Opus));
        for (codec, rate) in codecs.iter().flat_map(|codec| [8_000, 16_000, 48_000].map(|rate| (*codec, rate))) {
            let mut player = new(&playing(codec, false, 20), &recorded(rate, 990));
            let (headers, heard) = listen(&mut player, codec, 60);
            let what = format!("{codec:?} from {rate}");
            assert!(player.is_over() && (50..=52).contains(&headers.len()), "{what}: {}", headers.len());
            assert!(hears(&heard[800..7_200], 440.0) && level_dbm0(&heard[800..7_200]) > -11.5, "{what}");
            let ticks = codec.clock_hz() / 50;
            for pair in headers.windows(2) {
                assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1), "{what}");
                assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(ticks), "{what}");
            }
            assert!(headers.iter().all(|header| header.payload_type == PayloadType(97) && header.ssrc == Ssrc(9)));
            assert!(headers[0].marker && !headers[1].marker, "{what}");
        }
    }

    #[test]
    fn a_sound_that_repeats_has_no_end_and_no_gap() {
        let mut player = new(&playing(Codec::Pcmu, true, 30), &recorded(8_000, 100));
        let (headers, heard) = listen(&mut player, Codec::Pcmu, 150);
        assert!(!player.is_over());
        assert_eq!((headers.len(), heard.len()), (100, 24_000));
        for second in heard.chunks(1_600) {
            assert!(hears(second, 440.0));
        }
    }

    #[test]
    fn it_goes_on_with_what_the_source_has_sent_before() {
        let tone = Sounds::new(Country::Germany).find("tone:dial").expect("a tone");
        let mut first = new(&playing(Codec::Pcma, true, 20), &tone);
        let (headers, _) = listen(&mut first, Codec::Pcma, 5);
        let last = headers[4];
        let sent = first.sent().expect("something was");
        let mut second = new(&playing(Codec::Pcma, true, 20), &tone);
        second.resume(sent.at + Duration::from_millis(60), &sent);
        let (headers, _) = listen(&mut second, Codec::Pcma, 1);
        assert_eq!(headers[0].sequence, last.sequence.wrapping_add(1));
        assert_eq!(headers[0].timestamp, last.timestamp.wrapping_add(480), "60 ms later");
        assert!(headers[0].marker);
    }

    #[test]
    fn what_the_party_does_not_take_is_no_part_of_the_stream() {
        let tone = Sounds::new(Country::Germany).find("tone:dial").expect("a tone");
        let mut player = new(&playing(Codec::Pcma, true, 20), &tone);
        let (headers, _) = listen(&mut player, Codec::Pcma, 2);
        player.play(START);
        player.withdraw();
        assert!(player.poll_packet().is_none());
        player.skip(2);
        let (after, _) = listen(&mut player, Codec::Pcma, 1);
        assert_eq!(after[0].sequence, headers[1].sequence.wrapping_add(1));
        assert_eq!(after[0].timestamp, headers[1].timestamp.wrapping_add(160 * 4));
        assert!(after[0].marker);
    }

    #[test]
    fn a_party_that_takes_nothing_hears_nothing() {
        let nothing =
            Playing { to: vec![Coding::new(PayloadType(18), Codec::G729)], ..playing(Codec::Pcmu, false, 20) };
        let tone = Sounds::new(Country::Germany).find("tone:dial").expect("a tone");
        let refused = Player::new(START, &nothing, &tone, Ssrc(1), &mut Rng::from_number(1));
        assert_eq!(refused.err(), Some(NotConvertible));
    }

    #[test]
    fn its_reports_say_what_was_sent() {
        let tone = Sounds::new(Country::Germany).find("tone:dial").expect("a tone");
        let mut player = new(&playing(Codec::Pcma, true, 20), &tone);
        listen(&mut player, Codec::Pcma, 3);
        assert!(player.poll_report(START).is_none());
        let report = player.poll_report(START + Duration::from_secs(8)).expect("it is time").to_vec();
        let packets: Vec<_> = sx_rtp::Compound::parse(&report).expect("a compound packet").packets().collect();
        let sx_rtp::RtcpPacket::SenderReport(report) = packets[0] else { panic!("{packets:?}") };
        assert_eq!((report.ssrc, report.info.packet_count, report.info.octet_count), (Ssrc(9), 3, 480));
    }

    #[test]
    fn what_cannot_be_encoded_is_missed_and_counted() {
        let sound = Sounds::new(Country::Germany).find("tone:beep").expect("a tone");
        let mut rng = Rng::from_number(1);
        let mut player =
            Player::new(START, &playing(Codec::Pcma, false, 20), &sound, Ssrc(5), &mut rng).expect("G.711");
        player.play(START);
        assert!(player.poll_packet().is_some());
        assert_eq!(player.take_encode_errors(), 0);
        // Of an odd number of samples G.722 makes nothing.
        (player.encoder, player.frame) = (Encoder::new(Format::G722), 159);
        player.play(START + Duration::from_millis(20));
        assert_eq!(player.poll_packet(), None);
        assert_eq!(player.take_encode_errors(), 1);
        assert_eq!(player.take_encode_errors(), 0, "they are taken");
    }
}
