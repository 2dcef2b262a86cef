//! One handshake with one peer.

use crate::local::{Local, is_known};
use dimpl::{Dtls, KeyingMaterial, SrtpProfile};
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};
use sx_engine::Time;
use sx_rtp::srtp::{MasterKey, Suite};
use sx_types::{DtlsRole, Fingerprint};
use thiserror::Error;

/// So long a peer has for its handshake, from when we are ready for it.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(20);
/// So often a handshake that cannot go on is begun anew: what stops it is not authenticated yet, so that anybody may have sent
/// it.
pub const RESTARTS_MAX: u8 = 3;
/// So long it still has after an alert in the clear. Anybody may have sent it, so that it ends nothing; but when it is true
/// nothing comes of waiting.
pub const AFTER_ALERT_MAX: Duration = Duration::from_secs(5);
/// So many datagrams are looked at in a second.
pub const DATAGRAMS_MAX: u16 = 64;

/// The same moment on two clocks. The library speaks of instants, and only the driver may read a clock.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    /// The moment.
    pub time: Time,
    /// The same.
    pub instant: Instant,
}

/// A handshake and what becomes of it.
pub struct Association {
    local: Local,
    role: DtlsRole,
    peer: Vec<Fingerprint>,
    anchor: Anchor,
    state: State,
    restarts: u8,
    deadline: Time,
    /// An alert in the clear has come.
    alerted: bool,
    /// Datagrams looked at in this second, and when it began.
    looked_at: (Time, u16),
    out: VecDeque<Output>,
}

enum State {
    Shaking {
        dtls: Box<Dtls>,
        wakes: Option<Time>,
        shown: Shown,
    },
    /// The last flight may have been lost; it is sent again whenever the peer asks for it.
    Agreed {
        dtls: Box<Dtls>,
        wakes: Option<Time>,
    },
    Failed,
}

/// What has been seen of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Nothing,
    /// Its certificate is the one that was said.
    Certificate,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this to the peer.
    Datagram(Vec<u8>),
    /// The handshake is over, and these are the keys. Told once.
    Agreed(Box<Keys>),
    /// There will be no keys. Told once, and nothing after it.
    Failed(Fault),
}

/// What a handshake yields. `Debug` shows no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// How packets are protected, both ways.
    pub suite: Suite,
    /// What we protect packets with.
    pub ours: MasterKey,
    /// What the peer does.
    pub theirs: MasterKey,
}

/// Why there are no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Fault {
    /// The peer's certificate is not the one that its description speaks of: it is somebody else, or it is wrong about itself.
    #[error("the peer's certificate is not the one that its description speaks of")]
    Certificate,
    /// It and we have no protection of SRTP in common, or it wants none.
    #[error("the peer agrees to no protection of SRTP")]
    Profile,
    /// It has broken the handshake off, or what it says makes no handshake: it and we have no version, cipher or kind of certificate in common.
    #[error("the peer breaks the handshake off, or cannot go on with it")]
    BrokenOff,
    /// It was not over in time.
    #[error("the peer has not finished the handshake in time")]
    Late,
}

/// What has become of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It was looked at; what it said may be nothing.
    Taken,
    /// More come than are looked at, or there is nothing left to say.
    Ignored,
}

impl Association {
    /// A handshake with the peer whose certificate has one of these fingerprints. A client begins at once.
    pub fn new(local: &Local, role: DtlsRole, peer: Vec<Fingerprint>, anchor: Anchor, now: Time) -> Self {
        let mut association = Self {
            local: local.clone(),
            role,
            peer,
            anchor,
            state: State::Failed,
            restarts: 0,
            deadline: now + HANDSHAKE_MAX,
            alerted: false,
            looked_at: (now, 0),
            out: VecDeque::new(),
        };
        association.begin(now);
        association
    }

    /// A datagram of the peer, or of somebody who may be the peer.
    pub fn handle_datagram(&mut self, now: Time, datagram: &[u8]) -> Disposition {
        if now.since(self.looked_at.0) >= Duration::from_secs(1) {
            self.looked_at = (now, 0);
        }
        if self.looked_at.1 >= DATAGRAMS_MAX {
            return Disposition::Ignored;
        }
        self.looked_at.1 += 1;
        if self.is_shaking() && has_alert_in_the_clear(datagram) {
            self.alerted = true;
            self.deadline = self.deadline.min(now + AFTER_ALERT_MAX);
            return Disposition::Taken;
        }
        let instant = self.instant(now);
        let (State::Shaking { dtls, .. } | State::Agreed { dtls, .. }) = &mut self.state else {
            return Disposition::Ignored;
        };
        let done = dtls.handle_timeout(instant).and_then(|()| dtls.handle_packet(datagram));
        self.went(now, done.is_ok());
        Disposition::Taken
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        let instant = self.instant(now);
        if matches!(self.state, State::Shaking { .. }) && now >= self.deadline {
            self.fail(if self.alerted { Fault::BrokenOff } else { Fault::Late });
        }
        let (State::Shaking { dtls, .. } | State::Agreed { dtls, .. }) = &mut self.state else { return };
        let done = dtls.handle_timeout(instant);
        self.went(now, done.is_ok());
    }

    /// What is to be done, in this order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Is there anything to be done?
    pub fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    /// When there is something to do at the latest.
    pub fn poll_timeout(&self) -> Option<Time> {
        match &self.state {
            State::Shaking { wakes, .. } => Some(wakes.map_or(self.deadline, |at| at.min(self.deadline))),
            State::Agreed { wakes, .. } => *wakes,
            State::Failed => None,
        }
    }

    /// Is the handshake still going on?
    pub fn is_shaking(&self) -> bool {
        matches!(self.state, State::Shaking { .. })
    }

    fn begin(&mut self, now: Time) {
        let instant = self.instant(now);
        let mut dtls = Dtls::new_12(self.local.config.clone(), self.local.certificate.inner(), instant);
        dtls.set_active(self.role == DtlsRole::Client);
        let done = dtls.handle_timeout(instant);
        self.state = State::Shaking { dtls: Box::new(dtls), wakes: None, shown: Shown::Nothing };
        self.went(now, done.is_ok());
    }

    /// The library has done something: all that came of it. When it cannot go on it never will.
    fn went(&mut self, now: Time, goes_on: bool) {
        self.drain();
        if goes_on {
            return;
        }
        match self.state {
            // The keys stand, whatever becomes of the connection.
            State::Agreed { .. } => self.state = State::Failed,
            State::Shaking { .. } if self.restarts < RESTARTS_MAX => {
                self.restarts += 1;
                self.begin(now);
            }
            State::Shaking { .. } => self.fail(Fault::BrokenOff),
            State::Failed => {}
        }
    }

    fn drain(&mut self) {
        let mut buffer = vec![0; DATAGRAM_BYTES];
        let mut connected = false;
        loop {
            let (State::Shaking { dtls, .. } | State::Agreed { dtls, .. }) = &mut self.state else { return };
            match dtls.poll_output(&mut buffer) {
                dimpl::Output::Packet(packet) => self.out.push_back(Output::Datagram(packet.to_vec())),
                dimpl::Output::BufferTooSmall { needed } if needed <= CERTIFICATE_BYTES_MAX => buffer.resize(needed, 0),
                dimpl::Output::BufferTooSmall { .. } => return self.fail(Fault::BrokenOff),
                // The keys come before it when there are any.
                dimpl::Output::Timeout(_) if connected && self.is_shaking() => return self.fail(Fault::Profile),
                dimpl::Output::Timeout(at) => return self.wakes_at(at),
                dimpl::Output::PeerCert(certificate) => {
                    if !is_known(certificate, &self.peer) {
                        return self.fail(Fault::Certificate);
                    }
                    if let State::Shaking { shown, .. } = &mut self.state {
                        *shown = Shown::Certificate;
                    }
                }
                dimpl::Output::KeyingMaterial(material, profile) => self.agreed(&material, profile),
                dimpl::Output::Connected => connected = true,
                // Data is nothing to us, and a connection that is closed leaves the keys as they are.
                _ => {}
            }
        }
    }

    fn wakes_at(&mut self, at: Instant) {
        let time = self.anchor.time + at.saturating_duration_since(self.anchor.instant);
        match &mut self.state {
            State::Shaking { wakes, .. } | State::Agreed { wakes, .. } => *wakes = Some(time),
            State::Failed => {}
        }
    }

    fn agreed(&mut self, material: &KeyingMaterial, profile: SrtpProfile) {
        let Some(suite) = suite_of(profile) else { return self.fail(Fault::Profile) };
        let Ok(keys) = MasterKey::from_dtls_export(suite, material) else { return self.fail(Fault::Profile) };
        self.state = match std::mem::replace(&mut self.state, State::Failed) {
            State::Shaking { dtls, wakes, shown: Shown::Certificate } => State::Agreed { dtls, wakes },
            // Nobody has keys who has shown no certificate.
            State::Shaking { .. } => return self.fail(Fault::Certificate),
            // A second pair, which nobody asks for, changes nothing.
            state => {
                self.state = state;
                return;
            }
        };
        let (ours, theirs) = match self.role {
            DtlsRole::Client => (keys.client, keys.server),
            DtlsRole::Server => (keys.server, keys.client),
        };
        self.out.push_back(Output::Agreed(Box::new(Keys { suite, ours, theirs })));
    }

    fn fail(&mut self, fault: Fault) {
        self.state = State::Failed;
        self.out.push_back(Output::Failed(fault));
    }

    fn instant(&self, now: Time) -> Instant {
        self.anchor.instant + now.since(self.anchor.time)
    }
}

impl fmt::Debug for Association {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Shaking { .. } => "Shaking",
            State::Agreed { .. } => "Agreed",
            State::Failed => "Failed",
        };
        f.debug_struct("Association").field("role", &self.role).field("state", &state).finish_non_exhaustive()
    }
}

/// Is one of the records an alert that nothing protects?
//= https://www.rfc-editor.org/rfc/rfc6347#section-4.1
fn has_alert_in_the_clear(datagram: &[u8]) -> bool {
    let mut rest = datagram;
    while let [kind, _, _, epoch @ .., high, low] = &rest[..rest.len().min(RECORD_HEADER_BYTES)] {
        if epoch.len() < 8 {
            return false;
        }
        if *kind == ALERT && epoch[..2] == [0, 0] {
            return true;
        }
        let record = RECORD_HEADER_BYTES + usize::from(u16::from_be_bytes([*high, *low]));
        rest = rest.get(record..).unwrap_or_default();
    }
    false
}

const RECORD_HEADER_BYTES: usize = 13;
const ALERT: u8 = 21;

fn suite_of(profile: SrtpProfile) -> Option<Suite> {
    match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Some(Suite::AesCm128HmacSha1_80),
        SrtpProfile::AEAD_AES_128_GCM => Some(Suite::AeadAes128Gcm),
        SrtpProfile::AEAD_AES_256_GCM => Some(Suite::AeadAes256Gcm),
        _ => None,
    }
}

/// Room for what is sent at once.
const DATAGRAM_BYTES: usize = 2048;
/// A longer certificate is nobody's who telephones.
const CERTIFICATE_BYTES_MAX: usize = 64 * 1024;
