//! The senders that share a key, a bounded number of them.

use super::SrtpError;
use super::replay::Stream;
use crate::packet::Ssrc;

/// SSRCs that packets are counted of under one key. A peer takes a new one when its stream begins anew, so that a call
/// sees a few; more than this many need a new key.
pub const SOURCES_MAX: usize = 64;

/// What is known of the packets of each sender.
#[derive(Debug, Default)]
pub(super) struct Sources {
    entries: Vec<Source>,
}

/// What is known of the packets of one sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) ssrc: Ssrc,
    pub(super) rtp: Stream,
    pub(super) rtcp: Stream,
}

impl Sources {
    /// The callers have seen to it that they are not too many and differ in their SSRCs.
    pub(super) fn of(entries: Vec<Source>) -> Self {
        Self { entries }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Source> {
        self.entries.iter()
    }

    pub(super) fn rtp(&self, ssrc: Ssrc) -> Stream {
        self.find(ssrc).map_or(Stream::Unseen, |source| source.rtp)
    }

    pub(super) fn rtcp(&self, ssrc: Ssrc) -> Stream {
        self.find(ssrc).map_or(Stream::Unseen, |source| source.rtcp)
    }

    /// Can packets of this sender be counted?
    pub(super) fn check_room(&self, ssrc: Ssrc) -> Result<(), SrtpError> {
        let room = self.entries.len() < SOURCES_MAX
            || self.find(ssrc).is_some()
            || self.entries.iter().any(Source::is_only_expected);
        if room { Ok(()) } else { Err(SrtpError::TooManySources) }
    }

    /// The entry of this sender, made if there is none. Whoever asks has verified a packet of it.
    pub(super) fn entry(&mut self, ssrc: Ssrc) -> Result<&mut Source, SrtpError> {
        self.check_room(ssrc)?;
        let place = match self.entries.iter().position(|source| source.ssrc == ssrc) {
            Some(place) => place,
            None => self.place_for(Source { ssrc, rtp: Stream::Unseen, rtcp: Stream::Unseen }),
        };
        Ok(&mut self.entries[place])
    }

    /// Goes on with the senders of the key before, as far as there is room and they have sent nothing under this one.
    pub(super) fn inherit(&mut self, before: &Self) {
        for source in &before.entries {
            if let Some(known) = self.entries.iter_mut().find(|known| known.ssrc == source.ssrc) {
                known.rtp = known.rtp.continued_from(source.rtp);
                known.rtcp = known.rtcp.continued_from(source.rtcp);
            } else if self.entries.len() < SOURCES_MAX {
                let [rtp, rtcp] = [source.rtp, source.rtcp].map(|before| Stream::Unseen.continued_from(before));
                self.entries.push(Source { ssrc: source.ssrc, rtp, rtcp });
            }
        }
    }

    fn find(&self, ssrc: Ssrc) -> Option<&Source> {
        self.entries.iter().find(|source| source.ssrc == ssrc)
    }

    /// Adds a source; where all places are taken, instead of one that has sent nothing under this key.
    fn place_for(&mut self, source: Source) -> usize {
        let expected = self.entries.iter().position(Source::is_only_expected);
        match expected.filter(|_| self.entries.len() >= SOURCES_MAX) {
            Some(place) => {
                self.entries[place] = source;
                place
            }
            None => {
                self.entries.push(source);
                self.entries.len() - 1
            }
        }
    }
}

impl Source {
    /// Nothing came under this key, so that nothing can be repeated if this is forgotten.
    fn is_only_expected(&self) -> bool {
        !matches!(self.rtp, Stream::Seen(_)) && !matches!(self.rtcp, Stream::Seen(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Sources {
        let mut sources = Sources::default();
        for ssrc in 0..SOURCES_MAX as u32 {
            sources.entry(Ssrc(ssrc)).expect("room").rtp.record(u64::from(ssrc));
        }
        sources
    }

    #[test]
    fn a_sender_too_many_is_refused_and_the_others_stay() {
        let mut sources = full();
        assert_eq!(sources.check_room(Ssrc(u32::MAX)), Err(SrtpError::TooManySources));
        assert_eq!(sources.entry(Ssrc(u32::MAX)).err(), Some(SrtpError::TooManySources));
        assert_eq!(sources.entry(Ssrc(7)).map(|source| source.rtp.highest()), Ok(Some(7)));
        assert_eq!(sources.iter().count(), SOURCES_MAX);
    }

    #[test]
    fn what_a_sender_has_sent_under_the_new_key_counts_more_than_what_it_sent_before() {
        let mut sources = Sources::default();
        sources.entry(Ssrc(1)).expect("room").rtp.record(5);
        sources.inherit(&full());
        assert_eq!(sources.rtp(Ssrc(1)).highest(), Some(5));
        assert_eq!(sources.rtp(Ssrc(1)).check(5), Err(SrtpError::Replayed));
        assert_eq!(sources.rtp(Ssrc(2)), Stream::Expected(2));
        assert_eq!(sources.iter().count(), SOURCES_MAX);
    }

    #[test]
    fn a_new_key_makes_room_among_those_who_do_not_use_it() {
        let mut sources = Sources::default();
        sources.inherit(&full());
        assert_eq!(sources.rtp(Ssrc(7)), Stream::Expected(7));
        for ssrc in 1000..1000 + SOURCES_MAX as u32 {
            sources.entry(Ssrc(ssrc)).expect("room").rtcp.record(1);
        }
        assert_eq!(sources.iter().count(), SOURCES_MAX);
        assert_eq!(sources.check_room(Ssrc(7)), Err(SrtpError::TooManySources));
        assert_eq!(sources.rtp(Ssrc(7)), Stream::Unseen);
    }
}
