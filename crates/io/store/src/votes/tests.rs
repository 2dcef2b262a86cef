//! Votes and ballots are what they were when they are read again.

use super::*;

fn record(id: &str, opened: u64) -> VoteRecord {
    let (escalation, question, electors) = ("e".into(), "Shall we?".into(), "[]".into());
    VoteRecord { id: id.into(), escalation, question, electors, opened, closes: opened + 60, told: "open".into() }
}

fn ballot_of(guardian: &str, cast: u64) -> BallotRecord {
    BallotRecord { guardian: guardian.into(), choice: "approve".into(), document: "{}".into(), cast }
}

#[test]
fn what_is_kept_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || SharedFolder::attach(folder.path()).expect("a folder").votes().expect("the votes");
    let mut votes = open();
    votes.open(&record("a", 10)).expect("it is kept");
    votes.open(&record("b", 20)).expect("it is kept");
    votes.cast("a", &ballot_of("legal", 12)).expect("it counts");
    votes.cast("a", &ballot_of("civic", 11)).expect("it counts");
    assert!(matches!(votes.cast("a", &ballot_of("legal", 13)), Err(VotesError::Cast { .. })));
    drop(votes);
    let mut votes = open();
    let (vote, ballots) = votes.get("a").expect("it is there");
    assert_eq!((vote, ballots), (record("a", 10), vec![ballot_of("civic", 11), ballot_of("legal", 12)]));
    let (total, latest) = votes.list(1).expect("they are read");
    assert_eq!((total, latest), (2, vec![record("b", 20)]));
    votes.told("a", "approved").expect("it is noted");
    assert_eq!(votes.standing("open").expect("they are read"), ["b".into()]);
    assert_eq!(votes.standing("approved").expect("they are read"), ["a".into()]);
    assert!(matches!(votes.get("c"), Err(VotesError::Unknown { .. })));
}
