//! The journals of bindings, one a worker, and their redistribution when the number of workers has changed.

use anyhow::Context;
use std::collections::HashMap;
use std::fs;
use sx_exchange::keeper_of;
use sx_sip::registrar::Record;
use sx_store::{DataFolder, JournalOptions, KeyedLog};
use tracing::info;

/// A worker's journal and what it holds: addresses of record and their bindings.
pub type Kept = (KeyedLog<Record>, Vec<(String, Record)>);

const PREFIX: &str = "bindings-";

/// So many changes are written at a time.
const LOT: usize = 1_000;

/// Opens the journal of each worker, with the bindings of the users that it keeps now. A binding that another journal
/// holds, because there were more workers or fewer, is taken over: it is written here before it is removed there, so
/// that a crash between the two leaves it twice and not nowhere.
///
/// # Errors
/// When a journal cannot be read or written.
pub fn open(data: &DataFolder, workers: u16) -> anyhow::Result<Vec<Kept>> {
    let journal = |number| -> anyhow::Result<Kept> {
        Ok(data.keyed::<Record>(&format!("{PREFIX}{number}"), &JournalOptions::default())?)
    };
    let mut kept = (0..workers).map(journal).collect::<anyhow::Result<Vec<Kept>>>()?;
    let former = former(data, workers)?;
    let mut strays: HashMap<String, Record> = HashMap::new();
    let mut moved: Vec<(usize, String)> = Vec::new();
    for (number, (_, entries)) in kept.iter_mut().enumerate() {
        for (aor, record) in entries.extract_if(.., |(aor, _)| usize::from(keeper_of(aor, workers)) != number) {
            moved.push((number, aor.clone()));
            take_later(&mut strays, aor, record);
        }
    }
    for number in &former {
        let (_, entries) = journal(*number)?;
        entries.into_iter().for_each(|(aor, record)| take_later(&mut strays, aor, record));
    }
    if !strays.is_empty() {
        info!(users = strays.len(), workers, "the number of workers has changed: bindings go to their new keepers");
    }
    take_over(&mut kept, strays, workers)?;
    for (count, (number, aor)) in moved.into_iter().enumerate() {
        kept[number].0.delete(&aor)?;
        if count % LOT == LOT - 1 {
            commit(&mut kept)?;
        }
    }
    commit(&mut kept)?;
    for number in former {
        let folder = data.path().join(format!("{PREFIX}{number}"));
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(kept)
}

/// The numbers of journals whose workers are no more.
fn former(data: &DataFolder, workers: u16) -> anyhow::Result<Vec<u16>> {
    let folder = fs::read_dir(data.path()).with_context(|| format!("cannot list {}", data.path().display()))?;
    let names = folder.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names = names.collect::<std::io::Result<Vec<String>>>()?;
    let numbers = names.iter().filter_map(|name| name.strip_prefix(PREFIX)?.parse::<u16>().ok());
    Ok(numbers.filter(|number| *number >= workers).collect())
}

/// Of two records of a user that neither stand where they belong, the one that lives longer is the later one.
fn take_later(strays: &mut HashMap<String, Record>, aor: String, record: Record) {
    let end = |record: &Record| record.0.iter().map(|binding| binding.expires).max();
    if strays.get(&aor).is_none_or(|known| end(known) < end(&record)) {
        strays.insert(aor, record);
    }
}

/// Writes bindings where they belong. Who has bindings there already has registered since, and keeps those.
fn take_over(kept: &mut [Kept], strays: HashMap<String, Record>, workers: u16) -> anyhow::Result<()> {
    // What a journal gave when it was opened is in order; what is added here is not there twice.
    let own: Vec<usize> = kept.iter().map(|(_, entries)| entries.len()).collect();
    for (count, (aor, record)) in strays.into_iter().enumerate() {
        let keeper = usize::from(keeper_of(&aor, workers));
        let (log, entries) = &mut kept[keeper];
        if entries[..own[keeper]].binary_search_by(|(known, _)| known.cmp(&aor)).is_err() {
            log.put(&aor, &record)?;
            entries.push((aor, record));
        }
        if count % LOT == LOT - 1 {
            commit(kept)?;
        }
    }
    commit(kept)
}

fn commit(kept: &mut [Kept]) -> anyhow::Result<()> {
    kept.iter_mut().try_for_each(|(log, _)| log.commit()).context("cannot write a journal of bindings")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sx_sip::registrar::BindingRecord;

    fn record(user: usize, expires: u32) -> Record {
        let uri = format!("sip:u{user}@192.0.2.9");
        let json = format!("[{{\"u\":\"{uri}\",\"e\":{expires},\"c\":1,\"s\":1}}]");
        serde_json::from_str(&json).expect("a record")
    }

    fn users(kept: &[Kept]) -> Vec<Vec<String>> {
        let sorted = |(_, entries): &Kept| {
            let mut users: Vec<String> = entries.iter().map(|(aor, _)| aor.clone()).collect();
            users.sort();
            users
        };
        kept.iter().map(sorted).collect()
    }

    #[test]
    fn bindings_go_to_their_keepers_when_the_number_of_workers_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataFolder::open(folder.path()).expect("a data folder");
        let all: Vec<String> = (0..2_500).map(|user| format!("u{user}@example.org")).collect();
        let mut kept = open(&data, 2).expect("it opens");
        for (user, aor) in all.iter().enumerate() {
            kept[usize::from(keeper_of(aor, 2))].0.put(aor, &record(user, 9)).expect("it is kept");
            commit(&mut kept).expect("it is written");
        }
        drop(kept);
        for workers in [5, 3, 1, 1, 4] {
            let kept = open(&data, workers).expect("it opens");
            for (number, users) in users(&kept).iter().enumerate() {
                assert!(users.iter().all(|aor| usize::from(keeper_of(aor, workers)) == number), "{workers} workers");
            }
            let mut found = users(&kept).concat();
            found.sort();
            let mut expected = all.clone();
            expected.sort();
            assert_eq!(found, expected, "with {workers} workers each is there once");
            assert_eq!(former(&data, workers).expect("a folder"), [0_u16; 0]);
            // What the next start finds is what this one has handed out.
            let seen = users(&kept);
            drop(kept);
            assert_eq!(users(&open(&data, workers).expect("it opens")), seen);
        }
    }

    #[test]
    fn of_several_records_of_a_user_the_keepers_own_stands_and_then_the_latest() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataFolder::open(folder.path()).expect("a data folder");
        let (anna, bert) = ("anna@example.org", "bert@example.org");
        for (number, expires) in [(0, 100), (1, 300), (2, 200)] {
            let name = format!("{PREFIX}{number}");
            let (mut log, _) = data.keyed::<Record>(&name, &JournalOptions::default()).expect("a journal");
            let own = usize::from(keeper_of(anna, 2)) == number;
            log.put(anna, &record(number, if own { 50 } else { expires })).expect("it is kept");
            if usize::from(keeper_of(bert, 2)) != number {
                log.put(bert, &record(number, expires)).expect("it is kept");
            }
            log.commit().expect("it is written");
        }
        let kept = open(&data, 2).expect("it opens");
        let of = |aor: &str| -> Vec<BindingRecord> {
            let entries = kept.iter().flat_map(|(_, entries)| entries);
            entries.filter(|(known, _)| known == aor).flat_map(|(_, record)| record.0.clone()).collect()
        };
        assert_eq!(of(anna).iter().map(|binding| binding.expires).collect::<Vec<_>>(), [50]);
        let latest = if keeper_of(bert, 2) == 1 { 200 } else { 300 };
        assert_eq!(of(bert).iter().map(|binding| binding.expires).collect::<Vec<_>>(), [latest]);
    }
}
