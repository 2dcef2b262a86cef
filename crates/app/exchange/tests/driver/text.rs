//! Messages, and what is in them.

use super::peer::credentials;
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};
use sx_sip::digest::Credentials;
use sx_sip::message::{HeaderName, Message, OwnedMessage};

/// A message that reached somebody.
#[derive(Clone, Debug)]
pub struct Line {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Bytes,
}

impl Line {
    pub fn message(&self) -> OwnedMessage {
        Message::parse(self.bytes.clone()).expect("it parses")
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

pub fn value(message: &OwnedMessage, name: HeaderName) -> String {
    String::from_utf8_lossy(message.value(name).unwrap_or_default()).into_owned()
}

/// The value of a header by its name as written, empty for none.
pub fn named(message: &OwnedMessage, name: &str) -> String {
    let found = message.headers().find(|header| header.text.eq_ignore_ascii_case(name.as_bytes()));
    found.map(|header| String::from_utf8_lossy(header.value).into_owned()).unwrap_or_default()
}

pub fn text(message: &OwnedMessage) -> String {
    String::from_utf8_lossy(message.bytes()).into_owned()
}

pub fn body(message: &OwnedMessage) -> String {
    String::from_utf8_lossy(message.body()).into_owned()
}

/// The request URI.
pub fn uri(message: &OwnedMessage) -> String {
    String::from_utf8_lossy(message.request_uri()).into_owned()
}

/// The value of Authorization that answers a challenge by 401.
pub fn authorization(challenge: &OwnedMessage, user: &str, method: &str, uri: &str) -> String {
    let asked = Credentials::choose(challenge.values(HeaderName::WwwAuthenticate)).expect("a challenge");
    let answer = credentials(user, super::PASSWORD).answer(&asked, method, uri, 1, "0a4f113b");
    answer.expect("an algorithm that is known")
}

/// Where a description with one stream wants its RTP.
pub fn rtp_address(description: &str) -> SocketAddr {
    let line = |start: &str| description.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_default();
    let ip: IpAddr = line("c=IN IP4 ").trim().parse().expect("an address");
    let port = line("m=audio ").split(' ').next().unwrap_or_default().parse().expect("a port");
    SocketAddr::new(ip, port)
}
