//! Session timers (RFC 4028): who refreshes, how often, and what when nobody does.

use super::{Phase, Session, SessionId, SessionTimer};
use crate::agent::{AgentConfig, Core};
use crate::message::{HeaderName, Message, Params, Writer};
use std::time::Duration;
use sx_engine::{Time, TimerId};

/// The refreshing of one session.
#[derive(Debug)]
pub(crate) struct Refresh {
    /// The agreed interval in seconds; 0 when there is none.
    pub interval_s: u32,
    /// Do we refresh?
    pub ours: bool,
    /// The least interval the peer's request takes, in seconds.
    pub(super) least_s: u32,
    pub(super) timer: TimerId,
}

impl Default for Refresh {
    fn default() -> Self {
        Self { interval_s: 0, ours: false, least_s: 0, timer: TimerId::NONE }
    }
}

impl Refresh {
    /// What an incoming INVITE or UPDATE asks for.
    pub fn asked_by<B: AsRef<[u8]>>(&mut self, request: &Message<B>) {
        self.least_s = request.number(HeaderName::MinSe).unwrap_or_default();
        if let Some((interval, refresher)) = session_expires(request) {
            self.interval_s = interval;
            // The caller refreshes unless it wants us to.
            self.ours = refresher == Some("uas");
        }
    }

    /// Decides, as the called side, what our answer says.
    //= https://www.rfc-editor.org/rfc/rfc4028#section-9
    pub fn accept(&mut self, config: &AgentConfig, peer_timer: bool) {
        if self.interval_s == 0 {
            if peer_timer && config.session_expires_s > 0 {
                self.interval_s = config.session_expires_s.max(self.least_s);
                self.ours = true;
            }
            return;
        }
        if config.session_expires_s > 0 {
            // It may be made shorter, but not than the Min-SE of the request says.
            self.interval_s = self.interval_s.min(config.session_expires_s.max(config.min_se_s).max(self.least_s));
        }
        // A caller that does not know timers cannot refresh.
        self.ours |= !peer_timer;
    }

    pub fn write_response(&self, writer: &mut Writer, peer_timer: bool) {
        if self.interval_s == 0 {
            return;
        }
        let refresher = if self.ours { "uas" } else { "uac" };
        writer.header(HeaderName::SessionExpires, format_args!("{};refresher={refresher}", self.interval_s));
        if peer_timer {
            writer.header(HeaderName::Require, format_args!("timer"));
        }
    }

    /// Takes over, as the calling side, what the peer's 2xx says.
    pub fn agreed<B: AsRef<[u8]>>(&mut self, response: &Message<B>) {
        match session_expires(response) {
            Some((interval, refresher)) => {
                self.interval_s = interval;
                self.ours = refresher != Some("uas");
            }
            None => self.interval_s = 0,
        }
    }

    /// Starts the clock, or starts it anew.
    //= https://www.rfc-editor.org/rfc/rfc4028#section-10
    pub fn start(&mut self, core: &mut Core, session: SessionId, now: Time) {
        self.stop(core);
        if self.interval_s == 0 {
            return;
        }
        let interval = Duration::from_secs(u64::from(self.interval_s));
        let wait = if self.ours {
            interval / 2
        } else {
            // The session ends the smaller of 32 s and a third of the interval before it expires.
            interval - (interval / 3).min(Duration::from_secs(32))
        };
        self.timer = core.set_timer(now + wait, session, SessionTimer::Refresh);
    }

    /// A refresh of ours met something and is tried again soon.
    pub fn postpone(&mut self, core: &mut Core, session: SessionId, now: Time) {
        self.stop(core);
        let wait = Duration::from_secs(u64::from(self.interval_s / 16)).clamp(AGAIN_MIN, AGAIN_MAX);
        self.timer = core.set_timer(now + wait, session, SessionTimer::Refresh);
    }

    pub fn stop(&mut self, core: &mut Core) {
        core.wheel.cancel(self.timer);
        self.timer = TimerId::NONE;
    }
}

/// When a refresh that met something is tried again: after a sixteenth of the interval, within these.
const AGAIN_MIN: Duration = Duration::from_secs(3);
const AGAIN_MAX: Duration = Duration::from_secs(30);

impl Session {
    /// Half the interval is over and we refresh, or nearly all of it and the peer has not.
    pub(super) fn refresh_due(&mut self, core: &mut Core, now: Time) {
        if !matches!(self.phase, Phase::Established { .. }) {
            return;
        }
        if !self.refresh.ours {
            self.lost(core, now, 408);
            return;
        }
        self.refresh.start(core, self.id, now);
        self.send_refresh(core, now);
    }

    /// The interval an incoming request asks for is too small: the least we take, for a 422.
    //= https://www.rfc-editor.org/rfc/rfc4028#section-6
    pub(crate) fn interval_too_small<B: AsRef<[u8]>>(config: &AgentConfig, request: &Message<B>) -> Option<u32> {
        let (interval, _) = session_expires(request)?;
        (interval < config.min_se_s && request.lists(HeaderName::Supported, "timer")).then_some(config.min_se_s)
    }
}

/// The interval in seconds, and who refreshes.
fn session_expires<B: AsRef<[u8]>>(message: &Message<B>) -> Option<(u32, Option<&str>)> {
    let value = message.value(HeaderName::SessionExpires)?;
    let semicolon = value.iter().position(|b| *b == b';').unwrap_or(value.len());
    let interval = message.number(HeaderName::SessionExpires).filter(|seconds| *seconds > 0)?;
    Some((interval, Params(&value[semicolon..]).value("refresher")))
}
