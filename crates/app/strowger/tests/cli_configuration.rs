//! The program as a whole, and what it says of configurations.

mod bed;

use bed::Bed;
use serde_json::{Value, json};

#[test]
fn a_good_configuration_is_good() {
    let bed = Bed::new();
    let out = bed.ok(&["check"]);
    assert!(out.starts_with("./strowger.toml: good\n") && out.contains("example.org, example.net"), "{out}");
    assert_eq!(bed.ok(&["check", "--json"]), "[]\n");
    assert!(!bed.data().exists(), "checking changes nothing");
}

#[test]
fn all_errors_are_printed_and_the_exit_code_is_2() {
    let bed = Bed::new();
    bed.write("bad.toml", "[sip]\nt1_ms = 0\nt2ms = 4000\n");
    for command in ["check", "serve", "print-config", "drain"] {
        let run = bed.run(&["--config", "bad.toml", command]);
        assert_eq!(run.code, Some(2), "{run:?}");
        let lines: Vec<&str> = run.err.lines().collect();
        assert_eq!(lines[0], "bad.toml:2: sip.t1_ms = 0: out of range; allowed: 50 to 10000 ms");
        assert_eq!(lines[1], "bad.toml:3: sip.t2ms: unknown key; did you mean \"t2_ms\"?");
        assert_eq!(lines[2..], ["strowger: 2 errors in the configuration"]);
        assert_eq!(run.out, "");
    }
}

#[test]
fn the_files_that_a_configuration_names_are_read_too() {
    let bed = Bed::new();
    let check = |more: &str, expected: &str, code: i32| {
        bed.write("named.toml", &format!("[exchange]\ndomains = [\"example.org\"]\n{more}"));
        let run = bed.run(&["check", "--config", "named.toml"]);
        assert_eq!(run.code, Some(code), "{run:?}");
        assert!(run.err.contains(expected), "{run:?}");
    };
    bed.write("policy.toml", "[[rule]]\nname = \"r\"\nthen = \"maybe\"\n");
    check("[policy]\nfile = \"policy.toml\"\n", "policy.toml:3: rule[r].then = \"maybe\"", 2);
    bed.write("policy.toml", "[[rule]]\nname = \"a\"\nthen = \"reject\"\n[[rule]]\nname = \"b\"\nthen = \"approve\"\n");
    check("[policy]\nfile = \"policy.toml\"\n", "the same conditions as rule a", 2);
    bed.write("policy.toml", "[[gate.rate.trunk]]\nname = \"west\"\ncalls_max = 1\n");
    check("[policy]\nfile = \"policy.toml\"\n", "warning: it names the trunk west, which the configuration", 0);
    let bound = "[[rule]]\nname = \"a\"\nthen = \"conditional\"\nobligations = { record = true }\n";
    bed.write("policy.toml", bound);
    check("[policy]\nfile = \"policy.toml\"\n", "policy.toml: warning: the rule \"a\" refuses all that it binds", 0);
    bed.write("geo.mmdb", "no database");
    check("[edge]\ngeoip_database = \"geo.mmdb\"\ncountries_blocked = [\"DE\"]\n", "geo.mmdb cannot be read", 2);
}

#[test]
fn what_is_wrong_with_the_configuration_does_not_hide_what_is_wrong_with_its_policy() {
    let bed = Bed::new();
    bed.write("both.toml", "[sip]\nt1_ms = 0\n[policy]\nfile = \"policy.toml\"\n");
    bed.write("policy.toml", "[[rule]]\nname = \"r\"\nthen = \"maybe\"\nstatus = 99\n");
    let run = bed.run(&["check", "--config", "both.toml"]);
    let places: Vec<&str> = run.err.lines().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(places, ["both.toml:2", "policy.toml:3", "policy.toml:4", "strowger"], "{run:?}");
    bed.write("both.toml", "[sip]\nt1_ms = 0\n[policy]\nfile = \"nowhere.toml\"\n");
    let run = bed.run(&["check", "--config", "both.toml"]);
    assert_eq!(run.err.matches("nowhere.toml").count(), 1, "{run:?}");
}

#[test]
fn a_wrong_configuration_stops_nothing_that_is_given_its_folder() {
    let bed = Bed::new();
    bed.ok(&["token", "create", "reader", "--role", "viewer"]);
    bed.write("strowger.toml", "[sip]\nt1_ms = 0\n");
    assert!(bed.ok(&["token", "list", "--data", "data"]).contains("reader"));
    let key = "exchange.example/log+25e5e14a+AblOao7bpD/pnNe4BeI2PcLFqxqagBDZOAa8Z0uylR/i";
    for command in [&["cdr", "count", "--data", "data"][..], &["witness", "verify", "nowhere", "--key", key][..]] {
        let run = bed.run(command);
        assert!(run.code != Some(2) && !run.err.contains("sip.t1_ms"), "{command:?}: {run:?}");
    }
    assert_eq!(bed.run(&["token", "list"]).code, Some(2), "where the folder is, nothing else says");
}

#[test]
fn errors_are_an_array_for_programs() {
    let bed = Bed::new();
    bed.write("bad.toml", "[sip]\nt1_ms = 0\n");
    let run = bed.run(&["check", "--json", "--config", "bad.toml"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    let errors: Value = serde_json::from_str(&run.out).expect("JSON");
    let problem = "out of range; allowed: 50 to 10000 ms";
    assert_eq!(
        errors,
        json!([{ "file": "bad.toml", "line": 2, "key": "sip.t1_ms", "value": "0", "problem": problem, "warning": false }])
    );
}

#[test]
fn warnings_are_in_the_array_for_programs_too() {
    let bed = Bed::new();
    bed.write("named.toml", "[policy]\nfile = \"policy.toml\"\n");
    bed.write("policy.toml", "[[gate.rate.trunk]]\nname = \"west\"\ncalls_max = 1\n");
    let check = |code: i32| -> Value {
        let run = bed.run(&["check", "--json", "--config", "named.toml"]);
        assert_eq!((run.code, run.err.as_str()), (Some(code), ""), "{run:?}");
        serde_json::from_str(&run.out).expect("JSON")
    };
    let warning = json!({ "file": "policy.toml", "line": null, "key": "", "value": "", "warning": true,
        "problem": "it names the trunk west, which the configuration does not have" });
    assert_eq!(check(0), json!([warning]));
    bed.write("geo.mmdb", "no database");
    bed.write(
        "named.toml",
        "[policy]\nfile = \"policy.toml\"\n[edge]\ngeoip_database = \"geo.mmdb\"\ncountries_blocked = [\"DE\"]\n",
    );
    let both = check(2);
    assert_eq!((&both[0], both.as_array().map(Vec::len)), (&warning, Some(2)), "{both}");
    assert_eq!((&both[1]["file"], &both[1]["warning"]), (&json!("named.toml"), &json!(false)), "{both}");
}

#[test]
fn a_configuration_that_is_named_must_be_there() {
    let bed = Bed::new();
    let run = bed.run(&["check", "--config", "missing.toml"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.err.starts_with("missing.toml: cannot be read"), "{run:?}");
}

#[test]
fn variables_override_the_file_and_are_checked_too() {
    let bed = Bed::new();
    let run = bed.run_with(&["print-config", "--json"], "", &[("STROWGER_SIP__T1_MS", "250")]);
    let tree: Value = serde_json::from_str(&run.out).expect("JSON");
    assert_eq!(tree["sip"]["t1_ms"], 250);
    assert_eq!(tree["exchange"]["domains"], json!(["example.org", "example.net"]));
    let run = bed.run_with(&["check"], "", &[("STROWGER_SIP__T1_MS", "0")]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.err.starts_with("STROWGER_SIP__T1_MS: sip.t1_ms = 0"), "{run:?}");
}

#[test]
fn what_is_printed_is_a_configuration_that_means_the_same() {
    let bed = Bed::new();
    let printed = bed.ok(&["print-config"]);
    bed.write("printed.toml", &printed);
    assert_eq!(bed.ok(&["print-config", "--config", "printed.toml"]), printed);
    let elsewhere = bed.ok(&["--data", "elsewhere", "print-config"]);
    assert!(elsewhere.contains("data = \"elsewhere\""), "{elsewhere}");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let bed = Bed::new();
    for arguments in [&["nonsense"][..], &["user"], &["cdr", "show", "x"], &["cdr", "list", "--from", "x"], &["call"]] {
        let run = bed.run(arguments);
        assert_eq!(run.code, Some(2), "{arguments:?}: {run:?}");
        assert!(run.err.contains("Usage:") || run.err.contains("--help"), "{run:?}");
    }
}

#[test]
fn the_program_describes_itself() {
    let bed = Bed::new();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(bed.ok(&["version"]), format!("strowger {version}\n"));
    assert_eq!(bed.ok(&["--version"]), format!("strowger {version}\n"));
    let object: Value = serde_json::from_str(&bed.ok(&["version", "--json"])).expect("JSON");
    assert_eq!(object, json!({ "name": "strowger", "version": version }));
    assert!(bed.ok(&["--help"]).contains("Exit codes:"));
    assert!(bed.ok(&["reference"]).contains("t1_ms"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(bed.ok(&["completion", shell]).contains("print-config"), "{shell}");
    }
}

#[test]
fn nothing_can_be_drained_where_nothing_runs() {
    let bed = Bed::new();
    let run = bed.run(&["drain"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.err.contains("no exchange runs on the data folder"), "{run:?}");
    // A file that a dead process has left.
    std::fs::create_dir(bed.data()).expect("a folder");
    bed.write("data/lock", "1\n");
    assert_eq!(bed.run(&["drain"]).code, Some(1), "process 1 is left alone");
}
