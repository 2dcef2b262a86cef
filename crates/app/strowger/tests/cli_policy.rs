//! Policies on the command line: checked, tried and explained.

mod bed;

use bed::Bed;
use serde_json::Value;

const POLICY: &str = r#"
[[identity]]
identity = "mallory@example.com"
status = "suspended"

[[rule]]
name = "no premium numbers"
when = { dialled_prefix = ["0900"] }
then = "reject"
status = 603
reason = "premium numbers are not for us"

[[rule]]
name = "abroad is recorded"
when = { dialled_prefix = ["00"] }
then = "conditional"
obligations = { record = true, consent = "announced", limit_s = 3600 }
"#;

/// A policy, and facts of three requests.
fn bed() -> Bed {
    let bed = Bed::new();
    bed.write("policy.toml", POLICY);
    let facts = |subject: &str, identity: &str| {
        format!("identity = \"{identity}\"\nauthenticated = \"digest-sha256\"\nsubject = \"{subject}\"\n")
    };
    bed.write("home.toml", &facts("+49301234567", "alice@example.com"));
    bed.write("abroad.toml", &facts("0044123", "alice@example.com"));
    bed.write("premium.toml", &facts("0900123", "alice@example.com"));
    bed.write(
        "mallory.json",
        "{\"identity\": \"mallory@example.com\", \"authenticated\": \"digest-sha256\", \"subject\": \"1\"}",
    );
    bed
}

#[test]
fn a_good_policy_says_its_version() {
    let bed = bed();
    let out = bed.ok(&["policy", "check", "policy.toml"]);
    assert!(
        out.contains("policy.toml: good") && out.contains("rules       2") && out.contains("identities  1"),
        "{out}"
    );
    let object: Value = serde_json::from_str(&bed.ok(&["policy", "check", "policy.toml", "--json"])).expect("JSON");
    assert_eq!((&object["rules"], object["version"].as_str().map(str::len)), (&2.into(), Some(16)));
}

#[test]
fn a_rule_that_asks_for_what_nothing_here_can_do_is_named() {
    let bed = bed();
    let rule = |name: &str, when: &str, obligations: &str| {
        format!(
            "[[rule]]\nname = \"{name}\"\nwhen = {{ dialled = \"{name}\"{when} }}\nthen = \"conditional\"\nobligations = {{ {obligations} }}\n"
        )
    };
    let rules = [
        rule("all", "", "record = true, consent = \"law\", announce = \"hello\", bandwidth_kbps = 64, limit_s = 60"),
        rule("met", "", "limit_s = 60, codecs = [\"PCMA\"]"),
        rule("no call", ", action = \"evidence\"", "record = true, consent = \"law\""),
        rule("loud", ", action = [\"evidence\", \"call\"]", "announce = \"hello\""),
    ];
    bed.write("bound.toml", &rules.concat());
    let run = bed.run(&["policy", "check", "bound.toml"]);
    assert!(run.code == Some(0) && run.out.contains("bound.toml: good"), "{run:?}");
    let refuses = "refuses all that it binds: nothing here can meet";
    let warnings = [
        format!("the rule \"all\" {refuses} announce, bandwidth_kbps"),
        format!("the rule \"loud\" {refuses} announce"),
    ];
    let said: Vec<&str> = run.err.lines().collect();
    assert_eq!(said, warnings.each_ref().map(|warning| format!("bound.toml: warning: {warning}")));
    let object: Value = serde_json::from_str(&bed.ok(&["policy", "check", "bound.toml", "--json"])).expect("JSON");
    assert_eq!(object["warnings"], serde_json::json!(warnings));
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let bed = bed();
    bed.write(
        "bad.toml",
        "[[rule]]\nname = \"a\"\nthen = \"perhaps\"\n\n[[rule]]\nname = \"b\"\nthen = \"reject\"\nstatus = 99\n",
    );
    let run = bed.run(&["policy", "check", "bad.toml"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.err.contains("bad.toml:3") && run.err.contains("bad.toml:8"), "{}", run.err);
    let json = bed.run(&["policy", "check", "bad.toml", "--json"]);
    let errors: Vec<Value> =
        json.out.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let lines: Vec<&Value> = errors.iter().map(|error| &error["line"]).collect();
    assert_eq!((json.code, lines), (Some(2), vec![&3.into(), &8.into()]), "{json:?}");
    assert!(errors.iter().all(|error| error["file"] == "bad.toml" && error["problem"].is_string()), "{json:?}");
    bed.write("facts.toml", "sorce = \"user\"\n");
    let both = bed.run(&["policy", "test", "bad.toml", "--facts", "facts.toml"]);
    assert!(both.code == Some(2) && both.err.contains("bad.toml:3") && both.err.contains("facts.toml:1"), "{both:?}");
    assert_eq!(bed.run(&["policy", "check", "nowhere.toml"]).code, Some(2));
}

#[test]
fn names_that_a_configuration_does_not_have_are_warned_of_when_it_is_named() {
    let bed = bed();
    bed.write("names.toml", "[[rule]]\nname = \"r\"\nwhen = { trunk = \"west\" }\nthen = \"reject\"\n");
    let alone = bed.run(&["policy", "check", "names.toml"]);
    assert_eq!((alone.code, alone.err.as_str()), (Some(0), ""), "{alone:?}");
    let with = bed.run(&["policy", "check", "names.toml", "--config", "strowger.toml"]);
    let warning = "it names the trunk west, which the configuration does not have";
    assert_eq!((with.code, with.err.trim_end()), (Some(0), &*format!("names.toml: warning: {warning}")), "{with:?}");
    let json = bed.ok(&["policy", "check", "names.toml", "--config", "strowger.toml", "--json"]);
    let object: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(object["warnings"], serde_json::json!([warning]));

    // What is wrong with either is said at once, and of the policy that both name once.
    bed.write("bad.toml", "[[rule]]\nname = \"a\"\nthen = \"perhaps\"\n");
    bed.write("with_bad.toml", "[sip]\nt1_ms = 0\n[policy]\nfile = \"bad.toml\"\n");
    let both = bed.run(&["policy", "check", "bad.toml", "--config", "with_bad.toml"]);
    let places: Vec<&str> = both.err.lines().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!((both.code, places), (Some(2), vec!["bad.toml:3", "with_bad.toml:2", "strowger"]), "{both:?}");
}

#[test]
fn the_exit_code_is_the_decision() {
    let bed = bed();
    for (facts, code, outcome, by) in [
        ("home.toml", 0, "approve", ""),
        ("abroad.toml", 0, "conditional", "abroad is recorded"),
        ("premium.toml", 1, "reject", "no premium numbers"),
        ("mallory.json", 1, "reject", "identity"),
    ] {
        let run = bed.run(&["policy", "test", "policy.toml", "--facts", facts]);
        assert_eq!(run.code, Some(code), "{facts}: {run:?}");
        assert!(
            run.out.contains(outcome) && run.out.contains(by) && run.out.contains("version"),
            "{facts}: {}",
            run.out
        );
        let run = bed.run(&["policy", "test", "policy.toml", "--facts", facts, "--json"]);
        let object: Value = serde_json::from_str(&run.out).expect("JSON");
        assert_eq!((run.code, &object["outcome"]), (Some(code), &outcome.into()), "{facts}");
        let explained = bed.run(&["policy", "explain", "policy.toml", "--facts", facts]);
        assert_eq!(explained.code, Some(code), "{facts}: {explained:?}");
    }
}

#[test]
fn a_refusal_has_its_reason_and_a_condition_its_obligations() {
    let bed = bed();
    let json = |facts: &str| -> Value {
        let run = bed.run(&["policy", "test", "policy.toml", "--facts", facts, "--json"]);
        serde_json::from_str(&run.out).expect("JSON")
    };
    let premium = json("premium.toml");
    assert_eq!((&premium["reason"]["status"], &premium["rule"]), (&603.into(), &"no premium numbers".into()));
    assert_eq!(premium["reason"]["sentence"], "premium numbers are not for us");
    assert_eq!(json("mallory.json")["reason"]["kind"], "suspended");
    let abroad = json("abroad.toml");
    assert_eq!((&abroad["obligations"]["record"], &abroad["obligations"]["limit_s"]), (&true.into(), &3600.into()));
}

#[test]
fn an_explanation_names_every_gate_and_rule_in_order() {
    let bed = bed();
    let out = bed.ok(&["policy", "explain", "policy.toml", "--facts", "abroad.toml"]);
    let parts = ["gate authenticity", "gate identity", "rule no premium", "rule abroad", "gate codec", "gate rate"];
    let places: Vec<Option<usize>> = parts.iter().map(|part| out.find(part)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{out}");
    let object: Value =
        serde_json::from_str(&bed.ok(&["policy", "explain", "policy.toml", "--facts", "abroad.toml", "--json"]))
            .expect("JSON");
    assert_eq!(object["steps"].as_array().map(Vec::len), Some(6));
    assert!(bed.ok(&["policy", "reference"]).starts_with("# Policies"));
}
