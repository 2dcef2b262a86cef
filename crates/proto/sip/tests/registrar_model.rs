//! A registrar does what a list of bindings does that nobody has made small or fast, and what it gives out to be kept
//! is what it holds.

use proptest::prelude::*;
use std::collections::BTreeMap;
use sx_engine::Time;
use sx_sip::message::Message;
use sx_sip::registrar::{Change, Record, Registrar, RegistrarConfig};
use sx_types::{Flow, LinkId, Transport};

const START: u64 = 1_800_000_000;
const CONTACTS_MAX: usize = 3;
const BINDINGS_MAX: usize = 8;
const EXPIRES_MIN_S: u32 = 60;

#[derive(Clone, Debug)]
enum Step {
    Register { user: u8, call: u8, cseq: u32, link: u8, contacts: Vec<(u8, u32)> },
    RemoveAll { user: u8, call: u8, cseq: u32 },
    Close { link: u8 },
    Wait { seconds: u64 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let contact = (0..4u8, prop_oneof![Just(0), Just(30), Just(60), Just(100), Just(300)]);
    prop_oneof![
        8 => (0..4u8, 0..2u8, 0..12u32, 0..3u8, prop::collection::vec(contact, 0..4))
            .prop_map(|(user, call, cseq, link, contacts)| Step::Register { user, call, cseq, link, contacts }),
        1 => (0..4u8, 0..2u8, 0..12u32).prop_map(|(user, call, cseq)| Step::RemoveAll { user, call, cseq }),
        1 => (1..3u8).prop_map(|link| Step::Close { link }),
        2 => (0..120u64).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Restart),
    ]
}

#[derive(Clone, Debug, PartialEq)]
struct Bound {
    contact: u8,
    call: u8,
    cseq: u32,
    expires: u64,
    /// Zero for datagrams.
    link: u8,
}

/// Every user's bindings, in the order they were made.
#[derive(Default)]
struct Model {
    now: u64,
    users: BTreeMap<u8, Vec<Bound>>,
}

impl Model {
    fn expire(&mut self) {
        for bindings in self.users.values_mut() {
            bindings.retain(|binding| binding.expires > self.now);
        }
    }

    /// `total`: bindings that count against the limit, some of which may have expired.
    fn register(&mut self, total: usize, user: u8, call: u8, cseq: u32, link: u8, contacts: &[(u8, u32)]) -> u16 {
        if contacts.iter().any(|(_, lifetime)| *lifetime > 0 && *lifetime < EXPIRES_MIN_S) {
            return 423;
        }
        let bindings = self.users.entry(user).or_default();
        let meant: Vec<&Bound> =
            bindings.iter().filter(|b| b.call == call && contacts.iter().any(|c| c.0 == b.contact)).collect();
        if meant.iter().any(|binding| cseq < binding.cseq) {
            return 500;
        }
        if meant.iter().any(|binding| cseq == binding.cseq) {
            return 200;
        }
        let is_bound = |contact: u8| bindings.iter().any(|binding| binding.contact == contact);
        let added = contacts.iter().filter(|(contact, lifetime)| *lifetime > 0 && !is_bound(*contact)).count();
        let kept = bindings.iter().filter(|b| !contacts.contains(&(b.contact, 0))).count();
        if added > 0 && kept + added > CONTACTS_MAX {
            return 403;
        }
        if added > 0 && total - bindings.len() + kept + added > BINDINGS_MAX {
            return 503;
        }
        for (contact, lifetime) in contacts {
            let expires = self.now + u64::from(*lifetime);
            let bound = Bound { contact: *contact, call, cseq, expires, link };
            match bindings.iter().position(|binding| binding.contact == *contact) {
                Some(position) if *lifetime == 0 => drop(bindings.remove(position)),
                Some(position) => bindings[position] = bound,
                None if *lifetime > 0 => bindings.push(bound),
                None => {}
            }
        }
        200
    }

    fn remove_all(&mut self, user: u8, call: u8, cseq: u32) -> u16 {
        let bindings = self.users.entry(user).or_default();
        if bindings.iter().any(|binding| binding.call == call && cseq <= binding.cseq) {
            return 500;
        }
        bindings.clear();
        200
    }

    fn drop_links(&mut self, gone: impl Fn(u8) -> bool) {
        for bindings in self.users.values_mut() {
            bindings.retain(|binding| !gone(binding.link));
        }
    }
}

struct Real {
    registrar: Registrar,
    kept: BTreeMap<String, Record>,
}

fn fresh() -> Registrar {
    let config = RegistrarConfig {
        contacts_max: CONTACTS_MAX,
        bindings_max: BINDINGS_MAX,
        expires_min_s: EXPIRES_MIN_S,
        ..RegistrarConfig::default()
    };
    Registrar::new(config, [9; 16])
}

fn aor(user: u8) -> String {
    format!("u{user}@example.org")
}

/// Over a connection the contacts are such as only it reaches.
fn uri(contact: u8, link: u8) -> String {
    if link == 0 { format!("sip:c{contact}@10.0.0.1") } else { format!("sip:c{contact}@10.0.0.1;line={link}") }
}

impl Real {
    fn register(&mut self, now: u64, user: u8, call: u8, cseq: u32, link: u8, contacts: &str) -> (u16, Vec<String>) {
        let aor = aor(user);
        let text = format!(
            "REGISTER sip:example.org SIP/2.0\r\nFrom: <sip:{aor}>\r\nTo: <sip:{aor}>\r\nCall-ID: {call}\r\n\
             CSeq: {cseq} REGISTER\r\n{contacts}\r\n"
        );
        let transport = if link == 0 { Transport::Udp } else { Transport::Tcp };
        let remote = "192.0.2.1:5060".parse().expect("an address");
        let flow = Flow { worker: 0, link: LinkId(u32::from(link)), transport, remote };
        let request = Message::parse(text.as_bytes()).expect("well formed");
        let answer = self.registrar.register(Time::from_secs(now), &aor, flow, &request);
        let lines = answer.headers().lines().filter(|line| line.starts_with("Contact")).map(str::to_owned);
        (answer.status, lines.collect())
    }

    fn keep(&mut self) {
        while let Some(change) = self.registrar.poll_change() {
            match change {
                Change::Put { aor, record } => drop(self.kept.insert(aor.into(), record)),
                Change::Delete { aor } => drop(self.kept.remove(&*aor)),
            }
        }
    }

    fn restart(&mut self, now: u64) {
        self.registrar = fresh();
        for (aor, record) in &self.kept {
            self.registrar.restore(Time::from_secs(now), aor, record);
        }
    }
}

/// Does every step in both, and gives both answers to a registration.
fn both(model: &mut Model, real: &mut Real, step: Step) -> Result<(), TestCaseError> {
    let now = START + model.now;
    match step {
        Step::Register { user, call, cseq, link, contacts } => {
            let expected = model.register(real.registrar.len(), user, call, cseq, link, &contacts);
            let text: String = contacts
                .iter()
                .map(|(contact, lifetime)| format!("Contact: <{}>;expires={lifetime}\r\n", uri(*contact, link)))
                .collect();
            let (status, lines) = real.register(now, user, call, cseq, link, &text);
            prop_assert_eq!(status, expected);
            if status == 200 {
                let expected: Vec<String> = model.users[&user]
                    .iter()
                    .map(|b| format!("Contact: <{}>;expires={}", uri(b.contact, b.link), b.expires - model.now))
                    .collect();
                prop_assert_eq!(lines, expected);
            }
        }
        Step::RemoveAll { user, call, cseq } => {
            let expected = model.remove_all(user, call, cseq);
            let (status, _) = real.register(now, user, call, cseq, 0, "Contact: *\r\nExpires: 0\r\n");
            prop_assert_eq!(status, expected);
        }
        Step::Close { link } => {
            model.drop_links(|other| other == link);
            real.registrar.handle_flow_closed(LinkId(u32::from(link)));
        }
        Step::Wait { seconds } => {
            for _ in 0..seconds {
                model.now += 1;
                real.registrar.handle_timeout(Time::from_secs(START + model.now));
            }
            model.expire();
        }
        Step::Restart => {
            real.keep();
            model.drop_links(|link| link != 0);
            // What comes back is in the order of its last refresh.
            real.restart(now);
            real.keep();
            reorder(model, real);
        }
    }
    Ok(())
}

/// Puts the model's bindings in the order in which the registrar has them after a restart.
fn reorder(model: &mut Model, real: &Real) {
    for (user, bindings) in &mut model.users {
        let record = real.kept.get(&aor(*user)).map(|record| &record.0[..]).unwrap_or_default();
        bindings.sort_by_key(|b| record.iter().position(|kept| *kept.uri == *uri(b.contact, b.link)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_registrar_does_what_a_plain_list_does(steps in prop::collection::vec(step(), 1..60)) {
        let (mut model, mut real) = (Model::default(), Real { registrar: fresh(), kept: BTreeMap::new() });
        for step in steps {
            both(&mut model, &mut real, step)?;
            real.keep();
            let now = Time::from_secs(START + model.now);
            let expected: usize = model.users.values().map(Vec::len).sum();
            prop_assert!(real.registrar.len() >= expected);
            for (user, bindings) in &model.users {
                let aor = aor(*user);
                let mut there: Vec<String> = real.registrar.contacts(now, &aor).map(|c| c.uri.to_owned()).collect();
                let mut expected: Vec<String> = bindings.iter().map(|b| uri(b.contact, b.link)).collect();
                there.sort();
                expected.sort();
                prop_assert_eq!(there, expected);
                prop_assert_eq!(real.registrar.knows(now, &aor), !bindings.is_empty());
                let record = real.kept.get(&aor).map(|record| &record.0[..]).unwrap_or_default();
                let kept = record.iter().filter(|kept| u64::from(kept.expires) > START + model.now).count();
                prop_assert_eq!(kept, bindings.iter().filter(|binding| binding.link == 0).count());
            }
        }
        // In the end everything is gone, from the memory and from what is kept.
        for second in 0..70 {
            real.registrar.handle_timeout(Time::from_secs(START + model.now + 1_000 + second));
        }
        real.keep();
        prop_assert_eq!((real.registrar.len(), real.registrar.users(), real.registrar.poll_timeout()), (0, 0, None));
        prop_assert!(real.kept.is_empty());
    }

    #[test]
    fn no_contact_brings_a_registrar_down(
        contact in prop_oneof![".*", "<sip:[a-z@:;=<>\"%0-9.]{0,40}>[a-z;=<>\"*.0-9+-]{0,40}"],
        other in "[A-Za-z-]{1,9}: [ -~]{0,40}",
    ) {
        let text = format!(
            "REGISTER sip:h SIP/2.0\r\nFrom: <sip:u0@example.org>\r\nTo: <sip:u0@example.org>\r\n\
             Call-ID: 1\r\nCSeq: 1 REGISTER\r\n\
             Supported: gruu, outbound, path\r\n{other}\r\nContact: {contact}\r\n\r\n"
        );
        let mut registrar = fresh();
        let remote = "192.0.2.1:1".parse().expect("an address");
        let flow = Flow { worker: 0, link: LinkId(1), transport: Transport::Tcp, remote };
        if let Ok(request) = Message::parse(text.as_bytes()) {
            let answer = registrar.register(Time::from_secs(START), "u0@example.org", flow, &request);
            prop_assert!(answer.headers().is_empty() || answer.headers().ends_with("\r\n"));
            prop_assert!(!answer.headers().contains("\r\n\r\n"));
            for contact in registrar.contacts(Time::from_secs(START), "u0@example.org") {
                prop_assert!(!contact.uri.contains(['\r', '\n', ' ']));
            }
        }
    }
}
