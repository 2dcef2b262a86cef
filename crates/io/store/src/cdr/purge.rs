//! Removes records of calls that were kept long enough, a few in one transaction, so that nobody waits long for it.

use super::{Folding, locked, table};
use crate::journal::add;
use crate::{DatabaseError, OpenDatabaseError, SharedFolder};
use sx_engine::Time;

/// What one transaction removes at most.
const CALLS_MAX: u64 = 1_000;

/// Why records were not removed.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenDatabaseError),
    /// The database refused. What was removed before stays so.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Turns that together remove all that is too old.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// Calls removed so far.
    calls: u64,
    failing: bool,
}

impl Folding {
    /// Removes some of the records that have been kept long enough at `now`, in nanoseconds since the Unix epoch.
    pub(super) fn purge(&self, now: u64) {
        let Some(keep) = *locked(&self.keep) else { return };
        let before = now.saturating_sub(u64::try_from(keep.as_nanos()).unwrap_or(u64::MAX));
        let folder = &mut *locked(&self.folder);
        let purged = folder.database.begin().and_then(|transaction| {
            let purged = transaction.purge(before, CALLS_MAX)?;
            if purged > 0 {
                transaction.commit()?;
            }
            Ok(purged)
        });
        let sweep = &mut folder.purge;
        match purged {
            Ok(purged) => {
                sweep.failing = false;
                sweep.calls += purged;
                add(&self.counters.calls_purged, purged);
                // The turn that finds fewer than it could take is the last.
                if purged < CALLS_MAX && sweep.calls > 0 {
                    let calls = std::mem::take(&mut sweep.calls);
                    tracing::info!(calls, before = %Time::from_nanos(before), "old call detail records were removed");
                }
            }
            Err(error) if !std::mem::replace(&mut sweep.failing, true) => {
                tracing::error!(%error, "old call detail records stay for now");
            }
            Err(_) => {}
        }
    }
}

impl SharedFolder {
    /// Removes the records of calls that came before a time, in nanoseconds since the Unix epoch, also while an
    /// exchange runs on the folder. How many calls that were.
    ///
    /// # Errors
    /// When the database cannot be opened or written.
    pub fn purge_cdrs(&self, before: u64) -> Result<u64, PurgeError> {
        let path = self.path().join(table::FILE);
        if !path.exists() {
            return Ok(0);
        }
        let mut connection = table::open(&path)?;
        let mut calls = 0;
        loop {
            let turn = connection
                .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
                .and_then(|transaction| {
                    let purged = table::purge(&transaction, before, CALLS_MAX)?;
                    transaction.commit().map(|()| purged)
                })
                .map_err(DatabaseError::at("remove old call detail records from", &path))?;
            calls += turn;
            if turn < CALLS_MAX {
                return Ok(calls);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{begun, crashed, ended, open, options, write};
    use super::super::{CdrStore, DataFolder};
    use super::*;
    use crate::cdr::CdrFilter;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;
    use sx_call::CallRecord;
    use tempfile::tempdir;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn old_records_go_a_few_at_a_time_and_young_ones_stay() {
        let dir = tempdir().expect("a folder");
        let (folder, mut store, _) = open(dir.path());
        let mut writer = store.writer("w").expect("a writer");
        let calls = 2 * CALLS_MAX + 5;
        for number in 0..calls {
            write(&mut writer, &[CallRecord::Ended(ended(number))]);
        }
        store.fold().expect("folded");
        let reader = folder.shared().cdrs().expect("a reader");
        let left = || reader.count(&CdrFilter::default()).expect("a count");
        // Two calls are a day old at this moment or younger.
        let now = begun(calls - 2).start + DAY.as_nanos() as u64;
        store.folding.purge(now);
        assert_eq!(left(), calls, "kept for ever");
        store.keep(Some(DAY));
        for expected in [calls - CALLS_MAX, calls - 2 * CALLS_MAX, 2, 2] {
            store.folding.purge(now);
            assert_eq!(left(), expected);
        }
        assert_eq!(store.counters().calls_purged.load(Ordering::Relaxed), calls - 2);
        let kept = reader.list(&CdrFilter::default()).expect("the calls");
        assert_eq!(kept.iter().map(|cdr| cdr.call).collect::<Vec<_>>(), [begun(calls - 2).call, begun(calls - 1).call]);
        assert!(kept.iter().all(|cdr| cdr.attempts.len() == 2), "attempts stay with their call");
        let attempts = "SELECT count(*) FROM cdr_attempt";
        let connection = table::open(&dir.path().join(table::FILE)).expect("opens");
        let attempts: i64 = connection.query_row(attempts, [], |row| row.get(0)).expect("a count");
        assert_eq!(attempts, 4, "and go with it");
    }

    #[test]
    fn the_age_of_a_record_is_told_by_the_clock_it_was_made_by() {
        // The wall clock was set after the start: it is years ahead of the exchange's time, or years behind.
        for away in [0, 50 * 365 * DAY.as_nanos() as u64] {
            let dir = tempdir().expect("a folder");
            let folder = DataFolder::open(dir.path()).expect("the folder opens");
            let clock = Arc::new(AtomicU64::new(away));
            let shared = Arc::clone(&clock);
            let now = move || Time::from_nanos(shared.load(Ordering::Relaxed));
            let options = super::super::CdrOptions { keep: Some(DAY), ..options() };
            let (mut store, _) = CdrStore::open(&folder, &options, now).expect("the store opens");
            let mut writer = store.writer("w").expect("a writer");
            let mut cdr = ended(0);
            cdr.start = away;
            write(&mut writer, &[CallRecord::Ended(cdr)]);
            let left = || folder.shared().cdrs().expect("a reader").count(&CdrFilter::default()).expect("a count");
            for (passed, expected) in [(0, 1), (DAY.as_nanos() as u64, 1), (1, 0)] {
                clock.fetch_add(passed, Ordering::Relaxed);
                store.folding.round();
                assert_eq!(left(), expected, "{away} {passed}");
            }
        }
    }

    #[test]
    fn another_process_purges_while_a_store_writes() {
        let dir = tempdir().expect("a folder");
        let (folder, mut store, _) = open(dir.path());
        assert_eq!(options().keep, None);
        let mut writer = store.writer("w").expect("a writer");
        write(&mut writer, &[CallRecord::Ended(ended(0)), CallRecord::Ended(ended(1))]);
        store.fold().expect("folded");
        let shared = folder.shared();
        assert_eq!(shared.purge_cdrs(begun(1).start).expect("purged"), 1);
        write(&mut writer, &[CallRecord::Ended(ended(2))]);
        store.fold().expect("folded");
        assert_eq!(shared.purge_cdrs(begun(0).start).expect("purged"), 0);
        assert_eq!(shared.cdrs().expect("a reader").count(&CdrFilter::default()).expect("a count"), 2);
    }

    #[test]
    fn a_call_that_was_removed_stays_removed_when_its_segment_is_read_again() {
        let dir = tempdir().expect("a folder");
        let (folder, mut store, _) = open(dir.path());
        let mut writer = store.writer("w").expect("a writer");
        // The calls 0 and 3 go on while 1 and 2 come to their end.
        write(&mut writer, &[CallRecord::Begun(begun(0)), CallRecord::Ended(ended(1)), CallRecord::Ended(ended(2))]);
        write(&mut writer, &[CallRecord::Begun(begun(3))]);
        store.fold().expect("folded");
        assert_eq!(folder.shared().purge_cdrs(begun(2).start).expect("purged"), 1);
        let numbers = |folder: &DataFolder| {
            let calls = folder.shared().cdrs().expect("a reader").list(&CdrFilter::default()).expect("the calls");
            calls.iter().map(|cdr| ((cdr.start - begun(0).start) / 1_000_000_000, cdr.cause.0)).collect::<Vec<_>>()
        };
        let copy = crashed(dir.path());
        let (copied, store, recovery) = open(copy.path());
        assert_eq!((numbers(&copied), recovery.calls_cut_off), (vec![(0, 41), (2, 16), (3, 41)], 2));
        drop((store, copied));
        // What was not folded yet is not lost, however old it is.
        write(&mut writer, &[CallRecord::Ended(ended(0)), CallRecord::Ended(ended(4))]);
        let copy = crashed(dir.path());
        let (copied, mut store, _) = open(copy.path());
        assert_eq!(numbers(&copied), [(0, 16), (2, 16), (3, 41), (4, 16)]);
        // The next segment begins anew.
        let mut writer = store.writer("w").expect("a writer");
        write(&mut writer, &[CallRecord::Ended(ended(5))]);
        store.fold().expect("folded");
        assert_eq!(numbers(&copied), [(0, 16), (2, 16), (3, 41), (4, 16), (5, 16)]);
    }

    #[test]
    fn a_folder_without_records_has_nothing_to_purge() {
        let dir = tempdir().expect("a folder");
        let shared = SharedFolder::attach(dir.path()).expect("a folder");
        assert_eq!(shared.purge_cdrs(u64::MAX).expect("purged"), 0);
        assert!(!dir.path().join(table::FILE).exists());
    }
}
