//! The management API of a running exchange, as an operator uses it: with a token of the command line, over HTTP, and with
//! the witness log to show for it.

mod bed;
mod served;

use rustix::process::Signal;
use serde_json::{Value, json};
use served::{Answer, Served, commands, records_about, told};
use std::time::Duration;

/// The outcomes of the records about this command, and that all name the token.
fn outcomes(served: &Served, command: &str) -> Vec<String> {
    let records = commands(served, command);
    let actor = format!("token root ({})", served.token_id);
    assert!(records.iter().all(|(by, ..)| *by == actor), "{records:?}");
    records.into_iter().map(|(_, outcome, _)| outcome).collect()
}

#[test]
fn a_call_is_listed_and_hung_up_and_both_are_in_the_witness_log() {
    let served = Served::start("");
    let (bob, alice) = (served.waits_for_a_call("bob"), served.calls("alice", "bob"));
    let call = told("a call that talks", || {
        let calls = served.get("/calls").ok();
        let call = calls["calls"].as_array()?.first()?.clone();
        (call["state"] == "talking").then_some(call)
    });
    assert_eq!((&call["caller"], &call["dialled"]), (&json!("alice@example.org"), &json!("bob@example.org")));
    assert_eq!(call["source"], json!({ "kind": "user", "name": "alice@example.org" }));
    let id = call["id"].as_str().expect("an id").to_owned();
    assert_eq!(served.get(&format!("/calls/{id}")).ok()["id"], *id);
    let legs = told("what the ports have counted", || {
        let legs = served.get(&format!("/calls/{id}")).ok()["legs"].clone();
        let heard = |leg: usize| legs[leg]["streams"][0]["packets_received"].as_u64().unwrap_or(0);
        (heard(0) > 10 && heard(1) > 10).then_some(legs)
    });
    for (leg, party) in ["caller", "called"].into_iter().enumerate() {
        let stream = &legs[leg]["streams"][0];
        assert_eq!((&legs[leg]["party"], &stream["codec"]), (&json!(party), &json!("PCMA")), "{legs}");
        assert!(stream["packets_sent"].as_u64() > Some(5) && stream["jitter_ms"].is_number(), "{legs}");
        assert_eq!(stream["loss_percent"], 0.0, "{legs}");
    }
    let shown = served.shows(&id, &["--json"]);
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!((&shown["id"], &shown["legs"][0]["streams"][0]["codec"]), (&json!(id), &legs[0]["streams"][0]["codec"]));
    let table = served.shows(&id, &[]);
    assert!(table.contains("PEER LOSS") && table.lines().filter(|line| line.contains("audio")).count() == 2, "{table}");
    let registered = served.get("/registrations?user=bob").ok();
    assert_eq!(registered["registrations"][0]["aor"], "bob@example.org", "{registered}");
    assert_eq!(served.get("/registrations?user=carol").ok()["registrations"], json!([]));

    served.get("/calls/00000000-0000-0000-0000-000000000000").is(404, "not-found");
    served.delete("/calls/nonsense").is(404, "not-found");
    assert_eq!(served.delete(&format!("/calls/{id}?cause=31")).status, 202);
    for phone in [alice, bob] {
        let said = phone.end();
        assert!(said.iter().any(|event| event["event"] == "ended"), "{said:?}");
    }
    told("no call", || (served.get("/calls").ok()["total"] == 0).then_some(()));
    // What is over is in the records, a fraction of a second later.
    told("a record", || served.tries_to_show(&id, &[]).filter(|record| record.contains("ended by")));

    let refused = ["requested", "refused"];
    let done = ["requested", "carried_out"];
    assert_eq!(outcomes(&served, "hangup"), [refused, done].concat());
    let trace = call["trace_id"].as_str().expect("a trace");
    let story = served.get(&format!("/witness/traces/{trace}?limit=1000")).ok();
    let kinds: Vec<&str> =
        story["records"].as_array().expect("records").iter().filter_map(|record| record["kind"].as_str()).collect();
    assert!(kinds.contains(&"invite") && kinds.contains(&"command"), "{kinds:?}");
    served.get("/witness/traces/00000000000000000000000000000001").is(404, "not-found");
    let status = served.get("/witness").ok();
    assert!(status["durable"].as_u64() > Some(4) && status["failing"] == false, "{status}");
    served.stop();
}

#[test]
fn a_registration_that_an_operator_removes_is_gone() {
    let served = Served::start("");
    let bob = served.waits_for_a_call("bob");
    assert_eq!(served.get("/registrations").ok()["total"], 1);
    for user in ["bob", "sip:bob", "bob%40example.org", "sip:bob@example.org", "sips%3Abob%40example.org"] {
        let found = served.get(&format!("/registrations?user={user}")).ok();
        assert_eq!(found["registrations"].as_array().map(Vec::len), Some(1), "{user}: {found}");
    }
    assert_eq!(served.delete("/registrations/sip%3Abob%40example.org").status, 204);
    assert_eq!(served.get("/registrations").ok()["registrations"], json!([]));
    served.delete("/registrations/bob%40example.org").is(404, "not-found");
    assert_eq!(outcomes(&served, "unregister"), ["requested", "carried_out", "requested", "refused"]);
    let removed = records_about(&served, "unregistered", "bob@example.org");
    let expected = json!({ "kind": "unregistered", "actor": format!("token root ({})", served.token_id),
        "subject": "bob@example.org", "reason": "removed by an operator", "facts": { "bindings": 1 } });
    assert_eq!(removed, [expected], "once, since there was nothing to remove then");
    bob.interrupt();
    served.stop();
}

#[test]
fn a_source_that_is_banned_is_not_answered_until_it_is_let_in_again() {
    let served = Served::start(
        "[[trunk]]\nname = \"carrier\"\naddresses = [\"sip:192.0.2.10\"]\nsources = [\"192.0.2.10\"]\noptions_interval_s = 0\n\
         [[room]]\nname = \"council\"\n",
    );
    assert!(served.answers_options(Duration::from_secs(5)), "before");
    let ban = json!({ "seconds": 600, "reason": "it scans" }).to_string();
    assert_eq!(served.put("/sources/127.0.0.1/ban", &ban).status, 204);
    assert!(!served.answers_options(Duration::from_millis(400)), "while it is banned");
    let source = served.get("/sources/127.0.0.1").ok();
    assert_eq!(source["banned"]["why"], "operator", "{source}");
    let banned = served.get("/sources?banned=true").ok();
    assert_eq!(banned["sources"][0]["source"], "127.0.0.1", "{banned}");
    assert_eq!(served.delete("/sources/127.0.0.1/ban").status, 204);
    assert!(served.answers_options(Duration::from_secs(5)), "afterwards");
    assert_eq!(served.get("/sources?banned=true").ok()["sources"], json!([]));
    served.get("/sources/198.51.100.7").is(404, "not-found");
    served.put("/sources/192.0.2.10/ban", &ban).is(409, "conflict");

    let (done, refused) = (["requested", "carried_out"], ["requested", "refused"]);
    assert_eq!(outcomes(&served, "ban"), [done, refused].concat());
    assert_eq!(outcomes(&served, "unban"), done);
    assert_eq!(commands(&served, "ban")[0].2, "it scans");
    let trunks = served.get("/trunks").ok();
    assert_eq!(trunks["trunks"], json!([{ "name": "carrier", "healthy": true, "calls": 0 }]));
    let rooms = served.get("/rooms").ok();
    assert_eq!(rooms["rooms"], json!([{ "name": "council", "members": 0, "members_max": 25, "locked": false }]));
    served.stop();
}

const GOOD: &str =
    "[[rule]]\nname = \"no premium\"\nwhen = { dialled_prefix = \"0900\" }\nthen = \"reject\"\nstatus = 603\n";
const BAD: &str = "[[rule]]\nname = \"\"\nthen = \"perhaps\"\n[gate.codec]\nallowed = [\"nonsense\"]\n";

#[test]
fn a_bad_policy_is_refused_with_all_that_is_wrong_and_the_old_one_stays() {
    let served = Served::start_with("[policy]\nfile = \"policy.toml\"\n", |bed| drop(bed.write("policy.toml", GOOD)));
    let before = served.get("/policy").ok();
    assert_eq!((&before["rules"][0]["name"], &before["identities"]), (&json!("no premium"), &json!(0)));

    served.bed.write("policy.toml", BAD);
    for path in ["/policy/reload", "/config/reload"] {
        let refused = served.post(path, "");
        refused.is(422, if path.starts_with("/policy") { "wrong-policy" } else { "wrong-configuration" });
        let errors = refused.json()["errors"].as_array().cloned().unwrap_or_default();
        assert!(errors.len() >= 2 && errors.iter().all(|error| error["in"] == "file"), "{refused:?}");
        let all = refused.body.clone();
        assert!(all.contains("perhaps") && all.contains("nonsense"), "{all}");
        assert_eq!(served.get("/policy").ok(), before, "the old one stays");
    }

    served.bed.write("policy.toml", &GOOD.replace("0900", "0190"));
    let done = served.post("/policy/reload", "").ok();
    assert_ne!(done["policy_version"], before["version"]);
    assert_eq!(served.get("/policy").ok()["version"], done["policy_version"]);
    let facts = |subject: &str| {
        let body = json!({ "facts": { "identity": "alice@example.org", "subject": subject } }).to_string();
        served.post("/policy/explain", &body).ok()
    };
    assert_eq!(facts("0190123")["outcome"], "reject");
    assert_eq!((&facts("0190123")["reason"]["status"], &facts("0900123")["outcome"]), (&json!(603), &json!("approve")));
    let wrong = served.post("/policy/explain", &json!({ "facts": { "hour_utc": 99, "nonsense": 1 } }).to_string());
    wrong.is(422, "invalid-fields");
    assert_eq!(wrong.json()["errors"].as_array().map(Vec::len), Some(3), "{wrong:?}");

    let (done, refused) = (["requested", "carried_out"], ["requested", "refused"]);
    assert_eq!(outcomes(&served, "reload_policy"), [refused, done].concat());
    assert_eq!(outcomes(&served, "reload_config"), refused);
    let reason = &commands(&served, "reload_policy")[1].2;
    assert!(reason.contains("perhaps"), "{reason}");
    let actor = format!("token root ({})", served.token_id);
    let records = served.records();
    let said = |kind: &str| -> Vec<(Value, Value)> {
        let of = records.iter().filter(|record| record["kind"] == kind && record["actor"] == *actor);
        of.map(|record| (record["outcome"].clone(), record["facts"]["hash"].clone())).collect()
    };
    let [started] =
        records.iter().filter(|r| r["kind"] == "policy" && r["outcome"] == "started").collect::<Vec<_>>()[..]
    else {
        panic!("what holds from the start is in the log once: {records:?}");
    };
    let old = &started["facts"]["hash"];
    assert!(old.is_string() && said("config") == [(json!("refused"), old.clone())], "{:?}", said("config"));
    let policies = said("policy");
    assert_eq!(policies[0], (json!("refused"), old.clone()), "and so is what was refused, and what stays");
    assert!(policies.len() == 2 && policies[1].0 == "reloaded" && policies[1].1 != *old, "{policies:?}");
    served.stop();
}

#[test]
fn a_signal_and_an_operator_have_the_configuration_read_in_the_same_way() {
    let served = Served::start("");
    served.configure("[exchange]\ndomains = [\"example.org\", \"example.com\"]\n");
    let done = served.post("/config/reload", "").ok();
    let changed = done["changed"].as_array().expect("lines").clone();
    assert!(
        changed.iter().any(|line| line.as_str().is_some_and(|line| line.starts_with("exchange.domains"))),
        "{done}"
    );
    served.configure("[exchange]\ndomains = [\"example.org\"]\n");
    served.signal(Signal::HUP);
    told("a record of the second", || {
        let records = served.records().into_iter();
        let reloaded: Vec<Value> =
            records.filter(|record| record["kind"] == "config" && record["outcome"] == "reloaded").collect();
        (reloaded.len() == 2).then(|| assert_eq!(reloaded[1]["actor"], "operator"))
    });
    served.configure("[exchange]\ndomains = []\nnonsense = 1\n");
    let refused = served.post("/config/reload", "");
    refused.is(422, "wrong-configuration");
    assert!(refused.body.contains("nonsense"), "{refused:?}");
    served.signal(Signal::HUP);
    told("a record that it was refused", || {
        let refused = |record: &Value| {
            record["kind"] == "config" && record["outcome"] == "refused" && record["actor"] == "operator"
        };
        let record = served.records().into_iter().find(refused)?;
        assert!(record["reason"].as_str().is_some_and(|why| !why.is_empty()), "{record}");
        Some(())
    });
    served.stop();
}

#[test]
fn an_exchange_that_is_drained_takes_no_call_until_it_is_undrained() {
    let served = Served::start("");
    let is_ready = || served.status("/readyz") == 200;
    assert!(is_ready());
    assert_eq!(served.put("/drain", "").status, 204);
    assert!(!is_ready());
    assert_eq!(served.options_status(Duration::from_secs(5)), Some(503));
    assert_eq!(served.delete("/drain").status, 204);
    assert!(is_ready());
    assert_eq!(served.options_status(Duration::from_secs(5)), Some(200));
    assert_eq!((outcomes(&served, "drain").len(), outcomes(&served, "undrain").len()), (2, 2));
    served.stop();
}

#[test]
fn tokens_are_given_and_taken_and_roles_hold() {
    let served = Served::start("");
    let body = json!({ "name": "anna", "role": "viewer", "expires_s": 3600 }).to_string();
    let made = served.post("/tokens", &body);
    assert_eq!(made.status, 201, "{made:?}");
    let (id, secret) = (made.json()["id"].clone(), made.json()["secret"].clone());
    let (id, secret) = (id.as_str().expect("an id"), secret.as_str().expect("a secret"));
    let as_anna = |method: &str, path: &str| served.ask(secret, method, path, "");
    assert_eq!(as_anna("GET", "/version").ok()["version"], env!("CARGO_PKG_VERSION"));
    as_anna("PUT", "/drain").is(403, "insufficient-scope");
    let listed = served.get("/tokens");
    let names: Vec<Value> =
        listed.ok()["tokens"].as_array().expect("a list").iter().map(|token| token["name"].clone()).collect();
    assert_eq!(names, ["root", "anna"]);
    assert!(!listed.body.contains(secret), "nobody is shown a secret twice");
    assert_eq!(served.delete(&format!("/tokens/{id}")).status, 204);
    as_anna("GET", "/version").is(401, "invalid-token");
    served.delete("/tokens/ffffffffffff").is(404, "not-found");
    let done = ["requested", "carried_out"];
    assert_eq!(outcomes(&served, "create_token"), done);
    let actor = format!("token root ({})", served.token_id);
    let created = |outcome: &str, facts: Value| {
        json!({ "kind": "command", "actor": actor, "subject": "anna",
        "outcome": outcome, "facts": facts })
    };
    let asked = json!({ "command": "create_token", "role": "viewer", "expires_s": 3600 });
    let mut carried_out = asked.clone();
    carried_out["token"] = json!(id);
    let expected = [created("requested", asked), created("carried_out", carried_out)];
    assert_eq!(records_about(&served, "command", "anna"), expected, "and which one it has become");
    let known = told("records of both", || Some(records_about(&served, "config", id)).filter(|some| some.len() == 2));
    assert!(known.iter().all(|record| record["actor"] == *actor), "{known:?}");
    assert_eq!((&known[0]["outcome"], &known[1]["outcome"]), (&json!("token_made"), &json!("token_revoked")));
    assert_eq!(outcomes(&served, "revoke_token"), [done, ["requested", "refused"]].concat());
    assert!(served.records().iter().all(|record| !record.to_string().contains(secret)));

    // What the command line takes back opens nothing from then on either.
    let line = served.bed.ok(&["token", "create", "carol", "--role", "operator", "--expires", "30", "--json"]);
    let carol: Value = serde_json::from_str(&line).expect("JSON");
    let secret = carol["secret"].as_str().expect("a secret");
    assert_eq!(served.ask(secret, "GET", "/calls", "").status, 200);
    assert_eq!(served.bed.ok(&["token", "revoke", carol["id"].as_str().expect("an id")]).lines().count(), 1);
    served.ask(secret, "GET", "/calls", "").is(401, "invalid-token");
    assert!(served.bed.ok(&["token", "list"]).contains("carol"));
    let rejected = told("a record of both tokens", || {
        let records = served.records().into_iter();
        let is_token = |record: &Value| record["facts"]["layer"] == "api" && record["reason"] != "insufficient-scope";
        let rejected: Vec<Value> = records.filter(is_token).collect();
        (rejected.len() == 2).then_some(rejected)
    });
    assert_eq!(
        (&rejected[0]["kind"], &rejected[0]["subject"], &rejected[0]["reason"]),
        (&json!("security_rejected"), &json!("127.0.0.1"), &json!("revoked-token"))
    );
    served.stop();
}

#[test]
fn a_token_of_the_command_line_is_asked_for_in_the_right_way() {
    let bed = bed::Bed::new();
    let made = bed.ok(&["token", "create", "anna", "--role", "viewer"]);
    assert!(made.starts_with("created ") && made.contains("\nsecret sxt_"), "{made}");
    for (arguments, code) in [
        (&["token", "create", "anna"][..], 2),
        (&["token", "create", "anna", "--role", "king"], 2),
        (&["token", "create", "", "--role", "viewer"], 2),
        (&["token", "create", "anna", "--role", "viewer", "--expires", "0"], 2),
        (&["token", "revoke", "ffffffffffff"], 1),
        (&["token", "list", "--data", "mistyped"], 1),
    ] {
        let run = bed.run(arguments);
        assert!(run.code == Some(code) && !run.err.is_empty(), "{arguments:?}: {run:?}");
    }
    assert_eq!(bed.ok(&["token", "list", "--json"]).lines().count(), 1);
}

#[test]
fn whoever_has_no_token_learns_nothing_but_where_the_description_is() {
    let served = Served::start("");
    for path in ["/calls", "/nowhere"] {
        served.ask("", "GET", path, "").is(401, "unauthenticated");
    }
    let Answer { status, .. } = served.ask("", "GET", "/openapi.json", "");
    assert_eq!(status, 200);
    served.stop();
}

#[test]
fn what_the_api_refuses_is_counted_by_its_reason() {
    let served = Served::start_limited(3, "", |_| {});
    for _ in 0..3 {
        assert_eq!(served.get("/version").status, 200);
    }
    // On a slow machine there is room for another meanwhile.
    for _ in 0..2 {
        let refused = told("a refusal", || Some(served.get("/version").status).filter(|status| *status != 200));
        assert_eq!(refused, 429);
    }
    served.ask("", "GET", "/version", "").is(401, "unauthenticated");
    served.ask("sxt_nobody", "GET", "/version", "").is(401, "invalid-token");
    let made = served.bed.ok(&["token", "create", "anna", "--role", "viewer", "--json"]);
    let anna: Value = serde_json::from_str(&made).expect("JSON");
    served.ask(anna["secret"].as_str().expect("a secret"), "PUT", "/drain", "").is(403, "insufficient-scope");
    let metrics = served.metrics();
    for (reason, count) in [("rate", 2), ("failures", 0), ("unauthorized", 2), ("forbidden", 1), ("origin", 0)] {
        let line = format!("strowger_api_refused_total{{reason=\"{reason}\"}} {count}");
        assert!(metrics.lines().any(|said| said == line), "{line}: {metrics}");
    }
    assert!(metrics.contains("# HELP strowger_api_refused Requests to the management API"));
    assert!(metrics.contains("# TYPE strowger_api_refused counter"));
    served.stop();
}

#[test]
fn a_ban_outlives_the_process_and_ends_when_it_should() {
    let served = Served::start("");
    let ban = |seconds: u64| json!({ "seconds": seconds, "reason": "it scans" }).to_string();
    assert_eq!(served.put("/sources/127.0.0.1/ban", &ban(600)).status, 204);
    assert_eq!(served.put("/sources/192.0.2.7/ban", &ban(1)).status, 204);
    assert_eq!(served.put("/sources/192.0.2.8/ban", &ban(600)).status, 204);
    assert_eq!(served.delete("/sources/192.0.2.8/ban").status, 204);
    let until = served.get("/sources/127.0.0.1").ok()["banned"]["until"].clone();
    told("the end of the short ban", || {
        (served.get("/sources?banned=true").ok()["sources"].as_array()?.len() == 1).then_some(())
    });
    for signal in [Signal::KILL, Signal::TERM] {
        let before = served.get("/sources?banned=true").ok();
        served.restart_after(signal);
        assert!(!served.answers_options(Duration::from_millis(400)), "it is banned from the first message on");
        let sources = served.get("/sources?banned=true").ok()["sources"].clone();
        assert_eq!(sources.as_array().map(Vec::len), Some(1), "{sources} and before {before}");
        assert_eq!(sources[0]["banned"], json!({ "until": until, "why": "operator" }));
    }
    assert_eq!(served.delete("/sources/127.0.0.1/ban").status, 204);
    served.restart_after(Signal::KILL);
    assert!(served.answers_options(Duration::from_secs(5)), "it was let in again");
    served.stop();
}
