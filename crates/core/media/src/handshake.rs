//! Which DTLS handshake a stream has its keys from, as far as descriptions say it.
//!
//! We offer `actpass`, and answer such an offer with `passive`: a party behind a NAT has to send first, and an association that
//! the party has begun once it begins again, so that no role changes between offers of the one and of the other. A party that
//! waits itself is not waited for.

use crate::MediaError;
use crate::security::{Keyring, is_about_keys};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use sx_sdp::{Description, DtlsTerms, Media, Profile, Setup};
use sx_types::{DtlsRole, Fingerprint};

/// A handshake that a party and we have agreed on, and will have or have had: two that are equal are the same association.
//= https://www.rfc-editor.org/rfc/rfc8842#section-3.1
// Another role, other fingerprints, another name or another place make another association.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// Which side we are.
    pub role: DtlsRole,
    /// What the party's certificate is known by; never empty.
    pub peer: Vec<Fingerprint>,
    /// What it was told of ours.
    pub ours: Fingerprint,
    /// What else it is known by.
    pub name: AssociationName,
}

/// What tells one association from the next between the same two certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AssociationName {
    /// Both sides have given it a name (`a=tls-id`): ours, then the party's.
    Said(Box<str>, Box<str>),
    /// The place of the party's media. One that has moved may have begun anew, or not have noticed.
    Place(Option<SocketAddr>),
}

/// Why a party and we have no keys though we have agreed on a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum HandshakeFault {
    /// Its certificate is not the one that its description speaks of.
    #[error("the certificate in the DTLS handshake is not the one that the description speaks of")]
    Certificate,
    /// It agrees to no protection of SRTP that we have.
    #[error("the DTLS handshake has ended without keys for SRTP")]
    Profile,
    /// It has broken the handshake off, or could not go on.
    #[error("the DTLS handshake was broken off")]
    BrokenOff,
    /// It was not over in time.
    #[error("the DTLS handshake was not over in time")]
    Late,
}

impl Handshake {
    /// Is it the same but for where the party is? Then keys that there are may go on when nothing comes of it.
    pub fn differs_in_place(&self, other: &Self) -> bool {
        let in_place = |name: &AssociationName| matches!(name, AssociationName::Place(_));
        let same = (self.role, &self.peer, &self.ours) == (other.role, &other.peer, &other.ours);
        same && self.name != other.name && in_place(&self.name) && in_place(&other.name)
    }

    /// What two descriptions of a stream have agreed on.
    pub(crate) fn agreed(told: &Media<'_, '_>, said: &Media<'_, '_>) -> Option<Self> {
        let role = role(told.setup(), said.setup())?;
        let peer = said.fingerprints();
        let ours = told.fingerprints().into_iter().next()?;
        let text = |id: &[u8]| String::from_utf8_lossy(id).into_owned().into_boxed_str();
        let name = match (told.tls_id(), said.tls_id()) {
            (Some(ours), Some(theirs)) => AssociationName::Said(text(ours), text(theirs)),
            _ => AssociationName::Place(said.rtp_address()),
        };
        (!peer.is_empty()).then_some(Self { role, peer, ours, name })
    }
}

/// Which side we are, by what the party was told and has said.
//= https://www.rfc-editor.org/rfc/rfc5763#section-5
fn role(told: Setup, said: Setup) -> Option<DtlsRole> {
    match (told, said) {
        (Setup::ActPass | Setup::Passive, Setup::Active) | (Setup::Passive, Setup::ActPass) => Some(DtlsRole::Server),
        (Setup::ActPass | Setup::Active, Setup::Passive) | (Setup::Active, Setup::ActPass) => Some(DtlsRole::Client),
        _ => None,
    }
}

/// Does a stream of an offer ask for a handshake that we can have? A party that holds its connection back asks for none.
pub(crate) fn is_usable(asked: &Media<'_, '_>) -> bool {
    asked.setup() != Setup::HoldConn && !asked.fingerprints().is_empty()
}

/// What we say of our side of a handshake, text of its own.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    fingerprint: String,
    setup: Setup,
    tls_id: Option<String>,
    rtcp_mux: bool,
}

impl Said {
    /// What is said of a stream that is offered. `told`: the same stream as it was told last.
    //= https://www.rfc-editor.org/rfc/rfc8842#section-5.5
    // The association that there is stays, by its name, while nothing wants another one.
    pub(crate) fn offered(keyring: &Keyring, stream: usize, told: Option<&Media<'_, '_>>) -> Option<Self> {
        let fingerprint = keyring.certificate()?;
        let tls_id = stayed(told, fingerprint).unwrap_or_else(|| keyring.tls_id(stream, &[]));
        //= https://www.rfc-editor.org/rfc/rfc5763#section-5
        // An offer has setup:actpass.
        Some(Self {
            fingerprint: fingerprint.to_string(),
            setup: Setup::ActPass,
            tls_id: Some(tls_id),
            //= https://www.rfc-editor.org/rfc/rfc8834#section-4.5
            // A second handshake for RTCP is for those who cannot share a port.
            rtcp_mux: true,
        })
    }

    /// What is said of a stream that was asked for. `before`: the stream as the party was told it last, and as it had said it.
    pub(crate) fn answered(
        keyring: &Keyring,
        stream: usize,
        asked: &Media<'_, '_>,
        before: Option<(&Media<'_, '_>, &Media<'_, '_>)>,
    ) -> Option<Self> {
        let fingerprint = keyring.certificate()?;
        let who = |media: &Media<'_, '_>| (media.fingerprints(), media.tls_id().map(<[u8]>::to_vec));
        let standing = before.filter(|(_, said)| who(said) == who(asked));
        let role = standing.and_then(|(told, said)| Handshake::agreed(told, said)).map(|agreed| agreed.role);
        //= https://www.rfc-editor.org/rfc/rfc8842#section-5.3
        let setup = match (asked.setup(), role) {
            (Setup::HoldConn, _) => return None,
            (Setup::Passive, _) | (Setup::ActPass, Some(DtlsRole::Client)) => Setup::Active,
            (Setup::Active | Setup::ActPass, _) => Setup::Passive,
        };
        // One who gives the association no name is given none.
        let tls_id = asked.tls_id().map(|theirs| {
            let stays = stayed(standing.map(|(told, _)| told), fingerprint);
            let of_theirs = || asked.fingerprints().iter().flat_map(|print| print.bytes().to_vec()).collect::<Vec<_>>();
            stays.unwrap_or_else(|| keyring.tls_id(stream, &[theirs, &of_theirs()].concat()))
        });
        Some(Self { fingerprint: fingerprint.to_string(), setup, tls_id, rtcp_mux: false })
    }

    pub(crate) fn terms(&self) -> DtlsTerms<'_> {
        DtlsTerms {
            fingerprint: &self.fingerprint,
            setup: self.setup,
            tls_id: self.tls_id.as_deref(),
            rtcp_mux: self.rtcp_mux,
        }
    }
}

/// The name that our side of the association has had, while it is the same certificate.
fn stayed(told: Option<&Media<'_, '_>>, fingerprint: &Fingerprint) -> Option<String> {
    let told = told.filter(|told| told.fingerprints().contains(fingerprint))?;
    String::from_utf8(told.tls_id()?.to_vec()).ok()
}

/// The handshake of a stream, when it is one that has its keys so. `Err`: it should, and there is none.
pub(crate) fn of_stream(
    told: &Media<'_, '_>,
    said: &Media<'_, '_>,
    stream: usize,
) -> Result<Option<Handshake>, MediaError> {
    let by_protocol = told.profile() == Profile::DtlsRtp || said.profile() == Profile::DtlsRtp;
    let in_the_open = told.profile() == Profile::Rtp && said.profile() == Profile::Rtp;
    let as_well = in_the_open && told.has_fingerprint() && said.has_fingerprint();
    if !by_protocol && !as_well {
        return Ok(None);
    }
    Handshake::agreed(told, said).map(Some).ok_or(MediaError::NoKey { stream })
}

/// A description as it can be asked for streams, if it has to do with keys.
pub(crate) fn parsed(description: Option<&[u8]>) -> Option<Description<'_>> {
    description.filter(|text| is_about_keys(text)).and_then(|text| Description::parse(text).ok())
}
