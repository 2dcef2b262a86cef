//! Rooms in virtual time: what each member hears, and what that costs.

use super::*;
use std::time::Duration;
use sx_codec::{Decoder, Encoder, Format, L16Rate, Law, Resampler, Tone, hears};
use sx_media::Coding;
use sx_rtp::{Header, Packet};
use sx_types::{Codec, PayloadType};

const START: Time = Time::from_secs(1_800_000_000);
const TICK: Duration = Duration::from_millis(FRAME_MS as u64);

/// Somebody with a telephone.
struct Phone {
    id: MemberId,
    format: Format,
    coding: Coding,
    ptime_ms: u16,
    muted: bool,
    tone: Tone,
    up: Resampler,
    down: Resampler,
    encoder: Encoder,
    decoder: Decoder,
    sequence: u16,
    heard: Vec<i16>,
    headers: Vec<Header>,
    arrived: Vec<Time>,
}

fn coding_of(format: Format) -> Coding {
    let l16 = [8_000, 16_000].map(|clock_hz| Coding { clock_hz, ..Coding::new(PayloadType(96), Codec::L16) });
    let rest = [(0, Codec::Pcmu), (8, Codec::Pcma), (9, Codec::G722), (111, Codec::Opus)];
    let mut all = rest.into_iter().map(|(number, codec)| Coding::new(PayloadType(number), codec)).chain(l16);
    let is_this = |coding: &Coding| Format::from_codec(coding.codec, coding.clock_hz) == Some(format);
    all.find(is_this).expect("one of these")
}

impl Phone {
    fn new(id: u64, format: Format, hz: f64) -> Self {
        Self {
            id: MemberId(id),
            format,
            coding: coding_of(format),
            ptime_ms: 20,
            muted: false,
            tone: Tone::new(hz, -16.0),
            up: Resampler::new(8_000, format.sample_hz()).expect("a rate that it knows"),
            down: Resampler::new(format.sample_hz(), 8_000).expect("a rate that it knows"),
            encoder: Encoder::new(format),
            decoder: Decoder::new(format),
            sequence: 65_530,
            heard: Vec::new(),
            headers: Vec::new(),
            arrived: Vec::new(),
        }
    }

    fn attendance(&self) -> Attendance {
        let codings = vec![self.coding, Coding::new(PayloadType(101), Codec::TelephoneEvent)];
        let (ptime_ms, muted) = (self.ptime_ms, self.muted);
        Attendance {
            room: "8000".into(),
            from: codings.clone(),
            to: codings,
            ptime_ms,
            muted,
            keys_in_band: false,
            sounds: Default::default(),
        }
    }

    /// The next 20 ms of its tone.
    fn says(&mut self) -> Vec<u8> {
        let (mut samples, mut payload, mut packet) = (Vec::new(), Vec::new(), Vec::new());
        let said: Vec<i16> = self.tone.by_ref().take(160).collect();
        self.up.process(&said, &mut samples);
        self.encoder.encode(&samples, &mut payload).expect("20 ms");
        let timestamp = u32::from(self.sequence.wrapping_sub(65_530)) * (self.format.rtp_clock_hz() / 50);
        let (payload_type, ssrc) = (self.coding.payload_type, Ssrc(self.id.0 as u32 + 1_000));
        Header { marker: false, payload_type, sequence: self.sequence, timestamp, ssrc }.write(&payload, &mut packet);
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }

    fn hears(&mut self, now: Time, packet: &[u8]) {
        let packet = Packet::parse(packet).expect("a packet");
        let mut samples = Vec::new();
        self.decoder.decode(packet.payload(), &mut samples).expect("a payload of its codec");
        self.down.process(&samples, &mut self.heard);
        self.headers.push(packet.header());
        self.arrived.push(now);
    }

    fn forgets(&mut self) {
        self.heard.clear();
        self.headers.clear();
        self.arrived.clear();
    }

    /// It hears these tones and none of the others, behind the first 200 ms.
    fn check(&self, heard: &[f64], not: &[f64]) {
        let samples = &self.heard[1_600..];
        assert!(heard.iter().all(|hz| hears(samples, *hz)), "{:?} hears {heard:?}", self.id);
        assert!(!not.iter().any(|hz| hears(samples, *hz)), "{:?} hears none of {not:?}", self.id);
    }
}

/// A room, and those who are in it.
struct Hall {
    room: Conference,
    rng: Rng,
    now: Time,
    phones: Vec<Phone>,
}

impl Hall {
    fn new(phones: Vec<Phone>) -> Self {
        let mut hall = Self { room: Conference::new(25), rng: Rng::from_number(7), now: START, phones };
        (0..hall.phones.len()).for_each(|place| hall.attend(place));
        hall
    }

    fn attend(&mut self, place: usize) {
        let Self { room, rng, now, phones } = self;
        let phone = &phones[place];
        room.attend(*now, (phone.id, Ssrc(phone.id.0 as u32)), &phone.attendance(), rng).expect("there is a place");
    }

    /// 20 ms pass, in which those of these places speak.
    fn tick(&mut self, speaking: &[usize]) {
        for place in speaking {
            let packet = self.phones[*place].says();
            self.room.handle_packet(self.now + Duration::from_millis(3), self.phones[*place].id, &packet);
        }
        self.now = self.now + TICK;
        self.room.mix(self.now);
        for phone in &mut self.phones {
            while let Some(packet) = self.room.poll_packet(phone.id) {
                phone.hears(self.now, packet);
            }
        }
    }

    fn run(&mut self, ticks: usize, speaking: &[usize]) {
        (0..ticks).for_each(|_| self.tick(speaking));
    }

    fn own_streams(&self) -> usize {
        self.room.members.iter().filter(|member| member.has_own_stream()).count()
    }
}

fn formats() -> Vec<Format> {
    vec![
        Format::G711(Law::Mu),
        Format::G711(Law::A),
        Format::G722,
        Format::L16(L16Rate::Hz16000),
        #[cfg(feature = "opus")]
        Format::Opus(sx_codec::OpusRate::Hz16000),
    ]
}

const TONES: [f64; 5] = [440.0, 700.0, 1_000.0, 1_330.0, 1_750.0];

#[test]
fn each_hears_all_others_and_not_itself_whatever_they_speak() {
    let phones: Vec<_> = formats().into_iter().zip(TONES).zip(1..).map(|((f, hz), id)| Phone::new(id, f, hz)).collect();
    let count = phones.len();
    let mut hall = Hall::new(phones);
    hall.run(60, &(0..count).collect::<Vec<_>>());
    for (phone, own) in hall.phones.iter().zip(TONES) {
        let others: Vec<_> = TONES.into_iter().take(count).filter(|hz| *hz != own).collect();
        phone.check(&others, &[own]);
        let counted = hall.room.counted(phone.id);
        assert!(counted.decoded > 50 && counted.undecodable == 0, "{counted:?}");
    }
}

#[test]
fn what_a_member_is_sent_is_one_stream() {
    let mut hall = Hall::new(vec![Phone::new(1, Format::G711(Law::Mu), 440.0), Phone::new(2, Format::G722, 700.0)]);
    hall.run(20, &[0]);
    hall.run(20, &[0, 1]);
    hall.run(20, &[]);
    for phone in &hall.phones {
        assert_eq!(phone.headers.len(), 60);
        let steps = phone.headers.windows(2).map(|pair| {
            (pair[1].sequence.wrapping_sub(pair[0].sequence), pair[1].timestamp.wrapping_sub(pair[0].timestamp))
        });
        assert!(steps.into_iter().all(|step| step == (1, 160)));
        assert!(phone.headers.iter().enumerate().all(|(index, header)| header.marker == (index == 0)));
        assert!(phone.headers.iter().all(|header| header.ssrc == Ssrc(phone.id.0 as u32)));
    }
}

#[test]
fn a_packet_is_as_long_as_its_member_wants() {
    for (format, ptime_ms, packets, ticks) in [
        (Format::G711(Law::Mu), 10, 120, 80),
        (Format::G711(Law::Mu), 30, 40, 240),
        (Format::G711(Law::Mu), 40, 30, 320),
        (Format::G722, 40, 30, 320),
        (Format::G722, 60, 20, 480),
    ] {
        let mut hall = Hall::new(vec![Phone::new(1, format, 440.0), Phone::new(2, Format::G711(Law::A), 700.0)]);
        hall.run(1, &[]);
        hall.phones[0].ptime_ms = ptime_ms;
        hall.attend(0);
        hall.phones[0].forgets();
        // It speaks now and then, and goes from one stream to another in the middle of packets.
        for round in 0..60 {
            hall.tick(if round % 20 < 7 { &[0, 1] } else { &[1] });
        }
        let phone = &hall.phones[0];
        assert!(phone.headers.len().abs_diff(packets) <= 1, "{} of {ptime_ms} ms", phone.headers.len());
        let steps = phone.headers.windows(2).map(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp));
        assert!(steps.into_iter().all(|step| step == ticks), "{format:?} {ptime_ms}");
        // Nothing was left out on the way: what is sent keeps up with the time.
        let lag = phone.headers.iter().zip(&phone.arrived).map(|(header, at)| {
            at.since(START).as_millis() as u32 * 8 - header.timestamp.wrapping_sub(phone.headers[0].timestamp)
        });
        let (least, most) = (lag.clone().min(), lag.max());
        assert!(most < least.map(|least| least + 160), "{least:?} to {most:?} at {ptime_ms} ms");
        phone.check(&[700.0], &[440.0]);
    }
}

#[test]
fn who_only_listens_costs_no_encoder() {
    let phones =
        (1..=12).map(|id| Phone::new(id, if id % 2 == 0 { Format::G722 } else { Format::G711(Law::A) }, 440.0));
    let mut hall = Hall::new(phones.collect());
    hall.run(30, &[3]);
    assert_eq!((hall.own_streams(), hall.room.shared.len()), (1, 2));
    // In silence the speaker comes back to the others.
    hall.run(60, &[]);
    assert_eq!((hall.own_streams(), hall.room.shared.len()), (0, 2));
    hall.run(30, &[0]);
    assert_eq!((hall.own_streams(), hall.room.shared.len()), (1, 2));
}

#[test]
fn who_has_spoken_is_not_encoded_for_alone_for_long_while_others_speak() {
    let mut hall = Hall::new((1..=3).map(|id| Phone::new(id, Format::G722, 440.0)).collect());
    hall.run(30, &[0, 1]);
    assert_eq!(hall.own_streams(), 2);
    // 0.4 s until it is no speaker any more, and two seconds in which silence did not come.
    hall.run(140, &[0]);
    assert_eq!(hall.own_streams(), 1);
}

#[test]
fn who_comes_in_while_others_speak_costs_no_encoder_either() {
    let mut hall = Hall::new(vec![Phone::new(1, Format::G722, 440.0), Phone::new(2, Format::G722, 700.0)]);
    hall.run(30, &[0]);
    hall.phones.push(Phone::new(3, Format::G722, 900.0));
    hall.attend(2);
    hall.run(1, &[0]);
    assert!(hall.phones[2].headers.is_empty(), "in its first tick it is sent nothing");
    hall.run(30, &[0]);
    assert_eq!((hall.own_streams(), hall.phones[2].headers.len()), (1, 30));
    hall.phones[2].check(&[440.0], &[700.0, 900.0]);
}

/// One that remembers what it coded would be misunderstood if another one, that remembers something else, took its place.
#[test]
fn going_to_a_stream_of_its_own_is_not_heard() {
    let mut hall = Hall::new(vec![Phone::new(1, Format::G722, 440.0), Phone::new(2, Format::G711(Law::Mu), 700.0)]);
    hall.run(60, &[1]);
    hall.phones[0].forgets();
    hall.run(40, &[0, 1]);
    assert_eq!(hall.own_streams(), 2);
    let most = hall.phones[0].heard.iter().map(|sample| sample.unsigned_abs()).max();
    let said = Tone::new(700.0, -16.0).take(160).map(|sample: i16| sample.unsigned_abs()).max();
    assert!(most < said.map(|said| said + said / 8), "{most:?} of {said:?}");
}

#[test]
fn nobody_hears_who_is_muted_until_it_is_so_no_more() {
    let [mut one, two] = [Phone::new(1, Format::G711(Law::Mu), 440.0), Phone::new(2, Format::G722, 700.0)];
    one.muted = true;
    let mut hall = Hall::new(vec![one, two, Phone::new(3, Format::G711(Law::A), 1_000.0)]);
    hall.run(60, &[0, 1]);
    hall.phones[0].check(&[700.0], &[440.0]);
    hall.phones[1].check(&[], &[440.0, 700.0]);
    hall.phones[2].check(&[700.0], &[440.0]);
    assert_eq!(hall.room.counted(MemberId(1)), Counted::default(), "nothing of it is decoded");
    hall.phones[0].muted = false;
    hall.attend(0);
    hall.phones.iter_mut().for_each(Phone::forgets);
    hall.run(60, &[0, 1]);
    hall.phones[2].check(&[440.0, 700.0], &[]);
    hall.phones[1].check(&[440.0], &[700.0]);
}

#[test]
fn another_codec_goes_on_in_the_same_stream() {
    let mut hall = Hall::new(vec![Phone::new(1, Format::G711(Law::Mu), 440.0), Phone::new(2, Format::G722, 700.0)]);
    hall.run(40, &[0, 1]);
    let last = hall.phones[0].headers.pop().expect("a packet");
    let former = std::mem::replace(&mut hall.phones[0], Phone::new(1, Format::L16(L16Rate::Hz8000), 440.0));
    hall.phones[0].sequence = former.sequence;
    hall.attend(0);
    hall.run(60, &[0, 1]);
    let first = hall.phones[0].headers[0];
    assert_eq!((first.sequence, first.timestamp), (last.sequence.wrapping_add(1), last.timestamp.wrapping_add(160)));
    hall.phones[0].check(&[700.0], &[440.0]);
    hall.phones[1].check(&[440.0], &[700.0]);
}

#[test]
fn what_follows_a_stream_from_elsewhere_goes_on_with_its_numbers() {
    let mut hall = Hall::new(vec![Phone::new(1, Format::G711(Law::Mu), 440.0)]);
    hall.run(3, &[]);
    let (sent, last) = (hall.room.sent(MemberId(1)).expect("something"), hall.phones[0].headers[2]);
    hall.room.leave(MemberId(1));
    assert!(hall.room.is_empty());
    hall.attend(0);
    hall.room.resume(hall.now, MemberId(1), &sent);
    hall.run(1, &[]);
    let next = hall.phones[0].headers[3];
    assert_eq!((next.sequence, next.timestamp), (last.sequence.wrapping_add(1), last.timestamp.wrapping_add(160)));
    assert_eq!(hall.room.sent(MemberId(1)).map(|sent| sent.packets), Some(4));
}

#[test]
fn lost_packets_are_made_up() {
    let mut hall =
        Hall::new(vec![Phone::new(1, Format::G711(Law::Mu), 440.0), Phone::new(2, Format::G711(Law::A), 700.0)]);
    for round in 0..80 {
        if round % 10 == 5 {
            hall.phones[0].says();
            hall.tick(&[]);
        } else {
            hall.tick(&[0]);
        }
    }
    hall.phones[1].check(&[440.0], &[]);
    let silent = hall.phones[1].heard[1_600..].chunks(80).filter(|chunk| chunk.iter().all(|sample| sample.abs() < 100));
    assert_eq!(silent.count(), 0, "the holes are filled");
}

#[test]
fn what_cannot_be_decoded_is_counted_and_keys_are_no_sound() {
    let mut hall =
        Hall::new(vec![Phone::new(1, Format::G711(Law::Mu), 440.0), Phone::new(2, Format::G711(Law::A), 700.0)]);
    let mut packet = Vec::new();
    for sequence in 0..20 {
        let (payload_type, payload) = if sequence < 5 { (0, vec![0; 1_700]) } else { (101, vec![5, 10, 0, 160]) };
        let header = Header {
            marker: false,
            payload_type: PayloadType(payload_type),
            sequence,
            timestamp: 160 * u32::from(sequence),
            ssrc: Ssrc(9),
        };
        packet.clear();
        header.write(&payload, &mut packet);
        hall.room.handle_packet(hall.now, MemberId(1), &packet);
        hall.room.handle_packet(hall.now, MemberId(1), &packet[..7]);
        hall.tick(&[]);
    }
    assert_eq!(hall.room.counted(MemberId(1)), Counted { decoded: 0, undecodable: 5 });
    assert!(hall.phones[1].heard.iter().all(|sample| sample.abs() <= 8));
}

#[test]
fn a_full_room_takes_nobody_and_what_cannot_be_coded_is_told() {
    let (mut room, mut rng) = (Conference::new(2), Rng::from_number(1));
    let phone = Phone::new(1, Format::G722, 440.0);
    for id in 1..=2 {
        assert_eq!(room.attend(START, (MemberId(id), Ssrc(1)), &phone.attendance(), &mut rng), Ok(()));
    }
    let refused = room.attend(START, (MemberId(3), Ssrc(1)), &phone.attendance(), &mut rng);
    assert_eq!(refused, Err(NotAdmitted::Full(2)));
    let strange = Attendance { to: vec![Coding::new(PayloadType(18), Codec::G729)], ..phone.attendance() };
    let refused = room.attend(START, (MemberId(2), Ssrc(1)), &strange, &mut rng);
    assert_eq!(refused, Err(NotAdmitted::NotConvertible(NotConvertible)));
    assert_eq!(room.attend(START, (MemberId(3), Ssrc(1)), &phone.attendance(), &mut rng), Ok(()));
}

#[test]
fn who_is_mixed_already_is_not_told_that_there_is_no_place() {
    let mut room = Room::new(RoomSettings::default());
    let settings = MemberSettings::new(sx_mix::Rate::Hz8000);
    assert_eq!(join(&mut room, MemberId(1), &settings), Ok(()));
    assert_eq!(join(&mut room, MemberId(1), &settings), Err(NotAdmitted::Taken));
}

#[test]
fn a_member_is_told_what_it_was_sent_and_what_came_of_it() {
    let mut hall =
        Hall::new(vec![Phone::new(1, Format::G711(Law::Mu), 440.0), Phone::new(2, Format::G711(Law::A), 700.0)]);
    let mut reports = 0;
    for _ in 0..500 {
        hall.tick(&[0]);
        let now = hall.now;
        let sent = hall.room.sent(MemberId(1)).map_or(0, |sent| sent.packets);
        let Some(report) = hall.room.poll_report(now, MemberId(1)) else { continue };
        let compound = sx_rtp::Compound::parse(report).expect("a compound packet");
        let Some(sx_rtp::RtcpPacket::SenderReport(report)) = compound.packets().next() else { panic!("no report") };
        assert_eq!((report.ssrc, report.info.packet_count), (Ssrc(1), sent));
        assert!(report.blocks.into_iter().all(|block| block.ssrc == Ssrc(1_001) && block.cumulative_lost == 0));
        reports += 1;
    }
    assert!((1..=5).contains(&reports), "{reports} in ten seconds");
}

#[test]
fn ticks_for_which_there_was_no_time_are_missing_in_timestamps_alone() {
    let mut hall = Hall::new(vec![Phone::new(1, Format::G711(Law::Mu), 440.0)]);
    hall.run(2, &[]);
    hall.room.skip(10);
    hall.run(1, &[]);
    let [before, after] = [1, 2].map(|index: usize| hall.phones[0].headers[index]);
    assert_eq!((after.sequence, after.marker), (before.sequence.wrapping_add(1), true));
    assert_eq!(after.timestamp.wrapping_sub(before.timestamp), 11 * 160);
}

/// A party on hold gets nothing, for longer than sequence numbers last before they come again.
#[test]
fn what_is_not_sent_takes_no_number() {
    let mut hall = Hall::new(vec![Phone::new(1, Format::G711(Law::Mu), 440.0)]);
    hall.run(2, &[]);
    let (before, sent) = (hall.phones[0].headers[1], hall.room.sent(MemberId(1)));
    for _ in 0..100 {
        hall.now = hall.now + TICK;
        hall.room.mix(hall.now);
        hall.room.withdraw(MemberId(1));
        assert_eq!(hall.room.poll_packet(MemberId(1)), None);
    }
    let packets = |sent: Option<Sent>| sent.map(|sent| (sent.packets, sent.octets, sent.sequence));
    assert_eq!(packets(hall.room.sent(MemberId(1))), packets(sent));
    hall.run(1, &[]);
    let after = hall.phones[0].headers[2];
    assert_eq!((after.sequence, after.marker), (before.sequence.wrapping_add(1), true));
    assert_eq!(after.timestamp.wrapping_sub(before.timestamp), 101 * 160);
}

/// The samples of a tone that lasts so long, as a file would have them.
fn recorded(hz: f64, ms: usize) -> Sound {
    let samples = Tone::new(hz, -16.0).take(ms * 8).collect();
    Sound::Recorded(std::sync::Arc::new(crate::Recorded { sample_hz: 8_000, samples, is_cut: false }))
}

#[test]
fn members_are_told_by_a_sound_beside_what_is_said() {
    let mut hall = Hall::new(vec![Phone::new(1, Format::G711(Law::Mu), 440.0), Phone::new(2, Format::G722, 700.0)]);
    hall.run(20, &[0]);
    hall.phones.iter_mut().for_each(Phone::forgets);
    assert!(hall.room.prompt(&recorded(1_330.0, 1_000), PromptTo::Everybody));
    hall.run(45, &[0]);
    hall.phones[0].check(&[1_330.0], &[440.0, 700.0]);
    hall.phones[1].check(&[440.0, 1_330.0], &[700.0]);
    hall.run(20, &[0]);
    hall.phones.iter_mut().for_each(Phone::forgets);
    hall.run(30, &[0]);
    hall.phones[1].check(&[440.0], &[1_330.0]);
}

#[test]
fn prompts_are_heard_one_after_the_other_and_no_more_than_may_wait() {
    let mut hall = Hall::new(vec![Phone::new(1, Format::G711(Law::Mu), 440.0), Phone::new(2, Format::G722, 700.0)]);
    let tones = [1_000.0, 1_330.0, 1_750.0, 2_100.0];
    assert!(tones.iter().all(|hz| hall.room.prompt(&recorded(*hz, 400), PromptTo::Everybody)));
    assert!(!hall.room.prompt(&recorded(440.0, 400), PromptTo::Everybody), "too many wait");
    hall.run(4 * 20 + 10, &[]);
    let heard = &hall.phones[0].heard;
    for (place, hz) in tones.iter().enumerate() {
        let part = &heard[place * 3_200 + 400..][..2_400];
        let others: Vec<_> = tones.iter().filter(|other| *other != hz).collect();
        assert!(hears(part, *hz) && !others.iter().any(|other| hears(part, **other)), "{place}");
    }
    assert!(hall.room.prompt(&recorded(440.0, 400), PromptTo::Everybody), "there is room again");
}

#[test]
fn who_is_alone_is_told_so_until_somebody_comes() {
    let mut hall = Hall::new(vec![Phone::new(1, Format::G711(Law::Mu), 440.0)]);
    assert!(hall.room.prompt(&recorded(1_000.0, 4_000), PromptTo::Lonely));
    hall.run(40, &[]);
    hall.phones[0].check(&[1_000.0], &[440.0]);
    hall.phones.push(Phone::new(2, Format::G711(Law::A), 700.0));
    hall.attend(1);
    hall.run(1, &[]);
    hall.phones.iter_mut().for_each(Phone::forgets);
    hall.run(40, &[1]);
    hall.phones[0].check(&[700.0], &[1_000.0]);
    hall.phones[1].check(&[], &[1_000.0]);
}
