//! What a party says of its refusal is told to the other, under a pseudonym and within bounds; what the exchange says of it comes first.

mod driver;

use driver::{Bench, Manner, TRUNKS, USERS_ONLY, with_east};
use sx_sip::message::{HeaderName, OwnedMessage, Writer};
use sx_sip::session::SessionId;

const SAID: [&str; 2] =
    ["304 192.0.2.12:5060 \"No \\\"video\\\", please\"", "370 pbx.bob.example \"Not enough bandwidth\""];
const TOLD: [&str; 2] = ["304 other-party \"No 'video', please\"", "370 other-party \"Not enough bandwidth\""];

fn warnings(message: &OwnedMessage) -> Vec<String> {
    message.values(HeaderName::Warning).map(|value| String::from_utf8_lossy(value).into_owned()).collect()
}

/// What somebody was told last with this status.
fn refusal(bench: &mut Bench, name: &str, status: u16) -> Vec<String> {
    let told = bench.received(name).into_iter().rfind(|message| message.status() == Some(status));
    warnings(&told.unwrap_or_else(|| panic!("no {status}\n{}", bench.ladder())))
}

fn reject(bench: &mut Bench, name: &str, session: SessionId, status: u16, said: &[&str]) {
    let headers = |writer: &mut Writer| {
        for value in said {
            writer.header(HeaderName::Warning, format_args!("{value}"));
        }
    };
    bench.act(name, |peer, now| peer.agent.reject(now, session, status, "", &headers));
    bench.pass_s(1);
}

fn alice_and_bob(bob: Manner) -> Bench {
    let mut bench = Bench::new(USERS_ONLY);
    bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
    bench.phone("bob", "192.0.2.12:5060", bob);
    bench
}

/// What alice is told when bob says this.
fn told_of(said: &[&str]) -> Vec<String> {
    let mut bench = alice_and_bob(Manner::Rings);
    bench.dial("alice", "sip:bob@example.org");
    let session = bench.who("bob").invited[0];
    reject(&mut bench, "bob", session, 488, said);
    let mut told = refusal(&mut bench, "alice", 488);
    assert_eq!(told.remove(0), "399 strowger \"the called user's telephone answered 488\"");
    bench.assert_over(1);
    told
}

#[test]
fn a_called_user_that_refuses_with_a_reason_has_it_told() {
    assert_eq!(told_of(&SAID), TOLD);
    assert_eq!(told_of(&[&SAID.join(", ")]), TOLD, "in one header");
    assert!(told_of(&[]).is_empty());
}

#[test]
fn a_reason_is_bounded_and_in_its_form() {
    assert_eq!(told_of(&["399 a \"x\""; 40]).len(), 3);
    let long = format!("399 a \"{}\"", "x".repeat(2_000));
    assert_eq!(told_of(&[&long]), [format!("399 other-party \"{}\"", "x".repeat(128))]);
    for nonsense in ["399", "399 a", "399 a b", "200 a \"x\"", "999 a \"x\"", "399 a \"\"", "399 a \"x", "\u{e9}"] {
        assert!(told_of(&[nonsense]).is_empty(), "{nonsense}");
    }
}

#[test]
fn a_trunk_hears_what_a_trunk_has_said() {
    let config = with_east("");
    assert!(config.len() >= TRUNKS.len());
    let mut bench = Bench::two_trunks(&config, Manner::Rings);
    bench.dial("west", "sip:0123@192.0.2.1");
    let session = bench.who("east").invited[0];
    reject(&mut bench, "east", session, 603, &SAID);
    assert_eq!(refusal(&mut bench, "west", 603)[1..], TOLD);
}

#[test]
fn a_change_that_is_refused_with_a_reason_has_it_told_both_ways() {
    for (asker, asked) in [("alice", "bob"), ("bob", "alice")] {
        let mut bench = alice_and_bob(Manner::Answers);
        let of_alice = bench.dial("alice", "sip:bob@example.org");
        bench.pass_s(1);
        let of_bob = bench.who("bob").invited[0];
        let session = |name| if name == "alice" { of_alice } else { of_bob };
        bench.who(asked).accepts_changes = false;
        let (asking, refusing) = (session(asker), session(asked));
        bench.act(asker, |peer, now| {
            let offer = peer.describe("sendonly");
            peer.agent.offer(now, asking, Some(offer));
        });
        bench.pass_s(1);
        let headers = |writer: &mut Writer| {
            for value in SAID {
                writer.header(HeaderName::Warning, format_args!("{value}"));
            }
        };
        bench.act(asked, |peer, now| peer.agent.refuse_offer(now, refusing, 488, &headers));
        bench.pass_s(1);
        let told = refusal(&mut bench, asker, 488);
        assert_eq!(told[0], "399 strowger \"the other party has answered the change with 488\"");
        assert_eq!(told[1..], TOLD);
        bench.hang_up("alice", of_alice);
        bench.assert_over(1);
    }
}
