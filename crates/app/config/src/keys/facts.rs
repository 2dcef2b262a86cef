//! The keys of the facts that a policy is tried with.

use super::{Default, Key, Kind};
use Default::{Absent, Is, Required};
use Kind::{Choice, Choices, Flag, Section, Shape, Shapes, Text};
use sx_guard::{Action, AuthenticationKind, Country, Obstacle, SourceKind, Status};
use sx_types::{Codec, Transport};

const fn key(path: &'static str, kind: Kind, default: Default, about: &'static str) -> Key {
    Key { path, kind, default, about, metric: None }
}

const fn number(max: i64) -> Kind {
    Kind::Number { min: 0, max, unit: "" }
}

/// Every key.
#[rustfmt::skip]
pub(crate) const FACTS_KEYS: &[Key] = &[
    key("action", Choice(&Action::WORDS), Is("\"call\""), "What is asked for."),
    key("source", Choice(&SourceKind::WORDS), Is("\"user\""), "Where it comes from."),
    key("trunk", Text, Absent("as `identity` says"), "From which trunk, when it comes from one."),
    key("identity", Text, Required, "Who asks: `user@domain`, or the name of the trunk."),
    key("address", Shape("an IP address"), Is("\"127.0.0.1\""), "The address it came from."),
    key("transport", Choice(&Transport::URI_TOKENS), Is("\"udp\""), "What it came over."),
    key("country", Shape(Country::SHAPE), Absent("unknown"), "The country of the address."),
    key("organisation", Text, Absent("that of the registry"), "The organisation of who asks."),
    key("authenticated", Choice(&AuthenticationKind::WORDS), Absent("`digest-sha256` from users, `trunk` from trunks, else `nothing`"), "How they have shown who they are."),
    key("signature", Section, Absent("a good one"), "What is known of a signature."),
    key("signature.key_matches", Flag, Is("true"), "It was made with the registered key."),
    key("signature.age_s", Kind::Number { min: i64::MIN, max: i64::MAX, unit: "s" }, Is("0"), "Its age; negative when it comes from the future."),
    key("signature.nonce_seen", Flag, Is("false"), "It was used before."),
    key("signature.verifies", Flag, Is("true"), "It is right."),
    key("subject", Text, Is("\"100\""), "Whom or what it is for: the dialled `user@domain` or number. A number that is called loses its blanks and separators here as it does in a call: `0-9 00` is `0900`; and escapes are undone: `09%3000` is, too."),
    key("codecs", Choices(&Codec::NAMES), Is("[]"), "The codecs offered, in their order."),
    key("other_codecs", Shapes("the name of an encoding"), Is("[]"), "What else was offered: encodings that the exchange does not know, which no list allows."),
    key("score_milli", number(1_000), Is("0"), "How suspicious the source is."),
    key("recent", number(u32::MAX as i64), Is("0"), "Requests of this identity within the window."),
    key("calls", number(u32::MAX as i64), Is("0"), "Calls of this identity at the moment."),
    key("hour_utc", number(23), Is("12"), "The hour of the day."),
    key("weekday", number(6), Is("0"), "The day of the week, from 0 for Monday."),
    key("escalation", Section, Absent("a good one"), "What is known of an escalation."),
    key("escalation.standing", Choice(&Status::WORDS), Absent("no guardian"), "How whoever asks stands among the guardians."),
    key("escalation.emergency", Flag, Is("false"), "Someone is in danger now."),
    key("escalation.pii_redacted", number(u32::MAX as i64), Is("0"), "How much that is said about persons was blotted out."),
    key("escalation.pii_declared", Flag, Is("false"), "Whoever asks says that some of it is to stay."),
    key("escalation.pii_override", Flag, Is("false"), "They say that it has to."),
    key("escalation.asked_kbps", number(u32::MAX as i64), Is("80"), "The bandwidth of the call that is asked for, in kbit/s."),
    key("escalation.used_kbps", number(u32::MAX as i64), Is("0"), "That of the calls that they have."),
    key("escalation.members", number(u32::MAX as i64), Is("0"), "Members of the room."),
    key("escalation.members_max", number(u32::MAX as i64), Is("25"), "How many there may be."),
    key("escalation.experts_knowing", number(u32::MAX as i64), Is("1"), "Experts who know about the hazard."),
    key("escalation.experts_allowed", number(u32::MAX as i64), Is("1"), "Of those, who is approved and may be rung for whoever asks."),
    key("escalation.experts_rested", number(u32::MAX as i64), Is("1"), "Of those, who was not rung too often of late."),
    key("escalation.obstacle", Choice(&Obstacle::WORDS), Absent("none"), "What stands in the way of the first who may not be rung."),
];
