//! Files of at most 600 lines and functions of at most 70.

use crate::finding::Finding;
use crate::source::{Source, close_of, find_word, line_at};

/// What a file aims at, without the tests at its end.
const FILE_LINES_AIM: usize = 400;

/// What a file may have at most, without the tests at its end.
const FILE_LINES_MAX: usize = 600;

/// Lines with code between the braces of a function, as clippy counts them.
const FUNCTION_LINES_MAX: usize = 70;

/// A line that begins with this, followed by a reason, allows a file to be long.
const ESCAPE: &str = "// tidy: long file, because ";

pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let mut findings: Vec<Finding> = check_file(source).into_iter().collect();
    findings.extend(functions(source.code()).filter_map(|function| check_function(source, &function)));
    findings
}

fn check_file(source: &Source) -> Option<Finding> {
    let lines = source.lines_without_trailing_tests();
    let escaped = source.text().lines().any(|l| l.strip_prefix(ESCAPE).is_some_and(|reason| reason.len() > 10));
    if escaped || lines <= FILE_LINES_AIM {
        None
    } else if lines <= FILE_LINES_MAX {
        let message = format!("{lines} lines without the tests at its end; aim at {FILE_LINES_AIM}");
        Some(Finding::warning(source.path(), 1, message))
    } else {
        let message = format!(
            "{lines} lines without the tests at its end, more than {FILE_LINES_MAX}: split it, or say why not in a \
             line `{ESCAPE}…`"
        );
        Some(Finding::error(source.path(), 1, message))
    }
}

struct Function<'a> {
    position: usize,
    name: &'a str,
    /// What stands in front of `fn`: attributes and visibility.
    before: &'a str,
    lines: usize,
}

fn check_function(source: &Source, function: &Function<'_>) -> Option<Finding> {
    let excused = function.before.contains("clippy::too_many_lines") && function.before.contains("reason");
    if function.lines <= FUNCTION_LINES_MAX || excused {
        return None;
    }
    let message = format!(
        "`{}` has {} lines, more than {FUNCTION_LINES_MAX}: split it, or write \
         `#[expect(clippy::too_many_lines, reason = \"…\")]`",
        function.name, function.lines
    );
    Some(Finding::error(source.path(), line_at(source.code(), function.position), message))
}

/// The functions that have a body.
fn functions(code: &str) -> impl Iterator<Item = Function<'_>> {
    find_word(code, "fn").into_iter().filter_map(move |position| {
        let rest = code[position + 2..].trim_start();
        let name = &rest[..rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '#')?];
        if name.is_empty() {
            return None;
        }
        let open = body(code, position)?;
        let inside = &code[open + 1..close_of(code, open) - 1];
        let lines = inside.lines().filter(|line| !line.trim().is_empty()).count();
        let before = &code[..position];
        let before = &before[before.rfind([';', '{', '}']).map_or(0, |at| at + 1)..];
        Some(Function { position, name, before, lines })
    })
}

/// The brace that opens the body of the function at `position`; `None` when it has none.
fn body(code: &str, position: usize) -> Option<usize> {
    let mut at = position;
    loop {
        match code[at..].chars().next()? {
            '{' => return Some(at),
            ';' => return None,
            '(' | '[' => at = close_of(code, at),
            c => at += c.len_utf8(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Severity;
    use std::path::Path;

    #[track_caller]
    fn check_text(text: &str, expected: &[(Severity, usize)]) {
        let findings = check(&Source::new(Path::new("a/src/x.rs"), text));
        let found: Vec<_> = findings.iter().map(|f| (f.severity, f.line)).collect();
        assert_eq!(found, expected, "{findings:?}");
    }

    fn lines(count: usize) -> String {
        "const X: u8 = 1;\n".repeat(count)
    }

    #[test]
    fn a_file_of_400_lines_is_fine_and_of_600_allowed() {
        check_text(&lines(400), &[]);
        check_text(&lines(401), &[(Severity::Warning, 1)]);
        check_text(&lines(600), &[(Severity::Warning, 1)]);
        check_text(&lines(601), &[(Severity::Error, 1)]);
    }

    #[test]
    fn tests_at_the_end_do_not_count() {
        check_text(&format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", lines(400), lines(500)), &[]);
    }

    #[test]
    fn a_long_file_needs_a_reason() {
        check_text(&format!("// tidy: long file, because the table has a row a cause\n{}", lines(700)), &[]);
        check_text(&format!("// tidy: long file, because \n{}", lines(700)), &[(Severity::Error, 1)]);
    }

    #[test]
    fn a_function_has_at_most_70_lines_of_code() {
        let function =
            |body: usize| format!("\nfn long(\n    a: u8,\n) -> [u8; 2] {{\n{}}}\n", "    a();\n".repeat(body));
        check_text(&function(70), &[]);
        check_text(&function(71), &[(Severity::Error, 2)]);
        check_text(&format!("fn f() {{\n{}}}\n", "    // why\n\n".repeat(80)), &[]);
    }

    #[test]
    fn a_long_function_needs_a_reason() {
        let body = "    a();\n".repeat(90);
        check_text(&format!("#[expect(clippy::too_many_lines, reason = \"a table\")]\nfn f() {{\n{body}}}\n"), &[]);
        check_text(&format!("#[allow(clippy::too_many_lines)]\nfn f() {{\n{body}}}\n"), &[(Severity::Error, 2)]);
        check_text("trait T { fn f(&self); }\ntype F = fn(u8);\n", &[]);
    }
}
