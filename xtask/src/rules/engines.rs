//! Below `io/`, and in the worker, nothing reaches a socket, a clock, a lock, a thread, a file, or the system's randomness.

use crate::finding::Finding;
use crate::source::{Source, close_of, find_word, line_at};
use std::path::Path;

/// Folders whose crates do no I/O: the layers below `io/`, and the worker that is composed of them.
const LAYERS: [&str; 5] = ["crates/base", "crates/proto", "crates/core", "crates/bind", "crates/app/exchange"];

const TIME: &str = "time comes in with the input, as `Time`";
const SOCKET: &str = "an engine hands out what is to be sent; the shell sends it";
const THREAD: &str = "whoever drives an engine decides where it runs";
const LOCK: &str = "an engine is owned by one worker";
const RANDOM: &str = "draw from the `Rng` that the driver seeded";
const HASHED: &str = "the system seeds its hasher; take a `BTreeMap` or `BTreeSet`, or name the hasher";
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

/// Maps and sets, with how many parameters those have that leave the hasher out.
const HASHED_BY_DEFAULT: [(&str, usize); 2] = [("HashMap", 2), ("HashSet", 1)];

/// Functions of the standard library that make one with the system's hasher.
const MAKES_HASHED: [&str; 3] = ["::new", "::with_capacity", "::from"];

/// Where a word may stand all the same.
const ALLOWED: [(&str, &str); 1] = [
    // The library that shakes hands speaks of instants; the driver reads the clock (`Anchor`).
    ("crates/proto/dtls/src/association.rs", "std::time::{.. Instant ..}"),
];

pub(crate) fn check(source: &Source) -> Vec<Finding> {
    // An example is a small program that drives an engine.
    let is_example = source.path().components().any(|c| c.as_os_str() == "examples");
    if is_example || !LAYERS.iter().any(|layer| source.path().starts_with(Path::new(layer))) {
        return Vec::new();
    }
    let mut findings: Vec<Finding> = Vec::new();
    let code = source.code();
    let words =
        FORBIDDEN.iter().flat_map(|(word, instead)| find_word(code, word).into_iter().map(|at| (at, *word, *instead)));
    let hashed = hashed_by_default(code).into_iter().map(|(at, word)| (at, word, HASHED));
    let instants = listed_instants(code).into_iter().map(|at| (at, LISTED_INSTANT, TIME));
    for (position, word, instead) in words.chain(hashed).chain(instants) {
        let line = line_at(code, position);
        // `std::fs::read` names both `std::fs` and `fs::`: one finding a line and reason is enough.
        let known = findings.iter().any(|f| f.line == line && f.message.ends_with(instead));
        let allowed = ALLOWED.iter().any(|(path, what)| source.path() == Path::new(path) && *what == word);
        if !source.is_test(line) && !known && !allowed {
            findings.push(Finding::error(source.path(), line, format!("`{word}` in an engine: {instead}")));
        }
    }
    findings
}

/// Where there are maps and sets whose hasher the system seeds: none is named, or they are made so.
fn hashed_by_default(code: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (name, parameters) in HASHED_BY_DEFAULT {
        for at in find_word(code, name) {
            let rest = &code[at + name.len()..];
            let typed = rest.strip_prefix("::").unwrap_or(rest);
            let by_default = match typed.strip_prefix('<').map(parameters_of) {
                Some(given) => given == parameters,
                None => MAKES_HASHED.iter().any(|made| find_word(rest, made).first() == Some(&0)),
            };
            if by_default {
                found.push((at, name));
            }
        }
    }
    found
}

/// How many parameters there are behind a `<`.
fn parameters_of(code: &str) -> usize {
    let (mut depth, mut count, mut is_empty) = (0_usize, 0, true);
    let mut before = ' ';
    for c in code.chars() {
        match c {
            // The arrow of a function's type closes nothing.
            '>' if before == '-' => {}
            '>' if depth == 0 => break,
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                count += 1;
                is_empty = true;
            }
            _ => {}
        }
        is_empty &= c == ',' && depth == 0 || c.is_whitespace();
        before = c;
    }
    count + usize::from(!is_empty)
}

const LISTED_INSTANT: &str = "std::time::{.. Instant ..}";

/// Where `Instant` is among what is taken from `std::time` at once.
fn listed_instants(code: &str) -> Vec<usize> {
    find_word(code, "time::{")
        .into_iter()
        .flat_map(|at| {
            let open = at + "time::".len();
            let list = &code[open..close_of(code, open)];
            find_word(list, "Instant").into_iter().map(move |within| open + within)
        })
        .collect()
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
    fn maps_and_sets_name_their_hasher() {
        for bad in [
            "HashMap::new()",
            "HashSet::new()",
            "HashMap::with_capacity(9)",
            "HashMap::from([])",
            "HashMap<Arc<str>, Vec<(u8, u8)>>",
            "HashMap<\n    Arc<str>,\n    fn(u8) -> u8,\n>",
            "HashMap::<_, _>::default()",
            "std::collections::HashSet<&Arc<str>>",
            "HashSet<[u8; 4]>",
        ] {
            check_lines("crates/core/call/src/lib.rs", &format!("fn f() {{ {bad} }}"), &[1]);
        }
        for good in [
            "use std::collections::{HashMap, HashSet};",
            "type Seen<K> = HashMap<K, usize, BuildHasherDefault<DefaultHasher>>;",
            "names: HashSet<Box<str>, Named>,",
            "index: HashMap::default(),",
            "let it: HashMap<Vec<(A, B)>, fn(A, B) -> C, Named> = HashMap::with_hasher(x);",
        ] {
            check_lines("crates/core/call/src/lib.rs", good, &[]);
        }
        check_lines("crates/io/net/src/lib.rs", "HashMap::new()", &[]);
    }

    #[test]
    fn an_instant_is_found_in_a_list() {
        let list = "use std::time::{Duration, Instant};";
        check_lines("crates/proto/sip/src/lib.rs", list, &[1]);
        check_lines("crates/proto/sip/src/lib.rs", "use std::{fmt, time::{Duration,\n Instant as Now}};", &[2]);
        check_lines("crates/proto/sip/src/lib.rs", "use std::time::{Duration, InstantLike};\nInstant", &[]);
        check_lines("crates/proto/dtls/src/association.rs", list, &[]);
        check_lines("crates/proto/dtls/src/association.rs", "Instant::now()", &[1]);
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
