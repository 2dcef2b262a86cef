//! Distributions that the models draw from.

use sx_engine::Rng;

/// Draws.
#[derive(Clone, Debug)]
pub(super) struct Chance(Rng);

impl Chance {
    pub fn new(rng: Rng) -> Self {
        Self(rng)
    }

    /// A part of its own, which draws other numbers.
    pub fn fork(&mut self) -> Self {
        Self(self.0.fork())
    }

    /// Evenly from 0 up to, and without, 1.
    pub fn share(&mut self) -> f64 {
        const BITS: u32 = 53;
        (self.0.u64() >> (u64::BITS - BITS)) as f64 / (1_u64 << BITS) as f64
    }

    /// Evenly between the two.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    pub fn happens(&mut self, share: f64) -> bool {
        self.share() < share
    }

    /// Exponentially distributed: the time until something happens that may happen at any moment.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.share()).ln()
    }

    /// Geometrically distributed from 1 on: how often one tries until it works.
    pub fn tries(&mut self, fails: f64) -> f64 {
        (self.exponential(1.0) / -fails.ln()).floor() + 1.0
    }
}
