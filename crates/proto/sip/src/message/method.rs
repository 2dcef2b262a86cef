//! Request methods.

use std::fmt;

/// The method of a request. Methods are case-sensitive; one the exchange does not know is [`Method::Other`], whose
/// text stands in the message.
//= https://www.rfc-editor.org/rfc/rfc3261#section-7.1
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is the method of that name")]
pub enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Register,
    Options,
    Prack,
    Update,
    Info,
    Message,
    Refer,
    Notify,
    Subscribe,
    Publish,
    Other,
}

const NAMES: [(&str, Method); 14] = [
    ("INVITE", Method::Invite),
    ("ACK", Method::Ack),
    ("BYE", Method::Bye),
    ("CANCEL", Method::Cancel),
    ("REGISTER", Method::Register),
    ("OPTIONS", Method::Options),
    ("PRACK", Method::Prack),
    ("UPDATE", Method::Update),
    ("INFO", Method::Info),
    ("MESSAGE", Method::Message),
    ("REFER", Method::Refer),
    ("NOTIFY", Method::Notify),
    ("SUBSCRIBE", Method::Subscribe),
    ("PUBLISH", Method::Publish),
];

impl Method {
    /// The method with this name.
    pub fn from_bytes(name: &[u8]) -> Self {
        NAMES.iter().find(|(text, _)| text.as_bytes() == name).map_or(Self::Other, |(_, method)| *method)
    }

    /// Its name; empty for a method the exchange does not know.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, method)| *method == self).map_or("", |(text, _)| text)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
