//! Names and addresses that are called, and names that have to be looked up.

mod driver;

use driver::{Bench, Manner, TRUNKS, uri};
use sx_exchange::Unresolved;
use sx_sip::message::Method;

/// West may call whatever address it names.
fn anywhere() -> Bench {
    let route = "[[route]]\nname = \"elsewhere\"\nfrom_trunk = [\"west\"]\nto = [{ dialled = true }]\n";
    let mut bench = Bench::new(&format!("{TRUNKS}\n{route}"));
    bench.peer("west", "192.0.2.10:5060", Manner::Silent);
    bench
}

#[test]
fn an_address_elsewhere_is_gone_on_to_with_its_port_and_transport() {
    let mut bench = anywhere();
    bench.peer("far", "192.0.2.77:5099", Manner::Answers);
    let session = bench.dial("west", "sip:anna@192.0.2.77:5099;transport=udp");
    let invite = bench.requests("far", Method::Invite).remove(0);
    assert_eq!(uri(&invite), "sip:anna@192.0.2.77:5099;transport=udp");
    bench.hang_up("west", session);
    bench.assert_over(1);
}

#[test]
fn a_name_that_leads_nowhere_is_no_route() {
    let mut bench = anywhere();
    bench.peer("far", "192.0.2.77:5060", Manner::Answers);
    bench.dial("west", "sip:anna@nowhere.example");
    assert_eq!(bench.statuses("west", "INVITE"), [404]);
    bench
        .names
        .insert("far.example".into(), vec![(sx_types::Transport::Udp, "192.0.2.77:5060".parse().expect("an address"))]);
    let session = bench.dial("west", "sip:anna@far.example");
    assert_eq!(bench.statuses("west", "INVITE"), [404, 180, 200]);
    bench.hang_up("west", session);
    bench.assert_over(2);
}

#[test]
fn a_name_that_cannot_be_looked_up_for_now_is_no_fault_of_the_number() {
    let mut bench = anywhere();
    bench.no_name_server = true;
    bench.dial("west", "sip:anna@far.example");
    assert_eq!(bench.statuses("west", "INVITE"), [503]);
    bench.assert_over(1);
}

/// East is known by its name.
fn east_by_name() -> String {
    TRUNKS.replace("addresses = [\"sip:192.0.2.20\"]", "addresses = [\"sip:east.example\"]")
}

#[test]
fn a_trunk_whose_name_does_not_resolve_is_told_with_the_name_once_until_it_does() {
    let mut bench = Bench::two_trunks(&east_by_name(), Manner::Answers);
    let told = |why| ("east".to_owned(), "east.example".to_owned(), why);
    for _ in 0..3 {
        bench.dial("west", "sip:0123@192.0.2.1");
    }
    assert_eq!(bench.unresolved, [told(Unresolved::Nowhere)]);
    let address = "192.0.2.20:5060".parse().expect("an address");
    bench.names.insert("east.example".into(), vec![(sx_types::Transport::Udp, address)]);
    let session = bench.dial("west", "sip:0123@192.0.2.1");
    assert_eq!(bench.statuses("west", "INVITE").last(), Some(&200), "{}", bench.ladder());
    bench.hang_up("west", session);
    bench.names.clear();
    bench.no_name_server = true;
    bench.dial("west", "sip:0123@192.0.2.1");
    assert_eq!(bench.unresolved, [told(Unresolved::Nowhere), told(Unresolved::NotNow)], "it is told again");
    // What somebody has dialled is no trunk's name.
    let mut bench = anywhere();
    bench.dial("west", "sip:anna@nowhere.example");
    assert_eq!(bench.unresolved, []);
}

#[test]
fn a_trunk_whose_probe_has_nowhere_to_go_is_told_so_before_it_is_down() {
    let mut bench = Bench::two_trunks(
        &east_by_name().replace("options_interval_s = 0", "options_interval_s = 60"),
        Manner::Answers,
    );
    bench.pass_s(10);
    let east = ("east".to_owned(), "east.example".to_owned(), Unresolved::Nowhere);
    assert_eq!(bench.unresolved, [east]);
    assert_eq!(bench.health, [("east".to_owned(), false)]);
}

#[test]
fn a_certificate_must_carry_an_ipv6_address_without_brackets() {
    let mut bench = anywhere();
    bench.dial("west", "sip:anna@[2001:db8::20];transport=tls");
    assert_eq!(bench.names_asked_for, ["2001:db8::20"]);
}

#[test]
fn who_hangs_up_while_a_name_is_looked_up_has_called_nobody() {
    let mut bench = Bench::two_trunks(&east_by_name(), Manner::Rings);
    let east = vec![(sx_types::Transport::Udp, "192.0.2.20:5060".parse().expect("an address"))];
    bench.names.insert("east.example".into(), east);
    bench.names_wait = true;
    let session = bench.dial("west", "sip:0123@192.0.2.1");
    bench.pass_s(1);
    bench.hang_up("west", session);
    assert_eq!(bench.workers[0].calls(), 0, "nothing is left to wait for\n{}", bench.ladder());
    bench.names_come();
    assert!(bench.received("east").is_empty(), "{}", bench.ladder());
    bench.assert_over(1);
}
