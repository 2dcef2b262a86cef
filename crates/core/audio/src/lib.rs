//! What is done with sound between packets: packets of one format in, packets of another out.
//!
//! A [`Transcoder`] is one direction of a stream between two parties that have no codec in common. It is driven by the
//! packets that arrive, by no timer, so that it delays nothing: what a packet brings goes out at once, but for the rest that
//! does not fill a packet of the other side's length.
//!
//! A [`Listener`] is one direction of a stream on its way into a recording: packets in, samples and their places out.
//!
//! A [`Conference`] is a room: it has a clock's pace, a jitter buffer for each member, and the mixer of `sx-mix` in the middle.
//!
//! A [`Player`] has one party hear one of the [`Sounds`]: what was recorded, or the tones of an exchange, generated.
//!
//! This crate deliberately knows no socket, no file, no key, no session description and no clock: [`Conversion`] says what was
//! negotiated, and the time comes in with each packet.
//!
//! ```text
//!              ┌──────────┐  sound   ┌─────────┐ samples ┌───────────┐ samples ┌─────────┐
//!  packet ───► │ Sequence │ ───────► │ Decoder │ ──────► │ Resampler │ ──────► │ Encoder │ ───► packets
//!              └──────────┘          └─────────┘         └───────────┘         └─────────┘
//!                late, twice, strange ──► counted     keys, comfort noise, what both sides have ──► passed
//! ```
//!
//! # Keys
//!
//! What becomes of the keys that a sender presses, the conversion says (`KeyRules`). Events become events at the receiver's
//! clock, or end here and are told ([`Transcoder::poll_key`]), or are heard as tones. Tones are listened for where that is asked;
//! the sound is silent while one lasts, but for its first 20 to 30 ms, which nobody takes for a key. Keys that are pressed in a
//! stream of ours ([`Transcoder::press`]) have the pace of a clock, and while they last there is nothing else in it. A key that
//! becomes one of these is pressed when it is over.
//!
//! # What becomes of what is missing
//!
//! * **Lost, up to 60 ms:** made up here, from the copy in the next packet where Opus has one, else by repeating the last
//!   period of the voice. Only here is the copy to be had, and an encoder that remembers what it coded never sees a leap. The
//!   sender is told of the loss in the reports about its stream.
//! * **Lost, more than that:** a gap in sequence numbers and timestamps; the receiver conceals what it can.
//! * **Not sent** (a pause): a gap in timestamps alone, and the marker where sound begins again.
//! * **Late, or twice:** dropped and counted, since its place has been filled.
//! * **Not decodable:** made up as if it were lost, and counted.
//!
//! ```
//! use sx_audio::Transcoder;
//! use sx_engine::{Rng, Time};
//! use sx_media::{Coding, Conversion, KeyRules, SoundRule};
//! use sx_rtp::{Header, Packet, Ssrc};
//! use sx_types::{Codec, PayloadType};
//!
//! let (from, to) = (Coding::new(PayloadType(0), Codec::Pcmu), Coding::new(PayloadType(8), Codec::Pcma));
//! let (keys, sound) = (KeyRules::default(), SoundRule::default());
//! let conversion = Conversion { from: vec![from], to: vec![to], ptime_ms: 10, keys, anew: false, sound };
//! let mut transcoder = Transcoder::new(&conversion, Ssrc(5), &mut Rng::from_number(1))?;
//! let mut datagram = Vec::new();
//! let header = Header { marker: true, payload_type: PayloadType(0), sequence: 9, timestamp: 0, ssrc: Ssrc(1) };
//! header.write(&[0xff; 160], &mut datagram);
//!
//! transcoder.handle_packet(Time::from_secs(1), &datagram);
//! let first = Packet::parse(transcoder.poll_packet().ok_or("no packet")?)?;
//! assert_eq!((first.payload_type(), first.ssrc(), first.payload().len()), (PayloadType(8), Ssrc(5), 80));
//! assert!(transcoder.poll_packet().is_some() && transcoder.poll_packet().is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod conference;
mod indication;
mod keys;
mod listener;
mod player;
mod recoder;
mod reports;
mod route;
mod sending;
mod sounds;
mod source;
mod succession;
mod timeline;
mod transcoder;
mod wav;

pub use conference::{Conference, Counted, FRAME_MS, MEMBERS_MAX, MemberId, NotAdmitted, PromptTo};
pub use indication::{Country, Indication, IndicationTone};
pub use keys::Key;
pub use listener::{Listener, ListenerStats};
pub use player::Player;
pub use reports::Reporter;
pub use route::{NotConvertible, can_code, codable};
pub use sending::Sent;
pub use sounds::{Sound, Sounds, TONE, TONE_SECONDS};
pub use succession::Succession;
pub use sx_media::{Conversion, Playing};
pub use transcoder::{Stats, Transcoder};
pub use wav::{Recorded, WavError, read_wav};
