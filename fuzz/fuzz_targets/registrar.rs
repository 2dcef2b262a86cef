//! REGISTERs of any bytes, connections that end, time and restarts: what is bound stays within its limits, a refusal
//! changes nothing, lifetimes are those that are allowed, and in the end all is gone, also from what is kept.
//!
//! The input is a list of steps with the byte 0x1e between them; the first byte of a step says what happens, see
//! [`Bed::step`]. Numbers are single bytes, taken modulo what there is, so that digits can be read in a seed.
#![no_main]

mod steps;

use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use steps::steps;
use sx_engine::Time;
use sx_sip::message::{HeaderName, Message, Uri, Writer};
use sx_sip::registrar::{
    CONTACT_BYTES_MAX, Change, INSTANCE_BYTES_MAX, PATH_BYTES_MAX, Record, Registrar, RegistrarConfig,
};
use sx_types::{Flow, LinkId, Transport};

const START: Time = Time::from_secs(1_800_000_000);
const USERS: [&str; 4] = ["anna@example.org", "bert@example.org", "+4930@example.org", "c d@example.org"];
const KEY: [u8; 16] = [9; 16];

fn config() -> RegistrarConfig {
    RegistrarConfig {
        contacts_max: 3,
        bindings_max: 6,
        domains: vec!["192.0.2.1".into()],
        ..RegistrarConfig::default()
    }
}

/// What is bound for a user: the contact, the instance and the flow's number, with the seconds each has left.
type Bound = BTreeMap<(String, String, u32), u32>;

struct Bed {
    registrar: Registrar,
    now: Time,
    kept: BTreeMap<Box<str>, Record>,
}

impl Bed {
    fn step(&mut self, step: &[u8]) {
        let Some((what, rest)) = step.split_first() else { return };
        match (what, rest) {
            // A user and a connection; the rest is the REGISTER.
            (b'r', [user, link, message @ ..]) => self.register(*user, *link, message),
            // As before, but only the lines behind what every REGISTER has are given, after the number of the Call-ID
            // and that of CSeq.
            (b'c', [user, link, call, cseq, lines @ ..]) => {
                let aor = USERS[usize::from(*user) % USERS.len()].replace(' ', "%20");
                let head = format!(
                    "REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n\
                     From: <sip:{aor}>;tag=1\r\nTo: <sip:{aor}>\r\nCall-ID: {call}\r\nCSeq: {cseq} REGISTER\r\n"
                );
                self.register(*user, *link, &[head.as_bytes(), lines, b"\r\n\r\n"].concat());
            }
            (b'd', [link, ..]) => self.registrar.handle_flow_closed(LinkId(u32::from(link % 4))),
            (b'p', [seconds, ..]) => self.pass(u32::from(*seconds) * u32::from(*seconds) / 4),
            (b'k', _) => self.restart(),
            (b'g', uri) => {
                if let Ok(uri) = Uri::parse(uri) {
                    let _ = self.registrar.gruu(self.now, &uri).map(|gruu| gruu.aor.len());
                }
            }
            _ => {}
        }
        self.keep();
        self.check();
    }

    fn bound(&self, aor: &str) -> Bound {
        let contacts = self.registrar.contacts(self.now, aor);
        contacts.map(|c| ((c.uri.to_owned(), c.instance.to_owned(), c.reg_id), c.expires_s)).collect()
    }

    fn register(&mut self, user: u8, link: u8, message: &[u8]) {
        let Ok(message) = Message::parse(message) else { return };
        let aor = USERS[usize::from(user) % USERS.len()];
        let (link, remote) = (link % 4, SocketAddr::from(([192, 0, 2, 9], 5060)));
        let transport = if link == 0 { Transport::Udp } else { Transport::Tcp };
        let flow = Flow { worker: 0, link: LinkId(u32::from(link)), transport, remote };
        let before = self.bound(aor);
        let done = self.registrar.register(self.now, aor, flow, &message);
        let after = self.bound(aor);

        let mut writer = Writer::response(done.status, "");
        done.write(&mut writer);
        let response = Message::parse(writer.finish(None)).expect("the lines of an answer are headers");
        assert_eq!(done.status == 200, done.refusal.is_none());
        if done.status != 200 {
            assert_eq!(before, after, "a refusal changes nothing");
            return;
        }
        assert_eq!(response.values(HeaderName::Contact).count(), after.len(), "each binding is told, on a line");
        let limits = config();
        for (contact, left) in &after {
            // What has the same time left was perhaps not touched.
            if before.get(contact) != Some(left) {
                assert!((limits.expires_min_s..=limits.expires_max_s).contains(left), "{left} seconds were granted");
            }
        }
    }

    fn pass(&mut self, seconds: u32) {
        let end = self.now + Duration::from_secs(seconds.into());
        while let Some(at) = self.registrar.poll_timeout().filter(|at| *at <= end) {
            assert!(at > self.now, "a timer that comes again for ever");
            self.now = at;
            self.registrar.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn keep(&mut self) {
        while let Some(change) = self.registrar.poll_change() {
            match change {
                Change::Put { aor, record } => drop(self.kept.insert(aor, record)),
                Change::Delete { aor } => drop(self.kept.remove(&aor)),
            }
        }
    }

    /// What is kept, written and read as a journal does, comes back.
    fn restart(&mut self) {
        self.keep();
        self.registrar = Registrar::new(config(), KEY);
        for (aor, record) in &self.kept {
            let json = serde_json::to_vec(record).expect("a record has a JSON form");
            let read: Record = serde_json::from_slice(&json).expect("what was written can be read");
            assert_eq!(read, *record);
            let live = record.0.iter().filter(|binding| u64::from(binding.expires) > self.now.as_secs()).count();
            self.registrar.restore(self.now, aor, &read);
            assert_eq!(self.registrar.contacts(self.now, aor).count(), live, "every binding comes back");
        }
    }

    fn check(&self) {
        let limits = config();
        assert!(self.registrar.len() <= limits.bindings_max && self.registrar.users() <= self.registrar.len());
        assert!(self.registrar.is_empty() || self.registrar.poll_timeout().is_some(), "nobody would sweep");
        for aor in USERS {
            let contacts: Vec<_> = self.registrar.contacts(self.now, aor).collect();
            assert!(contacts.len() <= limits.contacts_max);
            assert_eq!(self.registrar.knows(self.now, aor), !contacts.is_empty());
            for contact in contacts {
                assert!(contact.uri.len() <= CONTACT_BYTES_MAX && contact.path.len() <= PATH_BYTES_MAX);
                assert!(contact.instance.len() <= INSTANCE_BYTES_MAX && contact.q <= 1_000);
                assert!((1..=limits.expires_max_s).contains(&contact.expires_s));
            }
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let mut bed = Bed { registrar: Registrar::new(config(), KEY), now: START, kept: BTreeMap::new() };
    for step in steps(input) {
        bed.step(step);
    }
    bed.pass(config().expires_max_s + 120);
    bed.keep();
    assert_eq!((bed.registrar.len(), bed.registrar.users(), bed.registrar.poll_timeout()), (0, 0, None));
    assert!(bed.kept.is_empty(), "what is gone is kept no longer");
});
