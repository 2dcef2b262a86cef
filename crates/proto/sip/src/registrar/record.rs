//! What is kept of a user's bindings beyond the life of the process.

use super::binding::{Binding, Parts, Reach};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use sx_types::{Flow, LinkId, Transport};

/// The bindings of one user. One binding is about 130 bytes of JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Record(pub Vec<BindingRecord>);

/// One binding. The names are short because they are written as often as there are bindings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingRecord {
    /// The contact's URI.
    #[serde(rename = "u")]
    pub uri: Box<str>,
    /// The path's elements with commas between them; empty for none.
    #[serde(rename = "p", default, skip_serializing_if = "str::is_empty")]
    pub path: Box<str>,
    /// The instance id; empty for none.
    #[serde(rename = "i", default, skip_serializing_if = "str::is_empty")]
    pub instance: Box<str>,
    /// The flow's number among those of the instance, of an outbound registration; zero for another.
    #[serde(rename = "r", default, skip_serializing_if = "is_zero")]
    pub reg_id: u32,
    /// The priority in thousandths.
    #[serde(rename = "q", default = "q_default", skip_serializing_if = "is_q_default")]
    pub q: u16,
    /// Seconds since the Unix epoch from which on it is no more.
    #[serde(rename = "e")]
    pub expires: u32,
    /// The keyed hash of the Call-ID.
    #[serde(rename = "c")]
    pub call: u64,
    /// The CSeq number.
    #[serde(rename = "s")]
    pub cseq: u32,
    /// Where datagrams have to go when that is not where the URI leads.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<SocketAddr>,
}

/// What has changed and is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The user has these bindings now, and no others.
    Put {
        /// The address of record.
        aor: Box<str>,
        /// The bindings.
        record: Record,
    },
    /// The user has no bindings, or none that outlive the process.
    Delete {
        /// The address of record.
        aor: Box<str>,
    },
}

/// The priority of a contact that names none.
pub(super) const Q_DEFAULT: u16 = 1_000;

fn q_default() -> u16 {
    Q_DEFAULT
}

fn is_q_default(q: &u16) -> bool {
    *q == Q_DEFAULT
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl BindingRecord {
    /// `None` for a binding that lives no longer than its connection.
    pub(super) fn of(binding: &Binding) -> Option<Self> {
        let remote = match binding.reach {
            Reach::Flow if binding.connection().is_some() => return None,
            Reach::Flow | Reach::Remote => Some(binding.flow().remote),
            Reach::Uri | Reach::Connection => None,
        };
        Some(Self {
            uri: binding.uri().into(),
            path: binding.path().into(),
            instance: binding.instance().into(),
            reg_id: binding.reg_id,
            q: binding.q,
            expires: binding.expires,
            call: binding.call,
            cseq: binding.cseq,
            remote,
        })
    }

    /// `None` when the texts are such as no registrar accepts: too long, or with line ends in them.
    pub(super) fn restore(&self, updated: u32) -> Option<Binding> {
        let texts = [&self.uri, &self.path, &self.instance];
        let length: usize = texts.iter().map(|text| text.len()).sum();
        if length > usize::from(u16::MAX) || texts.iter().any(|text| text.bytes().any(|b| b.is_ascii_control())) {
            return None;
        }
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let flow =
            Flow { worker: 0, link: LinkId(0), transport: Transport::Udp, remote: self.remote.unwrap_or(nowhere) };
        Some(Binding::new(&Parts {
            uri: &self.uri,
            path: &self.path,
            instance: &self.instance,
            reg_id: self.reg_id,
            q: self.q,
            call: self.call,
            cseq: self.cseq,
            expires: self.expires,
            updated,
            reach: if self.remote.is_some() { Reach::Remote } else { Reach::Uri },
            flow,
        }))
    }
}
