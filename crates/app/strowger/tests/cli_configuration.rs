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
    let bound = "[[rule]]\nname = \"a\"\nthen = \"conditional\"\nobligations = { record = true, consent = \"law\" }\n";
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

/// The warnings that a configuration draws, with the policy beside it, as their keys and sentences.
fn warnings(bed: &Bed, config: &str, policy: &str) -> Vec<(String, String)> {
    let named = if policy.is_empty() { "" } else { "[policy]\nfile = \"policy.toml\"\n" };
    bed.write("policy.toml", policy);
    bed.write("doubted.toml", &format!("[exchange]\ndomains = [\"example.org\"]\n{named}{config}"));
    let run = bed.run(&["check", "--json", "--config", "doubted.toml"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let found: Vec<Value> = serde_json::from_str(&run.out).expect("an array");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    found.iter().map(|warning| (text(&warning["key"]), text(&warning["problem"]))).collect()
}

fn trunk(name: &str, more: &str) -> String {
    format!("[[trunk]]\nname = \"{name}\"\n{more}\n")
}

#[test]
fn keys_of_srtp_that_stand_in_clear_signalling_are_warned_of() {
    let bed = Bed::new();
    let check = |config: &str, expected: &[&str]| {
        let found = warnings(&bed, config, "");
        let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, expected, "{config}: {found:?}");
        assert!(found.iter().all(|(_, problem)| problem.contains("in the clear")), "{found:?}");
    };
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    bed.write("certificate.pem", &certificate.cert.pem());
    bed.write("key.pem", &certificate.signing_key.serialize_pem());
    let required = "[media]\nsrtp = \"required\"\n";
    check(required, &["media.srtp"]);
    check(&format!("{required}srtp_keying = \"dtls\"\n"), &[]);
    check("[media]\nsrtp = \"optional\"\n", &[]);
    let over_tls = "[sip]\nlisten = [{ transport = \"udp\", address = \"127.0.0.1:5060\" }, { transport = \"tls\", \
                    address = \"127.0.0.1:5061\" }]\n[sip.tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n";
    check(&format!("{required}{over_tls}"), &[]);
    let west = |more: &str| trunk("west", &format!("srtp = \"required\"\n{more}"));
    check(&west("addresses = [\"sip:192.0.2.1\"]"), &["trunk[west].srtp"]);
    check(&west("addresses = [\"sip:192.0.2.1;transport=tcp\"]"), &["trunk[west].srtp"]);
    check(&west("addresses = [\"sip:192.0.2.1;transport=tls\"]"), &[]);
    check(&west("addresses = [\"sips:carrier.example\", \"sip:192.0.2.1\"]"), &[]);
    check(&west("sources = [\"192.0.2.1\"]"), &["trunk[west].srtp"]);
    check(&format!("{}{over_tls}", west("sources = [\"192.0.2.1\"]")), &[]);
    check(&west("addresses = [\"sip:192.0.2.1\"]\nsrtp_keying = \"dtls\""), &[]);
    // What it takes over of the rest is its own as well.
    let taken_over = trunk("west", "addresses = [\"sip:192.0.2.1\"]");
    check(&format!("{required}{over_tls}{taken_over}"), &["trunk[west].srtp"]);
}

#[test]
fn lists_that_leave_no_codec_for_a_call_are_warned_of() {
    let bed = Bed::new();
    let check = |config: &str, policy: &str, expected: &[&str]| {
        let found = warnings(&bed, config, policy);
        let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, expected, "{config} {policy}: {found:?}");
    };
    let west = |codecs: &str| trunk("west", &format!("sources = [\"192.0.2.1\"]\ncodecs_allowed = [{codecs}]"));
    check(&west("\"telephone-event\""), "", &["trunk[west].codecs_allowed"]);
    check(&west("\"telephone-event\", \"CN\""), "", &["trunk[west].codecs_allowed"]);
    check(&west("\"telephone-event\", \"PCMA\""), "", &[]);
    check("", "[gate.codec]\nallowed = [\"telephone-event\"]\n", &["gate.codec.allowed"]);

    let allowed = "[gate.codec]\nallowed = [\"PCMU\", \"telephone-event\"]\n";
    check(&west("\"PCMA\", \"telephone-event\""), allowed, &["trunk[west].codecs_allowed"]);
    check(&west("\"PCMA\", \"PCMU\""), allowed, &[]);
    check("", allowed, &[]);
    let of_trunk = format!("{allowed}[[gate.codec.trunk]]\nname = \"WEST\"\nallowed = [\"PCMA\"]\n");
    check(&west("\"PCMA\""), &of_trunk, &[]);
    check(&west("\"PCMU\""), &of_trunk, &["trunk[west].codecs_allowed"]);

    let rule = |when: &str, codecs: &str| {
        format!(
            "[[rule]]\nname = \"r\"\nwhen = {{ {when} }}\nthen = \"conditional\"\nobligations = {{ codecs = [{codecs}] }}\n"
        )
    };
    let bound = |policy: &str, when: &str, codecs: &str| format!("{}{policy}", rule(when, codecs));
    check("", &bound(allowed, "dialled_prefix = \"0\"", "\"PCMA\""), &["rule[r].obligations.codecs"]);
    check("", &bound(allowed, "dialled_prefix = \"0\"", "\"PCMA\", \"PCMU\""), &[]);
    check("", &bound("", "dialled_prefix = \"0\"", "\"PCMA\""), &[]);
    let with_class = format!("{allowed}[[gate.codec.class]]\nname = \"expert\"\nallowed = [\"PCMA\"]\n");
    check("", &bound(&with_class, "dialled_prefix = \"0\"", "\"PCMA\""), &[]);
    check("", &bound(&with_class, "class = \"expert\"", "\"PCMU\""), &["rule[r].obligations.codecs"]);
    check(&west("\"PCMU\""), &bound("", "trunk = \"west\"", "\"PCMA\""), &["rule[r].obligations.codecs"]);
}

#[test]
fn names_in_a_policy_that_nobody_here_has_are_warned_of() {
    let bed = Bed::new();
    let rule = |when: &str| format!("[[rule]]\nname = \"r\"\nwhen = {{ {when} }}\nthen = \"reject\"\n");
    let check = |config: &str, when: &str, expected: Option<(&str, &str)>| {
        let found = warnings(&bed, config, &rule(when));
        let shown = found.first().map(|(key, problem)| (key.as_str(), problem.as_str()));
        assert!(found.len() <= 1 && shown.is_none() == expected.is_none(), "{when}: {found:?}");
        if let (Some((key, problem)), Some((wanted, part))) = (shown, expected) {
            assert!(key == wanted && problem.contains(part), "{key} {problem}");
        }
    };
    let organisation = |members: &str| {
        format!("[[organisation]]\nname = \"acme\"\nnetworks = [\"192.0.2.0/24\"]\nmembers = [{members}]\n")
    };
    let of_acme = "organisation = \"acme\"";
    check(&organisation("\"*@example.org\""), of_acme, None);
    check(&organisation(""), of_acme, Some(("rule[r].when.organisation", "has no members")));
    check("", of_acme, Some(("rule[r].when.organisation", "neither the configuration nor the registry")));
    check("", "identity = \"bob@Example.org\"", None);
    check("", "identity = \"*@example.org\"", None);
    check("", "identity = \"*@example.net\"", Some(("rule[r].when.identity", "*@example.net")));
    check("[danger]\nunauthenticated_calls = true\n", "identity = \"*@example.net\"", None);
    check("", "identity = \"west\"", Some(("rule[r].when.identity", "west")));
    let west = trunk("west", "sources = [\"192.0.2.1\"]");
    check(&west, "identity = \"west\"", None);
    check(&west, "trunk = \"west\"", None);
    check(&west, "trunk = \"east\"", Some(("", "the trunk east")));
    let outward = trunk("west", "sources = []\naddresses = [\"sip:192.0.2.1\"]");
    check(&outward, "trunk = \"west\"", Some(("rule[r].when.trunk", "has no sources")));

    let registered = "rule = []\n[[identity]]\nidentity = \"bob@example.org\"\norganisation = \"acme\"\n";
    assert_eq!(warnings(&bed, "", &format!("{registered}{}", "")), []);
    let of_nobody = registered.replace("example.org", "example.net");
    assert_eq!(warnings(&bed, "", &of_nobody)[0].0, "identity[bob@example.net]");
    let rate = "[[gate.rate.identity]]\nname = \"bob@example.net\"\nlimit = 1\n";
    assert_eq!(warnings(&bed, "", rate)[0].0, "gate.rate.identity[bob@example.net]");
    let known = format!("{}[[identity]]\nidentity = \"bob@example.org\"\norganisation = \"acme\"\n", rule(of_acme));
    assert_eq!(warnings(&bed, "", &known), [], "the registry knows who belongs to it");
}

#[test]
fn a_trunk_that_neither_calls_nor_is_called_is_an_error() {
    let bed = Bed::new();
    for lists in ["", "sources = []\n", "addresses = []\n", "sources = []\naddresses = []\n"] {
        bed.write("trunk.toml", &trunk("west", lists));
        let run = bed.run(&["check", "--config", "trunk.toml"]);
        assert!(run.code == Some(2) && run.err.contains("trunk[west]: needs addresses or sources"), "{run:?}");
    }
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

#[test]
fn an_api_that_would_not_start_is_not_good() {
    let bed = Bed::new();
    bed.write("plain.toml", "[exchange]\ndomains = [\"example.org\"]\n[api]\nlisten = \"0.0.0.0:8081\"\n");
    let run = bed.run(&["check", "--config", "plain.toml"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.err.contains("api.listen: ") && run.err.contains("give it a certificate"), "{}", run.err);
}

#[test]
fn a_folder_of_sounds_that_cannot_be_read_is_warned_of() {
    let bed = Bed::new();
    let found = warnings(&bed, "[media]\nsounds = \"nowhere\"\n", "");
    let [(key, problem)] = &*found else { panic!("one warning: {found:?}") };
    assert!(key == "media.sounds" && problem.contains("nowhere cannot be read"), "{found:?}");
    std::fs::create_dir(bed.path("nowhere")).expect("a folder");
    assert_eq!(warnings(&bed, "[media]\nsounds = \"nowhere\"\n", ""), []);
}

#[test]
fn a_door_that_somebody_else_has_and_a_folder_that_is_a_file_are_errors() {
    let bed = Bed::new();
    bed.write("taken", "");
    let check = |more: &str, expected: &str| {
        bed.write("wrong.toml", &format!("[exchange]\ndomains = [\"example.org\"]\n{more}"));
        let run = bed.run(&["check", "--config", "wrong.toml"]);
        assert!(run.code == Some(2) && run.err.contains(expected), "{run:?}");
    };
    check("[recording]\nfolder = \"taken\"\n", "recording.folder: ");
    let doors =
        "[[sip.listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n[ng]\nlisten_udp = \"127.0.0.1:5060\"\n";
    check(doors, "sip.listen has this address");
    check(&doors.replacen("127.0.0.1", "0.0.0.0", 1), "sip.listen has this address");
}

#[test]
fn a_ground_for_recordings_of_proxies_that_there_are_not_is_warned_of() {
    let bed = Bed::new();
    for (more, expected) in [
        ("[ng]\nrecording_consent = \"law\"\n", "neither ng.listen_udp"),
        ("[ng]\nrecording_consent = \"law\"\nlisten_udp = \"127.0.0.1:2223\"\n", "[recording] is not there"),
    ] {
        let found = warnings(&bed, more, "");
        assert!(found.len() == 1 && found[0].0 == "ng.recording_consent" && found[0].1.contains(expected), "{found:?}");
    }
}
