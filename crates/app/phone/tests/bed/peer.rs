//! The other party by hand: a UDP socket and text.

use super::PATIENCE;
use std::net::{SocketAddr, UdpSocket};

pub struct Peer {
    socket: UdpSocket,
}

pub const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\na=ptime:20\r\n";

impl Peer {
    pub fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        Self { socket }
    }

    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }

    /// The next message that begins with this.
    pub fn next(&self, begin: &str) -> String {
        let mut buffer = [0; 4_096];
        loop {
            let (length, _) = self.socket.recv_from(&mut buffer).expect("a message");
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.starts_with(begin) {
                return text;
            }
        }
    }

    /// Answers a request, with further header lines.
    pub fn answer(&self, to: SocketAddr, request: &str, status: &str, headers: &str, body: &str) {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            let tag = if name == "To" && !header(request, name).contains(";tag=") { ";tag=peer" } else { "" };
            text += &format!("{name}: {}{tag}\r\n", header(request, name));
        }
        self.send(to, &(text + headers), body);
    }

    /// A request with further header lines; `dialog` is From, To and Call-ID.
    pub fn ask(&self, to: SocketAddr, method: &str, seq: u32, dialog: &str, headers: &str, body: &str) {
        let text = format!(
            "{method} sip:phone@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{method}{seq}\r\n\
             Max-Forwards: 70\r\n{dialog}CSeq: {seq} {method}\r\nContact: <sip:peer@{from}>\r\n{headers}",
            from = self.address()
        );
        self.send(to, &text, body);
    }

    fn send(&self, to: SocketAddr, head: &str, body: &str) {
        let content_type = if body.starts_with("v=0") { "Content-Type: application/sdp\r\n" } else { "" };
        let text = format!("{head}{content_type}Content-Length: {}\r\n\r\n{body}", body.len());
        self.socket.send_to(text.as_bytes(), to).expect("sends");
    }
}

/// The value of a header.
pub fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let begin = format!("{name}: ");
    message.lines().find_map(|line| line.strip_prefix(&begin)).unwrap_or_else(|| panic!("no {name} in {message}"))
}

/// From, To and Call-ID of a dialog that the peer begins; `tag` is the phone's.
pub fn dialog(tag: Option<&str>) -> String {
    let tag = tag.map(|tag| format!(";tag={tag}")).unwrap_or_default();
    format!("From: <sip:peer@example.com>;tag=p\r\nTo: <sip:phone@example.com>{tag}\r\nCall-ID: 1@peer\r\n")
}
