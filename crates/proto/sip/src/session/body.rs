//! Session descriptions in the bodies of messages.

use crate::message::{HeaderName, Message, Params};
use bytes::Bytes;

/// The media type of a session description.
pub const SDP: &str = "application/sdp";

/// The session description a message carries: its body, or the part of its body that is one.
pub fn description<B: AsRef<[u8]>>(message: &Message<B>) -> Option<Bytes> {
    description_of(message)
}

pub(crate) fn description_of<B: AsRef<[u8]>>(message: &Message<B>) -> Option<Bytes> {
    part(message, SDP).map(Bytes::copy_from_slice)
}

/// What of a message's body has this media type: all of it, or the first such part of one that is multipart.
pub fn part<'m, B: AsRef<[u8]>>(message: &'m Message<B>, media_type: &str) -> Option<&'m [u8]> {
    let body = message.body();
    if body.is_empty() {
        return None;
    }
    let content_type = message.text(HeaderName::ContentType)?;
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(media_type) {
        return Some(body);
    }
    if !essence.to_ascii_lowercase().starts_with("multipart/") {
        return None;
    }
    part_of(content_type, body, media_type)
}

/// The first part of this type of a multipart body.
//= https://www.rfc-editor.org/rfc/rfc5621#section-3
fn part_of<'a>(content_type: &str, body: &'a [u8], media_type: &str) -> Option<&'a [u8]> {
    let boundary = Params(content_type.as_bytes()).value("boundary")?;
    let delimiter = format!("--{boundary}");
    let mut rest = body;
    while let Some(at) = find(rest, delimiter.as_bytes()) {
        rest = &rest[at + delimiter.len()..];
        let end = find(rest, delimiter.as_bytes()).unwrap_or(rest.len());
        let head = find(&rest[..end], b"\r\n\r\n")?;
        if String::from_utf8_lossy(&rest[..head]).to_ascii_lowercase().contains(media_type) {
            return Some(rest[head + 4..end].strip_suffix(b"\r\n").unwrap_or(&rest[head + 4..end]));
        }
    }
    None
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}
