//! Every route with every role, and the description of all of them.

use crate::exchange::{ask, asked, started};
use std::collections::BTreeSet;
use sx_http::{
    ApiRequest, Ballot, Chunk, EventsWanted, MemberOrder, NewUpload, PartyName, PartyOrder, ROUTES, RecordingOrder,
    Role, Route, Verb,
};
use sx_types::Consent;

/// A request, what it means, who may make it at the least, and what comes back.
type Case = (&'static str, &'static str, &'static str, ApiRequest, Role, u16);

#[expect(clippy::too_many_lines, reason = "a line for each route")]
fn cases() -> Vec<Case> {
    use ApiRequest::*;
    use Role::{Administrator, Operator, Viewer};
    let address = "192.0.2.7".parse().expect("an address");
    let within = "2001:db8::7".parse().expect("an address");
    let facts = serde_json::json!({ "source": { "address": "192.0.2.7" } });
    let (ban, explain) = (r#"{"seconds":60,"reason":"scans"}"#, r#"{"facts":{"source":{"address":"192.0.2.7"}}}"#);
    let (token, brief) = (r#"{"name":"ci","role":"operator"}"#, r#"{"name":"ci","role":"viewer","expires_s":60}"#);
    let call = r#"{"worker":1,"snapshot":{}}"#;
    let called = r#"{"to":"sip:anna@x.org"}"#;
    let both = r#"{"from":"anna","to":"300"}"#;
    let originate = Originate { from: "anna".into(), to: "300".into() };
    let party = |party, change| ChangeParty { id: "a".into(), party, change };
    let (play, transfer) = (PartyOrder::Play("a.wav".into()), PartyOrder::Transfer("300".into()));
    let to_room = PartyOrder::Move("b".into());
    let invite = Invite { room: "the council".into(), to: "sip:anna@x.org".into() };
    let member = |change| ChangeMember { room: "council".into(), id: "a".into(), change };
    let open = OpenVote { id: "4bf9".into(), question: "Shall we?".into(), seconds: 60 };
    let ballot = r#"{"guardian":"legal","choice":"veto","timestamp":"2026-11-23T10:00:00Z","signature":"00"}"#;
    let said = Ballot {
        guardian: "legal".into(),
        choice: "veto".into(),
        timestamp: "2026-11-23T10:00:00Z".into(),
        signature: "00".into(),
    };
    let upload =
        NewUpload { length: 3, name: "evidence".into(), media_type: "application/octet-stream".into(), sha256: None };
    let chunk = Chunk { offset: 0, bytes: b"abc".to_vec(), sha256: None };
    let (id, piece) = (|| "4bf9".to_owned(), || "4bfb".to_owned());
    let shown = r#"{"sha256":"0707070707070707070707070707070707070707070707070707070707070707"}"#;
    let wanted = EventsWanted { after: Some(7), kinds: vec!["vote".into(), "call".into()] };
    let cast = CastBallot { id: "4bfa".into(), ballot: said };
    let escalate = Escalate { message: b"{\"id\": \"m-1\"}".to_vec(), from: [127, 0, 0, 1].into() };
    let record = |change| Record { id: "a".into(), change };
    let start = RecordingOrder::Start(Consent::Agreed);
    vec![
        ("GET", "/version", "", Version, Viewer, 200),
        ("GET", "/calls", "", Calls { limit: 100 }, Viewer, 200),
        ("GET", "/calls?limit=7", "", Calls { limit: 7 }, Viewer, 200),
        ("GET", "/calls/a%2Fb", "", Call { id: "a/b".into() }, Viewer, 200),
        ("DELETE", "/calls/a", "", Hangup { id: "a".into(), cause: 16 }, Operator, 204),
        ("DELETE", "/calls/a?cause=21", "", Hangup { id: "a".into(), cause: 21 }, Operator, 204),
        ("POST", "/calls/a/export", "", ExportCall { id: "a".into(), release: false }, Administrator, 200),
        ("POST", "/calls/a/export?release=true", "", ExportCall { id: "a".into(), release: true }, Administrator, 200),
        ("POST", "/imports", call, ImportCall { worker: 1, snapshot: serde_json::json!({}) }, Administrator, 204),
        ("POST", "/calls", both, originate, Operator, 201),
        ("POST", "/calls/a/parties/caller?change=hold", "", party(PartyName::Caller, PartyOrder::Hold), Operator, 204),
        ("POST", "/calls/a/parties/both?change=resume", "", party(PartyName::Both, PartyOrder::Resume), Operator, 204),
        ("POST", "/calls/a/parties/called?change=mute", "", party(PartyName::Called, PartyOrder::Mute), Operator, 204),
        ("POST", "/calls/a/parties/both?change=unmute", "", party(PartyName::Both, PartyOrder::Unmute), Operator, 204),
        ("POST", "/calls/a/parties/both?change=play&sound=a.wav", "", party(PartyName::Both, play), Operator, 204),
        ("POST", "/calls/a/parties/both?change=stop", "", party(PartyName::Both, PartyOrder::Stop), Operator, 204),
        (
            "POST",
            "/calls/a/parties/called?change=transfer&to=300",
            "",
            party(PartyName::Called, transfer),
            Operator,
            204,
        ),
        ("POST", "/calls/a/parties/both?change=move&to=b", "", party(PartyName::Both, to_room), Operator, 204),
        ("POST", "/calls/a/recording?change=pause", "", record(RecordingOrder::Pause), Operator, 204),
        ("POST", "/calls/a/recording?change=resume", "", record(RecordingOrder::Resume), Operator, 204),
        ("POST", "/calls/a/recording?change=stop", "", record(RecordingOrder::Stop), Operator, 204),
        ("POST", "/calls/a/recording?change=start&consent=agreed", "", record(start), Operator, 204),
        ("GET", "/trunks", "", Trunks, Viewer, 200),
        ("GET", "/rooms", "", Rooms, Viewer, 200),
        ("POST", "/rooms/the%20council/members", called, invite, Operator, 201),
        ("GET", "/rooms/council/members", "", Members { room: "council".into() }, Viewer, 200),
        ("POST", "/rooms/council/members/a?change=mute", "", member(MemberOrder::Mute), Operator, 204),
        ("POST", "/rooms/council/members/a?change=unmute", "", member(MemberOrder::Unmute), Operator, 204),
        ("POST", "/rooms/council/members/a?change=move&to=b", "", member(MemberOrder::Move("b".into())), Operator, 204),
        (
            "DELETE",
            "/rooms/council/members/a",
            "",
            RemoveMember { room: "council".into(), id: "a".into() },
            Operator,
            204,
        ),
        ("PUT", "/rooms/council/lock", "", LockRoom { room: "council".into() }, Operator, 204),
        ("DELETE", "/rooms/council/lock", "", UnlockRoom { room: "council".into() }, Operator, 204),
        ("GET", "/escalations?limit=3", "", Escalations { limit: 3 }, Viewer, 200),
        ("POST", "/escalations", "{\"id\": \"m-1\"}", escalate, Operator, 201),
        ("GET", "/escalations/4bf9", "", Escalation { id: "4bf9".into() }, Viewer, 200),
        ("DELETE", "/escalations/4bf9", "", EndEscalation { id: "4bf9".into() }, Operator, 204),
        ("POST", "/escalations/4bf9/evidence", "", AddEvidence { id: id(), upload }, Operator, 201),
        ("GET", "/escalations/4bf9/evidence", "", EvidenceOf { id: id() }, Viewer, 200),
        ("GET", "/escalations/4bf9/evidence/4bfb", "", EvidencePiece { id: id(), piece: piece() }, Viewer, 200),
        (
            "PATCH",
            "/escalations/4bf9/evidence/4bfb",
            "abc",
            UploadEvidence { id: id(), piece: piece(), chunk },
            Operator,
            204,
        ),
        ("DELETE", "/escalations/4bf9/evidence/4bfb", "", RemoveEvidence { id: id(), piece: piece() }, Operator, 204),
        (
            "GET",
            "/escalations/4bf9/evidence/4bfb/content",
            "",
            EvidenceContent { id: id(), piece: piece() },
            Viewer,
            200,
        ),
        (
            "POST",
            "/escalations/4bf9/evidence/4bfb/receipts",
            shown,
            AcknowledgeEvidence { id: id(), piece: piece(), sha256: [7; 32] },
            Viewer,
            201,
        ),
        (
            "POST",
            "/escalations/4bf9/links",
            r#"{"to":"lind","seconds":60}"#,
            LinkEvidence { id: id(), to: "lind".into(), seconds: Some(60) },
            Operator,
            201,
        ),
        ("POST", "/escalations/4bf9/votes", r#"{"question":"Shall we?","seconds":60}"#, open, Operator, 201),
        ("GET", "/votes", "", Votes { limit: 100 }, Viewer, 200),
        ("GET", "/votes/4bfa", "", Vote { id: "4bfa".into() }, Viewer, 200),
        ("POST", "/votes/4bfa/ballots", ballot, cast, Operator, 201),
        ("GET", "/experts", "", Experts { limit: 100 }, Viewer, 200),
        ("GET", "/guardians?limit=2", "", Guardians { limit: 2 }, Viewer, 200),
        ("GET", "/schemas/ifmessage-1.0", "", Schema { name: "ifmessage-1.0".into() }, Viewer, 200),
        ("GET", "/ndi", "", Ndi, Viewer, 200),
        ("GET", "/events?after=7&kinds=vote,call", "", Events(wanted), Viewer, 200),
        ("GET", "/sources", "", Sources { banned_only: false, limit: 100 }, Viewer, 200),
        ("GET", "/sources?limit=1000&banned=true", "", Sources { banned_only: true, limit: 1000 }, Viewer, 200),
        ("GET", "/sources/192.0.2.7", "", Source { address }, Viewer, 200),
        ("GET", "/sources/::ffff:192.0.2.7", "", Source { address }, Viewer, 200),
        ("PUT", "/sources/192.0.2.7/ban", ban, Ban { address, seconds: 60, reason: "scans".into() }, Operator, 204),
        ("DELETE", "/sources/2001:db8::7/ban", "", Unban { address: within }, Operator, 204),
        ("GET", "/policy", "", Policy, Viewer, 200),
        ("POST", "/policy/explain", explain, PolicyExplain { facts }, Viewer, 200),
        ("POST", "/policy/reload", "", ReloadPolicy, Administrator, 200),
        ("POST", "/config/reload", "", ReloadConfig, Administrator, 200),
        ("PUT", "/drain", "", Drain, Operator, 202),
        ("DELETE", "/drain", "", Undrain, Operator, 204),
        ("GET", "/registrations", "", Registrations { user: None, limit: 100 }, Viewer, 200),
        ("GET", "/registrations?user=a+b", "", Registrations { user: Some("a b".into()), limit: 100 }, Viewer, 200),
        ("DELETE", "/registrations/sip%3Aanna@x.org", "", Unregister { aor: "sip:anna@x.org".into() }, Operator, 204),
        ("GET", "/witness", "", WitnessStatus, Viewer, 200),
        ("GET", "/witness/traces/4bf9?limit=5", "", WitnessTrace { trace_id: "4bf9".into(), limit: 5 }, Viewer, 200),
        ("GET", "/tokens", "", Tokens, Administrator, 200),
        (
            "POST",
            "/tokens",
            token,
            CreateToken { name: "ci".into(), role: Operator, expires_s: None },
            Administrator,
            201,
        ),
        (
            "POST",
            "/tokens",
            brief,
            CreateToken { name: "ci".into(), role: Viewer, expires_s: Some(60) },
            Administrator,
            201,
        ),
        ("DELETE", "/tokens/0a1b", "", RevokeToken { id: "0a1b".into() }, Administrator, 204),
    ]
}

#[test]
fn each_role_may_what_the_table_says_and_the_exchange_hears_of_nothing_else() {
    let (server, exchange) = started();
    for (method, path, body, request, lowest, status) in cases() {
        for role in Role::ALL {
            let answer = asked(&server, role, method, path, body);
            if role < lowest {
                answer.is_problem(403, "insufficient-scope");
                //= https://www.rfc-editor.org/rfc/rfc6750#section-3.1
                //= type=test
                let challenge = answer.header("www-authenticate").expect("a challenge");
                assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
                assert!(challenge.contains(&format!("scope=\"{}\"", lowest.as_str())), "{challenge}");
                assert_eq!(exchange.asked(), [], "{method} {path} as {role:?}");
            } else {
                assert_eq!(answer.status, status, "{method} {path} as {role:?}: {answer:?}");
                assert_eq!(exchange.asked(), std::slice::from_ref(&request), "{method} {path} as {role:?}");
            }
        }
        for (token, kind) in [("", "unauthenticated"), ("sxt_unknown", "invalid-token")] {
            // A server of its own, because wrong tokens are counted.
            let (server, exchange) = started();
            ask(&server, token, method, path, "", body).is_problem(401, kind);
            assert_eq!(exchange.asked(), [], "{method} {path}");
        }
    }
}

#[test]
fn the_cases_name_every_route_with_the_role_of_the_table() {
    let cases = cases();
    for row in &ROUTES {
        let found: Vec<_> = cases.iter().filter(|case| case.3.route() == row.route).collect();
        assert!(!found.is_empty(), "{:?}", row.route);
        for (method, path, _, request, lowest, _) in found {
            assert_eq!((*method, *lowest), (row.verb.as_str(), row.role), "{:?} {path}", row.route);
            assert_eq!(request.role(), row.role);
        }
    }
}

#[test]
fn who_only_reads_may_change_nothing() {
    // Of what is not read, explaining is a question, and whoever reads evidence may say what they have got.
    let asks = [Route::PolicyExplain, Route::AcknowledgeEvidence];
    for row in ROUTES.iter().filter(|row| row.verb != Verb::Get && !asks.contains(&row.route)) {
        assert!(row.role > Role::Viewer, "{:?}", row.route);
    }
    for route in [Route::Tokens, Route::CreateToken, Route::RevokeToken, Route::ReloadConfig, Route::ReloadPolicy] {
        let row = ROUTES.iter().find(|row| row.route == route).expect("a line");
        assert_eq!(row.role, Role::Administrator, "{route:?}");
    }
}

#[test]
fn the_description_names_exactly_what_is_served() {
    let (server, _exchange) = started();
    let answer = ask(&server, "", "GET", "/openapi.json", "", "");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let description = answer.json();
    assert_eq!(description["openapi"], "3.1.0");
    let mut described = BTreeSet::new();
    let mut operations = BTreeSet::new();
    for (path, item) in description["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods").iter().filter(|(key, _)| *key != "parameters") {
            let role = operation["x-role"].as_str().unwrap_or("nobody");
            described.insert(format!("{} {path} {role}", method.to_uppercase()));
            assert!(operations.insert(operation["operationId"].to_string()), "{operation}");
            let named = parameters(&description, &item["parameters"]);
            let in_path: BTreeSet<_> = path
                .split('/')
                .filter_map(|part| Some(part.strip_prefix('{')?.strip_suffix('}')?.to_owned()))
                .collect();
            assert_eq!(named, in_path, "{path}");
        }
    }
    let served = ROUTES.iter().map(|row| format!("{} {} {}", row.verb.as_str(), row.path, row.role.as_str()));
    let mut served: BTreeSet<_> = served.collect();
    served.insert("GET /openapi.json nobody".into());
    assert_eq!(described, served);
}

/// The names of parameters; those that are written once for all are looked up.
fn parameters(description: &serde_json::Value, list: &serde_json::Value) -> BTreeSet<String> {
    let named = |parameter: &serde_json::Value| {
        let found = match parameter["$ref"].as_str() {
            Some(reference) => description.pointer(reference.trim_start_matches('#')).expect("what is referred to"),
            None => parameter,
        };
        found["name"].as_str().expect("a name").to_owned()
    };
    list.as_array().map(|list| list.iter().map(named).collect()).unwrap_or_default()
}

#[test]
fn every_reference_within_the_description_leads_somewhere() {
    let (server, _exchange) = started();
    let description = ask(&server, "", "GET", "/openapi.json", "", "").json();
    let mut open = vec![&description];
    let mut count = 0;
    while let Some(value) = open.pop() {
        if let Some(reference) = value["$ref"].as_str() {
            count += 1;
            assert!(description.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
        open.extend(value.as_object().into_iter().flat_map(|object| object.values()));
        open.extend(value.as_array().into_iter().flatten());
    }
    assert!(count > 40, "{count}");
}

#[test]
fn what_was_made_is_said_where() {
    let (server, _exchange) = started();
    let answer = asked(&server, Role::Administrator, "POST", "/tokens", r#"{"name":"ci","role":"viewer"}"#);
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("location"), Some("/api/v1/tokens/0a1b2c3d4e5f"));
    assert_eq!(answer.json()["secret"], "sxt_once");
}

#[test]
fn twice_is_as_once_where_the_method_says_so() {
    let (server, exchange) = started();
    for (method, path, body, request, lowest, status) in cases() {
        if method != "POST" {
            let answers = [(); 2].map(|()| asked(&server, lowest, method, path, body).status);
            assert_eq!(answers, [status, status], "{method} {path}");
            assert_eq!(exchange.asked(), [request.clone(), request], "{method} {path}");
        }
    }
}
