//! Requests of proxies, what packet threads tell, and time, for the engine that plans their calls.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use std::time::Duration;
use sx_bind_ng::{Input, NgCalls, Output, Sender, Settings};
use sx_engine::{Engine, Rng, Time};
use sx_media::{Closed, Counted, MediaCommand, MediaEvent, OpenError, Opened, PortId, PortStats};

/// The engine, and packet threads that obey, later or not at all.
struct World {
    calls: NgCalls,
    now: Time,
    open: BTreeSet<PortId>,
    to_tell: Vec<MediaEvent>,
    refuses: bool,
}

fuzz_target!(|steps: &[u8]| {
    let settings = Settings { calls_max: 4, branches_max: 3, streams_max: 3, waiting_max: 3, ..Settings::default() };
    let mut world = World {
        calls: NgCalls::new(Time::from_secs(1), settings, Rng::from_number(1)),
        now: Time::from_secs(1),
        open: BTreeSet::new(),
        to_tell: Vec::new(),
        refuses: false,
    };
    for step in steps.split(|byte| *byte == 0x1e).take(64) {
        world.step(step);
    }
    world.refuses = false;
    // Whoever is left ends by itself, once packet threads answer.
    for _ in 0..400 {
        world.tell();
        world.pass(Duration::from_secs(60));
    }
    world.tell();
    assert_eq!(world.calls.calls(), 0);
    assert!(world.open.is_empty(), "ports are left open: {:?}", world.open);
});

impl World {
    fn step(&mut self, step: &[u8]) {
        match step {
            [b'!'] => self.tell(),
            [b'-'] => self.refuses = !self.refuses,
            [b'+', seconds] => self.pass(Duration::from_secs(u64::from(*seconds))),
            bytes => {
                let from = Sender { link: 1, address: ([127, 0, 0, 1], 9).into() };
                self.calls.handle_input(self.now, Input::Request { from, bytes });
                self.carry_out();
            }
        }
    }

    fn pass(&mut self, duration: Duration) {
        self.now = self.now + duration;
        self.calls.handle_timeout(self.now);
        self.carry_out();
    }

    fn tell(&mut self) {
        while !self.to_tell.is_empty() {
            for event in std::mem::take(&mut self.to_tell) {
                self.calls.handle_input(self.now, Input::Media(event));
                self.carry_out();
            }
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.calls.poll_output() {
            let Output::Media(command) = output else { continue };
            match command {
                MediaCommand::Open { port, .. } if self.refuses => {
                    self.to_tell.push(MediaEvent::OpenFailed { port, error: OpenError::PoolExhausted });
                }
                MediaCommand::Open { port, .. } => {
                    assert!(self.open.insert(port), "{port:?} is opened twice");
                    let number = 20_000 + (port.0 & 0x3ff) as u16 * 2;
                    let at = |number| ([198, 51, 100, 1], number).into();
                    self.to_tell.push(MediaEvent::Opened(Opened { port, rtp: at(number), rtcp: at(number + 1) }));
                }
                MediaCommand::Close { port } if self.open.remove(&port) => {
                    self.to_tell.push(MediaEvent::Closed(Closed { port, stats: PortStats::default() }));
                }
                MediaCommand::Count { port } if self.open.contains(&port) => {
                    self.to_tell.push(MediaEvent::Counted(Counted { port, stats: PortStats::default(), peer: None }));
                }
                _ => {}
            }
        }
    }
}
