//! Whose packets arrive, and in which order.
//!
//! ```text
//!   nobody ──first packet──► a source ──two packets of another in a row──► that one
//!                              │  ▲
//!                              └──┘ the next, late, or one that leaps and is believed when another follows it
//! ```

use sx_engine::Time;
use sx_rtp::{Header, Reception, ReportBlock, SenderInfo, Sequencing, Ssrc, Step};

/// Where a packet belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It follows what came before, with so many missing between.
    Next {
        /// How many.
        lost: u16,
    },
    /// Its place, or one behind it, is taken.
    Late,
    /// It is of another source, or leaps, and is not believed yet.
    Strange,
    /// It begins: nothing that came before says where it belongs.
    Anew,
}

/// The source that is listened to, one at a time.
#[derive(Debug, Default)]
pub(crate) struct Source {
    known: Option<Known>,
    /// Another one of which the last packet was.
    stray: Option<Ssrc>,
}

#[derive(Debug)]
struct Known {
    ssrc: Ssrc,
    highest: u16,
    reception: Reception,
}

impl Source {
    /// A packet has arrived. `is_sound`: its timestamp tells when it was sent.
    pub(crate) fn place(&mut self, now: Time, header: &Header, clock_hz: u32, is_sound: bool) -> Place {
        match &mut self.known {
            Some(known) if known.ssrc == header.ssrc => {
                self.stray = None;
                known.place(now, header, is_sound)
            }
            Some(_) if self.stray != Some(header.ssrc) => {
                self.stray = Some(header.ssrc);
                Place::Strange
            }
            _ => {
                self.stray = None;
                let mut known =
                    Known { ssrc: header.ssrc, highest: header.sequence, reception: Reception::new(clock_hz) };
                known.count(now, header, is_sound);
                self.known = Some(known);
                Place::Anew
            }
        }
    }

    /// The source has reported what it has sent.
    pub(crate) fn handle_sender_report(&mut self, now: Time, ssrc: Ssrc, info: &SenderInfo) {
        if let Some(known) = self.known.as_mut().filter(|known| known.ssrc == ssrc) {
            known.reception.handle_sender_report(now, info);
        }
    }

    /// What the source is to be told of its stream.
    pub(crate) fn report(&mut self, now: Time) -> Option<ReportBlock> {
        let known = self.known.as_mut()?;
        known.reception.report(now, known.ssrc)
    }
}

impl Known {
    fn count(&mut self, now: Time, header: &Header, is_sound: bool) -> Sequencing {
        match is_sound {
            true => self.reception.handle_packet(now, header.sequence, header.timestamp),
            false => self.reception.handle_sequence(header.sequence),
        }
    }

    fn place(&mut self, now: Time, header: &Header, is_sound: bool) -> Place {
        let verdict = self.count(now, header, is_sound);
        match (verdict, Step::between(self.highest, header.sequence)) {
            (Sequencing::Leap, _) => Place::Strange,
            (Sequencing::Valid | Sequencing::Probation, Step::Ahead(step)) => {
                self.highest = header.sequence;
                Place::Next { lost: step - 1 }
            }
            (Sequencing::Valid | Sequencing::Probation, Step::Late(_)) => Place::Late,
            (Sequencing::Valid | Sequencing::Probation, Step::Leap) | (Sequencing::Restarted, _) => {
                self.highest = header.sequence;
                Place::Anew
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sx_types::PayloadType;

    fn check(packets: &[(u32, u16, Place)]) {
        let mut source = Source::default();
        for (index, (ssrc, sequence, expected)) in packets.iter().enumerate() {
            let (payload_type, ssrc) = (PayloadType(0), Ssrc(*ssrc));
            let header = Header { marker: false, payload_type, sequence: *sequence, timestamp: 0, ssrc };
            let place = source.place(Time::from_secs(1), &header, 8_000, true);
            assert_eq!(place, *expected, "packet {index}");
        }
    }

    const NEXT: Place = Place::Next { lost: 0 };

    #[test]
    fn packets_in_order_follow_each_other_across_the_wrap() {
        check(&[(1, 65_534, Place::Anew), (1, 65_535, NEXT), (1, 0, NEXT), (1, 3, Place::Next { lost: 2 })]);
    }

    #[test]
    fn what_is_late_or_comes_twice_has_lost_its_place() {
        check(&[(1, 5, Place::Anew), (1, 7, Place::Next { lost: 1 }), (1, 6, Place::Late), (1, 7, Place::Late)]);
        check(&[(1, 2, Place::Anew), (1, 3, NEXT), (1, 65_530, Place::Late), (1, 4, NEXT)]);
    }

    #[test]
    fn a_source_that_restarts_is_believed_at_its_second_packet() {
        check(&[(1, 5, Place::Anew), (1, 6, NEXT), (1, 30_000, Place::Strange), (1, 7, NEXT)]);
        check(&[(1, 5, Place::Anew), (1, 6, NEXT), (1, 30_000, Place::Strange), (1, 30_001, Place::Anew)]);
    }

    #[test]
    fn two_sources_that_take_turns_do_not_take_each_others_place() {
        let strange = Place::Strange;
        check(&[(1, 5, Place::Anew), (2, 9, strange), (1, 6, NEXT), (2, 10, strange), (1, 7, NEXT)]);
        check(&[(1, 5, Place::Anew), (2, 9, strange), (2, 10, Place::Anew), (2, 11, NEXT), (1, 6, strange)]);
    }
}
