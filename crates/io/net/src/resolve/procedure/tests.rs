//! Zones in text, and what they come to.

use super::*;
use std::collections::HashMap;

const USABLE: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

/// A zone in lines: `NAPTR name order preference flag service replacement`, `SRV name priority weight port
/// target`, `A name address`, `FAIL name`.
fn zone(text: &str) -> HashMap<String, Records> {
    let mut zone = HashMap::new();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let f: Vec<&str> = line.split_whitespace().collect();
        let n = |at: usize| f[at].parse::<u16>().expect("a number");
        let entry = zone.entry(format!("{} {}", f[0], f[1]));
        match f[0] {
            "NAPTR" => {
                let record = Naptr {
                    order: n(2),
                    preference: n(3),
                    flags: f[4].into(),
                    service: f[5].into(),
                    replacement: f[6].into(),
                };
                let Records::Naptr(list) = entry.or_insert(Records::Naptr(vec![])) else { panic!() };
                list.push(record);
            }
            "SRV" => {
                let record = Srv { priority: n(2), weight: n(3), port: n(4), target: f[5].into() };
                let Records::Srv(list) = entry.or_insert(Records::Srv(vec![])) else { panic!() };
                list.push(record);
            }
            "A" => {
                let Records::Addresses(list) = entry.or_insert(Records::Addresses(vec![])) else { panic!() };
                list.push(f[2].parse().expect("an address"));
            }
            _ => {
                zone.insert(format!("{} {}", f[1], f[2]), Records::Failed(ResolveError::Timeout));
            }
        }
    }
    zone
}

fn resolve(question: &Question, zone: &HashMap<String, Records>) -> Result<String, ResolveError> {
    let mut procedure = Procedure::new(question, &USABLE, Rng::from_number(1));
    for _ in 0..100 {
        let key = match procedure.poll() {
            Step::Done(result) => {
                let text = |(t, a): &(Transport, SocketAddr)| format!("{t} {a}");
                return result.map(|list| list.iter().map(text).collect::<Vec<_>>().join(", "));
            }
            Step::Lookup(Lookup::Naptr(name)) => format!("NAPTR {name}"),
            Step::Lookup(Lookup::Srv(name)) => format!("SRV {name}"),
            Step::Lookup(Lookup::Addresses(name)) => format!("A {name}"),
        };
        procedure.handle_answer(zone.get(&key).cloned().unwrap_or(Records::None));
    }
    panic!("it never ends");
}

/// `question` is `[sips:]host[:port][;transport]`.
fn check(question: &str, records: &str, expected: Result<&str, ResolveError>) {
    let (rest, secure) = question.strip_prefix("sips:").map_or((question, false), |rest| (rest, true));
    let (rest, transport) = rest.split_once(';').map_or((rest, None), |(r, t)| (r, Some(t.parse().expect("one"))));
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port.parse().expect("one"))),
        _ => (rest, None),
    };
    let question = Question { host: host.into(), port, transport, secure };
    assert_eq!(resolve(&question, &zone(records)), expected.map(str::to_owned), "{question:?}");
}

const ADDRESS: &str = "A a.example 192.0.2.1\nA a.example 2001:db8::1\n";

//= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
//= type=test
#[test]
fn numbers_and_ports_need_no_records() {
    check("192.0.2.7", "", Ok("udp 192.0.2.7:5060"));
    check("sips:192.0.2.7", "", Ok("tls 192.0.2.7:5061"));
    check("[2001:db8::7]:5080;tcp", "", Ok("tcp [2001:db8::7]:5080"));
    check("a.example:5080", ADDRESS, Ok("udp 192.0.2.1:5080, udp [2001:db8::1]:5080"));
    check("sips:a.example:5080", ADDRESS, Ok("tls 192.0.2.1:5080, tls [2001:db8::1]:5080"));
    check("A.Example.", ADDRESS, Ok("udp 192.0.2.1:5060, udp [2001:db8::1]:5060"));
    check("a.example;tcp", ADDRESS, Ok("tcp 192.0.2.1:5060, tcp [2001:db8::1]:5060"));
    check("sips:a.example;tcp", ADDRESS, Ok("tls 192.0.2.1:5061, tls [2001:db8::1]:5061"));
    check("nowhere.example", ADDRESS, Err(ResolveError::NotFound));
}

//= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
//= type=test
#[test]
fn naptr_chooses_the_transport_and_srv_the_server() {
    // The example of the RFC.
    let records = "
        NAPTR example.com 50 50 s SIPS+D2T _sips._tcp.example.com.
        NAPTR example.com 90 50 s SIP+D2T _sip._tcp.example.com.
        NAPTR example.com 100 50 s SIP+D2U _sip._udp.example.com.
        SRV _sip._tcp.example.com 1 0 5070 s2.example.com.
        SRV _sip._tcp.example.com 0 1 5060 s1.example.com.
        SRV _sips._tcp.example.com 0 1 5061 s1.example.com.
        A s1.example.com 192.0.2.1
        A s2.example.com 192.0.2.2";
    check("example.com", records, Ok("tls 192.0.2.1:5061"));
    check("example.com;tcp", records, Ok("tcp 192.0.2.1:5060, tcp 192.0.2.2:5070"));
    check("sips:example.com", records, Ok("tls 192.0.2.1:5061"));
    let without_tls = records.replace("SIPS+D2T", "SIP+D2S");
    check("example.com", &without_tls, Ok("tcp 192.0.2.1:5060, tcp 192.0.2.2:5070"));
    let without_naptr = records.replace("NAPTR example.com", "NAPTR other.com");
    check("example.com", &without_naptr, Ok("tcp 192.0.2.1:5060, tcp 192.0.2.2:5070, tls 192.0.2.1:5061"));
    let direct = "NAPTR d.com 1 1 a SIP+D2T s1.example.com.\nA s1.example.com 192.0.2.1";
    check("d.com", direct, Ok("tcp 192.0.2.1:5060"));
}

#[test]
fn what_is_denied_or_unknown_now_is_told_apart_from_what_is_not_there() {
    check("d.example;udp", "SRV _sip._udp.d.example 0 0 0 .\nA d.example 192.0.2.1", Err(ResolveError::Denied));
    check("d.example;udp", "FAIL A d.example", Err(ResolveError::Timeout));
    // A failed lookup does not stand in the way of what is known.
    check("a.example", &format!("FAIL NAPTR a.example\n{ADDRESS}"), Ok("udp 192.0.2.1:5060, udp [2001:db8::1]:5060"));
    let half = "SRV _sip._udp.h.example 0 0 5060 x.example\nSRV _sip._udp.h.example 1 0 5060 a.example\n";
    check("h.example;udp", &format!("{half}FAIL A x.example\nA a.example 192.0.2.1"), Ok("udp 192.0.2.1:5060"));
}

#[test]
fn a_host_that_needs_what_we_lack_has_no_transport() {
    let question = Question { host: "a.example".into(), port: None, transport: None, secure: true };
    let mut procedure = Procedure::new(&question, &[Transport::Udp], Rng::from_number(1));
    while let Step::Lookup(_) = procedure.poll() {
        procedure.handle_answer(Records::None);
    }
    assert_eq!(procedure.poll(), Step::Done(Err(ResolveError::NoTransport)));
}

//= https://www.rfc-editor.org/rfc/rfc2782
//= type=test
#[test]
fn targets_are_drawn_by_their_weight_within_their_priority() {
    let srv = |priority, weight, target: &str| Srv { priority, weight, port: 5060, target: target.into() };
    let records = vec![srv(1, 100, "later"), srv(0, 3, "often"), srv(0, 1, "seldom"), srv(0, 0, "hardly")];
    let mut rng = Rng::from_number(7);
    let mut first: HashMap<String, u32> = HashMap::new();
    for _ in 0..5_000 {
        let order = ordered(records.clone(), &mut rng);
        assert_eq!((order.len(), order[3].target.as_str()), (4, "later"));
        *first.entry(order[0].target.clone()).or_default() += 1;
    }
    // One draw of five is the zero that falls to weight 0, one falls to weight 1, three to weight 3.
    for (target, share) in [("hardly", 1_000), ("seldom", 1_000), ("often", 3_000)] {
        let count = first[target];
        assert!(count.abs_diff(share) < 200, "{target} {count}");
    }
}

#[test]
fn a_hostile_zone_is_bounded() {
    let mut records = String::new();
    for index in 0..200 {
        records += &format!("SRV _sip._udp.h.example 0 0 5060 t{index}.example\n");
    }
    for index in 0..200 {
        for address in 0..50 {
            records += &format!("A t{index}.example 10.0.{index}.{address}\n");
        }
    }
    let question = Question { host: "h.example".into(), port: None, transport: Some(Transport::Udp), secure: false };
    let found = resolve(&question, &zone(&records)).expect("addresses");
    assert_eq!(found.split(", ").count(), FOUND_MAX);
}
