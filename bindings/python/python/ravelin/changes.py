"""Steps for a data plane and its reports.

With `Config(data_plane="external")` changes come out of the queue in the order in which they must be carried out, and
reports go in by `Node.handle_report`: a kernel, VPP or an ASIC carries the packets. The same changes feed
`ravelin.Plane`, the ESP plane alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from . import _ravelin
from .values import ChildId, Direction, Encapsulation, Mode, Path, PolicyId, Protocol

__all__ = [
    "Acquire", "AddPolicy", "Change", "Failed", "HardExpired", "Idle", "InstallInbound", "InstallOutbound", "Move",
    "PathSeen", "Remove", "RemovePolicy", "Report", "SaParams", "SequenceLow", "SoftExpired", "Switch", "Traffic",
    "UnknownSpi",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SaParams:
    """One direction of one Child SA: everything that a data plane must know."""

    child: ChildId
    spi: int
    """Inbound: the one we chose. Outbound: the one the peer chose."""
    direction: Direction
    path: Path
    """Outer addresses; with UDP also the ports."""
    encr: int
    """Encryption transform (IANA)."""
    key_bits: int | None = None
    """Key Length attribute, where the transform has one."""
    integ: int = 0
    """Integrity transform (IANA); 0 with an AEAD."""
    encr_key: bytes = field(repr=False)
    """Encryption key followed by the salt."""
    integ_key: bytes = field(default=b"", repr=False)
    local_ts: tuple[str, ...] = ("0.0.0.0/0", "::/0")
    remote_ts: tuple[str, ...] = ("0.0.0.0/0", "::/0")
    protocol: Protocol = "esp"
    mode: Mode = "tunnel"
    encapsulation: Encapsulation = "none"
    esn: bool = False
    replay_window: int = 128
    """In packets; 0 turns it off."""
    policy: PolicyId = PolicyId(0)
    soft_bytes: int = 0
    """Passing these limits yields `SoftExpired`; 0: no limit."""
    soft_packets: int = 0
    hard_bytes: int = 0
    """Passing these limits stops the SA and yields `HardExpired`; 0: no limit."""
    hard_packets: int = 0
    idle: int = 0
    """No packet for so many microseconds yields `Idle`; 0: not watched."""
    tfc_padding: bool = True
    if_id: int = 0
    mark: int = 0
    resource: bytes = b""

    @classmethod
    def manual(
        cls,
        algorithms: str,
        *,
        child: int,
        spi: int,
        direction: Direction,
        path: Path,
        key: bytes,
        integ_key: bytes = b"",
        mode: Mode = "tunnel",
        encapsulation: Encapsulation = "none",
        esn: bool = False,
        replay_window: int = 128,
        local_ts: tuple[str, ...] = ("0.0.0.0/0", "::/0"),
        remote_ts: tuple[str, ...] = ("0.0.0.0/0", "::/0"),
    ) -> SaParams:
        """An SA with manual keys, its algorithms in words such as "aes256gcm16" or "aes128-sha256". `key` holds the
        encryption key and the salt."""
        encr, bits, integ, key_len, integ_len = _ravelin.algorithms(algorithms)
        if (len(key), len(integ_key)) != (key_len, integ_len):
            found = f"found {len(key)} and {len(integ_key)}"
            raise ValueError(f"{algorithms}: expected keys of {key_len} and {integ_len} octets, {found}")
        return cls(
            child=ChildId(child), spi=spi, direction=direction, path=path, encr=encr, key_bits=bits, integ=integ,
            encr_key=key, integ_key=integ_key, mode=mode, encapsulation=encapsulation, esn=esn,
            replay_window=replay_window, local_ts=local_ts, remote_ts=remote_ts,
        )


@dataclass(frozen=True, slots=True)
class InstallInbound:
    """Accept packets on this SA from now on."""

    sa: SaParams


@dataclass(frozen=True, slots=True)
class InstallOutbound:
    """Have this SA ready for sending. It carries traffic of its policy when no other does, or after `Switch`."""

    sa: SaParams


@dataclass(frozen=True, slots=True)
class Switch:
    """Send on `new` what was sent on `old`."""

    old: ChildId
    new: ChildId


@dataclass(frozen=True, slots=True)
class Move:
    """Both directions of a pair have new outer addresses or another encapsulation."""

    child: ChildId
    path: Path
    encapsulation: Encapsulation


@dataclass(frozen=True, slots=True)
class Remove:
    """Forget one direction and wipe its keys."""

    child: ChildId
    direction: Direction
    spi: int
    path: Path


@dataclass(frozen=True, slots=True)
class AddPolicy:
    """A policy got its selectors for one IKE SA (a leased address); precedes the SA."""

    policy: PolicyId
    name: str
    local_ts: tuple[str, ...]
    remote_ts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemovePolicy:
    """That copy of the policy is gone."""

    policy: PolicyId
    name: str
    local_ts: tuple[str, ...]
    remote_ts: tuple[str, ...]


Change: TypeAlias = InstallInbound | InstallOutbound | Switch | Move | Remove | AddPolicy | RemovePolicy
"""One step for a data plane."""


@dataclass(frozen=True, slots=True)
class Acquire:
    """A packet matched a protect policy that has no SA: start negotiating."""

    policy: PolicyId
    packet: bytes
    """The packet, or its headers."""


@dataclass(frozen=True, slots=True)
class SoftExpired:
    """A soft limit was passed."""

    child: ChildId


@dataclass(frozen=True, slots=True)
class HardExpired:
    """A hard limit was passed; the SA carries nothing any more."""

    child: ChildId


@dataclass(frozen=True, slots=True)
class SequenceLow:
    """The outbound sequence number is near its end: rekey."""

    child: ChildId


@dataclass(frozen=True, slots=True)
class Idle:
    """No traffic for the SA's idle limit."""

    child: ChildId


@dataclass(frozen=True, slots=True)
class PathSeen:
    """An authenticated packet came from another outer address."""

    child: ChildId
    path: Path


@dataclass(frozen=True, slots=True)
class Traffic:
    """When the last authenticated inbound packet came, in microseconds; proves the peer alive."""

    child: ChildId
    last: int


@dataclass(frozen=True, slots=True)
class UnknownSpi:
    """A packet came for an SPI that no SA has."""

    spi: int
    path: Path


@dataclass(frozen=True, slots=True)
class Failed:
    """The plane could not install or keep the pair."""

    child: ChildId


Report: TypeAlias = (
    Acquire | SoftExpired | HardExpired | SequenceLow | Idle | PathSeen | Traffic | UnknownSpi | Failed
)
"""One observation of a data plane."""
