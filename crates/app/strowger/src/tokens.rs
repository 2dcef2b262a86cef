//! A token as programs are told of it, by the command line and by the management API.

use serde_json::{Value, json};
use sx_engine::Time;
use sx_store::TokenEntry;
use sx_types::Role;

/// All there is to say of a token but its secret. A role that this program does not know is `null`.
pub fn object(token: &TokenEntry) -> Value {
    let time = |time: Option<Time>| time.map(|time| time.to_string());
    json!({
        "id": &*token.id,
        "name": &*token.name,
        "role": token.role.map(Role::as_str),
        "created": token.created.to_string(),
        "expires": time(token.expires),
        "last_used": time(token.last_used),
        "revoked": time(token.revoked),
    })
}
