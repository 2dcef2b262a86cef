//! What somebody who looks after a room wants of its members: that one is heard by nobody, or is in another room.

use crate::command::MemberChange;
use crate::engine::Calls;
use crate::interface::Output;
use crate::state::{Call, PortState, State, Stop};
use sx_media::MediaCommand;

impl Calls {
    /// Changes a member of a room. Where it cannot be done, nothing has changed.
    pub(crate) fn change_member(&mut self, call: &mut Call, change: MemberChange) {
        let State::Attending(attending) = &call.state else { return };
        let member = attending.member.clone();
        let Some(place) = call.body.place.as_mut().filter(|place| matches!(place.at, Stop::Room(_))) else { return };
        match change {
            MemberChange::Mute(muted) => place.muted = muted,
            MemberChange::Move(to) => {
                let tables = self.tables.clone();
                let Some(room) = tables.room(&to) else { return };
                if !room.members.occupy(room.members_max) {
                    return;
                }
                self.rooms.give_back(&tables, place);
                place.at = Stop::Room(room.name.clone());
                // It leaves the one before it is in the other.
                let of_member = call.body.ports.iter().filter(|port| port.leg == member.leg);
                for port in of_member.filter(|port| matches!(port.state, PortState::Open(_))) {
                    self.out.push_back(Output::Media(MediaCommand::Attend { port: port.id, attendance: None }));
                }
            }
        }
        self.attend(&call.body, &member);
    }
}
