//! Each file opens with what it is; a library says more than a line, and shows an example. Whether it says what it
//! deliberately does not know is for people to see.

use crate::finding::Finding;
use crate::source::Source;

/// A crate's opening that says what the crate is and what it does not know takes at least this many lines. The example
/// is a block in it.
const CRATE_LINES_MIN: usize = 3;

pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let opening = source.text().lines().take_while(|line| line.starts_with("//!")).count();
    let shows = source.text().lines().take(opening).any(|line| line.starts_with("//! ```"));
    let is_library = source.path().ends_with("src/lib.rs");
    if opening == 0 {
        return vec![Finding::error(source.path(), 1, "the file does not open with `//!` and what it is")];
    }
    if is_library && (opening < CRATE_LINES_MIN || !shows) {
        let message = "the crate's documentation must say what it is, what it deliberately does not know, and show \
                       an example in a block";
        return vec![Finding::error(source.path(), 1, message)];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[track_caller]
    fn check_count(path: &str, text: &str, expected: usize) {
        assert_eq!(check(&Source::new(Path::new(path), text)).len(), expected, "{path}: {text}");
    }

    #[test]
    fn a_file_opens_with_what_it_is() {
        check_count("a/src/x.rs", "//! What it is.\nfn f() {}", 0);
        check_count("a/src/x.rs", "fn f() {}", 1);
        check_count("a/src/x.rs", "// not documentation\n", 1);
        check_count("a/src/x.rs", "\n//! late\n", 1);
        check_count("a/src/main.rs", "//! What it is.\n", 0);
    }

    #[test]
    fn a_library_says_more() {
        check_count("a/src/lib.rs", "//! What it is.\n", 1);
        check_count("a/src/lib.rs", "//! What it is.\n//!\n//! It does not know the rest.\n", 1);
        check_count("a/src/lib.rs", "//! What it is.\n//!\n//! ```\n//! example();\n//! ```\n", 0);
    }
}
