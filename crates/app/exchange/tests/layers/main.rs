//! What each layer refuses, and the record that says so.

#[path = "../driver/mod.rs"]
mod driver;

mod guard;
mod identity;
mod network;
mod said;
mod source;
mod witness;
