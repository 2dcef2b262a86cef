//! Numbers of payment cards.

use crate::context::{Group, Runs, Text, digits};
use std::ops::Range;

/// Digits in one piece, or in groups with blanks or hyphens between, whose beginning and length are those of a brand and whose check
/// digit is right.
//  ISO/IEC 7812-1: the issuer's number first, a check digit by Luhn's formula last.
pub(crate) fn look(text: &Text<'_>, found: &mut dyn FnMut(Range<usize>)) {
    for separator in [" ", "-"] {
        for run in Runs::new(text, separator) {
            let groups = run.groups();
            let starts = 0..groups.len();
            // Numbers of another kind may stand before and behind it.
            let windows =
                starts.flat_map(|first| (1..=GROUPS_MAX).filter_map(move |count| groups.get(first..first + count)));
            for window in windows.filter(|window| is_grouped(window)) {
                let range = window[0].start..window[window.len() - 1].end();
                if is_card(&digits(&text.str()[range.clone()])) && text.stands_alone(&range) {
                    found(range);
                }
            }
        }
    }
}

/// Cards have at most so many groups.
const GROUPS_MAX: usize = 5;

/// In one piece, or in groups as they are printed.
fn is_grouped(groups: &[Group]) -> bool {
    let (last, others) = groups.split_last().map_or((0, &[][..]), |(last, others)| (last.len, others));
    match others {
        [] => last >= 12,
        _ => others.iter().all(|group| (4..=6).contains(&group.len)) && (1..=7).contains(&last),
    }
}

fn is_card(digits: &[u8]) -> bool {
    has_brand(digits) && has_check_digit(digits) && digits.iter().any(|digit| *digit != digits[0])
}

fn has_brand(digits: &[u8]) -> bool {
    let Some(four) = digits.get(..4) else { return false };
    let four = four.iter().fold(0_u16, |number, digit| number * 10 + u16::from(*digit));
    let (one, two, three) = (four / 1_000, four / 100, four / 10);
    match digits.len() {
        13 => one == 4,
        14 => matches!(two, 36 | 38 | 39) || (300..=305).contains(&three),
        15 => matches!(two, 34 | 37),
        16 => {
            let mastercard = (51..=55).contains(&two) || (2221..=2720).contains(&four);
            let discover = four == 6011 || (644..=649).contains(&three) || two == 65;
            let others = (3528..=3589).contains(&four) || matches!(two, 62 | 36 | 81) || is_maestro(four);
            one == 4 || mastercard || discover || others
        }
        19 => one == 4 || two == 62 || is_maestro(four) || four == 6011 || two == 65,
        12 | 17 | 18 => is_maestro(four),
        _ => false,
    }
}

fn is_maestro(four: u16) -> bool {
    matches!(four, 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763)
}

fn has_check_digit(digits: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| u32::from(if place % 2 == 1 { doubled(*digit) } else { *digit }))
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use crate::{PiiKind, found_in};

    fn check(text: &str, expected: bool) {
        assert_eq!(!found_in(text, Some(PiiKind::Card)).is_empty(), expected, "{text}");
    }

    #[test]
    fn numbers_of_brands_with_their_check_digit_are_cards() {
        for number in
            ["4111111111111111", "5555 5555 5555 4444", "3782-822463-10005", "6011 1111 1111 1117", "3530111333300000"]
        {
            check(number, true);
            check(&format!("paid with {number}."), true);
        }
        for number in
            ["4111111111111112", "4111 1111-1111 1111", "1234567890123452", "x4111111111111111", "0000000000000000"]
        {
            check(number, false);
        }
    }
}
