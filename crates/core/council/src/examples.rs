//! A council to begin with.

/// Twelve guardians: role, what they look after, whether they have a veto.
pub const EXAMPLES: [(&str, &str, bool); 12] = [
    ("technical", "Does it work, and what else does it break?", false),
    ("civic", "What does it mean for the public?", false),
    ("ethical", "Is it right?", false),
    ("cultural", "Whom does it leave out or offend?", false),
    ("contrarian", "What if everybody else is wrong?", true),
    ("meta", "Is the council itself going about it well?", false),
    ("security", "Who could abuse it?", false),
    ("accessibility", "Who cannot use it?", false),
    ("scientific", "What is the evidence?", false),
    ("economic", "What does it cost, and whom?", false),
    ("environmental", "What does it do to air, water and soil?", false),
    ("legal", "Is it lawful?", false),
];
