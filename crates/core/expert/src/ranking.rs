//! Whom to call first, and why the others not.

use crate::{Expert, Standing};
use std::net::IpAddr;
use sx_engine::Time;

/// What somebody is looked for, for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Need<'a> {
    /// What they have to know about.
    pub subject: &'a str,
    /// The language they had better speak, as a tag in small letters; empty: any.
    pub language: &'a str,
    /// The organisation of whoever needs them; empty: none.
    pub organisation: &'a str,
    /// Where the need comes from.
    pub from: Option<IpAddr>,
}

/// What is known of an expert at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Is there an address of theirs that can be called now?
    pub reachable: bool,
    /// In how many calls they are.
    pub calls: u32,
    /// How often they were called of late.
    pub rings: u32,
    /// How often they may be.
    pub rings_max: u32,
}

/// Why an expert is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PassedOver {
    /// They are suspended.
    Suspended,
    /// They were revoked.
    Revoked,
    /// They have not shown that what is written down of them is theirs.
    Unproved,
    /// Whoever needs them is of another organisation.
    OtherOrganisation,
    /// The need comes from a network that is not theirs.
    OtherNetwork,
    /// It is neither within their hours nor are they on call.
    OffHours,
    /// None of their addresses can be called.
    Unreachable,
    /// They are in as many calls as they may.
    Busy,
    /// They were called as often of late as they may be.
    TooOften,
}

/// Why an expert is where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Why {
    /// They are on call.
    pub on_call: bool,
    /// They speak the language, or none was asked for.
    pub speaks: bool,
    /// How well they know about it.
    pub level: u8,
    /// In how many calls they are.
    pub calls: u32,
    /// How often they were called of late.
    pub rings: u32,
}

/// An expert who can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// Which of those that were given.
    pub index: usize,
    /// Why they stand there.
    pub why: Why,
}

/// Whom to call, and whom not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranking {
    /// The best first.
    pub best: Vec<Ranked>,
    /// Those who know about it and are not called.
    pub passed_over: Vec<(usize, PassedOver)>,
}

/// Puts experts in the order in which they are to be called: who is on call goes first, then who speaks the language, then who
/// knows more, then who is in fewer calls, then who was called less of late, which also puts back who has just not answered,
/// then by their ids, so that the same facts give the same order.
pub fn rank(experts: &[Expert], need: &Need<'_>, presence: impl Fn(usize) -> Presence, now: Time) -> Ranking {
    let mut ranking = Ranking::default();
    for (index, expert) in experts.iter().enumerate() {
        let Some(level) = expert.level_of(need.subject) else { continue };
        let here = presence(index);
        match obstacle(expert, need, here, now) {
            Some(why) => ranking.passed_over.push((index, why)),
            None => {
                let why = Why {
                    on_call: expert.is_on_call(now),
                    speaks: speaks(expert, need.language),
                    level,
                    calls: here.calls,
                    rings: here.rings,
                };
                ranking.best.push(Ranked { index, why });
            }
        }
    }
    ranking.best.sort_by(|one, other| {
        let key = |Ranked { why, .. }: &Ranked| (!why.on_call, !why.speaks, u8::MAX - why.level, why.calls, why.rings);
        key(one).cmp(&key(other)).then_with(|| experts[one.index].id.cmp(&experts[other.index].id))
    });
    ranking
}

/// What stands in the way of calling somebody who knows about it. What is for good goes before what will pass.
fn obstacle(expert: &Expert, need: &Need<'_>, here: Presence, now: Time) -> Option<PassedOver> {
    let is_other = |own: &str, theirs: &str| !own.is_empty() && !own.eq_ignore_ascii_case(theirs);
    let is_from = |ip: IpAddr| expert.networks.iter().any(|network| network.contains(ip));
    match () {
        () if expert.standing == Standing::Revoked => Some(PassedOver::Revoked),
        () if expert.standing == Standing::Suspended => Some(PassedOver::Suspended),
        () if !expert.proved => Some(PassedOver::Unproved),
        () if is_other(&expert.organisation, need.organisation) => Some(PassedOver::OtherOrganisation),
        () if !expert.networks.is_empty() && !need.from.is_some_and(is_from) => Some(PassedOver::OtherNetwork),
        () if !expert.is_at_work(now) => Some(PassedOver::OffHours),
        () if !here.reachable => Some(PassedOver::Unreachable),
        () if here.calls >= expert.calls_max => Some(PassedOver::Busy),
        () if here.rings >= here.rings_max => Some(PassedOver::TooOften),
        () => None,
    }
}

/// A language that is asked for as `de` is spoken by who speaks `de-ch`. Of whom nothing is known is taken to speak none.
//= https://www.rfc-editor.org/rfc/rfc4647#section-3.3.1
fn speaks(expert: &Expert, language: &str) -> bool {
    let is_spoken = |tag: &str| {
        let same = tag.get(..language.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(language));
        same && matches!(tag.as_bytes().get(language.len()), None | Some(b'-'))
    };
    language.is_empty() || expert.languages.iter().any(|tag| is_spoken(tag))
}

impl PassedOver {
    /// A sentence of it.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Suspended => "is suspended",
            Self::Revoked => "was revoked",
            Self::Unproved => "has not signed what is written down of them",
            Self::OtherOrganisation => "is of another organisation",
            Self::OtherNetwork => "is not called from that network",
            Self::OffHours => "is off duty",
            Self::Unreachable => "cannot be reached",
            Self::Busy => "is in as many calls as they may",
            Self::TooOften => "was called as often of late as they may be",
        }
    }
}
