//! What was sent over a network, when, and what became of it.

use crate::ladder;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use sx_engine::Time;

/// Bytes from one address to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The sender's address.
    pub from: SocketAddr,
    /// The address it is sent to.
    pub to: SocketAddr,
    /// What it carries.
    pub bytes: Bytes,
}

impl Datagram {
    /// A datagram with a copy of `bytes`.
    pub fn new(from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> Self {
        Self { from, to, bytes: Bytes::copy_from_slice(bytes) }
    }
}

/// What became of a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The link lost it.
    Lost,
    /// It arrives at these times: one, or two when the link duplicated it. Times may lie ahead.
    Arrives(Vec<Time>),
    /// It arrived where no node owned the address.
    Unreachable(Time),
}

/// A datagram that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When it was sent.
    pub sent: Time,
    /// What was sent.
    pub datagram: Datagram,
    /// What became of it.
    pub fate: Fate,
}

/// Everything that was sent, in the order in which it was sent. Prints as a ladder.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    pub(crate) packets: Vec<Packet>,
    pub(crate) names: BTreeMap<SocketAddr, String>,
}

impl Trace {
    /// All packets, in the order in which they were sent.
    pub fn packets(&self) -> &[Packet] {
        &self.packets
    }

    /// The name of an address, or the address itself when it has none.
    pub fn name_of(&self, address: SocketAddr) -> String {
        self.names.get(&address).cloned().unwrap_or_else(|| address.to_string())
    }

    /// What one endpoint sent to another, by name, lost or not.
    pub fn between<'a>(&'a self, from: &'a str, to: &'a str) -> impl Iterator<Item = &'a Packet> {
        self.packets.iter().filter(move |p| self.name_of(p.datagram.from) == from && self.name_of(p.datagram.to) == to)
    }

    /// The trace as a ladder, each packet labelled by `label`: a column an endpoint, a line a packet, seconds since
    /// the first packet in front, `x` at the end of what did not arrive, `2` at the end of what arrived twice.
    pub fn ladder(&self, label: impl Fn(&[u8]) -> String) -> String {
        ladder::draw(self, label)
    }
}

/// The ladder with the first line of each packet as its label, or its length when that line is not text.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.ladder(first_line))
    }
}

fn first_line(bytes: &[u8]) -> String {
    let line = bytes.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
    match std::str::from_utf8(line) {
        Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => text.to_owned(),
        _ => format!("{} bytes", bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_the_first_line_of_text_or_the_length() {
        for (bytes, label) in [
            (&b"INVITE sip:bob@example.net SIP/2.0\r\nVia: x\r\n"[..], "INVITE sip:bob@example.net SIP/2.0"),
            (b"\x80\x00\x00\x01", "4 bytes"),
            (b"\r\n\r\n", "4 bytes"),
            (b"", "0 bytes"),
        ] {
            assert_eq!(first_line(bytes), label);
        }
    }
}
