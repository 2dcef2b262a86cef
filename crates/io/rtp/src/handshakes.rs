//! The DTLS handshakes of a port: one on the socket of RTP, and one on that of RTCP where the peer has RTCP elsewhere.
//!
//! No socket; time comes in. What an association says is handed on as [`Step`]s.

use crate::port::Channel;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use sx_dtls::{Anchor, Association, Disposition, Fault, Local, Output};
use sx_engine::Time;
use sx_media::{Handshake, HandshakeFault, StreamKeys};

/// What is to be done for the handshakes of a port.
#[derive(Debug)]
pub(crate) enum Step {
    /// Send this from this socket to there.
    Send(Channel, SocketAddr, Vec<u8>),
    /// These are the keys from now on.
    Agreed(Protects, Box<StreamKeys>),
    /// There will be no keys.
    Failed(HandshakeFault),
}

/// Which packets a pair of keys is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protects {
    /// Both share a port, and a handshake.
    Both,
    Rtp,
    Rtcp,
}

/// What handshakes are made with: our certificate, and where an instant of the library's is on our clock.
#[derive(Clone, Debug)]
pub(crate) struct HandshakeSettings {
    pub(crate) local: Local,
    pub(crate) anchor: Anchor,
}

/// The handshakes that a port has, or has had, with its peer.
pub(crate) struct Handshakes {
    terms: Handshake,
    /// Keys that there are go on when nothing comes of it.
    is_renewal: bool,
    has_failed: bool,
    rtp: End,
    rtcp: Option<End>,
    steps: VecDeque<Step>,
}

struct End {
    /// `None`: it is over, and nobody will ask for its last flight again.
    association: Option<Association>,
    /// Where our side of it goes: where the peer was last heard from with something to answer.
    towards: SocketAddr,
    agreed: Option<Time>,
}

impl Handshakes {
    /// Begins. `places`: where the peer's RTP and RTCP are. `before`: the association that there was.
    pub(crate) fn begin(
        terms: &Handshake,
        before: Option<&Self>,
        (rtp, rtcp): (SocketAddr, SocketAddr),
        settings: &HandshakeSettings,
        now: Time,
    ) -> Self {
        let end = |towards| End {
            association: Some(Association::new(&settings.local, terms.role, terms.peer.clone(), settings.anchor, now)),
            towards,
            agreed: None,
        };
        let is_renewal = before.is_some_and(|before| before.is_agreed() && before.terms.differs_in_place(terms));
        //= https://www.rfc-editor.org/rfc/rfc5764#section-4.1
        // RTP and RTCP on ports of their own have an association each.
        let mut begun = Self {
            terms: terms.clone(),
            is_renewal,
            has_failed: false,
            rtp: end(rtp),
            rtcp: (rtcp != rtp).then(|| end(rtcp)),
            steps: VecDeque::new(),
        };
        begun.drain(now);
        begun
    }

    /// One that another process has had.
    pub(crate) fn had(terms: &Handshake) -> Self {
        // Nothing is said any more, and nowhere.
        let nowhere = SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, 0));
        let rtp = End { association: None, towards: nowhere, agreed: Some(Time::ZERO) };
        Self { terms: terms.clone(), is_renewal: false, has_failed: false, rtp, rtcp: None, steps: VecDeque::new() }
    }

    /// Which handshake it was, when there are keys of it.
    pub(crate) fn agreed_terms(&self) -> Option<&Handshake> {
        self.is_agreed().then_some(&self.terms)
    }

    /// Is one of them neither over nor failed?
    pub(crate) fn go_on(&self) -> bool {
        let goes_on = |end: &End| end.association.is_some() && end.agreed.is_none();
        !self.has_failed && (goes_on(&self.rtp) || self.rtcp.as_ref().is_some_and(goes_on))
    }

    /// Is this the association that there is?
    pub(crate) fn is(&self, terms: &Handshake) -> bool {
        self.terms == *terms
    }

    /// A datagram of DTLS from one who may be the peer. False: it was not looked at.
    pub(crate) fn receive(&mut self, now: Time, channel: Channel, from: SocketAddr, datagram: &[u8]) -> bool {
        let Some(end) = self.end(channel) else { return false };
        let Some(association) = &mut end.association else { return false };
        let heard = association.handle_datagram(now, datagram);
        // What was said by somebody else and made no difference does not lead us away from the peer.
        if end.agreed.is_none() && association.has_output() {
            end.towards = from;
        }
        self.drain(now);
        heard == Disposition::Taken
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        for end in [Some(&mut self.rtp), self.rtcp.as_mut()].into_iter().flatten() {
            if end.agreed.is_some_and(|agreed| now.since(agreed) >= LINGER) {
                end.association = None;
            }
            if let Some(association) = &mut end.association
                && association.poll_timeout().is_some_and(|at| at <= now)
            {
                association.handle_timeout(now);
            }
        }
        self.drain(now);
    }

    pub(crate) fn poll_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// Where the peer was when it was heard on this channel.
    pub(crate) fn place(&self, protects: Protects) -> SocketAddr {
        match (protects, &self.rtcp) {
            (Protects::Rtcp, Some(rtcp)) => rtcp.towards,
            _ => self.rtp.towards,
        }
    }

    fn is_agreed(&self) -> bool {
        self.rtp.agreed.is_some()
    }

    fn end(&mut self, channel: Channel) -> Option<&mut End> {
        match channel {
            Channel::Rtp => Some(&mut self.rtp),
            Channel::Rtcp => self.rtcp.as_mut(),
        }
    }

    fn drain(&mut self, now: Time) {
        let alone = if self.rtcp.is_some() { Protects::Rtp } else { Protects::Both };
        let ends = [(Channel::Rtp, alone, Some(&mut self.rtp)), (Channel::Rtcp, Protects::Rtcp, self.rtcp.as_mut())];
        for (channel, protects, end) in ends {
            let Some(end) = end else { continue };
            let Some(association) = &mut end.association else { continue };
            while let Some(output) = association.poll_output() {
                self.steps.push_back(match output {
                    Output::Datagram(bytes) => Step::Send(channel, end.towards, bytes),
                    Output::Agreed(keys) => {
                        end.agreed = Some(now);
                        let sx_dtls::Keys { suite, ours, theirs } = *keys;
                        Step::Agreed(protects, Box::new(StreamKeys { suite, ours, theirs, mki_bytes: 0 }))
                    }
                    //= https://www.rfc-editor.org/rfc/rfc8842#section-3.1
                    // A peer that has moved should have begun anew. One that goes on under its old keys has proved who it is.
                    Output::Failed(Fault::Late) if self.is_renewal => {
                        end.agreed = Some(now);
                        continue;
                    }
                    Output::Failed(fault) => {
                        self.has_failed = true;
                        Step::Failed(told(fault))
                    }
                });
            }
        }
    }
}

fn told(fault: Fault) -> HandshakeFault {
    match fault {
        Fault::Certificate => HandshakeFault::Certificate,
        Fault::Profile => HandshakeFault::Profile,
        Fault::BrokenOff => HandshakeFault::BrokenOff,
        Fault::Late => HandshakeFault::Late,
    }
}

/// So long the last flight of a handshake is sent again when the peer has missed it.
//= https://www.rfc-editor.org/rfc/rfc6347#section-4.2.4
const LINGER: Duration = Duration::from_secs(30);
