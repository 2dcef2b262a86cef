//! What one party says, as another one is told it: with our ports, our keys, the codecs that it may have, and where the two may
//! share none, those that we can code.

use crate::codecs::{allowed, terms};
use crate::engine::Calls;
use crate::ports::Undeliverable;
use crate::state::{Body, Party, PortState, Told};
use bytes::Bytes;
use smallvec::SmallVec;
use std::sync::Arc;
use sx_media::{
    MediaError, Opened, SessionVersion, answer_events, answer_from, extend_offer, in_the_clear, no_more_than_offered,
    offer_events, protect_answer, protect_offer, relay_answer, relay_description, settle_answer, with_music,
};
use sx_types::{Codec, Dtmf, LegId};

/// How descriptions pass between two parties.
#[derive(Clone, Debug)]
pub(crate) enum Passing {
    /// As they are.
    Direct,
    /// Rewritten, so that media goes through us. These codecs are coded anew where the parties share none.
    Relayed(Arc<[Codec]>),
}

impl Calls {
    /// How descriptions pass between two parties whose media goes through us, or past us.
    pub(crate) fn passing(&self, relay: bool) -> Passing {
        if relay { Passing::Relayed(self.settings.transcode.clone()) } else { Passing::Direct }
    }
}

impl Passing {
    /// A description as the answer to an offer that its party has not seen, with the codecs that both have; where they share
    /// none and one can be made of the other, as it is.
    pub(crate) fn answer_from(&self, description: &Bytes, offer: &Bytes) -> Result<Bytes, MediaError> {
        match (answer_from(description, offer), self) {
            (Err(MediaError::NothingInCommon), Self::Relayed(codable)) if !codable.is_empty() => {
                let settled = settle_answer(description, offer, codable)?;
                if settled == *description { Err(MediaError::NothingInCommon) } else { Ok(description.clone()) }
            }
            (found, _) => found,
        }
    }
}

/// An offer as `to` is to see it: rewritten when it is relayed, else as it is.
pub(crate) fn offer_for(body: &Body, to: &mut Party, offer: &Bytes, passing: &Passing) -> Result<Bytes, Undeliverable> {
    let Passing::Relayed(codable) = passing else { return Ok(allowed(&to.access, &to.bounds, offer)?) };
    let extended = extend_offer(offer, codable)?;
    let extended = if to.access.dtmf == Dtmf::Rfc4733 { offer_events(&extended)? } else { extended };
    let kept = allowed(&to.access, &to.bounds, &extended)?;
    let clear = in_the_clear(&kept)?;
    tell(to, offer, None, |to, session| {
        let text = relay_description(&clear, &by_stream(body, to.leg), session)?;
        let text = if to.access.hold_music.is_some() { with_music(&text, None)? } else { text };
        let told = to.told.as_ref().map(|told| &told.text);
        protect_offer(&text, to.said.as_ref(), told, terms(&to.access), &to.keys)
    })
}

/// An answer as `to`, who made `offer`, is to see it.
pub(crate) fn answer_for(
    body: &Body,
    to: &mut Party,
    answer: &Bytes,
    offer: &Bytes,
    passing: &Passing,
) -> Result<Bytes, Undeliverable> {
    let Passing::Relayed(codable) = passing else { return Ok(allowed(&to.access, &to.bounds, answer)?) };
    let settled = match codable.is_empty() {
        true => answer.clone(),
        false => settle_answer(answer, &allowed(&to.access, &to.bounds, offer)?, codable)?,
    };
    // What it has offered to say in its stream is heard, whoever the other one is.
    let settled = answer_events(&settled, offer)?;
    let settled = no_more_than_offered(&settled, offer)?;
    let kept = allowed(&to.access, &to.bounds, &settled)?;
    let (clear, asked) = (in_the_clear(&kept)?, in_the_clear(offer)?);
    // The key that is answered with depends on those that were offered, and so do the codec that takes another's place and
    // what is to be heard of who holds.
    let has_music = to.access.hold_music.is_some();
    let keyed = (asked != *offer || settled != *answer || has_music).then_some(offer);
    tell(to, answer, keyed, |to, session| {
        let text = relay_answer(&clear, &asked, &by_stream(body, to.leg), session)?;
        let text = if has_music { with_music(&text, Some(&asked))? } else { text };
        let told = to.told.as_ref().map(|told| &told.text);
        protect_answer(&text, offer, (told, to.said.as_ref()), terms(&to.access), &to.keys)
    })
}

/// Gives the party the same text again when it is made from the same description, else a new version. `asked`: the offer
/// that it answers, where the text depends on it.
fn tell(
    to: &mut Party,
    from: &Bytes,
    asked: Option<&Bytes>,
    rewrite: impl FnOnce(&Party, SessionVersion) -> Result<Bytes, MediaError>,
) -> Result<Bytes, Undeliverable> {
    if let Some(told) = to.told.as_ref().filter(|told| told.from == *from && told.asked.as_ref() == asked) {
        return Ok(told.text.clone());
    }
    let session = to.session.next();
    let text = rewrite(to, session)?;
    to.session = session;
    to.told = Some(Told { from: from.clone(), asked: asked.cloned(), text: text.clone() });
    Ok(text)
}

/// The open ports that face a leg, by stream.
fn by_stream(body: &Body, leg: LegId) -> SmallVec<[Option<Opened>; 4]> {
    let mut opened = SmallVec::new();
    for port in body.ports.iter().filter(|port| port.leg == leg) {
        let PortState::Open(open) = port.state else { continue };
        let stream = usize::from(port.stream);
        if opened.len() <= stream {
            opened.resize(stream + 1, None);
        }
        opened[stream] = Some(open);
    }
    opened
}
