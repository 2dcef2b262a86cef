//! Bytes through one TCP connection, in the clear or through TLS, never blocking.

use crate::event::{CloseReason, TlsFailure};
use crate::tls;
use bytes::{Buf, Bytes};
use mio::net::TcpStream;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use sx_types::{Destination, Ticket};

pub(crate) struct Pipe {
    pub socket: TcpStream,
    pub tls: Option<Box<rustls::Connection>>,
}

/// What one turn of reading gave.
pub(crate) struct ReadTurn {
    /// Plain bytes in the buffer.
    pub bytes: usize,
    /// Nothing is left in the socket for now.
    pub drained: bool,
    /// Nothing will come any more.
    pub end: Option<CloseReason>,
}

impl Pipe {
    /// Is there a TLS handshake that is not done?
    pub fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// Reads once, or for TLS as many records as fit: one connection does not starve the others.
    pub fn read(&mut self, buffer: &mut [u8]) -> ReadTurn {
        let Some(tls) = &mut self.tls else {
            return match self.socket.read(buffer) {
                Ok(0) => ReadTurn { bytes: 0, drained: true, end: Some(CloseReason::Peer) },
                // A short read has emptied the socket; more brings a new event.
                Ok(bytes) => ReadTurn { bytes, drained: bytes < buffer.len(), end: None },
                Err(error) => ended_by(&error, 0),
            };
        };
        let mut bytes = 0;
        while buffer.len() - bytes >= RECORDS_PER_READ_BYTES {
            match tls.read_tls(&mut self.socket) {
                Ok(0) => return ReadTurn { bytes, drained: true, end: Some(CloseReason::Peer) },
                Ok(_) => {}
                Err(error) => return ended_by(&error, bytes),
            }
            if let Err(error) = tls.process_new_packets() {
                let failure = tls::failure(&error);
                tracing::debug!(%error, "TLS failed");
                // The alert that says why; the connection ends whether it arrives or not.
                let _ = tls.write_tls(&mut self.socket);
                return ReadTurn { bytes, drained: true, end: Some(CloseReason::Tls(failure)) };
            }
            let end = drain_plaintext(tls, buffer, &mut bytes);
            if end.is_some() {
                return ReadTurn { bytes, drained: true, end };
            }
        }
        ReadTurn { bytes, drained: false, end: None }
    }

    /// Writes what waits until the socket takes no more. True: all of it is written.
    pub fn write(&mut self, queue: &mut SendQueue) -> Result<bool, CloseReason> {
        match &mut self.tls {
            None => write_plain(&mut self.socket, queue),
            Some(tls) => write_tls(tls, &mut self.socket, queue),
        }
    }

    /// Says goodbye as far as the socket takes it.
    pub fn close(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = tls.write_tls(&mut self.socket);
        }
    }
}

/// Takes what has been decrypted, up to the peer's goodbye.
fn drain_plaintext(tls: &mut rustls::Connection, buffer: &mut [u8], bytes: &mut usize) -> Option<CloseReason> {
    while *bytes < buffer.len() {
        match tls.reader().read(&mut buffer[*bytes..]) {
            Ok(0) => return Some(CloseReason::Peer),
            Ok(more) => *bytes += more,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(error) => return Some(CloseReason::Broken(error.kind())),
        }
    }
    None
}

fn write_plain(socket: &mut TcpStream, queue: &mut SendQueue) -> Result<bool, CloseReason> {
    while !queue.parts.is_empty() {
        let mut slices = [IoSlice::new(&[]); PARTS_PER_WRITE];
        let mut count = 0;
        for (slice, part) in slices.iter_mut().zip(&queue.parts) {
            *slice = IoSlice::new(&part.bytes);
            count += 1;
        }
        match socket.write_vectored(&slices[..count]) {
            Ok(written) => queue.consume(written),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(CloseReason::Broken(error.kind())),
        }
    }
    Ok(true)
}

fn write_tls(tls: &mut rustls::Connection, socket: &mut TcpStream, queue: &mut SendQueue) -> Result<bool, CloseReason> {
    loop {
        while tls.wants_write() {
            match tls.write_tls(socket) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(CloseReason::Broken(error.kind())),
            }
        }
        // Nothing may be said before the handshake has shown to whom.
        if tls.is_handshaking() {
            return Ok(true);
        }
        if queue.parts.is_empty() {
            return Ok(true);
        }
        let mut encrypted = 0;
        while let Some(part) = queue.parts.front()
            && encrypted < PLAINTEXT_PER_WRITE_BYTES
        {
            match tls.writer().write(&part.bytes) {
                Ok(0) | Err(_) => return Err(CloseReason::Tls(TlsFailure::Internal)),
                Ok(written) => {
                    encrypted += written;
                    queue.consume(written);
                }
            }
        }
    }
}

fn ended_by(error: &io::Error, bytes: usize) -> ReadTurn {
    match error.kind() {
        io::ErrorKind::WouldBlock => ReadTurn { bytes, drained: true, end: None },
        io::ErrorKind::Interrupted => ReadTurn { bytes, drained: false, end: None },
        kind => ReadTurn { bytes, drained: true, end: Some(CloseReason::Broken(kind)) },
    }
}

/// What waits to be written to one connection.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    parts: VecDeque<Part>,
    bytes: usize,
    /// Messages and bytes written since this was last asked.
    written: Written,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    pub messages: u64,
    pub bytes: u64,
}

#[derive(Debug)]
struct Part {
    bytes: Bytes,
    /// A message of the owner; else a keep-alive or the like.
    message: Option<(Ticket, Destination)>,
}

impl SendQueue {
    pub fn push(&mut self, bytes: Bytes, message: Option<(Ticket, Destination)>) {
        self.bytes += bytes.len();
        self.parts.push_back(Part { bytes, message });
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The messages that were not wholly written, for their senders to be told.
    pub fn drain_messages(&mut self) -> impl Iterator<Item = (Ticket, Destination)> {
        self.bytes = 0;
        self.parts.drain(..).filter_map(|part| part.message)
    }

    pub fn take_written(&mut self) -> Written {
        std::mem::take(&mut self.written)
    }

    fn consume(&mut self, mut written: usize) {
        self.bytes -= written;
        self.written.bytes += written as u64;
        while let Some(part) = self.parts.front_mut() {
            if part.bytes.len() > written {
                part.bytes.advance(written);
                return;
            }
            written -= part.bytes.len();
            self.written.messages += u64::from(part.message.is_some());
            self.parts.pop_front();
        }
    }
}

const PARTS_PER_WRITE: usize = 32;
const PLAINTEXT_PER_WRITE_BYTES: usize = 32 * 1024;
/// What one read from the socket can at most decrypt to, with what was kept of a record before.
const RECORDS_PER_READ_BYTES: usize = 40 * 1024;
/// Room for a read in the clear, and for several records.
pub(crate) const READ_BUFFER_BYTES: usize = 64 * 1024;
