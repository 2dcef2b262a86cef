//! The JSON Schemas of the shapes.

use crate::Shape;

/// A schema of JSON Schema, draft 2020-12.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// What it describes.
    pub shape: Shape,
    /// The end of its address.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// One for each shape.
pub const SCHEMAS: [Schema; 3] = [
    Schema { shape: Shape::Plain, name: "ifmessage-1.0", text: include_str!("../schema/ifmessage-1.0.json") },
    Schema {
        shape: Shape::Envelope,
        name: "ifmessage-2.1-envelope",
        text: include_str!("../schema/ifmessage-2.1-envelope.json"),
    },
    Schema { shape: Shape::SpeechAct, name: "ifmessage-2.1", text: include_str!("../schema/ifmessage-2.1.json") },
];
