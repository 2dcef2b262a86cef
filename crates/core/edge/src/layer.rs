//! What a request has to pass, in this order.

use std::fmt;

/// What stands between the network and a call, the outermost first. The number is that of reports and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Layer {
    /// Who sends too fast, or is banned.
    SourceRate = 1,
    /// Who may come from where.
    Network = 2,
    /// Who must come over TLS.
    Transport = 3,
    /// Who it is.
    Identity = 4,
    /// How much each identity asks for.
    IdentityRate = 5,
    /// What the rules say.
    Guard = 6,
    /// What is written down before it happens.
    Witness = 7,
}

impl Layer {
    /// Every one, the outermost first.
    pub const ALL: [Self; 7] = [
        Self::SourceRate,
        Self::Network,
        Self::Transport,
        Self::Identity,
        Self::IdentityRate,
        Self::Guard,
        Self::Witness,
    ];

    /// The label of a metric and the word in a record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SourceRate => "source_rate",
            Self::Network => "network",
            Self::Transport => "transport",
            Self::Identity => "identity",
            Self::IdentityRate => "identity_rate",
            Self::Guard => "guard",
            Self::Witness => "witness",
        }
    }

    /// Its place in [`ALL`](Self::ALL), for tables with a row for each.
    pub const fn index(self) -> usize {
        self as usize - 1
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_counted_from_the_outside() {
        for (place, layer) in Layer::ALL.into_iter().enumerate() {
            assert_eq!((layer.index(), layer as usize), (place, place + 1), "{layer}");
        }
    }
}
