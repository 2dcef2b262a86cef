//! Which packets of a stream have been, and what index the next one has.
//!
//! ```text
//!   Unseen ──(a packet)──► Seen(window)          Expected(highest) ──(a packet)──► Seen(window)
//!                              └───────(a new key: the count goes on)──► Expected(highest)
//! ```

use super::SrtpError;

/// Packets that may come late: those whose index is that much lower than the highest are told from repetitions.
pub(super) const WINDOW: u64 = 128;

/// The index of an RTP packet has 48 bits.
pub(super) const RTP_INDEX_MAX: u64 = (1 << 48) - 1;
/// The index of an RTCP packet has 31 bits.
pub(super) const RTCP_INDEX_MAX: u64 = (1 << 31) - 1;

/// What is known of the packets of one sender, RTP or RTCP, under one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stream {
    /// There was none.
    #[default]
    Unseen,
    /// There was none under this key; the one before it ended with this index.
    Expected(u64),
    /// There were some.
    Seen(ReplayWindow),
}

/// The highest index, and which of those below it have been.
//= https://www.rfc-editor.org/rfc/rfc3711#section-3.3.2
// A window of at least 64 packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReplayWindow {
    pub(super) highest: u64,
    /// Bit `n` stands for the index `highest - n`; bit 0 is always set.
    pub(super) seen: u128,
}

/// What a sequence number makes of the index before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Estimate {
    /// The likely index.
    Index(u64),
    /// The packet would stand before the first that can be: the rollover counter would be less than zero.
    BeforeFirst,
    /// The rollover counter is at its end.
    Exhausted,
}

impl Stream {
    /// The highest index, under this key or the one before.
    pub(super) fn highest(&self) -> Option<u64> {
        match self {
            Self::Unseen => None,
            Self::Expected(highest) => Some(*highest),
            Self::Seen(window) => Some(window.highest),
        }
    }

    /// May a packet with this index come?
    pub(super) fn check(&self, index: u64) -> Result<(), SrtpError> {
        match self {
            Self::Unseen | Self::Expected(_) => Ok(()),
            Self::Seen(window) => window.check(index),
        }
    }

    /// A packet with this index has come and is authentic.
    pub(super) fn record(&mut self, index: u64) {
        match self {
            Self::Unseen | Self::Expected(_) => *self = Self::Seen(ReplayWindow { highest: index, seen: 1 }),
            Self::Seen(window) => window.record(index),
        }
    }

    /// What is known of a stream under a new key, if this was known of it under the key before.
    //= https://www.rfc-editor.org/rfc/rfc3711#section-3.3.1
    // After a re-keying the rollover counter goes on and is not reset to zero.
    pub(super) fn continued_from(self, before: Self) -> Self {
        match (self, before.highest()) {
            (Self::Seen(_), _) | (_, None) => self,
            (Self::Unseen | Self::Expected(_), Some(highest)) => Self::Expected(highest),
        }
    }
}

impl ReplayWindow {
    fn check(&self, index: u64) -> Result<(), SrtpError> {
        match self.highest.checked_sub(index) {
            None => Ok(()),
            Some(late) if late >= WINDOW => Err(SrtpError::TooOld),
            Some(late) if self.seen >> late & 1 == 1 => Err(SrtpError::Replayed),
            Some(_) => Ok(()),
        }
    }

    fn record(&mut self, index: u64) {
        match self.highest.checked_sub(index) {
            Some(late) if late < WINDOW => self.seen |= 1 << late,
            Some(_) => {}
            None => {
                let step = index - self.highest;
                self.seen = if step < WINDOW { self.seen << step | 1 } else { 1 };
                self.highest = index;
            }
        }
    }
}

/// The index of a packet with this sequence number, by the highest index before it.
//= https://www.rfc-editor.org/rfc/rfc3711#appendix-A
// Of the three indexes that the sequence number may belong to, the one that is closest to the highest.
pub(super) fn estimate(highest: u64, sequence: u16) -> Estimate {
    const HALF: u16 = 1 << 15;
    let (rollovers, last) = (highest >> 16, (highest & 0xffff) as u16);
    let rollovers = if last < HALF {
        if sequence.saturating_sub(last) > HALF { rollovers.checked_sub(1) } else { Some(rollovers) }
    } else if last - HALF > sequence {
        Some(rollovers + 1)
    } else {
        Some(rollovers)
    };
    match rollovers.map(|rollovers| rollovers << 16 | u64::from(sequence)) {
        None => Estimate::BeforeFirst,
        Some(index) if index > RTP_INDEX_MAX => Estimate::Exhausted,
        Some(index) => Estimate::Index(index),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_index_is_the_closest_that_the_sequence_number_may_belong_to() {
        //= https://www.rfc-editor.org/rfc/rfc3711#appendix-A
        //= type=test
        let index = |rollovers: u64, sequence: u64| rollovers << 16 | sequence;
        for (highest, sequence, expected) in [
            (index(0, 0), 1, Estimate::Index(1)),
            (index(0, 0), 0x8000, Estimate::Index(0x8000)),
            (index(0, 0), 0x8001, Estimate::BeforeFirst),
            (index(0, 0x7fff), 0xffff, Estimate::Index(0xffff)),
            (index(0, 0x8000), 0, Estimate::Index(0)),
            (index(0, 0x8001), 0, Estimate::Index(index(1, 0))),
            (index(0, 0xffff), 0, Estimate::Index(index(1, 0))),
            (index(0, 0xffff), 0x7fff, Estimate::Index(0x7fff)),
            (index(0, 0xffff), 0x7ffe, Estimate::Index(index(1, 0x7ffe))),
            (index(1, 0), 0xffff, Estimate::Index(0xffff)),
            (index(9, 0), 0x8001, Estimate::Index(index(8, 0x8001))),
            (index(0xffff_ffff, 0xffff), 0xfffe, Estimate::Index(index(0xffff_ffff, 0xfffe))),
            (index(0xffff_ffff, 0xffff), 0, Estimate::Exhausted),
        ] {
            assert_eq!(estimate(highest, sequence), expected, "{highest:#x} {sequence:#x}");
        }
    }

    proptest! {
        #[test]
        fn a_packet_within_half_a_cycle_is_found(highest in 0x1_0000..RTP_INDEX_MAX - 0x8000, step in -0x7fff..0x8000_i64) {
            let index = highest.saturating_add_signed(step);
            prop_assert_eq!(estimate(highest, index as u16), Estimate::Index(index));
        }

        #[test]
        fn the_window_tells_what_a_set_tells(
            start in 0..1_000_000_u64,
            steps in proptest::collection::vec(prop_oneof![9 => -140..200_i64, 1 => -100_000..100_000_i64], 1..300),
        ) {
            let mut stream = Stream::Unseen;
            let mut seen = BTreeSet::new();
            let mut index = start;
            for step in steps {
                index = index.saturating_add_signed(step);
                let expected = match seen.last() {
                    Some(highest) if highest - index.min(*highest) >= WINDOW => Err(SrtpError::TooOld),
                    _ if seen.contains(&index) => Err(SrtpError::Replayed),
                    _ => Ok(()),
                };
                prop_assert_eq!(stream.check(index), expected);
                if expected.is_ok() {
                    stream.record(index);
                    seen.insert(index);
                }
                prop_assert_eq!(stream.highest(), seen.last().copied());
            }
        }
    }
}
