//! Programs that look for telephone systems to break into, and say so.

/// What the User-Agent of a scanner contains. Tools of honest people are not among them, though scanners use some of
/// those too: sipsak and SIPp say nothing about who runs them.
pub const SCANNERS: &[&str] = &[
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sipcli",
    "sip-scan",
    "sipscan",
    "sundayddr",
    "iwar",
    "sivus",
    "vaxsipuseragent",
    "vaxipuseragent",
    "pplsip",
    "smap",
    "siparmyknife",
];

/// Names of so few letters also turn up inside honest words, and must stand alone.
const SHORT: usize = 4;

/// The name of [`SCANNERS`] that a User-Agent contains, whatever its case.
pub fn is_scanner(user_agent: &[u8]) -> Option<&'static str> {
    scanner_among(SCANNERS, user_agent).copied()
}

/// One of the names that a User-Agent contains, whatever its case. A name of four letters and fewer must not
/// have a letter on either side; an empty one is in nothing.
pub fn scanner_among<'a, S: AsRef<str>>(names: &'a [S], user_agent: &[u8]) -> Option<&'a S> {
    // Few bytes begin a name, so that most of the text is passed over at a byte a step.
    let begins = names.iter().filter_map(|name| name.as_ref().bytes().next()).fold([0u64; 4], |mut begins, first| {
        for byte in [first.to_ascii_lowercase(), first.to_ascii_uppercase()] {
            begins[usize::from(byte >> 6)] |= 1 << (byte & 63);
        }
        begins
    });
    (0..user_agent.len())
        .filter(|place| {
            let byte = user_agent[*place];
            begins[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
        })
        .find_map(|place| names.iter().find(|name| stands_at(user_agent, place, name.as_ref().as_bytes())))
}

fn stands_at(text: &[u8], place: usize, name: &[u8]) -> bool {
    let Some(part) = text.get(place..place + name.len()).filter(|_| !name.is_empty()) else { return false };
    part.eq_ignore_ascii_case(name) && (name.len() > SHORT || stands_alone(text, place, name.len()))
}

fn stands_alone(text: &[u8], place: usize, len: usize) -> bool {
    let is_letter = |place: usize| text.get(place).is_some_and(u8::is_ascii_alphabetic);
    !is_letter(place.wrapping_sub(1)) && !is_letter(place + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scanners_are_known_by_their_name() {
        for (user_agent, expected) in [
            ("friendly-scanner", Some("friendly-scanner")),
            ("SIPVicious 0.3", Some("sipvicious")),
            ("sipcli/v1.8", Some("sipcli")),
            ("VaxSIPUserAgent/3.1", Some("vaxsipuseragent")),
            ("smap 0.6.0", Some("smap")),
            ("iWar", Some("iwar")),
            ("mySIPViciousness", Some("sipvicious")),
            ("Multiwarp 2", None),
            ("sipsak 0.9.7", None),
            ("Asterisk PBX 20.1", None),
            ("", None),
            ("friendly-scanne", None),
        ] {
            assert_eq!(is_scanner(user_agent.as_bytes()), expected, "{user_agent}");
        }
        assert_eq!(is_scanner(b"\xff\x00sundayddr\xfe"), Some("sundayddr"));
    }

    #[test]
    fn the_list_can_be_another() {
        let names = ["".to_owned(), "evil".to_owned()];
        assert_eq!(scanner_among(&names, b"Evil/1.0").map(String::as_str), Some("evil"));
        assert_eq!(scanner_among(&names, b"sipvicious"), None);
    }
}
