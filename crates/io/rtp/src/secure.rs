//! SRTP at a port: what its peer protects is opened where it arrives, and what goes to the peer is protected before it leaves.

use crate::port::Channel;
use crate::sys::{Batch, Chosen};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
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
    /// `None` while it is on: the key cannot be used, and nothing is sent.
    protector: Mutex<Option<Protector>>,
}

impl Sealer {
    /// The keys were negotiated, perhaps anew. The same key goes on as it was, so that no two packets have one key stream.
    pub(crate) fn set_keys(&self, keys: Option<&StreamKeys>) {
        // What was protected is whole between any two statements, whoever panics.
        let mut held = self.protector.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_on.store(keys.is_some(), Ordering::Release);
        let Some(keys) = keys else {
            // The key may come back when the peer has been in the clear for a while.
            return;
        };
        let goes_on = held.as_mut().filter(|protector| protector.suite() == keys.suite);
        if goes_on.is_some_and(|protector| protector.rekey(&keys.ours).is_ok()) {
            return;
        }
        *held = match Protector::new(keys.suite, &keys.ours) {
            Ok(new) => Some(new),
            Err(error) => {
                tracing::error!(%error, "what was negotiated is no key");
                None
            }
        };
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    /// Protects the chosen packets of a batch in place. Gives those that may be sent.
    pub(crate) fn seal(&self, batch: &mut Batch, channel: Channel, chosen: Chosen) -> Chosen {
        let mut sealed = Chosen::default();
        let mut held = self.protector.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(protector) = held.as_mut() else { return sealed };
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
}
