//! The call engine: legs in, commands out.

mod cdr;

pub use cdr::{Attempt, CallRecord, Cdr};
