//! The stream framer: however a stream is cut, the same messages come out, in bounded memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sx_sip::frame::{Frame, FrameError, Framer};

const MESSAGE_BYTES_MAX: usize = 2_000;

/// The messages of `input` when it comes in pieces of `piece` bytes, and the error that ended it.
fn messages(input: &[u8], piece: usize) -> (Vec<Vec<u8>>, Option<FrameError>) {
    let mut framer = Framer::new(MESSAGE_BYTES_MAX);
    let mut found = Vec::new();
    for piece in input.chunks(piece) {
        framer.push(piece);
        loop {
            match framer.next() {
                Ok(Some(Frame::Message(bytes))) => {
                    assert!(bytes.len() <= MESSAGE_BYTES_MAX);
                    found.push(bytes.to_vec());
                }
                Ok(Some(Frame::Ping | Frame::Pong)) => {}
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}

fuzz_target!(|input: &[u8]| {
    let Some((first, stream)) = input.split_first() else { return };
    let whole = messages(stream, stream.len().max(1));
    assert_eq!(whole, messages(stream, usize::from(*first) + 1));
});
