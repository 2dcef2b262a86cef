//! The file that a recording is written into, in the clear or encrypted by age.

use crate::{FileError, Recipient};
use age::stream::StreamWriter;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is asked of a file while it is written.
pub(crate) trait StoredFile: Send {
    /// Writes all of it at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Writes over what is there already.
    fn overwrite(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts off what stands behind so many bytes.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
}

/// Makes new files. Tests put a full disk here.
pub(crate) type Create = Arc<dyn Fn(&Path) -> io::Result<Box<dyn StoredFile>> + Send + Sync>;

/// Bytes in their order, to a file of which only whole writes remain.
pub(crate) struct Sink {
    path: PathBuf,
    writer: Writer,
}

enum Writer {
    Plain(Tail),
    Sealed(Box<StreamWriter<Tail>>),
}

/// The end of the file. What age writes with one call is a header or a chunk, so that cutting off the rest of a write that
/// failed leaves chunks that can be decrypted.
struct Tail {
    file: Box<dyn StoredFile>,
    len: u64,
}

impl Sink {
    /// A new file at the path, encrypted when there are recipients. A failure leaves none.
    pub(crate) fn create(create: &Create, path: &Path, recipients: &[Recipient]) -> Result<Self, FileError> {
        let file = create(path).map_err(FileError::at("create", path))?;
        let tail = Tail { file, len: 0 };
        if recipients.is_empty() {
            return Ok(Self { path: path.to_owned(), writer: Writer::Plain(tail) });
        }
        let keys = recipients.iter().map(|recipient| &recipient.key as &dyn age::Recipient);
        let sealed = age::Encryptor::with_recipients(keys)
            .map_err(|error| io::Error::other(error.to_string()))
            .and_then(|encryptor| encryptor.wrap_output(tail));
        match sealed {
            Ok(writer) => Ok(Self { path: path.to_owned(), writer: Writer::Sealed(Box::new(writer)) }),
            Err(error) => {
                // Without a whole header there is nothing in it to be kept.
                let _ = std::fs::remove_file(path);
                Err(FileError::at("write", path)(error))
            }
        }
    }

    pub(crate) fn is_sealed(&self) -> bool {
        matches!(self.writer, Writer::Sealed(_))
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let written = match &mut self.writer {
            Writer::Plain(tail) => tail.write_all(bytes),
            Writer::Sealed(writer) => writer.write_all(bytes),
        };
        written.map_err(FileError::at("write", &self.path))
    }

    /// Writes over what is there, where it is not encrypted.
    pub(crate) fn overwrite(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FileError> {
        match &mut self.writer {
            Writer::Plain(tail) => tail.file.overwrite(offset, bytes).map_err(FileError::at("write", &self.path)),
            Writer::Sealed(_) => Ok(()),
        }
    }

    /// The end of what is encrypted, without which it counts as cut off.
    pub(crate) fn finish(self) -> Result<(), FileError> {
        match self.writer {
            Writer::Plain(_) => Ok(()),
            Writer::Sealed(writer) => writer.finish().map(drop).map_err(FileError::at("write", &self.path)),
        }
    }
}

impl Write for Tail {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.file.append(bytes) {
            // Shortening a file needs no room; should it fail as well, the rest of one write stands at its end.
            let _ = self.file.truncate(self.len);
            return Err(error);
        }
        self.len += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl StoredFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn overwrite(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}

/// Makes files on the disk, for their owner's eyes only; one that is there already is an error.
pub(crate) fn on_disk() -> Create {
    Arc::new(|path| {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Box::new(file))
    })
}
