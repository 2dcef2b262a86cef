//! What the other tests hold, where io_uring is not to be had.

#![allow(clippy::duplicate_mod, reason = "each of them has the driver as its own, where it is a crate")]

#[path = "ports.rs"]
mod ports;
#[path = "recording.rs"]
mod recording;
#[path = "relay.rs"]
mod relay;
#[path = "rooms.rs"]
mod rooms;
#[path = "secure.rs"]
mod secure;
#[path = "sources.rs"]
mod sources;
