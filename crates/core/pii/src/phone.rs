//! Telephone numbers: read as numbers of a country, not only matched.

mod countries;

use crate::context::{Group, THINGS, Text, digits};
use countries::national_digits;
use std::ops::Range;

/// Numbers behind `+` or `00`, those of North America, those with a leading 0 and separators, and others behind a word that says
/// what they are.
pub(crate) fn look(text: &Text<'_>, found: &mut dyn FnMut(Range<usize>)) {
    let mut at = 0;
    while let Some(number) = Written::next(text, at) {
        let read = READINGS.iter().find_map(|reading| {
            let groups = reading(text, &number)?;
            let range = number.start..number.groups[groups - 1].end();
            let range = closed(text, range);
            text.stands_alone(&range).then_some(range)
        });
        at = match read {
            Some(range) => {
                let end = range.end;
                found(range);
                end
            }
            None => number.groups[0].end(),
        };
    }
}

/// How many of the groups are a number; `None`: they are none.
type Reading = fn(&Text<'_>, &Written) -> Option<usize>;

/// The more they know the earlier.
const READINGS: [Reading; 4] = [international, north_american, with_trunk_prefix, behind_a_word];

/// Groups of digits with what people write between them.
struct Written {
    /// Where it begins: at a `+`, a parenthesis or a digit.
    start: usize,
    groups: Vec<Group>,
    has_plus: bool,
    /// The first group is in parentheses, after the country's if there is one.
    has_area: bool,
}

/// Groups that are looked at, and characters between two.
const GROUPS_MAX: usize = 8;
const BETWEEN_MAX: usize = 3;

impl Written {
    /// The next one from a place on.
    fn next(text: &Text<'_>, from: usize) -> Option<Self> {
        let bytes = text.bytes();
        let first = from + bytes.get(from..)?.iter().position(u8::is_ascii_digit)?;
        let mut start = first;
        let opened = |start: usize| start > from && bytes[start - 1] == b'(';
        let has_area = opened(start);
        start -= usize::from(has_area);
        let has_plus = start > from && bytes[start - 1] == b'+';
        start -= usize::from(has_plus);
        // `(+49) 30 …`
        start -= usize::from(has_plus && !has_area && opened(start));
        let mut groups = vec![group_at(bytes, first)];
        while groups.len() < GROUPS_MAX
            && let Some(next) = behind(bytes, groups[groups.len() - 1].end())
        {
            groups.push(next);
        }
        Some(Self { start, groups, has_plus, has_area })
    }

    fn digits(&self, text: &Text<'_>, groups: usize) -> Vec<u8> {
        digits(&text.str()[self.groups[0].start..self.groups[groups - 1].end()])
    }

    /// The most groups whose digits are such a number, after the first that could be one.
    fn longest(&self, text: &Text<'_>, is_number: impl Fn(&[u8]) -> bool) -> Option<usize> {
        (1..=self.groups.len()).rev().find(|count| is_number(&self.digits(text, *count)))
    }

    fn lengths(&self) -> Vec<usize> {
        self.groups.iter().map(|group| group.len).collect()
    }
}

fn group_at(bytes: &[u8], start: usize) -> Group {
    let len = bytes[start..].iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len() - start);
    Group { start, len }
}

/// The group behind the end of another one: after a blank, `-`, `.`, `/`, parentheses, or two of these.
fn behind(bytes: &[u8], end: usize) -> Option<Group> {
    let between = bytes.get(end..)?.iter().take(BETWEEN_MAX).take_while(|byte| b" -./()".contains(byte)).count();
    let is_digit = bytes.get(end + between).is_some_and(u8::is_ascii_digit);
    let closes_first =
        bytes[end..end + between].iter().position(|byte| *byte == b'(').is_none_or(|open| open > 0 || between == 1);
    (between > 0 && is_digit && closes_first).then(|| group_at(bytes, end + between))
}

/// Without the parenthesis that was opened before it and in which there is more than a part of it.
fn closed(text: &Text<'_>, range: Range<usize>) -> Range<usize> {
    let count = |wanted: u8| text.bytes()[range.clone()].iter().filter(|byte| **byte == wanted).count();
    let is_around = text.bytes()[range.start] == b'(' && count(b'(') > count(b')');
    range.start + usize::from(is_around)..range.end
}

/// Behind `+` or `00`: a country, and as many digits as its numbers have.
//  ITU-T E.164: fifteen digits at most, the first of them the country's.
fn international(text: &Text<'_>, number: &Written) -> Option<usize> {
    let prefix = match (number.has_plus, &text.bytes()[number.groups[0].start..]) {
        (true, _) => 0,
        (false, [b'0', b'0', b'1'..=b'9' | b' ', ..]) => 2,
        _ => return None,
    };
    number.longest(text, |digits| {
        let digits = digits.get(prefix..).unwrap_or_default();
        let Some((country, lengths)) = national_digits(digits) else { return false };
        let national = &digits[country..];
        // A zero that is only dialled within the country is often written in parentheses.
        let national = if national.first() == Some(&0) { &national[1..] } else { national };
        lengths.contains(&national.len()) && (country != 1 || digits[0] != 1 || is_north_american(national))
    })
}

/// `(212) 555-0147`, `212-555-0147`, `1 212 555 0147`.
//  NANPA: area and exchange begin with 2 to 9 and are no service such as 911; the second digit of an area is no 9.
fn north_american(text: &Text<'_>, number: &Written) -> Option<usize> {
    let lengths = number.lengths();
    let count = match lengths[..] {
        [1, 3, 3, 4, ..] => 4,
        [3, 3, 4, ..] => 3,
        [3, 7, ..] if number.has_area => 2,
        _ => return None,
    };
    let digits = number.digits(text, count);
    let national = if digits.len() == 11 { digits.strip_prefix(&[1])? } else { &digits[..] };
    let is_thing = text.is_called(number.start, &THINGS);
    (is_north_american(national) && !is_thing).then_some(count)
}

fn is_north_american(national: &[u8]) -> bool {
    let [a, b, c, d, e, f, ..] = *national else { return false };
    let is_service = |second: u8, third: u8| second == 1 && third == 1;
    national.len() == 10 && a >= 2 && d >= 2 && b != 9 && !is_service(b, c) && !is_service(e, f)
}

/// `030 1234567`, `(020) 7946 0958`, `0171/2345678`: the zero that is dialled within a country, and at least one separator.
fn with_trunk_prefix(text: &Text<'_>, number: &Written) -> Option<usize> {
    let first = number.groups[0];
    let begins = text.bytes()[first.start] == b'0' && (2..=6).contains(&first.len);
    let lengths = number.lengths();
    // 01.02.2023 is a date, and 078-05-1120 was printed as a social security number.
    let is_other = matches!(lengths[..], [2, 2, 4, ..] | [3, 2, 4]);
    let begins = begins && text.bytes()[first.start + 1] != b'0' && !is_other;
    if !begins || text.is_called(number.start, &THINGS) {
        return None;
    }
    let fits = |count: &usize| {
        let digits: usize = lengths[..*count].iter().sum();
        (9..=12).contains(&digits) && lengths[1..*count].iter().all(|len| *len >= 2)
    };
    (2..=lengths.len()).rev().find(fits)
}

/// Behind a word that says that it is one, any digits that could be.
fn behind_a_word(text: &Text<'_>, number: &Written) -> Option<usize> {
    if !text.is_near(number.start, &WORDS) || text.is_called(number.start, &THINGS) {
        return None;
    }
    let lengths = number.lengths();
    let fits = |count: &usize| {
        let digits: usize = lengths[..*count].iter().sum();
        let is_date = *count == 3 && (lengths[0] == 4 || lengths[2] == 4) && digits == 8;
        (7..=12).contains(&digits) && !is_date && lengths[..*count].iter().all(|len| *len >= 2)
    };
    (1..=lengths.len()).rev().find(fits)
}

/// What a telephone number is for, in some languages.
const WORDS: [&str; 42] = [
    "phone",
    "phones",
    "telephone",
    "tel",
    "call",
    "calls",
    "calling",
    "called",
    "mobile",
    "cell",
    "cellphone",
    "fax",
    "ring",
    "dial",
    "dialled",
    "dialed",
    "text",
    "texted",
    "sms",
    "whatsapp",
    "hotline",
    "landline",
    "callback",
    "reach",
    "reached",
    "pager",
    "contact",
    "telefon",
    "handy",
    "mobil",
    "mobilnummer",
    "anrufen",
    "anruf",
    "rufen",
    "rückruf",
    "téléphone",
    "appelez",
    "appeler",
    "portable",
    "teléfono",
    "móvil",
    "llame",
];

#[cfg(test)]
mod tests {
    use crate::{PiiKind, found_in};

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(found_in(text, Some(PiiKind::Phone)), expected, "{text}");
    }

    #[test]
    fn numbers_are_found_as_people_write_them() {
        for number in [
            "+49 30 1234567",
            "+1 (212) 555-0147",
            "+1-212-555-0147",
            "0049 30 1234567",
            "+44 (0)20 7946 0958",
            "+33 1 23 45 67 89",
            "(212) 555-0147",
            "212.555.0147",
            "1-800-555-0199",
            "030 1234567",
            "020 7946 0958",
            "0171/2345678",
            "01 23 45 67 89",
            "+4930123456",
            "+81 3-1234-5678",
        ] {
            check(number, &[number]);
            check(&format!("it is {number}, by day"), &[number]);
            check(&format!("({number})"), &[number]);
        }
        check("tel:+12125550147", &["+12125550147"]);
        check("Call 2125550147 now", &["2125550147"]);
        check("mobile: 612 345 678.", &["612 345 678"]);
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for text in [
            "2023-11-23",
            "23.11.2023 10:30",
            "01.02.2023",
            "order 212-555-0147",
            "+999 123 456",
            "+49 1",
            "1732345678",
            "211-311-0147",
            "911-555-0147",
            "52.520008, 13.404954",
            "550e8400-e29b-41d4-a716-446655440000",
            "sip:+4930123456@example.org",
            "x+12125550147",
            "7732-18-5",
            "978-3-16-148410-0",
        ] {
            check(text, &[]);
        }
    }
}
