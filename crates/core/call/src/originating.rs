//! The exchange calls two and has them talk to each other.
//!
//! ```text
//!  Originate ──► Inviting, the first rings ──answers, hears that it rings──► Moving, the second rings ──► Joining ──► Talking
//!                      └─ nobody answers: Ending                                └─ nobody answers: the first is hung up
//! ```

//= https://www.rfc-editor.org/rfc/rfc3725#section-4
// The first is connected with a sound of ours until the second makes its offer: no INVITE waits for a human being to be acknowledged.

use crate::command::Originate;
use crate::engine::Calls;
use crate::inviting::{HOPS, ROOM_LEG};
use crate::state::{Party, Place, Stop};
use sx_leg::{Address, Identity, Incoming, Source};
use sx_media::room_offer;

/// What the first hears while the second rings.
const RINGBACK: &str = "tone:ringback";

impl Calls {
    /// Calls somebody, and then somebody else to talk to them. Where it cannot be begun, nothing but a note says so.
    pub(crate) fn originate(&mut self, originate: Originate) {
        let Originate { call: id, trace, from, to, bounds } = originate;
        if let Err(why) = self.take_room(&Source::Exchange) {
            return self.not_invited(&from, why);
        }
        let shown = |address: &Address| Identity { address: address.clone(), ..Identity::default() };
        let codecs = self.settings.announced_in.clone();
        let incoming = Incoming {
            from: shown(&from),
            to: to.clone(),
            source: Source::Exchange,
            host: None,
            offer: Some(room_offer(&codecs)),
            replaces: None,
            on_behalf_of: None,
            headers: Vec::new(),
            hops_left: HOPS,
            takes_info: None,
            bounds,
        };
        let mut call = self.begin((id, trace), ROOM_LEG, &incoming);
        let at = Stop::Waiting(RINGBACK.into());
        call.body.place = Some(Place { at, codecs, attempt: None, muted: false, arrival: None });
        // Whoever rings first sees whom they will talk to.
        let host = Party { identity: shown(&to), ..self.caller(ROOM_LEG, &incoming) };
        self.begin_inviting(call, host, &from, Some(to));
    }
}
