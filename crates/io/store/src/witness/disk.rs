//! The disk as the log sees it: one write at a time, done when it has reached the disk itself.

use super::aio::Aio;
use super::blocks::Blocks;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Counts writes that are done; a worker waits for it as for a socket.
#[derive(Clone, Debug)]
pub struct Event(Arc<OwnedFd>);

impl Event {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)))
    }

    /// Lets whoever waits go on.
    pub(crate) fn raise(&self) {
        // The counter is full only when nobody has looked for 2^64 times.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }
}

impl Event {
    /// Waits until it is raised.
    fn wait(&self) -> io::Result<()> {
        self.wait_for(None)
    }

    /// Waits until it is raised, but no longer than this.
    pub(crate) fn wait_for(&self, patience: Option<Duration>) -> io::Result<()> {
        let patience = patience.and_then(|patience| patience.try_into().ok());
        match rustix::event::poll(&mut [PollFd::new(&*self.0, PollFlags::IN)], patience.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut counter = [0; 8];
        // Nothing to read: another has lowered it.
        let _ = rustix::io::read(&*self.0, &mut counter);
        Ok(())
    }
}

impl AsFd for Event {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Opens a segment's file as the disk that it is of does.
pub(crate) type Opener = Arc<dyn Fn(&Path) -> io::Result<File> + Send + Sync>;

/// Carries out one write at a time.
pub(crate) trait Disk: Send {
    /// Opens a segment's file for writing, creating it if need be.
    fn open(&mut self, path: &Path) -> io::Result<Arc<File>>;

    /// The same for other threads, which need a descriptor of their own: what the system says of a write that it could not
    /// carry out later it says once to each.
    fn opener(&self) -> Opener {
        Arc::new(open_cached)
    }

    /// Begins to write blocks; `event` is raised when they have reached the disk, or cannot.
    fn begin(
        &mut self,
        file: &Arc<File>,
        blocks: Blocks,
        offset: u64,
        event: &Event,
    ) -> Result<(), (io::Error, Blocks)>;

    /// What has become of the write, and its blocks; `None` while it goes on, or when there is none.
    fn poll(&mut self) -> Option<(io::Result<()>, Blocks)>;
}

/// The kernel's asynchronous I/O, past the page cache.
struct Direct {
    aio: Aio,
}

impl Disk for Direct {
    fn open(&mut self, path: &Path) -> io::Result<Arc<File>> {
        open_direct(path).map(Arc::new)
    }

    fn opener(&self) -> Opener {
        Arc::new(open_direct)
    }

    fn begin(
        &mut self,
        file: &Arc<File>,
        blocks: Blocks,
        offset: u64,
        event: &Event,
    ) -> Result<(), (io::Error, Blocks)> {
        self.aio.begin(file, blocks, offset, event.as_fd())
    }

    fn poll(&mut self) -> Option<(io::Result<()>, Blocks)> {
        self.aio.poll()
    }
}

/// A thread that writes and syncs, where the file system or the container knows nothing better.
struct Threaded {
    jobs: Option<Sender<Job>>,
    done: Receiver<(io::Result<()>, Blocks)>,
    thread: Option<JoinHandle<()>>,
}

struct Job {
    file: Arc<File>,
    blocks: Blocks,
    offset: u64,
    event: Event,
}

impl Threaded {
    fn start() -> io::Result<Self> {
        let (jobs, inbox) = channel::<Job>();
        let (tell, done) = channel();
        let work = move || {
            for Job { file, blocks, offset, event } in inbox {
                let result = file.write_all_at(blocks.bytes(), offset).and_then(|()| file.sync_data());
                let heard = tell.send((result, blocks));
                event.raise();
                if heard.is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("witness-disk".into()).spawn(work)?;
        Ok(Self { jobs: Some(jobs), done, thread: Some(thread) })
    }
}

impl Disk for Threaded {
    fn open(&mut self, path: &Path) -> io::Result<Arc<File>> {
        open_cached(path).map(Arc::new)
    }

    fn begin(
        &mut self,
        file: &Arc<File>,
        blocks: Blocks,
        offset: u64,
        event: &Event,
    ) -> Result<(), (io::Error, Blocks)> {
        let job = Job { file: file.clone(), blocks, offset, event: event.clone() };
        let gone = |job: Job| (io::Error::other("the thread that writes has ended"), job.blocks);
        match &self.jobs {
            Some(jobs) => jobs.send(job).map_err(|refused| gone(refused.0)),
            None => Err(gone(job)),
        }
    }

    fn poll(&mut self) -> Option<(io::Result<()>, Blocks)> {
        self.done.try_recv().ok()
    }
}

impl Drop for Threaded {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes the witness log had panicked");
        }
    }
}

fn open_direct(path: &Path) -> io::Result<File> {
    let flags = libc::O_DIRECT;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(path)
}

fn open_cached(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// The best way to write into a folder: tried out with a file of one block.
pub(crate) fn disk_for(folder: &Path) -> io::Result<Box<dyn Disk>> {
    match try_direct(folder) {
        Ok(direct) => Ok(Box::new(direct)),
        Err(error) => {
            tracing::info!(%error, "the witness log is written through the page cache, by a thread");
            Ok(Box::new(Threaded::start()?))
        }
    }
}

/// The thread's way, wherever it is.
#[cfg(test)]
pub(crate) fn threaded() -> io::Result<Box<dyn Disk>> {
    Ok(Box::new(Threaded::start()?))
}

fn try_direct(folder: &Path) -> io::Result<Direct> {
    let mut direct = Direct { aio: Aio::open()? };
    let path = folder.join("direct.tmp");
    let tried = direct.open(&path).and_then(|file| write_now(&mut direct, &file, Blocks::zeros(1), 0));
    let removed = std::fs::remove_file(&path);
    tried?;
    removed?;
    Ok(direct)
}

/// Writes, and waits until it is done.
pub(crate) fn write_now(disk: &mut dyn Disk, file: &Arc<File>, blocks: Blocks, offset: u64) -> io::Result<()> {
    let event = Event::open()?;
    disk.begin(file, blocks, offset, &event).map_err(|(error, _)| error)?;
    loop {
        if let Some((result, _)) = disk.poll() {
            return result;
        }
        event.wait()?;
    }
}
