//! Telephone numbers as they are written and as they are judged.

use std::borrow::Cow;

/// Whom a call is for, as routing and policies judge it: a telephone number is the same however it is written, so that one
/// loses what only helps the eye. It is one when it can be nothing else: digits, perhaps with a plus before and separators
/// among them. What follows a semicolon is not part of it. A name is left as it is.
///
/// ```
/// use sx_types::called_user;
/// assert_eq!(called_user("0-900.(12)"), "090012");
/// assert_eq!(called_user("anna-lena"), "anna-lena");
/// ```
//= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.6
pub fn called_user(user: &str) -> Cow<'_, str> {
    let (number, rest) = user.split_at(user.find(';').unwrap_or(user.len()));
    if !is_number(number) || !number.contains(is_separator) {
        return user.into();
    }
    (without_separators(number) + rest).into()
}

/// A telephone number without what only helps the eye.
//= https://www.rfc-editor.org/rfc/rfc3966#section-5.1.1
pub fn without_separators(number: &str) -> String {
    number.replace(is_separator, "")
}

/// Is it nothing but digits, perhaps with a plus before and separators among them?
fn is_number(user: &str) -> bool {
    let digits = user.strip_prefix('+').unwrap_or(user);
    digits.contains(|c: char| c.is_ascii_digit()) && digits.chars().all(|c| c.is_ascii_digit() || is_separator(c))
}

fn is_separator(c: char) -> bool {
    matches!(c, '-' | '.' | '(' | ')')
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
        check("0 900", "0 900");
        check("", "");
    }
}
