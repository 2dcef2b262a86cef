//! Who answers for a message.

use crate::read::{ELEMENTS_MAX, Fields, Form};
use crate::{Problem, json};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// A signature by Ed25519, and what it is to be a signature of.
//= https://www.rfc-editor.org/rfc/rfc8032#section-5.1
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The key of whoever has signed, as the message has it: whose it is, a registry knows.
    pub public_key: [u8; 32],
    bytes: [u8; 64],
    signed: Box<[u8]>,
}

/// Is this a signature of a message, by this key? For those who send the signature beside the message.
pub fn verifies_beside(bytes: &[u8], key: &[u8; 32], signature: &[u8; 64]) -> bool {
    let canonical = json::object(bytes).ok().and_then(|message| canonical(&message));
    canonical.is_some_and(|signed| UnparsedPublicKey::new(&ED25519, key).verify(&signed, signature).is_ok())
}

impl Signature {
    /// Is it right, for its key and what it covers?
    pub fn verifies(&self) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public_key).verify(&self.signed, &self.bytes).is_ok()
    }

    /// Reads the member of a message, which covers every other one.
    pub(crate) fn read(fields: &Fields<'_>, value: &Value, message: &Map<String, Value>) -> Option<Self> {
        let parts = fields.within("signature", value)?;
        if let Some(value) = parts.need("algorithm") {
            parts.formed("algorithm", value, ALGORITHM);
        }
        let key = parts.need("public_key").and_then(|value| bytes_of(&parts, "public_key", value));
        let bytes = parts.need("signature_bytes").and_then(|value| bytes_of(&parts, "signature_bytes", value));
        let names: Vec<&str> = match parts.need("signed_fields").map(Value::as_array) {
            Some(Some(names)) if names.len() <= ELEMENTS_MAX => names.iter().filter_map(Value::as_str).collect(),
            Some(_) => {
                parts.fault("signed_fields", Problem::Type("a list of names"));
                Vec::new()
            }
            None => Vec::new(),
        };
        let before = message.keys().filter(|name| *name != "signature");
        // What is not covered could be anybody's.
        before.filter(|name| !names.contains(&name.as_str())).for_each(|name| fields.fault(name, Problem::Unsigned));
        parts.end();
        Some(Self { public_key: key?, bytes: bytes?, signed: canonical(message)?.into() })
    }
}

/// What is signed of a message: all of it but its signature, in the canonical form of JSON. `None`: it has no such form.
//= https://www.rfc-editor.org/rfc/rfc8785#section-3.2
pub fn canonical(message: &Map<String, Value>) -> Option<Vec<u8>> {
    let signed: Map<String, Value> = message
        .iter()
        .filter(|(name, _)| *name != "signature")
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    serde_json_canonicalizer::to_vec(&signed).ok()
}

const ALGORITHM: Form = ("ed25519", |text| text == "ed25519");

/// Bytes in hexadecimal digits or base 64, with or without the name of the algorithm before them.
fn bytes_of<const N: usize>(parts: &Fields<'_>, name: &str, value: &Value) -> Option<[u8; N]> {
    let read = value.as_str().and_then(|text| {
        let text = text.strip_prefix("ed25519:").unwrap_or(text);
        let bytes = if text.len() == 2 * N { from_hex(text)? } else { STANDARD.decode(text).ok()? };
        bytes.try_into().ok()
    });
    if read.is_none() {
        let form = if N == 32 {
            "32 bytes in hexadecimal digits or base 64"
        } else {
            "64 bytes in hexadecimal digits or base 64"
        };
        parts.fault(name, Problem::Form(form));
    }
    read
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.as_bytes().chunks(2).map(|two| Some((digit(two[0])? << 4 | digit(*two.get(1)?)?) as u8)).collect()
}
