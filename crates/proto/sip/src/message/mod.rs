//! SIP messages: parsed without copying, written strictly.
//!
//! Parsing is tolerant in two steps. [`Message::parse`] accepts whatever has a start line and a header section, so that
//! an answer can still be given; [`Message::check`] then says what is wrong with it, as the status to answer with.

mod check;
mod method;
mod name;
mod parse;
mod status;
mod token;
mod uri;
mod value;
mod write;

pub use check::Defect;
pub use method::Method;
pub use name::HeaderName;
pub use parse::{Header, Message, OwnedMessage, ParseError, StartLine};
pub use status::reason_phrase;
pub use token::{Elements, Params, elements};
pub use uri::{Host, Scheme, Uri, UriError, escape_user, unescape};
pub use value::{CSeq, NameAddr, RAck, ValueError, Via};
pub use write::Writer;

pub(crate) use token::{decimal, find_outside, is_space, is_token, quotes_are_whole, trim, unquote};
