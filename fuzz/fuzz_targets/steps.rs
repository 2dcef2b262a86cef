//! An input as a list of steps, with the byte 0x1e between them, and what steps are made of.
#![allow(dead_code, reason = "each target uses another part")]

const STEPS_MAX: usize = 64;

/// The steps of an input.
pub fn steps(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    input.split(|byte| *byte == 0x1e).take(STEPS_MAX)
}

/// The bytes of a step, taken one by one.
pub struct Numbers<'a>(pub &'a [u8]);

impl<'a> Numbers<'a> {
    pub fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.next()) % end.max(1)
    }

    /// The rest: header lines, and a body behind the byte 0x1d.
    pub fn lines_and_body(&self) -> (&'a [u8], &'a [u8]) {
        let at = self.0.iter().position(|byte| *byte == 0x1d);
        at.map_or((self.0, &b""[..]), |at| (&self.0[..at], &self.0[at + 1..]))
    }
}

/// A message of the peer: the start line, what names the dialog and the transaction, further lines, a body.
pub fn compose(start: &str, named: [&[u8]; 5], lines: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = start.as_bytes().to_vec();
    let names: [&[u8]; 5] = [b"Via: ", b"From: ", b"To: ", b"Call-ID: ", b"CSeq: "];
    for (name, value) in names.into_iter().zip(named) {
        bytes.extend([name, value, b"\r\n"].concat());
    }
    bytes.extend(lines);
    if !lines.is_empty() && !lines.ends_with(b"\r\n") {
        bytes.extend(b"\r\n");
    }
    if !body.is_empty() {
        bytes.extend(b"Content-Type: application/sdp\r\n");
    }
    bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend(body);
    bytes
}

/// The value of From or To with a tag of the peer, unless it has one.
pub fn tagged(value: &[u8]) -> Vec<u8> {
    let has = value.windows(5).any(|window| window == b";tag=");
    if has { value.to_vec() } else { [value, b";tag=b"].concat() }
}
