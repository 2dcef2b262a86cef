//! The Binding method, on both sides.

use crate::message::{Class, Fingerprint, Message, Method, ParseError, TransactionId};
use crate::write::MessageWriter;
use std::net::SocketAddr;
use thiserror::Error;

/// The code for attributes that must be understood and are not.
const UNKNOWN_ATTRIBUTE: u16 = 420;

/// What a server has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The reflexive address.
    Mapped,
    /// 420: the request has attributes that must be understood and are not.
    UnknownAttributes,
}

/// Why a server answers nothing. All of it is the sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotAnswered {
    /// Not a request for a binding: an indication, a response, or another method.
    #[error("not a Binding request")]
    NotABindingRequest,
    /// The CRC is wrong.
    #[error("wrong fingerprint")]
    Fingerprint,
}

/// Why a datagram does not answer a client's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ResponseError {
    /// Not a message: the sender's fault.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// Not a response to a Binding request, or one with another transaction id: a straggler or a forgery, to be
    /// ignored while the request stands.
    #[error("not a response to this request")]
    NotOurs,
    /// The CRC is wrong; to be ignored while the request stands.
    #[error("wrong fingerprint")]
    Fingerprint,
    /// The server refuses with this code; 0 when it gives none.
    #[error("refused with code {0}")]
    Refused(u16),
    /// The server insists on an attribute of this type, which is not known here.
    #[error("unknown attribute {0:#06x} must be understood")]
    UnknownRequired(u16),
    /// The server gives no address, or a malformed one.
    #[error("no mapped address")]
    NoAddress,
}

/// Appends the answer to a Binding request that came from `mapped`, to be sent back there: a success, or a 420 that
/// lists the first sixteen attributes that must be understood and are not. Bears a FINGERPRINT when the request did.
/// Writes nothing on an error: such a message is to be dropped in silence.
//= https://www.rfc-editor.org/rfc/rfc8489#section-6.3.1
// Unknown comprehension-required attributes are answered 420 and listed.
pub fn binding_response(request: &Message<'_>, mapped: SocketAddr, out: &mut Vec<u8>) -> Result<Answered, NotAnswered> {
    if (request.class(), request.method()) != (Class::Request, Method::BINDING) {
        return Err(NotAnswered::NotABindingRequest);
    }
    let fingerprint = request.fingerprint();
    if fingerprint == Fingerprint::Invalid {
        return Err(NotAnswered::Fingerprint);
    }
    let begin = |class, out| MessageWriter::new(class, Method::BINDING, request.transaction(), out);
    let (writer, answered) = if request.unknown_required().next().is_none() {
        (begin(Class::Success, out).xor_mapped_address(mapped), Answered::Mapped)
    } else {
        let refusal = begin(Class::Error, out)
            .error_code(UNKNOWN_ATTRIBUTE, "Unknown Attribute")
            .unknown_attributes(request.unknown_required());
        (refusal, Answered::UnknownAttributes)
    };
    if fingerprint == Fingerprint::Valid {
        writer.fingerprint();
    }
    Ok(answered)
}

/// Appends a Binding request with a FINGERPRINT. The transaction id is to be random and new for each request, and the
/// same when the request is repeated.
//= https://www.rfc-editor.org/rfc/rfc8489#section-6.2
pub fn binding_request(transaction: TransactionId, out: &mut Vec<u8>) {
    MessageWriter::new(Class::Request, Method::BINDING, transaction, out).fingerprint();
}

/// The reflexive address in the response to the request with this transaction id.
//= https://www.rfc-editor.org/rfc/rfc8489#section-6.3.3
pub fn read_binding_response(datagram: &[u8], transaction: TransactionId) -> Result<SocketAddr, ResponseError> {
    let message = Message::parse(datagram)?;
    let is_response = matches!(message.class(), Class::Success | Class::Error);
    if !is_response || message.method() != Method::BINDING || message.transaction() != transaction {
        return Err(ResponseError::NotOurs);
    }
    if message.fingerprint() == Fingerprint::Invalid {
        return Err(ResponseError::Fingerprint);
    }
    if message.class() == Class::Error {
        return Err(ResponseError::Refused(message.error_code().map_or(0, |(code, _)| code)));
    }
    if let Some(kind) = message.unknown_required().next() {
        return Err(ResponseError::UnknownRequired(kind));
    }
    message.mapped_address().ok_or(ResponseError::NoAddress)
}
