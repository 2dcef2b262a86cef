//! Below `io/`, and in the worker, nothing reaches a socket, a clock, a lock, a thread, a file, or the system's randomness.

use crate::finding::Finding;
use crate::source::{Source, find_word, line_at};
use std::path::Path;

/// Folders whose crates do no I/O: the layers below `io/`, and the worker that is composed of them.
const LAYERS: [&str; 5] = ["crates/base", "crates/proto", "crates/core", "crates/bind", "crates/app/exchange"];

const TIME: &str = "time comes in with the input, as `Time`";
const SOCKET: &str = "an engine hands out what is to be sent; the shell sends it";
const THREAD: &str = "whoever drives an engine decides where it runs";
const LOCK: &str = "an engine is owned by one worker";
const RANDOM: &str = "draw from the `Rng` that the driver seeded";
const FILE: &str = "the shell reads files and hands their content in";
const ENVIRONMENT: &str = "configuration comes in as values";

/// What may not be written there, and what to do instead.
const FORBIDDEN: [(&str, &str); 29] = [
    ("tokio", THREAD),
    ("mio", SOCKET),
    ("socket2", SOCKET),
    ("UdpSocket", SOCKET),
    ("TcpStream", SOCKET),
    ("TcpListener", SOCKET),
    ("UnixStream", SOCKET),
    ("UnixListener", SOCKET),
    ("UnixDatagram", SOCKET),
    ("ToSocketAddrs", SOCKET),
    ("Instant::now", TIME),
    ("std::time::Instant", TIME),
    ("SystemTime", TIME),
    ("std::thread", THREAD),
    ("thread::spawn", THREAD),
    ("thread::sleep", THREAD),
    ("std::process", THREAD),
    ("Mutex", LOCK),
    ("RwLock", LOCK),
    ("Condvar", LOCK),
    ("thread_local!", LOCK),
    ("getrandom", RANDOM),
    ("OsRng", RANDOM),
    ("SysRng", RANDOM),
    ("RandomState", RANDOM),
    ("std::fs", FILE),
    ("fs::", FILE),
    ("std::env", ENVIRONMENT),
    ("env::", ENVIRONMENT),
];

pub(crate) fn check(source: &Source) -> Vec<Finding> {
    // An example is a small program that drives an engine.
    let is_example = source.path().components().any(|c| c.as_os_str() == "examples");
    if is_example || !LAYERS.iter().any(|layer| source.path().starts_with(Path::new(layer))) {
        return Vec::new();
    }
    let mut findings: Vec<Finding> = Vec::new();
    for (word, instead) in FORBIDDEN {
        for position in find_word(source.code(), word) {
            let line = line_at(source.code(), position);
            // `std::fs::read` names both `std::fs` and `fs::`: one finding a line and reason is enough.
            let known = findings.iter().any(|f| f.line == line && f.message.ends_with(instead));
            if !source.is_test(line) && !known {
                findings.push(Finding::error(source.path(), line, format!("`{word}` in an engine: {instead}")));
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
        let mut found: Vec<_> = check(&Source::new(Path::new(path), text)).iter().map(|f| f.line).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{path}: {text}");
    }

    #[test]
    fn every_forbidden_word_is_found_in_every_layer_below_io() {
        for layer in LAYERS {
            for (word, _) in FORBIDDEN {
                check_lines(&format!("{layer}/x/src/lib.rs"), &format!("fn f() {{ {word} }}"), &[1]);
            }
        }
    }

    #[test]
    fn io_app_examples_and_tests_may() {
        check_lines("crates/io/net/src/lib.rs", "use std::time::Instant;", &[]);
        check_lines("crates/app/strowger/src/main.rs", "use std::fs;", &[]);
        check_lines("crates/proto/codec/examples/recode.rs", "std::env::args()", &[]);
        check_lines("crates/proto/sip/tests/torture.rs", "use std::fs;", &[]);
        check_lines("crates/proto/sip/src/lib.rs", "#[cfg(test)]\nmod tests {\n    use std::fs;\n}", &[]);
    }

    #[test]
    fn comments_strings_and_longer_words_do_not_count() {
        let text =
            "// no tokio here\nconst A: &str = \"tokio\";\nstruct MutexLike;\nenv!(\"A\");\nuse std::net::SocketAddr;";
        check_lines("crates/proto/sip/src/lib.rs", text, &[]);
    }

    #[test]
    fn one_finding_a_line_and_reason() {
        check_lines("crates/core/call/src/lib.rs", "\nstd::fs::read(std::env::var(x))", &[2, 2]);
    }
}
