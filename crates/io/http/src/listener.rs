//! A listener with limits: so many connections at a time, so many of them of one address, and none that is silent for long.

use crate::api::rate::counted_as;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

/// Connections at a time; one more closes the one on which nothing has moved for longest, so that those who are silent keep
/// nobody out. One whose request is being carried out is not closed for another.
pub(crate) const CONNECTIONS_MAX: usize = 64;
/// Of those that were told to end, so many may take their time; when more do, further ones are closed.
const CONNECTIONS_ENDING_MAX: usize = 64;
/// Of these, so many of one address or IPv6 network of 64 bits; further ones are closed, so that nobody alone can hold all.
pub(crate) const CONNECTIONS_PER_SOURCE_MAX: usize = 8;
/// A connection on which nothing moves for this long is closed. Longer than the usual minute between scrapes.
const IDLE: Duration = Duration::from_secs(75);
/// How long to wait when the operating system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Accepts connections within the limits.
pub(crate) struct LimitedListener {
    listener: TcpListener,
    places: Places,
}

/// The connections that there are.
#[derive(Clone, Default)]
struct Places(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    next: u64,
    taken: HashMap<u64, Held>,
}

/// What is known of a connection.
struct Held {
    source: IpAddr,
    moved: Instant,
    /// Its request is being carried out, and somebody waits for what comes of it.
    in_hand: bool,
    /// To close it; `None` when it was told to, and has not ended yet.
    end: Option<oneshot::Sender<()>>,
}

/// A connection's place, until it is dropped.
struct Place {
    places: Places,
    number: u64,
}

/// Says of a connection, which others have, that its request is being carried out.
#[derive(Clone)]
pub(crate) struct Seat {
    places: Places,
    number: u64,
}

/// A request is being carried out, until this is dropped.
pub(crate) struct InHand(Seat);

/// A connection that counts against the limit until it is dropped.
pub(crate) struct LimitedStream {
    stream: TcpStream,
    idle: Pin<Box<Sleep>>,
    ended: Ended,
    place: Place,
}

/// Whether another needs the place: `None` once it does, for a channel that has answered is not to be asked again.
struct Ended(Option<oneshot::Receiver<()>>);

impl LimitedListener {
    pub(crate) fn new(listener: TcpListener) -> Self {
        Self { listener, places: Places::default() }
    }

    /// The next connection that is within the limits.
    pub(crate) async fn accept(&mut self) -> (LimitedStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    let Some((place, ended)) = self.places.enter(counted_as(peer.ip())) else {
                        tracing::debug!(%peer, "an address has too many connections");
                        continue;
                    };
                    let idle = Box::pin(tokio::time::sleep(IDLE));
                    return (LimitedStream { stream, idle, ended: Ended(Some(ended)), place }, peer);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl Places {
    /// A place for one more connection of this source, when it may have one. Where all are taken, the one on which nothing has
    /// moved for longest loses its own; it counts until it has ended.
    fn enter(&self, source: IpAddr) -> Option<(Place, oneshot::Receiver<()>)> {
        let mut places = self.taken();
        let own = places.taken.values().filter(|held| held.source == source).count();
        let ending = places.taken.values().filter(|held| held.end.is_none()).count();
        if own >= CONNECTIONS_PER_SOURCE_MAX || ending >= CONNECTIONS_ENDING_MAX {
            return None;
        }
        if places.taken.len() - ending >= CONNECTIONS_MAX {
            let idle = places.taken.values_mut().filter(|held| held.end.is_some() && !held.in_hand);
            let stillest = idle.min_by_key(|held| held.moved)?;
            if let Some(end) = stillest.end.take() {
                // Nobody hears it when the connection has just ended by itself.
                let _ = end.send(());
            }
        }
        let (end, ended) = oneshot::channel();
        let number = places.next;
        places.next += 1;
        places.taken.insert(number, Held { source, moved: Instant::now(), in_hand: false, end: Some(end) });
        Some((Place { places: self.clone(), number }, ended))
    }

    /// Something has happened to this connection.
    fn note(&self, number: u64, in_hand: Option<bool>) {
        if let Some(held) = self.taken().taken.get_mut(&number) {
            held.moved = Instant::now();
            held.in_hand = in_hand.unwrap_or(held.in_hand);
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// The request of the connection is being carried out.
    pub(crate) fn take_in_hand(&self) -> InHand {
        self.places.note(self.number, Some(true));
        InHand(self.clone())
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.places.note(self.0.number, Some(false));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().taken.remove(&self.number);
    }
}

impl Ended {
    fn is_told(&mut self, context: &mut Context<'_>) -> bool {
        let Some(told) = &mut self.0 else { return true };
        if Pin::new(told).poll(context).is_ready() {
            self.0 = None;
        }
        self.0.is_none()
    }
}

impl LimitedStream {
    /// To say that a request of this connection is being carried out.
    pub(crate) fn seat(&self) -> Seat {
        Seat { places: self.place.places.clone(), number: self.place.number }
    }

    /// Something moved, or nothing did and the time may be over.
    fn watch<T>(&mut self, context: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.idle.as_mut().reset(Instant::now() + IDLE);
            self.place.places.note(self.place.number, None);
            return poll;
        }
        if self.ended.is_told(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        match self.idle.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for LimitedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Whoever goes on asking would never end.
        if self.ended.is_told(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let poll = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.watch(context, poll)
    }
}

impl AsyncWrite for LimitedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::task::Waker;

    fn places(places: &Places, sources: std::ops::Range<u32>) -> Vec<(Place, oneshot::Receiver<()>)> {
        let address = |number| Ipv4Addr::from_bits(0xc000_0200 + number).into();
        sources.map(|number| places.enter(address(number)).expect("a place")).collect()
    }

    /// A connection that was accepted, and the client's end of it.
    async fn accepted() -> (LimitedListener, LimitedStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut listener = LimitedListener::new(listener);
        let (accepted, client) = tokio::join!(listener.accept(), TcpStream::connect(address));
        (listener, accepted.0, client.expect("a connection"))
    }

    fn read(stream: &mut LimitedStream) -> Poll<io::Result<()>> {
        let mut bytes = [0; 16];
        Pin::new(stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut ReadBuf::new(&mut bytes))
    }

    #[test]
    fn a_connection_that_lost_its_place_may_be_asked_again_and_again() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (listener, mut stream, _client) = accepted().await;
            assert!(read(&mut stream).is_pending());
            let _others = places(&listener.places, 0..CONNECTIONS_MAX as u32);
            for _ in 0..3 {
                assert!(matches!(read(&mut stream), Poll::Ready(Err(_))));
            }
            // Whoever does not read what was written for it.
            let bytes = vec![0; 1 << 20];
            let mut write = || Pin::new(&mut stream).poll_write(&mut Context::from_waker(Waker::noop()), &bytes);
            let refused = std::iter::repeat_with(&mut write).find(|poll| !matches!(poll, Poll::Ready(Ok(_))));
            assert!(matches!(refused, Some(Poll::Ready(Err(_)))));
            assert!(matches!(write(), Poll::Ready(Err(_))));
        });
    }

    #[test]
    fn those_that_take_their_time_to_end_count_until_they_have() {
        let (all, max) = (Places::default(), (CONNECTIONS_MAX + CONNECTIONS_ENDING_MAX) as u32);
        let mut taken = places(&all, 0..max);
        let another = Ipv4Addr::from_bits(0xc633_6401).into();
        assert!(all.enter(another).is_none(), "as many again have been told and are still there");
        taken.remove(0);
        assert!(all.enter(another).is_some());
    }

    #[test]
    fn a_connection_whose_request_is_carried_out_keeps_its_place() {
        let all = Places::default();
        let mut taken = places(&all, 0..CONNECTIONS_MAX as u32);
        let seat = |place: &Place| Seat { places: all.clone(), number: place.number };
        let mut in_hand: Vec<_> = taken.iter().skip(1).map(|(place, _)| seat(place).take_in_hand()).collect();
        let mut ended = |index: usize| taken[index].1.try_recv().is_ok();
        let (_first, second) = (all.enter(Ipv4Addr::from_bits(1).into()), all.enter(Ipv4Addr::from_bits(2).into()));
        assert!(ended(0), "the one that was idle");
        assert!(second.is_some(), "in the place of the one before");
        assert!(all.enter(Ipv4Addr::from_bits(3).into()).is_some() && !(1..CONNECTIONS_MAX).any(&mut ended));
        in_hand.truncate(1);
        let _others = places(&all, 100..100 + 60);
        assert!(!ended(1) && ended(2));
    }
}
