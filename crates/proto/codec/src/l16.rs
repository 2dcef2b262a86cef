//! L16: samples as they are, in network byte order.
//= https://www.rfc-editor.org/rfc/rfc3551#section-4.5.11

/// Appends the bytes of samples.
pub(crate) fn encode(samples: &[i16], out: &mut Vec<u8>) {
    out.extend(samples.iter().flat_map(|sample| sample.to_be_bytes()));
}

/// Appends the samples of bytes; an odd byte at the end is left out.
pub(crate) fn decode(bytes: &[u8], out: &mut Vec<i16>) {
    out.extend(bytes.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])));
}
