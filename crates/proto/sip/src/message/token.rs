//! Scanning of header values: white space, quoted strings, comma lists and parameters.

/// Linear white space, folding included.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
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

/// A character of a token.
//= https://www.rfc-editor.org/rfc/rfc3261#section-25.1
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

/// The position of the first `wanted` byte outside quoted strings and angle brackets, or the length.
pub(crate) fn find_outside(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> usize {
    let (mut quoted, mut escaped, mut angle) = (false, false, false);
    for (position, &byte) in bytes.iter().enumerate() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        if !angle && wanted(byte) {
            return position;
        }
        match byte {
            b'"' if !angle => quoted = true,
            b'<' => angle = true,
            b'>' => angle = false,
            _ => {}
        }
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
            let end = find_outside(self.rest, |byte| byte == b',');
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
                let end = find_outside(rest, |byte| byte == b';');
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
    fn a_number_that_does_not_fit_is_none() {
        assert_eq!(decimal(b"4294967295"), Some(u32::MAX));
        assert_eq!(decimal(b"4294967296"), None);
        assert_eq!(decimal(b"-1"), None);
        assert_eq!(decimal(b""), None);
    }
}
