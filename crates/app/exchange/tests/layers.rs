//! What each layer refuses, and the record that says so.

mod driver;

use driver::{Bench, Manner, PASSWORD, TRUNKS, USERS_ONLY};
use serde_json::{Value, json};
use sx_config::Config;
use sx_engine::Engine as _;
use sx_sip::message::OwnedMessage;

const ALICE: &str = "192.0.2.11:5060";

fn bench_with(config: &str) -> Bench {
    let mut bench = Bench::new(&format!("{USERS_ONLY}{config}"));
    bench.peer("alice", ALICE, Manner::Answers);
    bench
}

/// A request of alice's that nobody has asked for credentials yet.
fn request(method: &str, more: &str) -> String {
    format!(
        "{method} sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.11;branch=z9hG4bKx\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@example.org>;tag=a\r\nTo: <sip:bob@example.org>\r\nCall-ID: one\r\nCSeq: 1 {method}\r\n{more}\
         Content-Length: 0\r\n\r\n"
    )
}

fn status(answers: &[OwnedMessage]) -> Option<u16> {
    answers.last().and_then(OwnedMessage::status)
}

/// What is said of every refused request of alice's.
fn refusal(layer: &str, method: &str, status: u16) -> Value {
    json!({ "layer": layer, "source": ALICE, "transport": "udp", "method": method, "sip_call_id": "one", "status": status })
}

fn with(mut facts: Value, more: &Value) -> Value {
    let more = more.as_object().expect("an object").clone();
    facts.as_object_mut().expect("an object").extend(more);
    facts
}

#[test]
fn a_source_that_asks_too_often_is_told_once_then_banned_and_forgiven_in_time() {
    let mut bench = bench_with("");
    let answers: Vec<_> = (0..40).map(|_| status(&bench.send_raw("alice", &request("OPTIONS", "")))).collect();
    // Whoever asks nothing but what a scanner asks has to say who it is after a while.
    assert!(answers[..20].iter().all(|answer| *answer == Some(200)), "{answers:?}");
    assert!(answers[20..30].iter().all(|answer| matches!(answer, Some(200 | 401))), "{answers:?}");
    assert_eq!((answers[30], &answers[31..]), (Some(503), &[None; 9][..]));
    let banned = json!({ "kind": "source", "subject": "192.0.2.11", "outcome": "banned", "reason": "rate",
        "facts": { "layer": "source_rate", "ban_s": 300 } });
    assert_eq!(bench.recorded("source"), [&banned]);
    let refused = json!({ "kind": "security_rejected", "subject": "sip:bob@example.org", "outcome": "reject",
        "reason": "rate", "facts": refusal("source_rate", "OPTIONS", 503) });
    assert_eq!(bench.recorded("security_rejected"), [&refused]);
    bench.pass_s(11);
    let summed = bench.last_recorded("summary");
    assert_eq!((&summed["outcome"], &summed["facts"]["source_rate"]), (&json!("reject"), &json!(9)));
    bench.pass_s(300);
    assert_eq!(status(&bench.send_raw("alice", &request("OPTIONS", ""))), Some(200));
}

#[test]
fn a_scanner_is_never_answered() {
    let mut bench = bench_with("");
    let scan = request("REGISTER", "User-Agent: friendly-scanner\r\n");
    assert!(bench.send_raw("alice", &scan).is_empty());
    let facts = with(refusal("source_rate", "REGISTER", 0), &json!({ "scanner": "friendly-scanner" }));
    let refused = json!({ "kind": "security_rejected", "subject": "sip:bob@example.org", "outcome": "reject",
        "reason": "scanner", "facts": facts });
    assert_eq!(bench.recorded("security_rejected"), [&refused]);
    assert_eq!(bench.last_recorded("source")["reason"], "scanner");
    assert!(bench.send_raw("alice", &request("OPTIONS", "")).is_empty(), "it is banned");
}

const COUNCIL: &str = "[edge]\nonly_organisations = true\n[[organisation]]\nname = \"council\"\n\
                       networks = [\"198.51.100.0/24\"]\nmembers = [\"bob@example.org\"]\n";

#[test]
fn whoever_is_in_no_organisation_s_network_is_refused() {
    let mut bench = bench_with(COUNCIL);
    assert_eq!(status(&bench.send_raw("alice", &request("OPTIONS", ""))), Some(403));
    let refused = json!({ "kind": "security_rejected", "subject": "sip:bob@example.org", "outcome": "reject",
        "reason": "not-in-network", "facts": refusal("network", "OPTIONS", 403) });
    assert_eq!(bench.recorded("security_rejected"), [&refused]);
}

#[test]
fn a_member_is_taken_from_the_organisation_s_networks_only() {
    let mut bench = bench_with(&COUNCIL.replace("true", "false"));
    bench.peer("bob", "192.0.2.12:5060", Manner::Answers);
    assert_eq!(bench.register("bob", "bob", PASSWORD), 403);
    let refused = bench.last_recorded("security_rejected");
    assert_eq!((&refused["actor"], &refused["reason"]), (&json!("bob@example.org"), &json!("not-in-network")));
    bench.peer("bob-at-home", "198.51.100.7:5060", Manner::Answers);
    assert_eq!(bench.register("bob-at-home", "bob", PASSWORD), 200);
}

#[test]
fn an_organisation_that_wants_tls_is_not_heard_without() {
    let tls = "[[organisation]]\nname = \"council\"\nnetworks = [\"192.0.2.0/24\"]\ntls_required = true\n";
    let mut bench = bench_with(tls);
    assert_eq!(status(&bench.send_raw("alice", &request("OPTIONS", ""))), Some(403));
    let refused = json!({ "kind": "security_rejected", "subject": "sip:bob@example.org", "outcome": "reject",
        "reason": "tls-required", "facts": refusal("transport", "OPTIONS", 403) });
    assert_eq!(bench.recorded("security_rejected"), [&refused]);
}

#[test]
fn what_is_no_message_is_dropped() {
    let mut bench = bench_with("");
    assert!(bench.send_raw("alice", "INVITE\r\n\r\n").is_empty());
    let refused = json!({ "kind": "security_rejected", "outcome": "dropped", "reason": "malformed",
        "facts": { "layer": "identity", "source": ALICE, "transport": "udp", "bytes": 10 } });
    assert_eq!(bench.recorded("security_rejected"), [&refused]);
}

#[test]
fn a_request_that_has_gone_round_is_refused() {
    let mut bench = bench_with("");
    let looped = request("OPTIONS", "").replace("Max-Forwards: 70", "Max-Forwards: 0");
    assert_eq!(status(&bench.send_raw("alice", &looped)), Some(483));
    let refused = json!({ "kind": "security_rejected", "subject": "sip:bob@example.org", "outcome": "reject",
        "reason": "too-many-hops", "facts": refusal("identity", "OPTIONS", 483) });
    assert_eq!(bench.recorded("security_rejected"), [&refused]);
}

#[test]
fn wrong_passwords_ban_the_source_and_block_the_account() {
    let mut bench = bench_with("");
    for _ in 0..6 {
        assert_eq!(bench.register("alice", "bob", "guessed"), 403);
    }
    let refused = bench.recorded("security_rejected")[0].clone();
    assert_eq!((&refused["actor"], &refused["reason"]), (&json!("bob"), &json!("wrong-password")));
    assert_eq!((&refused["facts"]["layer"], &refused["facts"]["status"]), (&json!("identity"), &json!(403)));
    let source: Vec<_> =
        bench.recorded("source").iter().map(|r| (r["subject"].clone(), r["outcome"].clone())).collect();
    assert!(source.contains(&(json!("192.0.2.11"), json!("banned"))), "{source:?}");
    assert!(source.contains(&(json!("bob@example.org"), json!("blocked"))), "{source:?}");
    assert!(bench.send_raw("alice", &request("OPTIONS", "")).is_empty(), "the source is banned");
    bench.peer("stranger", "192.0.2.99:5060", Manner::Answers);
    assert_eq!(bench.register("stranger", "bob", PASSWORD), 403, "the account is blocked, whoever knows its password");
    assert_eq!(bench.last_recorded("security_rejected")["reason"], "account-blocked");
    bench.pass_s(301);
    assert_eq!(bench.register("stranger", "bob", PASSWORD), 200);
}

#[test]
fn a_telephone_that_is_in_use_is_not_kept_out_by_others_guesses() {
    let mut bench = bench_with("");
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    for _ in 0..6 {
        bench.register("alice", "bob", "guessed");
    }
    assert_eq!(bench.register("bob", "bob", PASSWORD), 200);
}

fn policy(text: &str) -> std::sync::Arc<sx_guard::Policy> {
    let (definition, hash) = sx_config::read_policy_text(text).expect("a policy");
    std::sync::Arc::new(sx_guard::Policy::build(definition, hash).expect("a policy"))
}

/// An exchange with telephones and trunks, and this policy.
fn bench_under(text: &str) -> Bench {
    let mut bench = Bench::new(TRUNKS);
    bench.follow_policy(policy(text));
    bench.phone("alice", ALICE, Manner::Answers);
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    bench
}

/// The whole record of the last refusal of a call of alice's; her Call-ID and the policy's version are left out.
fn refused_call(bench: &Bench, kind: &str) -> Value {
    let mut record = bench.last_recorded(kind);
    let facts = record["facts"].as_object_mut().expect("facts");
    assert!(facts.remove("sip_call_id").is_some_and(|id| id.is_string()));
    let members = record.as_object_mut().expect("an object");
    let version = members.remove("policy_version");
    assert_eq!(version.is_some(), kind == "admission");
    record
}

/// What such a record says, but for what the gate adds.
fn call_refused(kind: &str, reason: &str, layer: &str, rule: &str, status: u16, more: &Value) -> Value {
    let facts = json!({ "layer": layer, "rule": rule, "status": status, "source": ALICE, "transport": "udp",
        "method": "INVITE", "authenticated": "digest-sha256", "recent": 0, "calls": 0, "score_milli": 3 });
    json!({ "kind": kind, "actor": "alice@example.org", "subject": "sip:bob@example.org", "outcome": "reject",
        "reason": reason, "facts": with(facts, more) })
}

fn reasons(bench: &Bench, kind: &str) -> Vec<(Value, Value, Value)> {
    let each = |record: &&Value| {
        (record["reason"].clone(), record["facts"]["rule"].clone(), record["facts"]["status"].clone())
    };
    bench.recorded(kind).iter().map(each).collect()
}

#[test]
fn an_identity_that_calls_too_often_is_told_when_to_try_again() {
    let mut bench = bench_under("[gate.rate]\nlimit = 2\nwindow_s = 60\n");
    for _ in 0..3 {
        let session = bench.dial("alice", "sip:bob@example.org");
        bench.pass_s(1);
        bench.hang_up("alice", session);
        bench.pass_s(1);
    }
    assert_eq!(reasons(&bench, "security_rejected"), [(json!("rate-exceeded"), json!("rate"), json!(429))]);
    let expected = call_refused(
        "security_rejected",
        "rate-exceeded",
        "identity_rate",
        "rate",
        429,
        &json!({ "recent": 2, "score_milli": 10 }),
    );
    assert_eq!(refused_call(&bench, "security_rejected"), expected);
    bench.pass_s(120);
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    assert_eq!(bench.recorded("connected").len(), 3);
}

#[test]
fn an_identity_that_is_suspended_may_not_call() {
    let mut bench = bench_under("[[identity]]\nidentity = \"alice@example.org\"\nstatus = \"active\"\n");
    bench.follow_policy(policy("[[identity]]\nidentity = \"alice@example.org\"\nstatus = \"suspended\"\n"));
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    let expected = call_refused("admission", "suspended", "guard", "identity", 403, &json!({}));
    assert_eq!(refused_call(&bench, "admission"), expected);
    let version = bench.last_recorded("admission")["policy_version"].clone();
    assert_eq!(version, bench.tables.policy.version());
}

#[test]
fn md5_does_not_do_where_the_policy_says_so() {
    let mut bench = bench_under("");
    bench.follow_policy(policy("[gate.authenticity]\ncall = [\"certificate\"]\n"));
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    let expected = call_refused("admission", "not-authenticated", "guard", "authenticity", 403, &json!({}));
    assert_eq!(refused_call(&bench, "admission"), expected);
}

#[test]
fn codecs_that_are_not_allowed_are_named_with_those_that_are() {
    let mut bench = bench_under("[gate.codec]\nallowed = [\"G722\"]\n");
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    let lists = json!({ "allowed": ["G722", "telephone-event", "CN"], "offered": ["PCMU"] });
    let expected = call_refused("admission", "codec-not-allowed", "guard", "codec", 488, &lists);
    assert_eq!(refused_call(&bench, "admission"), expected);
}

#[test]
fn a_rule_refuses_with_its_name() {
    let rule = "[[rule]]\nname = \"no bob\"\nwhen = { dialled = [\"bob\"], action = \"call\" }\nthen = \"reject\"\nstatus = 603\n\
                reason = \"bob wants to be left alone\"\n";
    let mut bench = bench_under(rule);
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    let expected = call_refused("admission", "rule", "guard", "no bob", 603, &json!({}));
    assert_eq!(refused_call(&bench, "admission"), expected);
    let told =
        bench.lines.iter().any(|line| String::from_utf8_lossy(&line.bytes).contains("bob wants to be left alone"));
    assert!(told, "{}", bench.ladder());
}

#[test]
fn what_the_exchange_cannot_do_is_no_reason_to_let_a_call_in() {
    let rule = "[[rule]]\nname = \"recorded\"\nthen = \"conditional\"\nobligations = { record = true }\n";
    let mut bench = bench_under(rule);
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    assert_eq!(bench.last_recorded("admission")["reason"], "obligation");
    assert_eq!(bench.recorded("invite").len(), 0);
}

#[test]
fn a_limit_that_the_policy_sets_ends_the_call() {
    let rule = "[[rule]]\nname = \"short\"\nthen = \"conditional\"\nobligations = { limit_s = 30 }\n";
    let mut bench = bench_under(rule);
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(5);
    assert_eq!(bench.last_recorded("admission")["facts"]["limit_s"], 30);
    assert_eq!(bench.recorded("terminated").len(), 0);
    bench.pass_s(31);
    assert_eq!(bench.last_recorded("terminated")["facts"]["by"], "timer");
}

#[test]
fn a_call_is_told_from_its_coming_to_its_end() {
    let mut bench = bench_under("");
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(10);
    bench.hang_up("alice", session);
    bench.pass_s(2);
    let call = bench.recorded("invite")[0]["call_id"].clone();
    let story: Vec<_> = bench.log.records.iter().filter(|record| record["call_id"] == call).collect();
    let kinds: Vec<_> = story.iter().map(|record| record["kind"].as_str().expect("a kind")).collect();
    let expected = ["invite", "admission", "trying", "ringing", "connected", "bridge_established", "terminated"];
    assert_eq!(kinds, expected);
    assert!(story.iter().all(|record| record["trace_id"] == story[0]["trace_id"]));
    assert_eq!(story[1]["outcome"], "approve");
}

#[test]
fn an_answer_waits_for_the_disk_and_no_longer_than_is_bearable() {
    let mut bench = bench_under("");
    bench.log.waits = true;
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    assert_eq!(bench.who("alice").answered(), 0, "{}", bench.ladder());
    bench.log.waits = false;
    bench.settle();
    assert_eq!(bench.who("alice").answered(), 1, "{}", bench.ladder());
    bench.log.waits = true;
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(10);
    assert_eq!(bench.who("alice").answered(), 1);
    assert!(bench.ladder().contains("503"), "{}", bench.ladder());
    assert_eq!(bench.workers[0].calls(), 1, "only the first is left");
}

#[test]
fn no_call_begins_while_nothing_can_be_written_down() {
    let mut bench = bench_under("");
    bench.disk_fails(true);
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    let refused = bench.last_recorded("security_rejected");
    let facts = json!({ "layer": "witness", "status": 503, "source": ALICE, "transport": "udp", "method": "INVITE",
        "sip_call_id": refused["facts"]["sip_call_id"] });
    let expected = json!({ "kind": "security_rejected", "actor": "alice@example.org", "subject": "sip:bob@example.org",
        "outcome": "reject", "reason": "unwritable", "facts": facts });
    assert_eq!(refused, expected);
    bench.disk_fails(false);
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    assert_eq!(bench.who("alice").answered(), 1);
}

#[test]
fn what_is_recorded_while_nothing_can_be_written_is_bounded_and_its_loss_is_said() {
    let mut bench = bench_under("");
    bench.disk_fails(true);
    bench.log.takes_nothing = true;
    let long = format!("X-Long: {}\r\n", "x".repeat(2_000));
    for number in 0..60_000_u32 {
        bench.workers[0].handle_input(
            bench.now,
            sx_exchange::Input::Message {
                flow: sx_types::Flow {
                    worker: 0,
                    link: sx_types::LinkId(1),
                    transport: sx_types::Transport::Udp,
                    remote: std::net::SocketAddr::from(([10, 1, (number >> 8) as u8, number as u8], 5060)),
                },
                bytes: request("PUBLISH", &format!("User-Agent: friendly-scanner\r\n{long}")).as_bytes(),
            },
        );
        if number % 90 == 0 {
            bench.now = bench.now + std::time::Duration::from_secs(1);
        }
    }
    let held = bench.workers[0].witnessed().bytes();
    assert!((8 << 20..9 << 20).contains(&held), "{held}");
    bench.log.takes_nothing = false;
    bench.settle();
    bench.disk_fails(false);
    bench.settle();
    let lost = bench
        .recorded("summary")
        .iter()
        .find(|record| record["outcome"] == "lost")
        .map(|r| r["facts"]["records"].clone());
    assert!(lost.is_some_and(|lost| lost.as_u64() > Some(0)));
}

#[test]
fn the_configuration_of_the_layers_is_read() {
    let config =
        Config::from_text(&format!("{USERS_ONLY}[edge]\nrequests_max = 7\nscore_max_percent = 55\n")).expect("good");
    assert_eq!((config.edge.requests_max, config.edge.score_max_milli), (7, 550));
}

/// alice is in Austria, whoever comes by IPv6 in Belgium; nobody knows where 198.51.100.0 is.
const COUNTRIES: [(&str, &str); 2] = [("192.0.2.0/24", "AT"), ("2001:db8::/32", "BE")];

fn bench_in_countries(blocked: &[[u8; 2]], allowed: &[[u8; 2]]) -> Bench {
    let mut bench = bench_with("");
    bench.peer("belgian", BELGIAN, Manner::Answers);
    bench.peer("stranger", "198.51.100.7:5060", Manner::Answers);
    bench.know_countries(&COUNTRIES, blocked, allowed);
    bench
}

const BELGIAN: &str = "[2001:db8::7]:5060";

fn statuses(bench: &mut Bench) -> [Option<u16>; 3] {
    ["alice", "belgian", "stranger"].map(|name| status(&bench.send_raw(name, &request("OPTIONS", ""))))
}

fn refused_for_country(source: &str, letters: &str) -> Value {
    let facts = with(refusal("identity", "OPTIONS", 403), &json!({ "country": letters, "source": source }));
    json!({ "kind": "security_rejected", "subject": "sip:bob@example.org", "outcome": "reject", "reason": "country",
        "facts": facts })
}

#[test]
fn requests_from_a_country_that_is_blocked_are_refused_and_those_from_nowhere_known_are_not() {
    let mut bench = bench_in_countries(&[*b"AT"], &[]);
    assert_eq!(statuses(&mut bench), [Some(403), Some(200), Some(200)]);
    assert_eq!(bench.recorded("security_rejected"), [&refused_for_country(ALICE, "AT")]);
    let mut bench = bench_in_countries(&[*b"BE"], &[]);
    assert_eq!(statuses(&mut bench), [Some(200), Some(403), Some(200)]);
    assert_eq!(bench.recorded("security_rejected"), [&refused_for_country(BELGIAN, "BE")]);
}

#[test]
fn where_countries_are_allowed_all_others_are_refused() {
    let mut bench = bench_in_countries(&[], &[*b"BE"]);
    assert_eq!(statuses(&mut bench), [Some(403), Some(200), Some(200)]);
    assert_eq!(bench.recorded("security_rejected"), [&refused_for_country(ALICE, "AT")]);
    // Whoever is on both lists is refused.
    let mut bench = bench_in_countries(&[*b"BE"], &[*b"BE", *b"AT"]);
    assert_eq!(statuses(&mut bench), [Some(200), Some(403), Some(200)]);
}
