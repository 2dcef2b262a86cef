//! Patterns for numbers, as dial plans have long written them.

use crate::definition::{ENDS_ANYHOW, ENDS_THERE, ENDS_WITH_MORE};
use std::fmt;
use std::str::FromStr;

/// The shape of a number.
///
/// `X` stands for a digit, `Z` for 1 to 9, `N` for 2 to 9, each in either case, `[1-57]` for one of the set; a final `.`
/// for one or more characters, a final `!` for any number of them; every other ASCII character for itself. A leading
/// `_` is allowed and means nothing.
///
/// ```
/// let pattern: sx_route::Pattern = "0Z[1-4]XX.".parse().expect("well formed");
/// assert!(pattern.accepts("033121"));
/// assert!(!pattern.accepts("03312"), "one more digit is wanted");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    /// The literal characters in front of the first class.
    start: Box<str>,
    positions: Box<[Position]>,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    Literal(char),
    /// One of these ASCII characters, a bit for each.
    Class(u128),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    There,
    WithMore,
    Anyhow,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// There is nothing in it.
    #[error("a pattern must not be empty")]
    Empty,
    /// A `[` without its `]`.
    #[error("the pattern {0} opens a [ that it does not close")]
    Unclosed(Box<str>),
    /// An empty set, a backward range, or a set with characters other than ASCII.
    #[error("the pattern {0} has a set that nothing is in")]
    EmptySet(Box<str>),
    /// `.` or `!` before the end.
    #[error("the pattern {0} has a . or ! that is not at its end")]
    WildcardInside(Box<str>),
    /// A space, a control character, or one that is not ASCII: nobody dials that.
    #[error("the pattern {0} has a character that cannot be dialled")]
    NotDialled(Box<str>),
    /// Longer than any number.
    #[error("the pattern {0} is longer than 64 positions")]
    TooLong(Box<str>),
}

const POSITIONS_MAX: usize = 64;

impl Pattern {
    /// Does the number have this shape?
    pub fn accepts(&self, number: &str) -> bool {
        let mut characters = number.chars();
        for position in &self.positions {
            let fits = characters.next().is_some_and(|c| match position {
                Position::Literal(literal) => *literal == c,
                Position::Class(set) => c.is_ascii() && set & bit(c) != 0,
            });
            if !fits {
                return false;
            }
        }
        match self.end {
            End::There => characters.next().is_none(),
            End::WithMore => characters.next().is_some(),
            End::Anyhow => true,
        }
    }

    pub(crate) fn literal_start(&self) -> &str {
        &self.start
    }

    /// The fewest characters of a number of this shape.
    pub fn shortest(&self) -> usize {
        self.positions.len() + usize::from(self.end == End::WithMore)
    }

    pub(crate) fn specificity(&self) -> Vec<u8> {
        let widths = self.positions.iter().map(|position| match position {
            Position::Literal(_) => 1,
            // A set has at most 128 members.
            Position::Class(set) => set.count_ones() as u8,
        });
        let end = match self.end {
            End::There => ENDS_THERE,
            End::WithMore => ENDS_WITH_MORE,
            End::Anyhow => ENDS_ANYHOW,
        };
        widths.chain([end]).collect()
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let body = text.strip_prefix('_').unwrap_or(text);
        let (body, end) = match body.chars().last() {
            None => return Err(PatternError::Empty),
            Some('.') => (&body[..body.len() - 1], End::WithMore),
            Some('!') => (&body[..body.len() - 1], End::Anyhow),
            Some(_) => (body, End::There),
        };
        let mut positions = Vec::new();
        let mut characters = body.chars();
        while let Some(c) = characters.next() {
            positions.push(match c {
                'X' | 'x' => Position::Class(range('0', '9')),
                'Z' | 'z' => Position::Class(range('1', '9')),
                'N' | 'n' => Position::Class(range('2', '9')),
                '[' => Position::Class(read_set(&mut characters, text)?),
                '.' | '!' => return Err(PatternError::WildcardInside(text.into())),
                literal if literal.is_ascii_graphic() => Position::Literal(literal),
                _ => return Err(PatternError::NotDialled(text.into())),
            });
            if positions.len() > POSITIONS_MAX {
                return Err(PatternError::TooLong(text.into()));
            }
        }
        let start = positions
            .iter()
            .map_while(|position| match position {
                Position::Literal(c) => Some(*c),
                Position::Class(_) => None,
            })
            .collect::<String>();
        Ok(Self { text: text.into(), start: start.into(), positions: positions.into(), end })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({})", self.text)
    }
}

/// Reads the set after a `[`, up to and with its `]`.
fn read_set(characters: &mut std::str::Chars<'_>, text: &str) -> Result<u128, PatternError> {
    let mut set = 0;
    let mut previous: Option<char> = None;
    loop {
        let c = characters.next().ok_or_else(|| PatternError::Unclosed(text.into()))?;
        if c == ']' {
            break;
        }
        if c == '-'
            && let Some(low) = previous.take()
        {
            let high = characters.next().filter(|c| *c != ']').ok_or_else(|| PatternError::Unclosed(text.into()))?;
            if !high.is_ascii() || high < low {
                return Err(PatternError::EmptySet(text.into()));
            }
            set |= range(low, high);
            continue;
        }
        if !c.is_ascii() {
            return Err(PatternError::EmptySet(text.into()));
        }
        set |= bit(c);
        previous = Some(c);
    }
    if set == 0 { Err(PatternError::EmptySet(text.into())) } else { Ok(set) }
}

/// The bits of an ASCII range.
fn range(low: char, high: char) -> u128 {
    (low..=high).fold(0, |set, c| set | bit(c))
}

fn bit(c: char) -> u128 {
    1 << (c as u32 & 127)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_accept_what_their_shape_says() {
        let cases: [(&str, &[&str], &[&str]); 8] = [
            ("_1XX", &["100", "199"], &["10", "1000", "200", "1a0"]),
            ("NXX", &["200", "999"], &["100", "099"]),
            ("Z.", &["10", "9123"], &["1", "01", ""]),
            ("00!", &["00", "0049"], &["0", "10"]),
            ("+49[13-57]X", &["+4910", "+4949"], &["+4920", "+4960", "4910"]),
            ("[-a]1", &["-1", "a1"], &["b1"]),
            (".", &["1", "alice"], &[""]),
            ("!", &["", "alice"], &[]),
        ];
        for (text, accepted, refused) in cases {
            let pattern: Pattern = text.parse().expect(text);
            accepted.iter().for_each(|number| assert!(pattern.accepts(number), "{text} takes {number}"));
            refused.iter().for_each(|number| assert!(!pattern.accepts(number), "{text} does not take {number}"));
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_by_name() {
        let check = |text: &str, expected: fn(Box<str>) -> PatternError| {
            assert_eq!(text.parse::<Pattern>(), Err(expected(text.into())), "{text}");
        };
        check("12[3", PatternError::Unclosed);
        check("12[3-", PatternError::Unclosed);
        check("1[]", PatternError::EmptySet);
        check("1[5-1]", PatternError::EmptySet);
        check("1.2", PatternError::WildcardInside);
        check(&"X".repeat(65), PatternError::TooLong);
        check("12 3", PatternError::NotDialled);
        check("é", PatternError::NotDialled);
        assert_eq!("_".parse::<Pattern>(), Err(PatternError::Empty));
    }
}
