//! A call's media plan: which ports face which party, what is patched to what, and how descriptions are rewritten.
//!
//! The plan is made here; packets never are. [`MediaCommand`]s program the packet threads, [`MediaEvent`]s come back.
//! The functions are pure: [`streams`] says what a party's description contains, [`relay_description`] and
//! [`relay_answer`] rewrite it for the other party so that media goes through ports of ours, [`remote`] says where
//! the party itself is. Which ports belong to which leg is kept by whoever calls them.
//!
//! This crate deliberately knows no socket, no packet and no signalling protocol.
//!
//! How a description of Alice reaches Bob, stream by stream:
//!
//! ```text
//!  Alice ──── her description ────► exchange ──── the rewritten one ────► Bob
//!        ◄─ port that faces Alice ─┘       └─ port that faces Bob ──────►
//!           SetRemote(remote(hers))           named in the rewritten one
//! ```
//!
//! # RTCP on a shared port
//!
//! RTCP ends at the exchange's ports and is passed on between them, so each leg may have it on a port of its own or on
//! that of RTP (`a=rtcp-mux`, RFC 5761), whatever the other leg does. An offer is passed on with `a=rtcp-mux` when the
//! party offered it. [`relay_answer`] accepts it towards the party that offered it even when the other one has not,
//! and never towards one that did not offer it; so [`remote`] is right for both descriptions without knowing of the
//! other. `a=rtcp-mux-only` is left out, since the exchange can do without.
//!
//! ```
//! use sx_media::{Latch, Opened, PortId, SessionVersion, relay_description, remote, streams};
//!
//! let offer = b"v=0\r\no=alice 7 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
//!     m=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n";
//! let summary = streams(offer)?;
//! assert!(summary.len() == 1 && !summary[0].rejected);
//!
//! let faces_bob = Opened { port: PortId(1), rtp: "198.51.100.1:20000".parse()?, rtcp: "198.51.100.1:20001".parse()? };
//! let to_bob = relay_description(offer, &[Some(faces_bob)], SessionVersion { session: 99, version: 1 })?;
//! assert_eq!(to_bob, "v=0\r\no=- 99 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n\
//!     m=audio 20000 RTP/AVP 0\r\na=sendrecv\r\n");
//!
//! let alice = remote(offer, 0, Latch::Port).ok_or("no address")?;
//! assert_eq!((alice.rtp, alice.rtcp), ("192.0.2.1:4000".parse()?, "192.0.2.1:4001".parse()?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attendance;
mod command;
mod conversion;
mod error;
mod handshake;
mod hold;
mod keys;
mod leg_quality;
mod memory;
mod plan;
mod playing;
mod quality;
mod recording;
mod relay;
mod room;
mod security;
mod stream;
mod transcoding;
mod voip_metrics;

pub use attendance::Attendance;
pub use command::{
    Closed, Counted, Latch, MediaCommand, MediaEvent, OpenError, Opened, PeerReport, PortId, PortStats, Remote,
    TrafficClass,
};
pub use conversion::{Coding, Conversion, OpusParameters, SoundRule};
pub use error::MediaError;
pub use handshake::{AssociationName, Handshake, HandshakeFault};
pub use hold::{hold_music, no_more_than_offered, playing, with_music};
pub use keys::{KEYS_PER_S_MAX, KEYS_WAITING_MAX, KeyRules, KeyWay, answer_events, offer_events};
pub use leg_quality::{LegQuality, PeerQuality, QualitySample, QualitySummary, Spread};
pub use memory::{AgreedMemory, DescribedMemory, PortMemory, StreamMemory};
pub use plan::{CodecCost, Load, Plan, Preference, Preset, Rate, by_preference, cost_of};
pub use playing::{PlayOutcome, Playing};
pub use quality::{
    EquipmentImpairment, PacketLoss, R_DEFAULT, delay_impairment, effective_equipment_impairment, equipment_impairment,
    mean_opinion_score, r_factor,
};
pub use recording::{RecordingCommand, RecordingId, RecordingSide, RecordingTerms, Tap, sound_of, tap_changes};
pub use relay::{SessionVersion, relay_answer, relay_description};
pub use room::{attendance, room_answer, room_offer, room_offer_again};
pub use security::{
    Keyring, Keys, Means, StreamKeys, Terms, agreed_keys, check_answer, check_keys, in_the_clear, protect_answer,
    protect_offer,
};
pub use stream::{
    OfferedCodecs, StreamCodec, StreamSummary, agreed_codec, agreed_sound, allow_codecs, answer_from, check_offer,
    check_streams, offered_codecs, remote, streams, try_remote,
};
pub use sx_rtp::srtp::Suite;
pub use sx_sdp::{Direction, MediaKind, Profile};
pub use sx_types::{HoldMusic, HoldMusicWhen};
pub use transcoding::{Agreed, check_codecs, conversions, conversions_anew, extend_offer, ours, settle_answer, ways};
pub use voip_metrics::{MeasuredStream, Playout, voip_metrics};
