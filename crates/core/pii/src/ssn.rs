//! Social security numbers of the United States.

use crate::context::{Group, Runs, THINGS, Text, digits};
use std::ops::Range;

/// `123-45-6789`, with hyphens or blanks, and in one piece behind a word that says what it is.
pub(crate) fn look(text: &Text<'_>, found: &mut dyn FnMut(Range<usize>)) {
    for run in Runs::new(text, "-") {
        let written = match run.groups() {
            [Group { len: 9, .. }] => text.is_near(run.range().start, &WORDS),
            [a, b, c] => (a.len, b.len, c.len) == (3, 2, 4) && !text.is_called(run.range().start, &THINGS),
            _ => false,
        };
        if written {
            check(text, run.range(), found);
        }
    }
    for run in Runs::new(text, " ") {
        for three in run.groups().windows(3) {
            let range = three[0].start..three[2].end();
            if [three[0].len, three[1].len, three[2].len] == [3, 2, 4] && !text.is_called(range.start, &THINGS) {
                check(text, range, found);
            }
        }
    }
}

/// What it is called.
const WORDS: [&str; 4] = ["ssn", "ssns", "security", "socials"];

fn check(text: &Text<'_>, range: Range<usize>, found: &mut dyn FnMut(Range<usize>)) {
    if is_given_out(&digits(&text.str()[range.clone()])) && text.stands_alone(&range) {
        found(range);
    }
}

/// No area is 000, 666 or above 899; no group is 00 and no serial 0000. Two were printed in advertisements.
//  Social Security Administration, POMS RM 10201.035.
fn is_given_out(digits: &[u8]) -> bool {
    let number = digits.iter().fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    let (area, group, serial) = (number / 1_000_000, number / 10_000 % 100, number % 10_000);
    let printed = matches!(number, 78_051_120 | 219_099_999);
    !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0 && !printed
}

#[cfg(test)]
mod tests {
    use crate::{PiiKind, found_in};

    fn check(text: &str, expected: bool) {
        assert_eq!(!found_in(text, Some(PiiKind::Ssn)).is_empty(), expected, "{text}");
    }

    #[test]
    fn what_is_given_out_is_found() {
        for text in ["123-45-6789", "it is 123 45 6789,", "SSN: 123456789", "social security number is 123456789"] {
            check(text, true);
        }
    }

    #[test]
    fn what_is_not_given_out_and_what_is_called_otherwise_is_not() {
        for number in ["000-45-6789", "666-45-6789", "900-45-6789", "123-00-6789", "123-45-0000", "078-05-1120"] {
            check(number, false);
        }
        for text in
            ["order 123-45-6789", "123-45 6789", "123-45-6789-1", "A123-45-6789", "123456789", "part no. 123-45-6789"]
        {
            check(text, false);
        }
    }
}
