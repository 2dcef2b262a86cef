//! Addresses of e-mail.

use crate::context::Text;
use std::ops::Range;

/// A local part, `@`, and a domain of the Internet.
//  RFC 5321, section 4.1.2, and RFC 6531: without quoted local parts and without literal addresses.
pub(crate) fn look(text: &Text<'_>, found: &mut dyn FnMut(Range<usize>)) {
    let mut from = 0;
    for (at, _) in text.str().match_indices('@') {
        let Some(range) = around(text, at, from) else { continue };
        from = range.end;
        found(range);
    }
}

/// The address around an `@`, which begins no earlier than `from`.
fn around(text: &Text<'_>, at: usize, from: usize) -> Option<Range<usize>> {
    let whole = text.str();
    let local = whole.get(from..at)?.chars().rev().take(LOCAL_CHARS_MAX).take_while(|c| is_local(*c));
    let start = at - local.map(char::len_utf8).sum::<usize>();
    // A full stop neither begins nor ends it.
    let start = start + whole[start..at].len() - whole[start..at].trim_start_matches(['.', '-', '\'', '*']).len();
    let behind: usize = whole[at + 1..]
        .chars()
        .take(DOMAIN_CHARS_MAX)
        .take_while(|c| c.is_alphanumeric() || matches!(c, '-' | '.'))
        .map(char::len_utf8)
        .sum();
    let domain = whole[at + 1..at + 1 + behind].trim_end_matches(['.', '-']);
    let end = at + 1 + domain.len();
    let is_local = start < at && !whole[..at].ends_with('.') && !whole[start..at].contains("..");
    (is_local && is_domain(domain) && is_address(text, start, end)).then_some(start..end)
}

/// Without `/` and `=`, which may be in it, and more often stand between a name and its value.
fn is_local(c: char) -> bool {
    c.is_alphanumeric() || "!#$%&'*+-?^_`{|}~.".contains(c)
}

/// At least two labels, and a last one that can be a domain of the highest level.
fn is_domain(domain: &str) -> bool {
    let labels: Vec<&str> = domain.split('.').collect();
    let Some((top, others)) = labels.split_last() else { return false };
    let is_label =
        |label: &&str| !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-');
    let is_top = top.starts_with("xn--") || top.chars().count() >= 2 && top.chars().all(char::is_alphabetic);
    let is_file = FILES.iter().any(|ending| top.eq_ignore_ascii_case(ending));
    !others.is_empty() && labels.iter().all(is_label) && is_top && !is_file
}

/// Is it no part of something else: whoever logs in somewhere, a place that is copied from, a package?
fn is_address(text: &Text<'_>, start: usize, end: usize) -> bool {
    let before = &text.str()[..start];
    let after = &text.str()[end..];
    let is_login = before.ends_with("//");
    let is_path =
        after.strip_prefix(':').is_some_and(|path| path.starts_with(|c: char| c.is_alphanumeric() || "/~".contains(c)));
    let goes_on = after.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '@');
    !is_login && !is_path && !goes_on && !before.ends_with('@')
}

const LOCAL_CHARS_MAX: usize = 64;
const DOMAIN_CHARS_MAX: usize = 253;

/// Endings of files that are no domains: `picture@2x.png`.
const FILES: [&str; 18] = [
    "png", "jpg", "jpeg", "gif", "svg", "webp", "bmp", "pdf", "txt", "html", "css", "js", "json", "yaml", "yml", "xml",
    "toml", "wav",
];

#[cfg(test)]
mod tests {
    use crate::found_in;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(found_in(text, None), expected, "{text}");
    }

    #[test]
    fn addresses_are_found_with_whatever_stands_around_them() {
        check("Write to <jane.doe+x@mail.example.org>, please.", &["jane.doe+x@mail.example.org"]);
        check("JOSÉ@EXÄMPLE.DE. Or a@b.co; c@d.io", &["JOSÉ@EXÄMPLE.DE", "a@b.co", "c@d.io"]);
        check("mailto:o'neil@example.com?subject=x", &["o'neil@example.com"]);
    }

    #[test]
    fn what_only_has_the_sign_is_none() {
        for text in [
            "sip:alice@example.com",
            "<sips:alice@example.com;transport=tls>",
            "h323:bob@gk.example.net",
            "git@github.com:org/repo.git",
            "lodash@4.17.21",
            "picture@2x.png",
            "https://user@example.com/",
            "@example.com",
            "a@localhost",
            "a..b@example.com",
        ] {
            check(text, &[]);
        }
    }
}
