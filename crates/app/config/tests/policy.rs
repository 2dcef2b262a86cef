//! What a policy file means, and what is said about one that is wrong.

use proptest::prelude::*;
use std::time::Duration;
use sx_config::{ConfigError, OwnedRequest, Problem, policy_reference, read_facts, read_policy, read_policy_text};
use sx_guard::{
    Action, Authentication, AuthenticationKind, BUILT_IN, Definition, Outcome, Policy, PolicyHash, Rate, ReasonKind,
    SignatureFacts, Source, SourceKind, Status, Then, Unlisted, Weekday,
};
use sx_types::{Codec, Transport};

const FULL: &str = include_str!("fixtures/policy.toml");

fn lines<T: std::fmt::Debug>(read: Result<T, Vec<ConfigError>>) -> Vec<String> {
    read.expect_err("something is wrong").iter().map(ToString::to_string).collect()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let errors = read_policy_text(text).err().unwrap_or_default();
    let found: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected, "{text}");
}

fn full() -> Definition {
    read_policy_text(FULL).expect("a good policy").0
}

#[test]
fn an_empty_file_means_the_defaults_of_the_guard() {
    let (definition, hash) = read_policy_text("").expect("an empty policy");
    assert_eq!(definition, Definition::default());
    assert_eq!(hash, PolicyHash::of(b""));
}

#[test]
fn the_text_of_the_built_in_policy_says_what_it_is() {
    let (definition, hash) = read_policy_text(BUILT_IN).expect("a good policy");
    assert_eq!(definition, Definition::built_in());
    let policy = Policy::build(definition, hash).expect("a good policy");
    assert_eq!(policy.full_hash(), Policy::default().full_hash());
}

#[test]
fn the_gates_mean_what_they_say() {
    let definition = full();
    let authenticity = &definition.authenticity;
    assert_eq!(authenticity.accepts[Action::Call], [AuthenticationKind::Trunk, AuthenticationKind::DigestSha256]);
    assert_eq!(authenticity.accepts[Action::H323Admission], [AuthenticationKind::Nothing]);
    assert_eq!(authenticity.accepts[Action::Export], []);
    assert_eq!(authenticity.signature_age_max, Duration::from_secs(120));
    let exception = &authenticity.exceptions[0];
    assert_eq!(exception.actions, [Action::Call, Action::Message]);
    assert_eq!((&exception.sources[..], &exception.accepts[..]), {
        (&[SourceKind::Anonymous][..], &[AuthenticationKind::Nothing][..])
    });
    assert_eq!(definition.identity.unlisted[Action::Call], Unlisted::Approve);
    assert_eq!(definition.identity.unlisted[Action::RoomJoin], Unlisted::Reject);
    let codec = &definition.codec;
    assert_eq!(codec.actions, [Action::Call, Action::Escalation]);
    assert_eq!(codec.allowed, Some(vec![Codec::Opus, Codec::Pcma, Codec::Pcmu]));
    assert_eq!(codec.classes, [("expert".into(), vec![Codec::Opus, Codec::Vp8])]);
    assert_eq!(codec.trunks, [("carrier".into(), vec![Codec::Pcma, Codec::G729])]);
    let rate = |limit, seconds, calls_max| Rate { limit, window: Duration::from_secs(seconds), calls_max };
    assert_eq!(definition.rate.actions, [Action::Call, Action::Message]);
    assert_eq!(definition.rate.users, rate(30, 10, 4));
    assert_eq!(definition.rate.classes, [("expert".into(), rate(20, 30, 2))]);
    assert_eq!(definition.rate.trunks, [("carrier".into(), rate(500, 1, 100))]);
    assert_eq!(definition.rate.identities, [("bob@example.com".into(), rate(3, 600, 1))]);
}

#[test]
fn the_registry_and_the_rules_mean_what_they_say() {
    let definition = full();
    let alice = &definition.registry[0];
    assert_eq!((&*alice.identity, alice.status, &*alice.class), ("Alice@example.com", Status::Active, "expert"));
    assert_eq!((&*alice.organisation, alice.key.expect("a key").0[31]), ("Example Ltd", 32));
    let mallory = &definition.registry[1];
    assert_eq!((mallory.status, &*mallory.class, mallory.key), (Status::Suspended, "", None));
    let [first, second, third] = &definition.rules[..] else { panic!("three rules") };
    assert_eq!((&*first.name, first.then, first.status), ("every condition", Then::Reject, Some(603)));
    assert_eq!(first.reason.as_deref(), Some("not at this time"));
    let when = &first.when;
    assert_eq!((&when.action[..], when.source.len()), (&[Action::Call][..], 2));
    assert_eq!((when.trunk.len(), when.class.len(), when.organisation.len()), (2, 2, 1));
    assert_eq!((when.dialled.len(), when.dialled_prefix.len(), when.score_min), (2, 2, Some(700)));
    let texts = |texts: Vec<String>| texts.join(" ");
    assert_eq!(texts(when.identity.iter().map(ToString::to_string).collect()), "*@example.com carrier");
    assert_eq!(texts(when.country.iter().map(ToString::to_string).collect()), "DE FR");
    assert_eq!(texts(when.network.iter().map(ToString::to_string).collect()), "192.0.2.0/24 2001:db8::/32");
    assert_eq!(texts(when.hours.iter().map(ToString::to_string).collect()), "20-24 00-08");
    assert_eq!(when.transport, [Transport::Tls, Transport::Wss]);
    assert_eq!(when.authenticated, [AuthenticationKind::DigestSha256]);
    assert_eq!(when.weekdays, [Weekday::Saturday, Weekday::Sunday]);
    let obligations = &second.obligations;
    assert_eq!(obligations.codecs.as_deref(), Some(&[Codec::Pcma, Codec::Pcmu][..]));
    assert_eq!((obligations.record, obligations.announce.as_deref()), (true, Some("this-call-is-recorded")));
    assert_eq!((obligations.bandwidth_kbps, obligations.limit_s), (Some(100), Some(3600)));
    assert_eq!((third.then, &third.when), (Then::Approve, &sx_guard::Conditions::default()));
    assert!(Policy::build(definition, PolicyHash::of(FULL.as_bytes())).is_ok());
}

#[test]
fn all_errors_are_found_in_one_run() {
    check(
        "[gate.authenticity]\ncall = [\"digest\"]\n[gate.rate]\nlimt = 1\nwindow_s = 0\n[[identity]]\nidentity = \"sip:a@x\"\nkey = \"short\"\n\
         [[rule]]\nname = \"r\"\nwhen = { hours = \"8-18\", dialed = \"1\", country = [] }\nthen = \"allow\"\nstatus = 200",
        &[
            "text:2: gate.authenticity.call = \"digest\": not allowed here; allowed: a list of \"nothing\", \"trunk\", \"digest-md5\", \"digest-sha256\", \"certificate\", \"signature\"",
            "text:4: gate.rate.limt: unknown key; did you mean \"limit\"?",
            "text:5: gate.rate.window_s = 0: out of range; allowed: 1 to 86400 s",
            "text:7: identity[sip:a@x].identity = \"sip:a@x\": not allowed here; allowed: user@domain without a scheme, or the name of a trunk",
            "text:8: identity[sip:a@x].key = \"short\": not allowed here; allowed: an Ed25519 public key: 32 bytes in hexadecimal or base64, with \"ed25519:\" in front or not",
            "text:11: rule[r].when.dialed: unknown key; did you mean \"dialled\"?",
            "text:11: rule[r].when.country = []: at least one value is needed; without the key, any will do",
            "text:11: rule[r].when.hours = \"8-18\": not allowed here; allowed: a list, each entry hours of the day in UTC as \"08-18\", from 00 to 24 and not the same twice",
            "text:12: rule[r].then = \"allow\": not allowed here; allowed: \"approve\", \"reject\", \"conditional\"",
            "text:13: rule[r].status = 200: out of range; allowed: 400 to 699",
        ],
    );
}

#[test]
fn what_is_wrong_with_an_identity_does_not_hide_that_its_key_is_anothers() {
    let key = format!("key = \"{:064x}\"\n", 7);
    check(
        &format!("[[identity]]\nidentity = \"a@x\"\n{key}[[identity]]\nidentity = \"sip:b@x\"\n{key}"),
        &[
            "text:5: identity[sip:b@x].identity = \"sip:b@x\": not allowed here; allowed: user@domain without a scheme, or the name of a trunk",
            "text:6: identity[sip:b@x].key = \"0000000000000000000000000000000000000000000000000000000000000007\": the key is that of a@x already: one identity, one key",
        ],
    );
}

#[test]
fn contradictions_are_said_where_they_stand() {
    check(
        "[[identity]]\nidentity = \"a@x\"\n[[identity]]\nidentity = \"A@X\"\n[[rule]]\nname = \"a\"\nwhen = { dialled = \"1\" }\nthen = \"approve\"\nstatus = 403\n\
         [[rule]]\nname = \"b\"\nwhen = { dialled = [\"1\"] }\nthen = \"reject\"\nobligations = { record = true, consent = \"law\" }\n\
         [[rule]]\nname = \"b\"\nwhen = { dialled = \"1\", transport = \"udp\" }\nthen = \"conditional\"",
        &[
            "text:4: identity[A@X].identity = \"A@X\": the identity A@X stands in the registry already; case does not count",
            "text:9: rule[a].status = 403: only a rule with then = \"reject\" has a status",
            "text:12: rule[b].when: the same conditions as rule a, and another outcome",
            "text:14: rule[b].obligations: a rule with then = \"reject\" has no obligations",
            "text:15: rule[b].obligations: a rule with then = \"conditional\" needs obligations",
            "text:16: rule[b].name = \"b\": another rule is named b",
            "text:17: rule[b].when: can never match: rule a decides everything that it would take",
        ],
    );
}

#[test]
fn what_is_wrong_with_a_rule_does_not_hide_that_its_name_is_anothers() {
    check(
        "[[rule]]\nname = \"a\"\nthen = \"perhaps\"\n[[rule]]\nname = \"a\"\nwhen = { source = \"user\", trunk = \"t9\" }\nthen = \"reject\"",
        &[
            "text:3: rule[a].then = \"perhaps\": not allowed here; allowed: \"approve\", \"reject\", \"conditional\"",
            "text:5: rule[a].name = \"a\": another rule is named a",
            "text:6: rule[a].when: can never match: what comes from a trunk has source = \"trunk\"",
        ],
    );
}

#[test]
fn the_reference_says_how_many_rules_there_may_be() {
    assert!(policy_reference().contains("There may be 5000 rules"));
}

#[test]
fn a_rule_that_is_wrong_in_itself_draws_no_further_errors() {
    check(
        "[[rule]]\nname = \"a\"\nwhen = { country = \"Germany\" }\nthen = \"reject\"\n[[rule]]\nname = \"b\"\nthen = \"approve\"",
        &[
            "text:3: rule[a].when.country = \"Germany\": not allowed here; allowed: a list, each entry a country in two capitals, as \"DE\"",
        ],
    );
}

#[test]
fn a_registry_may_stand_in_a_file_of_its_own_and_changes_the_hash() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
    let main = folder.path().join("policy.toml");
    let text = "registry = \"who.toml\"\nrule = []\n[[identity]]\nidentity = \"a@x\"\n";
    write("policy.toml", text);
    write("who.toml", "[[identity]]\nidentity = \"b@x\"\n");
    let (definition, hash) = read_policy(&main).expect("a good policy");
    assert_eq!(definition.registry.len(), 2);
    write("who.toml", "[[identity]]\nidentity = \"c@x\"\n");
    let (_, other) = read_policy(&main).expect("a good policy");
    assert_ne!(hash, other);
    write("who.toml", "[gate.rate]\nlimit = 0\n[[identity]]\nidentity = \"A@x\"\n");
    let found = lines(read_policy(&main));
    assert!(found[0].ends_with("who.toml:1: gate: a registry holds nothing but [[identity]]"), "{found:?}");
    assert!(found[1].contains("who.toml:4: identity[A@x].identity"), "{found:?}");
    write("policy.toml", "rule = []\nregistry = \"nobody.toml\"");
    assert!(lines(read_policy(&main))[0].contains("cannot be read"));
    write("policy.toml", "[gate.rate]\nlimit = 1\n");
    let (_, alone) = read_policy(&main).expect("a good policy");
    assert_eq!(alone, PolicyHash::of(b"[gate.rate]\nlimit = 1\n"));
    check("registry = \"x\"", &["text:1: registry = \"x\": cannot be read: a text in memory may not refer to files"]);
}

#[test]
fn a_file_that_says_nothing_must_say_that_it_is_meant() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policy.toml");
    let read = |text: &str| {
        std::fs::write(&path, text).expect("a file");
        read_policy(&path)
    };
    for nothing in ["", "# a policy\n", "[gate]\n[gate.rate]\n", "[[identity]]\nidentity = \"a@x\"\n"] {
        let found = lines(read(nothing));
        let said =
            "policy.toml:1: rule: the file has no rule and says nothing of a gate; if that is meant, it says rule = []";
        assert!(found.len() == 1 && found[0].ends_with(said), "{nothing:?}: {found:?}");
    }
    assert_eq!(read("rule = []").expect("it is meant").0, Definition::default());
    assert!(read("[gate.rate]\nlimit = 1\n").is_ok());
}

#[test]
fn a_file_that_is_no_toml_is_told_line_by_line_and_draws_no_errors_that_are_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policy.toml");
    for (text, expected) in [
        ("[[rule]\nname = \"a\"\nthen = \"approve\"\n", vec![1]),
        ("no toml at all\n[[rule]]\nname = \"a\"\nthen = \"approve\"\nx = = 3\n", vec![1, 5]),
        // The values behind a key that stands alone, a key said twice before and behind it, and a line that is wrong in two ways.
        (
            "[[rule]]\nname = \"a\"\nname = \"b\"\nreason 3\n\nstatus = \nthen = \"reject\nthen = 1\nx = 1 2 3\ny\n",
            vec![3, 4, 6, 7, 8, 9, 10],
        ),
    ] {
        std::fs::write(&path, text).expect("a file");
        let found = read_policy(&path).expect_err("it is no TOML");
        assert_eq!(found.iter().map(|error| error.line).collect::<Vec<_>>(), expected, "{text:?}: {found:?}");
        assert!(found.iter().all(|error| error.key != "rule"), "{found:?}");
    }
}

#[test]
fn what_is_no_toml_hides_nothing_that_is_wrong_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
    let wrong = || -> Vec<String> {
        let found = lines(read_policy(&folder.path().join("policy.toml")));
        found.iter().map(|line| line.rsplit('/').next().expect("a name").to_owned()).collect()
    };
    let rules = "registry = \"who.toml\"\n[[rule]]\nname = \"a\"\nthen = maybe\n[rule.when]\ndialled = \"1\"\nx = 1\n\
        [[rule]]\nname = \"b\"\nthen = \"perhaps\"\nstatus = 99\n[gate.codec]\nallowed = [\"PCMX\"]\n";
    write("policy.toml", rules);
    write("who.toml", "[[identity]]\nidentity = \"a@x\"\nkey = \"7\"\n");
    let found = wrong();
    let places: Vec<&str> = found.iter().filter_map(|line| line.split([' ', '=']).nth(1)).collect();
    let expected = ["not", "rule[b].then", "rule[b].status", "gate.codec.allowed", "identity[a@x].key"];
    assert_eq!(places, expected, "{found:?}");
    write("who.toml", "[[identity]]\nidentity = a@x\n");
    let found = wrong();
    assert!(found.len() == 5 && found[4].starts_with("who.toml:2: not TOML"), "{found:?}");
    assert!(found[..4].iter().all(|line| line.starts_with("policy.toml:")), "{found:?}");
}

#[test]
fn a_good_policy_with_a_line_that_is_no_toml_has_no_other_fault() {
    let more = "[[rule]]\nname = \"first\"\nthen = \"reject\"\n[rule.when]\ndialled = \"77\"\n\
        [[rule]]\nname = \"second\"\nwhen = { dialled = \"78\", source = \"user\" }\nthen = \"conditional\"\n\
        obligations = { limit_s = 60 }\n[[rule]]\nname = \"third\"\nwhen = { dialled = \"79\" }\nthen = \"approve\"\n";
    let good = include_str!("fixtures/policy.toml").replacen("[[rule]]", &format!("{more}[[rule]]"), 1);
    read_policy_text(&good).expect("a good policy");
    let breaks: [fn(&str) -> String; 7] = [
        |line| line[..line.len().saturating_sub(1)].to_owned(),
        |line| format!("{line} x"),
        |line| format!("= {line}"),
        |line| line.replacen('"', "", 1),
        |line| line.replacen('=', " ", 1),
        |line| line.replacen('[', "", 1),
        |line| line.replacen(['}', ']'], "\"\"\"", 1),
    ];
    let whole: Vec<&str> = good.lines().collect();
    let mut broken = 0;
    for (number, way) in (0..whole.len()).flat_map(|number| breaks.iter().map(move |way| (number, way))) {
        let mut text: Vec<String> = whole.iter().map(|line| (*line).to_owned()).collect();
        text[number] = way(whole[number]);
        let Err(errors) = read_policy_text(&text.join("\n")) else { continue };
        if errors.iter().any(|error| matches!(error.problem, Problem::Syntax(_))) {
            broken += 1;
            // What the reader of TOML itself says, of lines that have come to stand in another table.
            let is_toml = |error: &&ConfigError| {
                !matches!(error.problem, Problem::Syntax(_) | Problem::More { .. })
                    && !error.problem.to_string().starts_with("said twice")
            };
            assert_eq!(errors.iter().find(is_toml), None, "{number}: {:?}", text[number]);
        }
    }
    assert!(broken > whole.len(), "{broken}");
}

#[test]
fn a_file_that_is_too_long_is_refused_unread() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policy.toml");
    let file = std::fs::File::create(&path).expect("a file");
    file.set_len(16 * 1024 * 1024 + 1).expect("a long file");
    assert!(lines(read_policy(&path))[0].ends_with("cannot be read: longer than 16777216 bytes"));
}

#[test]
fn facts_are_read_from_toml_and_from_json_alike() {
    let toml = "action = \"message\"\nsource = \"trunk\"\nidentity = \"carrier\"\naddress = \"2001:db8::1\"\n\
        transport = \"tls\"\ncountry = \"DE\"\norganisation = \"o\"\nsubject = \"112\"\ncodecs = [\"PCMA\"]\n\
        score_milli = 7\nrecent = 8\ncalls = 9\nhour_utc = 10\nweekday = 6\nauthenticated = \"signature\"\n\
        signature = { age_s = -4, verifies = false }";
    let json = r#"{ "action": "message", "source": "trunk", "identity": "carrier", "address": "2001:db8::1",
        "transport": "tls", "country": "DE", "organisation": "o", "subject": "112", "codecs": ["PCMA"],
        "score_milli": 7, "recent": 8, "calls": 9, "hour_utc": 10, "weekday": 6, "trunk": null,
        "authenticated": "signature", "signature": { "age_s": -4, "verifies": false } }"#;
    let read = read_facts(toml).expect("good facts");
    assert_eq!(read_facts(json), Ok(read.clone()));
    let request = read.as_request();
    assert_eq!((request.action, request.source), (Action::Message, Source::Trunk("carrier")));
    assert_eq!((request.country, request.codecs), (Some(*b"DE"), &[Codec::Pcma][..]));
    assert_eq!((request.hour_utc, request.weekday, request.recent, request.calls), (10, 6, 8, 9));
    let facts = SignatureFacts { key_matches: true, age_s: -4, nonce_seen: false, verifies: false };
    assert_eq!(request.authenticated, Authentication::Signature(facts));
}

#[test]
fn facts_that_are_wrong_are_all_named() {
    let found = lines(read_facts("idenity = \"a@x\"\nsource = \"users\"\nhour_utc = 24\ntrunk = \"t\""));
    assert_eq!(
        found,
        [
            "text: identity: missing; allowed: text of 1 to 255 bytes without control characters",
            "text:1: idenity: unknown key; did you mean \"identity\"?",
            "text:2: source = \"users\": not allowed here; allowed: \"trunk\", \"user\", \"anonymous\", \"exchange\"",
            "text:3: hour_utc = 24: out of range; allowed: 0 to 23",
            "text:4: trunk = \"t\": needs source = \"trunk\"",
        ]
    );
    assert_eq!(lines(read_facts("{ \"identity\": 7 }")).len(), 1);
    let json = "{\n  \"identity\": \"a@x\",\n  \"codecs\": [\"PCMA\",\n    \"PCMX\"],\n  \"identity\":\n  \"b@x\",\n  \"hour_utc\":\n    24,\n\
        \"authenticated\": \"signature\", \"signature\": { \"age_s\": 1,\n \"age_s\": 2, \"nonsense\": {} },\n \"calls\": 0.5,\n \"subject\": null, \"subject\": \"1\" }";
    let allowed = |line: &String| line.split("; allowed").next().expect("a line").to_owned();
    assert_eq!(
        lines(read_facts(json)).iter().map(allowed).collect::<Vec<_>>(),
        [
            "text:4: codecs = \"PCMX\": not allowed here",
            "text:6: identity: said twice in one object",
            "text:8: hour_utc = 24: out of range",
            "text:10: signature.age_s: said twice in one object",
            "text:10: signature.nonsense: unknown key",
            "text:11: calls = 0.5: of the wrong type",
            "text:12: subject: said twice in one object",
        ]
    );
    assert_eq!(lines(read_facts("{\n\n\"identity\": x }"))[0].split(": ").next(), Some("text:3"));
    assert!(read_facts(&format!("{{\"codecs\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000))).is_err());
    // TOML that says something twice does not hide the rest either.
    let doubled = lines(read_facts("identity = \"a@x\"\nidentity = \"b@x\"\nhour_utc = 24\n"));
    assert_eq!(doubled.len(), 2, "{doubled:?}");
    assert_eq!(lines(read_facts("{ \"identity\": "))[0].split(": ").next(), Some("text:1"));
}

#[test]
fn a_number_that_would_never_match_as_it_is_written_is_refused() {
    let wrong = |key: &str, said: &str, written: &str| {
        check(
            &format!("[[rule]]\nname = \"r\"\nwhen = {{ {key} = {said:?} }}\nthen = \"reject\""),
            &[&format!(
                "text:3: rule[r].when.{key} = {said:?}: what is dialled is judged without separators, blanks, escapes and parameters; write {written:?}"
            )],
        );
    };
    wrong("dialled_prefix", "0049-800", "0049800");
    wrong("dialled_prefix", "+49 (0)", "+490");
    wrong("dialled", "0900 123", "0900123");
    wrong("dialled", "0900;phone-context=x@example.org", "0900@example.org");
    wrong("dialled_prefix", "09%30", "090");
    for uri in ["sip:0900@example.org", "TEL:0900", "sips:bob"] {
        let (scheme, bare) = uri.split_at(uri.find(':').expect("a scheme") + 1);
        check(
            &format!("[[rule]]\nname = \"r\"\nwhen = {{ dialled = {uri:?} }}\nthen = \"reject\""),
            &[&format!(
                "text:3: rule[r].when.dialled = {uri:?}: what is dialled is judged without {scheme:?}; write {bare:?}"
            )],
        );
        let said = format!("text:2: subject = {uri:?}: whom it is for is said without {scheme:?}; write {bare:?}");
        assert_eq!(lines(read_facts(&format!("identity = \"a@x\"\nsubject = {uri:?}"))), [said]);
    }
    wrong("dialled", " 0-900@example.org", "0900@example.org");
    wrong("dialled", "anna-lena ", "anna-lena");
    for good in [
        "0900",
        "+49",
        "+",
        "anna-lena",
        "room-12@a-b.example",
        "al ice",
        "*31#",
        "*21*0900#",
        "bob;x",
        "a%41",
        "siphon",
        "09a001",
    ] {
        check(&format!("[[rule]]\nname = \"r\"\nwhen = {{ dialled = {good:?} }}\nthen = \"reject\""), &[]);
    }
}

#[test]
fn facts_are_judged_as_the_call_is() {
    let text = "[[rule]]\nname = \"plain\"\nwhen = { dialled = \"0900\" }\nthen = \"reject\"\nstatus = 606";
    let (definition, hash) = read_policy_text(text).expect("a good policy");
    let policy = Policy::build(definition, hash).expect("a good policy");
    let decided_by = |subject: &str, more: &str| {
        let facts = facts(&format!("identity = \"a@x\"\nsubject = {subject:?}\n{more}"));
        policy.decide(&facts.as_request()).rule.to_owned()
    };
    for subject in
        ["0900", "0-900", "(0)9.00@example.org", "0900;x=y", "0-900;x=y@a", "09%3B00", "%30900", "0900;%3B@a"]
    {
        assert_eq!(decided_by(subject, ""), "plain", "{subject}");
        assert_eq!(decided_by(subject, "action = \"message\""), "plain", "{subject}");
    }
    assert_eq!(
        facts("identity = \"a@x\"\nsubject = \"anna-lena@a-b.example\"").subject,
        "anna-lena@a-b.example".into()
    );
    for subject in ["0-900@example.org", "0900;x@example.org", "%30900@example.org"] {
        assert_ne!(decided_by(subject, "action = \"register\""), "plain", "a user is no number that is called");
    }
    // A name is what it is, and so it is called.
    for name in ["09a00", "0900a", "alice2", "room-17", "alice;0900"] {
        assert_ne!(decided_by(name, ""), "plain", "{name}");
        assert_eq!(&*facts(&format!("identity = \"a@x\"\nsubject = {name:?}")).subject, name);
    }
}

fn facts(text: &str) -> OwnedRequest {
    read_facts(text).expect("good facts")
}

#[test]
fn a_policy_from_a_file_decides() {
    let policy = Policy::build(full(), PolicyHash::of(FULL.as_bytes())).expect("a good policy");
    let check = |text: &str, expected: Option<ReasonKind>| {
        let facts = facts(text);
        let decision = policy.decide(&facts.as_request());
        assert_eq!(decision.outcome.reason().map(|reason| reason.kind), expected, "{text}");
    };
    check("identity = \"mallory@example.com\"", Some(ReasonKind::Suspended));
    check("identity = \"bob@example.com\"\nauthenticated = \"digest-md5\"", Some(ReasonKind::NotAuthenticated));
    check("identity = \"bob@example.com\"\nrecent = 3", Some(ReasonKind::RateExceeded));
    check("identity = \"bob@example.com\"\ncodecs = [\"G729\"]", Some(ReasonKind::CodecNotAllowed));
    check("identity = \"bob@example.com\"\ncodecs = [\"PCMA\"]", None);
    let abroad = facts("identity = \"bob@example.com\"\ncodecs = [\"opus\", \"PCMU\"]\nsubject = \"0044\"");
    let decision = policy.decide(&abroad.as_request());
    let Outcome::Conditional(obligations) = &decision.outcome else { panic!("{decision:?}") };
    let bound = [Codec::Pcma, Codec::Pcmu, Codec::TelephoneEvent, Codec::ComfortNoise];
    assert_eq!((obligations.codecs.as_deref(), obligations.record), (Some(&bound[..]), true));
    let told = policy.explain(&abroad.as_request()).to_string();
    assert!(told.contains("rule every obligation matches and adds obligations"), "{told}");
    assert!(told.contains("action is call, as wanted: call"), "{told}");
    assert!(told.ends_with(&format!("(rule the rest; policy {})", policy.version())), "{told}");
}

#[test]
fn the_fixture_says_every_key() {
    let reference = policy_reference();
    let keys = reference.split("## Facts to try").next().unwrap_or_default();
    let named = keys.lines().filter_map(|line| line.strip_prefix("- **`")?.split('`').next());
    for key in named.filter(|key| *key != "registry") {
        let last = key.rsplit('.').next().unwrap_or_default();
        assert!(FULL.contains(last), "{key}");
    }
}

#[test]
fn the_reference_of_policies_is_up_to_date_and_its_example_good() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/policy.md");
    let written = std::fs::read_to_string(path).expect("docs/policy.md");
    let remedy = "run `cargo run -p sx-config --example policy_reference > docs/policy.md`";
    assert!(written == policy_reference(), "docs/policy.md is old; {remedy}");
    let example = written.split("```").nth(1).and_then(|block| block.strip_prefix("toml\n")).expect("an example");
    assert!(read_policy_text(example).is_ok());
}

#[test]
fn the_reference_says_of_each_key_that_nothing_asks() {
    let reference = policy_reference();
    for action in Action::ALL {
        let keys =
            reference.lines().filter(|line| line.starts_with(&format!("- **`{}`**", action.word().replace('-', "_"))));
        let unasked = !["call", "message", "register", "escalation"].contains(&action.word());
        // The facts have a section of this name as well.
        let keys = keys.filter(|line| !line.contains("What is known of"));
        let said: Vec<bool> = keys.map(|line| line.contains("Nothing asks this yet")).collect();
        assert_eq!(said, [unasked, unasked], "{action}");
    }
}

#[test]
fn ten_thousand_identities_and_five_hundred_rules_are_read() {
    let identity = |n: u32| format!("[[identity]]\nidentity = \"u{n}@x\"\nkey = \"{n:064x}\"\n");
    let rule = |n: u32| format!("[[rule]]\nname = \"r{n}\"\nwhen = {{ dialled = \"{n}\" }}\nthen = \"reject\"\n");
    let text: String = (0..10_000).map(identity).chain((0..500).map(rule)).collect();
    let (definition, hash) = read_policy_text(&text).expect("a good policy");
    let policy = Policy::build(definition, hash).expect("a good policy");
    assert_eq!((policy.identities(), policy.rules().len()), (10_000, 500));
}

proptest! {
    #[test]
    fn a_good_policy_with_a_hole_is_read_or_refused(start in 0..FULL.len(), length in 0usize..40, filling in "[\\PC\n]{0,4}") {
        let end = (start + length).min(FULL.len());
        let text = format!("{}{filling}{}", &FULL[..start], &FULL[end..]);
        if let Ok((definition, hash)) = read_policy_text(&text) {
            prop_assert!(Policy::build(definition, hash).is_ok(), "what is read fits together");
        }
    }

    #[test]
    fn any_facts_are_read_or_refused(text in "[{\"]?(\\PC|\n){0,100}") {
        let _ = read_facts(&text);
    }
}
