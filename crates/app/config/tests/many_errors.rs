//! Files with very many faults, and faults beside faults: all are found in time, and none hides another.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};
use sx_config::{Config, ConfigError, ERRORS_MAX, read_facts, read_policy, read_policy_text};

fn lines<T: std::fmt::Debug>(read: Result<T, Vec<ConfigError>>) -> Vec<String> {
    read.expect_err("something is wrong").iter().map(ToString::to_string).collect()
}

#[track_caller]
fn check_policy(text: &str, expected: &[&str]) {
    assert_eq!(lines(read_policy_text(text)), expected, "{text}");
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(lines(Config::from_text(text)), expected, "{text}");
}

/// What takes the square of so many steps takes minutes, even on the fastest machine.
#[track_caller]
fn in_time<T>(work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    done
}

#[test]
fn a_hundred_thousand_unknown_keys_are_counted_and_the_first_said() {
    let mut text = String::from("rule = []\n");
    for n in 0..100_000 {
        writeln!(text, "unknown{n} = {n}").expect("text");
    }
    let errors = in_time(|| read_policy_text(&text)).expect_err("unknown keys");
    assert_eq!(errors.len(), ERRORS_MAX + 1);
    assert_eq!(errors[ERRORS_MAX - 1].to_string(), "text:101: unknown99: unknown key");
    assert_eq!(errors[ERRORS_MAX].to_string(), "text: and 99900 more errors");
    let text: String = (0..5_000).map(|n| format!("unknown{n} = {n}\n")).collect();
    let errors = in_time(|| Config::from_text(&text)).expect_err("unknown keys");
    assert_eq!((errors.len(), errors.iter().map(ConfigError::count).sum()), (ERRORS_MAX + 1, 5_000));
}

#[test]
fn very_many_conflicts_and_very_many_broken_tables_take_no_longer() {
    let empty =
        |n: usize| format!("[[rule]]\nname = \"{n}\"\nwhen = {{ country = [], class = [] }}\nthen = \"reject\"\n");
    let text: String = (0..20_000).map(empty).collect();
    assert_eq!(in_time(|| read_policy_text(&text)).expect_err("empty lists").len(), ERRORS_MAX + 1);
    let broken = |n: usize| format!("[[rule]]\nname = \"{n}\"\nthen =\n");
    let text: String = (0..20_000).map(broken).collect();
    assert_eq!(in_time(|| read_policy_text(&text)).expect_err("no TOML").len(), ERRORS_MAX + 1);
}

#[test]
fn as_many_rules_as_there_may_be_with_a_hundred_numbers_each_are_compared() {
    let mut text = String::new();
    for rule in 0..4_999 {
        let numbers: Vec<String> = (0..100).map(|n| format!("\"0{n:02}{rule:04}\"")).collect();
        let key = if rule % 2 == 0 { "dialled" } else { "dialled_prefix" };
        writeln!(text, "[[rule]]\nname = \"{rule}\"\nwhen = {{ {key} = [{}] }}\nthen = \"reject\"", numbers.join(", "))
            .expect("text");
    }
    let (definition, _) = in_time(|| read_policy_text(&text)).expect("a good policy");
    assert_eq!(definition.rules.len(), 4_999);
}

#[test]
fn a_rule_without_a_name_has_its_other_errors_told() {
    check_policy(
        "[[rule]]\nname = \"a\"\nwhen = { dialled = \"1\" }\nthen = \"reject\"\n\
         [[rule]]\nwhen = { dialled = \"1\" }\nthen = \"approve\"\nstatus = 403\n\
         [[rule]]\nname = 7\nwhen = { dialled_prefix = \"2\" }\nthen = \"conditional\"\n\
         [[rule]]\nname = \"b\"\nwhen = { dialled = \"1\" }\nthen = \"reject\"\nobligations = { record = true, consent = \"law\" }",
        &[
            "text:5: rule[2].name: missing; allowed: text of 1 to 255 bytes without control characters",
            "text:6: rule[2].when: the same conditions as rule a, and another outcome",
            "text:8: rule[2].status = 403: only a rule with then = \"reject\" has a status",
            "text:9: rule[3].obligations: a rule with then = \"conditional\" needs obligations",
            "text:10: rule[3].name = 7: of the wrong type; allowed: text of 1 to 255 bytes without control characters",
            "text:15: rule[b].when: can never match: rule a decides everything that it would take",
            "text:17: rule[b].obligations: a rule with then = \"reject\" has no obligations",
        ],
    );
}

#[test]
fn what_is_wrong_with_conditions_hides_nothing_of_the_outcome_nor_the_other_way_round() {
    check_policy(
        "[[rule]]\nname = \"a\"\nwhen = { country = \"Germany\" }\nthen = \"approve\"\nreason = \"why\"\n\
         [[rule]]\nname = \"b\"\nwhen = { dialled = \"1\" }\nthen = \"approve\"\n\
         [[rule]]\nname = \"c\"\nwhen = { dialled = \"1\" }\nthen = \"reject\"\nstatus = 200",
        &[
            "text:3: rule[a].when.country = \"Germany\": not allowed here; allowed: a list, each entry a country in two capitals, as \"DE\"",
            "text:5: rule[a].reason = \"why\": only a rule with then = \"reject\" has a reason",
            "text:12: rule[c].when: the same conditions as rule b, and another outcome",
            "text:14: rule[c].status = 200: out of range; allowed: 400 to 699",
        ],
    );
}

#[test]
fn one_fault_of_a_trunk_or_a_route_hides_no_other() {
    check(
        "[[trunk]]\nname = \"a\"\nsources = [\"0.0.0.0/0\", \"nowhere\"]\npassword = \"plain\"\n\
         [[trunk]]\nname = \"b\"\nsources = [\"10.0.0.1\", \"10.0.0.1/33\"]\n[[trunk]]\nname = \"c\"\nsources = [\"10.0.0.1\", \"x\"]\n\
         [[route]]\nname = \"r\"\nexact = \"12\"\nprefix = \"123\"\nstrip = 4\nto = [{ users = true }]\n\
         [[route]]\nname = \"s\"\nexact = \"12\"\nprefix = \"123\"\nstrip = 3\nto = [{ users = true }]",
        &[
            "text:3: trunk[a].sources = \"nowhere\": not allowed here; allowed: a list, each entry an IP address, or address/bits with no bit set after the prefix",
            "text:3: trunk[a].sources = [\"0.0.0.0/0\", \"nowhere\"]: everybody would be this trunk: only with any_source in [danger]",
            "text:4: trunk[a].password = <secret>: username and password are given together or not at all",
            "text:4: trunk[a].password = <secret>: of the wrong type; allowed: { env = \"NAME\" } or { file = \"path\" }, a file with mode 0600 or stricter",
            "text:7: trunk[b].sources = \"10.0.0.1/33\": not allowed here; allowed: a list, each entry an IP address, or address/bits with no bit set after the prefix",
            "text:10: trunk[c].sources = \"x\": not allowed here; allowed: a list, each entry an IP address, or address/bits with no bit set after the prefix",
            "text:10: trunk[c].sources = [\"10.0.0.1\", \"x\"]: 10.0.0.1/32 is a source of trunk b already",
            "text:13: route[r].exact = \"12\": only one of exact, prefix and pattern",
            "text:15: route[r].strip = 4: takes off more than the 3 characters that a number is sure to have",
            "text:19: route[s].exact = \"12\": only one of exact, prefix and pattern",
        ],
    );
}

#[test]
fn json_in_the_place_of_toml_is_told_to_be_json() {
    for text in ["{ \"rule\": [] }", "[1]", "[{\"name\": \"a\"}]\n"] {
        let said = "text:1: not TOML: it is JSON; what stands there as {\"a\": 1} is written a = 1 here";
        check_policy(text, &[said]);
        check(text, &[said]);
    }
}

#[test]
fn facts_that_are_json_and_no_object_are_told_what_to_be() {
    let said = |what: &str| {
        format!(
            "text:1: it is JSON, and {what}; the facts of one request are one object: {{ \"identity\": \"anna@example.org\" }}"
        )
    };
    assert_eq!(lines(read_facts("[1]")), [said("a list")]);
    assert_eq!(lines(read_facts("[{\"identity\": \"a@x\"}]")), [said("a list")]);
    assert_eq!(lines(read_facts("\"a@x\"")), [said("a single value")]);
    assert!(read_facts("\u{feff}{\"identity\": \"a@x\"}").is_ok());
    assert!(read_facts("\u{feff}identity = \"a@x\"").is_ok());
}

#[test]
fn a_file_that_cannot_be_read_says_why_and_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let why = |path: &Path| lines(read_policy(path))[0].split_once("cannot be read: ").expect("why").1.to_owned();
    std::os::unix::fs::symlink("gone.toml", at("link.toml")).expect("a link");
    assert_eq!(why(&at("link.toml")), "a link to gone.toml, which is not there; mend the link or put a file there");
    let missing = at("none");
    let no_folder = format!("there is no folder {} either", missing.display());
    assert!(why(&missing.join("policy.toml")).ends_with(&no_folder));
    assert_eq!(why(&at("other.toml")), "No such file or directory (os error 2)");
    assert_eq!(why(folder.path()), "a directory; name a file in it");
    std::fs::write(at("latin.toml"), b"# caf\xe9\n").expect("a file");
    assert_eq!(why(&at("latin.toml")), "not UTF-8; save it as UTF-8 text");
}

#[test]
fn a_registry_that_cannot_be_read_is_told_where_it_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policy.toml");
    let check = |registry: &str, expected: &str| {
        std::fs::write(&path, format!("registry = {registry:?}\nrule = []\n")).expect("a file");
        let base = format!("{}/", folder.path().display());
        assert_eq!(lines(read_policy(&path)).join("\n").replace(&base, ""), expected);
    };
    check(
        "gone.toml",
        "policy.toml:1: registry = \"gone.toml\": cannot be read: gone.toml: No such file or directory (os error 2)",
    );
    check(
        "",
        "policy.toml:1: registry = \"\": not allowed here; allowed: text of 1 to 255 bytes without control characters",
    );
}
