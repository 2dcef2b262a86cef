//! Whom the search rings, and when it is over.

use proptest::prelude::*;
use sx_escalation::{Candidate, Search};

fn candidate(expert: &str, addresses: &[&str]) -> Candidate {
    Candidate { expert: expert.into(), addresses: addresses.iter().map(|text| (*text).into()).collect() }
}

fn rung(search: &mut Search) -> Vec<String> {
    std::iter::from_fn(|| search.poll()).map(|attempt| format!("{}@{}", attempt.expert, attempt.address)).collect()
}

#[test]
fn one_after_the_other_each_at_all_addresses() {
    let mut search = Search::new([candidate("a", &["1", "2"]), candidate("none", &[]), candidate("b", &["3"])], 1);
    assert_eq!(rung(&mut search), ["a@1"]);
    search.failed("b");
    assert_eq!(rung(&mut search), [""; 0], "who was not rung cannot fail");
    search.failed("a");
    assert_eq!(rung(&mut search), ["a@2"]);
    search.failed("a");
    assert_eq!(rung(&mut search), ["b@3"]);
    assert!(!search.is_over());
    search.failed("b");
    assert!(rung(&mut search).is_empty() && search.is_over());
}

#[test]
fn so_many_at_a_time_and_nobody_more_once_one_has_answered() {
    let four = ["a", "b", "c", "d"].map(|name| candidate(name, &["x"]));
    let mut search = Search::new(four, 3);
    assert_eq!(rung(&mut search), ["a@x", "b@x", "c@x"]);
    search.failed("b");
    assert_eq!(rung(&mut search), ["d@x"]);
    search.answered("c");
    assert!(rung(&mut search).is_empty() && !search.is_over(), "two still ring");
    search.failed("a");
    search.failed("d");
    assert!(rung(&mut search).is_empty() && search.is_over());
}

#[test]
fn those_who_are_wanted_again_take_the_place_of_those_who_waited() {
    let mut search = Search::new([candidate("a", &["1"]), candidate("b", &["2"])], 1);
    rung(&mut search);
    search.answered("a");
    assert!(search.is_over());
    search.resume([candidate("a", &["1"]), candidate("c", &["3", "4"])]);
    assert!(!search.is_over());
    assert_eq!(rung(&mut search), ["a@1"]);
    search.failed("a");
    assert_eq!(rung(&mut search), ["c@3"]);
    search.failed("c");
    assert_eq!(rung(&mut search), ["c@4"]);
    search.failed("c");
    assert!(rung(&mut search).is_empty() && search.is_over());
}

proptest! {
    #[test]
    fn everybody_is_rung_once_at_each_address_and_never_too_many_at_a_time(
        counts in prop::collection::vec(0..4usize, 0..12),
        lanes in 0..5usize,
        order in prop::collection::vec(any::<prop::sample::Index>(), 64),
    ) {
        let names: Vec<String> = (0..counts.len()).map(|n| format!("e{n}")).collect();
        let candidates = counts.iter().zip(&names).map(|(count, name)| Candidate {
            expert: name.as_str().into(),
            addresses: (0..*count).map(|n| format!("{n}").into()).collect(),
        });
        let mut search = Search::new(candidates, lanes);
        let (mut rings, mut ringing) = (Vec::new(), Vec::new());
        for choice in order {
            while let Some(attempt) = search.poll() {
                ringing.push(attempt.expert.clone());
                rings.push((attempt.expert, attempt.address));
            }
            prop_assert!(ringing.len() <= lanes.max(1));
            if ringing.is_empty() {
                break;
            }
            let failed = ringing.swap_remove(choice.index(ringing.len()));
            search.failed(&failed);
        }
        prop_assert!(search.is_over());
        let total: usize = counts.iter().sum();
        let mut once = rings.clone();
        once.sort();
        once.dedup();
        prop_assert_eq!((rings.len(), once.len()), (total, total));
    }
}
