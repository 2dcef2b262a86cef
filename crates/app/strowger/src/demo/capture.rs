//! Receives the copies of signalling that the exchange exports, as any collector does.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use sx_sip::message::{CSeq, HeaderName, Message, Method};

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
    /// All of it.
    pub text: String,
    /// The dialog it belongs to, by its Call-ID.
    pub call_id: String,
    /// The method of the request, or of the one that is answered.
    method: Option<Method>,
    /// The status of an answer.
    pub status: Option<u16>,
}

/// The copies that have come so far.
pub struct Capture {
    kept: Arc<(Mutex<Vec<Captured>>, Condvar)>,
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
        let kept = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let shared = kept.clone();
        std::thread::Builder::new().name("capture".into()).spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok(length) = socket.recv(&mut buffer) {
                let Some(captured) = captured(&buffer[..length]) else { continue };
                let mut kept = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() < KEPT_MAX {
                    kept.push(captured);
                }
                shared.1.notify_all();
            }
        })?;
        Ok(Self { kept })
    }

    /// All messages so far, in the order of their times.
    pub fn messages(&self) -> Vec<Captured> {
        let mut messages = self.kept.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        messages.sort_by_key(|message| message.time_nanos);
        messages
    }

    /// The messages of a call of `legs` legs, from the first INVITE to the last answer to a BYE, in the order of their
    /// times; `None` when they have not all come within `patience`.
    pub fn call(&self, legs: usize, patience: Duration) -> Option<Vec<Captured>> {
        let kept = self.kept.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.kept.1.wait_timeout_while(kept, patience, |kept| !is_over(kept, legs));
        let (kept, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        // Registrations are copied too, and some may come late.
        let of_calls = kept.iter().filter(|message| message.method != Some(Method::Register));
        let mut messages: Vec<Captured> = of_calls.cloned().collect();
        messages.sort_by_key(|message| message.time_nanos);
        (!timeout.timed_out()).then_some(messages)
    }
}

impl Captured {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<String> {
        let lines = self.text.split("\r\n").skip(1).take_while(|line| !line.is_empty());
        let mut fields = lines.filter_map(|line| line.split_once(':'));
        fields.find(|(known, _)| known.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    }

    /// Is it an INVITE, or an answer to one?
    pub fn is_invite(&self) -> bool {
        self.method == Some(Method::Invite)
    }

    /// Is it a BYE, or an answer to one?
    pub fn is_bye(&self) -> bool {
        self.method == Some(Method::Bye)
    }
}

/// Was every leg hung up, and that answered?
fn is_over(messages: &[Captured], legs: usize) -> bool {
    let answered = messages.iter().filter(|message| {
        message.method == Some(Method::Bye) && message.status.is_some_and(|status| (200..300).contains(&status))
    });
    answered.map(|message| &message.call_id).collect::<BTreeSet<_>>().len() >= legs
}

fn captured(packet: &[u8]) -> Option<Captured> {
    let packet = sx_hep::decode(packet).ok()?;
    let line = packet.payload.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let message = Message::parse(packet.payload).ok()?;
    let sequence = message.value(HeaderName::CSeq).and_then(|value| CSeq::parse(value).ok());
    Some(Captured {
        time_nanos: packet.time_nanos,
        source: packet.source,
        destination: packet.destination,
        first_line: String::from_utf8_lossy(line).trim().to_owned(),
        text: String::from_utf8_lossy(packet.payload).into_owned(),
        call_id: String::from_utf8_lossy(message.value(HeaderName::CallId).unwrap_or_default()).into_owned(),
        method: message.method().or_else(|| sequence.map(|sequence| sequence.method)),
        status: message.status(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn message(first_line: &str, method: &str, call_id: &str) -> String {
        format!(
            "{first_line}\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{call_id}\r\nFrom: <sip:a@x>;tag=1\r\n\
             To: <sip:b@x>;tag=2\r\nCall-ID: {call_id}\r\nCSeq: 2 {method}\r\nContent-Length: 0\r\n\r\n"
        )
    }

    fn send(to: SocketAddr, nanos: u64, text: &str) {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let packet = sx_hep::Packet {
            source: at(1),
            destination: at(2),
            transport: sx_hep::UDP,
            time_nanos: nanos * 1_000,
            capture_id: 1,
            password: None,
            correlation: "",
            payload: text.as_bytes(),
        };
        let mut bytes = Vec::new();
        sx_hep::encode(&packet, &mut bytes);
        UdpSocket::bind(at(0)).and_then(|socket| socket.send_to(&bytes, to)).expect("it is sent");
    }

    #[test]
    fn the_answer_to_the_last_bye_is_waited_for() {
        let collector = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        let to = collector.local_addr().expect("an address");
        let capture = Capture::start(&collector).expect("a thread");
        send(to, 1, &message("REGISTER sip:x SIP/2.0", "REGISTER", "r"));
        send(to, 3, &message("BYE sip:b@x SIP/2.0", "BYE", "one"));
        send(to, 4, &message("SIP/2.0 200 OK", "BYE", "one"));
        send(to, 5, &message("BYE sip:b@x SIP/2.0", "BYE", "two"));
        assert!(capture.call(2, Duration::ZERO).is_none(), "one leg is not over");
        let messages = std::thread::scope(|threads| {
            let waits = threads.spawn(|| capture.call(2, Duration::from_secs(10)));
            send(to, 6, &message("SIP/2.0 200 OK", "BYE", "two"));
            waits.join().expect("no panic")
        });
        let lines: Vec<String> = messages.expect("both legs are over").into_iter().map(|m| m.first_line).collect();
        assert_eq!(lines.len(), 4, "no registration is part of a call: {lines:?}");
        assert_eq!(lines.last().map(String::as_str), Some("SIP/2.0 200 OK"));
    }
}
