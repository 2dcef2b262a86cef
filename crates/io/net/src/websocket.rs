//! The server's side of one WebSocket that carries SIP (RFC 7118), without its socket.
//!
//! The request is read, then frames; what must be answered comes out as bytes to send. tungstenite parses the
//! request and the frame headers. One message is kept in memory at a time, and its fragments are counted.

use crate::event::WebSocketFailure;
use bytes::Bytes;
use std::io::Cursor;
use std::ops::Range;
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, create_response, write_response};
use tungstenite::http::HeaderValue;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

/// What was found in the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The upgrade is accepted with this response.
    Upgraded(Bytes),
    /// A whole message; see [`WebSocket::message`].
    Message,
    /// A keep-alive of either kind, to be answered with this.
    Ping(Bytes),
    /// The peer's keep-alive answer, or an empty message.
    Pong,
    /// The peer closes, to be answered with this.
    Close(Bytes),
}

/// The peer broke the rules; `reply` tells it so before the connection ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    pub failure: WebSocketFailure,
    pub reply: Bytes,
}

#[derive(Debug)]
pub(crate) struct WebSocket {
    input: Vec<u8>,
    /// Where what has not been looked at begins.
    start: usize,
    state: State,
    message: MessageAt,
    /// The pieces of a fragmented message.
    assembled: Vec<u8>,
    message_bytes_max: usize,
    fragments_max: u32,
}

#[derive(Debug)]
enum State {
    Handshake,
    /// No message has begun.
    Idle,
    /// Frames of a message have come, and more must.
    Fragmented {
        text: bool,
        frames: u32,
    },
    /// Nothing more is read.
    Over,
}

/// What one frame came to.
enum Frame {
    /// It is not all there.
    Incomplete,
    /// A message goes on.
    Part,
    /// Something to report.
    Whole(Found),
}

/// Where the last message lies.
#[derive(Debug)]
enum MessageAt {
    Input(Range<usize>),
    Assembled,
}

impl WebSocket {
    pub fn new(message_bytes_max: usize, fragments_max: u32) -> Self {
        Self {
            input: Vec::new(),
            start: 0,
            state: State::Handshake,
            message: MessageAt::Input(0..0),
            assembled: Vec::new(),
            message_bytes_max,
            fragments_max,
        }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        if matches!(self.state, State::Over) {
            return;
        }
        if self.start == self.input.len() {
            self.input.clear();
        } else {
            self.input.drain(..self.start);
        }
        self.start = 0;
        self.message = MessageAt::Input(0..0);
        self.input.extend_from_slice(bytes);
    }

    /// The message found last, until the next call of anything else.
    pub fn message(&self) -> &[u8] {
        match &self.message {
            MessageAt::Input(range) => &self.input[range.clone()],
            MessageAt::Assembled => &self.assembled,
        }
    }

    /// Has a message, a frame or the request begun that is not whole yet?
    pub fn is_partial(&self) -> bool {
        self.start < self.input.len() || matches!(self.state, State::Fragmented { .. })
    }

    /// The next thing in the stream; `None` when more bytes are needed.
    pub fn advance(&mut self) -> Result<Option<Found>, Breach> {
        let result = match self.state {
            State::Handshake => self.handshake(),
            State::Idle | State::Fragmented { .. } => self.frames(),
            State::Over => Ok(None),
        };
        match &result {
            Err(_) | Ok(Some(Found::Close(_))) => {
                self.state = State::Over;
                self.input = Vec::new();
                self.start = 0;
            }
            // Thousands of browsers wait between two messages and shall not keep buffers meanwhile.
            Ok(None) if self.start == self.input.len() => {
                self.input = Vec::new();
                self.start = 0;
                self.message = MessageAt::Input(0..0);
                if matches!(self.state, State::Idle) {
                    self.assembled = Vec::new();
                }
            }
            _ => {}
        }
        result
    }

    fn handshake(&mut self) -> Result<Option<Found>, Breach> {
        let (length, request) = match Request::try_parse(&self.input) {
            Ok(Some(parsed)) => parsed,
            Ok(None) if self.input.len() <= REQUEST_BYTES_MAX => return Ok(None),
            _ => return Err(rejected(WebSocketFailure::BadHandshake)),
        };
        let mut response = create_response(&request).map_err(|_| rejected(WebSocketFailure::BadHandshake))?;
        //= https://www.rfc-editor.org/rfc/rfc7118#section-4
        // The client offers the subprotocol "sip", and the response names it.
        let mut offers = request.headers().get_all(SUBPROTOCOL).iter().filter_map(|value| value.to_str().ok());
        if !offers.any(|value| value.split(',').any(|name| name.trim().eq_ignore_ascii_case("sip"))) {
            return Err(rejected(WebSocketFailure::WrongSubprotocol));
        }
        response.headers_mut().insert(SUBPROTOCOL, HeaderValue::from_static("sip"));
        let mut bytes = Vec::new();
        write_response(&mut bytes, &response).map_err(|_| rejected(WebSocketFailure::BadHandshake))?;
        self.start = length;
        self.state = State::Idle;
        Ok(Some(Found::Upgraded(bytes.into())))
    }

    fn frames(&mut self) -> Result<Option<Found>, Breach> {
        loop {
            match self.frame()? {
                Frame::Incomplete => return Ok(None),
                Frame::Part => {}
                Frame::Whole(found) => return Ok(Some(found)),
            }
        }
    }

    fn frame(&mut self) -> Result<Frame, Breach> {
        let pending = &self.input[self.start..];
        let mut cursor = Cursor::new(pending);
        let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(|_| malformed())? else {
            return Ok(Frame::Incomplete);
        };
        //= https://www.rfc-editor.org/rfc/rfc6455#section-5.1
        // A server closes the connection upon a frame that is not masked.
        let Some(mask) = header.mask else { return Err(breach(WebSocketFailure::Unmasked, CloseCode::Protocol)) };
        //= https://www.rfc-editor.org/rfc/rfc6455#section-5.2
        // Reserved bits are zero unless an extension was negotiated, and none is.
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(malformed());
        }
        let before = if matches!(self.state, State::Fragmented { .. }) { self.assembled.len() } else { 0 };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > self.message_bytes_max.saturating_sub(before) && matches!(header.opcode, OpCode::Data(_)) {
            return Err(breach(WebSocketFailure::TooLong, CloseCode::Size));
        }
        //= https://www.rfc-editor.org/rfc/rfc6455#section-5.5
        // Control frames are at most 125 bytes long and are not fragmented.
        if matches!(header.opcode, OpCode::Control(_)) && (length > CONTROL_BYTES_MAX || !header.is_final) {
            return Err(malformed());
        }
        let from = self.start + cursor.position() as usize;
        if self.input.len() - from < length {
            return Ok(Frame::Incomplete);
        }
        let payload = from..from + length;
        self.start = payload.end;
        for (at, byte) in self.input[payload.clone()].iter_mut().enumerate() {
            *byte ^= mask[at % 4];
        }
        match header.opcode {
            OpCode::Control(control) => self.control(control, &payload).map(Frame::Whole),
            OpCode::Data(data) => self.data(data, header.is_final, payload),
        }
    }

    fn control(&self, control: Control, payload: &Range<usize>) -> Result<Found, Breach> {
        let payload = &self.input[payload.clone()];
        match control {
            Control::Ping => Ok(Found::Ping(frame(OpCode::Control(Control::Pong), payload))),
            Control::Pong => Ok(Found::Pong),
            // The status code is sent back as it came.
            Control::Close => {
                Ok(Found::Close(frame(OpCode::Control(Control::Close), payload.get(..2).unwrap_or_default())))
            }
            Control::Reserved(_) => Err(malformed()),
        }
    }

    fn data(&mut self, data: Data, is_final: bool, payload: Range<usize>) -> Result<Frame, Breach> {
        let (text, frames) = match (&self.state, data) {
            (State::Idle, Data::Text) => (true, 0),
            (State::Idle, Data::Binary) => (false, 0),
            (State::Fragmented { text, frames }, Data::Continue) => (*text, *frames),
            _ => return Err(malformed()),
        };
        if frames + 1 > self.fragments_max {
            return Err(breach(WebSocketFailure::TooManyFragments, CloseCode::Policy));
        }
        if frames == 0 && is_final {
            self.message = MessageAt::Input(payload);
        } else {
            if frames == 0 {
                self.assembled.clear();
            }
            self.assembled.extend_from_slice(&self.input[payload]);
            self.message = MessageAt::Assembled;
        }
        if !is_final {
            self.state = State::Fragmented { text, frames: frames + 1 };
            return Ok(Frame::Part);
        }
        self.state = State::Idle;
        //= https://www.rfc-editor.org/rfc/rfc6455#section-8.1
        if text && std::str::from_utf8(self.message()).is_err() {
            return Err(breach(WebSocketFailure::Malformed, CloseCode::Invalid));
        }
        Ok(Frame::Whole(match self.message() {
            // Some browsers' stacks keep alive with the CRLFs of a stream.
            b"\r\n\r\n" => Found::Ping(frame(OpCode::Data(Data::Text), b"\r\n")),
            b"\r\n" | b"" => Found::Pong,
            _ => Found::Message,
        }))
    }
}

/// The header that goes before a message.
//= https://www.rfc-editor.org/rfc/rfc7118#section-4.2
// One SIP message in one WebSocket message, text or binary; text must be UTF-8.
pub(crate) fn message_header(message: &[u8]) -> Bytes {
    let data = if std::str::from_utf8(message).is_ok() { Data::Text } else { Data::Binary };
    header(OpCode::Data(data), message.len()).into()
}

/// The frame that ends a connection from our side.
pub(crate) fn going_away() -> Bytes {
    close(CloseCode::Away)
}

fn header(opcode: OpCode, length: usize) -> Vec<u8> {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    let mut bytes = Vec::with_capacity(HEADER_BYTES_MAX + CONTROL_BYTES_MAX);
    // Writing to a vector cannot fail.
    let _ = header.format(length as u64, &mut bytes);
    bytes
}

fn frame(opcode: OpCode, payload: &[u8]) -> Bytes {
    let mut bytes = header(opcode, payload.len());
    bytes.extend_from_slice(payload);
    bytes.into()
}

fn close(code: CloseCode) -> Bytes {
    frame(OpCode::Control(Control::Close), &u16::from(code).to_be_bytes())
}

fn breach(failure: WebSocketFailure, code: CloseCode) -> Breach {
    Breach { failure, reply: close(code) }
}

fn malformed() -> Breach {
    breach(WebSocketFailure::Malformed, CloseCode::Protocol)
}

fn rejected(failure: WebSocketFailure) -> Breach {
    Breach { failure, reply: Bytes::from_static(BAD_REQUEST) }
}

const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
Sec-WebSocket-Protocol: sip\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const SUBPROTOCOL: &str = "Sec-WebSocket-Protocol";
const REQUEST_BYTES_MAX: usize = 8_192;
const CONTROL_BYTES_MAX: usize = 125;
const HEADER_BYTES_MAX: usize = 14;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::proptest;

    const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: msrp, sip\r\n\r\n";

    fn open() -> WebSocket {
        let mut socket = WebSocket::new(100, 3);
        socket.push(REQUEST.as_bytes());
        assert!(matches!(socket.advance(), Ok(Some(Found::Upgraded(_)))));
        socket
    }

    /// A masked frame with this first byte.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first, 0x80 | u8::try_from(payload.len()).expect("short"), 1, 2, 3, 4];
        bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ [1, 2, 3, 4][at % 4]));
        bytes
    }

    /// What these frames come to: messages, or the failure.
    fn check(frames: &[Vec<u8>], expected: Result<&[&str], WebSocketFailure>) {
        for piece in [1, 5, 1000] {
            let mut socket = open();
            let mut found = Vec::new();
            let mut failure = None;
            for piece in frames.concat().chunks(piece) {
                socket.push(piece);
                loop {
                    match socket.advance() {
                        Ok(None) => break,
                        Ok(Some(Found::Message)) => found.push(String::from_utf8_lossy(socket.message()).into_owned()),
                        Ok(Some(other)) => found.push(format!("{other:?}")),
                        Err(breach) => {
                            failure = Some(breach.failure);
                            break;
                        }
                    }
                }
            }
            match expected {
                Ok(expected) => {
                    assert_eq!((found, failure), (expected.iter().map(|e| (*e).to_owned()).collect(), None));
                }
                Err(expected) => assert_eq!(failure, Some(expected)),
            }
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc7118#section-4
    //= type=test
    #[test]
    fn the_upgrade_names_the_subprotocol_or_is_refused() {
        let mut socket = WebSocket::new(100, 3);
        for piece in REQUEST.as_bytes().chunks(7) {
            socket.push(piece);
        }
        let Ok(Some(Found::Upgraded(response))) = socket.advance() else { panic!("refused") };
        let response = String::from_utf8_lossy(&response).to_ascii_lowercase();
        assert!(response.starts_with("http/1.1 101") && response.contains("sec-websocket-protocol: sip\r\n"));
        for (request, expected) in [
            (REQUEST.replace("msrp, sip", "msrp"), WebSocketFailure::WrongSubprotocol),
            (REQUEST.replace("Sec-WebSocket-Protocol", "X"), WebSocketFailure::WrongSubprotocol),
            (REQUEST.replace("Upgrade: websocket", "X: y"), WebSocketFailure::BadHandshake),
            (REQUEST.replace("GET", "PUT"), WebSocketFailure::BadHandshake),
            (format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(9_000)), WebSocketFailure::BadHandshake),
        ] {
            let mut socket = WebSocket::new(100, 3);
            socket.push(request.as_bytes());
            let breach = socket.advance().expect_err("not acceptable");
            assert_eq!(breach.failure, expected);
            assert!(breach.reply.starts_with(b"HTTP/1.1 400"));
        }
    }

    #[test]
    fn messages_come_out_whole_and_abuse_is_named() {
        check(&[masked(0x81, b"BYE"), masked(0x82, b"ACK")], Ok(&["BYE", "ACK"]));
        check(&[masked(0x01, b"B"), masked(0x89, b""), masked(0x80, b"YE")], Ok(&["Ping(b\"\\x8a\\0\")", "BYE"]));
        check(&[masked(0x81, b"\r\n\r\n"), masked(0x81, b"")], Ok(&["Ping(b\"\\x81\\x02\\r\\n\")", "Pong"]));
        check(&[masked(0x88, &[3, 232]), masked(0x81, b"late")], Ok(&["Close(b\"\\x88\\x02\\x03\\xe8\")"]));
        check(&[vec![0x81, 3, 1, 2, 3]], Err(WebSocketFailure::Unmasked));
        check(&[masked(0xc1, b"x")], Err(WebSocketFailure::Malformed));
        check(&[masked(0x80, b"x")], Err(WebSocketFailure::Malformed));
        check(&[masked(0x01, b"x"), masked(0x81, b"y")], Err(WebSocketFailure::Malformed));
        check(&[masked(0x09, b"x")], Err(WebSocketFailure::Malformed));
        check(&[masked(0x81, &[0xff])], Err(WebSocketFailure::Malformed));
        check(&[masked(0x81, &[b'x'; 101])], Err(WebSocketFailure::TooLong));
        check(&[masked(0x01, &[b'x'; 60]), masked(0x80, &[b'x'; 60])], Err(WebSocketFailure::TooLong));
        let flood: Vec<_> = [masked(0x01, b"")].into_iter().chain((0..9).map(|_| masked(0, b""))).collect();
        check(&flood, Err(WebSocketFailure::TooManyFragments));
        check(
            &[vec![0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]],
            Err(WebSocketFailure::TooLong),
        );
    }

    #[test]
    fn an_idle_socket_keeps_no_buffer() {
        let mut socket = open();
        socket.push(&[masked(0x01, b"B"), masked(0x80, b"YE")].concat());
        assert_eq!(socket.advance(), Ok(Some(Found::Message)));
        assert_eq!(socket.advance(), Ok(None));
        assert_eq!((socket.input.capacity(), socket.assembled.capacity(), socket.is_partial()), (0, 0, false));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_or_grow_it(bytes: Vec<u8>, piece in 1usize..50) {
            let mut socket = open();
            for piece in bytes.chunks(piece) {
                socket.push(piece);
                while let Ok(Some(_)) = socket.advance() {}
                assert!(socket.input.len() + socket.assembled.len() < 400);
            }
        }
    }
}
