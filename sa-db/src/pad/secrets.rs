//! Pre-shared keys by pair of identities (RFC 7296 §2.15), post-quantum pre-shared keys by id (RFC 8784), passwords of
//! EAP users.

use super::{AkaSource, Identity};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use ravelin_crypto::Secret;

/// Secrets the PAD refers to. Everything here is wiped on drop and prints as a count only.
#[derive(Clone, Default)]
pub struct Secrets {
    /// Keys are canonical identities; `None` stands for any.
    psks: BTreeMap<Pair, Arc<Secret>>,
    ppks: BTreeMap<Vec<u8>, Arc<Secret>>,
    /// By user as in EAP-Identity.
    eap: BTreeMap<Vec<u8>, Arc<Secret>>,
    aka: Option<Arc<dyn AkaSource>>,
}

impl Secrets {
    /// A PSK for IKE SAs between `local` and `remote`; `None` stands for any identity. A second one for the same pair
    /// replaces the first, which is returned.
    pub fn add_psk(&mut self, local: Option<&Identity>, remote: Option<&Identity>, psk: Secret) -> Option<Arc<Secret>> {
        self.psks.insert((local.map(Identity::canonical), remote.map(Identity::canonical)), Arc::new(psk))
    }

    /// Removes the PSK given for exactly this pair.
    pub fn remove_psk(&mut self, local: Option<&Identity>, remote: Option<&Identity>) -> Option<Arc<Secret>> {
        self.psks.remove(&(local.map(Identity::canonical), remote.map(Identity::canonical)))
    }

    /// The PSK between `local` and `remote`, most specific first: both identities, the remote one, the local one, any.
    #[must_use]
    pub fn psk(&self, local: &Identity, remote: &Identity) -> Option<&Arc<Secret>> {
        let (local, remote) = (local.to_canonical(), remote.to_canonical());
        let (local, remote) = (Some(&*local), Some(&*remote));
        let pairs: [Borrowed<'_>; 4] = [(local, remote), (None, remote), (local, None), (None, None)];
        pairs.iter().find_map(|pair| self.psks.get(pair as &dyn AsPair))
    }

    /// A post-quantum PSK (RFC 8784) by its PPK_ID: type octet and value, as in the PPK_IDENTITY notify.
    pub fn add_ppk(&mut self, id: Vec<u8>, ppk: Secret) -> Option<Arc<Secret>> {
        self.ppks.insert(id, Arc::new(ppk))
    }

    /// Removes a post-quantum PSK.
    pub fn remove_ppk(&mut self, id: &[u8]) -> Option<Arc<Secret>> {
        self.ppks.remove(id)
    }

    /// The post-quantum PSK with this PPK_ID.
    #[must_use]
    pub fn ppk(&self, id: &[u8]) -> Option<&Arc<Secret>> {
        self.ppks.get(id)
    }

    /// The password of an EAP user (RFC 3748), UTF-8.
    pub fn add_eap(&mut self, user: impl Into<Vec<u8>>, password: Secret) -> Option<Arc<Secret>> {
        self.eap.insert(user.into(), Arc::new(password))
    }

    /// Removes an EAP user's password.
    pub fn remove_eap(&mut self, user: &[u8]) -> Option<Arc<Secret>> {
        self.eap.remove(user)
    }

    /// The password of an EAP user.
    #[must_use]
    pub fn eap(&self, user: &[u8]) -> Option<&Arc<Secret>> {
        self.eap.get(user)
    }

    /// Every EAP user with the password, in a stable order. Handle with care.
    pub fn eap_users(&self) -> impl Iterator<Item = (&[u8], &Arc<Secret>)> {
        self.eap.iter().map(|(user, s)| (user.as_slice(), s))
    }

    /// Where EAP-AKA and EAP-AKA′ get their numbers from.
    pub fn set_aka(&mut self, source: Option<Arc<dyn AkaSource>>) {
        self.aka = source;
    }

    /// The source of EAP-AKA and EAP-AKA′.
    #[must_use]
    pub fn aka(&self) -> Option<&Arc<dyn AkaSource>> {
        self.aka.as_ref()
    }

    /// Every PSK with its pair of canonical identities, in a stable order. Handle with care.
    pub fn psks(&self) -> impl Iterator<Item = (Option<&Identity>, Option<&Identity>, &Arc<Secret>)> {
        self.psks.iter().map(|((l, r), s)| (l.as_ref(), r.as_ref(), s))
    }

    /// Every post-quantum PSK with its id, in a stable order. Handle with care.
    pub fn ppks(&self) -> impl Iterator<Item = (&[u8], &Arc<Secret>)> {
        self.ppks.iter().map(|(id, s)| (id.as_slice(), s))
    }
}

/// Whose PSK it is: local, remote.
type Pair = (Option<Identity>, Option<Identity>);
type Borrowed<'a> = (Option<&'a Identity>, Option<&'a Identity>);

/// A pair that may be borrowed, so that a lookup copies no identity.
trait AsPair {
    fn pair(&self) -> Borrowed<'_>;
}

impl AsPair for Pair {
    fn pair(&self) -> Borrowed<'_> {
        (self.0.as_ref(), self.1.as_ref())
    }
}

impl AsPair for Borrowed<'_> {
    fn pair(&self) -> Borrowed<'_> {
        *self
    }
}

impl<'a> Borrow<dyn AsPair + 'a> for Pair {
    fn borrow(&self) -> &(dyn AsPair + 'a) {
        self
    }
}

impl PartialEq for dyn AsPair + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.pair() == other.pair()
    }
}

impl Eq for dyn AsPair + '_ {}

impl PartialOrd for dyn AsPair + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for dyn AsPair + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.pair().cmp(&other.pair())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} PSKs, {} PPKs)", self.psks.len(), self.ppks.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_specific_first() {
        let id = |s: &str| s.parse::<Identity>().unwrap();
        let (moon, sun, mars) = (id("moon.lab"), id("sun.lab"), id("mars.lab"));
        let mut s = Secrets::default();
        let psk = |b: u8| Secret::new(alloc::vec![b; 8]);
        s.add_psk(None, None, psk(0));
        assert_eq!(s.psk(&moon, &sun).unwrap().expose()[0], 0);
        s.add_psk(Some(&moon), None, psk(1));
        s.add_psk(None, Some(&sun), psk(2));
        assert_eq!(s.psk(&moon, &sun).unwrap().expose()[0], 2);
        s.add_psk(Some(&id("MOON.lab")), Some(&sun), psk(3));
        assert_eq!(s.psk(&moon, &sun).unwrap().expose()[0], 3);
        assert_eq!(s.psk(&moon, &mars).unwrap().expose()[0], 1);
        assert_eq!(s.psk(&sun, &mars).unwrap().expose()[0], 0);
        assert!(s.remove_psk(None, None).is_some() && s.psk(&sun, &mars).is_none());
        assert_eq!(alloc::format!("{s:?}"), "Secrets(3 PSKs, 0 PPKs)");
    }
}
