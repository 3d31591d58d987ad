//! The formulas of MSCHAPv2 (RFC 2759 §8) and its keys (RFC 3079 §3). MD4, DES and SHA-1 are what the method is made
//! of; the primitives are RustCrypto's.

use alloc::vec::Vec;
use des::Des;
use des::cipher::{BlockCipherEncrypt, KeyInit};
use md4::Md4;
use ravelin_crypto::Secret;
use sha1::{Digest, Sha1};

/// Octets of a challenge.
pub const CHALLENGE: usize = 16;
/// Octets of an NT response.
pub const RESPONSE: usize = 24;

const SIGN: &[u8; 39] = b"Magic server to client signing constant";
const ITERATE: &[u8; 41] = b"Pad to make it do more than one iteration";
const MASTER: &[u8; 27] = b"This is the MPPE Master Key";
const CLIENT_SENDS: &[u8; 84] = b"On the client side, this is the send key; on the server side, it is the receive key.";
const CLIENT_RECEIVES: &[u8; 84] =
    b"On the client side, this is the receive key; on the server side, it is the send key.";

/// NtPasswordHash: MD4 of the password in UTF-16LE. `None` when the password is no UTF-8.
pub fn password_hash(password: &Secret) -> Option<Secret> {
    let text = core::str::from_utf8(password.expose()).ok()?;
    let unicode = Secret::new(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    Some(Secret::new(Md4::digest(unicode.expose()).to_vec()))
}

/// The user without a domain before a backslash (RFC 2759 §4).
fn without_domain(user: &[u8]) -> &[u8] {
    user.rsplit(|b| *b == b'\\').next().unwrap_or(user)
}

/// ChallengeHash (RFC 2759 §8.2).
fn challenge_hash(peer: &[u8], authenticator: &[u8], user: &[u8]) -> [u8; 8] {
    let hash = Sha1::new().chain_update(peer).chain_update(authenticator).chain_update(without_domain(user)).finalize();
    hash.first_chunk().copied().unwrap_or_default()
}

/// Seven octets as a DES key with room for parity.
fn des_key(seven: &[u8]) -> [u8; 8] {
    let bits = seven.iter().fold(0u64, |acc, b| (acc << 8) | u64::from(*b));
    core::array::from_fn(|i| {
        let shift = 49u32.saturating_sub(7u32.saturating_mul(u32::try_from(i).unwrap_or(0)));
        (((bits >> shift) & 0x7F) << 1) as u8
    })
}

/// GenerateNTResponse (RFC 2759 §8.1).
pub fn nt_response(authenticator: &[u8], peer: &[u8], user: &[u8], hash: &Secret) -> [u8; RESPONSE] {
    let challenge = challenge_hash(peer, authenticator, user);
    let mut padded = [0; 21];
    padded.iter_mut().zip(hash.expose()).for_each(|(to, from)| *to = *from);
    let mut out = Vec::with_capacity(RESPONSE);
    for seven in padded.chunks(7) {
        let mut block = challenge.into();
        Des::new(&des_key(seven).into()).encrypt_block(&mut block);
        out.extend_from_slice(&block);
    }
    out.try_into().unwrap_or([0; RESPONSE])
}

/// GenerateAuthenticatorResponse without its "S=" and hexadecimal digits (RFC 2759 §8.7).
pub fn authenticator_response(
    hash: &Secret,
    nt_response: &[u8],
    peer: &[u8],
    authenticator: &[u8],
    user: &[u8],
) -> [u8; 20] {
    let twice = Secret::new(Md4::digest(hash.expose()).to_vec());
    let first = Sha1::new().chain_update(twice.expose()).chain_update(nt_response).chain_update(SIGN).finalize();
    let challenge = challenge_hash(peer, authenticator, user);
    Sha1::new().chain_update(first).chain_update(challenge).chain_update(ITERATE).finalize().into()
}

/// GetMasterKey and GetAsymmetricStartKey (RFC 3079 §3.4): the MSK is what the server receives with, what it sends
/// with, and 32 zero octets.
pub fn msk(hash: &Secret, nt_response: &[u8]) -> Secret {
    let twice = Secret::new(Md4::digest(hash.expose()).to_vec());
    let master = Sha1::new().chain_update(twice.expose()).chain_update(nt_response).chain_update(MASTER).finalize();
    let master = Secret::new(master.iter().copied().take(16).collect());
    let key = |magic: &[u8]| {
        let hash = Sha1::new()
            .chain_update(master.expose())
            .chain_update([0; 40])
            .chain_update(magic)
            .chain_update([0xF2; 40])
            .finalize();
        Secret::new(hash.iter().copied().take(16).collect())
    };
    Secret::new([key(CLIENT_SENDS).expose(), key(CLIENT_RECEIVES).expose(), &[0; 32]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: [u8; 16] =
        [0x21, 0x40, 0x23, 0x24, 0x25, 0x5E, 0x26, 0x2A, 0x28, 0x29, 0x5F, 0x2B, 0x3A, 0x33, 0x7C, 0x7E];
    const AUTHENTICATOR: [u8; 16] =
        [0x5B, 0x5D, 0x7C, 0x7D, 0x7B, 0x3F, 0x2F, 0x3E, 0x3C, 0x2C, 0x60, 0x21, 0x32, 0x26, 0x26, 0x28];

    /// RFC 2759 §9.2, RFC 3079 §3.5.3.
    #[test]
    fn octets_of_the_rfcs() {
        let hash = password_hash(&Secret::new(b"clientPass".to_vec())).unwrap();
        assert_eq!(hash.expose()[..4], [0x44, 0xEB, 0xBA, 0x8D]);
        assert_eq!(challenge_hash(&PEER, &AUTHENTICATOR, b"DOMAIN\\User")[..4], [0xD0, 0x2E, 0x43, 0x86]);
        let response = nt_response(&AUTHENTICATOR, &PEER, b"User", &hash);
        assert_eq!(
            response,
            [
                0x82, 0x30, 0x9E, 0xCD, 0x8D, 0x70, 0x8B, 0x5E, 0xA0, 0x8F, 0xAA, 0x39, 0x81, 0xCD, 0x83, 0x54, 0x42,
                0x33, 0x11, 0x4A, 0x3D, 0x85, 0xD6, 0xDF
            ]
        );
        let answer = authenticator_response(&hash, &response, &PEER, &AUTHENTICATOR, b"User");
        assert_eq!(answer[..6], [0x40, 0x7A, 0x55, 0x89, 0x11, 0x5F]);
        // SendStartKey128 of the server.
        assert_eq!(msk(&hash, &response).expose()[16..20], [0x8B, 0x7C, 0xDC, 0x14]);
        assert!(password_hash(&Secret::new(alloc::vec![0xFF])).is_none());
    }
}
