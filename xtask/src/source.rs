//! A Rust file whose code, comments and tests are told apart.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// A Rust file. Code and comments are kept as two texts of the same length as the file, each blank where the other
/// one is not; the content of literals is `"` in the code.
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    text: String,
    code: String,
    comments: String,
    /// For each line: does it belong to a test?
    tests: Vec<bool>,
}

impl Source {
    /// A file with its path from the root of the workspace.
    pub fn new(path: &Path, text: &str) -> Self {
        let (code, comments) = split(text);
        let whole = is_test_file(path);
        let mut tests = vec![whole; text.lines().count()];
        for range in test_items(&code) {
            let (first, last) = (line_at(&code, range.start), line_at(&code, range.end.saturating_sub(1)));
            tests.iter_mut().take(last).skip(first - 1).for_each(|t| *t = true);
        }
        Self { path: path.to_owned(), text: text.to_owned(), code, comments, tests }
    }

    /// The path from the root of the workspace.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file as it is.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The code without comments and without the content of literals.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The lines of [`code`](Self::code), without the blanks at their ends.
    pub fn code_lines(&self) -> impl Iterator<Item = &str> {
        self.code.lines().map(str::trim_end)
    }

    /// The lines of comments, blank where there is code.
    pub fn comment_lines(&self) -> impl Iterator<Item = &str> {
        self.comments.lines()
    }

    /// Does the line, counted from 1, belong to a test?
    pub fn is_test(&self, line: usize) -> bool {
        self.tests.get(line.saturating_sub(1)).copied().unwrap_or(false)
    }

    /// The number of lines in front of the tests at the end of the file.
    pub fn lines_without_trailing_tests(&self) -> usize {
        if is_test_file(&self.path) {
            return self.tests.len();
        }
        let trailing = self.tests.iter().rev().take_while(|test| **test).count();
        self.tests.len() - trailing
    }

    /// Names of modules that are declared under `#[cfg(test)]` and lie in files of their own.
    pub fn test_modules(&self) -> Vec<String> {
        test_items(&self.code)
            .into_iter()
            .filter_map(|range| {
                let item = self.code[range].trim_end().strip_suffix(';')?;
                let (_, name) = item.rsplit_once("mod ")?;
                Some(name.trim().to_owned())
            })
            .collect()
    }

    /// The file as one that belongs to tests as a whole.
    #[must_use]
    pub fn into_test(mut self) -> Self {
        self.tests.fill(true);
        self
    }
}

/// The line of a position, counted from 1.
pub(crate) fn line_at(text: &str, position: usize) -> usize {
    text.as_bytes()[..position.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1
}

/// The positions at which `word` stands for itself, not as part of a longer identifier. A word that begins or ends
/// with something else than an identifier's character has no neighbour on that side.
pub(crate) fn find_word(text: &str, word: &str) -> Vec<usize> {
    let open_left = !word.starts_with(is_identifier);
    let open_right = !word.ends_with(is_identifier);
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| open_left || !text[..*at].ends_with(is_identifier))
        .filter(|at| open_right || !text[*at + word.len()..].starts_with(is_identifier))
        .collect()
}

/// The position behind the bracket that closes the one at `open`, or the end of the code.
pub(crate) fn close_of(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, c) in code[open..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return open + offset + 1;
        }
    }
    code.len()
}

fn is_identifier(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Tests, benches and files named `tests.rs` hold nothing else.
fn is_test_file(path: &Path) -> bool {
    path.components().any(|c| c.as_os_str() == "tests" || c.as_os_str() == "benches")
        || path.file_name().is_some_and(|name| name == "tests.rs")
}

/// The items under `#[cfg(test)]`, from the attribute to the end of the item.
fn test_items(code: &str) -> Vec<Range<usize>> {
    code.match_indices("#[cfg(")
        .filter(|(at, _)| {
            let condition = &code[*at + 6..close_of(code, *at + 5)];
            condition.starts_with("test)") || condition.starts_with("all(test,") || condition.starts_with("any(test,")
        })
        .map(|(at, _)| at..end_of_item(code, at))
        .collect()
}

/// The end of the item whose first attribute stands at `at`: its `;`, or the end of its braces.
fn end_of_item(code: &str, at: usize) -> usize {
    let mut position = at;
    while let Some(c) = code[position..].chars().next() {
        match c {
            '{' => return close_of(code, position),
            ';' => return position + 1,
            '(' | '[' => position = close_of(code, position),
            _ => position += c.len_utf8(),
        }
    }
    code.len()
}

/// Splits a file into its code and its comments; see [`Source`].
fn split(text: &str) -> (String, String) {
    let mut splitter = Splitter { rest: text, code: String::new(), comments: String::new() };
    while let Some(c) = splitter.rest.chars().next() {
        let before = splitter.code.chars().next_back().unwrap_or(' ');
        if splitter.rest.starts_with("//") {
            let length = splitter.rest.find('\n').unwrap_or(splitter.rest.len());
            splitter.comment(length);
        } else if splitter.rest.starts_with("/*") {
            splitter.comment(block_comment_length(splitter.rest));
        } else if let Some((quotes, length)) = literal(splitter.rest, is_identifier(before)) {
            splitter.literal(quotes, length);
        } else {
            splitter.code(c.len_utf8());
        }
    }
    (splitter.code, splitter.comments)
}

struct Splitter<'a> {
    rest: &'a str,
    code: String,
    comments: String,
}

impl Splitter<'_> {
    fn comment(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.comments.push_str(taken);
        blank(&mut self.code, taken, ' ');
        self.rest = rest;
    }

    fn code(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.code.push_str(taken);
        blank(&mut self.comments, taken, ' ');
        self.rest = rest;
    }

    /// A literal whose first `prefix` bytes are code that stays.
    fn literal(&mut self, prefix: usize, length: usize) {
        self.code(prefix);
        let (taken, rest) = self.rest.split_at(length - prefix);
        blank(&mut self.code, taken, '"');
        blank(&mut self.comments, taken, ' ');
        self.rest = rest;
    }
}

/// Appends as many bytes as `taken` has, keeping the line ends.
fn blank(to: &mut String, taken: &str, with: char) {
    to.extend(taken.bytes().map(|b| if b == b'\n' { '\n' } else { with }));
}

fn block_comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The literal that `text` begins with: the length of its prefix (`b`, `r` …) and of the whole.
fn literal(text: &str, in_identifier: bool) -> Option<(usize, usize)> {
    let prefix = if in_identifier {
        0
    } else {
        ["br", "cr", "b", "c", "r"].into_iter().find(|p| text.starts_with(p)).map_or(0, str::len)
    };
    let body = &text[prefix..];
    let hashes = body.bytes().take_while(|b| *b == b'#').count();
    let raw = text[..prefix].ends_with('r');
    if raw && body[hashes..].starts_with('"') {
        let close = format!("\"{}", "#".repeat(hashes));
        let start = prefix + hashes + 1;
        let length = text[start..].find(&close).map_or(text.len(), |at| start + at + close.len());
        return Some((prefix, length));
    }
    if raw {
        return None;
    }
    if body.starts_with('"') {
        return Some((prefix, prefix + quoted_length(body, '"')));
    }
    let mut characters = body.strip_prefix('\'')?.chars();
    match (characters.next()?, characters.next()) {
        ('\\', _) => Some((prefix, prefix + quoted_length(body, '\''))),
        (c, Some('\'')) => Some((prefix, prefix + 2 + c.len_utf8())),
        // A lifetime or a label.
        _ => None,
    }
}

/// The length of a literal with escapes, its quotes included.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new(Path::new("crates/proto/sip/src/lib.rs"), text)
    }

    #[track_caller]
    fn check_split(text: &str, code: &str, comments: &str) {
        let source = source(text);
        assert_eq!((source.code.as_str(), source.comments.as_str()), (code, comments), "{text}");
    }

    #[test]
    fn tells_code_comments_and_literals_apart() {
        check_split("a // b", "a     ", "  // b");
        check_split("a /* b /* c */ d */ e", "a                   e", "  /* b /* c */ d */  ");
        check_split(r#"f("// no") + 1"#, r#"f(""""""") + 1"#, "              ");
        check_split(r##"r#"a" "#;"##, r##"r""""""";"##, "         ");
        check_split(r"b'\'' 'x' 'a &'static", r#"b"""" """ 'a &'static"#, "                     ");
        check_split("r#fn(b)", "r#fn(b)", "       ");
        check_split("\"a\nb\" c", "\"\"\n\"\" c", "  \n    ");
        check_split(r#"("\\", x)"#, r#"("""", x)"#, "         ");
    }

    #[test]
    fn finds_what_belongs_to_tests() {
        let text = "fn a() {}\n#[cfg(test)]\nuse x;\nfn b() {}\n#[cfg(test)]\nmod tests {\n    fn c() {}\n}\n";
        let source = source(text);
        let tests: Vec<usize> = (1..=8).filter(|line| source.is_test(*line)).collect();
        assert_eq!(tests, [2, 3, 5, 6, 7, 8]);
        assert_eq!(source.lines_without_trailing_tests(), 4);
    }

    #[test]
    fn a_feature_named_test_and_not_test_are_no_tests() {
        assert!(!source("#[cfg(feature = \"test\")]\nfn a() {}").is_test(2));
        assert!(!source("#[cfg(not(test))]\nfn a() {}").is_test(2));
        assert!(source("#[cfg(all(test, unix))]\nfn a() {}").is_test(2));
    }

    #[test]
    fn names_test_modules_that_lie_elsewhere() {
        assert_eq!(source("#[cfg(test)]\nmod fixtures;\n#[cfg(test)]\nmod tests { }").test_modules(), ["fixtures"]);
    }

    #[test]
    fn a_word_is_not_found_inside_another() {
        assert_eq!(find_word("tokio tokio_x xtokio tokio::y", "tokio"), [0, 21]);
        assert_eq!(find_word("my_sleep(1) sleep(1)", "sleep("), [12]);
    }
}
