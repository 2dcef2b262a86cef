//! Shapes of dialled numbers.

use crate::value::NotAllowed;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The shape of a number. `X` is any digit, `Z` 1 to 9, `N` 2 to 9, `[125-7]` one of those, `.` at the end one or more
/// characters of any kind, `!` at the end none or more; digits, letters that are none of these, `+`, `*`, `#` and `-`
/// stand for themselves. A `_` in front is allowed and means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialPattern {
    text: Arc<str>,
    places: Vec<Place>,
    rest: Rest,
}

/// One character of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Exactly(u8),
    /// Any of these ranges.
    OneOf(Vec<(u8, u8)>),
}

/// What may follow the last place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Nothing,
    OneOrMore,
    NoneOrMore,
}

const WANTED: NotAllowed =
    NotAllowed("digits, letters, +, *, #, -, X, Z, N, [digits and ranges], and . or ! at the end; up to 64 places");
const PLACES_MAX: usize = 64;

impl DialPattern {
    /// The length of the shortest number of this shape.
    pub fn shortest(&self) -> usize {
        self.places.len() + usize::from(self.rest == Rest::OneOrMore)
    }

    /// Has the number this shape?
    pub fn matches(&self, number: &str) -> bool {
        let number = number.as_bytes();
        let Some(extra) = number.len().checked_sub(self.places.len()) else { return false };
        let length_fits = match self.rest {
            Rest::Nothing => extra == 0,
            Rest::OneOrMore => extra >= 1,
            Rest::NoneOrMore => true,
        };
        length_fits && self.places.iter().zip(number).all(|(place, byte)| place.matches(*byte))
    }
}

impl Place {
    fn matches(&self, byte: u8) -> bool {
        match self {
            Self::Exactly(wanted) => *wanted == byte,
            Self::OneOf(ranges) => ranges.iter().any(|(low, high)| (*low..=*high).contains(&byte)),
        }
    }
}

impl FromStr for DialPattern {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        let body = text.strip_prefix('_').unwrap_or(text);
        let (body, rest) = match body.as_bytes().last() {
            Some(b'.') => (&body[..body.len() - 1], Rest::OneOrMore),
            Some(b'!') => (&body[..body.len() - 1], Rest::NoneOrMore),
            _ => (body, Rest::Nothing),
        };
        let mut places = Vec::new();
        let mut bytes = body.bytes();
        while let Some(byte) = bytes.next() {
            places.push(match byte {
                b'X' => Place::OneOf(vec![(b'0', b'9')]),
                b'Z' => Place::OneOf(vec![(b'1', b'9')]),
                b'N' => Place::OneOf(vec![(b'2', b'9')]),
                b'[' => Place::OneOf(parse_set(&mut bytes)?),
                b'+' | b'*' | b'#' | b'-' => Place::Exactly(byte),
                _ if byte.is_ascii_alphanumeric() => Place::Exactly(byte),
                _ => return Err(WANTED),
            });
        }
        let empty = places.is_empty() && rest == Rest::Nothing;
        if empty || places.len() > PLACES_MAX { Err(WANTED) } else { Ok(Self { text: text.into(), places, rest }) }
    }
}

/// What stands between the brackets; the first has been read.
fn parse_set(bytes: &mut std::str::Bytes<'_>) -> Result<Vec<(u8, u8)>, NotAllowed> {
    let mut inside = Vec::new();
    loop {
        match bytes.next() {
            Some(b']') => break,
            Some(byte) => inside.push(byte),
            None => return Err(WANTED),
        }
    }
    let mut ranges = Vec::new();
    let mut rest = inside.as_slice();
    while let [low, tail @ ..] = rest {
        let (high, tail) = match tail {
            [b'-', high, tail @ ..] => (high, tail),
            _ => (low, tail),
        };
        if !low.is_ascii_digit() || !high.is_ascii_digit() || low > high {
            return Err(WANTED);
        }
        ranges.push((*low, *high));
        rest = tail;
    }
    if ranges.is_empty() { Err(WANTED) } else { Ok(ranges) }
}

impl fmt::Display for DialPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_the_shape_or_not() {
        let check = |pattern: &str, number: &str, expected: bool| {
            let parsed: DialPattern = pattern.parse().expect(pattern);
            assert_eq!(parsed.matches(number), expected, "{number} against {pattern}");
            assert!(!expected || number.len() >= parsed.shortest(), "{number} against {pattern}");
        };
        check("_NXX", "234", true);
        check("NXX", "134", false);
        check("NXX", "2345", false);
        check("0Z.", "011", true);
        check("0Z.", "01", false);
        check("0Z.", "001", false);
        check("0!", "0", true);
        check("00[1-36]X", "0025", true);
        check("00[1-36]X", "0065", true);
        check("00[1-36]X", "0045", false);
        check("+49.", "+4930", true);
        check(".", "", false);
        check("!", "", true);
        check("*98#", "*98#", true);
    }

    #[test]
    fn a_pattern_that_makes_no_sense_is_refused() {
        for text in ["", "_", "1.2", "[", "[]", "[1", "[3-1]", "[a]", "[1-]", "12 3", "é", &"1".repeat(65)] {
            assert!(text.parse::<DialPattern>().is_err(), "{text}");
        }
    }
}
