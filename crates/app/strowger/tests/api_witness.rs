//! What operators, signals and whoever is refused by the management API leave in the witness log, record by record.

mod bed;
mod served;

use rustix::process::Signal;
use serde_json::{Value, json};
use served::{Served, bare, commands, records_about, told};

#[test]
fn an_exchange_that_is_ended_by_a_signal_writes_down_who_has_asked_and_what_became_of_it() {
    let served = Served::start("");
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        let before = served.records().len();
        served.restart_after(signal);
        let records = served.records().split_off(before);
        let closed = records.iter().position(|record| record["outcome"] == "closed").expect("it has ended");
        let drains: Vec<Value> =
            records[..closed].iter().filter(|record| record["kind"] == "command").cloned().map(bare).collect();
        let drain = |outcome: &str, facts: Value| {
            json!({ "kind": "command", "actor": "operator", "subject": "exchange",
            "outcome": outcome, "facts": facts })
        };
        let requested = drain("requested", json!({ "command": "drain", "signal": name }));
        let carried_out = drain("carried_out", json!({ "command": "drain", "signal": name, "hung_up": 0 }));
        assert_eq!(drains, [requested, carried_out]);
    }
    served.stop();
}

#[test]
fn calls_that_a_second_signal_hangs_up_are_told_with_the_reason() {
    let served = Served::start("");
    let (bob, alice) = (served.waits_for_a_call("bob"), served.calls("alice", "bob"));
    alice.is_answered();
    assert_eq!(served.get("/calls").ok()["calls"][0]["state"], "talking");
    served.signal(Signal::TERM);
    told("a record of the first", || (!records_about(&served, "command", "exchange").is_empty()).then_some(()));
    served.restart_after(Signal::INT);
    let expected = json!({ "kind": "command", "actor": "operator", "subject": "exchange", "outcome": "carried_out",
        "reason": "a second signal, SIGINT, has ended it",
        "facts": { "command": "drain", "signal": "SIGTERM", "hung_up": 1 } });
    assert_eq!(records_about(&served, "command", "exchange")[1..], [expected]);
    [alice, bob].into_iter().for_each(|phone| drop(phone.end()));
    served.stop();
}

#[test]
fn a_refused_reload_is_told_with_all_that_is_wrong_within_bounds() {
    const WRONG: usize = 40;
    let served = Served::start("");
    let keys: String = (0..WRONG).map(|number| format!("nonsense_{number} = 1\n")).collect();
    served.configure(&format!("[exchange]\n{keys}"));
    served.signal(Signal::HUP);
    let refused = |record: &Value| record["kind"] == "config" && record["outcome"] == "refused";
    let by_signal = told("a record of the signal", || served.records().into_iter().find(refused));
    served.post("/config/reload", "").is(422, "wrong-configuration");
    let by_api = told("a record of the API", || served.records().into_iter().filter(refused).nth(1));
    for (record, actor) in [(by_signal, "operator".to_owned()), (by_api, format!("token root ({})", served.token_id))] {
        let record = bare(record);
        let faults: Vec<&str> =
            record["facts"]["faults"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        assert_eq!(faults.len(), 32);
        for (number, fault) in faults.iter().enumerate() {
            assert!(fault.contains(&format!("nonsense_{number}")), "{fault}");
        }
        let (hash, faults) = (record["facts"]["hash"].clone(), record["facts"]["faults"].clone());
        let expected = json!({ "kind": "config", "actor": actor, "outcome": "refused", "reason": faults[0],
            "facts": { "hash": hash, "faults": faults, "faults_more": WRONG - 32 } });
        assert_eq!(record, expected);
    }
    let reason = &commands(&served, "reload_config")[1].2;
    assert!(reason.contains("nonsense_0") && reason.chars().count() <= 1_025, "{reason}");
    served.stop();
}

#[test]
fn what_a_role_does_not_allow_and_whoever_shows_no_good_token_are_in_the_witness_log() {
    let served = Served::start("");
    let body = json!({ "name": "anna", "role": "viewer" }).to_string();
    let made = served.post("/tokens", &body).json();
    let (id, secret) = (made["id"].as_str().expect("an id"), made["secret"].as_str().expect("a secret"));
    served.ask(secret, "PUT", "/sources/192.0.2.7/ban", "{}").is(403, "insufficient-scope");
    served.ask("", "PUT", "/drain", "").is(401, "unauthenticated");
    served.ask("", "GET", "/calls?limit=7", "").is(401, "unauthenticated");
    served.ask("sxt_nobody", "GET", "/calls", "").is(401, "invalid-token");
    let mut refused = told("a record of each", || {
        Some(records_about(&served, "security_rejected", "127.0.0.1")).filter(|records| records.len() == 4)
    });
    refused.sort_by_key(|record| format!("{} {}", record["reason"], record["facts"]["request"]));
    let record = |reason: &str, facts: Value| {
        json!({ "kind": "security_rejected", "subject": "127.0.0.1",
        "outcome": "refused", "reason": reason, "facts": facts })
    };
    let facts = json!({ "layer": "api", "request": "PUT /api/v1/sources/192.0.2.7/ban", "role": "viewer",
        "role_needed": "operator" });
    let mut forbidden = record("insufficient-scope", facts);
    forbidden["actor"] = format!("token anna ({id})").into();
    let without_token = |request: &str| record("no-token", json!({ "layer": "api", "request": request }));
    let wrong = record("unknown-token", json!({ "layer": "api", "request": "GET /api/v1/calls" }));
    let expected = [forbidden, without_token("GET /api/v1/calls"), without_token("PUT /api/v1/drain"), wrong];
    assert_eq!(refused, expected);
    served.stop();
}

#[test]
fn refusals_without_a_record_of_their_own_are_in_a_sum_before_the_log_is_closed() {
    // More than two minutes have records for: they may fall into two.
    const ASKED: u64 = 130;
    let served = Served::start("");
    for _ in 0..ASKED {
        served.ask("", "PUT", "/drain", "").is(401, "unauthenticated");
    }
    served.restart_after(Signal::TERM);
    let records = served.records();
    let closed = records.iter().position(|record| record["outcome"] == "closed").expect("it has ended");
    let (before, after) = records.split_at(closed);
    let own = before.iter().filter(|record| record["reason"] == "no-token").count() as u64;
    let sums: Vec<&Value> = before.iter().filter(|record| record["kind"] == "summary").collect();
    assert!(sums.iter().all(|sum| sum["outcome"] == "refused" && sum["facts"]["layer"] == "api"), "{sums:?}");
    let summed: u64 = sums.iter().filter_map(|sum| sum["facts"]["no_token"].as_u64()).sum();
    assert!(own + summed == ASKED && summed > 0, "{own} records of their own, and {sums:?}");
    assert!(after.iter().all(|record| record["kind"] != "summary"), "what was told is not told again");
    served.stop();
}

#[test]
fn tokens_of_the_command_line_are_in_the_witness_log_without_their_secrets() {
    let served = Served::start("");
    let config = |served: &Served, id: &str| -> Vec<Value> {
        served.records().into_iter().filter(|record| record["kind"] == "config" && record["subject"] == id).collect()
    };
    let made = |name: &str, more: &[&str]| -> Value {
        let line = [&["token", "create", name, "--role", "operator", "--json"][..], more].concat();
        serde_json::from_str(&served.bed.ok(&line)).expect("JSON")
    };
    let anna = made("anna", &["--expires", "30"]);
    let id = anna["id"].as_str().expect("an id");
    let record = told("a record of the token", || config(&served, id).pop());
    let facts = json!({ "name": "anna", "role": "operator", "created": anna["created"], "expires": anna["expires"] });
    assert_eq!((&record["outcome"], &record["facts"]), (&json!("token_made"), &facts));
    assert_eq!(record["actor"], "operator", "somebody on this machine");
    let root = told("a record of the token that was there before", || config(&served, &served.token_id).pop());
    assert_eq!((&root["facts"]["role"], &root["facts"]["expires"]), (&json!("administrator"), &Value::Null));

    // What is done while no exchange runs is written down by the next one.
    let (bert, mut carol) = (std::cell::OnceCell::new(), String::new());
    served.restart_with(Signal::TERM, || {
        bert.set(made("bert", &[])).expect("once");
        served.bed.ok(&["token", "revoke", id]);
        carol = made("carol", &[])["id"].as_str().expect("an id").to_owned();
        served.bed.ok(&["token", "revoke", &carol]);
    });
    let bert = bert.get().expect("a token");
    told("a record of the new token", || config(&served, bert["id"].as_str()?).pop());
    let revoked = told("a record of the end of the old one", || config(&served, id).into_iter().nth(1));
    assert_eq!((&revoked["outcome"], &revoked["actor"]), (&json!("token_revoked"), &Value::Null), "nobody saw who");
    let outcomes =
        told("both records of the third", || Some(config(&served, &carol)).filter(|records| records.len() == 2));
    assert_eq!((&outcomes[0]["outcome"], &outcomes[1]["outcome"]), (&json!("token_made"), &json!("token_revoked")));
    for token in [&anna, bert] {
        let secret = token["secret"].as_str().expect("a secret");
        assert!(served.records().iter().all(|record| !record.to_string().contains(secret)));
    }
    served.stop();
}
