//! What is written down of an expert, and the expert that it makes.

use crate::{Expert, Hours, HoursError, Shift, Skill, Standing};
use serde::{Deserialize, Serialize};
use sx_engine::Time;

/// An entry of the registry of experts, as JSON has it.
///
/// ```
/// use sx_expert::{Profile, Standing};
/// let text = r#"{"id": "chem-1", "name": "Dr. Lind", "addresses": ["300", "+49301234567"],
///     "specialisations": [{"subject": "safety", "level": 3}], "hours": "mon-fri 09:00-17:00", "zone": "Europe/Berlin"}"#;
/// let profile: Profile = serde_json::from_str(text)?;
/// let expert = profile.expert(Standing::Active).expect("it says what an expert needs");
/// assert_eq!(expert.level_of("safety"), Some(3));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What records call them; unique.
    pub id: String,
    /// What people call them.
    pub name: String,
    /// How they are reached, best first: a user, a number, an address or its URI.
    pub addresses: Vec<String>,
    /// The organisation they are of.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub organisation: String,
    /// Where those come from who may have them called, as networks in CIDR; none: from anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
    /// What they know about.
    pub specialisations: Vec<Specialisation>,
    /// The languages they speak, as tags of BCP 47.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    /// When they work: `mon-fri 09:00-17:00`; with `zone`. Without, at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<String>,
    /// Whose clocks their hours go by: `Europe/Berlin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// When they are on call, whatever their hours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_call: Vec<OnCall>,
    /// In how many calls they may be at a time; 1 where it is not said.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub calls_max: u32,
}

/// Something that an expert knows about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Specialisation {
    /// What: the kind of a hazard, or any other word.
    pub subject: String,
    /// How well, from 1; the higher the better.
    #[serde(default = "one_level")]
    pub level: u8,
}

/// A time on call, as RFC 3339 has times; its end is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnCall {
    /// When it begins.
    pub from: String,
    /// When it ends.
    pub to: String,
}

/// What is wrong with a profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// A text is empty, too long, or has what no name may have.
    #[error("{field} {text:?} is not 1 to {TEXT_BYTES_MAX} bytes without control characters{blanks}",
        blanks = blanks(.is_name))]
    Text {
        /// Which.
        field: &'static str,
        /// The text, as far as it is shown.
        text: Box<str>,
        /// Does it have no blanks either?
        is_name: bool,
    },
    /// There is none of what has to be there, or more than there may be.
    #[error("{field}: {found} are said, and 1 to {LIST_MAX} have to be")]
    Count {
        /// Of what.
        field: &'static str,
        /// How many.
        found: usize,
    },
    /// It is no network.
    #[error("networks: {0:?} is no network as 192.0.2.0/24 is")]
    Network(Box<str>),
    /// A time cannot be read, or ends before it begins.
    #[error("on_call: {0:?} to {1:?} is no time as from 2027-01-01T08:00:00Z to 2027-01-01T20:00:00Z is")]
    OnCall(Box<str>, Box<str>),
    /// Hours that cannot be.
    #[error("hours: {0}")]
    Hours(HoursError),
    /// Hours without a zone, or the reverse.
    #[error("hours and zone are said together")]
    HoursWithoutZone,
    /// They could never be called.
    #[error("calls_max is 1 to 1000")]
    Calls,
    /// A level is nothing.
    #[error("the level of a specialisation is 1 or more")]
    Level,
}

/// The longest text of a profile.
pub const TEXT_BYTES_MAX: usize = 255;
/// The most elements of a list of a profile.
pub const LIST_MAX: usize = 64;
const CALLS_MAX: u32 = 1_000;
/// Of a text that is wrong so much is told.
const SHOWN_CHARS_MAX: usize = 64;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the derived message asks by reference")]
const fn blanks(is_name: &bool) -> &'static str {
    if *is_name { " and blanks" } else { "" }
}

const fn one() -> u32 {
    1
}

const fn one_level() -> u8 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
const fn is_one(number: &u32) -> bool {
    *number == 1
}

impl Profile {
    /// What an expert signs with their key, so that nobody else can have their calls: the profile in the canonical form of
    /// JSON. `None`: it has no such form.
    //= https://www.rfc-editor.org/rfc/rfc8785#section-3.2
    pub fn canonical(&self) -> Option<Vec<u8>> {
        serde_json_canonicalizer::to_vec(self).ok()
    }

    /// The expert that it makes; they have no key yet.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn expert(&self, standing: Standing) -> Result<Expert, Vec<ProfileError>> {
        let mut wrong = Vec::new();
        self.check_texts(&mut wrong);
        let mut expert = Expert::new(&self.id, &self.name);
        expert.standing = standing;
        expert.calls_max = self.calls_max;
        expert.addresses = boxed(&self.addresses);
        expert.organisation = self.organisation.as_str().into();
        expert.languages = self.languages.iter().map(|tag| tag.to_ascii_lowercase().into()).collect();
        expert.skills = self.specialisations.iter().map(skill).collect();
        for text in &self.networks {
            match text.parse() {
                Ok(network) => expert.networks.push(network),
                Err(_) => wrong.push(ProfileError::Network(shown(text))),
            }
        }
        for time in &self.on_call {
            match shift(time) {
                Some(shift) => expert.shifts.push(shift),
                None => wrong.push(ProfileError::OnCall(shown(&time.from), shown(&time.to))),
            }
        }
        match (&self.hours, &self.zone) {
            (Some(hours), Some(zone)) => match Hours::parse(hours, zone) {
                Ok(hours) => expert.hours = Some(hours),
                Err(why) => wrong.push(ProfileError::Hours(why)),
            },
            (None, None) => {}
            _ => wrong.push(ProfileError::HoursWithoutZone),
        }
        if wrong.is_empty() { Ok(expert) } else { Err(wrong) }
    }

    fn check_texts(&self, wrong: &mut Vec<ProfileError>) {
        let mut check = |field: &'static str, text: &str, is_name: bool| {
            let forbidden = |c: char| c.is_control() || (is_name && c.is_whitespace());
            if text.is_empty() || text.len() > TEXT_BYTES_MAX || text.contains(forbidden) {
                wrong.push(ProfileError::Text { field, text: shown(text), is_name });
            }
        };
        check("id", &self.id, true);
        check("name", &self.name, false);
        self.addresses.iter().for_each(|text| check("addresses", text, false));
        self.languages.iter().for_each(|text| check("languages", text, true));
        self.specialisations.iter().for_each(|one| check("specialisations", &one.subject, true));
        if !self.organisation.is_empty() {
            check("organisation", &self.organisation, false);
        }
        let needed = [("addresses", self.addresses.len()), ("specialisations", self.specialisations.len())];
        let others =
            [("networks", self.networks.len()), ("languages", self.languages.len()), ("on_call", self.on_call.len())];
        let too_few = needed.into_iter().filter(|(_, found)| *found == 0);
        let too_many = needed.into_iter().chain(others).filter(|(_, found)| *found > LIST_MAX);
        wrong.extend(too_few.chain(too_many).map(|(field, found)| ProfileError::Count { field, found }));
        if self.calls_max == 0 || self.calls_max > CALLS_MAX {
            wrong.push(ProfileError::Calls);
        }
        if self.specialisations.iter().any(|one| one.level == 0) {
            wrong.push(ProfileError::Level);
        }
    }
}

fn boxed(texts: &[String]) -> Vec<Box<str>> {
    texts.iter().map(|text| text.as_str().into()).collect()
}

fn skill(said: &Specialisation) -> Skill {
    Skill { subject: said.subject.as_str().into(), level: said.level }
}

fn shift(said: &OnCall) -> Option<Shift> {
    let time = |text: &str| {
        let at: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(at.as_millisecond()).ok().map(Time::from_millis)
    };
    let (from, to) = (time(&said.from)?, time(&said.to)?);
    (from < to).then_some(Shift { from, to })
}

fn shown(text: &str) -> Box<str> {
    text.chars().take(SHOWN_CHARS_MAX).collect::<String>().into()
}
