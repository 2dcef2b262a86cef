//! The torture messages of RFC 4475 and RFC 5118, byte for byte, held to what those RFCs say of each.
//!
//! A file's extension is the verdict: `accept`, `drop` for a response that must be discarded, or the status a request
//! is refused with. Where this crate leaves the verdict to its owner, the table names that owner and the file is held to
//! what the owner needs of it.
//!
//! Two things differ from the RFCs' print: what stands there in angle brackets for bytes and repetitions is written out,
//! and the lengths of the session descriptions in RFC 5118, 4.6, 4.8 and 4.9, which do not fit their bodies, are right.

mod wire;

use std::collections::BTreeSet;
use std::path::PathBuf;
use sx_sip::agent::{AcceptError, Disposition};
use sx_sip::digest::{DigestError, DigestParams};
use sx_sip::message::{
    Defect, HeaderName, Message, Method, NameAddr, ParseError, Scheme, Uri, UriError, ValueError, Via,
};
use wire::{Alone, BOB, flow, label};

/// Who gives the verdict, and what is true of the message here.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    /// The message is refused here with this defect, and the agent answers with its status.
    Check(Defect),
    /// It is no message, and nothing is answered.
    Parse(ParseError),
    /// A response that belongs to nothing: the agent drops it.
    Agent,
    /// The agent refuses to make a session of it.
    Accept(AcceptError),
    /// It is handed to the owner: who that is, and what makes it give the verdict.
    Owner(&'static str),
    /// It is fine: outside of a dialog.
    Fine,
    /// It is fine, and belongs to a dialog that is not here.
    FineWithin,
}

use By::{Accept, Agent, Check, Fine, FineWithin, Owner, Parse};

const CASES: &[(&str, By)] = &[
    // RFC 4475, 3.1.1: valid messages.
    ("wsinv.accept", FineWithin),
    ("intmeth.accept", Fine),
    ("esc01.accept", Fine),
    ("escnull.accept", Fine),
    ("esc02.accept", Fine),
    ("lwsdisp.accept", Fine),
    ("longreq.accept", Fine),
    ("dblreq.accept", Fine),
    ("semiuri.accept", Fine),
    ("transports.accept", Fine),
    ("mpart01.accept", Fine),
    ("unreason.accept", FineWithin),
    ("noreason.accept", FineWithin),
    // 3.1.2: invalid messages. Where a liberal reading is allowed and clear, it is what we do.
    ("badinv01.400", Check(Defect::Malformed(HeaderName::Via, ValueError::Malformed))),
    ("clerr.400", Check(Defect::BodyTruncated)),
    ("ncl.400", Check(Defect::ContentLength)),
    ("scalar02.400", Check(Defect::Malformed(HeaderName::CSeq, ValueError::Number))),
    ("scalarlg.drop", Check(Defect::Malformed(HeaderName::CSeq, ValueError::Number))),
    ("quotbal.400", Check(Defect::Malformed(HeaderName::To, ValueError::Uri(UriError::Character)))),
    ("ltgtruri.400", Check(Defect::RequestUri(UriError::Character))),
    ("lwsruri.400", Check(Defect::RequestUri(UriError::Character))),
    ("lwsstart.accept", Fine),
    ("trws.accept", Fine),
    ("escruri.accept", Fine),
    ("baddate.accept", Fine),
    ("regbadct.400", Owner("the registrar: the Contact is malformed")),
    ("badaspec.accept", Fine),
    ("baddn.400", Check(Defect::Malformed(HeaderName::From, ValueError::Malformed))),
    ("badvers.505", Check(Defect::Version)),
    ("mismatch01.400", Check(Defect::MethodMismatch)),
    ("mismatch02.400", Check(Defect::MethodMismatch)),
    ("bigcode.drop", Parse(ParseError::StartLine)),
    // 3.2 and 3.3: transactions and applications.
    ("badbranch.accept", Fine),
    ("insuf.400", Check(Defect::Missing(HeaderName::CallId))),
    ("unkscm.416", Owner("routing: the scheme of the request URI is unknown")),
    ("novelsc.416", Owner("routing: the scheme of the request URI is unknown")),
    ("unksm2.400", Owner("the registrar: To is no SIP URI")),
    ("bext01.420", Owner("who answers requests outside of sessions: an extension is required")),
    ("invut.415", Accept(AcceptError::UnsupportedBody)),
    ("regaut01.401", Owner("the registrar: the scheme of the credentials is unknown")),
    ("multi01.400", Check(Defect::Repeated(HeaderName::CSeq))),
    ("mcl01.400", Check(Defect::ContentLength)),
    ("bcast.drop", Agent),
    ("zeromf.483", Owner("who passes requests on: no hops are left")),
    ("cparam01.accept", Fine),
    ("cparam02.accept", Fine),
    ("regescrt.accept", Fine),
    ("sdp01.406", Accept(AcceptError::NotAcceptable)),
    ("inv2543.accept", Fine),
    // RFC 5118.
    ("ipv6-good.accept", Fine),
    ("ipv6-bad.400", Check(Defect::RequestUri(UriError::Port))),
    ("port-ambiguous.accept", Fine),
    ("port-unambiguous.accept", Fine),
    ("via-received-param-with-delim.accept", FineWithin),
    ("via-received-param-no-delim.accept", Fine),
    ("ipv6-in-sdp.accept", Fine),
    ("mult-ip-in-header.accept", FineWithin),
    ("mult-ip-in-sdp.accept", Fine),
    ("ipv4-mapped-ipv6.accept", Fine),
    ("ipv6-bug-abnf-3-colons.accept", Fine),
    ("ipv6-correct-abnf-2-colons.accept", Fine),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/torture")
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Hands the message to an agent, and an INVITE that is new to `accept`; gives what was sent.
fn handle(alone: &mut Alone, message: &Message<&[u8]>) -> (Disposition, Option<AcceptError>) {
    let disposition = alone.agent.receive(alone.now, flow(BOB), message);
    assert!(alone.sent().is_empty(), "nothing is answered that its owner does not want answered");
    alone.agent.refuse(flow(BOB), message, disposition);
    let invite = disposition == Disposition::Request && message.method() == Some(Method::Invite);
    let error = invite.then(|| alone.agent.accept(alone.now, flow(BOB), message, 1).err()).flatten();
    (disposition, error)
}

#[track_caller]
fn check(name: &str, by: By) {
    let bytes = bytes(name);
    let verdict = name.rsplit('.').next().expect("an extension");
    let message = match (Message::parse(&bytes[..]), by) {
        (Err(error), Parse(expected)) => return assert_eq!((error, verdict), (expected, "drop"), "{name}"),
        (parsed, _) => parsed.unwrap_or_else(|error| panic!("{name}: {error}")),
    };
    let mut alone = Alone::new();
    let (disposition, refused) = handle(&mut alone, &message);
    let sent: Vec<String> = alone.sent().iter().map(|(_, message)| label(message)).collect();
    let answered: &[String] = if verdict.parse::<u16>().is_ok() { &[verdict.to_owned()] } else { &[] };
    match by {
        Parse(_) => panic!("{name} parses"),
        Check(defect) => {
            assert_eq!((message.check(), disposition), (Err(defect), Disposition::Malformed(defect)), "{name}");
            assert_eq!(sent, answered, "{name}");
        }
        Accept(error) => assert_eq!((refused, &sent[..]), (Some(error), answered), "{name}"),
        Agent => assert_eq!((disposition, &sent[..], verdict), (Disposition::Stray, answered, "drop"), "{name}"),
        Owner(_) => {
            assert_eq!((message.check(), disposition, &sent[..]), (Ok(()), Disposition::Request, &[][..]), "{name}");
        }
        Fine => assert_eq!((verdict, disposition, refused), ("accept", Disposition::Request, None), "{name}"),
        FineWithin => {
            assert_eq!((message.check(), verdict, disposition), (Ok(()), "accept", Disposition::Stray), "{name}");
        }
    }
}

#[test]
fn every_torture_message_gets_the_verdict_of_its_rfc() {
    for (name, by) in CASES {
        check(name, *by);
    }
}

#[test]
fn every_file_is_in_the_table() {
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    let table: BTreeSet<String> = CASES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files, table);
    assert_eq!(table.len(), 49 + 12);
}

/// Parses the file and hands it to the claim.
fn with(name: &str, claim: impl FnOnce(&Message<&[u8]>)) {
    let bytes = bytes(name);
    claim(&Message::parse(&bytes[..]).expect("it parses"));
}

fn address<'a>(message: &'a Message<&[u8]>, name: HeaderName) -> NameAddr<'a> {
    NameAddr::parse(message.elements(name).next().expect("it is there")).expect("an address")
}

fn uri<'a>(message: &'a Message<&[u8]>) -> Uri<'a> {
    Uri::parse(message.request_uri()).expect("a URI")
}

#[test]
fn a_folded_invite_reads_as_one_written_plainly() {
    with("wsinv.accept", |m| {
        assert_eq!(uri(m).user, "vivekg");
        assert!(uri(m).params.has("unknownparam"));
        assert_eq!(address(m, HeaderName::To).tag(), Some("1918181833n"));
        let from = address(m, HeaderName::From);
        assert_eq!((&*from.display_text(), from.tag()), ("J Rosenberg \\\"", Some("98asjd8")));
        assert_eq!(m.number(HeaderName::MaxForwards), Some(68));
        let vias: Vec<Via> = m.elements(HeaderName::Via).map(|v| Via::parse(v).expect("a Via")).collect();
        let told: Vec<_> = vias.iter().map(|v| (v.transport, v.host.as_str(), v.branch)).collect();
        assert_eq!(
            told,
            [
                ("UDP", "192.0.2.2", "390skdjuw"),
                ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
                ("UDP", "192.168.255.111", "z9hG4bK30239")
            ]
        );
        assert_eq!(m.value(HeaderName::Subject), Some(&b""[..]));
        assert_eq!(m.other("UnknownHeaderWithUnusualValue"), Some(&b";;,,;;,;"[..]));
        let contact = address(m, HeaderName::Contact);
        assert_eq!((contact.params.value("newparam"), contact.params.value("q")), (Some("newvalue"), Some("0.33")));
        let route = address(m, HeaderName::Route);
        assert!(route.uri.params.has("lr") && route.uri.params.has("unknown-no-value"));
        assert_eq!(m.body().len(), 150);
    });
}

#[test]
fn unusual_characters_stay_what_they_are() {
    with("intmeth.accept", |m| {
        assert_eq!(
            (m.method(), m.method_text()),
            (Some(Method::Other), &b"!interesting-Method0123456789_*+`.%indeed'~"[..])
        );
        assert_eq!(uri(m).user, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*");
        assert_eq!(uri(m).password, Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
        assert_eq!(address(m, HeaderName::To).display, b"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f");
        let from = address(m, HeaderName::From);
        assert_eq!(from.params.value("fromParam''~+*_!.-%"), Some("работающий"));
        assert_eq!(from.tag(), Some("_token~1'+`*%!-."));
        assert_eq!(m.value(HeaderName::CallId), Some(&b"intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"[..]));
        assert_eq!(m.other("extensionHeader-!.%*+_`'~"), Some("\u{feff}大停電".as_bytes()));
    });
    with("unreason.accept", |m| assert_eq!((m.status(), m.body().len()), (Some(200), 154)));
    with("mpart01.accept", |m| assert_eq!(m.body().len(), 553));
}

#[test]
fn escapes_are_undone_where_they_are_escapes_and_nowhere_else() {
    with("esc01.accept", |m| {
        assert_eq!(uri(m).user_unescaped(), "sips:user@example.com");
        assert_eq!(uri(m).host.as_str(), "example.net");
        assert_eq!(address(m, HeaderName::To).user(), "user");
        assert_eq!(address(m, HeaderName::From).user(), "I have spaces");
    });
    with("escnull.accept", |m| {
        let users: Vec<_> = m
            .elements(HeaderName::Contact)
            .map(|c| NameAddr::parse(c).expect("an address").user().into_owned())
            .collect();
        assert_eq!(users, ["\0", "\0\0"]);
    });
    with("esc02.accept", |m| {
        assert_eq!((m.method(), m.method_text()), (Some(Method::Other), &b"RE%47IST%45R"[..]));
        assert_eq!(m.values(HeaderName::Contact).count(), 2, "C%6Fntact is another header");
        assert_eq!(address(m, HeaderName::To).display, b"%Z%45");
    });
    with("semiuri.accept", |m| assert_eq!(uri(m).user_unescaped(), "user;par=u@example.net"));
    with("escruri.accept", |m| {
        assert_eq!((uri(m).headers, m.value(HeaderName::Route)), ("Route=%3Csip:example.com%3E", None));
    });
}

#[test]
fn what_follows_the_message_in_its_datagram_is_left_out() {
    with("dblreq.accept", |m| {
        assert_eq!((m.method(), m.body()), (Some(Method::Register), &b""[..]));
        assert_eq!(m.values(HeaderName::CallId).count(), 1);
    });
    with("longreq.accept", |m| {
        assert_eq!(m.values(HeaderName::Via).count(), 34);
        let last = Via::parse(m.values(HeaderName::Via).next_back().expect("a Via")).expect("a Via");
        assert_eq!((last.branch.len(), last.params.value("received")), (4 + 50 * 4 + 11, Some("192.0.2.5")));
    });
}

#[test]
fn a_branch_of_the_cookie_alone_does_not_make_two_requests_one() {
    let (bytes, mut alone) = (bytes("badbranch.accept"), Alone::new());
    let first = Message::parse(&bytes[..]).expect("it parses");
    let other = String::from_utf8(bytes.clone()).expect("text").replace("badbranch.", "another.");
    assert_eq!(alone.agent.receive(alone.now, flow(BOB), &first), Disposition::Request);
    alone.agent.open(alone.now, flow(BOB), &first);
    assert_eq!(alone.agent.receive(alone.now, flow(BOB), &first), Disposition::Handled, "it came again");
    assert_eq!(alone.receive(&other), Disposition::Request);
}

#[test]
fn the_owners_verdict_can_be_read_from_the_message() {
    for name in ["unkscm.416", "novelsc.416"] {
        with(name, |m| assert!(matches!(uri(m).scheme, Scheme::Other(_))));
    }
    with("unksm2.400", |m| assert_eq!(address(m, HeaderName::To).uri.scheme, Scheme::Other("isbn")));
    with("regbadct.400", |m| {
        let contact = m.elements(HeaderName::Contact).next().expect("a Contact");
        assert_eq!(NameAddr::parse(contact), Err(ValueError::Uri(UriError::Headers)));
    });
    with("regescrt.accept", |m| {
        assert_eq!(address(m, HeaderName::Contact).uri.headers, "Route=%3Csip:sip.example.com%3E");
    });
    with("regaut01.401", |m| {
        let credentials = m.value(HeaderName::Authorization).expect("credentials");
        assert_eq!(DigestParams::parse(credentials), Err(DigestError::Scheme));
    });
    with("zeromf.483", |m| assert_eq!(m.number(HeaderName::MaxForwards), Some(0)));
    with("bext01.420", |m| {
        let required: Vec<&[u8]> = m.elements(HeaderName::Require).collect();
        assert_eq!(required, [&b"nothingSupportsThis"[..], b"nothingSupportsThisEither"]);
    });
    with("cparam01.accept", |m| {
        let contact = address(m, HeaderName::Contact);
        assert!(contact.params.has("unknownparam") && !contact.uri.params.has("unknownparam"));
    });
    with("cparam02.accept", |m| {
        let contact = address(m, HeaderName::Contact);
        assert!(!contact.params.has("unknownparam") && contact.uri.params.has("unknownparam"));
    });
    with("inv2543.accept", |m| {
        assert_eq!((m.number(HeaderName::MaxForwards), m.content_length()), (None, None));
        assert_eq!((address(m, HeaderName::From).tag(), m.body().len()), (None, 105));
    });
}

#[test]
fn an_invite_that_requires_what_nobody_supports_is_told_what() {
    let text = String::from_utf8(bytes("bext01.420")).expect("text").replace("OPTIONS", "INVITE");
    let mut alone = Alone::new();
    let message = Message::parse(text.as_bytes()).expect("it parses");
    assert_eq!(handle(&mut alone, &message), (Disposition::Request, Some(AcceptError::BadExtension)));
    let answer = alone.sent_one();
    assert_eq!(answer.status(), Some(420));
    assert_eq!(wire::value(&answer, HeaderName::Unsupported), "nothingSupportsThis, nothingSupportsThisEither");
}

#[test]
fn brackets_say_where_an_ipv6_address_ends() {
    for (name, host, port) in [
        ("ipv6-good.accept", "2001:db8::10", None),
        ("port-ambiguous.accept", "2001:db8::10:5070", None),
        ("port-unambiguous.accept", "2001:db8::10", Some(5070)),
        ("ipv6-bug-abnf-3-colons.accept", "2001:db8::192.0.2.1", None),
        ("ipv6-correct-abnf-2-colons.accept", "2001:db8::192.0.2.1", None),
    ] {
        with(name, |m| assert_eq!((uri(m).host.ip(), uri(m).port), (host.parse().ok(), port), "{name}"));
    }
    for (name, received) in [
        ("via-received-param-with-delim.accept", "[2001:db8::9:255]"),
        ("via-received-param-no-delim.accept", "2001:db8::9:255"),
    ] {
        with(name, |m| {
            let via = Via::parse(m.value(HeaderName::Via).expect("a Via")).expect("a Via");
            assert_eq!(via.params.value("received"), Some(received), "{name}");
        });
    }
    with("ipv4-mapped-ipv6.accept", |m| {
        let via = Via::parse(m.value(HeaderName::Via).expect("a Via")).expect("a Via");
        assert_eq!((via.host.ip(), via.port), ("::ffff:192.0.2.10".parse().ok(), Some(19_823)));
        assert_eq!(address(m, HeaderName::Contact).uri.host.ip(), "::ffff:192.0.2.2".parse().ok());
    });
    with("ipv6-bad.400", |m| assert_eq!(Uri::parse(m.request_uri()), Err(UriError::Port)));
}
