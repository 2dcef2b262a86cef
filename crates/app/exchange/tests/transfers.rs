//! Transfers between users.

mod driver;

use driver::{Bench, Manner, USERS_ONLY, body, value};
use sx_call::Note;
use sx_sip::message::{HeaderName, Method, OwnedMessage};
use sx_sip::session::SessionId;

fn three_users() -> Bench {
    on_workers(1)
}

fn on_workers(workers: u16) -> Bench {
    let mut bench = Bench::with_workers(USERS_ONLY, workers);
    bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    bench.phone("carol", "192.0.2.13:5060", Manner::Answers);
    bench
}

fn transferred(bench: &Bench) -> usize {
    bench.notes.iter().filter(|note| matches!(note, Note::Transferred { .. })).count()
}

/// The last description each of the two was sent names a port that leads to the other.
fn assert_connected(bench: &mut Bench, one: &str, other: &str) {
    let mut port_of = |name: &str| {
        let described = bench.received(name).into_iter().rfind(|m| !m.body().is_empty() && body(m).starts_with("v=0"));
        bench.port_named(&body(&described.expect("a description")))
    };
    let (facing_one, facing_other) = (port_of(one), port_of(other));
    assert_eq!(bench.patch_of(facing_one), Some(facing_other), "{one} is heard by {other}\n{}", bench.ladder());
    assert_eq!(bench.patch_of(facing_other), Some(facing_one), "{other} is heard by {one}\n{}", bench.ladder());
    let remote = bench.remote_of(facing_other).map(|remote| remote.rtp);
    assert_eq!(remote, Some(bench.who(other).media()));
}

/// The same when each has a call of its own in another worker, and a leg from worker to worker is between them.
fn assert_connected_across(bench: &mut Bench, one: &str, other: &str) {
    for (from, to) in [(one, other), (other, one)] {
        let described = bench.received(from).into_iter().rfind(|m| body(m).starts_with("v=0")).expect("a description");
        let facing = bench.port_named(&body(&described));
        let leaves = bench.patch_of(facing).unwrap_or_else(|| panic!("{from} is not heard\n{}", bench.ladder()));
        let next = bench.remote_of(leaves).expect("it leads somewhere").rtp;
        // What is sent to an address of this machine comes from the same one; the other side takes nothing else.
        assert_eq!(
            bench.open[&leaves].rtp.ip(),
            next.ip(),
            "what {from} says comes from elsewhere\n{}",
            bench.ladder()
        );
        let enters = bench.open.values().find(|opened| opened.rtp == next).expect("it leads to the other worker").port;
        let reaches = bench.patch_of(enters).unwrap_or_else(|| panic!("{to} hears nothing\n{}", bench.ladder()));
        assert_eq!(bench.remote_of(reaches).map(|remote| remote.rtp), Some(bench.who(to).media()));
    }
}

/// The value of Replaces that names the dialog whose INVITE was answered last.
fn replacing(bench: &mut Bench, name: &str) -> String {
    let answered = |m: &&OwnedMessage| m.status() == Some(200) && value(m, HeaderName::CSeq).ends_with("INVITE");
    let received = bench.received(name);
    let answer = received.iter().rfind(answered).expect("an answer");
    let tag = |name| value(answer, name).split(";tag=").nth(1).expect("a tag").to_owned();
    let call_id = value(answer, HeaderName::CallId);
    format!("{call_id};to-tag={};from-tag={}", tag(HeaderName::To), tag(HeaderName::From))
}

/// How a URI carries it.
fn escaped(replaces: &str) -> String {
    replaces.replace('@', "%40").replace(';', "%3B").replace('=', "%3D")
}

fn refer(bench: &mut Bench, name: &str, session: SessionId, to: &str) {
    bench.act(name, |peer, now| peer.agent.refer(now, session, to));
    bench.pass_s(1);
}

#[test]
fn the_caller_sends_the_called_party_to_another() {
    let mut bench = three_users();
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    refer(&mut bench, "alice", session, "sip:carol@example.org");
    assert_eq!(bench.statuses("alice", "REFER"), [202]);
    assert_eq!(bench.who("alice").reports().last(), Some(&200), "{}", bench.ladder());
    assert_eq!(bench.requests("carol", Method::Invite).len(), 1);
    assert_eq!(transferred(&bench), 1);
    assert_connected(&mut bench, "bob", "carol");
    let of_carol = bench.who("carol").invited[0];
    bench.hang_up("carol", of_carol);
    assert_eq!(bench.requests("bob", Method::Bye).len(), 1);
    bench.hang_up("alice", session);
    bench.assert_over(1);
}

#[test]
fn the_called_party_sends_the_caller_to_another() {
    let mut bench = three_users();
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    let of_bob = bench.who("bob").invited[0];
    refer(&mut bench, "bob", of_bob, "sip:carol@example.org");
    assert_eq!(bench.who("bob").reports().last(), Some(&200), "{}", bench.ladder());
    assert_connected(&mut bench, "alice", "carol");
    bench.hang_up("alice", session);
    bench.hang_up("bob", of_bob);
    bench.assert_over(1);
}

#[test]
fn a_transfer_that_fails_leaves_the_parties_connected() {
    let mut bench = three_users();
    bench.who("carol").manner = Manner::Refuses(486);
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    refer(&mut bench, "alice", session, "sip:carol@example.org");
    assert_eq!(bench.who("alice").reports().last(), Some(&486), "{}", bench.ladder());
    assert_connected(&mut bench, "alice", "bob");
    bench.hang_up("alice", session);
    bench.assert_over(1);
}

/// Alice talks to Bob, then to Carol, and sends Bob into the place she has with Carol.
#[test]
fn an_attended_transfer_joins_the_two_others() {
    let mut bench = three_users();
    let with_bob = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    let with_carol = bench.dial("alice", "sip:carol@example.org");
    bench.pass_s(1);
    let answer = bench
        .received("alice")
        .into_iter()
        .rfind(|m| m.status() == Some(200) && value(m, HeaderName::CSeq).ends_with("INVITE"));
    let answer = answer.expect("carol has answered");
    let tag = |name| value(&answer, name).split(";tag=").nth(1).expect("a tag").to_owned();
    let call_id = value(&answer, HeaderName::CallId).replace('@', "%40");
    let to = format!(
        "sip:carol@example.org?Replaces={call_id}%3Bto-tag%3D{}%3Bfrom-tag%3D{}",
        tag(HeaderName::To),
        tag(HeaderName::From)
    );
    refer(&mut bench, "alice", with_bob, &to);
    assert_eq!(bench.statuses("alice", "REFER"), [202]);
    assert_eq!(bench.who("alice").reports().last(), Some(&200), "{}", bench.ladder());
    // The first invitation, then one for an offer and nothing more: what is done to join them is done once.
    assert_eq!(bench.requests("carol", Method::Invite).len(), 2, "{}", bench.ladder());
    assert_connected(&mut bench, "bob", "carol");
    let of_bob = bench.who("bob").invited[0];
    bench.hang_up("bob", of_bob);
    assert_eq!(bench.requests("carol", Method::Bye).len(), 1);
    bench.hang_up("alice", with_bob);
    bench.hang_up("alice", with_carol);
    bench.assert_over(2);
}

/// The Replaces header that names the dialog of the last response with this status to a peer.
fn replaces(bench: &mut Bench, name: &str, status: u16) -> String {
    let response = bench.received(name).into_iter().rfind(|m| m.status() == Some(status)).expect("a response");
    let tag = |name| value(&response, name).split(";tag=").nth(1).expect("a tag").to_owned();
    let call_id = value(&response, HeaderName::CallId);
    format!("{call_id};to-tag={};from-tag={}", tag(HeaderName::To), tag(HeaderName::From))
}

/// Calls with this Replaces header, and with the credentials of a user.
fn dial_in_place(bench: &mut Bench, name: &str, user: &str, replaces: &str) -> SessionId {
    let session = bench.dial_with(name, "sip:bob@example.org", |spec| {
        spec.credentials = Some(driver::credentials(user, driver::PASSWORD));
        spec.headers = vec![("Replaces".into(), replaces.into()), ("Require".into(), "replaces".into())];
    });
    bench.pass_s(1);
    session
}

#[test]
fn a_replaces_that_must_not_be_followed_is_refused() {
    let check = |bench: &mut Bench, user, replaces: &str, expected: u16| {
        dial_in_place(bench, "carol", user, replaces);
        let statuses = bench.statuses("carol", "INVITE");
        assert_eq!(statuses.last(), Some(&expected), "{replaces}\n{}", bench.ladder());
        assert!(bench.requests("alice", Method::Bye).is_empty());
    };
    let mut bench = three_users();
    let of_alice = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    let named = replaces(&mut bench, "alice", 200);
    check(&mut bench, "carol", &named, 403);
    check(&mut bench, "alice", &format!("{named};early-only"), 486);
    check(&mut bench, "alice", &named.replace("from-tag=", "from-tag=x"), 481);
    check(&mut bench, "alice", "nothing", 400);
    bench.hang_up("alice", of_alice);
    bench.pass_s(40);
    assert_eq!(bench.workers[0].calls(), 0);

    // Alice's dialog is early, and not of the exchange's making.
    let mut bench = three_users();
    bench.who("bob").manner = Manner::Rings;
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    let named = replaces(&mut bench, "alice", 180);
    check(&mut bench, "alice", &named, 481);
}

#[test]
fn a_users_other_telephone_takes_the_call_that_rings_on_the_first() {
    let mut bench = three_users();
    bench.who("bob").manner = Manner::Rings;
    let of_alice = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    let own = bench.who("bob").address;
    let rings = bench.lines.iter().rfind(|line| line.from == own && line.message().status() == Some(180));
    let rings = rings.expect("it rings").message();
    let tag = |name| value(&rings, name).split(";tag=").nth(1).expect("a tag").to_owned();
    let call_id = value(&rings, HeaderName::CallId);
    let named = format!("{call_id};to-tag={};from-tag={}", tag(HeaderName::From), tag(HeaderName::To));
    // Somebody else may not.
    dial_in_place(&mut bench, "carol", "carol", &named);
    assert_eq!(bench.statuses("carol", "INVITE").last(), Some(&403));
    let of_carol = dial_in_place(&mut bench, "carol", "bob", &format!("{named};early-only"));
    assert_eq!(bench.statuses("carol", "INVITE").last(), Some(&200), "{}", bench.ladder());
    assert_eq!(bench.statuses("alice", "INVITE").last(), Some(&200), "{}", bench.ladder());
    assert_eq!(bench.requests("bob", Method::Cancel).len(), 1);
    assert_connected(&mut bench, "alice", "carol");
    bench.hang_up("carol", of_carol);
    bench.hang_up("alice", of_alice);
    bench.pass_s(40);
    assert_eq!(bench.workers[0].calls(), 0);
}

#[test]
fn an_invite_with_replaces_takes_the_place_of_the_party_it_names() {
    let mut bench = three_users();
    let of_alice = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    let replaces = replaces(&mut bench, "alice", 200);
    // Alice's other telephone takes over: it names the dialog that the exchange has with the first one.
    let of_carol = dial_in_place(&mut bench, "carol", "alice", &replaces);
    assert_eq!(bench.statuses("carol", "INVITE").last(), Some(&200), "{}", bench.ladder());
    assert_eq!(bench.requests("alice", Method::Bye).len(), 1, "{}", bench.ladder());
    assert_connected(&mut bench, "bob", "carol");
    bench.hang_up("carol", of_carol);
    bench.hang_up("alice", of_alice);
    bench.assert_over(1);
}

#[test]
fn a_transfer_to_our_own_address_is_one_to_us() {
    let mut bench = three_users();
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    refer(&mut bench, "alice", session, "sip:carol@192.0.2.1:5060;transport=udp");
    assert_eq!(bench.who("alice").reports().last(), Some(&200), "{}", bench.ladder());
    assert_connected(&mut bench, "bob", "carol");
    bench.hang_up("alice", session);
    let of_carol = bench.who("carol").invited[0];
    bench.hang_up("carol", of_carol);
    bench.assert_over(1);
}

#[test]
fn a_transfer_elsewhere_goes_to_the_port_and_transport_it_names() {
    let config =
        format!("{USERS_ONLY}[[route]]\nname = \"elsewhere\"\nfrom_users = true\nto = [{{ dialled = true }}]\n");
    let mut bench = Bench::new(&config);
    bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    bench.peer("far", "192.0.2.77:5099", Manner::Answers);
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    refer(&mut bench, "alice", session, "sip:anna@192.0.2.77:5099;transport=udp");
    let invite = bench.requests("far", Method::Invite).remove(0);
    assert_eq!(driver::uri(&invite), "sip:anna@192.0.2.77:5099;transport=udp");
    bench.hang_up("alice", session);
    let of_far = bench.who("far").invited[0];
    bench.hang_up("far", of_far);
    bench.assert_over(1);
}

/// Each of Alice's two calls is in a worker of its own, and her REFER lands on either.
#[test]
fn an_attended_transfer_joins_calls_of_two_workers() {
    for (refer_lands_on, hangs_up, stays) in [(0, "bob", "carol"), (1, "bob", "carol"), (1, "carol", "bob")] {
        let mut bench = on_workers(2);
        let with_bob = bench.dial("alice", "sip:bob@example.org");
        bench.pass_s(1);
        bench.lands_on = 1;
        let with_carol = bench.dial("alice", "sip:carol@example.org");
        bench.pass_s(1);
        assert_eq!(bench.workers.iter().map(sx_exchange::Worker::calls).collect::<Vec<_>>(), [1, 1]);
        let to = format!("sip:carol@example.org?Replaces={}", escaped(&replacing(&mut bench, "alice")));
        bench.lands_on = refer_lands_on;
        refer(&mut bench, "alice", with_bob, &to);
        assert_eq!(bench.statuses("alice", "REFER"), [202]);
        assert_eq!(bench.who("alice").reports().last(), Some(&200), "{}", bench.ladder());
        assert_eq!(bench.requests("alice", Method::Bye).len(), 2, "Alice is let go\n{}", bench.ladder());
        assert_eq!(bench.who("carol").invited.len(), 1, "Carol is not called a second time");
        assert_connected_across(&mut bench, "bob", "carol");
        let session = bench.who(hangs_up).invited[0];
        bench.hang_up(hangs_up, session);
        assert_eq!(bench.requests(stays, Method::Bye).len(), 1, "{}", bench.ladder());
        bench.hang_up("alice", with_bob);
        bench.hang_up("alice", with_carol);
        bench.assert_over(2);
    }
}

/// The dialog says whose place it is: the URI may name a host alone.
#[test]
fn an_attended_transfer_across_workers_needs_no_user_in_its_uri() {
    let mut bench = on_workers(2);
    let with_bob = bench.dial("alice", "sip:bob@example.org");
    bench.lands_on = 1;
    let with_carol = bench.dial("alice", "sip:carol@example.org");
    bench.pass_s(1);
    let to = format!("sip:example.org?Replaces={}", escaped(&replacing(&mut bench, "alice")));
    refer(&mut bench, "alice", with_bob, &to);
    assert_eq!(bench.who("alice").reports().last(), Some(&200), "{}", bench.ladder());
    assert_connected_across(&mut bench, "bob", "carol");
    let of_bob = bench.who("bob").invited[0];
    bench.hang_up("bob", of_bob);
    bench.hang_up("alice", with_bob);
    bench.hang_up("alice", with_carol);
    bench.assert_over(2);
}

/// What the two who are left change passes from worker to worker.
#[test]
fn parties_joined_across_workers_hold_and_resume() {
    let mut bench = on_workers(2);
    let with_bob = bench.dial("alice", "sip:bob@example.org");
    bench.lands_on = 1;
    bench.dial("alice", "sip:carol@example.org");
    bench.pass_s(1);
    let to = format!("sip:carol@example.org?Replaces={}", escaped(&replacing(&mut bench, "alice")));
    refer(&mut bench, "alice", with_bob, &to);
    let of_bob = bench.who("bob").invited[0];
    for (direction, heard) in [("sendonly", "a=sendonly"), ("sendrecv", "a=sendrecv")] {
        bench.act("bob", |peer, now| {
            let offer = peer.describe(direction);
            peer.agent.offer(now, of_bob, Some(offer));
        });
        bench.pass_s(1);
        let offered = bench.requests("carol", Method::Invite).pop().expect("a re-INVITE");
        assert!(body(&offered).contains(heard), "{}", body(&offered));
    }
    // Session timers are refreshed between the workers as everywhere.
    bench.pass_s(3_600);
    assert_connected_across(&mut bench, "bob", "carol");
    bench.hang_up("bob", of_bob);
    bench.assert_over(2);
}

#[test]
fn an_attended_transfer_to_a_call_that_has_ended_in_another_worker_fails() {
    let mut bench = on_workers(2);
    let with_bob = bench.dial("alice", "sip:bob@example.org");
    bench.lands_on = 1;
    let with_carol = bench.dial("alice", "sip:carol@example.org");
    bench.pass_s(1);
    let to = format!("sip:carol@example.org?Replaces={}", escaped(&replacing(&mut bench, "alice")));
    bench.hang_up("alice", with_carol);
    refer(&mut bench, "alice", with_bob, &to);
    assert_eq!(bench.who("alice").reports().last(), Some(&481), "{}", bench.ladder());
    assert_eq!(bench.who("carol").invited.len(), 1, "Carol is not called");
    assert_eq!((bench.requests("bob", Method::Bye).len(), bench.workers[0].calls()), (0, 1), "Bob stays with Alice");
    bench.hang_up("alice", with_bob);
    bench.assert_over(2);
}

#[test]
fn an_invite_with_replaces_finds_the_dialog_wherever_it_lands() {
    for lands_on in [0, 1, 2] {
        let mut bench = on_workers(3);
        bench.lands_on = 1;
        let of_alice = bench.dial("alice", "sip:bob@example.org");
        bench.pass_s(1);
        let replaces = replacing(&mut bench, "alice");
        bench.lands_on = lands_on;
        let of_carol = bench.dial_with("carol", "sip:bob@example.org", |spec| {
            // Another telephone of the one whose place it takes.
            spec.credentials = Some(driver::credentials("alice", driver::PASSWORD));
            spec.headers = vec![("Replaces".into(), replaces.into()), ("Require".into(), "replaces".into())];
        });
        bench.pass_s(1);
        assert_eq!(bench.statuses("carol", "INVITE").last(), Some(&200), "{}", bench.ladder());
        assert_eq!(bench.requests("alice", Method::Bye).len(), 1, "{}", bench.ladder());
        assert_connected(&mut bench, "bob", "carol");
        bench.hang_up("carol", of_carol);
        bench.hang_up("alice", of_alice);
        bench.pass_s(200);
        assert!(bench.workers.iter().all(|worker| worker.calls() == 0));
    }
}

#[test]
fn an_invite_that_replaces_nothing_is_481() {
    for replaces in ["nothing@here;to-tag=0.1.00000000;from-tag=x", "nothing@here;to-tag=a;from-tag=x"] {
        let mut bench = on_workers(2);
        let session = bench.dial_with("carol", "sip:bob@example.org", |spec| {
            spec.headers = vec![("Replaces".into(), replaces.into())];
        });
        assert_eq!(bench.who("carol").ends_of(session)[0].status, 481, "{}", bench.ladder());
        assert_eq!(bench.requests("bob", Method::Invite).len(), 0, "{}", bench.ladder());
    }
}
