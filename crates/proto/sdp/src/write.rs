//! Strict output: every line of its own, ended by CRLF.

use crate::{Description, Line};
use std::io::Write;
use std::net::IpAddr;

/// A description as it is written.
#[derive(Debug)]
pub(crate) struct Text(Vec<u8>);

impl Text {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Writes a line as it came.
    pub(crate) fn copy(&mut self, line: &Line<'_>) {
        self.begin(line.kind).bytes(line.value).end();
    }

    pub(crate) fn line(&mut self, kind: u8, value: &str) {
        self.begin(kind).bytes(value.as_bytes()).end();
    }

    pub(crate) fn begin(&mut self, kind: u8) -> &mut Self {
        self.0.extend_from_slice(&[kind, b'=']);
        self
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn number(&mut self, mut number: u64) -> &mut Self {
        let mut digits = [0u8; 20];
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return self.bytes(&digits[first..]);
            }
        }
    }

    /// Writes the network, the kind and the value of an address: `IN IP4 192.0.2.1`.
    pub(crate) fn address(&mut self, address: IpAddr) -> &mut Self {
        match address {
            IpAddr::V4(v4) => {
                self.bytes(b"IN IP4 ");
                for (at, octet) in v4.octets().into_iter().enumerate() {
                    if at > 0 {
                        self.bytes(b".");
                    }
                    self.number(u64::from(octet));
                }
                self
            }
            IpAddr::V6(v6) => {
                // Writing into a vector does not fail.
                let _ = write!(self.0, "IN IP6 {v6}");
                self
            }
        }
    }

    pub(crate) fn end(&mut self) {
        self.0.extend_from_slice(b"\r\n");
    }
}

impl Description<'_> {
    /// Hands each session line to `each`, and writes the mandatory lines that the peer has left out at their place.
    //= https://www.rfc-editor.org/rfc/rfc8866#section-5
    pub(crate) fn write_session(&self, text: &mut Text, mut each: impl FnMut(&mut Text, &Line<'_>)) {
        let lines = self.session_lines();
        let mut has_name = lines.iter().any(|line| line.kind == b's');
        let mut has_time = lines.iter().any(|line| line.kind == b't');
        for line in lines {
            if !has_time && matches!(line.kind, b'r' | b'z' | b'k' | b'a') {
                text.line(b't', "0 0");
                has_time = true;
            }
            each(text, line);
            if !has_name && line.kind == b'o' {
                text.line(b's', "-");
                has_name = true;
            }
        }
        if !has_time {
            text.line(b't', "0 0");
        }
    }

    /// Room for the description as it is and a little more.
    pub(crate) fn size_hint(&self) -> usize {
        128 + self.lines.iter().map(|line| line.value.len() + 4).sum::<usize>()
    }
}
