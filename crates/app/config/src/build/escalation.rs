//! `[escalation]`.

use super::sounds::sound;
use crate::meant::{Escalation, Rering, RingOrder, Room, SoundSettings};
use crate::reader::Reader;
use std::sync::Arc;

pub(crate) fn escalation(section: &Reader<'_>, rooms: &[Arc<Room>], settings: &SoundSettings) -> Escalation {
    let room: Option<Arc<str>> = section.text_if_said("room");
    if let Some(name) = &room
        && !rooms.iter().any(|room| room.name == *name)
    {
        section.conflict(&["room"], "there is no [[room]] of this name");
    }
    let others: Vec<Arc<str>> = section.tested_list("rooms", |_| true);
    if others.iter().any(|name| !rooms.iter().any(|room| room.name == *name)) {
        section.conflict(&["rooms"], "there is no [[room]] of one of these names");
    }
    let escalation = Escalation {
        room,
        announcements: announcements(section, settings),
        rooms: others,
        order: section.choice("order", RingOrder::Serial),
        parallel_max: section.number("parallel_max"),
        ring_timeout: section.seconds("ring_timeout_s"),
        evidence_message: section.flag("evidence_message"),
        rering: section.choice("rering", Rering::CutOff),
        escalate_below_milli: section.number("escalate_below_milli"),
        share_from_milli: section.number("share_from_milli"),
        keyless_experts: section.flag("keyless_experts"),
        rings_per_minute: section.number("rings_per_minute"),
        experts_max: section.number("experts_max"),
        running_max: section.number("running_max"),
        kept_max: section.number("kept_max"),
        senders_max: section.number("senders_max"),
        nonces_max: section.number("nonces_max"),
    };
    if escalation.escalate_below_milli > escalation.share_from_milli {
        section.conflict(&["escalate_below_milli", "share_from_milli"], "the first is no more than the second");
    }
    escalation
}

fn announcements(section: &Reader<'_>, settings: &SoundSettings) -> Vec<(Option<Arc<str>>, Arc<str>)> {
    let mut all: Vec<(Option<Arc<str>>, Arc<str>)> = Vec::new();
    for entry in section.entries("announcement") {
        let hazard: Option<Arc<str>> = entry.text_if_said("hazard");
        if all.iter().any(|(known, _)| *known == hazard) {
            entry.conflict(&["hazard"], "another announcement is for the same hazard");
        }
        if let Some(sound) = sound(&entry, "sound", settings) {
            all.push((hazard, sound));
        }
    }
    all
}
