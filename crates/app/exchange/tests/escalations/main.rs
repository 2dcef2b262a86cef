//! Hazards that agents tell of: who is rung for them, who joins the council's room, and what is refused.

#[path = "../driver/mod.rs"]
mod driver;
mod refused;
mod ringing;
mod said;
mod sip;
mod telling;
mod thousand;
