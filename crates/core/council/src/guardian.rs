//! What is written down of a guardian.

use serde::{Deserialize, Serialize};

/// An entry of the registry of guardians, as JSON has it. Their key and how they stand are kept beside it.
///
/// ```
/// let text = r#"{"id": "IF.guard.safety", "role": "safety", "specialisation": "process safety"}"#;
/// let guardian: sx_council::Guardian = serde_json::from_str(text)?;
/// assert!(guardian.check().is_empty() && !guardian.veto);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guardian {
    /// What messages and records call them; unique.
    pub id: String,
    /// What they stand for.
    pub role: String,
    /// More about it, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What they know about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub specialisation: String,
    /// The organisation they are of.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub organisation: String,
    /// How they are called: a user, a number, an address or its URI; empty for agents, which nobody calls.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// What their calls may take together, in kilobits a second; [`BANDWIDTH_KBPS`] where it is not said.
    #[serde(default = "usual")]
    pub bandwidth_kbps: u32,
    /// Can they hold up what nearly all others want?
    #[serde(default)]
    pub veto: bool,
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {text:?} is not {shape}")]
pub struct GuardianError {
    /// Of which field.
    pub field: &'static str,
    /// What stands there, as far as it is shown.
    pub text: Box<str>,
    /// What should.
    pub shape: &'static str,
}

/// What the calls of a guardian may take together, in kilobits a second.
pub const BANDWIDTH_KBPS: u32 = 10_000;
/// The longest text of an entry.
pub const TEXT_BYTES_MAX: usize = 255;
const BANDWIDTH_KBPS_MAX: u32 = 100_000_000;
/// Of a text that is wrong so much is told.
const SHOWN_CHARS_MAX: usize = 64;

const fn usual() -> u32 {
    BANDWIDTH_KBPS
}

impl Guardian {
    /// Everything that is wrong with it.
    pub fn check(&self) -> Vec<GuardianError> {
        let wrong = |field, text: &str, shape| GuardianError {
            field,
            text: text.chars().take(SHOWN_CHARS_MAX).collect::<String>().into(),
            shape,
        };
        let is_name = |text: &str| {
            !text.is_empty()
                && text.len() <= TEXT_BYTES_MAX
                && !text.contains(|c: char| c.is_control() || c.is_whitespace())
        };
        let is_text = |text: &str| text.len() <= TEXT_BYTES_MAX && !text.contains(char::is_control);
        let names = [("id", &self.id), ("role", &self.role)];
        let names = names.into_iter().filter(|(_, text)| !is_name(text));
        let names =
            names.map(|(field, text)| wrong(field, text, "1 to 255 bytes without control characters and blanks"));
        let texts = [
            ("description", &self.description),
            ("specialisation", &self.specialisation),
            ("organisation", &self.organisation),
            ("address", &self.address),
        ];
        let texts = texts.into_iter().filter(|(_, text)| !is_text(text));
        let texts = texts.map(|(field, text)| wrong(field, text, "at most 255 bytes without control characters"));
        let is_too_much = self.bandwidth_kbps == 0 || self.bandwidth_kbps > BANDWIDTH_KBPS_MAX;
        let kbps = self.bandwidth_kbps.to_string();
        let bandwidth = is_too_much.then(|| wrong("bandwidth_kbps", &kbps, "1 to 100000000"));
        names.chain(texts).chain(bandwidth).collect()
    }
}
