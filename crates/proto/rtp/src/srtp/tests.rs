//! Both sides together.

mod properties;
mod refusals;
mod rekeying;
mod states;
mod streams;
mod vectors;

use super::*;
use crate::packet::{Header, Ssrc};
use sx_types::PayloadType;

const SSRC: Ssrc = Ssrc(0xcafe_babe);
/// A receiver report without blocks.
const RTCP: [u8; 8] = [0x80, 201, 0, 1, 0xca, 0xfe, 0xba, 0xbe];

pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn master(suite: Suite, seed: u8) -> MasterKey {
    let bytes: Vec<u8> =
        (0..suite.key_bytes() + suite.salt_bytes()).map(|n| seed.wrapping_add((n * 7) as u8)).collect();
    MasterKey::from_bytes(suite, &bytes).expect("its length")
}

fn pair(suite: Suite) -> (Protector, Unprotector) {
    let key = master(suite, 1);
    (Protector::new(suite, &key).expect("its key"), Unprotector::new(suite, &key).expect("its key"))
}

fn rtp_of(ssrc: Ssrc, sequence: u16) -> Vec<u8> {
    let header = Header { marker: false, payload_type: PayloadType(0), sequence, timestamp: 160, ssrc };
    let mut packet = Vec::new();
    header.write(&[sequence as u8; 20], &mut packet);
    packet
}

fn rtp(sequence: u16) -> Vec<u8> {
    rtp_of(SSRC, sequence)
}

fn protect(protector: &mut Protector, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + protector.rtp_overhead(), 0xee);
    let len = protector.protect_rtp(&mut buffer, packet.len())?;
    assert_eq!(len, buffer.len());
    Ok(buffer)
}

fn unprotect(unprotector: &mut Unprotector, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = packet.to_vec();
    let len = unprotector.unprotect_rtp(&mut buffer)?;
    buffer.truncate(len);
    Ok(buffer)
}

fn protect_rtcp(protector: &mut Protector, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + protector.rtcp_overhead(), 0xee);
    let len = protector.protect_rtcp(&mut buffer, packet.len())?;
    assert_eq!(len, buffer.len());
    Ok(buffer)
}

fn unprotect_rtcp(unprotector: &mut Unprotector, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = packet.to_vec();
    let len = unprotector.unprotect_rtcp(&mut buffer)?;
    buffer.truncate(len);
    Ok(buffer)
}

/// Sends packets with these numbers, all of which arrive.
#[track_caller]
fn pass(protector: &mut Protector, unprotector: &mut Unprotector, numbers: impl IntoIterator<Item = u16>) {
    for number in numbers {
        let sent = protect(protector, &rtp(number)).expect("a number not used yet");
        assert_eq!(unprotect(unprotector, &sent), Ok(rtp(number)), "{number}");
    }
}
