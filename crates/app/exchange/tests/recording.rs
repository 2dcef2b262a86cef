//! A policy that has calls recorded: what the packet threads are told, and what stands in the witness log.

mod driver;

use driver::{Bench, Manner, USERS_ONLY};
use serde_json::json;
use std::sync::Arc;
use sx_call::{Command, RecordingChange, RecordingRules};
use sx_exchange::Input;
use sx_media::{MediaCommand, RecordingCommand, RecordingSide};
use sx_types::{Codec, Consent};

const POLICY: &str = "[[rule]]\nname = \"kept\"\nwhen = { action = \"call\" }\nthen = \"conditional\"\n\
                      obligations = { record = true, consent = \"announced\" }\n";

/// Alice and bob at an exchange that records calls.
fn bench() -> Bench {
    let mut bench = Bench::with_settings(USERS_ONLY, |settings| {
        settings.calls.recording = Some(RecordingRules { required: true, ..RecordingRules::default() });
    });
    let (definition, hash) = sx_config::read_policy_text(POLICY).expect("a policy");
    bench.follow_policy(Arc::new(sx_guard::Policy::build(definition, hash).expect("a policy")));
    bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    bench
}

/// What is to become of recordings, in the order in which it was said.
fn commands(bench: &Bench) -> Vec<RecordingCommand> {
    let of_recordings = |command: &MediaCommand| match command {
        MediaCommand::Record { command, .. } => Some(command.clone()),
        _ => None,
    };
    bench.media.iter().filter_map(of_recordings).collect()
}

#[test]
fn a_call_that_the_policy_has_recorded_is_and_the_log_says_on_what_ground() {
    let mut bench = bench();
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(5);
    assert_eq!(bench.last_recorded("admission")["facts"]["record"], "announced");
    let call = bench.last_recorded("invite")["call_id"].clone();
    let [RecordingCommand::Begin(terms)] = &commands(&bench)[..] else { panic!("{:?}", commands(&bench)) };
    assert_eq!((terms.consent, terms.call.to_string()), (Consent::Announced, call.as_str().unwrap_or("").to_owned()));
    assert_eq!((&*terms.caller, &*terms.dialled), ("alice@example.org", "bob@example.org"));
    let tapped: Vec<_> = bench
        .media
        .iter()
        .filter_map(|command| match command {
            MediaCommand::Tap { tap: Some(tap), .. } => Some((tap.side, tap.from[0].codec)),
            _ => None,
        })
        .collect();
    assert_eq!(tapped, [(RecordingSide::Caller, Codec::Pcmu), (RecordingSide::Called, Codec::Pcmu)]);
    let call = terms.call;
    for change in [RecordingChange::Pause, RecordingChange::Resume] {
        bench.tell(0, Input::Command(Command::Record { call, change }));
    }
    bench.hang_up("alice", session);
    let told: Vec<_> = bench.recorded("recording").iter().map(|record| record["outcome"].clone()).collect();
    assert_eq!(told, ["begun", "paused", "resumed", "ended"]);
    assert_eq!(bench.recorded("recording")[0]["facts"], json!({ "recording": 0, "consent": "announced" }));
    assert!(bench.recorded("recording").iter().all(|record| record["call_id"] == call.to_string()));
    assert_eq!(commands(&bench)[1..], [RecordingCommand::Pause, RecordingCommand::Resume, RecordingCommand::End]);
    bench.assert_over(1);
}

#[test]
fn messages_and_registrations_are_let_in_though_there_is_nothing_to_record() {
    let bench = bench();
    assert_eq!(bench.recorded("registered").len(), 2);
    assert!(commands(&bench).is_empty());
}

#[test]
fn what_cannot_be_decoded_here_is_not_spoken_in_a_call_that_is_recorded() {
    let mut bench = bench();
    bench.dial_with("alice", "sip:bob@example.org", |call| {
        let offer =
            String::from_utf8_lossy(call.offer.as_deref().expect("an offer")).replace("RTP/AVP 0", "RTP/AVP 18");
        call.offer = Some(offer.into_bytes().into());
    });
    bench.pass_s(1);
    assert_eq!(bench.last_recorded("rejected")["facts"]["status"], 488);
    assert!(commands(&bench).is_empty());
}
