//! Opening a data folder, and what an operator is told when it cannot be opened.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use sx_store::{CdrFilter, DataFolder, FolderError, SharedFolder};
use tempfile::tempdir;

#[test]
fn a_folder_is_created_for_its_owner_only() {
    let dir = tempdir().expect("a folder");
    let path = dir.path().join("a/b");
    let folder = DataFolder::open(&path).expect("the folder opens");
    assert_eq!(folder.path(), path);
    let mode = fs::metadata(&path).expect("a folder").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_folder_can_be_opened_again_when_it_was_closed() {
    let dir = tempdir().expect("a folder");
    let folder = DataFolder::open(dir.path()).expect("the folder opens");
    assert!(matches!(DataFolder::open(dir.path()), Err(FolderError::InUse { .. })));
    drop(folder);
    DataFolder::open(dir.path()).expect("the folder opens again");
}

#[test]
fn a_file_in_the_place_of_the_folder_is_named() {
    let dir = tempdir().expect("a folder");
    let path = dir.path().join("data");
    fs::write(&path, "a file").expect("a file");
    let error = DataFolder::open(&path).expect_err("it is a file").to_string();
    assert!(error.contains(&path.display().to_string()) && error.contains("move it away"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_created_is_named() {
    // Every Linux has this one, and not even root may create a folder there.
    let error = DataFolder::open("/proc/strowger".as_ref()).expect_err("no such folder can be").to_string();
    assert!(error.contains("/proc/strowger"), "{error}");
}

#[test]
fn call_records_of_a_folder_without_any_are_none() {
    let dir = tempdir().expect("a folder");
    let reader = SharedFolder::attach(dir.path()).expect("a folder").cdrs().expect("a reader");
    assert_eq!(reader.count(&CdrFilter::default()).expect("a count"), 0);
}
