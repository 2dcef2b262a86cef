//! Votes: who may cast a ballot, what is counted, and what comes of it.

use std::collections::BTreeMap;
use std::time::Duration;
use sx_engine::Time;

/// What a guardian says to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Choice {
    /// Yes.
    Approve,
    /// No.
    Reject,
    /// Neither; it counts for the quorum.
    Abstain,
    /// No, and let it rest, should nearly all others want it. For who may.
    Veto,
}

/// Somebody who may vote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elector {
    /// The guardian.
    pub id: Box<str>,
    /// May they veto?
    pub veto: bool,
}

/// A question to the council, and the ballots.
///
/// ```text
///  open ──► all have voted, or the time is over ──► fewer than half have ──► no quorum
///                                                   ├─ below 75 % ─────────► rejected
///                                                   ├─ 75 % and more ──────► approved
///                                                   └─ above 95 %, and a veto ──► cooling off ──14 days──► approved
/// ```
///
/// ```
/// use sx_council::{Choice, Elector, Outcome, Vote};
/// use sx_engine::Time;
/// let elector = |id: &str| Elector { id: id.into(), veto: false };
/// let (now, closes) = (Time::from_secs(10), Time::from_secs(70));
/// let mut vote = Vote::new(["a", "b"].map(elector), closes);
/// vote.cast("a", Choice::Approve, now).expect("a may");
/// assert_eq!(vote.outcome(now), Outcome::Open);
/// vote.cast("b", Choice::Abstain, now).expect("b may");
/// assert_eq!(vote.outcome(now), Outcome::Approved);
/// ```
#[derive(Clone, Debug)]
pub struct Vote {
    electors: Vec<Elector>,
    closes: Time,
    ballots: BTreeMap<Box<str>, Choice>,
    /// When the last elector had voted.
    complete: Option<Time>,
}

/// The ballots, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those who may vote.
    pub electors: usize,
    /// Who says yes,
    pub approve: usize,
    /// no,
    pub reject: usize,
    /// neither,
    pub abstain: usize,
    /// and who has a veto and uses it.
    pub veto: usize,
}

/// How a vote stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Ballots are taken.
    Open,
    /// Fewer than half of those who may have voted.
    NoQuorum,
    /// It is not wanted.
    Rejected,
    /// It is wanted.
    Approved,
    /// Nearly all want it, and somebody has vetoed: it rests until then, and is approved from then on.
    CoolingOff {
        /// Until then.
        until: Time,
    },
}

/// Why a ballot does not count. The fault of whoever casts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CastError {
    /// They were no guardian in good standing when the vote was opened.
    #[error("they are none of those who may vote")]
    NoElector,
    /// They have voted.
    #[error("they have voted already")]
    Cast,
    /// The vote is over.
    #[error("the vote is over")]
    Closed,
    /// They have no right to veto.
    #[error("they have no right to veto")]
    NoVeto,
}

/// Of those who say yes or no, so many in a hundred have to say yes.
const SUPERMAJORITY_PERCENT: usize = 75;
/// Above so many in a hundred a veto lets it rest.
const VETO_ABOVE_PERCENT: usize = 95;
/// For how long.
pub const COOLING_OFF: Duration = Duration::from_secs(14 * 24 * 60 * 60);

impl Choice {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Approve, Self::Reject, Self::Abstain, Self::Veto];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Abstain => "abstain",
            Self::Veto => "veto",
        }
    }

    /// The one of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.word() == word)
    }
}

impl Outcome {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::NoQuorum => "no_quorum",
            Self::Rejected => "rejected",
            Self::Approved => "approved",
            Self::CoolingOff { .. } => "cooling_off",
        }
    }
}

impl Vote {
    /// One without ballots. Those who vote are those who are in good standing now.
    pub fn new(electors: impl IntoIterator<Item = Elector>, closes: Time) -> Self {
        Self { electors: electors.into_iter().collect(), closes, ballots: BTreeMap::new(), complete: None }
    }

    /// Takes a ballot.
    ///
    /// # Errors
    /// Why it does not count; nothing has changed then.
    pub fn cast(&mut self, guardian: &str, choice: Choice, now: Time) -> Result<(), CastError> {
        let elector = self.electors.iter().find(|elector| *elector.id == *guardian).ok_or(CastError::NoElector)?;
        match () {
            () if self.ballots.contains_key(guardian) => return Err(CastError::Cast),
            () if self.closed(now).is_some() => return Err(CastError::Closed),
            () if choice == Choice::Veto && !elector.veto => return Err(CastError::NoVeto),
            () => {}
        }
        self.ballots.insert(guardian.into(), choice);
        if self.ballots.len() == self.electors.len() {
            self.complete = Some(now);
        }
        Ok(())
    }

    /// The ballots, counted.
    pub fn tally(&self) -> Tally {
        let of = |wanted: Choice| self.ballots.values().filter(|choice| **choice == wanted).count();
        Tally {
            electors: self.electors.len(),
            approve: of(Choice::Approve),
            reject: of(Choice::Reject),
            abstain: of(Choice::Abstain),
            veto: of(Choice::Veto),
        }
    }

    /// How it stands.
    pub fn outcome(&self, now: Time) -> Outcome {
        let Some(closed) = self.closed(now) else { return Outcome::Open };
        let Tally { electors, approve, reject, abstain, veto } = self.tally();
        if 2 * (approve + reject + abstain + veto) < electors || electors == 0 {
            return Outcome::NoQuorum;
        }
        let is_above = |percent: usize, against: usize| 100 * approve > percent * (approve + against);
        if veto > 0 && is_above(VETO_ABOVE_PERCENT, reject) {
            let until = closed + COOLING_OFF;
            return if now < until { Outcome::CoolingOff { until } } else { Outcome::Approved };
        }
        // Where it rests nothing, a veto is a no.
        let against = reject + veto;
        let is_wanted = approve > 0 && 100 * approve >= SUPERMAJORITY_PERCENT * (approve + against);
        if is_wanted { Outcome::Approved } else { Outcome::Rejected }
    }

    /// Since when no ballot is taken.
    fn closed(&self, now: Time) -> Option<Time> {
        self.complete.or_else(|| (now >= self.closes).then_some(self.closes))
    }
}
