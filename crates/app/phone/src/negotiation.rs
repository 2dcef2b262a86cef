//! Our half of the offers and answers of one call, and what they have come to.

use bytes::Bytes;
use std::net::SocketAddr;
use sx_codec::Law;
use sx_sdp::{Chosen, Description, Direction, OurFormat, Ours, answer, offer};
use sx_types::{Codec, PayloadType};

/// Descriptions of one call.
#[derive(Debug)]
pub(crate) struct Negotiation {
    ours: Ours,
    /// A description of ours was written.
    described: bool,
}

/// What was agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// What we send.
    pub law: Law,
    /// Under which payload type.
    pub payload_type: PayloadType,
    /// Under which payload type telephone events are sent; `None` when the other party takes none.
    pub telephone_event: Option<PayloadType>,
    /// Where packets go.
    pub remote: Option<SocketAddr>,
    /// We may send.
    pub sends: bool,
    /// The other party may send.
    pub receives: bool,
    /// The other party takes nothing from us.
    pub held_by_peer: bool,
}

/// The other party's description leads to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NothingAgreed;

impl Negotiation {
    /// Nothing said yet. `session` names the session for as long as it lasts.
    pub fn new(session: u64, rtp: SocketAddr, laws: &[Law]) -> Self {
        let format = |law: &Law| match law {
            Law::A => OurFormat::PCMA,
            Law::Mu => OurFormat::PCMU,
        };
        let formats = laws.iter().map(format).chain([OurFormat::TELEPHONE_EVENT]).collect();
        // The session is written in decimal, and some read it into a signed number.
        let ours =
            Ours { session: session >> 2, version: 1, rtp, formats, direction: Direction::SendRecv, ptime_ms: 20 };
        Self { ours, described: false }
    }

    /// Do we hold the other party?
    pub fn holds(&self) -> bool {
        self.ours.direction == Direction::SendOnly
    }

    /// What the next description says of holding.
    pub fn hold(&mut self, hold: bool) {
        self.ours.direction = if hold { Direction::SendOnly } else { Direction::SendRecv };
    }

    /// Our offer.
    pub fn offer(&mut self) -> Bytes {
        self.next_version();
        offer(&self.ours).into()
    }

    /// Our answer to an offer, and what is agreed by it.
    pub fn answer(&mut self, theirs: &[u8]) -> Result<(Bytes, Agreed), NothingAgreed> {
        let theirs = Description::parse(theirs).map_err(|_| NothingAgreed)?;
        let ours = Ours { version: self.ours.version + u64::from(self.described), ..self.ours.clone() };
        let answered = answer(&theirs, &ours).map_err(|_| NothingAgreed)?;
        let agreed = self.agreed(answered.chosen)?;
        self.next_version();
        Ok((answered.text.into(), agreed))
    }

    /// What is agreed by their answer to our offer.
    pub fn accept(&self, theirs: &[u8]) -> Result<Agreed, NothingAgreed> {
        let theirs = Description::parse(theirs).map_err(|_| NothingAgreed)?;
        self.agreed(Chosen::from(&theirs))
    }

    fn agreed(&self, chosen: Option<Chosen>) -> Result<Agreed, NothingAgreed> {
        let chosen = chosen.ok_or(NothingAgreed)?;
        let law = Law::from_codec(chosen.codec).ok_or(NothingAgreed)?;
        let (ours, theirs) = (self.ours.direction, chosen.direction);
        Ok(Agreed {
            law,
            payload_type: chosen.payload_type,
            telephone_event: chosen.telephone_event,
            remote: chosen.rtp,
            sends: ours.sends() && theirs.receives(),
            receives: ours.receives() && theirs.sends(),
            // Without an address, it is a hold as it was done before RFC 3264.
            held_by_peer: !theirs.receives() || chosen.rtp.is_none(),
        })
    }

    //= https://www.rfc-editor.org/rfc/rfc3264#section-8
    // A description that differs from the one before has a version one higher.
    fn next_version(&mut self) {
        self.ours.version += u64::from(self.described);
        self.described = true;
    }
}

impl Agreed {
    /// The encoding by name.
    pub fn codec(&self) -> Codec {
        match self.law {
            Law::A => Codec::Pcma,
            Law::Mu => Codec::Pcmu,
        }
    }

    /// The law of a payload that was received. Who offered both must take both.
    pub fn law_of(&self, payload_type: PayloadType) -> Option<Law> {
        if payload_type == self.payload_type {
            return Some(self.law);
        }
        Codec::from_static(payload_type).and_then(Law::from_codec)
    }

    /// Is this the payload type of telephone events: theirs, or the one that we offer?
    pub fn is_event(&self, payload_type: PayloadType) -> bool {
        self.telephone_event == Some(payload_type)
            || self.telephone_event.is_some() && payload_type == OurFormat::TELEPHONE_EVENT.payload_type
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(port: u16, laws: &[Law]) -> Negotiation {
        Negotiation::new(u64::MAX, ([127, 0, 0, 1], port).into(), laws)
    }

    #[test]
    fn both_sides_agree_on_the_first_codec_of_the_offer_that_both_have() {
        let (mut a, mut b) = (side(4_000, &[Law::Mu, Law::A]), side(5_000, &[Law::A]));
        let (answer, of_b) = b.answer(&a.offer()).expect("agreed");
        let of_a = a.accept(&answer).expect("agreed");
        assert_eq!((of_a.codec(), of_b.codec()), (Codec::Pcma, Codec::Pcma));
        assert_eq!((of_a.remote, of_b.remote), ("127.0.0.1:5000".parse().ok(), "127.0.0.1:4000".parse().ok()));
        assert!(of_a.sends && of_a.receives && of_b.sends && of_b.receives);
        assert!(of_a.is_event(PayloadType(101)) && of_b.is_event(PayloadType(101)));
    }

    #[test]
    fn who_holds_sends_and_hears_nothing() {
        let (mut a, mut b) = (side(4_000, &[Law::A]), side(5_000, &[Law::A]));
        let first = a.offer();
        a.hold(true);
        let second = a.offer();
        assert!(first.windows(5).any(|w| w == b" 1 IN") && second.windows(5).any(|w| w == b" 2 IN"));
        let (answer, of_b) = b.answer(&second).expect("agreed");
        let of_a = a.accept(&answer).expect("agreed");
        assert!(a.holds() && of_a.sends && !of_a.receives && !of_a.held_by_peer);
        assert!(!b.holds() && !of_b.sends && of_b.receives && of_b.held_by_peer);
    }

    #[test]
    fn nothing_in_common_is_nothing_agreed() {
        let offer = side(4_000, &[Law::Mu]).offer();
        assert_eq!(side(5_000, &[Law::A]).answer(&offer).expect_err("refused"), NothingAgreed);
        assert_eq!(side(5_000, &[Law::A]).accept(b"no description"), Err(NothingAgreed));
    }
}
