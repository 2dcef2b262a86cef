//! The keys of the facts that a policy is tried with.

use super::{Default, Key, Kind};
use Default::{Absent, Is, Required};
use Kind::{Choice, Choices, Flag, Section, Shape, Shapes, Text};
use sx_guard::{Action, AuthenticationKind, Country, SourceKind};
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
];
