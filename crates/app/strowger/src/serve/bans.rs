//! Bans by operators, kept in the data folder until they end: a restart lets nobody in again.
//!
//! What is in force stands with the workers; here is what the next start tells them. A ban that the disk does not take is in
//! force all the same, and is written as soon as the disk takes anything.
//!
//! Ends are kept as the wall clock shows them, for another process is to understand them; workers are told them in the time of
//! this process, which no step of the wall clock changes.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use sx_edge::{Prefixes, Source};
use sx_engine::Time;
use sx_store::{DataFolder, JournalError, JournalOptions, KeyedLog, SyncPolicy};
use tracing::{error, info};

/// The folder in the data folder.
const FOLDER: &str = "bans";
/// Bans that may stand at a time, where workers remember sources enough: each start tells every worker of all.
const BANS_MAX: usize = 4_096;
/// Of the sources that a worker remembers, every fourth may be banned by operators, so that they do not push each other out.
const SOURCES_A_BAN: usize = 4;
/// Changes that may wait for room in the journal, which itself has room for many more; beyond, the oldest is given up.
const OWED_MAX: usize = 2 * BANS_MAX;

/// The bans that operators have asked for.
pub struct Bans {
    prefixes: Prefixes,
    max: usize,
    kept: Mutex<Kept>,
}

struct Kept {
    log: KeyedLog<Ban>,
    bans: BTreeMap<Source, Ban>,
    /// What the journal has yet to take, in this order: a ban, or that there is none.
    owed: VecDeque<(IpAddr, Option<Ban>)>,
    /// Something has yet to be written.
    waiting: bool,
}

/// A ban as the log has it, under the text of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ban {
    address: IpAddr,
    /// By the wall clock.
    until_ns: u64,
}

/// What has become of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is on the disk.
    Now,
    /// The disk does not take it; it is tried again.
    Later,
}

/// There are as many bans as may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{max} bans of operators stand; end one first")]
pub struct TooMany {
    /// How many may stand.
    max: usize,
}

impl Bans {
    /// Opens what was kept; what has ended by the `wall` clock is forgotten. `prefixes` say what counts as one source,
    /// `sources_max` how many of them a worker remembers.
    ///
    /// # Errors
    /// When the folder or a file in it cannot be read.
    pub fn open(data: &DataFolder, prefixes: Prefixes, sources_max: usize, wall: Time) -> Result<Self, JournalError> {
        let options = JournalOptions { sync: SyncPolicy::EveryCommit, ..JournalOptions::default() };
        let (log, entries) = data.keyed::<Ban>(FOLDER, &options)?;
        let mut kept = Kept { log, bans: BTreeMap::new(), owed: VecDeque::new(), waiting: false };
        for (_, ban) in entries {
            kept.restore(Source::of(ban.address, &prefixes), ban);
        }
        kept.forget_ended(wall);
        kept.write();
        if !kept.bans.is_empty() {
            info!(bans = kept.bans.len(), "bans of operators are restored");
        }
        Ok(Self { prefixes, max: BANS_MAX.min(sources_max / SOURCES_A_BAN), kept: Mutex::new(kept) })
    }

    /// Keeps a ban for so long from now on, which is `wall`. One of the same source that stands already gets this end.
    ///
    /// # Errors
    /// When there are too many: nothing is changed then.
    pub fn ban(&self, wall: Time, address: IpAddr, duration: Duration) -> Result<Written, TooMany> {
        let (source, mut kept) = (Source::of(address, &self.prefixes), self.locked());
        kept.forget_ended(wall);
        if kept.bans.len() >= self.max && !kept.bans.contains_key(&source) {
            return Err(TooMany { max: self.max });
        }
        kept.put(source, Ban { address, until_ns: (wall + duration).as_nanos() });
        Ok(kept.write())
    }

    /// Forgets the ban of a source, if there is one.
    pub fn unban(&self, address: IpAddr) -> Written {
        let mut kept = self.locked();
        kept.forget(Source::of(address, &self.prefixes));
        kept.write()
    }

    /// Who is banned, and until when by the time of this process, which is `now` when the wall clock shows `wall`.
    pub fn standing(&self, now: Time, wall: Time) -> Vec<(IpAddr, Time)> {
        let bans = self.locked().bans.values().copied().collect::<Vec<_>>();
        let left = |ban: &Ban| Time::from_nanos(ban.until_ns).since(wall);
        let standing = bans.iter().map(|ban| (ban.address, left(ban))).filter(|(_, left)| !left.is_zero());
        standing.map(|(address, left)| (address, now + left)).collect()
    }

    /// Tries again to write what has yet to be written. To be called now and then.
    pub fn catch_up(&self) {
        let mut kept = self.locked();
        if kept.waiting {
            kept.write();
        }
    }

    /// As while its disk hangs, as long as what is returned is kept.
    #[cfg(test)]
    pub fn hold(&self) -> impl Sized + '_ {
        self.locked()
    }

    /// A thread that panics ends the process; what it leaves behind is read by nobody.
    fn locked(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Takes a ban that was kept. Of those that are of one source now, as networks were smaller then, the longest holds.
    fn restore(&mut self, source: Source, ban: Ban) {
        let Some(other) = self.bans.insert(source, ban) else { return };
        let (longer, shorter) = if other.until_ns > ban.until_ns { (other, ban) } else { (ban, other) };
        self.bans.insert(source, longer);
        self.delete(shorter.address);
    }

    fn put(&mut self, source: Source, ban: Ban) {
        self.owe(ban.address, Some(ban));
        // Last, for a write may be torn: better two bans of one source than none.
        if let Some(other) = self.bans.insert(source, ban).filter(|other| other.address != ban.address) {
            self.delete(other.address);
        }
    }

    fn forget(&mut self, source: Source) {
        if let Some(ban) = self.bans.remove(&source) {
            self.delete(ban.address);
        }
    }

    fn delete(&mut self, address: IpAddr) {
        self.owe(address, None);
    }

    fn owe(&mut self, address: IpAddr, change: Option<Ban>) {
        self.owed.push_back((address, change));
        if self.owed.len() > OWED_MAX && !self.append() && self.owed.pop_front().is_some() {
            error!("too many changes of bans wait for their journal; the next start does not know of the oldest");
        }
    }

    fn forget_ended(&mut self, wall: Time) {
        let ended = self.bans.iter().filter(|(_, ban)| Time::from_nanos(ban.until_ns) <= wall);
        let ended: Vec<Source> = ended.map(|(source, _)| *source).collect();
        ended.into_iter().for_each(|source| self.forget(source));
    }

    fn write(&mut self) -> Written {
        let mut taken = self.append();
        let mut result = self.log.commit();
        if !taken && result.is_ok() {
            // There is room again.
            taken = self.append();
            result = self.log.commit();
        }
        if let (Err(error), false) = (&result, self.waiting) {
            error!(%error, "bans of operators cannot be written; they are in force, and it is tried again");
        }
        self.waiting = !taken || result.is_err();
        if self.waiting { Written::Later } else { Written::Now }
    }

    /// Hands to the journal what it has yet to take. False: it has no room for all of it.
    fn append(&mut self) -> bool {
        while let Some((address, change)) = self.owed.front() {
            let key = address.to_string();
            let appended = match change {
                Some(ban) => self.log.put(&key, ban),
                None => self.log.delete(&key),
            };
            if let Err(error) = appended {
                if !self.waiting {
                    error!(%error, "a change of a ban finds no room in its journal; it is tried again");
                }
                return false;
            }
            self.owed.pop_front();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::{TempDir, tempdir};

    const NOW: Time = Time::from_secs(1_800_000_000);

    fn later(seconds: u64) -> Time {
        NOW + Duration::from_secs(seconds)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn open(folder: &TempDir, now: Time) -> Bans {
        let data = DataFolder::open(folder.path()).expect("a folder");
        Bans::open(&data, Prefixes { ipv4_bits: 32, ipv6_bits: 64 }, 262_144, now).expect("it opens")
    }

    /// Where the wall clock was never set.
    fn standing(bans: &Bans, now: Time) -> Vec<(IpAddr, Time)> {
        bans.standing(now, now)
    }

    #[test]
    fn a_ban_is_told_in_the_time_of_the_process_and_kept_in_that_of_the_wall_clock() {
        let folder = tempdir().expect("a folder");
        let bans = open(&folder, NOW);
        assert_eq!(bans.ban(NOW, ip("192.0.2.1"), Duration::from_secs(600)), Ok(Written::Now));
        let of_process = Time::from_secs(1_700_000_000);
        let until = of_process + Duration::from_secs(540);
        assert_eq!(bans.standing(of_process, later(60)), [(ip("192.0.2.1"), until)]);
        assert_eq!(bans.standing(of_process, later(600)), []);
    }

    #[test]
    fn a_ban_outlives_the_process_until_it_ends() {
        let folder = tempdir().expect("a folder");
        let bans = open(&folder, NOW);
        for (address, seconds) in [("192.0.2.1", 60), ("192.0.2.2", 600), ("192.0.2.3", 600), ("192.0.2.2", 900)] {
            assert_eq!(bans.ban(NOW, ip(address), Duration::from_secs(seconds)), Ok(Written::Now));
        }
        assert_eq!(bans.unban(ip("192.0.2.3")), Written::Now);
        drop(bans);
        let bans = open(&folder, later(30));
        let both = [(ip("192.0.2.1"), later(60)), (ip("192.0.2.2"), later(900))];
        assert_eq!(standing(&bans, later(30)), both);
        assert_eq!(standing(&bans, later(60)), both[1..]);
        drop(bans);
        let bans = open(&folder, later(900));
        assert_eq!(standing(&bans, NOW), [], "what has ended is forgotten, and not only left out");
    }

    #[test]
    fn whoever_changes_its_address_within_its_network_stays_banned_and_is_let_in_by_any_of_them() {
        let folder = tempdir().expect("a folder");
        let bans = open(&folder, NOW);
        for address in ["2001:db8::1", "2001:db8::2"] {
            assert_eq!(bans.ban(NOW, ip(address), Duration::from_secs(600)), Ok(Written::Now));
        }
        assert_eq!(standing(&bans, NOW), [(ip("2001:db8::2"), later(600))]);
        bans.unban(ip("2001:db8::3"));
        drop(bans);
        assert_eq!(standing(&open(&folder, NOW), NOW), []);
    }

    #[test]
    fn there_are_so_many_and_no_more() {
        let folder = tempdir().expect("a folder");
        let bans = open(&folder, NOW);
        let address = |number: usize| IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number as u32));
        {
            let mut kept = bans.locked();
            for number in 0..BANS_MAX {
                let ban = Ban { address: address(number), until_ns: later(60 + number as u64).as_nanos() };
                kept.put(Source::of(ban.address, &bans.prefixes), ban);
            }
        }
        assert_eq!(bans.ban(NOW, address(BANS_MAX), Duration::from_secs(60)), Err(TooMany { max: BANS_MAX }));
        assert_eq!(
            bans.ban(NOW, address(7), Duration::from_secs(600)),
            Ok(Written::Now),
            "one that stands may be changed"
        );
        assert_eq!(bans.ban(later(60), address(BANS_MAX), Duration::from_secs(600)), Ok(Written::Now), "one has ended");
    }

    #[test]
    fn a_ban_that_the_disk_does_not_take_is_written_later() {
        let folder = tempdir().expect("a folder");
        let bans = open(&folder, NOW);
        let (journal, away) = (folder.path().join(FOLDER), folder.path().join("away"));
        std::fs::rename(&journal, &away).expect("it moves");
        assert_eq!(bans.ban(NOW, ip("192.0.2.1"), Duration::from_secs(600)), Ok(Written::Later));
        assert_eq!(standing(&bans, NOW).len(), 1);
        bans.catch_up();
        assert!(bans.locked().waiting);
        std::fs::rename(&away, &journal).expect("it moves");
        bans.catch_up();
        drop(bans);
        assert_eq!(standing(&open(&folder, NOW), NOW), [(ip("192.0.2.1"), later(600))]);
    }

    #[test]
    fn of_two_bans_that_become_one_the_longer_holds_and_the_other_is_forgotten() {
        let folder = tempdir().expect("a folder");
        let bans = open(&folder, NOW);
        for (address, seconds) in [("192.0.2.1", 900), ("192.0.2.2", 600), ("192.0.2.3", 800)] {
            assert_eq!(bans.ban(NOW, ip(address), Duration::from_secs(seconds)), Ok(Written::Now));
        }
        drop(bans);
        let wider = |now| {
            let data = DataFolder::open(folder.path()).expect("a folder");
            Bans::open(&data, Prefixes { ipv4_bits: 24, ipv6_bits: 64 }, 262_144, now).expect("it opens")
        };
        let bans = wider(NOW);
        assert_eq!(standing(&bans, NOW), [(ip("192.0.2.1"), later(900))]);
        assert_eq!(bans.unban(ip("192.0.2.9")), Written::Now);
        drop(bans);
        assert_eq!(standing(&wider(NOW), NOW), [], "who was let in stays so");
    }

    #[test]
    fn a_write_that_is_torn_leaves_the_older_ban() {
        let folder = tempdir().expect("a folder");
        let bans = open(&folder, NOW);
        for seconds in [600, 900] {
            assert_eq!(bans.ban(NOW, ip("192.0.2.1"), Duration::from_secs(seconds)), Ok(Written::Now));
        }
        drop(bans);
        let segment = std::fs::read_dir(folder.path().join(FOLDER)).expect("a folder").next().expect("a file");
        let file = std::fs::File::options().write(true).open(segment.expect("a file").path()).expect("it opens");
        file.set_len(file.metadata().expect("a length").len() - 1).expect("it is cut");
        assert_eq!(standing(&open(&folder, NOW), NOW), [(ip("192.0.2.1"), later(600))]);
    }

    #[test]
    fn what_the_journal_has_no_room_for_is_written_when_it_has() {
        let folder = tempdir().expect("a folder");
        let bans = open(&folder, NOW);
        assert_eq!(bans.ban(NOW, ip("192.0.2.1"), Duration::from_secs(600)), Ok(Written::Now));
        let (journal, away) = (folder.path().join(FOLDER), folder.path().join("away"));
        drop(bans);
        let bans = open(&folder, NOW);
        std::fs::rename(&journal, &away).expect("it moves");
        for bytes in [1 << 19, 1 << 9, 1] {
            while bans.locked().log.delete(&"x".repeat(bytes)).is_ok() {}
        }
        assert_eq!(bans.ban(NOW, ip("192.0.2.2"), Duration::from_secs(600)), Ok(Written::Later));
        assert_eq!(bans.unban(ip("192.0.2.1")), Written::Later);
        std::fs::rename(&away, &journal).expect("it moves");
        bans.catch_up();
        assert!(!bans.locked().waiting);
        drop(bans);
        assert_eq!(standing(&open(&folder, NOW), NOW), [(ip("192.0.2.2"), later(600))]);
    }

    #[test]
    fn there_are_no_more_than_workers_can_remember_beside_others() {
        let folder = tempdir().expect("a folder");
        let data = DataFolder::open(folder.path()).expect("a folder");
        let bans = Bans::open(&data, Prefixes::default(), 8, NOW).expect("it opens");
        let ban = |address: &str| bans.ban(NOW, ip(address), Duration::from_secs(600));
        assert_eq!([ban("192.0.2.1"), ban("192.0.2.2")], [Ok(Written::Now); 2]);
        assert_eq!(ban("192.0.2.3"), Err(TooMany { max: 2 }));
    }
}
