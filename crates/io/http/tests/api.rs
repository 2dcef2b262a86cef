//! The management server, asked over loopback.

#[path = "management/bodies.rs"]
mod bodies;
#[path = "management/description.rs"]
mod description;
#[path = "management/events.rs"]
mod events;
#[path = "management/exchange.rs"]
mod exchange;
#[path = "management/limits.rs"]
mod limits;
#[path = "management/logs.rs"]
mod logs;
#[path = "management/origins.rs"]
mod origins;
#[path = "management/refusals.rs"]
mod refusals;
#[path = "management/repeated.rs"]
mod repeated;
#[path = "management/routes.rs"]
mod routes;
#[path = "management/tls.rs"]
mod tls;
#[path = "management/uploads.rs"]
mod uploads;
