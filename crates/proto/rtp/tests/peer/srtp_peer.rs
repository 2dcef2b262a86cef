//! Protects and opens packets that stand in hexadecimal digits on standard input, for a comparison with other
//! implementations.
//!
//! ```text
//! srtp_peer SUITE KEY MKI        MKI is - for none; then a line for each packet:
//!   protect|unprotect rtp|rtcp PACKET
//! ```
//!
//! Each line is answered with the packet, or with `refused` and why.

use std::error::Error;
use std::io::{BufRead, Write};
use sx_rtp::srtp::{MasterKey, Protector, Suite, Unprotector};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [suite, key, mki] = arguments.as_slice() else { return Err("usage: srtp_peer SUITE KEY MKI".into()) };
    let suite = Suite::from_sdp_name(suite).ok_or("no such suite")?;
    let key = MasterKey::from_bytes(suite, &from_hex(key)?)?;
    let mut protector = Protector::new(suite, &key)?;
    let mut unprotector = Unprotector::new(suite, &key)?;
    if mki != "-" {
        let mki = from_hex(mki)?;
        unprotector = unprotector.with_mki_bytes(mki.len())?;
        protector = protector.with_mki(&mki)?;
    }
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let [verb, kind, packet] = words.as_slice() else { return Err("a line has three words".into()) };
        let mut packet = from_hex(packet)?;
        let len = packet.len();
        packet.resize(len + 256, 0);
        let answer = match (*verb, *kind) {
            ("protect", "rtp") => protector.protect_rtp(&mut packet, len),
            ("protect", "rtcp") => protector.protect_rtcp(&mut packet, len),
            ("unprotect", "rtp") => unprotector.unprotect_rtp(&mut packet[..len]),
            ("unprotect", "rtcp") => unprotector.unprotect_rtcp(&mut packet[..len]),
            _ => return Err("no such verb".into()),
        };
        match answer {
            Ok(len) => writeln!(out, "{}", to_hex(&packet[..len]))?,
            Err(error) => writeln!(out, "refused {error}")?,
        }
        out.flush()?;
    }
    Ok(())
}

fn from_hex(text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err("an odd number of digits".into()) };
    pairs.iter().map(|pair| Ok(u8::from_str_radix(str::from_utf8(pair)?, 16)?)).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
