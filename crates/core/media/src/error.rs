//! What can be wrong with a description.

use sx_sdp::ParseError;

/// Why a description cannot be planned with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// The party's description cannot be read. Its fault; another route does not help.
    #[error(transparent)]
    Description(#[from] ParseError),
    /// The party has answered with more streams than it was offered. Its fault.
    #[error("the peer answers {answered} streams where {offered} were offered")]
    TooManyAnswered {
        /// Streams of the answer.
        answered: usize,
        /// Streams of the offer.
        offered: usize,
    },
    /// No stream has a codec that the party on one side or the other may be given. Our configuration has it so.
    #[error("no codec that is offered is allowed here")]
    NothingAllowed,
    /// Two parties that have both made an offer have no codec that both can take. Nobody's fault.
    #[error("the two parties have no codec in common")]
    NothingInCommon,
    /// The party gives no address for a stream. Its fault; packets for it cannot be sent.
    #[error("the peer gives no address for stream {stream}")]
    NoAddress {
        /// The stream, counted from 0.
        stream: usize,
    },
    /// The party gives the address of a stream by name. It may, but names are not looked up for media; packets for it
    /// cannot be sent.
    #[error("the peer gives the address of stream {stream} by name")]
    AddressNotNumeric {
        /// The stream, counted from 0.
        stream: usize,
    },
    /// The stream of RTP names nothing that is a payload type. Its party's fault.
    #[error("stream {stream} names no payload type of RTP")]
    NoPayloadType {
        /// The stream, counted from 0.
        stream: usize,
    },
    /// Of the streams that are offered none is RTP over UDP, so that none can be relayed. Nobody's fault.
    #[error("no stream that is offered is RTP over UDP, which is what is relayed here")]
    NothingRelayed,
    /// The stream is refused: its port is 0. Nobody's fault.
    #[error("stream {stream} is refused")]
    Refused {
        /// The stream, counted from 0.
        stream: usize,
    },
    /// The description has no such stream. The caller's fault.
    #[error("there is no stream {stream}")]
    NoSuchStream {
        /// The stream, counted from 0.
        stream: usize,
    },
    /// The stream is to be protected, and no key of the party's can be used: it is of an unknown suite, malformed, or not
    /// one that was offered. Its fault, or our configuration allows too few suites.
    #[error("no key of stream {stream} can be used")]
    NoKey {
        /// The stream, counted from 0.
        stream: usize,
    },
    /// The party offers the stream in the clear, and our configuration has it protected.
    #[error("stream {stream} has to be protected and comes without a key")]
    KeyMissing {
        /// The stream, counted from 0.
        stream: usize,
    },
}
