//! A policy file. What is read can be built, says something to any request, and explains itself the same way.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sx_config::{read_facts, read_policy_text};
use sx_guard::Policy;

/// Requests that reach gates and rules of several kinds.
const REQUESTS: [&str; 3] = [
    "identity = \"alice@example.com\"\nsubject = \"+49900123\"\ncodecs = [\"opus\", \"PCMA\"]\n",
    "source = \"trunk\"\nidentity = \"carrier\"\nsubject = \"0900\"\ncodecs = [\"PCMU\"]\nrecent = 100\ncalls = 100\n",
    "source = \"anonymous\"\nidentity = \"anybody@example.com\"\nscore_milli = 900\n",
];

fuzz_target!(|text: &str| {
    match read_policy_text(text) {
        Ok((definition, hash)) => {
            // What the reader lets pass fits together.
            let policy = Policy::build(definition, hash).expect("it was checked when it was read");
            for facts in REQUESTS {
                let request = read_facts(facts).expect("good facts");
                let (decision, explanation) =
                    (policy.decide(&request.as_request()), policy.explain(&request.as_request()));
                assert_eq!((&decision.outcome, decision.rule), (explanation.outcome(), explanation.rule()));
                assert!(!explanation.to_string().is_empty());
            }
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            assert!(errors.iter().all(|error| !error.to_string().is_empty()));
        }
    }
    let _ = read_facts(text);
});
