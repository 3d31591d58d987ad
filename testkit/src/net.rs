//! Links: what happens to datagrams between two hosts.

use std::time::Duration;

/// How good the way between two hosts is. Percentages are from 0 to 100.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Link {
    /// Lost datagrams.
    pub loss: f64,
    /// Datagrams that arrive twice.
    pub duplicate: f64,
    /// Datagrams that take up to `reorder_by` longer, and so are overtaken.
    pub reorder: f64,
    /// How much longer at most.
    pub reorder_by: Duration,
    /// One way.
    pub delay: Duration,
    /// Up to this much is added to each delay, evenly.
    pub jitter: Duration,
    /// Datagrams whose IP packet is larger are lost, as where fragments are filtered; 0: no limit.
    pub mtu: usize,
    /// Nothing arrives.
    pub cut: bool,
}

impl Default for Link {
    /// Ten milliseconds one way, and perfect.
    fn default() -> Self {
        Self {
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            reorder_by: Duration::from_millis(200),
            delay: Duration::from_millis(10),
            jitter: Duration::ZERO,
            mtu: 0,
            cut: false,
        }
    }
}

impl Link {
    /// Loses so many per cent.
    #[must_use]
    pub fn loss(mut self, percent: impl Into<f64>) -> Self {
        self.loss = percent.into();
        self
    }

    /// Duplicates so many per cent.
    #[must_use]
    pub fn duplicate(mut self, percent: impl Into<f64>) -> Self {
        self.duplicate = percent.into();
        self
    }

    /// Reorders so many per cent.
    #[must_use]
    pub fn reorder(mut self, percent: impl Into<f64>) -> Self {
        self.reorder = percent.into();
        self
    }

    /// One-way delay.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Even jitter on top of the delay.
    #[must_use]
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Largest IP packet that arrives, in octets.
    #[must_use]
    pub fn mtu(mut self, mtu: usize) -> Self {
        self.mtu = mtu;
        self
    }
}
