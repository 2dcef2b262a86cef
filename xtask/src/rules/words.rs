//! Words that stand nowhere: marks of unfinished work, pictographs, identifiers of requirements, places that exist
//! on one machine only.

use crate::finding::Finding;
use crate::source::Source;
use crate::tree::Text;

/// Found in any text, whatever stands around them.
const ANYWHERE: [(&str, &str); 5] = [
    (concat!("TO", "DO"), "do it, or leave it out"),
    (concat!("FIX", "ME"), "fix it"),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("../sha", "red"), "a path of one machine"),
    (concat!("issue", " #"), "say what is meant: issues are not part of the repository"),
];

/// Letters that head identifiers of requirements.
const HEADS: &str = "ECMGWXKPBRNLTAVSO";

/// What looks like an identifier of a requirement and is a name of this trade: timers of RFC 3261, the halves of a
/// digest (RFC 7616), linear samples (RFC 3551, RFC 3190), fax (T.38, T.30), digital trunks, stores of objects.
const NAMES: [&str; 14] = ["T1", "T2", "T4", "A1", "A2", "L8", "L16", "L20", "L24", "T38", "T30", "E1", "T3", "S3"];

pub(crate) fn check(text: &Text) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.text.lines().enumerate() {
        let mut report = |message: String| findings.push(Finding::error(&text.path, index + 1, message));
        for (word, instead) in ANYWHERE {
            if line.contains(word) {
                report(format!("`{word}`: {instead}"));
            }
        }
        if let Some(c) = line.chars().find(|c| is_pictograph(*c)) {
            report(format!("U+{:04X} is a pictograph: write words", u32::from(c)));
        }
    }
    for (index, line) in prose(text).iter().enumerate() {
        if let Some(id) = requirement(line) {
            let message = format!("`{id}` looks like the identifier of a requirement: say what is required instead");
            findings.push(Finding::error(&text.path, index + 1, message));
        }
    }
    findings
}

/// The lines of what is written for people: comments of code, all of a document, blank elsewhere.
fn prose(text: &Text) -> Vec<String> {
    let lines =
        |keep: fn(&str) -> bool| text.text.lines().map(move |l| if keep(l) { l.to_owned() } else { String::new() });
    match text.path.extension().and_then(|e| e.to_str()) {
        Some("rs") => Source::new(&text.path, &text.text).comment_lines().map(str::to_owned).collect(),
        Some("md") => lines(|_| true).collect(),
        Some("xml" | "html") => Vec::new(),
        _ => lines(|line| line.trim_start().starts_with('#')).collect(),
    }
}

/// The first word of the line that is a letter of [`HEADS`] and a number of one or two digits.
fn requirement(line: &str) -> Option<&str> {
    line.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '.' | '-' | '%' | '+'))
        .map(|word| word.trim_end_matches(['.', '-']))
        .find(|word| {
            let mut characters = word.chars();
            let headed = characters.next().is_some_and(|c| HEADS.contains(c));
            let digits = characters.as_str();
            headed
                && matches!(digits.len(), 1 | 2)
                && digits.bytes().all(|b| b.is_ascii_digit())
                && !NAMES.contains(word)
        })
}

fn is_pictograph(c: char) -> bool {
    matches!(u32::from(c),
        0x1F000..=0x1FAFF | 0x2600..=0x26FF | 0xFE0F | 0x2705 | 0x270A..=0x270D | 0x2728 | 0x274C | 0x274E
        | 0x2753..=0x2757 | 0x2764 | 0x2795..=0x2797 | 0x2B50 | 0x2B55)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_lines(path: &str, text: &str, expected: &[usize]) {
        let found = check(&Text { path: path.into(), text: text.to_owned() });
        assert_eq!(found.iter().map(|f| f.line).collect::<Vec<_>>(), expected, "{path}: {text}");
    }

    #[test]
    fn marks_and_paths_stand_nowhere() {
        for (word, _) in ANYWHERE {
            check_lines("a/src/x.rs", &format!("\n// {word}1: later"), &[2]);
            check_lines("README.md", &format!("{word}3"), &[1]);
            check_lines("Makefile", &format!("\t{word}x"), &[1]);
        }
    }

    #[test]
    fn pictographs_stand_nowhere_and_arrows_may() {
        check_lines("README.md", "fast \u{1F680}", &[1]);
        check_lines("a/src/x.rs", "const A: &str = \"\u{2705}\";", &[1]);
        check_lines("README.md", "a ──► b ✓ … –", &[]);
    }

    #[test]
    fn identifiers_of_requirements_are_found_in_prose_only() {
        check_lines("a/src/x.rs", concat!("// As ", "C", "7 asks."), &[1]);
        check_lines("docs/a.md", concat!("(", "W", "12)"), &[1]);
        check_lines("Makefile", concat!("# ", "M", "10.\nrun: ", "M", "10"), &[1]);
        check_lines("a/src/x.rs", concat!("fn f(", "C", "7: u8) {}"), &[]);
        check_lines("a/src/x.rs", "// Timer T1, A1 of the digest, L16, RFC 3261, G.722, B2BUA, H264, U+00C4", &[]);
    }
}
