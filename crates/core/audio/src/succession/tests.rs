//! Several take turns to send to one telephone, in virtual time and under SRTP, which refuses a number that comes twice.

use super::*;
use crate::indication::Country;
use crate::{Player, Playing, Sounds, Transcoder};
use proptest::prelude::*;
use sx_engine::Rng;
use sx_media::{Coding, Conversion, KeyRules};
use sx_rtp::srtp::{MasterKey, Protector, Suite, Unprotector};
use sx_types::{Codec, PayloadType};

const START: Time = Time::from_secs(1_800_000_000);
const FRAME: Duration = Duration::from_millis(20);

/// A telephone that is sent to, under SRTP, and those who may send to it.
struct Line {
    now: Time,
    succession: Succession,
    protector: Protector,
    unprotector: Unprotector,
    received: Vec<Header>,
    rng: Rng,
}

/// A party that speaks A-law.
struct Party {
    port: u64,
    header: Header,
}

impl Party {
    fn new(port: u64, ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        let (payload_type, ssrc) = (PayloadType(8), Ssrc(ssrc));
        Self { port, header: Header { marker: false, payload_type, sequence, timestamp, ssrc } }
    }

    fn says(&mut self) -> Vec<u8> {
        let mut packet = Vec::new();
        self.header.write(&[0xd5; 160], &mut packet);
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(160);
        packet
    }

    /// It says something that nobody hears.
    fn says_in_vain(&mut self, packets: u16) {
        (0..packets).for_each(|_| drop(self.says()));
    }
}

impl Line {
    fn new() -> Self {
        let suite = Suite::AesCm128HmacSha1_80;
        let key = MasterKey::from_bytes(suite, &[7; 30]).expect("a key");
        Self {
            now: START,
            succession: Succession::new(),
            protector: Protector::new(suite, &key).expect("a key"),
            unprotector: Unprotector::new(suite, &key).expect("a key"),
            received: Vec::new(),
            rng: Rng::from_number(1),
        }
    }

    /// The telephone receives a packet.
    fn deliver(&mut self, packet: &[u8]) {
        let mut buffer = [packet, &[0; 40]].concat();
        let sealed = self.protector.protect_rtp(&mut buffer, packet.len()).expect("a number that was not used");
        buffer.truncate(sealed);
        let opened = self.unprotector.unprotect_rtp(&mut buffer).expect("the telephone opens it");
        assert_eq!(&buffer[..opened], packet);
        self.received.push(Packet::parse(packet).expect("RTP").header());
    }

    /// 20 ms pass, and a packet of a party comes. Is it passed on?
    fn pass(&mut self, from: u64, mut packet: Vec<u8>) -> bool {
        self.now = self.now + FRAME;
        let passes = self.succession.pass(self.now, from, &mut packet);
        if passes {
            self.deliver(&packet);
        }
        passes
    }

    fn hears(&mut self, party: &mut Party, packets: usize) {
        for _ in 0..packets {
            let said = party.says();
            assert!(self.pass(party.port, said));
        }
    }

    fn hears_music(&mut self, packets: usize) {
        let tone = Sounds::new(Country::Germany).find("tone:dial").expect("a tone");
        let to = vec![Coding::new(PayloadType(8), Codec::Pcma)];
        let playing = Playing { sound: "tone:dial".into(), repeats: true, to, ptime_ms: 20, number: 0 };
        self.now = self.now + FRAME;
        let mut player = Player::new(self.now, &playing, &tone, Ssrc(1_000), &mut self.rng).expect("it can be coded");
        if let Some(sent) = self.succession.sent() {
            player.resume(self.now, &sent);
        }
        for _ in 0..packets {
            player.play(self.now);
            while let Some(packet) = player.poll_packet().map(<[u8]>::to_vec) {
                self.deliver(&packet);
            }
            self.succession.set_sent(player.sent());
            self.now = self.now + FRAME;
        }
    }

    /// Hears a party that speaks µ-law.
    fn hears_converted(&mut self, party: &mut Party, packets: usize) {
        let [from, to] =
            [(8, Codec::Pcmu), (8, Codec::Pcma)].map(|(number, codec)| Coding::new(PayloadType(number), codec));
        let keys = KeyRules::default();
        let conversion = Conversion {
            from: vec![from],
            to: vec![to],
            ptime_ms: 20,
            keys,
            anew: false,
            sound: sx_media::SoundRule::Heard,
        };
        let mut transcoder = Transcoder::new(&conversion, Ssrc(1_001), &mut self.rng).expect("it can be coded");
        if let Some(sent) = self.succession.sent() {
            transcoder.resume(self.now, &sent);
        }
        for _ in 0..packets {
            transcoder.handle_packet(self.now, &party.says());
            while let Some(packet) = transcoder.poll_packet().map(<[u8]>::to_vec) {
                self.deliver(&packet);
            }
            self.succession.set_sent(transcoder.sent());
            self.now = self.now + FRAME;
        }
    }

    /// All that the telephone has received is one stream. The packets that begin a talk spurt.
    fn check(&self) -> Vec<usize> {
        for pair in self.received.windows(2) {
            assert_eq!(pair[1].ssrc, pair[0].ssrc);
            assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1), "{pair:?}");
            let ticks = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
            assert!((160..8_000).contains(&ticks) && ticks.is_multiple_of(160), "{pair:?}");
        }
        (0..self.received.len()).filter(|index| self.received[*index].marker).collect()
    }
}

#[test]
fn a_party_then_music_then_the_party_again_are_one_stream_even_under_srtp() {
    let mut line = Line::new();
    // Numbers go round in the music, and again behind it.
    let mut party = Party::new(1, 7, 65_500, u32::MAX - 8_000);
    line.hears(&mut party, 20);
    assert_eq!(line.received[0].sequence, 65_500, "as it came");
    line.hears_music(50);
    party.says_in_vain(51);
    line.hears(&mut party, 20);
    line.hears_music(10);
    line.hears(&mut party, 10);
    assert_eq!(line.received.len(), 110);
    assert_eq!(line.check(), [20, 70, 90, 100]);
    assert_eq!(line.received[0].ssrc, Ssrc(7), "the source that it has heard first");
    let sent = line.succession.sent().expect("something was sent");
    assert_eq!((sent.ssrc, sent.packets, sent.octets), (Ssrc(7), 110, 110 * 160));
}

#[test]
fn rounds_of_numbers_are_counted_over_many_turns() {
    let mut line = Line::new();
    let mut party = Party::new(1, 7, 60_000, 0);
    for _ in 0..5 {
        line.hears(&mut party, 30_000);
        line.hears_music(3);
    }
    // More than two rounds, which the telephone has opened.
    assert_eq!(line.received.len(), 150_015);
    line.check();
}

#[test]
fn an_announcement_comes_first_and_another_party_last() {
    let mut line = Line::new();
    line.hears_music(10);
    let (mut one, mut other) = (Party::new(1, 7, 9, 0), Party::new(2, 8, 40_000, 77));
    line.hears(&mut one, 10);
    line.hears_converted(&mut one, 10);
    line.hears(&mut one, 10);
    line.hears(&mut other, 10);
    assert_eq!(line.check(), [0, 10, 20, 30, 40]);
    assert_eq!(line.received[0].ssrc, Ssrc(1_000));
    let known = line.succession.translated(2).expect("it is its turn");
    assert_eq!((known.from, known.to, line.succession.translated(1)), (Ssrc(8), Ssrc(1_000), None));
}

#[test]
fn whoever_is_alone_keeps_every_byte_whatever_it_does() {
    let mut succession = Succession::new();
    let said = [(7, 500, 0), (7, 501, 160), (7, 499, 99), (7, 20_000, 5), (9, 3, 1), (9, 65_000, 0), (9, 4, 320)];
    for (place, (ssrc, sequence, timestamp)) in (0..).zip(said) {
        let packet = Party::new(1, ssrc, sequence, timestamp).says();
        let mut passed = packet.clone();
        assert!(succession.pass(START + FRAME * place, 1, &mut passed));
        assert_eq!(passed, packet);
    }
    assert_eq!(succession.remember(), None);
    assert!(!succession.pass(START, 1, &mut [0x80, 8, 0]), "no RTP");
}

/// The number that it would have is one of the music.
#[test]
fn what_is_older_than_its_turn_is_dropped_and_what_is_late_in_it_is_not() {
    let mut line = Line::new();
    let mut party = Party::new(1, 7, 100, 0);
    line.hears(&mut party, 2);
    line.hears_music(2);
    let [late, first, second, third] = [(); 4].map(|()| party.says());
    assert!(line.pass(1, first) && !line.pass(1, late) && line.pass(1, third) && line.pass(1, second));
    let numbers: Vec<_> = line.received.iter().map(|header| header.sequence).collect();
    assert_eq!(numbers, [100, 101, 102, 103, 104, 106, 105]);
}

#[test]
fn a_source_that_begins_again_or_is_another_goes_on_with_the_numbers() {
    let mut line = Line::new();
    let mut party = Party::new(1, 7, 100, 0);
    line.hears(&mut party, 2);
    line.hears_music(2);
    line.hears(&mut party, 2);
    line.hears(&mut Party::new(1, 7, 30_000, 123), 2);
    line.hears(&mut Party::new(1, 7, 20_000, 5), 2);
    line.hears(&mut Party::new(1, 99, 1, 5), 2);
    line.check();
}

#[test]
fn the_timestamp_of_an_event_stands_still_and_time_goes_on() {
    let mut line = Line::new();
    let mut party = Party::new(1, 7, 100, 0);
    line.hears(&mut party, 2);
    let event = party.header.timestamp;
    for _ in 0..5 {
        let mut packet = party.says();
        packet[4..8].copy_from_slice(&event.to_be_bytes());
        assert!(line.pass(1, packet));
    }
    line.hears_music(1);
    let [.., before, after] = &line.received[..] else { panic!("packets") };
    assert_eq!((before.timestamp, after.timestamp), (event, event + 5 * 160), "as much later as it was");
}

#[test]
fn what_goes_nowhere_takes_no_number() {
    let mut line = Line::new();
    let mut party = Party::new(1, 7, 100, 0);
    line.hears_music(2);
    line.hears(&mut party, 2);
    line.succession.withhold();
    party.says_in_vain(30);
    line.hears(&mut party, 2);
    assert_eq!(line.check(), [0, 2, 4]);
}

#[test]
fn another_process_goes_on_behind_what_this_one_may_have_sent() {
    let mut line = Line::new();
    line.hears(&mut Party::new(1, 7, 100, 0), 2);
    line.hears_music(2);
    let memory = line.succession.remember().expect("two have sent");
    line.succession = Succession::new();
    line.succession.resume(&memory);
    line.hears(&mut Party::new(1, 8, 9, 0), 2);
    let last = line.received.len() - 1;
    assert_eq!(line.received[last].sequence, 104 + 500 + 1);
    assert_eq!(line.received[last].ssrc, Ssrc(7));
    assert!(line.received[last - 1].marker);
}

proptest! {
    /// Whatever comes, by whomever, no number stands for two packets once more than one has sent.
    #[test]
    fn no_number_is_given_twice(
        steps in proptest::collection::vec((0_u8..8, 1_u64..4, 0_u32..3, -120_i32..130, 0_u64..100), 1..200),
    ) {
        let mut line = Line::new();
        line.hears_music(1);
        let mut given = std::collections::HashMap::new();
        let (mut sequence, mut turn) = ([0_u16; 3], 0);
        for (kind, from, ssrc, step, ms) in steps {
            line.now = line.now + Duration::from_millis(ms);
            if kind == 0 {
                turn += 1;
                line.hears_music(1);
                continue;
            }
            let last = &mut sequence[ssrc as usize];
            let number = last.wrapping_add(step as u16);
            *last = number;
            let mut packet = Party::new(from, ssrc, number, u32::from(number) * 160).says();
            if line.succession.pass(line.now, from, &mut packet) {
                let header = Packet::parse(&packet).expect("RTP").header();
                prop_assert_eq!(header.ssrc, Ssrc(1_000));
                let said = (turn, from, ssrc, number);
                let known = given.insert(header.sequence, said);
                // What comes again has the number that it had.
                prop_assert!(known.is_none_or(|known| known == said));
            }
        }
    }
}
