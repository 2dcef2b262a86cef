//! What a client asks.

use crate::control::Control;
use crate::options::Options;
use crate::value::{Dictionary, Value, is_same};

/// A request.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// What is to be done.
    pub command: Command,
    /// The call, by its Call-ID.
    pub call_id: Option<&'a [u8]>,
    /// The tag of From of the SIP message.
    pub from_tag: Option<&'a [u8]>,
    /// The tag of its To.
    pub to_tag: Option<&'a [u8]>,
    /// The branch of its Via, which tells the branches of a forked call from each other.
    pub via_branch: Option<&'a [u8]>,
    /// The description.
    pub sdp: Option<&'a [u8]>,
    /// How an offer, an answer or a deletion is to be done.
    pub options: Options<'a>,
    /// What is to be done with the media of a call that stands.
    pub control: Control<'a>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Are you there?
    Ping,
    /// A description is to be passed on that somebody offers.
    Offer,
    /// A description is to be passed on that answers.
    Answer,
    /// A call has ended, or a branch of it.
    Delete,
    /// What is known of a call?
    Query,
    /// Which calls are there?
    List,
    /// What was counted?
    Statistics,
    /// A call is to be recorded, or its recording is to go on.
    StartRecording,
    /// It is not to be recorded any longer.
    StopRecording,
    /// It is not to be recorded for now.
    PauseRecording,
    /// Digits of a party are to be held back.
    BlockDtmf,
    /// They are to pass again.
    UnblockDtmf,
    /// Media of a party is to be held back.
    BlockMedia,
    /// It is to pass again.
    UnblockMedia,
    /// Media of a party is to be made silence.
    SilenceMedia,
    /// It is to be heard again.
    UnsilenceMedia,
    /// Media is to be passed to the recorder, or no longer.
    Forwarding,
    /// Something is to be played to a party.
    PlayMedia,
    /// Nothing is to be played to it any longer.
    StopMedia,
    /// A digit is to be sent in the name of a party.
    PlayDtmf,
    /// Somebody wants to bring media without a call, or to listen to one.
    Subscription,
}

/// Why a dictionary is no request. The client's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It does not say what is to be done.
    #[error("Dictionary contains no key \"command\"")]
    NoCommand,
    /// Nobody knows what that is.
    #[error("Unrecognized command")]
    UnknownCommand,
}

const COMMANDS: [(&str, Command); 28] = [
    ("ping", Command::Ping),
    ("offer", Command::Offer),
    ("answer", Command::Answer),
    ("delete", Command::Delete),
    ("query", Command::Query),
    ("list", Command::List),
    ("statistics", Command::Statistics),
    ("start-recording", Command::StartRecording),
    ("stop-recording", Command::StopRecording),
    ("pause-recording", Command::PauseRecording),
    ("block-DTMF", Command::BlockDtmf),
    ("unblock-DTMF", Command::UnblockDtmf),
    ("block-media", Command::BlockMedia),
    ("unblock-media", Command::UnblockMedia),
    ("silence-media", Command::SilenceMedia),
    ("unsilence-media", Command::UnsilenceMedia),
    ("start-forwarding", Command::Forwarding),
    ("stop-forwarding", Command::Forwarding),
    ("play-media", Command::PlayMedia),
    ("stop-media", Command::StopMedia),
    ("play-DTMF", Command::PlayDtmf),
    ("publish", Command::Subscription),
    ("subscribe-request", Command::Subscription),
    ("subscribe-answer", Command::Subscription),
    ("unsubscribe", Command::Subscription),
    ("transform", Command::Subscription),
    ("connect", Command::Subscription),
    ("cli", Command::Subscription),
];

impl<'a> Request<'a> {
    /// Reads what a message says. Keys and flags that nobody knows are passed over, as clients expect.
    ///
    /// # Errors
    /// A [`RequestError`] when it does not say what is to be done.
    pub fn read(dictionary: &'a Dictionary<'_>) -> Result<Self, RequestError> {
        let text = |key: &str| dictionary.get(key).and_then(Value::as_bytes);
        let named = text("command").ok_or(RequestError::NoCommand)?;
        let command = COMMANDS.iter().find(|(name, _)| is_same(named, name));
        let (_, command) = command.ok_or(RequestError::UnknownCommand)?;
        Ok(Self {
            command: *command,
            call_id: text("call-id"),
            from_tag: text("from-tag"),
            to_tag: text("to-tag"),
            via_branch: text("via-branch"),
            sdp: text("sdp"),
            options: Options::read(dictionary),
            control: Control::read(dictionary),
        })
    }
}
