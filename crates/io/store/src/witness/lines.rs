//! The file of checkpoints, to which whole lines are appended: what could not be written whole is taken back, and what somebody else
//! has left there without an end is ended first.

use crate::FileError;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

/// A file of lines, written by one thread.
#[derive(Debug)]
pub(crate) struct Lines {
    path: PathBuf,
    /// What is behind this is part of a line, and could not be taken back yet.
    whole_up_to: Option<u64>,
}

impl Lines {
    pub(crate) fn of(path: PathBuf) -> Self {
        Self { path, whole_up_to: None }
    }

    /// Appends lines, and has them on the disk.
    pub(crate) fn append(&mut self, lines: &[u8]) -> Result<(), FileError> {
        let opened = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path);
        let done = opened.and_then(|mut file| self.append_to(&mut file, lines));
        done.map_err(FileError::at("write", &self.path))
    }

    fn append_to(&mut self, file: &mut impl Appended, lines: &[u8]) -> io::Result<()> {
        if let Some(whole) = self.whole_up_to {
            file.cut(whole)?;
            self.whole_up_to = None;
        }
        let before = file.length()?;
        // What may not be on the disk is taken back as well: no more than one append is ever in doubt.
        let ended = match before.checked_sub(1) {
            Some(last) if file.byte_at(last)? != b'\n' => &[b"\n", lines].concat(),
            _ => lines,
        };
        let done = file.add(ended).and_then(|()| file.sync());
        if done.is_err() && file.cut(before).is_err() {
            self.whole_up_to = Some(before);
        }
        done
    }
}

/// What is done to the file.
trait Appended {
    fn length(&self) -> io::Result<u64>;
    fn byte_at(&self, offset: u64) -> io::Result<u8>;
    fn add(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn cut(&mut self, length: u64) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
}

impl Appended for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
    fn byte_at(&self, offset: u64) -> io::Result<u8> {
        let mut byte = [0];
        self.read_exact_at(&mut byte, offset)?;
        Ok(byte[0])
    }
    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file on a disk that has room for so many bytes, and may be cut or not.
    struct Small {
        bytes: Vec<u8>,
        room: usize,
        may_cut: bool,
        may_sync: bool,
        synced: usize,
    }

    impl Appended for Small {
        fn length(&self) -> io::Result<u64> {
            Ok(self.bytes.len() as u64)
        }
        fn byte_at(&self, offset: u64) -> io::Result<u8> {
            Ok(self.bytes[offset as usize])
        }
        fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
            let fits = bytes.len().min(self.room - self.bytes.len());
            self.bytes.extend_from_slice(&bytes[..fits]);
            if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
        fn cut(&mut self, length: u64) -> io::Result<()> {
            if !self.may_cut {
                return Err(io::ErrorKind::Other.into());
            }
            self.bytes.truncate(length as usize);
            Ok(())
        }
        fn sync(&mut self) -> io::Result<()> {
            if !self.may_sync {
                return Err(io::ErrorKind::Other.into());
            }
            self.synced = self.bytes.len();
            Ok(())
        }
    }

    #[test]
    fn half_a_line_is_taken_back_before_another_is_appended() {
        for may_cut in [true, false] {
            let mut lines = Lines::of("checkpoints".into());
            let mut file = Small { bytes: Vec::new(), room: 10, may_cut, may_sync: true, synced: 0 };
            lines.append_to(&mut file, b"first\n").expect("room");
            assert_eq!(file.synced, 6, "it is on the disk");
            assert!(lines.append_to(&mut file, b"second\n").is_err());
            assert_eq!(file.bytes.as_slice(), if may_cut { &b"first\n"[..] } else { b"first\nseco" });
            file.room = 100;
            assert_eq!(lines.append_to(&mut file, b"third\n").is_ok(), may_cut);
            file.may_cut = true;
            lines.append_to(&mut file, b"fourth\n").expect("room");
            let expected: &[u8] = if may_cut { b"first\nthird\nfourth\n" } else { b"first\nfourth\n" };
            assert_eq!(file.bytes, expected, "no two lines are one");
        }
    }

    #[test]
    fn a_line_that_is_not_synced_is_taken_back_before_it_is_appended_again() {
        for may_cut in [true, false] {
            let mut lines = Lines::of("checkpoints".into());
            let mut file = Small { bytes: Vec::new(), room: 100, may_cut, may_sync: false, synced: 0 };
            assert!(lines.append_to(&mut file, b"first\n").is_err());
            (file.may_cut, file.may_sync) = (true, true);
            lines.append_to(&mut file, b"first\nsecond\n").expect("it is well again");
            assert_eq!((file.bytes.as_slice(), file.synced), (&b"first\nsecond\n"[..], 13));
        }
    }
}
