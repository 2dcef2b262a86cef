//! The server's side of a WebSocket: an upgrade request and frames. However the stream is cut, the same things are found,
//! and no message is longer than it may be.
#![no_main]

use libfuzzer_sys::fuzz_target;
use websocket::{Found, WebSocket, going_away, message_header};

/// The state machine is a part of its crate that is not for others, and is taken from there as it stands.
#[path = "../../crates/io/net/src/websocket.rs"]
#[allow(dead_code, reason = "what follows a message, its connection asks")]
mod websocket;

/// What the state machine asks of its crate.
mod event {
    pub use sx_net::WebSocketFailure;
}

use event::WebSocketFailure;

const MESSAGE_BYTES_MAX: usize = 200;
const FRAGMENTS_MAX: u32 = 4;
const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n";

/// What is found in `stream` when it comes in pieces of `piece` bytes, and the failure that ended it.
fn found(stream: &[u8], piece: usize) -> (Vec<(Found, Vec<u8>)>, Option<WebSocketFailure>) {
    let mut socket = WebSocket::new(MESSAGE_BYTES_MAX, FRAGMENTS_MAX);
    let mut things = Vec::new();
    for piece in stream.chunks(piece) {
        socket.push(piece);
        loop {
            match socket.advance() {
                Ok(Some(Found::Message)) => {
                    let message = socket.message();
                    assert!(!message.is_empty() && message.len() <= MESSAGE_BYTES_MAX);
                    things.push((Found::Message, message.to_vec()));
                }
                Ok(Some(found)) => things.push((found, Vec::new())),
                Ok(None) => break,
                Err(breach) => {
                    assert!(!breach.reply.is_empty(), "the peer is told");
                    assert_eq!(socket.advance(), Ok(None), "nothing more is read");
                    return (things, Some(breach.failure));
                }
            }
        }
    }
    (things, None)
}

fuzz_target!(|input: &[u8]| {
    let Some((first, rest)) = input.split_first() else { return };
    let upgraded;
    // With the highest bit the upgrade is done, so that frames are reached.
    let stream = if first & 0x80 == 0 {
        rest
    } else {
        upgraded = [UPGRADE, rest].concat();
        &upgraded
    };
    let whole = found(stream, stream.len().max(1));
    assert_eq!(whole, found(stream, usize::from(first & 0x7f) + 1));
    // What we send is what a client could send but for the mask.
    for (found, message) in &whole.0 {
        if let Found::Message = found {
            let ours = [UPGRADE, &message_header(message), message].concat();
            assert_eq!(self::found(&ours, ours.len()).1, Some(WebSocketFailure::Unmasked));
        }
    }
    assert_eq!(found(&[UPGRADE, &going_away()].concat(), 1).1, Some(WebSocketFailure::Unmasked));
});
