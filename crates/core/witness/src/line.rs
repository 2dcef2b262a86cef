//! Reading one record.

use crate::canonical::{Cursor, Text};
use crate::hash::{Hash, hex_value};
use crate::kind::Kind;
use crate::render::{DEPTH_MAX, RECORD_BYTES_MAX};
use crate::stamp;
use std::borrow::Cow;
use sx_engine::Time;
use sx_types::{CallId, TraceId};

/// Why a line is no record. Places are offsets in bytes from the beginning of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Longer than a record may be.
    #[error("it has {bytes} bytes, and a record has at most {RECORD_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: u64,
    },
    /// Zero bytes stand before its end, where nothing was written.
    #[error("zero bytes stand in it")]
    Zeros,
    /// Not UTF-8.
    #[error("byte {at} is not UTF-8")]
    NotUtf8 {
        /// Where.
        at: usize,
    },
    /// Not what canonical JSON has at this place; white space is not, either.
    #[error("byte {at} is not what canonical JSON has there")]
    Syntax {
        /// Where.
        at: usize,
    },
    /// A character is escaped that is not, or otherwise than it is, in canonical JSON.
    #[error("the escape at byte {at} is not canonical")]
    Escape {
        /// Where.
        at: usize,
    },
    /// A number that is not an integer, too large, or has a needless zero or sign.
    #[error("the number at byte {at} is no canonical integer")]
    Number {
        /// Where.
        at: usize,
    },
    /// A null.
    #[error("byte {at} begins a null, which no record has")]
    Null {
        /// Where.
        at: usize,
    },
    /// Too deep.
    #[error("byte {at} lies deeper than {DEPTH_MAX} levels of facts")]
    Depth {
        /// Where.
        at: usize,
    },
    /// A name is not behind the one before it in the order of names, or stands twice.
    #[error("the name at byte {at} is out of order or stands twice")]
    Order {
        /// Where.
        at: usize,
    },
    /// A record has no such member.
    #[error("the name at byte {at} is none that a record has")]
    Member {
        /// Where.
        at: usize,
    },
    /// A member that every record has is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A member is not in its form.
    #[error("{0} is not in its form")]
    Form(&'static str),
}

/// A record as it was read from its line, which it borrows.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    actor: Option<Text<'a>>,
    call: Option<CallId>,
    facts: Option<&'a str>,
    kind: Kind,
    node: Text<'a>,
    outcome: Option<Text<'a>>,
    policy_version: Option<Text<'a>>,
    prev_hash: Hash,
    reason: Option<Text<'a>>,
    seq: u64,
    subject: Option<Text<'a>>,
    time: Time,
    trace: Option<TraceId>,
}

/// The members of a record in their order.
const MEMBERS: [&str; 13] = [
    "actor",
    "call_id",
    "facts",
    "kind",
    "node",
    "outcome",
    "policy_version",
    "prev_hash",
    "reason",
    "seq",
    "subject",
    "time",
    "trace_id",
];

/// What was read so far.
#[derive(Default)]
struct Members<'a> {
    texts: [Option<Text<'a>>; MEMBERS.len()],
    facts: Option<&'a str>,
    seq: Option<u64>,
}

impl<'a> Line<'a> {
    /// Reads a line without its newline. Nothing passes that is not, byte for byte, the canonical form of a record.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(Malformed::TooLong { bytes: bytes.len() as u64 });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| Malformed::NotUtf8 { at: error.valid_up_to() })?;
        let members = Members::read(&mut Cursor::new(text))?;
        let [actor, call, _, kind, node, outcome, policy_version, prev_hash, reason, _, subject, time, trace] =
            members.texts;
        let kind = kind.ok_or(Malformed::Missing("kind"))?;
        let prev_hash = prev_hash.ok_or(Malformed::Missing("prev_hash"))?;
        let time = time.ok_or(Malformed::Missing("time"))?;
        Ok(Self {
            actor,
            call: call.map(parse_call).transpose()?,
            facts: members.facts,
            kind: Kind::named(kind.raw()).ok_or(Malformed::Form("kind"))?,
            node: node.ok_or(Malformed::Missing("node"))?,
            outcome,
            policy_version,
            prev_hash: Hash::from_digits(prev_hash.raw().as_bytes()).map_err(|_| Malformed::Form("prev_hash"))?,
            reason,
            seq: members.seq.ok_or(Malformed::Missing("seq"))?,
            subject,
            time: stamp::parse(time.raw().as_bytes()).ok_or(Malformed::Form("time"))?,
            trace: trace.map(parse_trace).transpose()?,
        })
    }

    /// Its number.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The hash of the record before it.
    pub fn prev_hash(&self) -> Hash {
        self.prev_hash
    }

    /// What it is about.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// When it happened.
    pub fn time(&self) -> Time {
        self.time
    }

    /// Which node wrote it.
    pub fn node(&self) -> Cow<'a, str> {
        self.node.meant()
    }

    /// Who did it.
    pub fn actor(&self) -> Option<Cow<'a, str>> {
        self.actor.map(Text::meant)
    }

    /// To whom or to what.
    pub fn subject(&self) -> Option<Cow<'a, str>> {
        self.subject.map(Text::meant)
    }

    /// What came of it.
    pub fn outcome(&self) -> Option<Cow<'a, str>> {
        self.outcome.map(Text::meant)
    }

    /// Why.
    pub fn reason(&self) -> Option<Cow<'a, str>> {
        self.reason.map(Text::meant)
    }

    /// Which version of the rules was in force.
    pub fn policy_version(&self) -> Option<Cow<'a, str>> {
        self.policy_version.map(Text::meant)
    }

    /// The call it belongs to.
    pub fn call_id(&self) -> Option<CallId> {
        self.call
    }

    /// The story it belongs to.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.trace
    }

    /// What else it says, as canonical JSON.
    pub fn facts_text(&self) -> Option<&'a str> {
        self.facts
    }

    /// What else it says; `Null` when it says no more. Made anew with each call.
    pub fn facts(&self) -> serde_json::Value {
        self.facts.and_then(|facts| serde_json::from_str(facts).ok()).unwrap_or_default()
    }

    pub(crate) fn has_outcome(&self, outcome: &str) -> bool {
        self.outcome.is_some_and(|text| text.raw() == outcome)
    }

    /// Has it none of the members that a checkpoint does without?
    pub(crate) fn is_bare(&self) -> bool {
        let texts = [self.actor, self.outcome, self.policy_version, self.reason, self.subject];
        texts.iter().all(Option::is_none) && self.call.is_none() && self.trace.is_none()
    }
}

impl<'a> Members<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let mut members = Self::default();
        cursor.expect(b'{')?;
        let mut next = 0;
        loop {
            let Some(ahead) = MEMBERS[next..].iter().position(|member| cursor.pass_name(member)) else {
                return Err(fault_of_name(cursor));
            };
            let member = next + ahead;
            next = member + 1;
            let start = cursor.at();
            match (MEMBERS[member], cursor.peek()) {
                ("facts", Some(b'{')) => {
                    cursor.object(1)?;
                    members.facts = Some(cursor.since(start));
                }
                ("seq", Some(b'-' | b'0'..=b'9')) => {
                    members.seq = Some(u64::try_from(cursor.number()?).map_err(|_| Malformed::Form("seq"))?);
                }
                (name @ ("facts" | "seq"), _) => return Err(Malformed::Form(name)),
                (_, Some(b'"')) => members.texts[member] = Some(cursor.string()?),
                (name, _) => return Err(Malformed::Form(name)),
            }
            if !cursor.another(b'}')? {
                break;
            }
        }
        if cursor.is_at_end() { Ok(members) } else { Err(Malformed::Syntax { at: cursor.at() }) }
    }
}

/// Why what stands here is not the name of one of the members that may follow.
fn fault_of_name(cursor: &mut Cursor<'_>) -> Malformed {
    let at = cursor.at();
    match cursor.string() {
        Err(fault) => fault,
        Ok(name) if !MEMBERS.contains(&name.raw()) => Malformed::Member { at },
        Ok(_) => cursor.expect(b':').err().unwrap_or(Malformed::Order { at }),
    }
}

/// A UUID in lower case with its four hyphens.
//= https://www.rfc-editor.org/rfc/rfc9562#section-4
fn parse_call(text: Text<'_>) -> Result<CallId, Malformed> {
    let fault = Malformed::Form("call_id");
    let text: &[u8; 36] = text.raw().as_bytes().try_into().map_err(|_| fault)?;
    if [8, 13, 18, 23].iter().any(|at| text[*at] != b'-') {
        return Err(fault);
    }
    let mut digits = [0; 32];
    for (to, from) in [(0..8, 0..8), (8..12, 9..13), (12..16, 14..18), (16..20, 19..23), (20..32, 24..36)] {
        digits[to].copy_from_slice(&text[from]);
    }
    parse_bits(&digits).map(CallId::from_u128).ok_or(fault)
}

fn parse_trace(text: Text<'_>) -> Result<TraceId, Malformed> {
    let digits = text.raw().as_bytes().try_into().ok();
    digits.and_then(parse_bits).map(TraceId::from_u128).ok_or(Malformed::Form("trace_id"))
}

fn parse_bits(digits: &[u8; 32]) -> Option<u128> {
    let (high, low) = digits.split_at(16);
    Some(u128::from(hex_value(high)?) << 64 | u128::from(hex_value(low)?))
}

#[cfg(test)]
mod tests;
