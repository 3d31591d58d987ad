//! Builder calls for peers (PAD entries) and policies (SPD entries), by the ids that adding them gave.

use crate::config::{c_text, provider, ravelin_config};
use crate::guard::{array, bytes, maybe_text, put, text, wanted, with};
use crate::types::{ravelin_endpoint, ravelin_octets, ravelin_status};
use ravelin::code::{Status, scheme_of};
use ravelin::db::pad::{
    AuthMethod, Childless, Credential, EapMethod, IdPattern, Identity, NatTraversal, Peer, PpkSource,
};
use ravelin::db::proposal::{Proposal, ProposalProtocol};
use ravelin::db::spd::{Action, Policy, Protect, StartAction};
use ravelin::db::{Mode, TrafficSelector};
use ravelin::{PeerId, PolicyId, Secret};
use std::ffi::c_char;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Changes a peer of the configuration.
///
/// # Safety
/// `config` is NULL or live.
unsafe fn peer_with(
    config: *mut ravelin_config,
    peer: u32,
    change: impl FnOnce(&mut ravelin_config, &mut Peer) -> Result<(), Status>,
) -> ravelin_status {
    let set = |c: &mut ravelin_config| {
        let id = PeerId(peer);
        let mut entry = (**c.db.pad.peer(id).ok_or(Status::UnknownPeer)?).clone();
        change(c, &mut entry)?;
        c.db.pad.replace(id, entry).map(drop).map_err(|e| c.fail(e))
    };
    // SAFETY: handed on.
    unsafe { with(config, set) }
}

/// Changes a policy of the configuration.
///
/// # Safety
/// `config` is NULL or live.
unsafe fn policy_with(
    config: *mut ravelin_config,
    policy: u32,
    change: impl FnOnce(&mut ravelin_config, &mut Protect) -> Result<(), Status>,
) -> ravelin_status {
    let set = |c: &mut ravelin_config| {
        let id = PolicyId(policy);
        let mut entry = (**c.db.spd.policy(id).ok_or(Status::UnknownPolicy)?).clone();
        let mut protect = entry.protect().ok_or(Status::UnknownPolicy)?.clone();
        change(c, &mut protect)?;
        entry.action = Action::Protect(Arc::new(protect));
        c.db.spd.replace(id, entry).map(drop).map_err(|e| c.fail(e))
    };
    // SAFETY: handed on.
    unsafe { with(config, set) }
}

fn method(word: &str) -> Option<AuthMethod> {
    match word.trim() {
        "psk" => Some(AuthMethod::Psk),
        "pubkey" => Some(AuthMethod::Pubkey),
        "eap" => Some(AuthMethod::Eap),
        "null" => Some(AuthMethod::Null),
        _ => None,
    }
}

/// Adds a peer with pre-shared keys both ways and the default proposals; the other calls of this kind change it.
/// Identities as in "vpn.example.org", "user@example.org", "192.0.2.1", "C=DE, CN=vpn"; the peer's may be a pattern, as in
/// "*.example.org". Writes the peer's id. One thread at a time.
///
/// # Safety
/// `config` is NULL or live; texts are NULL or NUL-terminated; `peer` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_add_peer(
    config: *mut ravelin_config,
    name: *const c_char,
    local_id: *const c_char,
    remote_id: *const c_char,
    peer: *mut u32,
) -> ravelin_status {
    let add = |c: &mut ravelin_config| {
        wanted(peer)?;
        // SAFETY: the caller vouches for all texts.
        let (name, local, remote) = unsafe { (text(name)?, text(local_id)?, text(remote_id)?) };
        let local: Identity = local.parse().map_err(|e| c.fail(e))?;
        let remote: IdPattern = remote.parse().map_err(|e| c.fail(e))?;
        let id = c.db.pad.add(Peer::new(name, local, remote)).map_err(|e| c.fail(e))?;
        // SAFETY: handed on.
        unsafe { put(peer, id.0) }
    };
    // SAFETY: handed on.
    unsafe { with(config, add) }
}

/// Where the peer is met: our address and the peer's (with its IKE port), as text. NULL: any of ours; only the peer
/// initiates. One thread at a time.
///
/// # Safety
/// `config` is NULL or live; texts are NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_peer_addresses(
    config: *mut ravelin_config,
    peer: u32,
    local: *const c_char,
    remote: *const c_char,
    remote_port: u16,
) -> ravelin_status {
    let set = |c: &mut ravelin_config, p: &mut Peer| {
        // SAFETY: the caller vouches for both texts.
        let (local, remote) = unsafe { (maybe_text(local)?, maybe_text(remote)?) };
        let mut address = |t: &str| t.parse::<IpAddr>().map_err(|e| c.fail(format!("\"{t}\": {e}")));
        p.local = local.map(&mut address).transpose()?;
        p.remote = remote.map(&mut address).transpose()?.map(|a| (a, remote_port).into());
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { peer_with(config, peer, set) }
}

/// One peer of a configuration. Its name is lent until the next call on the configuration.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_peer_info {
    /// Its id.
    pub peer: u32,
    /// Its name.
    pub name: *const c_char,
    /// Our address; family 0: any of ours.
    pub local: ravelin_endpoint,
    /// The peer's address and IKE port; family 0: only the peer initiates.
    pub remote: ravelin_endpoint,
}

/// Peer number `index` (from 0); `nothing there` behind the last. One thread at a time.
///
/// # Safety
/// `config` is NULL or live; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_peer(
    config: *mut ravelin_config,
    index: usize,
    out: *mut ravelin_peer_info,
) -> ravelin_status {
    let read = |c: &mut ravelin_config| {
        wanted(out)?;
        let (id, peer) = c.db.pad.iter().nth(index).ok_or(Status::Nothing)?;
        let local = peer.local.map(|ip| ravelin_endpoint::of((ip, 0).into())).unwrap_or_default();
        let remote = peer.remote.map(ravelin_endpoint::of).unwrap_or_default();
        let name = c_text(&peer.name);
        let info = ravelin_peer_info { peer: id.0, name: name.as_ptr(), local, remote };
        c.names = vec![name];
        // SAFETY: handed on.
        unsafe { put(out, info) }
    };
    // SAFETY: handed on.
    unsafe { with(config, read) }
}

/// The pre-shared key with this peer. One thread at a time.
///
/// # Safety
/// `config` is NULL or live; `psk` points to `len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_peer_psk(
    config: *mut ravelin_config,
    peer: u32,
    psk: *const u8,
    len: usize,
) -> ravelin_status {
    let set = |c: &mut ravelin_config, p: &mut Peer| {
        // SAFETY: the caller vouches for the octets.
        let psk = unsafe { bytes(psk, len)? };
        if psk.is_empty() {
            return Err(c.fail("the pre-shared key is empty"));
        }
        c.db.pad.secrets.add_psk(Some(&p.local_id), p.remote_id.exact(), Secret::new(psk.to_vec()));
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { peer_with(config, peer, set) }
}

/// A post-quantum pre-shared key with this peer (RFC 8784, RFC 9867): PPK_ID (its type octet and value) and key.
/// `required`: a peer without it is refused. One thread at a time.
///
/// # Safety
/// `config` is NULL or live; `id` and `key` point to as many octets as said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_peer_ppk(
    config: *mut ravelin_config,
    peer: u32,
    id: *const u8,
    id_len: usize,
    key: *const u8,
    key_len: usize,
    required: bool,
) -> ravelin_status {
    let set = |c: &mut ravelin_config, p: &mut Peer| {
        // SAFETY: the caller vouches for the octets.
        let (id, key) = unsafe { (bytes(id, id_len)?, bytes(key, key_len)?) };
        if id.len() < 2 || key.is_empty() {
            return Err(c.fail("PPK: expected a type octet and a value, and a key"));
        }
        c.db.pad.secrets.add_ppk(id.to_vec(), Secret::new(key.to_vec()));
        p.ppk = Some(id.to_vec());
        p.ppk_required = required;
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { peer_with(config, peer, set) }
}

/// How each side proves itself: "psk", "pubkey", "eap" or "null"; for the peer also several, separated by commas. One
/// thread at a time.
///
/// # Safety
/// `config` is NULL or live; texts are NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_peer_auth(
    config: *mut ravelin_config,
    peer: u32,
    local: *const c_char,
    remote: *const c_char,
) -> ravelin_status {
    let set = |c: &mut ravelin_config, p: &mut Peer| {
        // SAFETY: the caller vouches for both texts.
        let (local, remote) = unsafe { (text(local)?, text(remote)?) };
        let mut read =
            |t: &str| method(t).ok_or_else(|| c.fail(format!("expected psk, pubkey, eap or null, found \"{t}\"")));
        p.local_auth = read(local)?;
        p.remote_auth = remote.split(',').map(&mut read).collect::<Result<_, _>>()?;
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { peer_with(config, peer, set) }
}

/// A user for EAP: as client who we are, as server whom we let in. `methods` as in "mschapv2,gtc,md5,relay". One thread
/// at a time.
///
/// # Safety
/// `config` is NULL or live; texts are NULL or NUL-terminated; `password` points to `len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_peer_eap(
    config: *mut ravelin_config,
    peer: u32,
    methods: *const c_char,
    user: *const c_char,
    password: *const u8,
    len: usize,
) -> ravelin_status {
    let set = |c: &mut ravelin_config, p: &mut Peer| {
        // SAFETY: the caller vouches for the texts and the octets.
        let (methods, user, password) = unsafe { (text(methods)?, maybe_text(user)?, bytes(password, len)?) };
        let mut read = |t: &str| match t.trim() {
            "mschapv2" => Ok(EapMethod::MsChapV2),
            "gtc" => Ok(EapMethod::Gtc),
            "md5" => Ok(EapMethod::Md5),
            "relay" => Ok(EapMethod::Relay),
            _ => Err(c.fail(format!("expected mschapv2, gtc, md5 or relay, found \"{t}\""))),
        };
        p.eap.methods = methods.split(',').map(&mut read).collect::<Result<_, _>>()?;
        if let Some(user) = user {
            c.db.pad.secrets.add_eap(user.as_bytes(), Secret::new(password.to_vec()));
            p.eap.identity = Some(user.to_owned());
        }
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { peer_with(config, peer, set) }
}

/// Proposals for the IKE SA, best first, separated by commas, as in "aes256gcm16-prfsha384-x25519". One thread at a
/// time.
///
/// # Safety
/// `config` is NULL or live; `ike` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_peer_proposals(
    config: *mut ravelin_config,
    peer: u32,
    ike: *const c_char,
) -> ravelin_status {
    let set = |c: &mut ravelin_config, p: &mut Peer| {
        // SAFETY: the caller vouches for the text.
        let words = unsafe { text(ike)? };
        p.proposals = Proposal::parse_list(ProposalProtocol::Ike, words).map_err(|e| c.fail(e))?;
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { peer_with(config, peer, set) }
}

/// What we prove ourselves with: a certificate chain (DER, our own first; none: the raw public key) and the private key
/// (PKCS#8, DER). One thread at a time.
///
/// # Safety
/// `config` is NULL or live; `chain` points to `chain_len` readable values whose octets are readable; `key` points to
/// `key_len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_peer_credential(
    config: *mut ravelin_config,
    peer: u32,
    chain: *const ravelin_octets,
    chain_len: usize,
    key: *const u8,
    key_len: usize,
) -> ravelin_status {
    let set = |c: &mut ravelin_config, p: &mut Peer| {
        // SAFETY: the caller vouches for both.
        let (chain, key) = unsafe { (certificates(chain, chain_len)?, bytes(key, key_len)?) };
        let key = provider().signing_key(key).map_err(|e| c.fail(format!("private key: {e}")))?;
        c.db.pad.credentials.add(p.name.clone(), Credential::new(chain, key.into()));
        p.credential = Some(p.name.clone());
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { peer_with(config, peer, set) }
}

/// A signature scheme: kind (1 RSA PKCS#1, 2 RSA-PSS, 3 ECDSA, 4 ECDSA of RFC 4754, 5 Ed25519, 6 to 8 ML-DSA-44, -65,
/// -87) and hash (RFC 7427's numbers: 1 SHA-1, 2 SHA2-256, 3 SHA2-384, 4 SHA2-512, 5 none).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_scheme {
    /// Which.
    pub kind: u32,
    /// Its hash.
    pub hash: u16,
}

/// As `ravelin_config_peer_credential`, for a private key that is elsewhere (a token, an HSM): each signature is asked
/// for. `public_key` is DER SubjectPublicKeyInfo; `schemes` are what the key signs with, best first. One thread at a
/// time.
///
/// # Safety
/// As `ravelin_config_peer_credential`; `schemes` points to `schemes_len` values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_peer_credential_elsewhere(
    config: *mut ravelin_config,
    peer: u32,
    chain: *const ravelin_octets,
    chain_len: usize,
    public_key: *const u8,
    public_key_len: usize,
    schemes: *const ravelin_scheme,
    schemes_len: usize,
) -> ravelin_status {
    let set = |c: &mut ravelin_config, p: &mut Peer| {
        // SAFETY: the caller vouches for all three.
        let (chain, key, schemes) = unsafe {
            (certificates(chain, chain_len)?, bytes(public_key, public_key_len)?, array(schemes, schemes_len)?)
        };
        let schemes: Option<Vec<_>> = schemes.iter().map(|s| scheme_of(s.kind, s.hash)).collect();
        let schemes = schemes.filter(|s| !s.is_empty()).ok_or_else(|| c.fail("expected known signature schemes"))?;
        if key.is_empty() {
            return Err(c.fail("expected a public key, DER SubjectPublicKeyInfo"));
        }
        c.db.pad.credentials.add(p.name.clone(), Credential::elsewhere(chain, key.to_vec(), schemes));
        p.credential = Some(p.name.clone());
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { peer_with(config, peer, set) }
}

/// # Safety
/// `chain` points to `len` readable values whose octets are readable.
unsafe fn certificates(chain: *const ravelin_octets, len: usize) -> Result<Vec<Vec<u8>>, Status> {
    // SAFETY: the caller vouches for the array.
    let list = unsafe { array(chain, len)? };
    // SAFETY: and for what it points to.
    list.iter().map(|c| unsafe { c.get() }.map(<[u8]>::to_vec)).collect()
}

/// A CA certificate (DER) that the peer's chain may lead to; may be called several times. One thread at a time.
///
/// # Safety
/// `config` is NULL or live; `der` points to `len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_peer_anchor(
    config: *mut ravelin_config,
    peer: u32,
    der: *const u8,
    len: usize,
) -> ravelin_status {
    let set = |c: &mut ravelin_config, p: &mut Peer| {
        // SAFETY: the caller vouches for the octets.
        let der = unsafe { bytes(der, len)? };
        ravelin::ike::auth::x509::read::Facts::of(der).map_err(|e| c.fail(e))?;
        let name = format!("{}#{}", p.name, p.anchors.len());
        c.db.pad.credentials.add_anchor(name.clone(), der);
        p.anchors.push(name);
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { peer_with(config, peer, set) }
}

/// A public key (DER SubjectPublicKeyInfo) that the peer may prove itself with without a certificate (RFC 7670). One
/// thread at a time.
///
/// # Safety
/// `config` is NULL or live; `spki` points to `len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_peer_raw_key(
    config: *mut ravelin_config,
    peer: u32,
    spki: *const u8,
    len: usize,
) -> ravelin_status {
    let set = |_: &mut ravelin_config, p: &mut Peer| {
        // SAFETY: the caller vouches for the octets.
        let spki = unsafe { bytes(spki, len)? };
        if spki.is_empty() {
            return Err(Status::InvalidArgument);
        }
        p.raw_keys.push(spki.to_vec());
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { peer_with(config, peer, set) }
}

/// Times of IKE SAs with this peer in seconds, 0: never: rekeying, reauthentication, liveness checks after silence, NAT
/// keepalives. One thread at a time.
///
/// # Safety
/// `config` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_peer_times(
    config: *mut ravelin_config,
    peer: u32,
    rekey_s: u32,
    reauth_s: u32,
    dpd_s: u32,
    keepalive_s: u32,
) -> ravelin_status {
    let set = |_: &mut ravelin_config, p: &mut Peer| {
        let seconds = |s: u32| Duration::from_secs(s.into());
        (p.times.rekey, p.times.reauth) = (seconds(rekey_s), seconds(reauth_s));
        (p.times.dpd, p.times.keepalive) = (seconds(dpd_s), seconds(keepalive_s));
        p.times.jitter = p.times.jitter.min(seconds(rekey_s) / 10);
        p.times.over = p.times.over.min(seconds(rekey_s));
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { peer_with(config, peer, set) }
}

/// Switches of a peer.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "the C name")]
pub enum ravelin_peer_option {
    /// MOBIKE (RFC 4555) is offered. On by default.
    Mobike = 1,
    /// IKE fragments (RFC 7383) are offered. On by default.
    Fragmentation = 2,
    /// An IKE SA without Child SA may be set up (RFC 6023). On by default.
    Childless = 3,
    /// UDP encapsulation always, not only behind a NAT. Off by default.
    ForceEncapsulation = 4,
    /// Ask the peer for an inner IPv4 address. Off by default.
    RequestV4 = 5,
    /// Ask the peer for an inner IPv6 address. Off by default.
    RequestV6 = 6,
    /// The post-quantum key comes from a key-distribution system: the next one is asked for (`NextPpk`), and the peer's
    /// by its PPK_ID (`Ppk`). Off by default.
    PpkAsked = 7,
    /// A post-quantum key goes into every rekeying of ours too, where the peer agrees (RFC 9867). Off by default.
    PpkRekey = 8,
    /// A peer without post-quantum key is refused. Off by default.
    PpkRequired = 9,
}

/// Turns a switch of a peer (`ravelin_peer_option`) on or off. One thread at a time.
///
/// # Safety
/// `config` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_peer_option(
    config: *mut ravelin_config,
    peer: u32,
    option: u32,
    on: bool,
) -> ravelin_status {
    let set = |_: &mut ravelin_config, p: &mut Peer| {
        match option {
            1 => p.mobike = on,
            2 => p.fragmentation = on,
            3 => p.childless = if on { Childless::Allow } else { Childless::Never },
            4 => p.nat_traversal = if on { NatTraversal::Force } else { NatTraversal::Auto },
            5 => p.request_v4 = on,
            6 => p.request_v6 = on,
            7 => p.ppk_source = if on { PpkSource::Asked } else { PpkSource::Configured },
            8 => p.ppk_rekey = on,
            9 => p.ppk_required = on,
            _ => return Err(Status::InvalidArgument),
        }
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { peer_with(config, peer, set) }
}

fn selectors(list: &str) -> Result<Vec<TrafficSelector>, String> {
    list.split(',').map(|s| s.trim().parse().map_err(|e: ravelin::db::selector::SelectorError| e.to_string())).collect()
}

/// Adds a policy that protects traffic with a peer. Selectors as in "10.1.0.0/16" or "10.1.0.0/16[tcp/80]", several
/// separated by commas; `esp` may be NULL for the default proposals, else as in "aes256gcm16". Writes the policy's id.
/// One thread at a time.
///
/// # Safety
/// `config` is NULL or live; texts are NULL or NUL-terminated; `policy` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_add_child(
    config: *mut ravelin_config,
    peer: u32,
    name: *const c_char,
    local_ts: *const c_char,
    remote_ts: *const c_char,
    esp: *const c_char,
    policy: *mut u32,
) -> ravelin_status {
    let add = |c: &mut ravelin_config| {
        wanted(policy)?;
        c.db.pad.peer(PeerId(peer)).ok_or(Status::UnknownPeer)?;
        // SAFETY: the caller vouches for all texts.
        let (name, local, remote, esp) = unsafe { (text(name)?, text(local_ts)?, text(remote_ts)?, maybe_text(esp)?) };
        let mut protect = Protect::new(PeerId(peer));
        if let Some(words) = esp {
            protect.proposals = Proposal::parse_list(ProposalProtocol::Esp, words).map_err(|e| c.fail(e))?;
        }
        let local = selectors(local).map_err(|e| c.fail(e))?;
        let remote = selectors(remote).map_err(|e| c.fail(e))?;
        let entry = Policy::new(name, local, remote, Action::Protect(protect.into()));
        let id = c.db.spd.add(entry).map_err(|e| c.fail(e))?;
        // SAFETY: handed on.
        unsafe { put(policy, id.0) }
    };
    // SAFETY: handed on.
    unsafe { with(config, add) }
}

/// Adds a policy that lets traffic pass in the clear (`bypass`) or drops it. The narrower of two policies is judged
/// first. One thread at a time.
///
/// # Safety
/// As `ravelin_config_add_child`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_add_policy(
    config: *mut ravelin_config,
    name: *const c_char,
    local_ts: *const c_char,
    remote_ts: *const c_char,
    bypass: bool,
    policy: *mut u32,
) -> ravelin_status {
    let add = |c: &mut ravelin_config| {
        wanted(policy)?;
        // SAFETY: the caller vouches for all texts.
        let (name, local, remote) = unsafe { (text(name)?, text(local_ts)?, text(remote_ts)?) };
        let local = selectors(local).map_err(|e| c.fail(e))?;
        let remote = selectors(remote).map_err(|e| c.fail(e))?;
        let action = if bypass { Action::Bypass } else { Action::Discard };
        let id = c.db.spd.add(Policy::new(name, local, remote, action)).map_err(|e| c.fail(e))?;
        // SAFETY: handed on.
        unsafe { put(policy, id.0) }
    };
    // SAFETY: handed on.
    unsafe { with(config, add) }
}

/// Mode of a policy's SAs: 0 tunnel, 1 transport, 2 BEET. One thread at a time.
///
/// # Safety
/// `config` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_child_mode(
    config: *mut ravelin_config,
    policy: u32,
    mode: u8,
) -> ravelin_status {
    let set = |_: &mut ravelin_config, p: &mut Protect| {
        p.mode = match mode {
            0 => Mode::Tunnel,
            1 => Mode::Transport,
            2 => Mode::Beet,
            _ => return Err(Status::InvalidArgument),
        };
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { policy_with(config, policy, set) }
}

/// What starts a policy's SAs: 0 the peer only, 1 the first packet, 2 at once, by
/// `ravelin_node_start`. One thread at a time.
///
/// # Safety
/// `config` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_child_start(
    config: *mut ravelin_config,
    policy: u32,
    start: u8,
) -> ravelin_status {
    let set = |_: &mut ravelin_config, p: &mut Protect| {
        p.start = match start {
            0 => StartAction::None,
            1 => StartAction::Trap,
            2 => StartAction::Start,
            _ => return Err(Status::InvalidArgument),
        };
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { policy_with(config, policy, set) }
}

/// Limits of a policy's SAs, 0: none. Soft limits lead to rekeying, hard ones end the SA.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_limits {
    /// Rekey after so many seconds.
    pub rekey_s: u32,
    /// Close when still not rekeyed after so many seconds.
    pub hard_s: u32,
    /// Octets of inner packets.
    pub soft_bytes: u64,
    /// Octets of inner packets.
    pub hard_bytes: u64,
    /// Packets.
    pub soft_packets: u64,
    /// Packets.
    pub hard_packets: u64,
    /// Close after so many seconds without a packet.
    pub idle_s: u32,
    /// Replay window in packets; 0: no replay protection.
    pub replay_window: u32,
}

/// Sets all limits of a policy's SAs. One thread at a time.
///
/// # Safety
/// `config` is NULL or live; `limits` is NULL or readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_child_limits(
    config: *mut ravelin_config,
    policy: u32,
    limits: *const ravelin_limits,
) -> ravelin_status {
    let set = |c: &mut ravelin_config, p: &mut Protect| {
        // SAFETY: NULL or readable.
        let l = unsafe { crate::guard::read(limits)? };
        let below = |soft: u64, hard: u64| hard == 0 || soft <= hard;
        let ordered = below(l.soft_bytes, l.hard_bytes) && below(l.soft_packets, l.hard_packets);
        if !ordered || !below(l.rekey_s.into(), l.hard_s.into()) || l.replay_window > 65_536 {
            return Err(c.fail("expected soft limits below the hard ones and a window of at most 65536 packets"));
        }
        let seconds = |s: u32| Duration::from_secs(s.into());
        (p.times.rekey, p.times.hard) = (seconds(l.rekey_s), seconds(l.hard_s));
        p.times.jitter = p.times.jitter.min(seconds(l.rekey_s) / 10);
        (p.lifetime.soft.bytes, p.lifetime.hard.bytes) = (l.soft_bytes, l.hard_bytes);
        (p.lifetime.soft.packets, p.lifetime.hard.packets) = (l.soft_packets, l.hard_packets);
        p.lifetime.idle = seconds(l.idle_s);
        p.replay_window = l.replay_window;
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { policy_with(config, policy, set) }
}
