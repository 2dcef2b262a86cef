//! The sending side.

use super::SrtpError;
use super::master_key::{KeyError, MasterKey};
use super::packet::{PACKET_MAX, Place, RtpHead, rtcp_sender};
use super::replay::{Estimate, RTCP_INDEX_MAX, RTP_INDEX_MAX, Stream, WINDOW, estimate};
use super::session_keys::SessionKeys;
use super::sources::Sources;
use super::suite::Suite;
use std::fmt;

/// Packets that one master key may protect.
//= https://www.rfc-editor.org/rfc/rfc3711#section-9.2
// A master key ends with 2^48 SRTP packets or 2^31 SRTCP packets, whichever comes first.
const RTP_LIFE: u64 = RTP_INDEX_MAX + 1;
const RTCP_LIFE: u64 = RTCP_INDEX_MAX + 1;

/// The longest master key identifier.
//= https://www.rfc-editor.org/rfc/rfc4568#section-6.1
// Its length is 1 to 128 bytes.
pub const MKI_BYTES_MAX: usize = 128;

/// Protects what is sent with one key, for any sender up to [`SOURCES_MAX`](super::SOURCES_MAX).
pub struct Protector {
    pub(super) suite: Suite,
    pub(super) master: MasterKey,
    pub(super) mki: Box<[u8]>,
    pub(super) sources: Sources,
    /// What this master key has protected, of all senders together.
    pub(super) rtp_packets: u64,
    pub(super) rtcp_packets: u64,
    /// The index of the first RTCP packet of a sender that is not known.
    pub(super) rtcp_first: u64,
    pub(super) keys: SessionKeys,
}

impl Protector {
    /// Nothing sent yet.
    pub fn new(suite: Suite, master: &MasterKey) -> Result<Self, KeyError> {
        Ok(Self {
            suite,
            master: master.clone(),
            mki: Box::default(),
            sources: Sources::default(),
            rtp_packets: 0,
            rtcp_packets: 0,
            rtcp_first: 0,
            keys: SessionKeys::derive(suite, master)?,
        })
    }

    /// Adds this master key identifier to each packet.
    pub fn with_mki(mut self, mki: &[u8]) -> Result<Self, KeyError> {
        if mki.is_empty() || mki.len() > MKI_BYTES_MAX {
            return Err(KeyError::MkiLength);
        }
        self.mki = mki.into();
        Ok(self)
    }

    /// How packets are protected.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// How much longer an RTP packet becomes.
    pub fn rtp_overhead(&self) -> usize {
        self.suite.rtp_overhead() + self.mki.len()
    }

    /// How much longer an RTCP packet becomes.
    pub fn rtcp_overhead(&self) -> usize {
        self.suite.rtcp_overhead() + self.mki.len()
    }

    /// Protects the RTP packet that is the first `len` bytes of the buffer, in place, and says how long it is then.
    /// Behind it must be room for [`rtp_overhead`](Self::rtp_overhead) bytes. On an error the buffer is as it was and
    /// nothing has been counted.
    ///
    /// The rollover counter follows the sequence numbers as a receiver's does, so that packets may be passed on in the
    /// order in which they came. None is protected whose sequence number has been used already, or may have been:
    /// two packets under one key stream would give away what they carry.
    //= https://www.rfc-editor.org/rfc/rfc3711#section-9.1
    pub fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let packet = packet_with_room(buffer, len, self.rtp_overhead())?;
        let head = RtpHead::read(packet)?;
        if self.rtp_packets >= RTP_LIFE {
            return Err(SrtpError::KeyExhausted);
        }
        let index = next_rtp_index(self.sources.rtp(head.ssrc), head.sequence)?;
        self.sources.entry(head.ssrc)?.rtp.record(index);
        self.rtp_packets += 1;
        Ok(self.keys.seal_rtp(buffer, len, head.clear, Place { ssrc: head.ssrc, index }, &self.mki))
    }

    /// Protects the compound RTCP packet that is the first `len` bytes of the buffer, in place, and says how long it is
    /// then. Behind it must be room for [`rtcp_overhead`](Self::rtcp_overhead) bytes. On an error the buffer is as it
    /// was and nothing has been counted.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let packet = packet_with_room(buffer, len, self.rtcp_overhead())?;
        let ssrc = rtcp_sender(packet)?;
        //= https://www.rfc-editor.org/rfc/rfc3711#section-3.4
        // The index is zero for the first packet, goes up by one, and is not reset when the key changes.
        let index = self.sources.rtcp(ssrc).highest().map_or(self.rtcp_first, |last| last + 1);
        if self.rtcp_packets >= RTCP_LIFE || index > RTCP_INDEX_MAX {
            return Err(SrtpError::KeyExhausted);
        }
        self.sources.entry(ssrc)?.rtcp.record(index);
        self.rtcp_packets += 1;
        Ok(self.keys.seal_rtcp(buffer, len, Place { ssrc, index }, &self.mki))
    }

    /// Protects with another key of the same suite from now on. The count of each sender goes on; only the life of the
    /// key begins anew, unless it is the same key. One that was used before may not come back. An identifier stays as
    /// it is unless [`with_mki`](Self::with_mki) sets another.
    pub fn rekey(&mut self, master: &MasterKey) -> Result<(), KeyError> {
        if self.master == *master {
            return Ok(());
        }
        self.keys = SessionKeys::derive(self.suite, master)?;
        self.master = master.clone();
        let before = std::mem::take(&mut self.sources);
        self.sources.inherit(&before);
        (self.rtp_packets, self.rtcp_packets, self.rtcp_first) = (0, 0, 0);
        Ok(())
    }

    /// The rollover counter of a sender: how often its sequence number has wrapped. `None` when it has sent nothing.
    #[cfg(test)]
    pub(crate) fn rollover_counter(&self, ssrc: crate::Ssrc) -> Option<u32> {
        self.sources.rtp(ssrc).highest().map(|highest| (highest >> 16) as u32)
    }
}

impl fmt::Debug for Protector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protector").field("suite", &self.suite).field("sources", &self.sources).finish_non_exhaustive()
    }
}

fn packet_with_room(buffer: &[u8], len: usize, overhead: usize) -> Result<&[u8], SrtpError> {
    if len > PACKET_MAX {
        return Err(SrtpError::TooLong);
    }
    if buffer.len() < len + overhead {
        return Err(SrtpError::NoRoom);
    }
    Ok(&buffer[..len])
}

/// The index that a packet is sent with, if it was not used yet.
fn next_rtp_index(stream: Stream, sequence: u16) -> Result<u64, SrtpError> {
    let Some(highest) = stream.highest() else { return Ok(u64::from(sequence)) };
    let index = match estimate(highest, sequence) {
        Estimate::Index(index) => index,
        Estimate::Exhausted => return Err(SrtpError::KeyExhausted),
        // Just before the first packet: it comes late, and there is no index for it. From farther away the sequence
        // number has leaped forward, which a receiver understands that tries the only rollover counter there can be.
        Estimate::BeforeFirst if u64::from((highest as u16).wrapping_sub(sequence)) < WINDOW => {
            return Err(SrtpError::IndexUsed);
        }
        Estimate::BeforeFirst => u64::from(sequence),
    };
    stream.check(index).map(|()| index).map_err(|_| SrtpError::IndexUsed)
}
