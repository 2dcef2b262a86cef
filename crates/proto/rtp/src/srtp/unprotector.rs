//! The receiving side.
//!
//! ```text
//!   one key ──(rekey)──► two keys ──(OVERLAP packets verified with the new one)──► one key
//!                           └──(rekey: the oldest goes)──► two keys
//! ```

use super::SrtpError;
use super::master_key::{KeyError, MasterKey};
use super::packet::{Place, RtpHead, rtcp_sender};
use super::protector::MKI_BYTES_MAX;
use super::replay::{Estimate, Stream, estimate};
use super::session_keys::{ENCRYPTED, SessionKeys};
use super::sources::{Source, Sources};
use super::suite::Suite;
use crate::packet::Ssrc;
use std::fmt;

/// After so many packets under a new key the one before it is forgotten: five seconds of voice in packets of 20 ms.
pub(super) const OVERLAP: u32 = 256;

/// Verifies and deciphers what is received, of any sender up to [`SOURCES_MAX`](super::SOURCES_MAX).
///
/// A sender is remembered from its first authentic packet on; a packet that is refused changes nothing.
pub struct Unprotector {
    pub(super) suite: Suite,
    pub(super) mki_bytes: usize,
    pub(super) current: Epoch,
    /// The key before the current one, while packets under it may still come.
    pub(super) previous: Option<Epoch>,
    /// Where a packet's bytes are kept while there is more than one thing to try on them.
    kept: Vec<u8>,
}

/// What was received under one key.
pub(super) struct Epoch {
    pub(super) master: MasterKey,
    pub(super) keys: SessionKeys,
    pub(super) sources: Sources,
    /// Packets verified with this key, counted up to [`OVERLAP`].
    pub(super) verified: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Current,
    Previous,
}

/// The keys and indexes that a packet may have been protected with, the likeliest first.
struct Attempts {
    list: [(Which, u64); Self::MAX],
    len: usize,
    /// Why the packet is refused if it is not authentic with any of them.
    refusal: SrtpError,
}

/// Rollover counters that a packet may have: three at most.
type Candidates = [Option<u64>; 3];

impl Unprotector {
    /// Nothing received yet.
    pub fn new(suite: Suite, master: &MasterKey) -> Result<Self, KeyError> {
        let current = Epoch::new(suite, master)?;
        Ok(Self { suite, mki_bytes: 0, current, previous: None, kept: Vec::new() })
    }

    /// Expects a master key identifier of this length in each packet. Its value is not looked at: of the two keys that
    /// there are at most, the tag tells which one is meant.
    pub fn with_mki_bytes(mut self, bytes: usize) -> Result<Self, KeyError> {
        if bytes == 0 || bytes > MKI_BYTES_MAX {
            return Err(KeyError::MkiLength);
        }
        self.mki_bytes = bytes;
        Ok(self)
    }

    /// How packets are protected.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// How long the master key identifier of each packet is; 0 when there is none.
    pub fn mki_bytes(&self) -> usize {
        self.mki_bytes
    }

    /// Verifies and deciphers an RTP packet in place and says how long it is then. Of a packet that is refused, what
    /// follows the header may be lost.
    //= https://www.rfc-editor.org/rfc/rfc3711#section-3.3
    // The index is estimated, the replay list asked, the tag verified, the packet deciphered; only then is it counted.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let head = RtpHead::read(packet)?;
        let mki = self.mki_bytes;
        if packet.len() < head.clear + self.suite.rtp_overhead() + mki {
            return Err(SrtpError::TooShort);
        }
        let mut attempts = Attempts::none();
        for which in self.order() {
            let Some(epoch) = self.epoch(which) else { continue };
            let stream = self.rtp_stream(which, epoch, head.ssrc);
            match candidates(stream, head.sequence) {
                Ok(indexes) => {
                    for index in indexes.into_iter().flatten() {
                        attempts.add(which, index, epoch.admits(stream, index, head.ssrc));
                    }
                }
                Err(error) => attempts.refusal = error,
            }
        }
        let (which, index, len) = self
            .open(packet, head.ssrc, &attempts, |keys, packet, place| keys.open_rtp(packet, head.clear, place, mki))?;
        self.verified(which, head.ssrc, |source| source.rtp.record(index))?;
        Ok(len)
    }

    /// Verifies and deciphers a compound RTCP packet in place and says how long it is then. Of a packet that is
    /// refused, what follows the first eight bytes may be lost. A packet whose E bit says that it was not encrypted is
    /// taken as well, if it is authentic.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let ssrc = rtcp_sender(packet)?;
        let mki = self.mki_bytes;
        let word = self.current.keys.esrtcp_word(packet, mki)?;
        let index = u64::from(word & !ENCRYPTED);
        let mut attempts = Attempts::none();
        for which in self.order() {
            let Some(epoch) = self.epoch(which) else { continue };
            attempts.add(which, index, epoch.admits(epoch.sources.rtcp(ssrc), index, ssrc));
        }
        let (which, index, len) =
            self.open(packet, ssrc, &attempts, |keys, packet, place| keys.open_rtcp(packet, word, place, mki))?;
        self.verified(which, ssrc, |source| source.rtcp.record(index))?;
        Ok(len)
    }

    /// Takes packets under another key of the same suite as well from now on, and no longer those under the old one as
    /// soon as the new one has been in use for a while. Rollover counters go on; a peer that begins them anew with the
    /// new key, as some do, is understood as well. The same key again changes nothing, and the old one may come back
    /// while it is still taken; one that was forgotten may not, since its packets could be repeated.
    pub fn rekey(&mut self, master: &MasterKey) -> Result<(), KeyError> {
        if self.current.master == *master {
            return Ok(());
        }
        if let Some(previous) = self.previous.as_mut().filter(|previous| previous.master == *master) {
            std::mem::swap(&mut self.current, previous);
            self.current.verified = 0;
            return Ok(());
        }
        let next = Epoch::new(self.suite, master)?;
        if let Some(oldest) = self.previous.take() {
            self.current.sources.inherit(&oldest.sources);
        }
        self.previous = Some(std::mem::replace(&mut self.current, next));
        Ok(())
    }

    /// Are there two keys, because the new one has not been in use for long enough?
    #[cfg(test)]
    pub(crate) fn is_rekeying(&self) -> bool {
        self.previous.is_some()
    }

    /// The rollover counter of a sender: how often its sequence number has wrapped. `None` when nothing has come.
    #[cfg(test)]
    pub(crate) fn rollover_counter(&self, ssrc: Ssrc) -> Option<u32> {
        self.rtp_stream(Which::Current, &self.current, ssrc).highest().map(|highest| (highest >> 16) as u32)
    }

    /// The key that is the likelier one comes first.
    fn order(&self) -> [Which; 2] {
        if self.current.verified == 0 { [Which::Previous, Which::Current] } else { [Which::Current, Which::Previous] }
    }

    fn epoch(&self, which: Which) -> Option<&Epoch> {
        match which {
            Which::Current => Some(&self.current),
            Which::Previous => self.previous.as_ref(),
        }
    }

    /// What is known of a sender under a key; before it has used the new one, how far it came with the old one.
    fn rtp_stream(&self, which: Which, epoch: &Epoch, ssrc: Ssrc) -> Stream {
        let stream = epoch.sources.rtp(ssrc);
        match (which, &self.previous) {
            (Which::Current, Some(previous)) => stream.continued_from(previous.sources.rtp(ssrc)),
            _ => stream,
        }
    }

    /// Opens the packet with the first key and index with which it is authentic.
    fn open(
        &mut self,
        packet: &mut [u8],
        ssrc: Ssrc,
        attempts: &Attempts,
        open: impl Fn(&SessionKeys, &mut [u8], Place) -> Result<usize, SrtpError>,
    ) -> Result<(Which, u64, usize), SrtpError> {
        let attempted = &attempts.list[..attempts.len];
        let keep = attempted.len() > 1 && self.current.keys.refusal_destroys();
        if keep {
            self.kept.clear();
            self.kept.extend_from_slice(packet);
        }
        for (number, (which, index)) in attempted.iter().copied().enumerate() {
            if keep && number > 0 {
                packet.copy_from_slice(&self.kept);
            }
            let Some(epoch) = self.epoch(which) else { continue };
            if let Ok(len) = open(&epoch.keys, packet, Place { ssrc, index }) {
                return Ok((which, index, len));
            }
        }
        Err(attempts.refusal)
    }

    /// Counts an authentic packet.
    fn verified(&mut self, which: Which, ssrc: Ssrc, record: impl FnOnce(&mut Source)) -> Result<(), SrtpError> {
        let epoch = match (which, &mut self.previous) {
            (Which::Previous, Some(previous)) => previous,
            _ => &mut self.current,
        };
        record(epoch.sources.entry(ssrc)?);
        epoch.verified = (epoch.verified + 1).min(OVERLAP);
        if self.current.verified == OVERLAP
            && let Some(previous) = self.previous.take()
        {
            self.current.sources.inherit(&previous.sources);
        }
        Ok(())
    }
}

impl fmt::Debug for Unprotector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Unprotector");
        shown.field("suite", &self.suite).field("sources", &self.current.sources);
        shown.field("previous", &self.previous.as_ref().map(|previous| &previous.sources)).finish_non_exhaustive()
    }
}

impl Epoch {
    pub(super) fn new(suite: Suite, master: &MasterKey) -> Result<Self, KeyError> {
        let keys = SessionKeys::derive(suite, master)?;
        Ok(Self { master: master.clone(), keys, sources: Sources::default(), verified: 0 })
    }

    /// May a packet with this index come?
    fn admits(&self, stream: Stream, index: u64, ssrc: Ssrc) -> Result<(), SrtpError> {
        stream.check(index)?;
        self.sources.check_room(ssrc)
    }
}

impl Attempts {
    const MAX: usize = 6;

    fn none() -> Self {
        Self { list: [(Which::Current, 0); Self::MAX], len: 0, refusal: SrtpError::NotAuthentic }
    }

    fn add(&mut self, which: Which, index: u64, admitted: Result<(), SrtpError>) {
        match admitted {
            Ok(()) => {
                self.list[self.len] = (which, index);
                self.len += 1;
            }
            Err(error) => self.refusal = error,
        }
    }
}

/// The indexes that a packet with this sequence number may have.
//= https://www.rfc-editor.org/rfc/rfc3711#section-3.3.1
// The rollover counter is zero for the first packet. Where that one was lost and the number has wrapped since, it is
// one. After a re-keying it has gone on, unless the peer has begun anew.
fn candidates(stream: Stream, sequence: u16) -> Result<Candidates, SrtpError> {
    let first = u64::from(sequence);
    let wrapped = (sequence < 1 << 15).then_some(1 << 16 | first);
    let continued = stream.highest().map(|highest| estimate(highest, sequence));
    match (stream, continued) {
        (Stream::Seen(_), Some(Estimate::Exhausted)) => Err(SrtpError::KeyExhausted),
        (Stream::Seen(_), Some(Estimate::Index(index))) => Ok([Some(index), None, None]),
        // No rollover counter is less than zero: if it is not a late packet, the number has leaped forward.
        (Stream::Seen(_), _) => Ok([Some(first), None, None]),
        (Stream::Unseen | Stream::Expected(_), Some(Estimate::Index(index))) if index > first => {
            Ok([Some(index), Some(first), wrapped.filter(|wrapped| *wrapped != index)])
        }
        (Stream::Unseen | Stream::Expected(_), _) => Ok([Some(first), wrapped, None]),
    }
}
