//! Personal data in what a message says, blotted out before anybody sees it.

use serde_json::{Map, Value};
use sx_ifmessage::IfMessage;
use sx_pii::{PiiKind, find, redact};

/// How much of each kind was blotted out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redactions([u32; PiiKind::ALL.len()]);

impl Redactions {
    /// Of all kinds together.
    pub fn total(&self) -> u32 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Of each kind of which there was any.
    pub fn each(&self) -> impl Iterator<Item = (PiiKind, u32)> {
        PiiKind::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    /// Blots it out of a text; `None`: there was nothing.
    fn redact(&mut self, text: &str) -> Option<String> {
        let found = find(text);
        if found.is_empty() {
            return None;
        }
        for one in &found {
            let place = PiiKind::ALL.into_iter().position(|kind| kind == one.kind).unwrap_or_default();
            self.0[place] = self.0[place].saturating_add(1);
        }
        Some(redact(text, &found))
    }
}

/// Blots out the personal data in all that a message says in words of its own: what it says, its topic, and why it is a
/// hazard. Whom it is from and for, and what it is traced by, are no such words. To be done after its signature was looked at,
/// which covers what was written.
pub fn redact_message(message: &mut IfMessage) -> Redactions {
    let mut done = Redactions::default();
    members(&mut message.content, &mut done);
    if let Some(topic) = message.topic.as_deref().and_then(|topic| done.redact(topic)) {
        message.topic = Some(topic.into());
    }
    // A hazard that stands within what is said was counted there.
    let mut counted = Redactions::default();
    let of_hazard = if message.content.contains_key("hazard") { &mut counted } else { &mut done };
    if let Some(hazard) = &mut message.hazard
        && let Some(rationale) = of_hazard.redact(&hazard.rationale)
    {
        hazard.rationale = rationale.into();
    }
    done
}

fn members(object: &mut Map<String, Value>, done: &mut Redactions) {
    // A name can be personal data as well: those are made anew.
    let names: Vec<(String, String)> =
        object.keys().filter_map(|name| done.redact(name).map(|redacted| (name.clone(), redacted))).collect();
    for (name, redacted) in names {
        if let Some(value) = object.remove(&name) {
            object.insert(redacted, value);
        }
    }
    object.values_mut().for_each(|value| values(value, done));
}

fn values(value: &mut Value, done: &mut Redactions) {
    match value {
        Value::String(text) => {
            if let Some(redacted) = done.redact(text) {
                *text = redacted;
            }
        }
        // The number of a card is one.
        Value::Number(number) => {
            if let Some(redacted) = done.redact(&number.to_string()) {
                *value = Value::String(redacted);
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| values(element, done)),
        Value::Object(object) => members(object, done),
        Value::Bool(_) | Value::Null => {}
    }
}
