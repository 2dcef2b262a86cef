//! What a tick of 20 ms costs: rooms of 3, 12 and 25 at each rate, with a third of them speaking, some, or all; rooms whose
//! members are at all rates; a room with G.711, each member's decoded and each distinct mix encoded; and 500 rooms.
//!
//! A tick is taking a frame of each member and mixing; the figure for a member is that of the room by its members.

#![expect(missing_docs, reason = "criterion makes a public function")]

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use sx_codec::{Decoder, Format, Law};
use sx_mix::{MemberId, MemberSettings, Rate, Room, RoomSettings};

/// Frames of one who speaks: neither silence nor one sine.
fn speech(rate: Rate, number: usize) -> Vec<i16> {
    let sample = |i: usize| {
        let at = i as f64 / f64::from(rate.hz());
        let sine = |hz: f64| (std::f64::consts::TAU * hz * at).sin();
        (sine(180.0 + 10.0 * number as f64) * 1_500.0 + sine(1_130.0 + 20.0 * number as f64) * 700.0) as i16
    };
    (0..rate.frame_samples()).map(sample).collect()
}

/// The noise of a line, below the gate.
fn noise(rate: Rate) -> Vec<i16> {
    (0..rate.frame_samples()).map(|i| ((i * 2_654_435_761) >> 8) as i16 % 20).collect()
}

struct Party {
    room: Room,
    frames: Vec<Vec<i16>>,
}

impl Party {
    fn new(rates: &[Rate], speaking: usize) -> Self {
        let mut room = Room::new(RoomSettings { members_max: rates.len(), ..RoomSettings::default() });
        let mut frames = Vec::new();
        for (number, rate) in rates.iter().enumerate() {
            room.join(MemberId(number as u64), &MemberSettings::new(*rate)).expect("there is room");
            frames.push(if number < speaking { speech(*rate, number) } else { noise(*rate) });
        }
        let mut party = Self { room, frames };
        (0..50).for_each(|_| party.tick());
        party
    }

    fn tick(&mut self) {
        for (number, frame) in self.frames.iter().enumerate() {
            self.room.handle_frame(MemberId(number as u64), black_box(frame)).expect("a frame");
        }
        black_box(self.room.mix());
    }
}

fn rooms(criterion: &mut Criterion) {
    for rate in Rate::ALL {
        for members in [3, 12, 25] {
            for speaking in [1, 3, members] {
                if speaking == members && members == 3 {
                    continue;
                }
                let mut party = Party::new(&vec![rate; members], speaking);
                let name = format!("tick of {members} at {} Hz, {speaking} speak", rate.hz());
                criterion.bench_function(&name, |bencher| bencher.iter(|| party.tick()));
            }
        }
    }
    let rates: Vec<Rate> = Rate::ALL.into_iter().cycle().take(25).collect();
    for speaking in [1, 3, 25] {
        let mut party = Party::new(&rates, speaking);
        let name = format!("tick of 25 at all rates, {speaking} speak");
        criterion.bench_function(&name, |bencher| bencher.iter(|| party.tick()));
    }
}

fn coded(criterion: &mut Criterion) {
    let (law, mut party) = (Law::A, Party::new(&[Rate::Hz8000; 25], 3));
    let payload = |frame: &Vec<i16>| {
        let mut payload = Vec::new();
        law.encode(frame, &mut payload);
        payload
    };
    let payloads: Vec<Vec<u8>> = party.frames.iter().map(payload).collect();
    let mut decoders: Vec<Decoder> = payloads.iter().map(|_| Decoder::new(Format::G711(law))).collect();
    let (mut frame, mut sent) = (Vec::new(), Vec::new());
    criterion.bench_function("tick of 25 with G.711, 3 speak, decoded and encoded", |bencher| {
        bencher.iter(|| {
            for (number, (decoder, payload)) in decoders.iter_mut().zip(&payloads).enumerate() {
                frame.clear();
                decoder.decode(black_box(payload), &mut frame).expect("a payload");
                party.room.handle_frame(MemberId(number as u64), &frame).expect("a frame");
            }
            let tick = party.room.mix();
            assert_eq!(tick.mixes().len(), 4);
            for mix in tick.mixes() {
                sent.clear();
                law.encode(mix.samples, &mut sent);
                black_box(&sent);
            }
        });
    });
}

fn many(criterion: &mut Criterion) {
    let mut parties: Vec<Party> = (0..500).map(|_| Party::new(&[Rate::Hz8000; 25], 3)).collect();
    criterion.bench_function("tick of 500 rooms of 25 at 8000 Hz, 3 speak in each", |bencher| {
        bencher.iter(|| parties.iter_mut().for_each(Party::tick));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = rooms, coded, many
}
criterion_main!(benches);
