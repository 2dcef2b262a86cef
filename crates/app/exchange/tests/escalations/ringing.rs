//! Who is rung for a hazard, and who joins the room.

use crate::driver::{self, Manner, named};
use crate::said::*;
use serde_json::{Value, json};
use sx_exchange::{Input, Operation};
use sx_sip::message::Method;

#[test]
fn the_best_expert_is_rung_and_joins_the_room() {
    let mut bench = council(ALL_ANSWER, COUNCIL);
    let report = escalate(&mut bench, signed(valve(1), 7));
    assert_eq!((report.state, rung(&report)), ("connected", vec![("bob", "answered")]), "{}", bench.ladder());
    assert_eq!(attending(&bench), 2, "alice and bob");
    assert_eq!([invitations(&mut bench, "carol"), invitations(&mut bench, "dave")], [0, 0]);
    let invitation = bench.requests("bob", Method::Invite).remove(0);
    let told = ["X-IF-Trace-ID", "X-IF-Hazard", "X-IF-Source", "X-IF-Bridge-Mode", "X-IF-Authenticated-User"]
        .map(|name| named(&invitation, name));
    assert_eq!(told, ["t-7", "safety", SENDER, "room", SENDER]);
    let from = driver::value(&invitation, sx_sip::message::HeaderName::From);
    assert!(from.starts_with("\"safety hazard, critical\" <sip:council@example.org>"), "{from}");
    let session = bench.who("bob").invited[0];
    bench.hang_up("bob", session);
    let report = now(&bench, &report);
    assert_eq!((report.state, attending(&bench), bench.workers[0].escalations_running()), ("ended", 1, 0));
    let session = bench.who("alice").dialled[0];
    bench.hang_up("alice", session);
    bench.assert_over(2);
}

#[test]
fn what_was_decided_and_done_is_on_record_in_one_story_without_personal_data() {
    let mut bench = council(ALL_ANSWER, COUNCIL);
    let report = escalate(&mut bench, signed(valve(1), 7));
    assert_eq!(report.content["text"], "valve 7 is open, call [REDACTED:EMAIL]");
    let session = bench.who("bob").invited[0];
    bench.hang_up("bob", session);
    let trace = report.id.to_string();
    let story: Vec<&Value> = bench.log.records.iter().filter(|record| record["trace_id"] == trace).collect();
    let told: Vec<String> =
        story.iter().map(|record| format!("{} {}", record["kind"], record["outcome"]).replace('"', "")).collect();
    assert_eq!(
        told,
        [
            "admission approve",
            "escalation rings",
            "invite null",
            "trying null",
            "ringing null",
            "connected null",
            "bridge_established null",
            "escalation connected",
            "terminated null",
            "escalation ended"
        ],
        "{story:#?}"
    );
    let facts = &story[0]["facts"];
    assert_eq!(
        [&facts["hazard"], &facts["route"], &facts["redacted_email"], &facts["brought_by"], &facts["if_trace"]],
        [&json!("safety"), &json!("escalate"), &json!(1), &json!("token anna"), &json!("t-7")]
    );
    assert_eq!((&facts["authenticated"], &story[0]["actor"]), (&json!("signature"), &json!(SENDER)));
    assert_eq!((&story[7]["facts"]["expert"], &story[7]["facts"]["set_up_ms"]), (&json!("bob"), &json!(0)));
    assert!(!bench.log.records.iter().any(|record| record.to_string().contains("jane@")), "nobody sees it");
}

#[test]
fn the_next_best_is_rung_when_one_is_busy_or_does_not_answer() {
    let mut bench = council([Manner::Rings, Manner::Refuses(486), Manner::Answers], COUNCIL);
    let report = escalate(&mut bench, signed(valve(1), 7));
    assert_eq!((report.state, rung(&report)), ("ringing", vec![("bob", "ringing")]));
    bench.pass_s(29);
    assert_eq!(invitations(&mut bench, "carol"), 0);
    bench.pass_s(2);
    let report = now(&bench, &report);
    assert_eq!(rung(&report), [("bob", "failed"), ("carol", "failed"), ("dave", "answered")], "{}", bench.ladder());
    assert_eq!(report.rung[1].cause.map(|cause| cause.0), Some(17));
    let given_up = &bench.ended()[0];
    assert_eq!((given_up.ended_by, given_up.cause.0), (sx_call::Ender::Timer, 19), "nobody has hung up");
    assert_eq!((report.state, attending(&bench)), ("connected", 2));
}

#[test]
fn an_escalation_that_nobody_answers_is_over_and_leaves_nothing() {
    let mut bench = council([Manner::Rings, Manner::Refuses(603), Manner::Dead], COUNCIL);
    let report = escalate(&mut bench, signed(valve(1), 7));
    bench.pass_s(120);
    let report = now(&bench, &report);
    assert_eq!(report.state, "no_expert", "{}", bench.ladder());
    assert_eq!(rung(&report), [("bob", "failed"), ("carol", "failed"), ("dave", "failed")]);
    assert_eq!((attending(&bench), bench.workers[0].escalations_running(), bench.workers[0].calls()), (1, 0, 1));
    let told = bench.last_recorded("escalation");
    assert_eq!((&told["outcome"], &told["facts"]["tried"]), (&json!("no_expert"), &json!(3)));
}

#[test]
fn several_ring_at_once_and_the_first_who_answers_is_it() {
    let config = format!("{COUNCIL}order = \"parallel\"\nparallel_max = 2\n");
    let mut bench = council([Manner::Rings, Manner::Answers, Manner::Answers], &config);
    let report = escalate(&mut bench, signed(valve(1), 7));
    assert_eq!((report.state, rung(&report)), ("connected", vec![("bob", "failed"), ("carol", "answered")]));
    assert_eq!(bench.requests("bob", Method::Cancel).len(), 1, "{}", bench.ladder());
    assert_eq!(invitations(&mut bench, "dave"), 0);
    let all = council(ALL_ANSWER, &config);
    let mut bench = all;
    let report = escalate(&mut bench, signed(valve(1), 7));
    assert_eq!((report.state, attending(&bench)), ("connected", 2), "one of the two who answer is hung up");
    assert_eq!(bench.workers[0].calls(), 2);
}

#[test]
fn whoever_is_not_registered_is_not_rung() {
    let mut bench = council(ALL_ANSWER, COUNCIL);
    bench.act("bob", |bob, now| bob.register(now, "bob", driver::PASSWORD, 0));
    let report = escalate(&mut bench, signed(valve(1), 7));
    assert_eq!(rung(&report), [("carol", "answered")]);
    assert_eq!(report.passed_over, [("bob".into(), "cannot be reached")]);
}

#[test]
fn an_operator_ends_it_while_it_rings_and_while_they_talk() {
    let mut bench = council([Manner::Rings, Manner::Answers, Manner::Answers], COUNCIL);
    for (sequence, manner) in [(1, Manner::Rings), (2, Manner::Answers)] {
        bench.who("bob").manner = manner;
        let report = escalate(&mut bench, signed(valve(sequence), 7));
        assert_eq!(attending(&bench), if sequence == 1 { 1 } else { 2 });
        bench.tell(0, Input::Operation(Operation::EndEscalation { id: report.id, by: "token anna".into() }));
        bench.pass_s(5);
        assert_eq!((now(&bench, &report).state, attending(&bench), bench.workers[0].calls()), ("ended", 1, 1));
        assert_eq!(bench.workers[0].escalations_running(), 0);
    }
}

#[test]
fn an_expert_whose_call_is_cut_off_is_rung_again_and_then_the_next() {
    let mut bench = council(ALL_ANSWER, COUNCIL);
    let report = escalate(&mut bench, signed(valve(1), 7));
    assert_eq!(rung(&report), [("bob", "answered")]);
    // Nothing comes from there any more; the timer of the session finds that out.
    bench.who("bob").manner = Manner::Dead;
    for _ in 0..60 {
        bench.pass_s(60);
    }
    let report = now(&bench, &report);
    assert_eq!(
        rung(&report)[..3],
        [("bob", "answered"), ("bob", "failed"), ("carol", "answered")],
        "{}",
        bench.ladder()
    );
    assert!(bench.recorded("escalation").iter().any(|record| record["outcome"] == "cut_off"));
    let config = format!("{COUNCIL}rering = \"never\"\n");
    let mut bench = council(ALL_ANSWER, &config);
    let report = escalate(&mut bench, signed(valve(1), 7));
    bench.who("bob").manner = Manner::Dead;
    for _ in 0..60 {
        bench.pass_s(60);
    }
    let report = now(&bench, &report);
    assert_eq!((report.state, rung(&report)), ("ended", vec![("bob", "answered")]));
}

#[test]
fn who_is_sure_is_shared_and_who_is_not_quite_is_held() {
    let mut bench = council(ALL_ANSWER, COUNCIL);
    for (sequence, confidence, state) in
        [(1, 0.9, "shared"), (2, 0.5, "held"), (3, 0.25, "held"), (4, 0.1, "connected")]
    {
        let mut message = valve(sequence);
        message["payload"]["hazard"]["auto_escalate"] = json!(false);
        message["payload"]["confidence"] = json!(confidence);
        let report = escalate(&mut bench, signed(message, 7));
        assert_eq!(report.state, state, "{confidence}");
    }
    assert_eq!(invitations(&mut bench, "bob"), 1);
}

#[test]
fn whom_to_ring_behind_a_call_that_was_cut_off_is_found_out_anew() {
    // The list that was made first has bob alone, and the one made then carol as well.
    let config = format!("{COUNCIL}experts_max = 1\n");
    let mut bench = council(ALL_ANSWER, &config);
    let report = escalate(&mut bench, signed(valve(1), 7));
    bench.who("bob").manner = Manner::Dead;
    for _ in 0..60 {
        bench.pass_s(60);
    }
    let expected = [("bob", "answered"), ("bob", "failed"), ("carol", "answered")];
    assert_eq!(rung(&now(&bench, &report)), expected, "{}", bench.ladder());
    // Who was rung in vain before comes last, also when they are the best.
    let mut bench = council([Manner::Refuses(486), Manner::Answers, Manner::Answers], COUNCIL);
    let report = escalate(&mut bench, signed(valve(1), 7));
    bench.who("carol").manner = Manner::Dead;
    for _ in 0..60 {
        bench.pass_s(60);
    }
    let expected = [("bob", "failed"), ("carol", "answered"), ("carol", "failed"), ("dave", "answered")];
    assert_eq!(rung(&now(&bench, &report)), expected, "{}", bench.ladder());
}

#[test]
fn only_so_many_are_tried() {
    let config = format!("{COUNCIL}experts_max = 2\n");
    let mut bench = council([Manner::Refuses(486), Manner::Refuses(486), Manner::Answers], &config);
    let report = escalate(&mut bench, signed(valve(1), 7));
    let report = now(&bench, &report);
    assert_eq!((report.state, rung(&report)), ("no_expert", vec![("bob", "failed"), ("carol", "failed")]));
    assert_eq!(invitations(&mut bench, "dave"), 0);
}
