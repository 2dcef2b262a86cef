//! The two members of the council who are in the room: one says something, and both listen.

use super::stage::{ROOM_NUMBER, Stage};
use anyhow::{Context as _, bail, ensure};
use std::time::{Duration, Instant};
use sx_phone::{AudioSource, Phone, PhoneConfig, PhoneEvent, Server};
use sx_types::Transport;

/// What is said, in hertz.
const TONE_HZ: f64 = 1_000.0;
/// How loud.
const TONE_DBM0: f64 = -12.0;
/// Something this loud is no silence.
const HEARD_DBM0: f64 = -32.0;
/// As many samples are looked at at a time: 10 ms.
const GLANCE: usize = 80;
/// How often it is listened.
const LISTEN_EVERY: Duration = Duration::from_millis(1);
/// How long it stays silent before it is said that it is.
const SILENCE: Duration = Duration::from_millis(400);

/// A telephone in the room.
pub struct Member {
    phone: Phone,
}

impl Member {
    /// Calls the room, and says nothing yet.
    pub fn join(stage: &Stage, user: &str, patience: Duration) -> anyhow::Result<Self> {
        let config = PhoneConfig {
            password: Some(stage.password_of(user).to_owned()),
            source: AudioSource::Silence,
            // What is measured is the exchange, and not how long a telephone of ours waits.
            playout_delay: Duration::ZERO,
            ..PhoneConfig::new(Server::new(Transport::Udp, stage.sip), "verify.invalid", user)
        };
        let phone = Phone::start(config)?;
        phone.call(&format!("sip:{ROOM_NUMBER}@verify.invalid"));
        let over = |event: &PhoneEvent| {
            event.is_end() || matches!(event, PhoneEvent::Established | PhoneEvent::Refused { .. })
        };
        match phone.wait_for(over, patience)? {
            PhoneEvent::Established => Ok(Self { phone }),
            PhoneEvent::Refused { status, reason, warning } => {
                bail!("{user} may not join: {status} {reason} {}", warning.unwrap_or_default())
            }
            other => bail!("{user} could not join: {other:?}"),
        }
    }

    /// Says a tone from now on.
    pub fn speaks(&self) {
        self.phone.say(AudioSource::Tone(vec![(TONE_HZ, TONE_DBM0)]));
    }

    /// Says nothing any more.
    pub fn is_silent(&self) {
        self.phone.say(AudioSource::Silence);
    }

    /// Until when nothing was heard from now on.
    pub fn hears_by(&self, patience: Duration) -> anyhow::Result<Instant> {
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if is_loud(&self.phone.heard()) {
                return Ok(Instant::now());
            }
            crate::serve::pause(LISTEN_EVERY);
        }
        bail!("nothing was heard for {} ms", patience.as_millis())
    }

    /// Waits until nothing is heard any more.
    pub fn hears_nothing(&self, patience: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut silent_since = Instant::now();
        while begun.elapsed() < patience {
            if is_loud(&self.phone.heard()) {
                silent_since = Instant::now();
            }
            if silent_since.elapsed() >= SILENCE {
                return Ok(());
            }
            crate::serve::pause(LISTEN_EVERY);
        }
        bail!("it does not become silent")
    }

    /// Is what was heard of late the tone?
    pub fn hears_the_tone(&self) -> anyhow::Result<()> {
        let heard = self.phone.heard();
        let late = heard.len().saturating_sub(4_000);
        ensure!(sx_codec::hears(&heard[late..], TONE_HZ), "what is heard is not the tone that is said");
        Ok(())
    }

    /// Leaves the room.
    pub fn leave(self, patience: Duration) -> anyhow::Result<()> {
        self.phone.hangup();
        self.phone.wait_for(PhoneEvent::is_end, patience).context("a member's call does not end")?;
        self.phone.stop();
        Ok(())
    }
}

fn is_loud(heard: &[i16]) -> bool {
    heard.len() >= GLANCE && sx_codec::level_dbm0(&heard[heard.len() - GLANCE..]) > HEARD_DBM0
}
