//! What a record costs to render, to append and to verify.
fn main() {}
