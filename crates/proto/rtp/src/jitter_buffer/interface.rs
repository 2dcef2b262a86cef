//! How a jitter buffer is set, what it yields, and what it counts.

#[cfg(doc)]
use super::JitterBuffer;
use crate::Header;
use std::time::Duration;
use sx_types::PayloadType;

/// How a [`JitterBuffer`] is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JitterConfig {
    /// Ticks of the payload's clock a second, as RTP has it: 8,000 also for G.722.
    pub clock_hz: u32,
    /// What one packet carries, until timestamps have told; 20 ms unless told otherwise.
    pub frame: Duration,
    /// The shortest delay; 20 ms unless told otherwise.
    pub delay_min: Duration,
    /// The longest delay; 150 ms unless told otherwise.
    pub delay_max: Duration,
    /// The delay in the beginning, when nothing is known of the network; 40 ms unless told otherwise.
    pub delay_start: Duration,
    /// So long the delay must have been too long by a frame before a frame is left out, each time; 2 s unless told otherwise.
    pub patience: Duration,
    /// Packets that wait at most; 64 unless told otherwise.
    pub packets_max: usize,
    /// Bytes that wait at most; as much again may be kept for the next packets. 64 KiB unless told otherwise.
    pub bytes_max: usize,
    /// Frames without any packet waiting, after which there is nothing to play until the next packet. 10 unless told
    /// otherwise.
    pub gaps_max: u32,
}

/// What a packet carries, which its payload type says to those who have negotiated it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Sound.
    Speech,
    /// What silence sounds like from here on (RFC 3389). What does not come after it was not sent.
    ComfortNoise,
    /// No sound, but a number that would be missed otherwise: a telephone event, whose timestamp is that of its beginning.
    Nothing,
}

/// What is to be played next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// What a packet carried.
    Payload(Payload<'a>),
    /// What a packet carried that is left out, so that the delay shrinks: to be decoded, for the sake of what the decoder
    /// remembers, and thrown away, or blended with the frame after it. It takes no time: ask again at once.
    Surplus(Payload<'a>),
    /// No packet.
    Gap(Gap<'a>),
}

/// What a packet carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    /// The packet's header.
    pub header: Header,
    /// Speech or comfort noise.
    pub content: Content,
    /// The payload.
    pub bytes: &'a [u8],
    /// How long it lasts, as far as timestamps have told; the payload itself may know better.
    pub duration: Duration,
    /// By so much the delay is longer than it has to be. Who can play faster without being noticed, because there is
    /// silence or because the sound can be compressed, may do so: with [`JitterBuffer::take`] by asking earlier for the
    /// next frame, with [`JitterBuffer::poll_frame`] by [`JitterBuffer::hasten`].
    pub surplus: Duration,
}

/// A time without a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap<'a> {
    /// Why there is none.
    pub cause: GapCause,
    /// How long it lasts.
    pub duration: Duration,
    /// The packet after the missing one, if it is here: it may hold a copy of what is missing. It is yielded later as always.
    pub next: Option<(PayloadType, &'a [u8])>,
}

/// Why there is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapCause {
    /// It is lost or will be late: later ones are here. To be concealed.
    Lost,
    /// Nothing is here. To be concealed; if the packet comes after all, it is played, and the delay has grown.
    Underrun,
    /// The delay must grow: a packet has come after its turn. To be concealed.
    Growth,
    /// The sender is silent. To be filled with comfort noise.
    Pause,
}

/// What a jitter buffer has counted, in packets and frames, and what it has measured. Each packet that was handed in is
/// counted under one of `played`, `surplus`, `silent`, `late`, `duplicates` and `discarded`, or waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterStats {
    /// Packets that were handed in.
    pub received: u64,
    /// Payloads yielded to be played.
    pub played: u64,
    /// Payloads yielded to be left out.
    pub surplus: u64,
    /// Packets without sound whose turn has come.
    pub silent: u64,
    /// Packets dropped because their turn was over, or because they would be played too late.
    pub late: u64,
    /// Packets dropped because they had come already.
    pub duplicates: u64,
    /// Packets dropped because there was no room, or because they belonged to a stream that is not believed.
    pub discarded: u64,
    /// Gaps yielded to be concealed.
    pub concealed: u64,
    /// Those among them that made the delay grow and replace no packet.
    pub grown: u64,
    /// Gaps in which the sender was silent.
    pub paused: u64,
    /// How long the last frame was played after the fastest of the last packets would have been here in its place.
    pub delay: Duration,
    /// What the delay should be.
    pub target: Duration,
    /// The jitter that is left: that of RFC 3550, section 6.4.1, for the times at which frames are played.
    pub jitter: Duration,
}

impl JitterConfig {
    /// The usual settings for a payload of this clock.
    pub const fn new(clock_hz: u32) -> Self {
        Self {
            clock_hz,
            frame: Duration::from_millis(20),
            delay_min: Duration::from_millis(20),
            delay_max: Duration::from_millis(150),
            delay_start: Duration::from_millis(40),
            patience: Duration::from_secs(2),
            packets_max: 64,
            bytes_max: 65_536,
            gaps_max: 10,
        }
    }
}
