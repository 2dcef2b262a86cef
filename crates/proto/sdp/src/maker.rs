//! What a description says of the machine and the person who made it, besides where media is to be sent.

use crate::parse::{word, words};
use crate::write::Text;
use crate::{Description, Line};
use std::net::{IpAddr, Ipv4Addr};

/// What must not be seen of who made a description.
#[derive(Debug)]
pub(crate) struct Maker<'a> {
    /// What names of sources are made of instead.
    session: u64,
    /// The machine's addresses, as they are written in `o=` and `c=`, each once; the first [`ADDRESSES_MAX`].
    addresses: Vec<&'a [u8]>,
    /// There are more.
    more_addresses: bool,
    /// The names of sources that tell of the machine, each once; the first [`NAMES_MAX`].
    names: Vec<&'a [u8]>,
}

/// The most addresses that attributes are compared with: each attribute is, with each of them. Where there are more, an
/// attribute with any address in it goes.
const ADDRESSES_MAX: usize = 16;

/// The most names of sources that are given another. Further ones are left out.
const NAMES_MAX: usize = 64;

impl<'a> Maker<'a> {
    pub fn of(description: &Description<'a>, session: u64) -> Self {
        let mut maker = Self { session, addresses: Vec::new(), more_addresses: false, names: Vec::new() };
        for line in &description.lines {
            match line.kind {
                b'o' | b'c' => {
                    let address = words(line.value).last().map(without_ttl);
                    maker.more_addresses |=
                        address.is_some_and(|found| !keep(&mut maker.addresses, found, ADDRESSES_MAX));
                }
                _ => {
                    if let Some(name) = cname(line).map(|(_, name)| name).filter(|name| tells_of_host(name)) {
                        keep(&mut maker.names, name, NAMES_MAX);
                    }
                }
            }
        }
        maker
    }

    /// Leaves the line out, or writes another in its place. False: there is nothing to hide in it.
    pub fn hide(&self, text: &mut Text, line: &Line<'_>) -> bool {
        match line.kind {
            //= https://www.rfc-editor.org/rfc/rfc8866#section-5.3
            // A session without a name has a dash for it.
            b's' => text.line(b's', "-"),
            b'u' | b'e' | b'p' => {}
            b'a' if is_of_maker(line.attribute_name().unwrap_or_default()) => {}
            // Without it a payload type would mean something else.
            b'a' if line.attribute("rtpmap").is_some() => return false,
            b'a' => match cname(line) {
                //= https://www.rfc-editor.org/rfc/rfc5576#section-6.1
                // Streams of one source keep a name in common, and a source keeps its name when the session changes.
                Some((ssrc, name)) => match self.names.iter().position(|known| *known == name) {
                    Some(place) => {
                        text.begin(b'a').bytes(b"ssrc:").bytes(ssrc).bytes(b" cname:");
                        text.number(self.session).bytes(b"-").number(place as u64).end();
                    }
                    None => return tells_of_host(name),
                },
                None => {
                    return self.addresses.iter().any(|address| mentions(line.value, address))
                        || self.more_addresses && has_address(line.value);
                }
            },
            _ => return false,
        }
        true
    }
}

/// Puts what is new into the list. False when there is no room.
fn keep<'a>(list: &mut Vec<&'a [u8]>, found: &'a [u8], max: usize) -> bool {
    if list.contains(&found) {
        return true;
    }
    let room = list.len() < max;
    if room {
        list.push(found);
    }
    room
}

/// Attributes that name the program, its addresses, or networks that it is in.
fn is_of_maker(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 6] = [b"tool", b"source-filter", b"path", b"ccap", b"visited-realm", b"secondary-realm"];
    NAMES.contains(&name)
}

/// The source and the name that it has, when the line says so.
//= https://www.rfc-editor.org/rfc/rfc5576#section-6.1
fn cname<'a>(line: &Line<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let (ssrc, rest) = word(line.attribute("ssrc")?);
    Some((ssrc, rest.trim_ascii().strip_prefix(b"cname:")?.trim_ascii()))
}

/// A name that was drawn at random (RFC 7022) has none of these.
//= https://www.rfc-editor.org/rfc/rfc3550#section-6.5.1
// Else it is user@host, or the host alone.
fn tells_of_host(name: &[u8]) -> bool {
    name.iter().any(|byte| matches!(byte, b'@' | b'.' | b':'))
}

/// A multicast address has its time to live behind it.
fn without_ttl(address: &[u8]) -> &[u8] {
    address.split(|byte| *byte == b'/').next().unwrap_or_default()
}

/// Does the address stand in the text, and not as a part of a longer one?
fn mentions(text: &[u8], address: &[u8]) -> bool {
    let of_address = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    !address.is_empty()
        && text.windows(address.len()).enumerate().any(|(at, window)| {
            let before = at.checked_sub(1).and_then(|at| text.get(at));
            window == address && !of_address(before) && !of_address(text.get(at + address.len()))
        })
}

/// Does an IP address stand in the text, whatever is around it?
fn has_address(text: &[u8]) -> bool {
    let separates = |byte: &u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'-'));
    text.split(separates).filter_map(|word| std::str::from_utf8(word).ok()).any(|word| {
        // The name of an attribute may stand before it, and a port behind.
        let unnamed = word.split_once(':').map_or("", |(_, rest)| rest);
        [word, unnamed].iter().any(|text| text.parse::<IpAddr>().is_ok())
            || word.split(':').any(|piece| piece.parse::<Ipv4Addr>().is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    /// As many comparisons as there are attributes, times a number that the peer does not choose.
    #[test]
    fn what_a_peer_writes_is_compared_with_a_few_addresses_and_names_only() {
        let mut text = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n".to_owned();
        for number in 0..450 {
            let _ = write!(text, "c=IN IP4 10.1.{}.{}\r\n", number / 200, number % 200);
            let _ = write!(text, "a=ssrc:{number} cname:pc@10.2.{}.{}\r\n", number / 200, number % 200);
        }
        let description = Description::parse(text.as_bytes()).expect("well formed");
        let maker = Maker::of(&description, 1);
        assert_eq!((maker.addresses.len(), maker.names.len()), (ADDRESSES_MAX, NAMES_MAX));
        let hidden = |value: &str| {
            let (line, mut text) = (Line { kind: b'a', value: value.as_bytes() }, Text::with_capacity(100));
            maker.hide(&mut text, &line) && text.into_bytes().is_empty()
        };
        for value in ["x:10.1.0.3", "x:10.1.2.49", "x:at 10.1.2.49:4000", "x-[2001:db8::1]:5", "x:2001:db8::1"] {
            assert!(hidden(value), "{value}");
        }
        for value in ["rtpmap:0 PCMU/8000", "fmtp:97 profile=1.2.3", "sendrecv", "mid:0", "ssrc:7 cname:q8Zr+/3kT1uV"] {
            assert!(!hidden(value), "{value}");
        }
        assert!(!hidden("rtpmap:8 x/8000 10.1.0.3"), "a payload type keeps its meaning, whatever stands behind it");
        assert!(!hidden("ssrc:0 cname:pc@10.2.0.0"), "it has another name");
        assert!(hidden("ssrc:449 cname:pc@10.2.2.49"), "there is no other name for it");
    }
}
