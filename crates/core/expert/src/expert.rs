//! What is known of an expert.

use crate::Hours;
use sx_engine::Time;
use sx_types::Network;

/// Somebody who knows about something.
#[derive(Clone, Debug)]
pub struct Expert {
    /// What records call them; unique.
    pub id: Box<str>,
    /// What people call them.
    pub name: Box<str>,
    /// How they are reached, best first.
    pub addresses: Vec<Box<str>>,
    /// The organisation they are of; empty for none.
    pub organisation: Box<str>,
    /// Where those come from who may have them called; none: from anywhere.
    pub networks: Vec<Network>,
    /// What they know about.
    pub skills: Vec<Skill>,
    /// The languages they speak, as tags of BCP 47 in small letters; none: it is not known.
    pub languages: Vec<Box<str>>,
    /// The key by which they sign.
    pub public_key: Option<[u8; 32]>,
    /// When they can be called; `None`: at any time.
    pub hours: Option<Hours>,
    /// When they are on call, whatever their hours.
    pub shifts: Vec<Shift>,
    /// In how many calls they may be at a time.
    pub calls_max: u32,
    /// May they be called at all?
    pub standing: Standing,
    /// Have they shown that what is written down of them is theirs?
    pub proved: bool,
}

/// Something that an expert knows about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skill {
    /// What: the kind of a hazard, or any other word.
    pub subject: Box<str>,
    /// How well: the higher the better.
    pub level: u8,
}

/// A time on call, its end left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shift {
    /// When it begins.
    pub from: Time,
    /// When it ends.
    pub to: Time,
}

/// May somebody be called?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Yes.
    Active,
    /// Not for now.
    Suspended,
    /// Never more.
    Revoked,
}

impl Standing {
    /// Every one, the best first.
    pub const ALL: [Self; 3] = [Self::Active, Self::Suspended, Self::Revoked];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
        }
    }

    /// The one of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| standing.word() == word)
    }
}

impl Expert {
    /// One who knows nothing yet, may be called at any time and is in one call at a time.
    pub fn new(id: &str, name: &str) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            addresses: Vec::new(),
            organisation: Box::default(),
            networks: Vec::new(),
            skills: Vec::new(),
            languages: Vec::new(),
            public_key: None,
            hours: None,
            shifts: Vec::new(),
            calls_max: 1,
            standing: Standing::Active,
            proved: true,
        }
    }

    /// Notes that they know about something.
    pub fn knows(&mut self, subject: &str, level: u8) {
        self.skills.push(Skill { subject: subject.into(), level });
    }

    /// How well they know about something; `None`: not at all.
    pub fn level_of(&self, subject: &str) -> Option<u8> {
        let about = self.skills.iter().filter(|skill| skill.subject.eq_ignore_ascii_case(subject));
        about.map(|skill| skill.level).max()
    }

    /// Are they on call?
    pub fn is_on_call(&self, now: Time) -> bool {
        self.shifts.iter().any(|shift| shift.from <= now && now < shift.to)
    }

    /// Can they be called at this time?
    pub fn is_at_work(&self, now: Time) -> bool {
        self.is_on_call(now) || self.hours.as_ref().is_none_or(|hours| hours.contain(now))
    }
}
