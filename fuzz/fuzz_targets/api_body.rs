//! The body of a request to the management API, for each of its routes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sx_http::{ApiBody, ROUTES, parse_body};

fuzz_target!(|bytes: &[u8]| {
    for row in &ROUTES {
        match parse_body(row.route, bytes) {
            Ok(ApiBody::Nothing) => assert!(bytes.is_empty()),
            Ok(ApiBody::Facts(value) | ApiBody::Call { snapshot: value, .. }) => assert!(value.is_object()),
            Ok(ApiBody::Ban { seconds, reason }) => assert!(seconds > 0 && !reason.is_empty()),
            Ok(ApiBody::Member { to }) => assert!(!to.is_empty()),
            Ok(ApiBody::Parties { from, to }) => assert!(!from.is_empty() && !to.is_empty()),
            Ok(ApiBody::Message(_)) => {}
            Ok(ApiBody::Hash(_)) => {}
            Ok(ApiBody::Link { to, seconds }) => assert!(!to.is_empty() && seconds != Some(0)),
            Ok(ApiBody::Question { question, seconds }) => assert!(!question.is_empty() && seconds >= 60),
            Ok(ApiBody::Ballot(ballot)) => assert!(!ballot.guardian.is_empty() && !ballot.choice.is_empty()),
            Ok(ApiBody::Token { name, expires_s, .. }) => assert!(!name.is_empty() && expires_s != Some(0)),
            Err(problem) => {
                assert!(problem.status == 400 || problem.status == 422);
                // Few, however many the body has.
                assert!(problem.fields.len() <= 32);
            }
        }
    }
});
