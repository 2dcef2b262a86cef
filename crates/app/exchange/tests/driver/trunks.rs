//! Exchanges between trunks.

use super::{Bench, Manner};

/// Two trunks and a route from each to the other; no probes.
pub const TRUNKS: &str = r#"
[exchange]
domains = ["example.org"]
[[trunk]]
name = "west"
addresses = ["sip:192.0.2.10"]
sources = ["192.0.2.10"]
options_interval_s = 0
[[trunk]]
name = "east"
addresses = ["sip:192.0.2.20"]
sources = ["192.0.2.20"]
options_interval_s = 0
[[route]]
name = "to-east"
from_trunk = ["west", "east"]
prefix = "0"
strip = 1
prepend = "+49"
to = [{ trunk = "east" }]
[[route]]
name = "to-west"
from_trunk = ["west", "east"]
prefix = "7"
to = [{ trunk = "west" }]
"#;

/// Three trunks: what comes from the west goes out by the east, or else by the south. No probes.
pub const FAILOVER: &str = r#"
[exchange]
domains = ["example.org"]
[[trunk]]
name = "west"
addresses = ["sip:192.0.2.10"]
sources = ["192.0.2.10"]
options_interval_s = 0
[[trunk]]
name = "east"
addresses = ["sip:192.0.2.20"]
options_interval_s = 0
[[trunk]]
name = "south"
addresses = ["sip:192.0.2.30"]
options_interval_s = 0
[[route]]
name = "out"
from_trunk = ["west"]
prefix = "0"
to = [{ trunk = "east" }, { trunk = "south" }]
"#;

/// The trunk that is tried first is probed every minute.
pub fn with_probes() -> String {
    let east = "addresses = [\"sip:192.0.2.20\"]\noptions_interval_s = ";
    FAILOVER.replace(&format!("{east}0"), &format!("{east}60"))
}

/// An exchange of this kind, with both trunks that answer.
pub fn probed() -> Bench {
    let mut bench = Bench::new(&with_probes());
    bench.peer("west", "192.0.2.10:5060", Manner::Silent);
    bench.peer("east", "192.0.2.20:5060", Manner::Answers);
    bench.peer("south", "192.0.2.30:5060", Manner::Answers);
    bench
}

impl Bench {
    /// An exchange with this configuration, the trunk "west", which calls, and the trunk "east".
    pub fn two_trunks(config: &str, east: Manner) -> Self {
        let mut bench = Self::new(config);
        bench.peer("west", "192.0.2.10:5060", Manner::Silent);
        bench.peer("east", "192.0.2.20:5060", east);
        bench
    }
}

/// The configuration of two trunks, with further keys of the trunk "east".
pub fn with_east(keys: &str) -> String {
    TRUNKS.replace("sources = [\"192.0.2.20\"]\n", &format!("sources = [\"192.0.2.20\"]\n{keys}\n"))
}

/// Both trunks ring for one number, one after the other.
pub fn with_reserve() -> String {
    TRUNKS.replace("to = [{ trunk = \"east\" }]", "to = [{ trunk = \"east\" }, { trunk = \"south\" }]")
        + "[[trunk]]\nname = \"south\"\naddresses = [\"sip:192.0.2.30\"]\nsources = [\"192.0.2.30\"]\noptions_interval_s = 0\n"
}
