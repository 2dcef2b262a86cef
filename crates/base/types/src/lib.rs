//! The vocabulary of the exchange: identifiers, addresses, transports, causes and codecs.
//!
//! Newtypes only. This crate deliberately knows no protocol, keeps no state and does no I/O;
//! every other crate may depend on it.
//!
//! ```
//! use sx_types::{Cause, Transport};
//! assert_eq!(Cause::USER_BUSY.sip_status(), 486);
//! assert!(Transport::Tls.is_secure());
//! ```

mod cause;
mod codec;
mod consent;
mod dtls;
mod dtmf;
mod enumerated;
mod hold_music;
mod id;
mod net;
mod network;
mod number;
mod role;
mod room_sounds;
mod srtp;
mod transport;

pub use cause::{CAUSES, Cause, CauseRow};
pub use codec::{Codec, Kind, PayloadType};
pub use consent::Consent;
pub use dtls::{DtlsRole, Fingerprint, HashFunction, SrtpKeying};
pub use dtmf::Dtmf;
pub use hold_music::{HoldMusic, HoldMusicWhen};
pub use id::{CallId, LegId, ParseIdError, TraceId};
pub use net::{Destination, Flow, LinkId, Ticket};
pub use network::{Network, NotANetwork};
pub use number::{called_number, called_user, judged_user, without_separators};
pub use role::{Role, TOKEN_NAME_BYTES_MAX};
pub use room_sounds::RoomSounds;
pub use srtp::SrtpPolicy;
pub use transport::{Carrier, Transport, UnknownTransport, UriParameter};
