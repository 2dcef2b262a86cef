//! Receives the copies of signalling that the exchange exports, as any collector does.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One copied message.
#[derive(Clone, Debug)]
pub struct Captured {
    /// Nanoseconds since the Unix epoch.
    pub time_nanos: u64,
    /// Who sent it.
    pub source: SocketAddr,
    /// Who received it.
    pub destination: SocketAddr,
    /// Its first line.
    pub first_line: String,
}

/// The copies that have come so far.
pub struct Capture {
    messages: Arc<Mutex<Vec<Captured>>>,
}

/// The demonstration sends a few dozen; more are not kept.
const KEPT_MAX: usize = 1_000;

impl Capture {
    /// Reads the collector's socket on a thread of its own, for as long as the process lives.
    ///
    /// # Errors
    /// When the socket or the thread cannot be had.
    pub fn start(socket: &UdpSocket) -> std::io::Result<Self> {
        let socket = socket.try_clone()?;
        let messages = Arc::new(Mutex::new(Vec::new()));
        let kept = messages.clone();
        std::thread::Builder::new().name("capture".into()).spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok(length) = socket.recv(&mut buffer) {
                let Ok(packet) = sx_hep::decode(&buffer[..length]) else { continue };
                let line = packet.payload.split(|byte| *byte == b'\n').next().unwrap_or_default();
                let captured = Captured {
                    time_nanos: packet.time_nanos,
                    source: packet.source,
                    destination: packet.destination,
                    first_line: String::from_utf8_lossy(line).trim().to_owned(),
                };
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() < KEPT_MAX {
                    kept.push(captured);
                }
            }
        })?;
        Ok(Self { messages })
    }

    /// Forgets what has come.
    pub fn clear(&self) {
        // What is on its way belongs to what is forgotten.
        crate::serve::pause(Duration::from_millis(100));
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What has come, after a moment for what is on its way.
    pub fn messages(&self) -> Vec<Captured> {
        crate::serve::pause(Duration::from_millis(100));
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone();
        messages.sort_by_key(|message| message.time_nanos);
        messages
    }
}
