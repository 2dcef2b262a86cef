//! The second and third layer, and the countries: who may come from where, and over what.

use crate::driver::{Bench, Manner, PASSWORD};
use crate::said::{ALICE, bench_with, refusal, register_rejected, rejected, request, status, with};
use serde_json::{Value, json};

const COUNCIL: &str = "[edge]\nonly_organisations = true\n[[organisation]]\nname = \"council\"\n\
                       networks = [\"198.51.100.0/24\"]\nmembers = [\"bob@example.org\"]\n";

#[test]
fn whoever_is_in_no_organisation_s_network_is_refused() {
    let mut bench = bench_with(COUNCIL);
    assert_eq!(status(&bench.send_raw("alice", &request("OPTIONS", ""))), Some(403));
    let refused = rejected("not-in-network", &refusal("network", "OPTIONS", 403));
    assert_eq!(bench.recorded("security_rejected"), [&refused]);
}

#[test]
fn a_member_is_taken_from_the_organisation_s_networks_only() {
    let mut bench = bench_with(&COUNCIL.replace("true", "false"));
    bench.peer("bob", "192.0.2.12:5060", Manner::Answers);
    assert_eq!(bench.register("bob", "bob", PASSWORD), 403);
    let of_bob = ("bob", "192.0.2.12:5060");
    let refused = register_rejected("network", "not-in-network", 403, "bob@example.org", of_bob);
    assert_eq!(bench.recorded("security_rejected"), [&refused]);
    bench.peer("bob-at-home", "198.51.100.7:5060", Manner::Answers);
    assert_eq!(bench.register("bob-at-home", "bob", PASSWORD), 200);
}

#[test]
fn an_organisation_that_wants_tls_is_not_heard_without() {
    let tls = "[[organisation]]\nname = \"council\"\nnetworks = [\"192.0.2.0/24\"]\ntls_required = true\n";
    let mut bench = bench_with(tls);
    assert_eq!(status(&bench.send_raw("alice", &request("OPTIONS", ""))), Some(403));
    let refused = rejected("tls-required", &refusal("transport", "OPTIONS", 403));
    assert_eq!(bench.recorded("security_rejected"), [&refused]);
}

#[test]
fn a_member_of_an_organisation_that_wants_tls_is_not_heard_without_in_another_s_network_either() {
    let config = "[[organisation]]\nname = \"council\"\nnetworks = [\"192.0.2.0/24\"]\ntls_required = true\n\
                  members = [\"bob@example.org\"]\n[[organisation]]\nname = \"annex\"\nnetworks = [\"192.0.2.8/29\"]\n";
    let mut bench = bench_with(config);
    bench.peer("bob", "192.0.2.12:5060", Manner::Answers);
    assert_eq!(bench.register("bob", "bob", PASSWORD), 403);
    let of_bob = ("bob", "192.0.2.12:5060");
    let refused = register_rejected("transport", "tls-required", 403, "bob@example.org", of_bob);
    assert_eq!(bench.recorded("security_rejected"), [&refused]);
    assert_eq!(bench.register("alice", "alice", PASSWORD), 200, "she is no member");
}

/// alice is in Austria, whoever comes by IPv6 in Belgium; nobody knows where 198.51.100.0 is.
const COUNTRIES: [(&str, &str); 2] = [("192.0.2.0/24", "AT"), ("2001:db8::/32", "BE")];

fn bench_in_countries(blocked: &[[u8; 2]], allowed: &[[u8; 2]]) -> Bench {
    let mut bench = bench_with("");
    bench.peer("belgian", BELGIAN, Manner::Answers);
    bench.peer("stranger", "198.51.100.7:5060", Manner::Answers);
    bench.know_countries(&COUNTRIES, blocked, allowed);
    bench
}

const BELGIAN: &str = "[2001:db8::7]:5060";

fn statuses(bench: &mut Bench) -> [Option<u16>; 3] {
    ["alice", "belgian", "stranger"].map(|name| status(&bench.send_raw(name, &request("OPTIONS", ""))))
}

fn refused_for_country(source: &str, letters: &str) -> Value {
    rejected("country", &with(refusal("identity", "OPTIONS", 403), &json!({ "country": letters, "source": source })))
}

#[test]
fn requests_from_a_country_that_is_blocked_are_refused_and_those_from_nowhere_known_are_not() {
    let mut bench = bench_in_countries(&[*b"AT"], &[]);
    assert_eq!(statuses(&mut bench), [Some(403), Some(200), Some(200)]);
    assert_eq!(bench.recorded("security_rejected"), [&refused_for_country(ALICE, "AT")]);
    let mut bench = bench_in_countries(&[*b"BE"], &[]);
    assert_eq!(statuses(&mut bench), [Some(200), Some(403), Some(200)]);
    assert_eq!(bench.recorded("security_rejected"), [&refused_for_country(BELGIAN, "BE")]);
}

#[test]
fn where_countries_are_allowed_all_others_are_refused() {
    let mut bench = bench_in_countries(&[], &[*b"BE"]);
    assert_eq!(statuses(&mut bench), [Some(403), Some(200), Some(200)]);
    assert_eq!(bench.recorded("security_rejected"), [&refused_for_country(ALICE, "AT")]);
    // Whoever is on both lists is refused.
    let mut bench = bench_in_countries(&[*b"BE"], &[*b"BE", *b"AT"]);
    assert_eq!(statuses(&mut bench), [Some(200), Some(403), Some(200)]);
}
