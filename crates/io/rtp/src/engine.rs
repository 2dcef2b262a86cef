//! The handle of the packet threads.

use crate::commands::Commands;
use crate::config::{Priority, RtpConfig, StartError, ThreadError};
use crate::exchange::{Exchange, Owner};
use crate::mixing::MixingThread;
use crate::recording::{RecordingThread, Recordings};
use crate::sys::{Wake, real_time};
use crate::thread::PacketThread;
use crate::totals::{ThreadTotals, Totals};
use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use sx_audio::Sounds;
use sx_media::{MediaCommand, MediaEvent, PortId};

/// The running packet threads. Dropping this stops them, as [`stop`](Self::stop) does.
pub struct PacketThreads {
    exchange: Arc<Exchange>,
    threads: Vec<Handle>,
    mixing: Vec<(Arc<ThreadTotals>, JoinHandle<()>)>,
    recording: Vec<(Arc<ThreadTotals>, JoinHandle<()>)>,
}

struct Handle {
    /// What waits here is bounded by the calls the exchange has admitted.
    commands: Arc<Commands>,
    wake: Arc<Wake>,
    totals: Arc<ThreadTotals>,
    thread: Option<JoinHandle<()>>,
}

impl PacketThreads {
    /// Checks the configuration, tries each address once, and starts the threads.
    ///
    /// `events` is called on a packet thread, or on one that mixes or records, with the number of the worker that allocated the
    /// port. It must hand the event over, wake that worker and return at once: while it runs the thread relays, mixes and hears
    /// nothing.
    ///
    /// # Errors
    ///
    /// A [`StartError`] when the configuration is wrong or the operating system refuses; no thread is left running.
    pub fn start(
        config: &RtpConfig,
        events: impl Fn(u16, MediaEvent) + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        Self::start_recording(config, None, events, |error| tracing::error!(%error, "a packet thread has ended"))
    }

    /// The same; what is to be recorded is handed to `recordings`, and `failed` is called on a packet thread that cannot go on:
    /// the others do, but the calls that it had are silent. Mixing and recording threads ask nothing of the operating system
    /// that it can refuse.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start).
    pub fn start_recording(
        config: &RtpConfig,
        recordings: Option<Arc<dyn Recordings>>,
        events: impl Fn(u16, MediaEvent) + Send + Sync + 'static,
        failed: impl Fn(&ThreadError) + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let owner = Owner { events: Box::new(events), failed: Box::new(failed) };
        let exchange = Arc::new(Exchange::new(config.clone(), recordings, owner)?);
        let (packet, mixing, recording) = (Vec::with_capacity(config.threads), Vec::new(), Vec::new());
        let mut threads = Self { exchange, threads: packet, mixing, recording };
        threads.start_mixing().map_err(StartError::Thread)?;
        threads.start_recorders().map_err(StartError::Thread)?;
        let claims = claims_priority(config);
        for index in 0..config.threads {
            let handle = Handle::start(index, claims, threads.exchange.clone()).map_err(StartError::Thread)?;
            threads.threads.push(handle);
        }
        Ok(threads)
    }

    /// Queues a command and wakes the thread it concerns. Commands about ports of one thread are obeyed in order.
    pub fn send(&self, command: MediaCommand) {
        let port = match &command {
            MediaCommand::Open { port, .. }
            | MediaCommand::SetRemote { port, .. }
            | MediaCommand::Attend { port, .. }
            | MediaCommand::Press { port, .. }
            | MediaCommand::Play { port, .. }
            | MediaCommand::Tap { port, .. }
            | MediaCommand::Count { port }
            | MediaCommand::Remember { port }
            | MediaCommand::Resume { port, .. }
            | MediaCommand::Close { port } => port,
            MediaCommand::Patch { from, .. } => from,
            // By the way of its ports, so that they are not heard for it before it is there.
            MediaCommand::Record { recording, .. } => &PortId(recording.0),
        };
        let handle = &self.threads[self.thread_of(*port)];
        if !handle.commands.push(command) {
            tracing::error!("a packet thread is gone; its command is lost");
        }
        handle.wake.signal();
    }

    /// Sounds that are played from now on; what has begun goes on.
    pub fn set_sounds(&self, sounds: Arc<Sounds>) {
        self.exchange.stage.set_sounds(sounds);
    }

    /// What was counted since the start, read without stopping anybody.
    pub fn totals(&self) -> Totals {
        let (sound_files, sound_bytes) = self.exchange.stage.recorded();
        let mut totals = Totals { pools: self.exchange.pool_use(), sound_files, sound_bytes, ..Totals::default() };
        for handle in &self.threads {
            handle.totals.add_to(&mut totals);
        }
        for (counted, _) in self.mixing.iter().chain(&self.recording) {
            counted.add_to(&mut totals);
        }
        totals
    }

    /// Closes every port, tells each one's [`Closed`](sx_media::Closed), and waits for the threads to end.
    pub fn stop(self) {
        drop(self);
    }

    /// Rooms and sounds have threads of their own: mixing takes longer than a packet may wait.
    fn start_mixing(&mut self) -> std::io::Result<()> {
        for (index, orders) in self.exchange.rooms.orders().iter().enumerate() {
            let totals = Arc::new(ThreadTotals::default());
            let thread = MixingThread::new(self.exchange.clone(), orders.clone(), totals.clone());
            let thread = std::thread::Builder::new().name(format!("mix-{index}")).spawn(move || thread.run())?;
            self.mixing.push((totals, thread));
        }
        Ok(())
    }

    /// So has what is recorded: decoding takes longer than a packet may wait, and whoever makes recordings may wait for a disk.
    fn start_recorders(&mut self) -> std::io::Result<()> {
        for (index, orders) in self.exchange.recorders.orders().iter().enumerate() {
            let totals = Arc::new(ThreadTotals::default());
            let thread = RecordingThread::new(self.exchange.clone(), orders.clone(), totals.clone());
            let thread = std::thread::Builder::new().name(format!("record-{index}")).spawn(move || thread.run())?;
            self.recording.push((totals, thread));
        }
        Ok(())
    }

    /// All ports of one call share a thread.
    fn thread_of(&self, port: PortId) -> usize {
        ((port.0 >> 8) % self.threads.len() as u64) as usize
    }
}

impl Drop for PacketThreads {
    fn drop(&mut self) {
        for handle in &self.threads {
            handle.commands.end();
            handle.wake.signal();
        }
        for thread in self.threads.iter_mut().filter_map(|handle| handle.thread.take()) {
            if thread.join().is_err() {
                tracing::error!("a packet thread had panicked");
            }
        }
        // Those that gave orders are gone.
        self.exchange.rooms.orders().iter().for_each(|orders| orders.end());
        for (_, thread) in self.mixing.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a mixing thread had panicked");
            }
        }
        self.exchange.recorders.orders().iter().for_each(|orders| orders.end());
        for (_, thread) in self.recording.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a recording thread had panicked");
            }
        }
    }
}

impl fmt::Debug for PacketThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacketThreads").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

impl Handle {
    fn start(index: usize, claims: bool, exchange: Arc<Exchange>) -> std::io::Result<Self> {
        let commands = Arc::<Commands>::default();
        let wake = Arc::new(Wake::new()?);
        let totals = Arc::new(ThreadTotals::default());
        let thread = PacketThread::new(exchange, commands.clone(), wake.clone(), totals.clone())?;
        let thread = std::thread::Builder::new().name(format!("rtp-{index}")).spawn(move || {
            if claims {
                claim_priority(index);
            }
            thread.run();
        })?;
        Ok(Self { commands, wake, totals, thread: Some(thread) })
    }
}

/// Real time is for a machine that has a processor left for all else: packets may come as fast as strangers send.
fn claims_priority(config: &RtpConfig) -> bool {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let claims = config.priority == Priority::RealTime && config.threads < processors;
    if config.priority == Priority::RealTime && !claims {
        tracing::info!(
            threads = config.threads,
            processors,
            "packet threads run without real-time priority, which would leave no processor for others"
        );
    }
    claims
}

/// Without it every packet is still relayed, some of them later.
fn claim_priority(index: usize) {
    if let Err(error) = real_time()
        && index == 0
    {
        tracing::info!(%error, "packet threads run without real-time priority: it needs CAP_SYS_NICE or LimitRTPRIO=1");
    }
}
