//! What a description says of the machine and the person who made it, besides where media is to be sent.

use crate::parse::{word, words};
use crate::write::Text;
use crate::{Description, Line};

/// What must not be seen of who made a description.
#[derive(Debug)]
pub(crate) struct Maker<'a> {
    /// What names of sources are made of instead.
    session: u64,
    /// The machine's addresses, as they are written in `o=` and `c=`.
    addresses: Vec<&'a [u8]>,
    /// The names of sources that tell of the machine, each once.
    names: Vec<&'a [u8]>,
}

impl<'a> Maker<'a> {
    pub fn of(description: &Description<'a>, session: u64) -> Self {
        let (mut addresses, mut names) = (Vec::new(), Vec::new());
        for line in &description.lines {
            let (list, found) = match line.kind {
                b'o' | b'c' => (&mut addresses, words(line.value).last().map(without_ttl)),
                _ => (&mut names, cname(line).map(|(_, name)| name).filter(|name| tells_of_host(name))),
            };
            if let Some(found) = found
                && !list.contains(&found)
            {
                list.push(found);
            }
        }
        Self { session, addresses, names }
    }

    /// Leaves the line out, or writes another in its place. False: there is nothing to hide in it.
    pub fn hide(&self, text: &mut Text, line: &Line<'_>) -> bool {
        match line.kind {
            //= https://www.rfc-editor.org/rfc/rfc8866#section-5.3
            // A session without a name has a dash for it.
            b's' => text.line(b's', "-"),
            b'u' | b'e' | b'p' => {}
            b'a' if is_of_maker(line.attribute_name().unwrap_or_default()) => {}
            b'a' => match cname(line) {
                //= https://www.rfc-editor.org/rfc/rfc5576#section-6.1
                // Streams of one source keep a name in common, and a source keeps its name when the session changes.
                Some((ssrc, name)) => match self.names.iter().position(|known| *known == name) {
                    Some(place) => {
                        text.begin(b'a').bytes(b"ssrc:").bytes(ssrc).bytes(b" cname:");
                        text.number(self.session).bytes(b"-").number(place as u64).end();
                    }
                    None => return false,
                },
                None => return self.addresses.iter().any(|address| mentions(line.value, address)),
            },
            _ => return false,
        }
        true
    }
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
