//! Who is taken for alive: trunks that carry calls and answer no OPTIONS, and what workers know of each other's.

mod driver;

use driver::{Bench, Manner, probed, with_probes};
use std::sync::Arc;
use std::time::Duration;
use sx_exchange::{Input, Tables};
use sx_sip::message::Method;

/// The only way out is a trunk that is probed every minute, and leaves OPTIONS unanswered.
fn one_that_ignores_options(workers: u16) -> Bench {
    let mut bench = Bench::with_workers(&with_probes().replace(", { trunk = \"south\" }", ""), workers);
    bench.peer("west", "192.0.2.10:5060", Manner::Silent);
    bench.peer("east", "192.0.2.20:5060", Manner::Answers);
    bench.who("east").ignores_options = true;
    bench
}

fn invited(bench: &mut Bench) -> usize {
    bench.who("east").invited.len()
}

/// So many calls in one second, which end again. How many have reached the trunk?
fn call(bench: &mut Bench, times: usize) -> usize {
    let before = invited(bench);
    let sessions: Vec<_> = (0..times).map(|_| bench.dial("west", "sip:0123@192.0.2.1")).collect();
    let reached = invited(bench) - before;
    sessions.into_iter().for_each(|session| bench.hang_up("west", session));
    reached
}

#[test]
fn a_trunk_that_carries_calls_and_answers_no_options_is_not_down() {
    for (workers, lands_on) in [(1, 0), (2, 0), (2, 1)] {
        let mut bench = one_that_ignores_options(workers);
        bench.lands_on = lands_on;
        bench.pass_s(40);
        assert_eq!(bench.health, [("east".to_owned(), false)]);
        assert_eq!(call(&mut bench, 1), 1);
        assert_eq!(bench.health.last(), Some(&("east".to_owned(), true)), "its call was answered");
        for _ in 0..5 {
            bench.pass_s(100);
            assert_eq!(call(&mut bench, 10), 10, "{workers} {lands_on}");
        }
        assert_eq!(bench.health.len(), 2, "{:?}", bench.health);
        // Nobody has called it for long.
        bench.pass_s(800);
        assert_eq!(bench.health.len(), 3, "{:?}", bench.health);
        assert_eq!(call(&mut bench, 10), 10, "the first of them shows that it is there");
    }
}

#[test]
fn a_trunk_that_answers_no_options_and_then_no_call_is_down() {
    for workers in [1, 2] {
        let mut bench = one_that_ignores_options(workers);
        bench.lands_on = usize::from(workers) - 1;
        bench.pass_s(40);
        call(&mut bench, 1);
        bench.pass_s(100);
        assert_eq!(bench.health.len(), 2);
        bench.who("east").manner = Manner::Dead;
        bench.dial("west", "sip:0123@192.0.2.1");
        bench.pass_s(33);
        assert_eq!(bench.health.last(), Some(&("east".to_owned(), false)), "{workers}");
    }
}

#[test]
fn what_a_trunk_said_before_it_left_its_probe_unanswered_proves_nothing() {
    let mut bench = probed();
    bench.pass_s(55);
    call(&mut bench, 5);
    bench.who("east").manner = Manner::Dead;
    bench.pass_s(45);
    assert_eq!(bench.health, [("east".to_owned(), false)]);
    // It is asked by nobody now, and comes back by its probe.
    assert_eq!(call(&mut bench, 1), 0);
}

#[test]
fn a_refusal_is_an_answer_unless_it_says_that_nobody_answers() {
    for (status, lives) in [(486, true), (404, true), (500, true), (408, false), (503, false)] {
        let mut bench = one_that_ignores_options(1);
        bench.who("east").manner = Manner::Refuses(status);
        bench.pass_s(40);
        call(&mut bench, 1);
        assert_eq!(bench.health.last(), Some(&("east".to_owned(), lives)), "{status}");
    }
}

/// A worker that has the new tables later than the first one has found out what is in them.
#[test]
fn a_worker_asks_what_is_known_of_the_trunks_in_its_tables() {
    let mut bench = Bench::with_workers(&with_probes().replace("\"east\"", "\"before\""), 2);
    bench.peer("west", "192.0.2.10:5060", Manner::Silent);
    bench.peer("east", "192.0.2.20:5060", Manner::Dead);
    bench.peer("south", "192.0.2.30:5060", Manner::Answers);
    let tables: Arc<Tables> = driver::tables_of(&with_probes(), Some(&bench.tables));
    bench.tell(0, Input::Tables(tables.clone()));
    bench.pass_s(40);
    assert_eq!(bench.health, [("east".to_owned(), false)]);
    bench.tell(1, Input::Tables(tables));
    bench.lands_on = 1;
    bench.dial("west", "sip:0123@192.0.2.1");
    bench.pass(Duration::from_millis(100));
    assert_eq!(bench.requests("south", Method::Invite).len(), 1, "{}", bench.ladder());
    assert!(bench.requests("east", Method::Invite).is_empty(), "the first worker knows that it is down");
}
