//! RTP and RTCP (RFC 3550, 3551, 3611, 5761), their protection (RFC 3711, [`srtp`]) and telephone events (RFC 4733): packets
//! in, facts out.
//!
//! This crate deliberately knows no socket, no call, no session description and no audio: payloads are opaque bytes,
//! payload types are numbers that somebody else has negotiated. It reads no clock either; what needs the time is
//! handed a [`Time`](sx_engine::Time).
//!
//! The loop of a packet thread: ask [`is_rtcp`]; if so, [`Compound::parse`] validates the whole datagram and walks its
//! packets; if not, [`Packet::parse`] validates an RTP packet without copying or allocating, and [`Reception`] counts
//! it. Whoever plays sound passes it through a [`JitterBuffer`], and events to an [`EventReceiver`].
//!
//! ```
//! use sx_rtp::{Header, Packet, Reception, Sequencing, Ssrc, is_rtcp};
//! use sx_engine::Time;
//! use sx_types::PayloadType;
//!
//! let header = Header {
//!     marker: false, payload_type: PayloadType(0), sequence: 7, timestamp: 160, ssrc: Ssrc(0x1234_5678),
//! };
//! let mut datagram = Vec::new();
//! header.write(&[0xff; 160], &mut datagram);
//!
//! assert!(!is_rtcp(&datagram));
//! let packet = Packet::parse(&datagram)?;
//! assert_eq!(packet.payload().len(), 160);
//!
//! let mut reception = Reception::new(8_000);
//! let verdict = reception.handle_packet(Time::from_secs(1), packet.sequence(), packet.timestamp());
//! assert_eq!(verdict, Sequencing::Probation);
//! # Ok::<(), sx_rtp::PacketError>(())
//! ```

mod bursts;
mod event;
mod event_receiver;
mod event_sender;
mod jitter_buffer;
mod packet;
mod reception;
mod rtcp;
mod rtcp_xr;
pub mod srtp;
mod step;

pub use bursts::{BurstTracker, Burstiness, GMIN};
pub use event::{Event, EventPayload};
pub use event_receiver::{EventOutput, EventReceiver};
pub use event_sender::{EventPacket, EventSender};
pub use jitter_buffer::{Content, Frame, Gap, GapCause, JitterBuffer, JitterConfig, JitterStats, Payload};
pub use packet::{Extension, Extras, Header, Packet, PacketError, Ssrc, WriteError, is_rtcp};
pub use reception::{Reception, Sequencing};
pub use rtcp::{
    App, Bye, Compound, CompoundError, Packets, ReceiverReport, ReportBlock, ReportBlocks, RtcpPacket, RtcpWriteError,
    Sdes, SdesItem, SdesItems, SenderInfo, SenderReport, Ssrcs, Translated, ntp_from_time, translate_rtcp, write_bye,
    write_receiver_report, write_sdes_cname, write_sender_report,
};
pub use rtcp_xr::{Dlrr, DlrrSubBlocks, ExtendedReport, VoipMetrics, XrBlock, XrBlocks, write_extended_report};
pub use step::Step;
