//! Session descriptions (RFC 8866) and the offer/answer model that exchanges them (RFC 3264).
//!
//! [`Description::parse`] splits a description into lines that borrow the text; typed access ([`Media`], [`Origin`],
//! [`Connection`], [`Format`]) reads a line when it is asked for. A description that is passed on is *edited*, not
//! rebuilt: [`Description::edit`], [`Description::retain_codecs`],
//! [`Description::set_formats`], [`Description::set_transports`] and [`Description::protect`] copy it line by line and
//! change only what they are told to, so that what this crate has never heard of arrives as it left. [`offer`] and [`answer`] write
//! descriptions of our own, for a party that ends its media here.
//!
//! What comes in is read with tolerance: bare line feeds, blank lines, a missing `s=` or `t=`, unknown lines, bytes
//! that are not UTF-8 within attributes. What goes out ends its lines with CRLF and has every mandatory line.
//! [`Limits`] bound what a peer can make the parser do.
//!
//! This crate deliberately knows no SIP, no socket and no packet; it keeps no state between descriptions, so it does
//! not know whether a description is an offer or an answer unless it is told.
//!
//! ```
//! use sx_sdp::{Description, Direction};
//! use sx_types::Codec;
//!
//! let text = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
//!     m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n";
//! let description = Description::parse(text)?;
//! let audio = description.media().next().ok_or("no media")?;
//! assert_eq!(audio.rtp_address(), Some("192.0.2.1:4000".parse()?));
//! assert_eq!(audio.direction(), Direction::SendOnly);
//! assert_eq!(audio.codecs().next().and_then(|format| format.codec), Some(Codec::Pcma));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod crypto;
mod description;
mod directions;
mod dtls;
mod edit;
mod formats;
mod maker;
mod media;
mod offer_answer;
mod parse;
mod protect;
mod transports;
mod write;

pub use address::{Connection, Host, Origin, RtcpAttribute};
pub use crypto::{Crypto, CryptoError, Mki};
pub use description::{Description, Direction, Line};
pub use dtls::{DtlsTerms, Setup};
pub use edit::{Edit, MediaEdit, OriginEdit, RtcpEdit};
pub use formats::{Arranged, FormatEdit, NewFormat};
pub use media::{Format, Media, MediaKind, Profile};
pub use offer_answer::{AnswerError, Answered, Chosen, OurFormat, Ours, answer, offer};
pub use parse::{Limits, ParseError};
pub use protect::Protection;
pub use transports::TransportEdit;
