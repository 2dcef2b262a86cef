//! Telephone numbers as they are written and as they are judged.

use std::borrow::Cow;

/// Whom a call is for, as routing and policies judge it and as trunks are asked for it: a telephone number is the same
/// however it is written, so that one loses whatever nobody dials: what helps the eye (hyphens and blanks of every kind,
/// brackets), and what could only hide the number from a rule. It is a number when it can be nothing else: digits among
/// which there is no letter. What follows a semicolon is not part of it. A name is left as it is.
///
/// ```
/// use sx_types::called_user;
/// assert_eq!(called_user("0-900.(12)"), "090012");
/// assert_eq!(called_user("09 00_12"), "090012");
/// assert_eq!(called_user("100_reception"), "100_reception");
/// ```
//= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.6
pub fn called_user(user: &str) -> Cow<'_, str> {
    let (number, rest) = user.split_at(user.find(';').unwrap_or(user.len()));
    match called_number(number) {
        Cow::Owned(dialled) => (dialled + rest).into(),
        Cow::Borrowed(_) => user.into(),
    }
}

/// The same for what has no parameters: a semicolon in it, which was escaped, is among what nobody dials.
pub fn called_number(user: &str) -> Cow<'_, str> {
    if !is_number(user) {
        return user.into();
    }
    let dialled = without_separators(user);
    if dialled == user { user.into() } else { dialled.into() }
}

/// What is judged of a called user that was made by [`called_user`]: of a number it is what is dialled, whatever follows it.
/// Whoever is asked for `0900;x=y` dials `0900`.
pub fn judged_user(user: &str) -> &str {
    match user.split_once(';') {
        Some((number, _)) if is_number(number) => number,
        _ => user,
    }
}

/// A telephone number without what nobody dials. Letters stay: some local numbers have them.
//= https://www.rfc-editor.org/rfc/rfc3966#section-5.1.1
pub fn without_separators(number: &str) -> String {
    let mut dialled = String::with_capacity(number.len());
    for c in number.chars() {
        // A plus is dialled before all else only.
        if is_dialled(c) || (c == '+' && dialled.is_empty()) {
            dialled.push(c);
        }
    }
    dialled
}

/// Can it be nothing but a number, whatever stands among its digits?
fn is_number(user: &str) -> bool {
    user.contains(|c: char| c.is_ascii_digit()) && !user.contains(char::is_alphabetic)
}

fn is_dialled(c: char) -> bool {
    c.is_ascii_digit() || c.is_alphabetic() || matches!(c, '*' | '#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_loses_its_separators_and_a_name_keeps_them() {
        let check = |user: &str, expected: &str| assert_eq!(called_user(user), expected, "{user}");
        check("+49(30)1.2-3", "+4930123");
        check("0-900;phone-context=a-b", "0900;phone-context=a-b");
        check("0900", "0900");
        check("room-12", "room-12");
        check("-.-", "-.-");
        check("*21*0900#", "*21*0900#");
        check("", "");
    }

    #[test]
    fn what_follows_a_number_is_not_judged_and_what_follows_a_name_is() {
        let check = |user: &str, expected: &str| assert_eq!(judged_user(user), expected, "{user}");
        check("0900;phone-context=x", "0900");
        check("0900;x;y", "0900");
        check("*31#0900;x", "*31#0900");
        check("0900", "0900");
        check("bob;x=y", "bob;x=y");
        check("09a001;x=y", "09a001;x=y");
        check(";x=y", ";x=y");
    }

    #[test]
    fn no_character_hides_a_number() {
        for hiding in
            " \t\n\0_/~'!,&=$?%@:\u{a0}\u{ad}\u{2007}\u{200b}\u{2010}\u{2011}\u{2013}\u{2212}\u{3000}\u{ff0d}+".chars()
        {
            for user in [format!("09{hiding}001"), format!("09-0{hiding}01"), format!("0900{hiding}1-")] {
                assert_eq!(called_user(&user), "09001", "{user:?}");
            }
        }
        assert_eq!(called_user(" +49 30"), "+4930");
        for name in ["4711bob", "100_reception", "a 1", "12-34-lobby"] {
            assert_eq!(called_user(name), name);
        }
    }
}
