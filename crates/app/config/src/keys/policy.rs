//! The keys of a policy file, in the order of its reference.

use super::{Default, Key, Kind};
use Default::{Absent, Is, Required};
use Kind::{Choice, Choices, Entries, Flag, Path, Section, Shape, Shapes, Text};
use sx_guard::{
    Action, AuthenticationKind, Country, Hours, IdentityPattern, PublicKey, SourceKind, Status, Then, Unlisted, Weekday,
};
use sx_types::{Codec, Consent, Network, Transport};

const fn key(path: &'static str, kind: Kind, default: Default, about: &'static str) -> Key {
    Key { path, kind, default, about, metric: None }
}

const fn number(min: i64, max: i64, unit: &'static str) -> Kind {
    Kind::Number { min, max, unit }
}

const NOTHING: Default = Absent("nothing");
const ANY: Default = Absent("any");
const ENTRIES: Kind = Entries { short: None };
const SOURCES: Kind = Choices(&SourceKind::WORDS);
const ACTIONS: Kind = Choices(&Action::WORDS);
const WAYS: Kind = Choices(&AuthenticationKind::WORDS);
const SHOWN: Default = Is("[\"trunk\", \"digest-md5\", \"digest-sha256\", \"certificate\", \"signature\"]");
const CODECS: Kind = Choices(&Codec::NAMES);
const UNLISTED: Kind = Choice(&Unlisted::WORDS);
const AS_UNLISTED: Default = Absent("as `unlisted` says");
const IDENTITY: Kind = Shape("user@domain without a scheme, or the name of a trunk");
const NAME: Kind = Text;
const LIMIT: Kind = number(0, 1_000_000, "requests");
const WINDOW: Kind = number(1, 86_400, "s");
const CALLS_MAX: Kind = number(0, 1_000_000, "calls");
const KBPS: Kind = number(0, 100_000_000, "kbit/s");
const NO_LIMIT: Default = Is("0");

/// Every key.
#[rustfmt::skip]
pub(crate) const POLICY_KEYS: &[Key] = &[
    key("registry", Path, Absent("the registry is in this file"), "A further file, relative to this one, that holds nothing but `[[identity]]`."),

    key("gate", Section, NOTHING, "The gates. Every request passes all of them that look at its action; the first that refuses decides."),

    key("gate.authenticity", Section, NOTHING, "Has whoever asks shown enough of who they are? For each action, the ways that are good enough: the address of a trunk, digest with MD5 or SHA-256, a certificate, a signature; `nothing` opens the action to everybody. An empty list closes it. What the exchange itself begins needs none. A refusal is 403: whoever could have been asked for credentials was asked before."),
    key("gate.authenticity.call", WAYS, SHOWN, "For calls."),
    key("gate.authenticity.message", WAYS, SHOWN, "For messages outside of calls."),
    key("gate.authenticity.register", WAYS, SHOWN, "For registrations."),
    key("gate.authenticity.escalation", WAYS, SHOWN, "For escalations."),
    key("gate.authenticity.h323_admission", WAYS, SHOWN, "For admissions of H.323. Nothing asks this yet."),
    key("gate.authenticity.room_join", WAYS, SHOWN, "For joining rooms. Nothing asks this yet."),
    key("gate.authenticity.browser_join", WAYS, SHOWN, "For browsers that join calls. Nothing asks this yet."),
    key("gate.authenticity.evidence", WAYS, SHOWN, "For handing over evidence. Nothing asks this yet."),
    key("gate.authenticity.recording", WAYS, SHOWN, "For recording. Nothing asks this yet."),
    key("gate.authenticity.export", WAYS, SHOWN, "For exports of records. Nothing asks this yet."),
    key("gate.authenticity.signature_age_max_s", number(1, 86_400, "s"), Is("300"), "How old a signature may be, and how far ahead of ours its maker's clock. It must be made with the registered key, be right, and be new. Nothing asks this yet: nobody signs."),
    key("gate.authenticity.exception", ENTRIES, Is("[]"), "Other ways for some actions and sources; the first that is for both holds."),
    key("gate.authenticity.exception[].action", ACTIONS, ANY, "For these actions."),
    key("gate.authenticity.exception[].source", SOURCES, ANY, "From these sources."),
    key("gate.authenticity.exception[].accepts", WAYS, Required, "The ways that are good enough."),

    key("gate.identity", Section, NOTHING, "Is the identity in good standing? Who is suspended or revoked is refused, whatever else holds. An identity that nobody has proved counts as unlisted, unless its entry speaks against it. Trunks need no entry: the configuration knows them."),
    key("gate.identity.unlisted", UNLISTED, Is("\"approve\""), "May an identity that has no `[[identity]]` go on?"),
    key("gate.identity.unlisted_for", Section, NOTHING, "The same for single actions."),
    key("gate.identity.unlisted_for.call", UNLISTED, AS_UNLISTED, "For calls."),
    key("gate.identity.unlisted_for.message", UNLISTED, AS_UNLISTED, "For messages outside of calls."),
    key("gate.identity.unlisted_for.register", UNLISTED, AS_UNLISTED, "For registrations."),
    key("gate.identity.unlisted_for.escalation", UNLISTED, AS_UNLISTED, "For escalations."),
    key("gate.identity.unlisted_for.h323_admission", UNLISTED, AS_UNLISTED, "For admissions of H.323. Nothing asks this yet."),
    key("gate.identity.unlisted_for.room_join", UNLISTED, AS_UNLISTED, "For joining rooms. Nothing asks this yet."),
    key("gate.identity.unlisted_for.browser_join", UNLISTED, AS_UNLISTED, "For browsers that join calls. Nothing asks this yet."),
    key("gate.identity.unlisted_for.evidence", UNLISTED, AS_UNLISTED, "For handing over evidence. Nothing asks this yet."),
    key("gate.identity.unlisted_for.recording", UNLISTED, AS_UNLISTED, "For recording. Nothing asks this yet."),
    key("gate.identity.unlisted_for.export", UNLISTED, AS_UNLISTED, "For exports of records. Nothing asks this yet."),

    key("gate.codec", Section, NOTHING, "Which codecs may be used: the list of the trunk, else that of the class, else `allowed`. It binds the call for its life: every later offer and answer, and whoever comes into it by a transfer. A codec that the exchange does not know is on no list. telephone-event and CN ride along with any audio, and never alone. When nothing is left of an offer, 488."),
    key("gate.codec.action", ACTIONS, Is("[\"call\", \"escalation\", \"h323-admission\", \"room-join\", \"browser-join\"]"), "The actions whose codecs are looked at."),
    key("gate.codec.allowed", CODECS, Absent("any codec"), "For whom nothing else is said."),
    key("gate.codec.class", ENTRIES, Is("[]"), "For classes."),
    key("gate.codec.class[].name", NAME, Required, "The class; unique."),
    key("gate.codec.class[].allowed", CODECS, Required, "The codecs. Never empty."),
    key("gate.codec.trunk", ENTRIES, Is("[]"), "For trunks."),
    key("gate.codec.trunk[].name", NAME, Required, "The trunk; unique."),
    key("gate.codec.trunk[].allowed", CODECS, Required, "The codecs. Never empty."),

    key("gate.fairness", Section, NOTHING, "How much bandwidth the calls of one identity that escalates may take together; 0 for any."),
    key("gate.fairness.user_kbps", KBPS, Is("3000"), "Those of a user or a trunk."),
    key("gate.fairness.guardian_kbps", KBPS, Is("10000"), "Those of a guardian."),
    key("gate.fairness.emergency_kbps", KBPS, Is("20000"), "Those of anybody in an emergency."),

    key("gate.rate", Section, NOTHING, "How many requests in a window that slides, and how many calls at a time: what is said of the identity holds, else what is said of the trunk, else what is said of the class, else, for users and the anonymous, what stands here; for other trunks there is no limit. Beyond it, 429 with Retry-After. Only what was approved is counted."),
    key("gate.rate.action", ACTIONS, Is("[\"call\", \"message\", \"escalation\", \"h323-admission\", \"room-join\", \"browser-join\", \"evidence\", \"recording\", \"export\"]"), "The actions that are counted."),
    key("gate.rate.limit", LIMIT, Is("60"), "Requests of a user in the window; 0 for any number."),
    key("gate.rate.window_s", WINDOW, Is("60"), "The window."),
    key("gate.rate.calls_max", CALLS_MAX, NO_LIMIT, "Calls of a user at a time; 0 for any number."),
    key("gate.rate.class", ENTRIES, Is("[{ name = \"expert\", limit = 10 }, { name = \"guardian\", limit = 60, calls_max = 3 }]"), "For classes."),
    key("gate.rate.class[].name", NAME, Required, "The class; unique."),
    key("gate.rate.class[].limit", LIMIT, NO_LIMIT, "Requests in the window; 0 for any number."),
    key("gate.rate.class[].window_s", WINDOW, Is("60"), "The window."),
    key("gate.rate.class[].calls_max", CALLS_MAX, NO_LIMIT, "Calls at a time; 0 for any number."),
    key("gate.rate.trunk", ENTRIES, Is("[]"), "For trunks."),
    key("gate.rate.trunk[].name", NAME, Required, "The trunk; unique."),
    key("gate.rate.trunk[].limit", LIMIT, NO_LIMIT, "Requests in the window; 0 for any number."),
    key("gate.rate.trunk[].window_s", WINDOW, Is("60"), "The window."),
    key("gate.rate.trunk[].calls_max", CALLS_MAX, NO_LIMIT, "Calls at a time; 0 for any number."),
    key("gate.rate.identity", ENTRIES, Is("[]"), "For identities."),
    key("gate.rate.identity[].name", IDENTITY, Required, "The identity; unique."),
    key("gate.rate.identity[].limit", LIMIT, NO_LIMIT, "Requests in the window; 0 for any number."),
    key("gate.rate.identity[].window_s", WINDOW, Is("60"), "The window."),
    key("gate.rate.identity[].calls_max", CALLS_MAX, NO_LIMIT, "Calls at a time; 0 for any number."),

    key("identity", ENTRIES, Is("[]"), "The registry. One identity has one entry and one key, and a key has one identity, however they are spelt."),
    key("identity[].identity", IDENTITY, Required, "Who. The case of letters does not count."),
    key("identity[].status", Choice(&Status::WORDS), Is("\"active\""), "How they stand: `suspended` and `revoked` are refused."),
    key("identity[].key", Shape(PublicKey::SHAPE), Absent("they sign nothing"), "The key that their signatures are made with. Nothing asks this yet: nobody signs."),
    key("identity[].class", NAME, Absent("that of the source: `user`, `trunk`, `anonymous` or `exchange`"), "Their class, which rules, codecs and rates name. Who has no entry has that of the source; so has who has not proved who they are."),
    key("identity[].organisation", Text, Absent("none"), "The organisation they belong to."),

    key("rule", ENTRIES, Is("[]"), "Rules, asked in the order in which they are written, after the gate of identities and before that of codecs. The first that matches and approves or rejects decides; a `conditional` one adds its obligations, and the next is asked. When none decides, it is an approval. The obligations of several rules hold together: the codecs that all of them allow, the smallest number, the announcement that was named first."),
    key("rule[].name", Text, Required, "Its name; unique."),
    key("rule[].when", Section, Absent("always"), "When it matches. All conditions must hold; several values of one are alternatives, and a single one needs no brackets. The case of letters does not count in texts."),
    key("rule[].when.action", ACTIONS, ANY, "What is asked for."),
    key("rule[].when.source", SOURCES, ANY, "Where it comes from."),
    key("rule[].when.trunk", Shapes("the name of a trunk"), ANY, "From which trunk."),
    key("rule[].when.identity", Shapes(IdentityPattern::SHAPE), ANY, "Who asks. That they have proved it, only `authenticated` and the gate of authenticity say."),
    key("rule[].when.class", Shapes("the name of a class"), ANY, "Their class."),
    key("rule[].when.organisation", Shapes("the name of an organisation"), ANY, "Their organisation."),
    key("rule[].when.dialled", Shapes("a number or user, with @domain or without"), ANY, "Whom they dialled; without a domain, in any. A number stands here as it is judged, without blanks, separators and all else that is no letter, digit, `*`, `#` or leading plus: `0049800`, and not `0049-800` or `0049 800`, which are errors. No rule can name a user who registers with any of these in a name that has digits and no letter, as `100_200` does, and no call reaches that user."),
    key("rule[].when.dialled_prefix", Shapes("the start of a number or user"), ANY, "How what they dialled begins; a number without blanks and separators here as well, so that no rule can name the users whose names begin with one that has them, as `12-34-lobby` does."),
    key("rule[].when.country", Shapes(Country::SHAPE), ANY, "The country of their address. A country that is not known is none of these."),
    key("rule[].when.network", Shapes(Network::SHAPE), ANY, "The network of their address."),
    key("rule[].when.transport", Choices(&Transport::URI_TOKENS), ANY, "What it came over."),
    key("rule[].when.authenticated", WAYS, ANY, "How they have shown who they are."),
    key("rule[].when.hours", Shapes(Hours::SHAPE), ANY, "The hours of the day, in UTC: `08-18` is from 08:00 until before 18:00, `22-06` goes over midnight."),
    key("rule[].when.weekdays", Choices(&Weekday::WORDS), ANY, "The days of the week, in UTC."),
    key("rule[].when.score_min", number(1, 1_000, "thousandths"), ANY, "How suspicious the source is at least."),
    key("rule[].then", Choice(&Then::WORDS), Required, "What it says."),
    key("rule[].status", number(400, 699, ""), Absent("403"), "The SIP status of a refusal."),
    key("rule[].reason", Text, Absent("a sentence that names the rule"), "The sentence of a refusal."),
    key("rule[].obligations", Section, Absent("none"), "What an approval is bound to. A `conditional` rule needs some; a refusal has none."),
    key("rule[].obligations.codecs", CODECS, Absent("any"), "Only these codecs may be used, in all of the call."),
    key("rule[].obligations.record", Flag, Is("false"), "Calls are recorded, from their answer to their end, as `[recording]` of the configuration says; so is whoever comes into one by a transfer. Such a call passes through the exchange and is spoken in codecs that can be decoded here. Without `[recording]`, and in a program that was built without recordings, whoever would be bound to it is refused with 403. Messages and registrations have no sound."),
    key("rule[].obligations.consent", Choice(&Consent::WORDS), Absent("none; a rule with `record = true` needs one"), "On what ground it is recorded: `one-party`, one of the parties knows and agrees, which is enough where they are; `announced`, the parties are told by an announcement before they speak; `agreed`, all of them have agreed beforehand; `law`, the law has it recorded; `asked`, each of them is asked when the call begins and agrees by a key. For `announced` the exchange plays `recording.announcement`, where that is said, and for `asked` it must be; of the others it only writes down which ground was given. Of several rules the first that names one holds."),
    key("rule[].obligations.announce", Text, Absent("none"), "This announcement must be played first. Nothing plays any yet: whoever would be bound to it is refused with 403."),
    key("rule[].obligations.bandwidth_kbps", number(1, 1_000_000, "kbit/s"), Absent("any"), "No more bandwidth than this. Nothing measures it yet: whoever would be bound to it is refused with 403."),
    key("rule[].obligations.limit_s", number(1, 31_536_000, "s"), Absent("any length"), "It ends after this long. Messages and registrations have no length."),
];
