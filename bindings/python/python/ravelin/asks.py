"""Questions of a node and the answers: private keys that are elsewhere, certificates that somebody else judges, secrets
that are not in the configuration, EAP servers.

```python
match output:
    case asks.SharedSecret(ticket, local, remote):
        node.answer(ticket, asks.Secret(vault[remote]), now)
    case asks.Sign(ticket, public_key, scheme, octets):
        node.answer(ticket, asks.Signature(hsm.sign(scheme, octets)), now)
```
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from ._ravelin import Ticket

__all__ = [
    "Answer", "Ask", "Eap", "EapPacket", "NextPpk", "Ppk", "PpkSecret", "PublicKey", "Refused", "Secret", "SharedSecret", "Sign", "Signature",
    "Ticket", "VerifyChain",
]


@dataclass(frozen=True, slots=True)
class Sign:
    """A signature by the private key that belongs to `public_key`; answered by `Signature`."""

    ticket: Ticket
    public_key: bytes
    """DER SubjectPublicKeyInfo."""
    scheme: str
    """Such as "rsa-pss-sha2-256", "ecdsa-sha2-384", "ed25519"."""
    octets: bytes
    """What is signed; hashing is part of the scheme."""


@dataclass(frozen=True, slots=True)
class VerifyChain:
    """Whether a chain is good and is about `id`; answered by `PublicKey`."""

    ticket: Ticket
    chain: tuple[bytes, ...]
    """DER, the peer's own first."""
    id: str


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """The pre-shared key between two identities; answered by `Secret`."""

    ticket: Ticket
    local: str
    remote: str


@dataclass(frozen=True, slots=True)
class Ppk:
    """The post-quantum pre-shared key with this PPK_ID (type octet and value); answered by `Secret`."""

    ticket: Ticket
    id: bytes


@dataclass(frozen=True, slots=True)
class NextPpk:
    """Which post-quantum pre-shared key to use with a peer (`Peer(ppk_source="asked")`); answered by `PpkSecret`."""

    ticket: Ticket
    local: str
    remote: str | None
    peer: str


@dataclass(frozen=True, slots=True)
class Eap:
    """What the EAP server says to this packet, empty at the start; answered by `EapPacket`."""

    ticket: Ticket
    id: str
    packet: bytes


Ask: TypeAlias = Sign | VerifyChain | SharedSecret | Ppk | NextPpk | Eap
"""A question."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The chain is good; this is the public key of its first certificate (DER SubjectPublicKeyInfo)."""

    der: bytes


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PpkSecret:
    """A post-quantum pre-shared key with its PPK_ID (type octet and value)."""

    id: bytes
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class EapPacket:
    """The server's next EAP packet; with Success, the MSK where the method makes one."""

    packet: bytes
    msk: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """No, and why, for the operator."""

    why: str


Answer: TypeAlias = Signature | PublicKey | Secret | PpkSecret | EapPacket | Refused
"""An answer; `Refused` fits every question."""
