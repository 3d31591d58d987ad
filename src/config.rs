//! What a node is told besides its databases.

use ravelin_esp::PlaneConfig;
use std::time::Duration;

/// Who carries the packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DataPlane {
    /// This node's own ESP.
    #[default]
    Inline,
    /// The embedding program's (kernel, VPP, hardware): changes come out of the queue, reports go in by call.
    External,
}

/// Limits of the packets that wait for an SA.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hold {
    /// Packets per policy.
    pub packets: usize,
    /// Octets in all.
    pub bytes: usize,
    /// How long a packet waits.
    pub time: Duration,
}

impl Default for Hold {
    fn default() -> Self {
        Self { packets: 32, bytes: 1 << 20, time: Duration::from_secs(10) }
    }
}

/// What a node is told.
#[derive(Clone, Default)]
pub struct Config {
    /// IKE.
    pub ike: ravelin_ike_proto::Config,
    /// Who carries the packets.
    pub data_plane: DataPlane,
    /// The inline plane.
    pub plane: PlaneConfig,
    /// Packets that wait for an SA.
    pub hold: Hold,
}
