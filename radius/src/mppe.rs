//! MS-MPPE-Send-Key and MS-MPPE-Recv-Key (RFC 2548 §2.4.2, §2.4.3): how a server gives us the MSK.

use crate::attribute::{Attributes, vendor};
use alloc::vec::Vec;
use md5::{Digest, Md5};
use ravelin_crypto::Secret;

/// Octets of an MSK.
const MSK: usize = 64;

fn blocks(secret: &Secret, request: &[u8; 16], salt: &[u8], data: &[u8], opens: bool) -> Secret {
    let mut out = Secret::zeroed(data.len());
    let mut before: Option<&[u8]> = None;
    let mut plain = Vec::new();
    for chunk in data.chunks(16) {
        let hash = Md5::new().chain_update(secret.expose());
        let hash = match before {
            None => hash.chain_update(request).chain_update(salt),
            Some(cipher) => hash.chain_update(cipher),
        };
        plain.extend(chunk.iter().zip(hash.finalize()).map(|(c, k)| c ^ k));
        // What chains is the ciphertext.
        before = Some(chunk);
        if !opens {
            break;
        }
    }
    out.expose_mut().iter_mut().zip(&plain).for_each(|(to, from)| *to = *from);
    drop(Secret::new(plain));
    out
}

/// Opens one value.
fn open(value: &[u8], secret: &Secret, request: &[u8; 16]) -> Option<Secret> {
    let (salt, data) = value.split_at_checked(2)?;
    // The salt's first bit is always set.
    if salt.first()? & 0x80 == 0 || data.is_empty() || !data.len().is_multiple_of(16) {
        return None;
    }
    let plain = blocks(secret, request, salt, data, true);
    let (len, rest) = plain.expose().split_first()?;
    rest.get(..usize::from(*len)).filter(|k| !k.is_empty()).map(Secret::from)
}

/// Recv key, then send key (RFC 3748 §7.10 as RFC 2548 and deployed servers have it), padded with zeros to 64 octets.
#[must_use]
pub fn msk(attributes: Attributes<'_>, secret: &Secret, request: &[u8; 16]) -> Option<Secret> {
    let find = |kind| {
        let mut found = attributes.of_vendor(vendor::MICROSOFT).filter(|(k, _)| *k == kind).map(|(_, v)| v);
        found.next().filter(|_| found.next().is_none()).and_then(|v| open(v, secret, request))
    };
    let (recv, send) = (find(vendor::MS_MPPE_RECV_KEY)?, find(vendor::MS_MPPE_SEND_KEY)?);
    let mut out = Secret::zeroed(MSK);
    let both = recv.expose().iter().chain(send.expose());
    if recv.len().saturating_add(send.len()) > MSK {
        return None;
    }
    out.expose_mut().iter_mut().zip(both).for_each(|(to, from)| *to = *from);
    Some(out)
}

/// Seals a key as a server does: for tests of whoever uses this client.
#[must_use]
pub fn seal(key: &[u8], salt: [u8; 2], secret: &Secret, request: &[u8; 16]) -> Vec<u8> {
    let mut plain = alloc::vec![u8::try_from(key.len()).unwrap_or(0)];
    plain.extend_from_slice(key);
    plain.resize(plain.len().next_multiple_of(16), 0);
    let mut out = salt.to_vec();
    let mut before: Option<Vec<u8>> = None;
    for chunk in plain.chunks(16) {
        let sealed = match &before {
            None => blocks(secret, request, &salt, chunk, false),
            Some(cipher) => {
                let hash = Md5::new().chain_update(secret.expose()).chain_update(cipher).finalize();
                Secret::new(chunk.iter().zip(hash).map(|(c, k)| c ^ k).collect())
            }
        };
        before = Some(sealed.expose().to_vec());
        out.extend_from_slice(sealed.expose());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::{kind, put};

    fn attributes(send: &[u8], recv: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for (kind, value) in [(vendor::MS_MPPE_SEND_KEY, send), (vendor::MS_MPPE_RECV_KEY, recv)] {
            let mut inner = vendor::MICROSOFT.to_be_bytes().to_vec();
            put(&mut inner, kind, value);
            put(&mut out, kind::VENDOR_SPECIFIC, &inner);
        }
        out
    }

    #[test]
    fn keys_come_back() {
        let (secret, request) = (Secret::new(b"s".to_vec()), [3; 16]);
        for len in [16, 32] {
            let (send, recv) = (alloc::vec![1u8; len], alloc::vec![2u8; len]);
            let octets =
                attributes(&seal(&send, [0x80, 1], &secret, &request), &seal(&recv, [0x81, 2], &secret, &request));
            let msk = msk(Attributes::parse(&octets).unwrap(), &secret, &request).unwrap();
            assert_eq!(&msk.expose()[..2 * len], &[recv, send].concat()[..]);
            assert!(msk.expose()[2 * len..].iter().all(|b| *b == 0));
        }
    }

    #[test]
    fn nonsense_is_no_key() {
        let (secret, request) = (Secret::new(b"s".to_vec()), [3; 16]);
        let good = seal(&[1; 16], [0x80, 1], &secret, &request);
        for bad in [&good[..1], &good[..2], &good[..20], &seal(&[1; 16], [0, 1], &secret, &request), &[][..]] {
            let octets = attributes(bad, &good);
            assert!(msk(Attributes::parse(&octets).unwrap(), &secret, &request).is_none());
        }
    }
}
