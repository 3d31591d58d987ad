"""Builder objects of a configuration: `Peer` and `Child`, for `Config.add_peer`.

Times are seconds; None keeps the default, 0 turns a timer off.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Sequence, TypeAlias

from .values import Mode, Protocol

__all__ = ["Child", "Peer"]

AuthMethod: TypeAlias = Literal["psk", "pubkey", "eap", "null"]
Action: TypeAlias = Literal["none", "trap", "start"]


@dataclass(frozen=True, kw_only=True)
class Child:
    """Traffic to protect with a peer: a policy of the SPD, called PEER/NAME."""

    name: str
    local_ts: Sequence[str]
    """Ours, such as "10.1.0.0/16" or "10.1.0.1[tcp/80]"."""
    remote_ts: Sequence[str]
    esp: str | None = None
    """Proposals such as "aes256gcm16,aes128-sha256"; None: the default ones."""
    mode: Mode = "tunnel"
    protocol: Protocol = "esp"
    start: Action = "trap"
    close: Action = "none"
    dpd: Action = "none"
    replay_window: int = 128
    rekey: float | None = None
    hard: float | None = None
    rekey_bytes: int = 0
    hard_bytes: int = 0
    rekey_packets: int = 0
    hard_packets: int = 0


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Who may speak, and how each side proves itself: an entry of the PAD."""

    name: str
    local_id: str
    """Such as "gw.example.org", "user@example.org", "192.0.2.1", "C=CH, O=Lab, CN=gw", "keyid:x"."""
    remote_id: str = "%any"
    """As `local_id`, or a pattern such as "*.example.org"."""
    local: str | None = None
    """Our address to initiate from."""
    remote: str | None = None
    """The peer's address to initiate to; None: only the peer can start."""
    remote_port: int = 500
    children: Sequence[Child] = ()
    ike: str | None = None
    """Proposals such as "aes256gcm16-prfsha384-x25519"; None: the default ones."""

    auth: AuthMethod = "psk"
    remote_auth: Sequence[AuthMethod] = ()
    """Any one of these; empty: as `auth`."""
    psk: bytes | None = field(default=None, repr=False)
    certificates: Sequence[bytes] = field(default=(), repr=False)
    """DER, our own first."""
    key: bytes | None = field(default=None, repr=False)
    """Our private key, PKCS#8 in DER."""
    public_key: bytes | None = field(default=None, repr=False)
    """Instead of `key`: the private key is elsewhere and signatures are asked for (`asks.Sign`)."""
    schemes: Sequence[str] = ()
    """What that key signs with, best first, such as "ecdsa-sha2-256"."""
    anchors: Sequence[bytes] = field(default=(), repr=False)
    """CA certificates that we trust for this peer, DER."""
    crls: Sequence[bytes] = field(default=(), repr=False)
    revocation: Literal["off", "if-present", "required"] = "if-present"
    raw_keys: Sequence[bytes] = field(default=(), repr=False)
    """Public keys that the peer may use without a certificate (DER SubjectPublicKeyInfo)."""
    eap: Sequence[Literal["mschapv2", "gtc", "md5", "relay"]] = ("mschapv2",)
    eap_id: str | None = None
    eap_password: bytes | None = field(default=None, repr=False)
    ppk_id: bytes | None = None
    ppk: bytes | None = field(default=None, repr=False)
    ppk_required: bool = False
    ppk_source: Literal["configured", "asked"] = "configured"
    ppk_rekey: bool = False
    ppk_method: Literal["either", "auth", "intermediate"] = "either"

    nat_traversal: Literal["auto", "force", "never", "forbid"] = "auto"
    uniqueness: Literal["initial-contact", "replace", "keep", "never"] = "initial-contact"
    fragmentation: bool = True
    mobike: bool = True
    childless: Literal["never", "allow", "prefer"] = "allow"
    """IKE SAs without a first Child SA (RFC 6023)."""
    keying_tries: int = 1
    """Attempts to bring an IKE SA up; 0: for ever."""
    request_v4: bool = False
    request_v6: bool = False
    pools: Sequence[str] = ()
    child_constraints: Sequence[str] = ()
    rekey: float | None = None
    reauth: float | None = None
    dpd: float | None = None
    keepalive: float | None = None
