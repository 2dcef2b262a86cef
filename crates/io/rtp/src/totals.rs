//! What a metrics scraper reads: counters that belong to the thread that counts, summed by whoever asks.

use crate::quality_totals::{QualityCounters, QualityTotals};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Sums over all packet, mixing and recording threads since they started, and how full the pools are now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Ports opened.
    pub opened: u64,
    /// Ports that could not be opened.
    pub open_failed: u64,
    /// Ports closed.
    pub closed: u64,
    /// Nanoseconds of a processor that packet threads have had.
    pub busy_ns: u64,
    /// Packet threads that let packets gather now.
    pub gathering: u64,
    /// RTP packets received and believed.
    pub packets_received: u64,
    /// RTP packets sent.
    pub packets_sent: u64,
    /// RTCP packets received and believed.
    pub rtcp_received: u64,
    /// RTCP packets sent.
    pub rtcp_sent: u64,
    /// Packets dropped because of their source.
    pub rejected_source: u64,
    /// Packets dropped because they were neither RTP nor RTCP.
    pub rejected_format: u64,
    /// Packets dropped because they were not protected with their peer's key, or were repeated.
    pub rejected_srtp: u64,
    /// Datagrams of DTLS dropped: of no handshake, or more than are looked at.
    pub rejected_dtls: u64,
    /// DTLS handshakes that have yielded keys.
    pub handshakes: u64,
    /// DTLS handshakes that have failed.
    pub handshakes_failed: u64,
    /// Ports of calls that came from elsewhere, of whose keys it is not known how far they are used, so that nothing passes.
    pub keys_lost: u64,
    /// Packets that could not be sent.
    pub send_errors: u64,
    /// RTP packets whose sound was coded anew.
    pub packets_transcoded: u64,
    /// RTP packets that could not be decoded, and in whose place something was made up.
    pub decode_errors: u64,
    /// RTP packets that were not sent because their sound could not be encoded.
    pub encode_errors: u64,
    /// Keys that were pressed in streams and told to calls.
    pub keys_told: u64,
    /// Keys that were pressed faster than anybody can, or for which nobody has room.
    pub keys_dropped: u64,
    /// Times that a peer was silent for too long.
    pub silences: u64,
    /// Rooms that there are now.
    pub rooms: u64,
    /// Who is in them now.
    pub room_members: u64,
    /// Times that somebody found no place in a room, or no room, or takes nothing that can be coded, and hears nothing.
    pub room_refused: u64,
    /// Packets from members that had to make room for newer ones, since nobody had the time to mix them.
    pub room_packets_dropped: u64,
    /// Times of 20 ms in which a mixing thread could not mix.
    pub room_ticks_missed: u64,
    /// Sounds that are being played now.
    pub plays: u64,
    /// Sounds that were to be played and were not: there is none of this name, too many are played already, or nothing that the
    /// peer takes can be coded.
    pub play_refused: u64,
    /// Sounds that can be played, but for tones.
    pub sound_files: u64,
    /// The bytes that they take.
    pub sound_bytes: u64,
    /// Recordings that go on now.
    pub recordings: u64,
    /// Recordings that could not be begun.
    pub recordings_refused: u64,
    /// Packets that were decoded for recordings.
    pub recording_decoded: u64,
    /// Those that could not be, and in whose place something was made up.
    pub recording_undecodable: u64,
    /// Packets that came too late for a recording, or from a stranger.
    pub recording_left_out: u64,
    /// Packets for recordings that had to make room for newer ones, since nobody had the time to decode them.
    pub recording_packets_dropped: u64,
    /// How the sound of peers was.
    pub quality: QualityTotals,
    /// The pool of each local address.
    pub pools: Vec<PoolUse>,
}

/// How full the pool of one local address is, in pairs of port numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// The address.
    pub address: IpAddr,
    /// Pairs in all.
    pub pairs: usize,
    /// Pairs in use.
    pub in_use: usize,
    /// Pairs in quarantine or held by another program.
    pub resting: usize,
}

/// The counters of one thread, alone on its cache lines so that no other thread's counting slows it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct ThreadTotals {
    pub(crate) opened: Counter,
    pub(crate) open_failed: Counter,
    pub(crate) closed: Counter,
    pub(crate) busy_ns: Counter,
    pub(crate) gathering: Counter,
    pub(crate) packets_received: Counter,
    pub(crate) packets_sent: Counter,
    pub(crate) rtcp_received: Counter,
    pub(crate) rtcp_sent: Counter,
    pub(crate) rejected_source: Counter,
    pub(crate) rejected_format: Counter,
    pub(crate) rejected_srtp: Counter,
    pub(crate) rejected_dtls: Counter,
    pub(crate) handshakes: Counter,
    pub(crate) handshakes_failed: Counter,
    pub(crate) keys_lost: Counter,
    pub(crate) send_errors: Counter,
    pub(crate) packets_transcoded: Counter,
    pub(crate) decode_errors: Counter,
    pub(crate) encode_errors: Counter,
    pub(crate) keys_told: Counter,
    pub(crate) keys_dropped: Counter,
    pub(crate) silences: Counter,
    pub(crate) rooms_begun: Counter,
    pub(crate) rooms_ended: Counter,
    pub(crate) room_joined: Counter,
    pub(crate) room_left: Counter,
    pub(crate) room_refused: Counter,
    pub(crate) room_packets_dropped: Counter,
    pub(crate) room_ticks_missed: Counter,
    pub(crate) plays_begun: Counter,
    pub(crate) plays_ended: Counter,
    pub(crate) play_refused: Counter,
    pub(crate) recordings_begun: Counter,
    pub(crate) recordings_ended: Counter,
    pub(crate) recordings_refused: Counter,
    pub(crate) recording_decoded: Counter,
    pub(crate) recording_undecodable: Counter,
    pub(crate) recording_left_out: Counter,
    pub(crate) recording_packets_dropped: Counter,
    pub(crate) quality: QualityCounters,
}

impl ThreadTotals {
    pub(crate) fn add_to(&self, totals: &mut Totals) {
        totals.opened += self.opened.value();
        totals.open_failed += self.open_failed.value();
        totals.closed += self.closed.value();
        totals.busy_ns += self.busy_ns.value();
        totals.gathering += self.gathering.value();
        totals.packets_received += self.packets_received.value();
        totals.packets_sent += self.packets_sent.value();
        totals.rtcp_received += self.rtcp_received.value();
        totals.rtcp_sent += self.rtcp_sent.value();
        totals.rejected_source += self.rejected_source.value();
        totals.rejected_format += self.rejected_format.value();
        totals.rejected_srtp += self.rejected_srtp.value();
        totals.rejected_dtls += self.rejected_dtls.value();
        totals.handshakes += self.handshakes.value();
        totals.handshakes_failed += self.handshakes_failed.value();
        totals.keys_lost += self.keys_lost.value();
        totals.send_errors += self.send_errors.value();
        totals.packets_transcoded += self.packets_transcoded.value();
        totals.decode_errors += self.decode_errors.value();
        totals.encode_errors += self.encode_errors.value();
        totals.keys_told += self.keys_told.value();
        totals.keys_dropped += self.keys_dropped.value();
        totals.silences += self.silences.value();
        // What has ended was counted as begun before.
        let (ended, left) = (self.rooms_ended.value(), self.room_left.value());
        totals.rooms += self.rooms_begun.value().saturating_sub(ended);
        totals.room_members += self.room_joined.value().saturating_sub(left);
        totals.room_refused += self.room_refused.value();
        totals.room_packets_dropped += self.room_packets_dropped.value();
        totals.room_ticks_missed += self.room_ticks_missed.value();
        let plays_ended = self.plays_ended.value();
        totals.plays += self.plays_begun.value().saturating_sub(plays_ended);
        totals.play_refused += self.play_refused.value();
        let ended = self.recordings_ended.value();
        totals.recordings += self.recordings_begun.value().saturating_sub(ended);
        totals.recordings_refused += self.recordings_refused.value();
        totals.recording_decoded += self.recording_decoded.value();
        totals.recording_undecodable += self.recording_undecodable.value();
        totals.recording_left_out += self.recording_left_out.value();
        totals.recording_packets_dropped += self.recording_packets_dropped.value();
        self.quality.add_to(&mut totals.quality);
    }
}

/// A number that one thread counts up and any thread reads.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// For the thread that counts only: with one writer a load and a store are enough.
    pub(crate) fn add(&self, count: u64) {
        if count > 0 {
            self.0.store(self.0.load(Ordering::Relaxed) + count, Ordering::Relaxed);
        }
    }

    /// Likewise for the thread alone: what is so now.
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
