//! Scanning of header values: white space, quoted strings, comma lists and parameters.

/// What a byte may be part of, for each byte one or more of the bits below.
static CLASSES: [u8; 256] = classes();

/// A character of a token.
//= https://www.rfc-editor.org/rfc/rfc3261#section-25.1
pub(crate) const TOKEN: u8 = 1;
/// Linear white space, folding included.
pub(crate) const SPACE: u8 = 2;
/// May stand in the user part of a URI, the per cent sign of an escape included.
pub(crate) const USER: u8 = 4;
/// A character of a host name.
pub(crate) const HOST: u8 = 8;
/// A character of a scheme.
pub(crate) const SCHEME: u8 = 16;

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        if b.is_ascii_alphanumeric() {
            table[byte] |= TOKEN | USER | HOST | SCHEME;
        }
        if b >= 0x80 {
            table[byte] |= USER;
        }
        byte += 1;
    }
    mark(&mut table, b"-.!%*_+`'~", TOKEN);
    mark(&mut table, b" \t\r\n", SPACE);
    mark(&mut table, b"-_.!~*'()%&=+$,;?/#", USER);
    mark(&mut table, b"-._", HOST);
    mark(&mut table, b"+-.", SCHEME);
    table
}

const fn mark(table: &mut [u8; 256], bytes: &[u8], class: u8) {
    let mut at = 0;
    while at < bytes.len() {
        table[bytes[at] as usize] |= class;
        at += 1;
    }
}

/// Is every byte of one of these classes?
pub(crate) fn all_of(bytes: &[u8], classes: u8) -> bool {
    bytes.iter().all(|byte| CLASSES[usize::from(*byte)] & classes != 0)
}

/// Is there nothing that stands in no URI: white space, control characters, quotes, angle brackets? Looks at every
/// byte, so that it can be done to many at once.
pub(crate) fn may_be_uri(bytes: &[u8]) -> bool {
    let bad = |byte: u8| (byte <= b' ') | (byte == 0x7f) | (byte == b'"') | (byte == b'<') | (byte == b'>');
    !bytes.iter().fold(false, |seen, byte| seen | bad(*byte))
}

/// Linear white space, folding included.
pub(crate) fn is_space(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & SPACE != 0
}

/// A character of a token.
pub(crate) fn is_token(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & TOKEN != 0
}

/// The bytes without white space at either end.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes {
        if !is_space(*first) {
            break;
        }
        bytes = rest;
    }
    while let [rest @ .., last] = bytes {
        if !is_space(*last) {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// The position of the first `wanted` byte outside quoted strings and angle brackets, or the length.
pub(crate) fn find_outside(bytes: &[u8], wanted: u8) -> usize {
    let mut at = 0;
    while let Some(found) = memchr::memchr3(wanted, b'"', b'<', &bytes[at..]) {
        at += found;
        at = match bytes[at] {
            byte if byte == wanted => return at,
            b'"' => after_quoted(bytes, at),
            _ => memchr::memchr(b'>', &bytes[at..]).map_or(bytes.len(), |end| at + end + 1),
        };
    }
    bytes.len()
}

/// The position after the quoted string that opens at `open`; the length when it does not close.
fn after_quoted(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        // What a backslash escapes does not end the string.
        at += 2;
    }
    bytes.len()
}

/// The elements of a comma-separated header value, trimmed, empty ones left out.
pub fn elements(value: &[u8]) -> Elements<'_> {
    Elements { rest: value }
}

/// Iterator over the elements of a comma-separated value.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let end = find_outside(self.rest, b',');
            let element = trim(&self.rest[..end]);
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    }
}

/// The parameters of a value: `;name=value;flag`. Names compare without case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a>(pub &'a [u8]);

impl<'a> Params<'a> {
    /// Every parameter in order: its name, and its value where it has one, as written.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            while !rest.is_empty() {
                let end = find_outside(rest, b';');
                let element = trim(&rest[..end]);
                rest = rest.get(end + 1..).unwrap_or_default();
                if !element.is_empty() {
                    return Some(split_param(element));
                }
            }
            None
        })
    }

    /// Is the parameter there, with or without a value?
    pub fn has(self, name: &str) -> bool {
        self.iter().any(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// The value of a parameter without its quotes; `None` when it is absent, has no value or is not UTF-8.
    pub fn value(self, name: &str) -> Option<&'a str> {
        let (_, value) = self.iter().find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()))?;
        std::str::from_utf8(unquote(value?)).ok()
    }
}

fn split_param(element: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'=', element) {
        Some(equals) => (trim(&element[..equals]), Some(trim(&element[equals + 1..]))),
        None => (element, None),
    }
}

/// A quoted string without its quotes; escapes inside stay as they are.
pub(crate) fn unquote(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

/// Is this one quoted string from end to end, or text without any quote or backslash? Only then can it be repeated
/// between quotes without meaning something else.
pub(crate) fn quotes_are_whole(value: &[u8]) -> bool {
    let plain = |text| memchr::memchr2(b'"', b'\\', text).is_none();
    match value {
        [b'"', inner @ .., b'"'] => plain(inner) || escapes_quotes(inner),
        _ => plain(value),
    }
}

/// Does a backslash stand before each quote within a quoted string, and none before the quote that ends it?
fn escapes_quotes(inner: &[u8]) -> bool {
    let mut escaped = false;
    for byte in inner {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return false,
            _ => {}
        }
    }
    !escaped
}

/// The decimal number these bytes spell, when they spell one that fits.
pub(crate) fn decimal(bytes: &[u8]) -> Option<u32> {
    if bytes.is_empty() || bytes.len() > 10 {
        return None;
    }
    let mut value = 0u64;
    for byte in bytes {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u64::from(byte - b'0');
    }
    u32::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_within_quotes_and_brackets_do_not_split() {
        let value = b"\"A, \\\" B\" <sip:a@x;p=1,2>;q=1 , , <sip:b@y>";
        let parts: Vec<&[u8]> = elements(value).collect();
        assert_eq!(parts, [&b"\"A, \\\" B\" <sip:a@x;p=1,2>;q=1"[..], b"<sip:b@y>"]);
    }

    #[test]
    fn parameters_compare_without_case_and_lose_their_quotes() {
        let params = Params(b";Lr ; TAG = abc;x=\"a;b\"");
        assert!(params.has("lr") && !params.has("l"));
        assert_eq!(params.value("tag"), Some("abc"));
        assert_eq!(params.value("X"), Some("a;b"));
        assert_eq!(params.value("lr"), None);
    }

    #[test]
    fn what_is_quoted_or_in_brackets_is_not_found() {
        for (text, position) in [
            (&b"a,b"[..], 1),
            (b"\"a,\\\",\",b", 7),
            (b"<a,\">,b", 5),
            (b"\"a,b", 4),
            (b"<a,b", 4),
            (b"\"a\\", 3),
            (b"", 0),
        ] {
            assert_eq!(find_outside(text, b','), position, "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(find_outside(b"\"<\" <sip:a@b>", b'<'), 4);
    }

    #[test]
    fn a_number_that_does_not_fit_is_none() {
        assert_eq!(decimal(b"4294967295"), Some(u32::MAX));
        assert_eq!(decimal(b"4294967296"), None);
        assert_eq!(decimal(b"-1"), None);
        assert_eq!(decimal(b""), None);
    }
}
