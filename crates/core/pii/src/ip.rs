//! IP addresses.

use crate::context::{Group, Runs, Text};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// Addresses of hosts: not the loopback, the address of none, a mask, a version or a section.
pub(crate) fn look(text: &Text<'_>, found: &mut dyn FnMut(Range<usize>)) {
    // Those of IPv6 may have one of IPv4 at their end.
    look_for_v6(text, found);
    for run in Runs::new(text, ".") {
        let range = run.range();
        let is_written = run.groups().len() == 4 && run.groups().iter().all(|group| is_octet(text, group));
        let address = text.str()[range.clone()].parse::<Ipv4Addr>().ok().filter(|_| is_written);
        if address.is_some_and(is_host) && is_v4_alone(text, &range) && !text.is_called(range.start, &NUMBERED) {
            found(range);
        }
    }
}

/// No octet is written with a zero before it.
fn is_octet(text: &Text<'_>, group: &Group) -> bool {
    group.len == 1 || group.len <= 3 && text.bytes()[group.start] != b'0'
}

fn is_host(address: Ipv4Addr) -> bool {
    let bits = u32::from(address);
    let is_mask = bits.leading_ones() >= 8 && bits.leading_ones() + bits.trailing_zeros() == 32;
    !address.is_loopback() && !address.is_unspecified() && !is_mask
}

/// Behind it may stand a port, a length of prefix, or another address after a hyphen; before it a user or a scheme.
fn is_v4_alone(text: &Text<'_>, range: &Range<usize>) -> bool {
    let before = text.before(range.start);
    let is_begun = before.is_none_or(|c| !(c.is_alphanumeric() || "._-".contains(c)));
    let after = &text.str()[range.end..];
    let mut next = after.chars();
    let is_ended = match next.next() {
        None => true,
        Some(c) if c.is_alphanumeric() || c == '_' => false,
        Some('.') => !next.next().is_some_and(char::is_alphanumeric),
        Some('-') => !next.next().is_some_and(char::is_alphanumeric) || after[1..].split('.').count() >= 4,
        Some(_) => true,
    };
    is_ended && (is_begun || before == Some('-') && is_v4_range(text, range.start))
}

/// Is it the second of two addresses with a hyphen between?
fn is_v4_range(text: &Text<'_>, start: usize) -> bool {
    let before = text.str()[..start - 1].rsplit(|c: char| !(c.is_ascii_digit() || c == '.')).next();
    before.is_some_and(|before| before.parse::<Ipv4Addr>().is_ok())
}

/// What has four numbers as well.
const NUMBERED: [&str; 32] = [
    "version",
    "versions",
    "v",
    "ver",
    "release",
    "build",
    "firmware",
    "revision",
    "rev",
    "section",
    "sections",
    "chapter",
    "clause",
    "paragraph",
    "figure",
    "table",
    "step",
    "oid",
    "§",
    "kernel",
    "driver",
    "software",
    "patch",
    "update",
    "bios",
    "library",
    "package",
    "requirement",
    "article",
    "abschnitt",
    "versión",
    "kapitel",
];

fn look_for_v6(text: &Text<'_>, found: &mut dyn FnMut(Range<usize>)) {
    let bytes = text.bytes();
    let mut at = 0;
    while let Some(skipped) = bytes.get(at..).and_then(|rest| rest.iter().position(is_of_v6)) {
        let start = at + skipped;
        let len = bytes[start..].iter().position(|byte| !is_of_v6(byte)).unwrap_or(bytes.len() - start);
        at = start + len;
        let word = &text.str()[start..at];
        let written = word.trim_end_matches('.');
        let written = if written.ends_with("::") { written } else { written.trim_end_matches(':') };
        let range = start..start + written.len();
        let is_alone = text.before(start).is_none_or(|c| !(c.is_alphanumeric() || c == '_'))
            && text.at(range.end).is_none_or(|c| !(c.is_alphanumeric() || c == '_'));
        if is_alone && written.parse().is_ok_and(|address| is_v6_host(written, address)) {
            found(range);
        }
    }
}

fn is_of_v6(byte: &u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
}

/// What has no digit is a name with colons in it, and eight pairs of digits are an EUI-64.
fn is_v6_host(written: &str, address: Ipv6Addr) -> bool {
    let is_eui = written.split(':').all(|group| group.len() == 2);
    let groups = written.split(':').filter(|group| !group.is_empty()).count();
    let has_digit = written.bytes().any(|byte| byte.is_ascii_digit());
    !address.is_loopback() && !address.is_unspecified() && has_digit && groups >= 2 && !is_eui
}

#[cfg(test)]
mod tests {
    use crate::found_in;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(found_in(text, None), expected, "{text}");
    }

    #[test]
    fn addresses_of_hosts_are_found() {
        check("from 192.0.2.7:5060 to [2001:db8::5]:5061", &["192.0.2.7", "2001:db8::5"]);
        check("http://198.51.100.1/, 203.0.113.0/24.", &["198.51.100.1", "203.0.113.0"]);
        check("192.0.2.1-192.0.2.9", &["192.0.2.1", "192.0.2.9"]);
        check("::ffff:192.0.2.1 and fe80::1%eth0: up", &["::ffff:192.0.2.1", "fe80::1"]);
    }

    #[test]
    fn what_is_no_host_is_not() {
        for text in [
            "127.0.0.1",
            "0.0.0.0",
            "::1",
            "::",
            "255.255.255.0",
            "version 1.2.3.4",
            "v1.2.3.4",
            "1.2.3.4.5",
            "openssl-1.1.1.2",
            "300.1.2.3",
            "01.02.03.04",
            "section 4.3.2.1",
            "std::vec",
            "ab::cd",
            "00:1a:2b:3c:4d:5e",
            "00:11:22:33:44:55:66:77",
            "12:34:56",
        ] {
            check(text, &[]);
        }
    }
}
