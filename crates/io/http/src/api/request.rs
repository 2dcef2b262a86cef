//! What can be asked.

use super::routes::Route;
use super::{Role, routes};
use std::net::IpAddr;
use sx_types::Consent;

/// What is to become of the recording of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingOrder {
    /// Record it from now on, on this ground.
    Start(Consent),
    /// End the recording.
    Stop,
    /// Leave out what is said.
    Pause,
    /// Go on.
    Resume,
}

/// Which party of a call is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartyName {
    /// The one that the call comes from.
    Caller,
    /// The one that it goes to.
    Called,
    /// Both of them.
    Both,
}

/// What is to become of a party of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartyOrder {
    /// It hears music, and is heard by nobody.
    Hold,
    /// It is back.
    Resume,
    /// Nobody hears what it says.
    Mute,
    /// The other one does again.
    Unmute,
    /// It hears this sound once.
    Play(String),
    /// It hears no sound any more.
    Stop,
    /// It is connected with this address instead.
    Transfer(String),
    /// It is in this room from now on.
    Move(String),
}

/// What is to become of a member of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberOrder {
    /// Nobody hears what it says.
    Mute,
    /// Everybody does again.
    Unmute,
    /// It is in this room from now on.
    Move(String),
}

/// Which events are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventsWanted {
    /// Those behind this one, the first of them too when they have been; `None`: those that happen from now on.
    pub after: Option<u64>,
    /// Of these kinds; none: of all.
    pub kinds: Vec<String>,
}

/// A file that will be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUpload {
    /// Its bytes, at least one.
    pub length: u64,
    /// Its name.
    pub name: String,
    /// Its type.
    pub media_type: String,
    /// Its SHA-256, where the client says it.
    pub sha256: Option<[u8; 32]>,
}

/// A part of a file that is uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// So many bytes come before it.
    pub offset: u64,
    /// It.
    pub bytes: Vec<u8>,
    /// Its SHA-256, where the client says it.
    pub sha256: Option<[u8; 32]>,
}

/// What a guardian says to a question, and has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// Who.
    pub guardian: String,
    /// `approve`, `reject`, `abstain` or `veto`.
    pub choice: String,
    /// When they have signed it, as RFC 3339 has times.
    pub timestamp: String,
    /// Ed25519 over the canonical form of all of it and the vote's id, in hexadecimal digits.
    pub signature: String,
}

/// A request whose fields are all in order.
#[derive(Clone, Debug, PartialEq)]
pub enum ApiRequest {
    /// The calls there are.
    Calls {
        /// At most so many.
        limit: u32,
    },
    /// One call.
    Call {
        /// Its id.
        id: String,
    },
    /// End a call.
    Hangup {
        /// Its id.
        id: String,
        /// A cause of Q.850, 1 to 127.
        cause: u8,
    },
    /// Call somebody, and have them talk to somebody else.
    Originate {
        /// Who is called first: a user, a number, an address or its URI.
        from: String,
        /// Who is called when the first has answered.
        to: String,
    },
    /// Change a party of a call.
    ChangeParty {
        /// The call's id.
        id: String,
        /// Which party.
        party: PartyName,
        /// How.
        change: PartyOrder,
    },
    /// Change the recording of a call.
    Record {
        /// Its id.
        id: String,
        /// How.
        change: RecordingOrder,
    },
    /// A call as a value that another exchange can go on with.
    ExportCall {
        /// Its id.
        id: String,
        /// Forget it here: the other one has it from now on.
        release: bool,
    },
    /// Go on with a call of another exchange.
    ImportCall {
        /// The worker that had it there, and has it here.
        worker: u16,
        /// The value.
        snapshot: serde_json::Value,
    },
    /// The trunks and how they are.
    Trunks,
    /// Which rooms are there, and how many members has each?
    Rooms,
    /// Have a room call somebody, who is a member when they answer.
    Invite {
        /// The room's name.
        room: String,
        /// Whom it calls: a user, a number, an address or its URI.
        to: String,
    },
    /// Who is in a room.
    Members {
        /// Its name.
        room: String,
    },
    /// Change a member of a room.
    ChangeMember {
        /// The room's name.
        room: String,
        /// The member's call.
        id: String,
        /// How.
        change: MemberOrder,
    },
    /// Hang a member of a room up.
    RemoveMember {
        /// The room's name.
        room: String,
        /// The member's call.
        id: String,
    },
    /// Let nobody come into a room by themselves.
    LockRoom {
        /// Its name.
        room: String,
    },
    /// Let people come in again.
    UnlockRoom {
        /// Its name.
        room: String,
    },
    /// The escalations there are, the newest first.
    Escalations {
        /// At most so many.
        limit: u32,
    },
    /// One escalation.
    Escalation {
        /// Its id.
        id: String,
    },
    /// Decide about the message of an agent, and have experts rung for it.
    Escalate {
        /// The message, as it came.
        message: Vec<u8>,
        /// Where it came from.
        from: IpAddr,
    },
    /// End an escalation, and with it the calls to experts.
    EndEscalation {
        /// Its id.
        id: String,
    },
    /// A file will be given with an escalation.
    AddEvidence {
        /// The escalation's id.
        id: String,
        /// What it is.
        upload: NewUpload,
    },
    /// The evidence of an escalation.
    EvidenceOf {
        /// The escalation's id.
        id: String,
    },
    /// A piece of it, and how much of it has come.
    EvidencePiece {
        /// The escalation's id.
        id: String,
        /// The piece's.
        piece: String,
    },
    /// The next part of a piece.
    UploadEvidence {
        /// The escalation's id.
        id: String,
        /// The piece's.
        piece: String,
        /// The part.
        chunk: Chunk,
    },
    /// Away with a piece.
    RemoveEvidence {
        /// The escalation's id.
        id: String,
        /// The piece's.
        piece: String,
    },
    /// Hand a piece out.
    EvidenceContent {
        /// The escalation's id.
        id: String,
        /// The piece's.
        piece: String,
    },
    /// Whoever has taken a piece says what they have got, for a receipt.
    AcknowledgeEvidence {
        /// The escalation's id.
        id: String,
        /// The piece's.
        piece: String,
        /// The SHA-256 of what they have got.
        sha256: [u8; 32],
    },
    /// Make a link that opens the evidence of an escalation without a token.
    LinkEvidence {
        /// The escalation's id.
        id: String,
        /// For whom.
        to: String,
        /// Good for so long; as long as usual where nobody says.
        seconds: Option<u64>,
    },
    /// Ask the council.
    OpenVote {
        /// The escalation that it is about.
        id: String,
        /// What is asked.
        question: String,
        /// For how long ballots are taken.
        seconds: u64,
    },
    /// The votes there are, the newest first.
    Votes {
        /// At most so many.
        limit: u32,
    },
    /// One vote and its ballots.
    Vote {
        /// Its id.
        id: String,
    },
    /// Hand in the ballot of a guardian.
    CastBallot {
        /// The vote.
        id: String,
        /// The ballot.
        ballot: Ballot,
    },
    /// The experts who can be rung.
    Experts {
        /// At most so many.
        limit: u32,
    },
    /// The guardians who may escalate.
    Guardians {
        /// At most so many.
        limit: u32,
    },
    /// The JSON Schema of a shape of messages.
    Schema {
        /// What it is called.
        name: String,
    },
    /// Events, as they happen.
    Events(EventsWanted),
    /// The NDI sources on the local network.
    Ndi,
    /// The sources that traffic came from.
    Sources {
        /// Only those that are banned.
        banned_only: bool,
        /// At most so many.
        limit: u32,
    },
    /// One source.
    Source {
        /// Its address.
        address: IpAddr,
    },
    /// Take nothing from a source for a while. Said twice it is one ban, with the later end and reason.
    Ban {
        /// Its address.
        address: IpAddr,
        /// For so long.
        seconds: u64,
        /// Why, for those who read it later.
        reason: String,
    },
    /// Take traffic from a source again.
    Unban {
        /// Its address.
        address: IpAddr,
    },
    /// The policy in force.
    Policy,
    /// What the policy would decide, and why.
    PolicyExplain {
        /// What it is to be told, an object.
        facts: serde_json::Value,
    },
    /// Read the configuration again.
    ReloadConfig,
    /// Read the policy again.
    ReloadPolicy,
    /// Take no new calls.
    Drain,
    /// Take new calls again.
    Undrain,
    /// Who is registered.
    Registrations {
        /// Only of this user.
        user: Option<String>,
        /// At most so many.
        limit: u32,
    },
    /// Remove the bindings of an address of record.
    Unregister {
        /// The address of record.
        aor: String,
    },
    /// How the witness is.
    WitnessStatus,
    /// What the witness has of one trace.
    WitnessTrace {
        /// Its id.
        trace_id: String,
        /// At most so many records.
        limit: u32,
    },
    /// The tokens there are, without their secrets.
    Tokens,
    /// Make a token.
    CreateToken {
        /// Whose or what for.
        name: String,
        /// What it may do.
        role: Role,
        /// Valid for so long; `None` until it is revoked.
        expires_s: Option<u64>,
    },
    /// Take a token back.
    RevokeToken {
        /// The public name of the token.
        id: String,
    },
    /// Which version this is.
    Version,
}

impl ApiRequest {
    /// Where it is asked.
    pub const fn route(&self) -> Route {
        match self {
            Self::Calls { .. } => Route::Calls,
            Self::Call { .. } => Route::Call,
            Self::Hangup { .. } => Route::Hangup,
            Self::Originate { .. } => Route::Originate,
            Self::ChangeParty { .. } => Route::ChangeParty,
            Self::ExportCall { .. } => Route::ExportCall,
            Self::Record { .. } => Route::Record,
            Self::ImportCall { .. } => Route::ImportCall,
            Self::Trunks => Route::Trunks,
            Self::Rooms => Route::Rooms,
            Self::Invite { .. } => Route::Invite,
            Self::Members { .. } => Route::Members,
            Self::ChangeMember { .. } => Route::ChangeMember,
            Self::RemoveMember { .. } => Route::RemoveMember,
            Self::LockRoom { .. } => Route::LockRoom,
            Self::UnlockRoom { .. } => Route::UnlockRoom,
            Self::Escalations { .. } => Route::Escalations,
            Self::Escalation { .. } => Route::Escalation,
            Self::Escalate { .. } => Route::Escalate,
            Self::EndEscalation { .. } => Route::EndEscalation,
            Self::AddEvidence { .. } => Route::AddEvidence,
            Self::EvidenceOf { .. } => Route::EvidenceOf,
            Self::EvidencePiece { .. } => Route::EvidencePiece,
            Self::UploadEvidence { .. } => Route::UploadEvidence,
            Self::RemoveEvidence { .. } => Route::RemoveEvidence,
            Self::EvidenceContent { .. } => Route::EvidenceContent,
            Self::AcknowledgeEvidence { .. } => Route::AcknowledgeEvidence,
            Self::LinkEvidence { .. } => Route::LinkEvidence,
            Self::OpenVote { .. } => Route::OpenVote,
            Self::Votes { .. } => Route::Votes,
            Self::Vote { .. } => Route::Vote,
            Self::CastBallot { .. } => Route::CastBallot,
            Self::Experts { .. } => Route::Experts,
            Self::Guardians { .. } => Route::Guardians,
            Self::Schema { .. } => Route::Schema,
            Self::Events(_) => Route::Events,
            Self::Ndi => Route::Ndi,
            Self::Sources { .. } => Route::Sources,
            Self::Source { .. } => Route::Source,
            Self::Ban { .. } => Route::Ban,
            Self::Unban { .. } => Route::Unban,
            Self::Policy => Route::Policy,
            Self::PolicyExplain { .. } => Route::PolicyExplain,
            Self::ReloadConfig => Route::ReloadConfig,
            Self::ReloadPolicy => Route::ReloadPolicy,
            Self::Drain => Route::Drain,
            Self::Undrain => Route::Undrain,
            Self::Registrations { .. } => Route::Registrations,
            Self::Unregister { .. } => Route::Unregister,
            Self::WitnessStatus => Route::WitnessStatus,
            Self::WitnessTrace { .. } => Route::WitnessTrace,
            Self::Tokens => Route::Tokens,
            Self::CreateToken { .. } => Route::CreateToken,
            Self::RevokeToken { .. } => Route::RevokeToken,
            Self::Version => Route::Version,
        }
    }

    /// The lowest role that may ask it.
    pub fn role(&self) -> Role {
        routes::row(self.route()).role
    }
}
