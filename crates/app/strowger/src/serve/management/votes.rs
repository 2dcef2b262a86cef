//! Votes of the council: opened by an operator, cast by guardians who sign, and written down as they come.

use super::change::{Change, actor};
use super::rooms::random;
use super::{Operators, locked};
use crate::serve::clock::wall;
use crate::signer::{from_hex, verifies};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use sx_council::{CastError, Choice, Elector, Outcome, Tally, Vote};
use sx_engine::Time;
use sx_exchange::People;
use sx_expert::Standing;
use sx_http::{ApiAnswer, ApiProblem, BASE, Ballot, Caller};
use sx_store::{BallotRecord, VoteRecord, Votes, VotesError, WitnessLog};
use sx_types::{CallId, TraceId};
use sx_witness::{Draft, Facts, Kind};
use tracing::{error, warn};

/// So old a ballot may be, and so far ahead the clock of who has signed it.
const BALLOT_AGE_MAX: Duration = Duration::from_secs(300);
/// How long a record waits for the disk.
const PATIENCE: Duration = Duration::from_secs(3);

impl Operators {
    /// Asks the council. Those who vote are the guardians in good standing.
    pub(super) fn open_vote(
        &self,
        caller: &Caller,
        id: &str,
        question: &str,
        seconds: u64,
    ) -> Result<ApiAnswer, ApiProblem> {
        let found = self.escalation_of(id);
        let vote = TraceId::from(CallId::new(self.clock.now().as_millis(), random())).to_string();
        let trace = found.as_ref().ok().copied();
        let change = Change { trace, ..Change::new("open_vote", id) };
        self.change(caller, &change.with("vote", vote.clone()).with("seconds", seconds as i64), || {
            let escalation = found?;
            let electors = electors(&self.live.people());
            if electors.is_empty() {
                return Err(ApiProblem::conflict("no guardian is in good standing, so that nobody could vote"));
            }
            let now = wall();
            let closes = now + Duration::from_secs(seconds);
            let record = VoteRecord {
                id: vote.as_str().into(),
                escalation: escalation.to_string().into(),
                question: question.into(),
                electors: written(&electors).into(),
                opened: now.as_nanos(),
                closes: closes.as_nanos(),
                told: Outcome::Open.word().into(),
            };
            let facts = Facts::new().with("question", question).with("electors", electors.len() as i64);
            self.witness_vote(&actor(caller), (&record.id, escalation), "opened", facts)?;
            locked(&self.votes).open(&record).map_err(|error| refused(&error))?;
            Ok(ApiAnswer::Created { location: format!("{BASE}/votes/{vote}"), body: shown(&record, &[], now) })
        })
    }

    pub(super) fn list_votes(&self, limit: u32) -> Result<ApiAnswer, ApiProblem> {
        let votes = locked(&self.votes);
        let (total, found) = votes.list(limit).map_err(|error| refused(&error))?;
        let now = wall();
        let one = |record: &VoteRecord| match votes.get(&record.id) {
            Ok((record, ballots)) => shown(&record, &ballots, now),
            Err(_) => Value::Null,
        };
        Ok(ApiAnswer::Json(json!({ "total": total, "votes": found.iter().map(one).collect::<Vec<_>>() })))
    }

    pub(super) fn vote(&self, id: &str) -> Result<ApiAnswer, ApiProblem> {
        let (record, ballots) = locked(&self.votes).get(id).map_err(|error| refused(&error))?;
        Ok(ApiAnswer::Json(shown(&record, &ballots, wall())))
    }

    /// Takes a ballot. It is on the disk of the witness log, signature and all, before it counts.
    pub(super) fn cast_ballot(&self, caller: &Caller, id: &str, ballot: &Ballot) -> Result<ApiAnswer, ApiProblem> {
        let change = Change::new("cast_ballot", id).with("guardian", ballot.guardian.as_str());
        self.change(caller, &change.with("choice", ballot.choice.as_str()), || {
            let mut votes = locked(&self.votes);
            let now = wall();
            let (record, ballots) = votes.get(id).map_err(|error| refused(&error))?;
            let choice = Choice::from_word(&ballot.choice)
                .ok_or_else(|| ApiProblem::conflict("the choice is none of approve, reject, abstain and veto"))?;
            self.check_ballot(id, ballot, now)?;
            let mut vote = counted(&record, &ballots);
            vote.cast(&ballot.guardian, choice, now).map_err(not_counted)?;
            let document = json!({
                "vote": id, "guardian": ballot.guardian, "choice": ballot.choice, "timestamp": ballot.timestamp,
                "signature": ballot.signature,
            });
            let trace = record.escalation.parse().unwrap_or_else(|_| TraceId::from_u128(0));
            let facts = Facts::new()
                .with("choice", ballot.choice.as_str())
                .with("signed_at", ballot.timestamp.as_str())
                .with("signature", ballot.signature.as_str());
            self.witness_vote(&ballot.guardian, (id, trace), "ballot", facts)?;
            let (guardian, choice) = (ballot.guardian.as_str().into(), ballot.choice.as_str().into());
            let kept = BallotRecord { guardian, choice, document: document.to_string().into(), cast: now.as_nanos() };
            votes.cast(id, &kept).map_err(|error| refused(&error))?;
            let (record, ballots) = votes.get(id).map_err(|error| refused(&error))?;
            tell_outcome(&mut votes, &record, &ballots, &self.log, (now, self.clock.now()));
            Ok(ApiAnswer::Created { location: format!("{BASE}/votes/{id}"), body: shown(&record, &ballots, now) })
        })
    }

    /// Is it what a guardian in good standing has just signed?
    fn check_ballot(&self, vote: &str, ballot: &Ballot, now: Time) -> Result<(), ApiProblem> {
        let refuse = |detail: &str| Err(ApiProblem::new(403, "ballot-refused", "The ballot does not count", detail));
        let people = self.live.people();
        let Some(known) = people.guardian(&ballot.guardian) else { return refuse("there is no such guardian") };
        if known.standing != Standing::Active {
            return refuse(&format!("the guardian is {}", known.standing.word()));
        }
        let Some(signed_at) = crate::cli::when::parse_time(&ballot.timestamp).ok().map(Time::from_nanos) else {
            return refuse("the timestamp is none as 2026-11-23T10:00:00Z is");
        };
        if now.since(signed_at) > BALLOT_AGE_MAX || signed_at.since(now) > BALLOT_AGE_MAX {
            return refuse("the ballot is older than 300 s, or from a clock that is ahead of ours");
        }
        let is_right = known.key.zip(from_hex::<64>(&ballot.signature)).is_some_and(|(key, signature)| {
            ballot_bytes(vote, &ballot.guardian, &ballot.choice, &ballot.timestamp)
                .is_some_and(|bytes| verifies(&key, &bytes, &signature))
        });
        if is_right { Ok(()) } else { refuse("the signature is not one of the guardian's key") }
    }

    fn witness_vote(
        &self,
        who: &str,
        (vote, trace): (&str, TraceId),
        outcome: &str,
        facts: Facts<'_>,
    ) -> Result<(), ApiProblem> {
        let now = self.clock.now();
        let draft =
            Draft { actor: who, subject: vote, outcome, trace: Some(trace), facts, ..Draft::new(now, Kind::Vote) };
        match self.log.record(&draft, now, PATIENCE) {
            true => Ok(()),
            false => {
                Err(ApiProblem::unavailable("the witness log cannot be written; nothing counts that it does not have"))
            }
        }
    }

    /// The escalation that a vote is about.
    fn escalation_of(&self, id: &str) -> Result<TraceId, ApiProblem> {
        let Ok(ApiAnswer::Json(found)) = self.escalation(id) else {
            return Err(ApiProblem::not_found("there is no such escalation, or it is forgotten"));
        };
        let id = found["id"].as_str().and_then(|id| id.parse().ok());
        id.ok_or_else(|| ApiProblem::not_found("there is no such escalation"))
    }
}

/// What a guardian signs: the canonical form of their ballot.
//= https://www.rfc-editor.org/rfc/rfc8785#section-3.2
pub fn ballot_bytes(vote: &str, guardian: &str, choice: &str, timestamp: &str) -> Option<Vec<u8>> {
    let ballot = json!({ "vote": vote, "guardian": guardian, "choice": choice, "timestamp": timestamp });
    sx_ifmessage::canonical(ballot.as_object()?)
}

/// Writes down what has come of votes whose time is over since it was looked last, or that have rested for long enough.
pub fn look(votes: &Mutex<Votes>, log: &WitnessLog, now: Time) {
    let mut votes = locked(votes);
    for standing in [Outcome::Open.word(), "cooling_off"] {
        let ids = match votes.standing(standing) {
            Ok(ids) => ids,
            Err(error) => return warn!(%error, "the votes could not be looked at"),
        };
        for id in ids {
            if let Ok((record, ballots)) = votes.get(&id) {
                tell_outcome(&mut votes, &record, &ballots, log, (wall(), now));
            }
        }
    }
}

/// Writes down how a vote stands, when that is another way than was written down last.
fn tell_outcome(
    votes: &mut Votes,
    record: &VoteRecord,
    ballots: &[BallotRecord],
    log: &WitnessLog,
    (wall, now): (Time, Time),
) {
    let vote = counted(record, ballots);
    let outcome = vote.outcome(wall);
    if *record.told == *outcome.word() {
        return;
    }
    let Tally { electors, approve, reject, abstain, veto } = vote.tally();
    let mut facts = Facts::new();
    for (name, count) in
        [("electors", electors), ("approve", approve), ("reject", reject), ("abstain", abstain), ("veto", veto)]
    {
        facts.push(name, count as i64);
    }
    if let Outcome::CoolingOff { until } = outcome {
        facts.push("until", until.to_string());
    }
    let trace = record.escalation.parse().ok();
    let draft = Draft {
        actor: "exchange",
        subject: &record.id,
        outcome: outcome.word(),
        trace,
        facts,
        ..Draft::new(now, Kind::Vote)
    };
    if !log.record(&draft, now, PATIENCE) {
        return error!(vote = &*record.id, "what has come of a vote is not in the witness log; it is tried again");
    }
    if let Err(error) = votes.told(&record.id, outcome.word()) {
        warn!(%error, "what has come of a vote is written down, and may be once more");
    }
}

fn electors(people: &People) -> Vec<Elector> {
    let in_good_standing = people.guardians().filter(|known| known.standing == Standing::Active && known.key.is_some());
    let elector = |known: &sx_exchange::KnownGuardian| Elector {
        id: known.guardian.id.as_str().into(),
        veto: known.guardian.veto,
    };
    in_good_standing.map(elector).collect()
}

fn written(electors: &[Elector]) -> String {
    let each: BTreeMap<&str, bool> = electors.iter().map(|elector| (&*elector.id, elector.veto)).collect();
    serde_json::to_string(&each).unwrap_or_default()
}

fn counted(record: &VoteRecord, ballots: &[BallotRecord]) -> Vote {
    let electors: BTreeMap<Box<str>, bool> = serde_json::from_str(&record.electors).unwrap_or_default();
    let electors = electors.into_iter().map(|(id, veto)| Elector { id, veto });
    let mut vote = Vote::new(electors, Time::from_nanos(record.closes));
    for ballot in ballots {
        if let Some(choice) = Choice::from_word(&ballot.choice)
            && let Err(error) = vote.cast(&ballot.guardian, choice, Time::from_nanos(ballot.cast))
        {
            warn!(vote = &*record.id, guardian = &*ballot.guardian, %error, "a ballot that was kept does not count");
        }
    }
    vote
}

fn shown(record: &VoteRecord, ballots: &[BallotRecord], now: Time) -> Value {
    let vote = counted(record, ballots);
    let (outcome, tally) = (vote.outcome(now), vote.tally());
    let until = match outcome {
        Outcome::CoolingOff { until } => Some(until.to_string()),
        _ => None,
    };
    let time = |nanos: u64| Time::from_nanos(nanos).to_string();
    let ballots = ballots.iter().map(|ballot| serde_json::from_str(&ballot.document).unwrap_or(Value::Null));
    json!({
        "id": &*record.id,
        "escalation": &*record.escalation,
        "question": &*record.question,
        "state": outcome.word(),
        "until": until,
        "opened": time(record.opened),
        "closes": time(record.closes),
        "tally": {
            "electors": tally.electors, "approve": tally.approve, "reject": tally.reject, "abstain": tally.abstain,
            "veto": tally.veto,
        },
        "ballots": ballots.collect::<Vec<_>>(),
    })
}

fn not_counted(error: CastError) -> ApiProblem {
    match error {
        CastError::NoElector | CastError::NoVeto => {
            ApiProblem::new(403, "ballot-refused", "The ballot does not count", error.to_string())
        }
        CastError::Cast | CastError::Closed => ApiProblem::conflict(error.to_string()),
    }
}

fn refused(error: &VotesError) -> ApiProblem {
    match error {
        VotesError::Unknown { .. } => ApiProblem::not_found("there is no such vote"),
        VotesError::Cast { .. } => ApiProblem::conflict(error.to_string()),
        VotesError::Database(error) => {
            error!(%error, "the votes cannot be read or written");
            ApiProblem::unavailable("the votes cannot be read or written at the moment")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::change::tests::{operators, records};
    use super::*;
    use crate::signer::{Signer, hex};
    use std::sync::Arc;
    use sx_council::Guardian;
    use sx_http::Role;

    const VOTE: &str = "01a208961d37744989019841f144709d";

    /// Guardians `g0` to `g3`, of whom the first has a veto, and a vote of theirs that is open.
    fn open(folder: &std::path::Path) -> (Operators, Vec<Signer>) {
        let operators = operators(folder);
        let signers: Vec<Signer> = (0..4).map(|_| Signer::generate().expect("a key")).collect();
        let guardian = |(number, signer): (usize, &Signer)| {
            let (id, role) = (format!("g{number}"), "any".to_owned());
            let guardian = Guardian { id, role, veto: number == 0, ..Guardian::default() };
            (guardian, Standing::Active, Some(signer.public_key()))
        };
        let people = People::new(Vec::new(), signers.iter().enumerate().map(guardian));
        let now = wall();
        let record = VoteRecord {
            id: VOTE.into(),
            escalation: VOTE.into(),
            question: "Shall we?".into(),
            electors: written(&electors(&people)).into(),
            opened: now.as_nanos(),
            closes: (now + Duration::from_secs(3_600)).as_nanos(),
            told: "open".into(),
        };
        operators.live.know(Arc::new(people));
        locked(&operators.votes).open(&record).expect("it is kept");
        (operators, signers)
    }

    fn caller() -> Caller {
        Caller { name: "anna".into(), role: Role::Operator, id: "0a1b2c3d4e5f".into() }
    }

    fn ballot(number: usize, signer: &Signer, choice: &str, at: Time) -> Ballot {
        let (guardian, timestamp) = (format!("g{number}"), at.to_string());
        let bytes = ballot_bytes(VOTE, &guardian, choice, &timestamp).expect("a form");
        Ballot { guardian, choice: choice.into(), timestamp, signature: hex(&signer.sign(&bytes)) }
    }

    fn cast(operators: &Operators, ballot: &Ballot) -> Result<Value, ApiProblem> {
        operators.cast_ballot(&caller(), VOTE, ballot).map(|answer| match answer {
            ApiAnswer::Created { body, .. } => body,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn signed_ballots_are_counted_once_and_what_comes_of_them_is_on_record() {
        let folder = tempfile::tempdir().expect("a folder");
        let (operators, signers) = open(folder.path());
        for (number, choice, state) in [(1, "approve", "open"), (2, "approve", "open"), (3, "approve", "open")] {
            let stands = cast(&operators, &ballot(number, &signers[number], choice, wall())).expect("it counts");
            assert_eq!(stands["state"], state);
        }
        let again = cast(&operators, &ballot(1, &signers[1], "reject", wall())).expect_err("they have voted");
        assert_eq!(again.status, 409);
        let stands = cast(&operators, &ballot(0, &signers[0], "veto", wall())).expect("it counts");
        assert_eq!((&stands["state"], &stands["tally"]["veto"]), (&json!("cooling_off"), &json!(1)));
        let told: Vec<String> = records(folder.path())
            .iter()
            .filter(|record| record["kind"] == "vote")
            .map(|record| format!("{} {}", record["actor"], record["outcome"]).replace('"', ""))
            .collect();
        assert_eq!(told, ["g1 ballot", "g2 ballot", "g3 ballot", "g0 ballot", "exchange cooling_off"]);
        look(&operators.votes, &operators.log, operators.clock.now());
        let count = records(folder.path()).iter().filter(|record| record["kind"] == "vote").count();
        assert_eq!(count, 5, "what stands as before is not written down again");
    }

    #[test]
    fn what_no_guardian_in_good_standing_has_just_signed_does_not_count() {
        let folder = tempfile::tempdir().expect("a folder");
        let (operators, signers) = open(folder.path());
        let good = ballot(1, &signers[1], "approve", wall());
        let old = ballot(1, &signers[1], "approve", Time::from_millis(wall().as_millis() - 301_000));
        for (ballot, status, detail) in [
            (Ballot { choice: "reject".into(), ..good.clone() }, 403, "not one of the guardian's key"),
            (ballot(1, &signers[2], "approve", wall()), 403, "not one of the guardian's key"),
            (Ballot { guardian: "g9".into(), ..good.clone() }, 403, "no such guardian"),
            (Ballot { signature: "12".into(), ..good.clone() }, 403, "not one of the guardian's key"),
            (Ballot { timestamp: "now".into(), ..good.clone() }, 403, "the timestamp is none"),
            (old, 403, "older than 300 s"),
            (ballot(1, &signers[1], "veto", wall()), 403, "no right to veto"),
        ] {
            let problem = cast(&operators, &ballot).expect_err("it does not count");
            assert!(problem.status == status && problem.detail.contains(detail), "{problem:?}");
        }
        let problem = operators.cast_ballot(&caller(), "nowhere", &good).expect_err("there is no such vote");
        assert_eq!(problem.status, 404);
        assert_eq!(locked(&operators.votes).get(VOTE).expect("it is there").1, []);
        let refused = records(folder.path()).iter().filter(|record| record["outcome"] == "refused").count();
        assert_eq!(refused, 8, "each is on record");
    }
}
