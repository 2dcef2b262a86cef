//! Who is heard, who speaks, and who is in front.

use crate::dominance::DECISION_FRAMES;
use crate::settings::Role;
use crate::tick::RoomEvent;
use crate::{MemberId, Room};

/// What those who are heard are ahead of those who would like to be, so that they do not take turns by the frame.
const HEARD_LEAD_DB: f32 = 6.0;
/// What moderators are ahead: more than there are levels.
const MODERATOR_LEAD_DB: f32 = 1_000.0;

impl Room {
    /// Chooses who is heard in this tick: all that are above the gate, or the loudest of them.
    pub(crate) fn choose(&mut self) {
        let ranks = &mut self.work.ranks;
        ranks.clear();
        for (place, member) in self.members.iter_mut().enumerate() {
            let lead = if member.chosen { HEARD_LEAD_DB } else { 0.0 };
            member.chosen = member.wants_to_be_heard();
            if member.chosen {
                let role = if member.role == Role::Moderator { MODERATOR_LEAD_DB } else { 0.0 };
                ranks.push((member.loudness.rank_dbov() + lead + role, place));
            }
        }
        if ranks.len() <= self.settings.speakers_max {
            return;
        }
        for (rank, place) in ranks.iter_mut() {
            *rank += self.members[*place].gain.db();
        }
        ranks.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (_, place) in &ranks[self.settings.speakers_max..] {
            self.members[*place].chosen = false;
        }
    }

    /// Tells who has begun to speak, who has stopped, and who is in front.
    pub(crate) fn tell(&mut self) {
        for member in &mut self.members {
            let speaking = member.loudness.speaking();
            if speaking != member.told {
                member.told = speaking;
                let event = if speaking { RoomEvent::Speaking } else { RoomEvent::Quiet };
                self.events.push(event(member.id));
            }
        }
        self.frames_to_decision -= 1;
        let gone = self.dominant.is_some_and(|dominant| self.find(dominant).is_err());
        if self.frames_to_decision > 0 && !gone {
            return;
        }
        self.frames_to_decision = DECISION_FRAMES;
        let dominant = self.decide();
        if dominant != self.dominant {
            self.dominant = dominant;
            self.events.push(RoomEvent::Dominant(dominant));
        }
    }

    /// Who is in front now.
    fn decide(&self) -> Option<MemberId> {
        let speaking = || self.members.iter().filter(|member| member.loudness.speaking());
        let Some(dominant) = self.dominant.and_then(|id| self.find(id).ok()).map(|place| &self.members[place]) else {
            let scored = speaking().map(|member| (member.activity.scores().sum(), member.id));
            return scored.reduce(|best, other| if other.0 > best.0 { other } else { best }).map(|(_, id)| id);
        };
        let scores = dominant.activity.scores();
        let rivals = speaking().filter(|member| member.id != dominant.id);
        let ahead = rivals.filter_map(|member| Some((member.activity.scores().lead(&scores)?, member.id)));
        let first = ahead.reduce(|best, other| if other.0 > best.0 { other } else { best });
        Some(first.map_or(dominant.id, |(_, id)| id))
    }
}
