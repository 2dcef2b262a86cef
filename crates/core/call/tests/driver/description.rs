//! Descriptions that the parties of a test send.

use bytes::Bytes;
use sx_leg::Media;
use sx_types::{Fingerprint, HashFunction};

pub fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub fn offer(text_: &str) -> Media {
    Media::Offer(text(text_))
}

pub fn answer(text_: &str) -> Media {
    Media::Answer(text(text_))
}

/// A description with one audio stream.
pub fn sdp(address: &str, port: u16, direction: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0\r\na={direction}\r\n"
    )
}

/// Where the first party has its ear.
pub fn alice() -> String {
    sdp("192.0.2.1", 4000, "sendrecv")
}

/// Where the second has it.
pub fn bob() -> String {
    sdp("192.0.2.2", 5000, "sendrecv")
}

/// Where the third has it.
pub fn carol() -> String {
    sdp("192.0.2.3", 6000, "sendrecv")
}

/// What a certificate is known by.
pub fn print(byte: u8) -> Fingerprint {
    Fingerprint::new(HashFunction::Sha256, &[byte; 32]).expect("its length")
}

/// The description with DTLS-SRTP only.
pub fn shaking(description: &str, certificate: u8, setup: &str) -> String {
    let secure = description.replace("RTP/AVP", "UDP/TLS/RTP/SAVP");
    format!("{secure}a=fingerprint:{}\r\na=setup:{setup}\r\n", print(certificate))
}
