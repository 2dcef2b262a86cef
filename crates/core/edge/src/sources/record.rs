//! What is remembered about one source, in 48 bytes.

use super::{AUTHENTICATED_FOR, Ban, MethodClass, Observation, SourceLimits, Why, seconds};
use crate::Source;
use crate::sliding::{Moment, Recent, Sliding};
use crate::source::Masked;
use crate::table::Slot;
use std::time::Duration;
use sx_engine::Time;

/// A source is forgotten that was silent for so long; clocks that wrap around need it as well.
const SILENCE_S: u32 = AUTHENTICATED_FOR.as_secs() as u32;
/// Windows that a source's calling itself a scanner is remembered for, when it is not banned for it.
const SCANNER_WINDOWS: u32 = 6;
/// How challenges are counted.
const CHALLENGES_WINDOW_S: u32 = 60;

/// A point in time, in the units that records count in.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) moment: Moment,
    /// Of the Unix epoch.
    pub(super) second: u32,
    pub(super) now_ms: u64,
    /// How long a part is of the time within which failures count.
    pub(super) failure_part_ms: u64,
}

/// One source. Counters without another word are halved with each window that begins, and stop at their greatest number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// A bit for the number that each call dialled; half of the bits are cleared with each window.
    dialled: u64,
    /// Messages.
    arrivals: Sliding,
    /// When the ban ends, in seconds of the Unix epoch.
    banned_until: u32,
    messages: u16,
    malformed: u16,
    requests: u16,
    calls: u16,
    /// Requests that only ask whether somebody is there: OPTIONS and REGISTER.
    probes: u16,
    /// When it last showed the right credentials: the second of the Unix epoch, of which these are the lowest bits, never
    /// zero; zero when it has not.
    authenticated_at: u16,
    failures: Recent,
    challenges: Challenges,
    scanner: u8,
    standing: Standing,
}

// A source and what is remembered about it are one cache line.
const _: () = assert!(size_of::<Slot<Masked, Record>>() == 64);

/// What holds for the source, once the ban's end has not passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Open,
    Banned(Why),
}

/// Challenges in the minute that slides along: as [`Sliding`], in three bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Challenges {
    minute: u8,
    now: u8,
    before: u8,
}

impl At {
    pub(super) fn second_after(&self, length: Duration) -> u32 {
        self.second.saturating_add(seconds(length))
    }

    /// The number of the part that runs. It wraps.
    fn failure_part(&self) -> u16 {
        (self.now_ms / self.failure_part_ms) as u16
    }

    /// Rounded up.
    pub(super) fn second_at(&self, time: Time) -> u32 {
        u32::try_from(time.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u32::MAX)
    }
}

impl Record {
    pub(super) fn new(at: &At) -> Self {
        Self {
            dialled: 0,
            arrivals: Sliding::begun(at.moment.window),
            banned_until: 0,
            messages: 0,
            malformed: 0,
            requests: 0,
            calls: 0,
            probes: 0,
            authenticated_at: 0,
            failures: Recent::default(),
            challenges: Challenges::default(),
            scanner: 0,
            standing: Standing::Open,
        }
    }

    /// Why the source is banned now.
    #[inline]
    pub(super) fn banned(&self, at: &At) -> Option<Why> {
        match self.standing {
            Standing::Banned(why) if self.banned_until > at.second => Some(why),
            Standing::Open | Standing::Banned(_) => None,
        }
    }

    /// When the ban that stands ends; zero when none does.
    pub(super) fn banned_until(&self, at: &At) -> u32 {
        self.banned(at).map_or(0, |_| self.banned_until)
    }

    pub(super) fn standing_ban(&self, at: &At, source: Source) -> Option<Ban> {
        self.banned(at).map(|why| Ban { source, until: Time::from_secs(self.banned_until.into()), why })
    }

    /// Begins a ban. What led to it is settled with it: afterwards the source is judged by what it does then.
    pub(super) fn ban(&mut self, until: u32, why: Why) {
        self.settle();
        self.standing = Standing::Banned(why);
        self.banned_until = until;
    }

    /// Ends a ban. `false` when there was none.
    pub(super) fn pardon(&mut self, at: &At) -> bool {
        let was_banned = self.banned(at).is_some();
        self.standing = Standing::Open;
        self.banned_until = 0;
        was_banned
    }

    fn settle(&mut self) {
        *self = Self {
            arrivals: Sliding::begun(self.arrivals.window),
            messages: 0,
            malformed: 0,
            requests: 0,
            calls: 0,
            probes: 0,
            dialled: 0,
            failures: Recent::default(),
            challenges: Challenges::default(),
            scanner: 0,
            ..*self
        };
    }

    /// Makes what is remembered as old as it is.
    #[inline]
    pub(super) fn age(&mut self, at: &At) {
        let windows = self.arrivals.advance(at.moment.window);
        if windows > 0 {
            self.fade(windows, at);
        }
    }

    fn fade(&mut self, windows: u32, at: &At) {
        if is_long_silence(windows, at) {
            *self = Self { standing: self.standing, banned_until: self.banned_until, ..Self::new(at) };
            return;
        }
        if !self.is_authenticated(at) {
            self.authenticated_at = 0;
        }
        for counter in [&mut self.messages, &mut self.malformed, &mut self.requests, &mut self.calls, &mut self.probes]
        {
            *counter = counter.checked_shr(windows).unwrap_or(0);
        }
        self.scanner = self.scanner.checked_shr(windows).unwrap_or(0);
        for window in 0..windows.min(2 * HALVES.len() as u32) {
            self.dialled &= kept_bits(at.moment.window.wrapping_sub(window));
        }
    }

    #[inline]
    pub(super) fn arrived(&mut self) {
        self.arrivals.add();
        more(&mut self.messages);
    }

    pub(super) fn observed(&mut self, at: &At, observation: Observation) {
        match observation {
            Observation::Unasked => self.arrived(),
            Observation::Malformed => more(&mut self.malformed),
            Observation::Request(method) => {
                more(&mut self.requests);
                match method {
                    MethodClass::Invite => more(&mut self.calls),
                    MethodClass::Register | MethodClass::Options => more(&mut self.probes),
                    MethodClass::Message | MethodClass::Other => {}
                }
            }
            Observation::Dialled(hash) => self.dialled |= 1 << (hash >> 58),
            Observation::Challenged => self.challenges.add(at),
            Observation::Failed => self.failures.add(at.failure_part()),
            Observation::Authenticated => {
                self.authenticated_at = (at.second as u16).max(1);
                self.challenges.halve(at);
            }
            Observation::Scanner => self.scanner = 1 << (SCANNER_WINDOWS - 1),
        }
    }

    /// Has it shown the right credentials within the hour?
    #[inline]
    pub(super) fn is_authenticated(&self, at: &At) -> bool {
        // The lowest bits are enough: silence of an hour forgets the rest of the record, so no more than two hours lie
        // between, and they wrap after eighteen.
        self.authenticated_at != 0 && u32::from((at.second as u16).wrapping_sub(self.authenticated_at)) <= SILENCE_S
    }

    /// Messages that it may send in a window.
    pub(super) fn limit(&self, at: &At, limits: &SourceLimits) -> u32 {
        if self.is_authenticated(at) { limits.authenticated } else { limits.unknown }
    }

    /// Messages that it has sent within the last window's length.
    pub(super) fn rate(&self, at: &At) -> u32 {
        self.arrivals.count(&at.moment)
    }

    pub(super) fn messages(&self) -> u16 {
        self.messages
    }

    pub(super) fn malformed(&self) -> u16 {
        self.malformed
    }

    pub(super) fn requests(&self) -> u16 {
        self.requests
    }

    pub(super) fn calls(&self) -> u16 {
        self.calls
    }

    pub(super) fn probes(&self) -> u16 {
        self.probes
    }

    pub(super) fn is_scanner(&self) -> bool {
        self.scanner != 0
    }

    pub(super) fn failures(&self, at: &At) -> u32 {
        if self.failures.is_empty() { 0 } else { self.failures.count(at.failure_part()) }
    }

    /// Challenges within the last minute, halved with each authentication.
    pub(super) fn challenges(&self, at: &At) -> u32 {
        self.challenges.count(at)
    }

    /// About how many numbers were dialled that differ: linear counting over 64 bits.
    pub(super) fn numbers(&self) -> u32 {
        u32::from(NUMBERS[self.dialled.count_ones() as usize])
    }

    /// How much is lost when the source is forgotten.
    pub(super) fn worth(&self, at: &At) -> u64 {
        match self.banned(at) {
            Some(Why::Operator) => 3 << 62 | u64::from(self.banned_until),
            _ if self.remembers_authentication(at) => 1 << 63 | u64::from(u16::MAX - self.authentication_age_s(at)),
            Some(_) => 1 << 62 | u64::from(self.banned_until),
            None => {
                let windows = at.moment.window.saturating_sub(self.arrivals.window);
                let messages = self.messages.checked_shr(windows).unwrap_or(0);
                u64::from(self.failures(at)) << 48 | u64::from(messages) << 32 | u64::from(self.arrivals.window)
            }
        }
    }

    /// As [`Self::is_authenticated`], of a record that has not been made as old as it is.
    fn remembers_authentication(&self, at: &At) -> bool {
        let windows = at.moment.window.saturating_sub(self.arrivals.window);
        !is_long_silence(windows, at) && self.is_authenticated(at)
    }

    pub(super) fn authentication_age_s(&self, at: &At) -> u16 {
        (at.second as u16).wrapping_sub(self.authenticated_at)
    }
}

/// Is it an hour and more since so many windows? The first of them may have been almost over: it counts for nothing, lest one
/// who has authenticated within the hour is forgotten.
fn is_long_silence(windows: u32, at: &At) -> bool {
    u64::from(windows.saturating_sub(1)) * at.moment.window_ms >= u64::from(SILENCE_S) * 1000
}

impl Challenges {
    fn add(&mut self, at: &At) {
        *self = self.aged(at);
        self.now = self.now.saturating_add(1);
    }

    fn halve(&mut self, at: &At) {
        *self = self.aged(at);
        self.now /= 2;
        self.before /= 2;
    }

    fn count(&self, at: &At) -> u32 {
        if self.now == 0 && self.before == 0 {
            return 0;
        }
        let aged = self.aged(at);
        let remaining = CHALLENGES_WINDOW_S - at.second % CHALLENGES_WINDOW_S;
        u32::from(aged.now) + u32::from(aged.before) * remaining / CHALLENGES_WINDOW_S
    }

    fn aged(&self, at: &At) -> Self {
        let minute = (at.second / CHALLENGES_WINDOW_S) as u8;
        match minute.wrapping_sub(self.minute) {
            0 => *self,
            1 => Self { minute, now: 0, before: self.now },
            _ => Self { minute, now: 0, before: 0 },
        }
    }
}

fn more(counter: &mut u16) {
    *counter = counter.saturating_add(1);
}

/// Which of the numbers dialled are kept when the window begins. Each of six that follow one another clears half of any
/// bits that the others leave, and the next six clear what these have kept.
fn kept_bits(window: u32) -> u64 {
    let (half, turn) = (HALVES[window as usize % HALVES.len()], window as usize / HALVES.len());
    if turn.is_multiple_of(2) { half } else { !half }
}

/// Halves of 64 bits, each of which halves the others.
const HALVES: [u64; 6] = [
    0x5555_5555_5555_5555,
    0x3333_3333_3333_3333,
    0x0f0f_0f0f_0f0f_0f0f,
    0x00ff_00ff_00ff_00ff,
    0x0000_ffff_0000_ffff,
    0x0000_0000_ffff_ffff,
];

/// The most likely number of different numbers when so many of 64 bits are set: `64 · ln(64 / bits not set)`, and for
/// all of them as for 63 and a half.
const NUMBERS: [u16; 65] = [
    0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 15, 16, 17, 18, 20, 21, 23, 24, 25, 27, 28, 30, 32, 33, 35, 37, 39, 40,
    42, 44, 46, 48, 51, 53, 55, 58, 60, 63, 65, 68, 71, 74, 78, 81, 85, 89, 93, 97, 102, 107, 113, 119, 126, 133, 142,
    151, 163, 177, 196, 222, 266, 311,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_linear_counting() {
        for (bits, numbers) in NUMBERS.into_iter().enumerate() {
            let unset = if bits == 64 { 0.5 } else { 64.0 - bits as f64 };
            assert_eq!(f64::from(numbers), (64.0 * (64.0 / unset).ln()).round(), "{bits}");
        }
    }

    #[test]
    fn each_window_clears_half_of_what_others_have_left() {
        for first in 0..2 * HALVES.len() as u32 {
            let left = (0..7).scan(u64::MAX, |bits, n| {
                *bits &= kept_bits(first + n);
                Some(bits.count_ones())
            });
            assert_eq!(left.collect::<Vec<_>>(), [32, 16, 8, 4, 2, 1, 0], "{first}");
        }
    }
}
