//! A thousand escalations at once.

use crate::driver::{Bench, Manner};
use crate::said::*;
use serde_json::json;
use std::sync::Arc;
use sx_exchange::{Escalate, EscalationReport, Input, Operation};
use sx_expert::{Expert, Standing};
use sx_guard::{Definition, Policy, PolicyHash};
use sx_media::{MediaCommand, MediaEvent, PortId};
use sx_types::{TraceId, Transport};

/// A thousand experts behind one trunk, forty rooms, and a guardian who escalates a thousand hazards.
fn a_thousand() -> (Bench, Vec<EscalationReport>) {
    let rooms: String = (0..40).map(|n| format!("[[room]]\nname = \"room{n}\"\n")).collect();
    let names: Vec<String> = (0..40).map(|n| format!("\"room{n}\"")).collect();
    let config = format!(
        "[exchange]\ndomains = [\"example.org\"]\n{rooms}[[trunk]]\nname = \"experts\"\naddresses = [\"sip:192.0.2.30:5060\"]\n\
         sources = [\"192.0.2.30\"]\ncalls_max = 2000\n[[route]]\nname = \"out\"\nprefix = \"9\"\nto = [{{ trunk = \"experts\" }}]\n\
         [escalation]\nrooms = [{}]\nrings_per_minute = 100\n",
        names.join(", ")
    );
    let mut bench = Bench::new(&config);
    let mut definition = Definition::built_in();
    definition.fairness.guardian_kbps = u32::MAX;
    bench.follow_policy(Arc::new(Policy::build(definition, PolicyHash::of(b"open")).expect("a policy")));
    bench.peer("experts", "192.0.2.30:5060", Manner::Answers);
    let experts = (0..1_000).map(|n| {
        let mut one = Expert::new(&format!("e{n:04}"), "an expert");
        one.addresses = vec![format!("9{n:04}").into()];
        one.knows("safety", 1);
        one
    });
    bench.tell(0, Input::People(people(experts.collect(), Standing::Active)));
    let reports = (1..=1_000).map(|sequence| {
        let mut message = valve(sequence);
        message["payload"]["room"] = json!(format!("room{}", sequence % 40));
        let id = TraceId::from_u128(u128::from(sequence));
        let asked = Escalate::new(id, signed(message, 7), ([127, 0, 0, 1].into(), Transport::Tcp), "token anna");
        bench.tell(0, Input::Escalate(Box::new(asked)));
        bench.workers[0].escalation(id).expect("it is told about")
    });
    let reports = reports.collect();
    (bench, reports)
}

#[test]
fn a_thousand_are_held_at_once_and_when_a_tenth_is_killed_in_three_ways_the_rest_goes_on() {
    let (mut bench, reports) = a_thousand();
    let other = reports.iter().find(|report| report.state != "connected");
    assert!(other.is_none(), "{other:?}");
    let mut experts: Vec<&str> = reports.iter().map(|report| &*report.rung[0].expert).collect();
    experts.sort_unstable();
    experts.dedup();
    assert_eq!((experts.len(), attending(&bench), bench.workers[0].calls()), (1_000, 1_000, 1_000));
    let state = |bench: &Bench, n: usize| bench.workers[0].escalation(reports[n].id).expect("it is told about");
    let (mut gone, mut back) = (0, 0);
    for n in (0..1_000).step_by(10) {
        let call = reports[n].call.expect("it is connected");
        match n / 10 % 3 {
            // The expert hangs up: that is the end of it.
            0 => {
                let session = bench.who("experts").invited[n];
                bench.hang_up("experts", session);
                assert_eq!(state(&bench, n).state, "ended");
                gone += 1;
            }
            // Their media is gone, and nobody has hung up: they are rung again.
            1 => {
                let port = port_of(&bench, n);
                bench.tell(0, Input::Media(MediaEvent::Silent { port }));
                let now = state(&bench, n);
                assert_eq!((now.state, rung(&now).len()), ("connected", 2), "{now:?}");
                assert_ne!(now.call, Some(call));
                back += 1;
            }
            // An operator ends it.
            _ => {
                let end = Operation::EndEscalation { id: reports[n].id, by: "token anna".into() };
                bench.tell(0, Input::Operation(end));
                assert_eq!(state(&bench, n).state, "ended");
                gone += 1;
            }
        }
    }
    assert_eq!((gone, back), (67, 33));
    let untouched = (0..1_000).filter(|n| n % 10 != 0);
    assert!(untouched.clone().all(|n| state(&bench, n).call == reports[n].call && rung(&state(&bench, n)).len() == 1));
    let left = 1_000 - gone;
    bench.pass_s(5);
    assert_eq!(
        (attending(&bench), bench.workers[0].calls(), bench.workers[0].escalations_running()),
        (left, left, left)
    );
    for report in &reports {
        bench.tell(0, Input::Operation(Operation::EndEscalation { id: report.id, by: "token anna".into() }));
    }
    bench.pass_s(5);
    assert_eq!((attending(&bench), bench.workers[0].calls(), bench.workers[0].escalations_running()), (0, 0, 0));
    assert!(bench.open.is_empty() && bench.tables.routes.rooms().iter().all(|room| room.members.count() == 0));
    let people = &bench.workers[0];
    assert_eq!(people.escalations(2_000).0, 1_000, "those that are over are told about");
}

/// The port of the one who was rung n-th of all, by the order in which ports were opened.
fn port_of(bench: &Bench, n: usize) -> PortId {
    let mut opened: Vec<PortId> = Vec::new();
    for command in &bench.media {
        if let MediaCommand::Attend { port, attendance: Some(_) } = command
            && !opened.contains(port)
        {
            opened.push(*port);
        }
    }
    opened[n]
}
