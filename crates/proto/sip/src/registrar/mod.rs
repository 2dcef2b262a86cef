//! The registrar: where each user can be reached, and REGISTER (RFC 3261, 10.3) with Path (RFC 3327), Service-Route
//! (RFC 3608), outbound (RFC 5626) and GRUUs (RFC 5627).
//!
//! It deliberately does not know who may register: the caller has authenticated the user and says which address of
//! record is the user's. It sends nothing either. A REGISTER needs no server transaction: one that comes again, with
//! the Call-ID and the CSeq number of a binding it made, is answered with what is bound and changes nothing.
//!
//! The loop: hand in every REGISTER and every end of a connection, call [`Registrar::handle_timeout`] when
//! [`Registrar::poll_timeout`] says, and carry what [`Registrar::poll_change`] gives to where it is kept. Changes of
//! one user are drawn together until then.
//!
//! ```
//! use sx_engine::Time;
//! use sx_sip::message::Message;
//! use sx_sip::registrar::{Registrar, RegistrarConfig, Way};
//! use sx_types::{Flow, LinkId, Transport};
//! let mut registrar = Registrar::new(RegistrarConfig::default(), [7; 16]);
//! let request = Message::parse(&b"REGISTER sip:example.org SIP/2.0\r\n\
//!     Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nCall-ID: a1\r\nCSeq: 1 REGISTER\r\n\
//!     From: <sip:anna@example.org>;tag=1\r\nTo: <sip:anna@example.org>\r\n\
//!     Contact: <sip:anna@192.0.2.1>;expires=600\r\n\r\n"[..]).expect("well formed");
//! let remote = "192.0.2.1:5060".parse().expect("an address");
//! let flow = Flow { worker: 0, link: LinkId(1), transport: Transport::Udp, remote };
//! let now = Time::from_secs(1_800_000_000);
//!
//! let done = registrar.register(now, "anna@example.org", flow, &request);
//! assert_eq!(done.status, 200);
//! assert!(done.headers().starts_with("Contact: <sip:anna@192.0.2.1>;expires=600\r\n"));
//! let contact = registrar.contacts(now, "anna@example.org").next().expect("bound");
//! assert_eq!((contact.uri, contact.way), ("sip:anna@192.0.2.1", Way::Uri));
//! ```

mod answer;
mod binding;
mod gruu;
mod lookup;
mod record;
mod request;
mod table;
mod upkeep;

pub use answer::Registration;
pub use gruu::Gruu;
pub use record::{BindingRecord, Change, Record};
pub use request::{CONTACT_BYTES_MAX, INSTANCE_BYTES_MAX, PATH_BYTES_MAX, Refusal};

use crate::message::Message;
use answer::Carried;
use binding::{Binding, Parts};
use gruu::Keys;
use request::{Asked, Wants, Wish};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use sx_engine::Time;
use sx_types::Flow;
use table::Table;

/// What a registrar allows and offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrarConfig {
    /// The shortest lifetime of a binding; a shorter wish is answered 423, unless it is an hour or more.
    pub expires_min_s: u32,
    /// The longest lifetime of a binding; a longer wish is shortened.
    pub expires_max_s: u32,
    /// The lifetime when none is asked for.
    pub expires_default_s: u32,
    /// Contacts of one user. One request may speak of twice as many: as many to remove as to add.
    pub contacts_max: usize,
    /// Bindings of all users. Those that have expired count for up to a minute longer.
    pub bindings_max: usize,
    /// Hosts that in From and To stand for any user's domain: other names of the exchange, its addresses.
    pub domains: Vec<Box<str>>,
    /// The value of Service-Route in a 200.
    pub service_route: Option<Box<str>>,
    /// Are GRUUs given out?
    pub gruu: bool,
    /// May clients register flows?
    pub outbound: bool,
}

impl Default for RegistrarConfig {
    /// A minute to two hours, an hour by default; ten contacts a user, a million in all; everything offered.
    fn default() -> Self {
        Self {
            expires_min_s: 60,
            expires_max_s: 7_200,
            expires_default_s: 3_600,
            contacts_max: 10,
            bindings_max: 1_000_000,
            domains: Vec::new(),
            service_route: None,
            gruu: true,
            outbound: true,
        }
    }
}

impl RegistrarConfig {
    /// The option tags of what is offered.
    fn extensions(&self) -> impl Iterator<Item = &'static str> {
        [("path", true), ("outbound", self.outbound), ("gruu", self.gruu)]
            .into_iter()
            .filter_map(|(name, offered)| offered.then_some(name))
    }
}

/// What has happened since the registrar was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegistrarCounters {
    /// Bindings that were made.
    pub bound: u64,
    /// Bindings that were refreshed.
    pub refreshed: u64,
    /// Bindings that their client removed.
    pub removed: u64,
    /// Bindings whose time was over.
    pub expired: u64,
    /// Bindings that ended with their connection.
    pub disconnected: u64,
    /// Requests that came again.
    pub repeated: u64,
    /// Requests that were refused.
    pub refused: u64,
}

/// A place a user can be reached at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContactView<'a> {
    /// The contact: the request URI of what is sent there.
    pub uri: &'a str,
    /// What a Route header must say for it to be reached, with commas between the elements; empty for nothing.
    pub path: &'a str,
    /// The instance id of the device; empty for none. Of several flows to one device only one is tried at a time.
    pub instance: &'a str,
    /// The flow's number, of an outbound registration; zero for another.
    pub reg_id: u32,
    /// The priority in thousandths.
    pub q: u16,
    /// Seconds it has left.
    pub expires_s: u32,
    /// How it is reached.
    pub way: Way,
}

/// How a contact is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Where the first URI of the path leads, or, when that is empty, the contact's.
    Uri,
    /// Along this flow.
    Flow(Flow),
    /// By datagrams to this address, from the listening socket of its family: the flow is of an earlier run.
    Datagrams(SocketAddr),
}

/// Now, in seconds of which the fractions are given to the client.
#[derive(Clone, Copy, Debug)]
struct Moment {
    /// Rounded down: what expires after this is live.
    at: u32,
    /// Rounded up: what lifetimes count from.
    from: u32,
}

impl Moment {
    fn new(now: Time) -> Self {
        let seconds = |nanos: u64| u32::try_from(Time::from_nanos(nanos).as_secs()).unwrap_or(u32::MAX);
        Self { at: seconds(now.as_nanos()), from: seconds(now.as_nanos().saturating_add(999_999_999)) }
    }

    fn left(self, expires: u32) -> u32 {
        expires.saturating_sub(self.from).max(1)
    }
}

/// In how many steps, a second apart, all users are looked at for bindings that have expired.
const SWEEP_STEPS: u32 = 60;
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Different uses of the same text do not meet in one hash.
const USER: u64 = 1;
const CALL_ID: u64 = 2;

/// The bindings of one worker's users.
#[derive(Debug)]
pub struct Registrar {
    config: RegistrarConfig,
    keys: Keys,
    table: Table,
    updates: u32,
    /// Slots of users whose bindings have changed.
    changed: VecDeque<u32>,
    deleted: VecDeque<Box<str>>,
    sweep_at: Option<Time>,
    sweep_next: u32,
    counters: RegistrarCounters,
}

impl Registrar {
    /// A registrar without bindings. The key is secret and random. With the key of an earlier run, the temporary GRUUs
    /// of that run go on to lead to the bindings restored from it, and requests from before are known for old.
    pub fn new(config: RegistrarConfig, key: [u8; 16]) -> Self {
        let key = u128::from_be_bytes(key);
        Self {
            config,
            keys: Keys((key >> 64) as u64, key as u64),
            table: Table::default(),
            updates: 0,
            changed: VecDeque::new(),
            deleted: VecDeque::new(),
            sweep_at: None,
            sweep_next: 0,
            counters: RegistrarCounters::default(),
        }
    }

    /// From now on this is allowed and offered. Bindings that are there stay.
    pub fn configure(&mut self, config: RegistrarConfig) {
        self.config = config;
    }

    /// Carries out a REGISTER from the user with this address of record (`user@domain`, unescaped, the domain in lower
    /// case) that came along `flow`: all of it, or nothing when it is refused.
    pub fn register<B: AsRef<[u8]>>(&mut self, now: Time, aor: &str, flow: Flow, request: &Message<B>) -> Registration {
        let moment = Moment::new(now);
        let done =
            Asked::read(&self.config, aor, flow, request).and_then(|asked| self.carry_out(moment, aor, flow, &asked));
        if !self.is_empty() {
            self.sweep_at.get_or_insert(now + SWEEP_INTERVAL);
        }
        done.unwrap_or_else(|refusal| {
            self.counters.refused += 1;
            Registration::refused(&self.config, refusal)
        })
    }

    fn carry_out(&mut self, moment: Moment, aor: &str, flow: Flow, asked: &Asked<'_>) -> Result<Registration, Refusal> {
        let hash = self.keys.hash(USER, aor.as_bytes());
        let call = self.keys.hash(CALL_ID, asked.call_id);
        let mut slot = self.table.find(hash, aor);
        let verdict = judge(self.live(slot, moment), call, asked)?;
        let mut outbound = false;
        match (&asked.wants, verdict) {
            (Wants::Contacts(wishes), Verdict::New) => {
                self.check_room(slot, moment, wishes)?;
                outbound = wishes.iter().any(Wish::binds_flow);
                if wishes.iter().any(|wish| wish.lifetime > 0) {
                    slot.get_or_insert_with(|| self.table.insert(hash, aor));
                }
                self.change(slot, moment, |registrar, slot| {
                    wishes.iter().for_each(|wish| registrar.grant(slot, moment, call, flow, wish, asked));
                });
            }
            (Wants::RemoveAll, Verdict::New) => self.change(slot, moment, |registrar, slot| {
                registrar.counters.removed += registrar.table.unbind(slot, |_| false) as u64;
            }),
            (Wants::Contacts(wishes), Verdict::Repeated) => {
                outbound = wishes.iter().any(Wish::binds_flow);
                self.counters.repeated += 1;
            }
            (Wants::Nothing, _) | (Wants::RemoveAll, Verdict::Repeated) => {}
        }
        let carried = Carried {
            config: &self.config,
            aor,
            user_hash: hash,
            keys: self.keys,
            path: if asked.supports_path { &asked.path } else { "" },
            gruu: asked.supports_gruu,
            outbound,
        };
        let slot = self.table.find(hash, aor);
        Ok(carried.answer(moment, self.live(slot, moment)))
    }

    fn live(&self, slot: Option<u32>, moment: Moment) -> impl Iterator<Item = &Binding> {
        let entry = slot.and_then(|slot| self.table.get(slot));
        entry.into_iter().flat_map(|entry| &entry.bindings).filter(move |binding| binding.is_live(moment.at))
    }

    /// Is there room for what the request adds?
    fn check_room(&self, slot: Option<u32>, moment: Moment, wishes: &[Wish<'_>]) -> Result<(), Refusal> {
        let adds = |wish: &&Wish<'_>| wish.lifetime > 0 && !self.live(slot, moment).any(|binding| wish.names(binding));
        let added = wishes.iter().filter(adds).count();
        if added == 0 {
            return Ok(());
        }
        let removed = |binding: &&Binding| wishes.iter().any(|wish| wish.lifetime == 0 && wish.names(binding));
        let live = self.live(slot, moment).count();
        let kept = live - self.live(slot, moment).filter(removed).count();
        if kept + added > self.config.contacts_max {
            return Err(Refusal::TooManyContacts);
        }
        if self.table.bindings - (live - kept) + added > self.config.bindings_max {
            return Err(Refusal::Full);
        }
        Ok(())
    }

    /// Does what is asked for one contact.
    fn grant(&mut self, slot: u32, moment: Moment, call: u64, flow: Flow, wish: &Wish<'_>, asked: &Asked<'_>) {
        if wish.lifetime == 0 {
            self.counters.removed += self.table.unbind(slot, |binding| !wish.names(binding)) as u64;
            return;
        }
        self.updates = self.updates.wrapping_add(1);
        let parts = Parts {
            uri: wish.uri,
            path: &asked.path,
            instance: wish.instance,
            reg_id: if wish.outbound { wish.reg_id } else { 0 },
            q: wish.q,
            call,
            cseq: asked.cseq,
            expires: moment.from.saturating_add(wish.lifetime),
            updated: self.updates,
            reach: wish.reach,
            flow,
        };
        let bound = self.table.get(slot).and_then(|entry| entry.bindings.iter().position(|b| wish.names(b)));
        if let Some(position) = bound {
            self.table.rebind(slot, position, |binding| binding.update(&parts));
            self.counters.refreshed += 1;
        } else {
            self.table.bind(slot, Binding::new(&parts));
            self.counters.bound += 1;
        }
    }

    /// Changes the bindings of a user, when there is one.
    fn change(&mut self, slot: Option<u32>, moment: Moment, change: impl FnOnce(&mut Self, u32)) {
        let Some(slot) = slot else { return };
        self.expire(slot, moment);
        change(self, slot);
        self.settle(slot);
    }

    /// Removes the user's bindings whose time is over.
    fn expire(&mut self, slot: u32, moment: Moment) -> bool {
        let expired = self.table.unbind(slot, |binding| binding.is_live(moment.at));
        self.counters.expired += expired as u64;
        expired > 0
    }

    /// After a change: the user is to be kept anew, or is gone.
    fn settle(&mut self, slot: u32) {
        let Some(entry) = self.table.get_mut(slot) else { return };
        if entry.bindings.is_empty() {
            let hash = self.keys.hash(USER, entry.aor.as_bytes());
            self.deleted.extend(self.table.remove(hash, slot));
        } else if !entry.changed {
            entry.changed = true;
            self.changed.push_back(slot);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    New,
    Repeated,
}

/// Is the request newer than what it is about?
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
// Requests of one Call-ID are carried out in the order of their numbers; an older one fails and changes nothing.
fn judge<'b>(live: impl Iterator<Item = &'b Binding>, call: u64, asked: &Asked<'_>) -> Result<Verdict, Refusal> {
    let mut verdict = Verdict::New;
    for binding in live.filter(|binding| binding.call == call) {
        match &asked.wants {
            Wants::RemoveAll if asked.cseq <= binding.cseq => return Err(Refusal::OutOfOrder),
            Wants::Contacts(wishes) if wishes.iter().any(|wish| wish.names(binding)) => {
                if asked.cseq < binding.cseq {
                    return Err(Refusal::OutOfOrder);
                }
                if asked.cseq == binding.cseq {
                    verdict = Verdict::Repeated;
                }
            }
            _ => {}
        }
    }
    Ok(verdict)
}
