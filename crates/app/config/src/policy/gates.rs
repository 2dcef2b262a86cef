//! `[gate]`.

use super::{boxed, is_identity};
use crate::reader::Reader;
use std::time::Duration;
use sx_guard::{
    Action, AuthenticityException, AuthenticityGate, CodecGate, FairnessGate, IdentityGate, PerAction, Rate, RateGate,
    Unlisted,
};
use sx_types::Codec;

/// The codecs of a class or a trunk.
pub(super) type Codecs = (Box<str>, Vec<Codec>);
/// The rate of a class, a trunk or an identity.
pub(super) type Named = (Box<str>, Rate);

pub(super) fn authenticity(section: &Reader<'_>) -> AuthenticityGate {
    AuthenticityGate {
        accepts: PerAction(Action::ALL.map(|action| section.choices(&key_of(action)))),
        exceptions: section.entries("exception").iter().map(exception).collect(),
        signature_age_max: section.seconds("signature_age_max_s"),
    }
}

fn exception(entry: &Reader<'_>) -> AuthenticityException {
    refuse_empty(entry, &["action", "source"]);
    AuthenticityException {
        actions: entry.choices("action"),
        sources: entry.choices("source"),
        accepts: entry.choices("accepts"),
    }
}

pub(super) fn identity(section: &Reader<'_>) -> IdentityGate {
    let unlisted = section.choice("unlisted", Unlisted::Approve);
    let single = section.section("unlisted_for");
    IdentityGate {
        unlisted: PerAction(Action::ALL.map(|action| single.choice_if_said(&key_of(action)).unwrap_or(unlisted))),
    }
}

pub(super) fn codec(section: &Reader<'_>, classes: Vec<Codecs>, trunks: Vec<Codecs>) -> CodecGate {
    refuse_empty(section, &["allowed"]);
    let allowed = section.has("allowed").then(|| section.choices("allowed"));
    CodecGate { actions: section.choices("action"), allowed, classes, trunks }
}

pub(super) fn codecs(entry: &Reader<'_>) -> Codecs {
    refuse_empty(entry, &["allowed"]);
    (boxed(entry.text_if_said("name")), entry.choices("allowed"))
}

pub(super) fn rate(section: &Reader<'_>, classes: Vec<Named>, trunks: Vec<Named>, identities: Vec<Named>) -> RateGate {
    RateGate { actions: section.choices("action"), users: limits(section), classes, trunks, identities }
}

pub(super) fn named_rate(entry: &Reader<'_>) -> Named {
    (boxed(entry.text_if_said("name")), limits(entry))
}

pub(super) fn identity_rate(entry: &Reader<'_>) -> Named {
    (boxed(entry.tested("name", is_identity)), limits(entry))
}

fn limits(section: &Reader<'_>) -> Rate {
    let or_any = |name: &str| match section.number::<u32>(name) {
        0 => u32::MAX,
        number => number,
    };
    let window: Duration = section.seconds("window_s");
    Rate { limit: or_any("limit"), window, calls_max: or_any("calls_max") }
}

pub(super) fn fairness(section: &Reader<'_>) -> FairnessGate {
    let or_any = |name: &str| match section.number::<u32>(name) {
        0 => u32::MAX,
        kbps => kbps,
    };
    FairnessGate {
        user_kbps: or_any("user_kbps"),
        guardian_kbps: or_any("guardian_kbps"),
        emergency_kbps: or_any("emergency_kbps"),
    }
}

/// The key of an action: its word, in the spelling of keys.
fn key_of(action: Action) -> String {
    action.word().replace('-', "_")
}

/// A list that is given says something.
pub(super) fn refuse_empty(section: &Reader<'_>, names: &[&str]) {
    for name in names {
        if section.is_empty_list(name) {
            section.conflict(&[name], "at least one value is needed; without the key, any will do");
        }
    }
}
