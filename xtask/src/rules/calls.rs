//! What code may not call: the printer outside the command line, sleep in tests, and what marks unfinished work.

use crate::finding::Finding;
use crate::source::{Source, find_word, line_at};
use std::path::Path;

struct Rule {
    words: &'static [&'static str],
    /// Path prefixes to which the rule does not apply.
    except: &'static [&'static str],
    /// Does it apply to tests only?
    tests_only: bool,
    instead: &'static str,
}

const RULES: [Rule; 5] = [
    Rule {
        words: &["println!", "print!", "eprintln!", "eprint!"],
        except: &["crates/app/strowger", "xtask", "interop", "benches"],
        tests_only: false,
        instead: "only the command line prints; elsewhere use `tracing`",
    },
    Rule {
        words: &["sleep("],
        except: &["interop", "crates/io"],
        tests_only: true,
        instead: "a test runs in virtual time, or waits for what it needs",
    },
    Rule {
        words: &["#[ignore]", "#[ignore =", "#[ignore="],
        except: &[],
        tests_only: false,
        instead: "a test runs or is deleted",
    },
    Rule {
        words: &[concat!("unimple", "mented!"), concat!("to", "do!")],
        except: &[],
        tests_only: false,
        instead: "write it, or leave it out",
    },
    Rule { words: &[concat!("db", "g!")], except: &[], tests_only: false, instead: "left over from debugging" },
];

pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let is_example = source.path().components().any(|c| c.as_os_str() == "examples" || c.as_os_str() == "benches");
    let in_src = source.path().components().any(|c| c.as_os_str() == "src");
    let is_build_script = !in_src && source.path().file_name().is_some_and(|name| name == "build.rs");
    let mut findings = Vec::new();
    for rule in &RULES {
        let prints = rule.words.contains(&"println!");
        let excepted = rule.except.iter().any(|prefix| source.path().starts_with(Path::new(prefix)));
        if excepted || (prints && (is_example || is_build_script)) {
            continue;
        }
        for word in rule.words {
            for position in find_word(source.code(), word) {
                let line = line_at(source.code(), position);
                if !rule.tests_only || source.is_test(line) {
                    findings.push(Finding::error(source.path(), line, format!("`{word}`: {}", rule.instead)));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_lines(path: &str, text: &str, expected: &[usize]) {
        let found: Vec<_> = check(&Source::new(Path::new(path), text)).iter().map(|f| f.line).collect();
        assert_eq!(found, expected, "{path}: {text}");
    }

    #[test]
    fn only_the_command_line_prints() {
        let text = "\nfn f() { println!(\"x\"); }";
        check_lines("crates/proto/sip/src/lib.rs", text, &[2]);
        check_lines("crates/app/exchange/src/lib.rs", "eprintln!()", &[1]);
        check_lines("crates/app/phone/src/lib.rs", text, &[2]);
        for path in ["crates/app/strowger/src/main.rs", "xtask/src/main.rs"] {
            check_lines(path, text, &[]);
        }
        for path in ["crates/proto/sip/examples/a.rs", "crates/proto/sip/benches/a.rs", "crates/proto/sip/build.rs"] {
            check_lines(path, text, &[]);
        }
        check_lines("crates/app/config/src/build.rs", text, &[2]);
    }

    #[test]
    fn tests_do_not_sleep() {
        let text = "fn f() { sleep(1) }\n#[cfg(test)]\nmod tests {\n    fn g() { std::thread::sleep(1) }\n}";
        check_lines("crates/app/exchange/src/lib.rs", text, &[4]);
        check_lines("crates/app/exchange/tests/a.rs", "fn f() { thread::sleep(d) }", &[1]);
        check_lines("crates/io/net/tests/a.rs", "fn f() { thread::sleep(d) }", &[]);
        check_lines("interop/src/main.rs", text, &[]);
    }

    #[test]
    fn nothing_is_left_unfinished() {
        for rule in &RULES[2..] {
            for word in rule.words {
                check_lines("crates/proto/sip/src/lib.rs", &format!("\n{word}"), &[2]);
                check_lines("crates/proto/sip/src/lib.rs", &format!("// {word}"), &[]);
            }
        }
    }
}
