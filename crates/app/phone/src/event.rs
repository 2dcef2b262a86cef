//! What a telephone tells: its events, and the messages that went by.

use bytes::Bytes;
use std::net::SocketAddr;
use sx_engine::Time;
use sx_types::{Codec, Transport};

/// Something has happened to a telephone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhoneEvent {
    /// The registrar keeps our address, for so many seconds; told at each refresh too.
    Registered {
        /// Seconds until it forgets us.
        expires: u32,
    },
    /// The registrar does not keep our address.
    RegistrationFailed {
        /// The final status; 408 for no answer, 503 for no way to send.
        status: u16,
        /// Its reason phrase.
        reason: String,
        /// The text of its Warning header, or why nothing could be sent.
        warning: Option<String>,
    },
    /// The registrar has forgotten us, because we asked it to.
    Unregistered,
    /// Somebody calls.
    Incoming {
        /// The calling party: the value of From without its tag.
        from: String,
        /// Whom they call: the value of To.
        to: String,
    },
    /// A provisional response to our call: 180 is ringing, 183 is progress.
    Progress {
        /// 101 to 199.
        status: u16,
    },
    /// There is something to hear before the answer.
    EarlyMedia,
    /// The call was answered, by the other party or by us.
    Answered {
        /// What is sent.
        codec: Codec,
    },
    /// Both parties know that the call was answered.
    Established,
    /// The other party has pressed a key.
    Digit(char),
    /// The call is on hold.
    Held {
        /// The other party holds us; else we hold it.
        by_peer: bool,
    },
    /// The call is on hold no longer.
    Resumed {
        /// The other party let us go; else we did.
        by_peer: bool,
    },
    /// The other party did not accept a change of the call (hold, resume): all is as before.
    ChangeRefused {
        /// With this status.
        status: u16,
    },
    /// How our transfer goes: 100 is trying, 180 ringing, 200 done, others failed.
    TransferProgress(u16),
    /// A call is over that was answered, or that came in, or that we gave up.
    Ended {
        /// The final status; 0 for a call that was hung up.
        status: u16,
        /// The text of the Reason header, the name of the cause, or the reason phrase; may be empty.
        reason: String,
        /// The other party ended it.
        by_peer: bool,
    },
    /// Our call was not answered.
    Refused {
        /// The final status; 408 for no answer, 503 for no way to send.
        status: u16,
        /// Its reason phrase.
        reason: String,
        /// The text of its Warning header, or why nothing could be sent.
        warning: Option<String>,
    },
}

/// A SIP message that was sent or received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceEntry {
    /// When, on the clock of this process.
    pub time: Time,
    /// We sent it.
    pub sent: bool,
    /// How it travelled.
    pub transport: Transport,
    /// The other end.
    pub remote: SocketAddr,
    /// Its first line: `INVITE sip:1002@example.com SIP/2.0`.
    pub first_line: String,
    /// All of it.
    pub bytes: Bytes,
}

/// What the packets of the present or last call were like, as seen from here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MediaStats {
    /// RTP packets sent.
    pub packets_sent: u64,
    /// RTP packets received.
    pub packets_received: u64,
    /// RTP packets lost on the way here; negative when duplicates outnumber losses.
    pub packets_lost: i64,
    /// Interarrival jitter in microseconds, no finer than the telephone's own 5 ms of polling.
    pub jitter_us: u64,
}

/// How a key is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtmfMode {
    /// As a telephone event (RFC 4733), or as tones where the other party takes no telephone events.
    Rtp,
    /// In an INFO (`application/dtmf-relay`).
    Info,
}

impl PhoneEvent {
    /// Is the call over with this?
    pub fn is_end(&self) -> bool {
        matches!(self, Self::Ended { .. } | Self::Refused { .. })
    }
}
