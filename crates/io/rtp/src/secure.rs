//! SRTP at a port: what its peer protects is opened where it arrives, and what goes to the peer is protected before it leaves.

use crate::port::Channel;
use crate::sys::{Batch, Chosen};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use sx_media::StreamKeys;
use sx_rtp::srtp::{Protector, Unprotector};

/// Opens what the peer of a port protects.
pub(crate) enum Opener {
    /// The peer sends in the clear.
    Clear,
    /// It protects its packets with this key.
    Srtp(Box<Unprotector>),
    /// It protects them with a key that cannot be used: none is believed.
    Shut,
}

impl Opener {
    /// The keys were negotiated, perhaps anew. Packets under the key before are taken until the new one is in use.
    pub(crate) fn set_keys(&mut self, keys: Option<&StreamKeys>) {
        let Some(keys) = keys else {
            *self = Self::Clear;
            return;
        };
        if let Self::Srtp(unprotector) = self
            && unprotector.suite() == keys.suite
            && unprotector.mki_bytes() == usize::from(keys.mki_bytes)
            && unprotector.rekey(&keys.theirs).is_ok()
        {
            return;
        }
        let new = Unprotector::new(keys.suite, &keys.theirs).and_then(|new| match keys.mki_bytes {
            0 => Ok(new),
            bytes => new.with_mki_bytes(bytes.into()),
        });
        *self = match new {
            Ok(new) => Self::Srtp(Box::new(new)),
            Err(error) => {
                tracing::error!(%error, "what was negotiated is no key");
                Self::Shut
            }
        };
    }

    /// Opens a packet in place. Gives its length then; `None` when it is not authentic, or came before.
    pub(crate) fn open(&mut self, is_rtcp: bool, packet: &mut [u8]) -> Option<usize> {
        match self {
            Self::Clear => Some(packet.len()),
            Self::Shut => None,
            Self::Srtp(unprotector) if is_rtcp => unprotector.unprotect_rtcp(packet).ok(),
            Self::Srtp(unprotector) => unprotector.unprotect_rtp(packet).ok(),
        }
    }
}

/// Protects what goes to the peer of a port, whichever thread sends it.
#[derive(Default)]
pub(crate) struct Sealer {
    /// Is there anything to protect with? Asked for each packet, so that those in the clear take no lock.
    is_on: AtomicBool,
    held: Mutex<Held>,
}

/// What packets are protected with.
#[derive(Default)]
struct Held {
    /// One for each suite that there was. Our key of a suite comes back with it, and goes on where it was: no two packets may
    /// have one key stream.
    protectors: Vec<Protector>,
    /// Which of them; `None` while it is on: the key cannot be used, and nothing is sent.
    current: Option<usize>,
}

impl Sealer {
    /// The keys were negotiated, perhaps anew.
    pub(crate) fn set_keys(&self, keys: Option<&StreamKeys>) {
        let mut held = self.lock();
        held.current = keys.and_then(|keys| held.take(keys));
        self.is_on.store(keys.is_some(), Ordering::Release);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    /// Protects the chosen packets of a batch in place. Gives those that may be sent.
    pub(crate) fn seal(&self, batch: &mut Batch, channel: Channel, chosen: Chosen) -> Chosen {
        let mut sealed = Chosen::default();
        let mut held = self.lock();
        let Some(protector) = held.current.and_then(|at| held.protectors.get_mut(at)) else { return sealed };
        for index in chosen.indices() {
            let (buffer, len) = batch.with_room(index);
            let done = match channel {
                Channel::Rtp => protector.protect_rtp(buffer, len),
                Channel::Rtcp => protector.protect_rtcp(buffer, len),
            };
            if let Ok(len) = done {
                batch.set_length(index, len);
                sealed.add(index);
            }
        }
        sealed
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // What was protected is whole between any two statements, whoever panics.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Which protector these keys have.
    fn take(&mut self, keys: &StreamKeys) -> Option<usize> {
        let known = self.protectors.iter().position(|protector| protector.suite() == keys.suite);
        let taken = match known {
            Some(at) => self.protectors[at].rekey(&keys.ours).map(|()| at),
            None => Protector::new(keys.suite, &keys.ours).map(|new| {
                self.protectors.push(new);
                self.protectors.len() - 1
            }),
        };
        taken.inspect_err(|error| tracing::error!(%error, "what was negotiated is no key")).ok()
    }
}
