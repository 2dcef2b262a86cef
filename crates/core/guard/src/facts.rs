//! What is known of a request when it is decided.

use crate::definition::Status;
use std::fmt;
use std::net::IpAddr;
use std::ops::{Index, IndexMut};
use sx_types::{Codec, Transport};

/// Declares an enum whose variants each have a word, the list of them and the way back from the word.
macro_rules! worded {
    ($(#[$of_enum:meta])* pub enum $name:ident { $($(#[$of_variant:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$of_enum])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$of_variant])* $variant),+
        }

        impl $name {
            /// Every one, in the order of their declaration.
            pub const ALL: [Self; [$(Self::$variant),+].len()] = [$(Self::$variant),+];

            /// Their words, in the order of [`ALL`](Self::ALL).
            pub const WORDS: [&'static str; Self::ALL.len()] = [$($word),+];

            /// Its word, as policies and records write it.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

pub(crate) use worded;

worded! {
    /// What is asked for. All are decided by the same gates and rules; which gate looks at which action, the policy says.
    pub enum Action {
        /// A call is to begin.
        Call = "call",
        /// A message outside of calls is to be passed on.
        Message = "message",
        /// A telephone wants to be reached here.
        Register = "register",
        /// A call is to be handed to somebody who can do more.
        Escalation = "escalation",
        /// An endpoint of H.323 asks its gatekeeper for a call.
        H323Admission = "h323-admission",
        /// Somebody wants into a room.
        RoomJoin = "room-join",
        /// A browser wants into a call.
        BrowserJoin = "browser-join",
        /// Evidence is to be handed over within a call.
        Evidence = "evidence",
        /// A call is to be recorded.
        Recording = "recording",
        /// Records are to leave the exchange.
        Export = "export",
    }
}

worded! {
    /// The kinds of [`Source`].
    pub enum SourceKind {
        /// A trunk.
        Trunk = "trunk",
        /// A user of ours.
        User = "user",
        /// Somebody who has not shown who they are.
        Anonymous = "anonymous",
        /// The exchange itself.
        Exchange = "exchange",
    }
}

worded! {
    /// The kinds of [`Authentication`].
    pub enum AuthenticationKind {
        /// None.
        Nothing = "nothing",
        /// The address of a trunk.
        Trunk = "trunk",
        /// Digest with MD5.
        DigestMd5 = "digest-md5",
        /// Digest with SHA-256.
        DigestSha256 = "digest-sha256",
        /// A certificate.
        Certificate = "certificate",
        /// A signature.
        Signature = "signature",
    }
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// From the trunk of this name.
    Trunk(&'a str),
    /// From a user of ours.
    User,
    /// From somebody who has not shown who they are. A registry entry can speak against them, never for them.
    Anonymous,
    /// From the exchange itself: what it begins needs no authentication.
    Exchange,
}

/// How whoever asks has shown who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// Not at all.
    Nothing,
    /// By an address that a trunk is known by.
    Trunk,
    /// By digest with MD5.
    DigestMd5,
    /// By digest with SHA-256.
    DigestSha256,
    /// By a certificate.
    Certificate,
    /// By a signature, of which this is known.
    Signature(SignatureFacts),
}

/// What has been found out about a signature. The cryptography is done elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureFacts {
    /// It names the key that is registered for the identity.
    pub key_matches: bool,
    /// Seconds since it was made; negative when the signer's clock is ahead of ours.
    pub age_s: i64,
    /// Its nonce was seen before, or could not be remembered: see [`NonceWindow`](crate::NonceWindow).
    pub nonce_seen: bool,
    /// It is right, for this key and what was signed.
    pub verifies: bool,
}

/// What is known of an escalation, and of no other request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EscalationFacts {
    /// How whoever asks stands among the guardians; `None`: they are none. Whatever the policy's own registry says, who is
    /// suspended or revoked here is.
    pub standing: Option<Status>,
    /// Someone is in danger now, so that more may be spent on it.
    pub emergency: bool,
    /// What of its text is about persons.
    pub personal: PersonalData,
    /// What its call takes.
    pub bandwidth: Bandwidth,
    /// Members of the room that it is for,
    pub members: u32,
    /// and how many there may be.
    pub members_max: u32,
    /// Who could be rung.
    pub experts: Specialists,
}

/// What of a text is about persons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PersonalData {
    /// So much was found and blotted out.
    pub redacted: u32,
    /// Whoever wrote it says that some is in it which is to stay.
    pub declared: bool,
    /// They say that it has to be so in this emergency.
    pub overridden: bool,
}

/// Bandwidth, in kilobits a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// That of the call that is asked for.
    pub asked_kbps: u32,
    /// That of the calls that the identity has.
    pub used_kbps: u32,
}

/// Experts, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Specialists {
    /// Those who know about the hazard.
    pub knowing: u32,
    /// Of those, who is approved and whom whoever asks may have rung.
    pub allowed: u32,
    /// Of those, who was not rung as often of late as they may be.
    pub rested: u32,
    /// What stood in the way of the first of those who are not allowed.
    pub obstacle: Option<Obstacle>,
}

worded! {
    /// Why an expert who knows about a hazard is not rung for it.
    pub enum Obstacle {
        /// They are suspended, revoked, or have not proved that their entry is theirs.
        NotApproved = "not-approved",
        /// They are of another organisation than whoever asks.
        OtherOrganisation = "other-organisation",
        /// Whoever asks comes from a network that is not theirs.
        OtherNetwork = "other-network",
    }
}

/// The facts of one request. Counters come in as facts: the guard keeps none.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is asked for.
    pub action: Action,
    /// Where it comes from.
    pub source: Source<'a>,
    /// Who asks: `user@domain`, or the name of the trunk.
    pub identity: &'a str,
    /// The address it came from.
    pub address: IpAddr,
    /// What it came over.
    pub transport: Transport,
    /// The country of the address (ISO 3166-1, two capitals), where it is known.
    pub country: Option<[u8; 2]>,
    /// The organisation of who asks; where it is empty, that of the registry holds.
    pub organisation: &'a str,
    /// How they have shown who they are.
    pub authenticated: Authentication,
    /// Whom or what it is for: the dialled `user@domain` or number.
    pub subject: &'a str,
    /// The codecs offered, audio and video, in their order; empty when none was offered that the exchange knows.
    pub codecs: &'a [Codec],
    /// The names of what else was offered and the exchange does not know: no list of codecs can name it, so none allows it.
    pub other_codecs: &'a [Box<str>],
    /// How suspicious the source is, from 0 to 1000.
    pub score_milli: u32,
    /// Requests of this identity that were approved within the window of [`Policy::rate_for`](crate::Policy::rate_for).
    pub recent: u32,
    /// Calls of this identity at the moment.
    pub calls: u32,
    /// The hour of the day, 0 to 23, in UTC.
    pub hour_utc: u8,
    /// The day of the week in UTC, from 0 for Monday to 6 for Sunday.
    pub weekday: u8,
    /// What is known of an escalation; `None` for every other action.
    pub escalation: Option<EscalationFacts>,
}

/// One value for each action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerAction<T>(pub [T; Action::ALL.len()]);

impl Source<'_> {
    /// Its kind.
    pub fn kind(&self) -> SourceKind {
        match self {
            Self::Trunk(_) => SourceKind::Trunk,
            Self::User => SourceKind::User,
            Self::Anonymous => SourceKind::Anonymous,
            Self::Exchange => SourceKind::Exchange,
        }
    }

    /// The class of whoever comes from there and stands in no registry.
    pub(crate) fn class(&self) -> &'static str {
        self.kind().word()
    }
}

impl Authentication {
    /// Its kind.
    pub fn kind(&self) -> AuthenticationKind {
        match self {
            Self::Nothing => AuthenticationKind::Nothing,
            Self::Trunk => AuthenticationKind::Trunk,
            Self::DigestMd5 => AuthenticationKind::DigestMd5,
            Self::DigestSha256 => AuthenticationKind::DigestSha256,
            Self::Certificate => AuthenticationKind::Certificate,
            Self::Signature(_) => AuthenticationKind::Signature,
        }
    }
}

impl<T: Clone> PerAction<T> {
    /// The same for every action.
    pub fn all(value: &T) -> Self {
        Self(std::array::from_fn(|_| value.clone()))
    }
}

impl<T> Index<Action> for PerAction<T> {
    type Output = T;
    fn index(&self, action: Action) -> &T {
        &self.0[action as usize]
    }
}

impl<T> IndexMut<Action> for PerAction<T> {
    fn index_mut(&mut self, action: Action) -> &mut T {
        &mut self.0[action as usize]
    }
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trunk(name) => write!(f, "trunk {name}"),
            other => f.write_str(other.kind().word()),
        }
    }
}
