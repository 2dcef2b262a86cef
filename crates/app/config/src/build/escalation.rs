//! `[escalation]`.

use crate::meant::{Escalation, Rering, RingOrder, Room};
use crate::reader::Reader;
use std::sync::Arc;

pub(crate) fn escalation(section: &Reader<'_>, rooms: &[Arc<Room>]) -> Escalation {
    let room: Option<Arc<str>> = section.text_if_said("room");
    if let Some(name) = &room
        && !rooms.iter().any(|room| room.name == *name)
    {
        section.conflict(&["room"], "there is no [[room]] of this name");
    }
    let escalation = Escalation {
        room,
        order: section.choice("order", RingOrder::Serial),
        parallel_max: section.number("parallel_max"),
        ring_timeout: section.seconds("ring_timeout_s"),
        rering: section.choice("rering", Rering::CutOff),
        escalate_below_milli: section.number("escalate_below_milli"),
        share_from_milli: section.number("share_from_milli"),
        keyless_experts: section.flag("keyless_experts"),
        rings_per_minute: section.number("rings_per_minute"),
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
