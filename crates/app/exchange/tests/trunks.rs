//! Calls from one trunk to another.

mod driver;

use driver::{Bench, Manner, TRUNKS, named, text, uri, value};
use sx_sip::message::{HeaderName, Method};

#[test]
fn a_call_goes_from_trunk_to_trunk_with_the_number_rewritten() {
    let mut bench = Bench::new(TRUNKS);
    bench.peer("west", "192.0.2.10:5060", Manner::Silent);
    bench.peer("east", "192.0.2.20:5060", Manner::Answers);
    let session = bench.dial("west", "sip:0123@192.0.2.1");
    assert_eq!(bench.statuses("west", "INVITE"), [180, 200]);
    let invite = bench.requests("east", Method::Invite).remove(0);
    assert_eq!(uri(&invite), "sip:+49123@192.0.2.20");
    bench.hang_up("west", session);
    assert_eq!(bench.statuses("west", "BYE"), [200]);
    assert_eq!(bench.requests("east", Method::Bye).len(), 1);
    bench.assert_over(1);
    assert_eq!(&*bench.ended()[0].attempts[0].target, "trunk:east");
}
