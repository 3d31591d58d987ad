//! Addresses of this host that come and go (RFC 4555), told by whoever watches its interfaces.

use super::Endpoint;
use crate::error::ApiError;
use crate::ids::IkeSaId;
use crate::sa::Lifecycle;
use alloc::vec::Vec;
use core::net::IpAddr;
use ravelin_sa_db::{Db, Now, Path};

impl Endpoint {
    /// Moves an IKE SA and its Child SAs to `path` and tells the peer (RFC 4555 §3.5). A port 0 keeps the one in use.
    ///
    /// # Errors
    /// [`ApiError::UnknownSa`], [`ApiError::NotEstablished`], or [`ApiError::NotAllowed`] when the peer has no MOBIKE or
    /// we are the responder, which never chooses the path.
    pub fn roam(&mut self, now: Now, db: &Db, id: IkeSaId, path: Path) -> Result<(), ApiError> {
        let sa = self.index.get(id).ok_or(ApiError::UnknownSa)?;
        if sa.life != Lifecycle::Established {
            return Err(ApiError::NotEstablished);
        }
        if !sa.may_roam() || path.local.is_ipv4() != path.remote.is_ipv4() {
            return Err(ApiError::NotAllowed);
        }
        let (mut path, current) = (path, sa.core.path);
        for (end, known) in [(&mut path.local, current.local), (&mut path.remote, current.remote)] {
            if end.port() == 0 {
                end.set_port(known.port());
            }
        }
        self.with(now, db, id, |sa, cx| sa.roam(cx, path)).ok_or(ApiError::UnknownSa)
    }

    /// The addresses of this host, the best first. IKE SAs with MOBIKE leave addresses that are gone, and peers are
    /// told what there is; those without MOBIKE are not touched. Costs a visit to every IKE SA.
    pub fn set_addresses(&mut self, now: Now, db: &Db, addresses: Vec<IpAddr>) {
        if self.addresses == addresses {
            return;
        }
        self.addresses = addresses;
        let moving: Vec<IkeSaId> = self.index.iter().filter(|sa| sa.core.agreed.mobike).map(|sa| sa.core.id).collect();
        for id in moving {
            self.with(now, db, id, |sa, cx| sa.addresses_changed(cx));
        }
    }
}
