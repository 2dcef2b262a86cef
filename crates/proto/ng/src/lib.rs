//! The NG control protocol, by which SIP proxies steer a media engine: requests read, answers written.
//!
//! There is no standard; the documentation of rtpengine (`ng_control_protocol.md`) is what clients follow. A message is a
//! cookie, a space, and a dictionary in bencode or in JSON; its answer has the same cookie and the same notation.
//!
//! This crate deliberately knows no socket, no call and no session description: it says what was asked, and whoever is
//! asked decides. What it reads borrows from the message; depth, length and number of values have limits.
//!
//! ```
//! use sx_ng::{Answer, Command, Message, Request};
//!
//! let message = Message::parse(b"5323_1 d7:command4:pinge")?;
//! let request = Request::read(&message.dictionary)?;
//! assert_eq!(request.command, Command::Ping);
//! assert_eq!(Answer::pong().write(message.cookie, message.notation), b"5323_1 d6:result4:ponge");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Along a stream messages follow each other without anything between them; [`Message::length_in`] says where one ends.

mod answer;
mod bencode;
mod codecs;
mod control;
mod json;
mod message;
mod options;
mod request;
mod value;

pub use answer::Answer;
pub use codecs::{CodecName, CodecWishes};
pub use control::{CodeError, Control, PlayedMedia};
pub use message::{COOKIE_BYTES_MAX, DecodeError, Frame, MESSAGE_BYTES_MAX, Message, MessageError, Notation};
pub use options::{Ice, Options, RtcpMux, Sdes, TransportProtocol};
pub use request::{Command, Request, RequestError};
pub use value::{DEPTH_MAX, Dictionary, VALUES_MAX, Value};
