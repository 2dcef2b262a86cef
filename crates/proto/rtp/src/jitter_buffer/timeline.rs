//! Where packets belong: sequence numbers counted on beyond 16 bits, and places on one time line of the sender, whatever its
//! timestamps do.

use super::Content;
use crate::{Header, Ssrc, Step};

/// The number of the first packet; others may turn out to have been sent before it.
const FIRST: u64 = 1 << 32;
/// A packet that seems to have taken longer by this than the fastest one bears a timestamp of another count.
const SLOW_MAX: i64 = 1_000_000_000;
/// So does one that seems to be faster by this.
const FAST_MAX: i64 = 200_000_000;
/// So long after a sender took the place of another the other's packets are stragglers.
const STRAGGLE: i64 = 200_000_000;
/// Whose packets belong further from now than this has a time line that says nothing any more: it begins anew. No clock
/// drifts so far within a day, but who leaves out 2,999 numbers with each packet is there soon.
const ASTRAY: u64 = 300_000_000_000;
/// The shortest and the longest packets that are believed in, in nanoseconds.
const FRAME_MIN: i64 = 2_500_000;
const FRAME_MAX: i64 = 120_000_000;

/// The sender's time line.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    clock_hz: u32,
    /// What one packet covers.
    frame: i64,
    /// What the last step was, when it differed.
    candidate: i64,
    newest: Option<Newest>,
    /// The number that would prove, if it came next, that the sender has begun anew.
    restart: Option<u16>,
    /// Who sent before, and when that ended.
    former: Option<(Ssrc, i64)>,
    pace: Pace,
}

/// The newest packet.
#[derive(Clone, Copy, Debug)]
struct Newest {
    ssrc: Ssrc,
    number: u64,
    position: i64,
    /// The last timestamp that says something, and its place.
    timestamp: u32,
    stamped: (u64, i64),
}

/// Do timestamps go as fast as time?
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    /// When the block began, with which timestamp and number.
    began: Option<(i64, u32, u64)>,
    /// Blocks in a row in which they did not.
    wrong: u32,
    /// They do not: only numbers count.
    useless: bool,
}

/// Where a packet belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub number: u64,
    pub position: i64,
    /// It follows what was there before, although its number does not.
    pub begins: bool,
    /// Its place has nothing to do with the places of those before, which are of no use any more.
    pub is_anew: bool,
}

impl Timeline {
    pub fn new(clock_hz: u32, frame: i64) -> Self {
        let frame = frame.clamp(FRAME_MIN, FRAME_MAX);
        Self { clock_hz, frame, candidate: 0, newest: None, restart: None, former: None, pace: Pace::default() }
    }

    /// What one packet covers, in nanoseconds.
    pub fn frame(&self) -> i64 {
        self.frame
    }

    /// Where a packet belongs that has arrived at `now`, when the fastest take `floor`; `None` for one of another count
    /// that is not believed, yet or any more.
    pub fn place(&mut self, now: i64, floor: i64, header: &Header, content: Content) -> Option<Place> {
        let before = self.newest.map(|newest| newest.number);
        let place = self.follow(now, floor, header, content)?;
        let is_newest = before.is_none_or(|before| place.number > before);
        if is_newest && place.position.abs_diff(now) > ASTRAY {
            return Some(Place { is_anew: true, ..self.begin(place.number, now, now, header) });
        }
        Some(place)
    }

    fn follow(&mut self, now: i64, floor: i64, header: &Header, content: Content) -> Option<Place> {
        let Some(newest) = self.newest else { return Some(self.begin(FIRST, now, now, header)) };
        let continued = newest.number + 1;
        let position = (newest.position + self.frame).max(now - floor);
        if newest.ssrc != header.ssrc {
            if self.former.is_some_and(|(ssrc, ended)| ssrc == header.ssrc && now - ended < STRAGGLE) {
                return None;
            }
            self.former = Some((newest.ssrc, now));
            return Some(self.begin(continued, position, now, header));
        }
        match Step::between(newest.number as u16, header.sequence) {
            Step::Ahead(ahead) => Some(self.go_on(now, floor, newest.number + u64::from(ahead), header, content)),
            Step::Late(back) => {
                let number = newest.number.checked_sub(back.into())?;
                let position = self.past(&newest, number, header, content);
                Some(Place { number, position, begins: false, is_anew: false })
            }
            Step::Leap if self.restart == Some(header.sequence) => Some(self.begin(continued, position, now, header)),
            Step::Leap => {
                self.restart = Some(header.sequence.wrapping_add(1));
                None
            }
        }
    }

    /// The first packet of a count. Whatever its number and timestamp are, it follows what was there before.
    fn begin(&mut self, number: u64, position: i64, now: i64, header: &Header) -> Place {
        // The lower half of a number is the sequence number, so that those of the packets around follow from it.
        let lower = number & !0xffff | u64::from(header.sequence);
        let number = if lower < number { lower + 0x1_0000 } else { lower };
        let Header { ssrc, timestamp, .. } = *header;
        self.newest = Some(Newest { ssrc, number, position, timestamp, stamped: (number, position) });
        self.restart = None;
        self.pace = Pace { began: Some((now, timestamp, number)), ..Pace::default() };
        Place { number, position, begins: true, is_anew: false }
    }

    /// A packet that is newer than all others.
    fn go_on(&mut self, now: i64, floor: i64, number: u64, header: &Header, content: Content) -> Place {
        let Some(mut newest) = self.newest else { return self.begin(number, now, now, header) };
        let arrived = now - floor;
        let position = if content == Content::Nothing {
            // Its timestamp is that of something else; it belongs where it came.
            newest.position.max(arrived)
        } else {
            self.learn(&newest, number, header);
            self.watch_pace(now, number, header);
            let stamped = self.stamped(&newest, number, header);
            let steps = i64::try_from(number - newest.number).unwrap_or(1);
            let expected = newest.position.saturating_add(steps.saturating_mul(self.frame));
            let slow = arrived.saturating_sub(stamped) > SLOW_MAX || stamped < newest.position - self.frame / 2;
            // One that waited at the beginning makes all others fast; their timestamps go on as they should.
            let fast = stamped.saturating_sub(arrived) > FAST_MAX && stamped > expected.saturating_add(self.frame / 2);
            if slow || fast { expected.max(arrived) } else { stamped }
        };
        (newest.number, newest.position) = (number, position);
        if content != Content::Nothing {
            (newest.timestamp, newest.stamped) = (header.timestamp, (number, position));
        }
        self.newest = Some(newest);
        self.restart = None;
        Place { number, position, begins: false, is_anew: false }
    }

    /// Where its timestamp has a packet, or, if timestamps are of no use, its number.
    fn stamped(&self, newest: &Newest, number: u64, header: &Header) -> i64 {
        let (stamped, position) = newest.stamped;
        if self.pace.useless {
            // Numbers without sound may have gone far since.
            return position.saturating_add(number.wrapping_sub(stamped).cast_signed().saturating_mul(self.frame));
        }
        position.saturating_add(self.nanos(header.timestamp.wrapping_sub(newest.timestamp).cast_signed()))
    }

    /// The place of a packet that is older than the newest.
    fn past(&self, newest: &Newest, number: u64, header: &Header, content: Content) -> i64 {
        let by_number = newest.position - i64::try_from(newest.number - number).unwrap_or(0) * self.frame;
        let stamped = self.stamped(newest, number, header);
        let believed = content != Content::Nothing && stamped.abs_diff(newest.position) <= SLOW_MAX.unsigned_abs() * 4;
        if believed { stamped } else { by_number }
    }

    /// Learns what a packet covers: what two steps in a row, from each packet to the next, agree upon.
    fn learn(&mut self, newest: &Newest, number: u64, header: &Header) {
        if number != newest.stamped.0 + 1 || self.pace.useless {
            return;
        }
        let step = self.nanos(header.timestamp.wrapping_sub(newest.timestamp).cast_signed());
        if step == self.frame || !(FRAME_MIN..=FRAME_MAX).contains(&step) {
            self.candidate = 0;
        } else if step == self.candidate {
            self.frame = step;
        } else {
            self.candidate = step;
        }
    }

    /// Senders there are whose timestamps count something else than time. Their numbers are what is left.
    fn watch_pace(&mut self, now: i64, number: u64, header: &Header) {
        const BLOCK: i64 = 1_000_000_000;
        const BLOCK_PACKETS: u64 = 10;
        const WRONG_MAX: u32 = 4;
        const ROUND: i64 = 10_000_000;
        let Some((began, timestamp, first)) = self.pace.began else { return };
        let (elapsed, packets) = (now - began, number.saturating_sub(first));
        if self.pace.useless || elapsed < BLOCK || packets < BLOCK_PACKETS {
            return;
        }
        let counted = self.nanos(header.timestamp.wrapping_sub(timestamp).cast_signed());
        let wrong = (counted - elapsed).abs() > elapsed / 8;
        self.pace.wrong = if wrong { self.pace.wrong + 1 } else { 0 };
        self.pace.began = Some((now, header.timestamp, number));
        let each = elapsed / i64::try_from(packets).unwrap_or(1);
        let rounded = ((each + ROUND / 2) / ROUND * ROUND).clamp(ROUND, FRAME_MAX);
        let stamped_each = counted / i64::try_from(packets).unwrap_or(1);
        if self.pace.wrong >= WRONG_MAX && (rounded - stamped_each).abs() > rounded / 8 {
            self.pace.useless = true;
            self.frame = rounded;
        }
    }

    fn nanos(&self, ticks: i32) -> i64 {
        i64::from(ticks) * 1_000_000_000 / i64::from(self.clock_hz.max(1))
    }
}
