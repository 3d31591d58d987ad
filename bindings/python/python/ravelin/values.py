"""Plain values: time, addresses, paths, ids, causes of drops."""

from __future__ import annotations

import time
from enum import IntEnum
from typing import Literal, NamedTuple, NewType, TypeAlias

from . import _ravelin

__all__ = [
    "Address", "ChildId", "Direction", "DropReason", "Encapsulation", "IkeSaId", "Mode", "Now", "Path", "PeerId",
    "PolicyId", "Protocol", "Role",
]

IkeSaId = NewType("IkeSaId", int)
"""One IKE SA of a node; never used twice. A rekeyed IKE SA is a new one."""
ChildId = NewType("ChildId", int)
"""One Child SA pair; never used twice. A rekeyed Child SA is a new one."""
PeerId = NewType("PeerId", int)
"""One entry of the PAD."""
PolicyId = NewType("PolicyId", int)
"""One entry of the SPD."""

Address: TypeAlias = tuple[str, int]
"""IP address and port, as sockets have them."""
Role: TypeAlias = Literal["initiator", "responder"]
Mode: TypeAlias = Literal["tunnel", "transport", "beet"]
Encapsulation: TypeAlias = Literal["none", "udp", "tcp"]
Direction: TypeAlias = Literal["in", "out"]
Protocol: TypeAlias = Literal["esp", "ah"]


class Now(NamedTuple):
    """Both times, as the caller read them just before the call."""

    mono: int
    """Monotonic time in microseconds from any fixed origin; never goes back between calls on one node."""
    wall: int = 0
    """Wall time in seconds since 1970-01-01 UTC, for certificates; may step."""

    @classmethod
    def read(cls) -> Now:
        """The system's clocks."""
        return cls(time.monotonic_ns() // 1000, int(time.time()))


class Path(NamedTuple):
    """Where a datagram goes between. For bare ESP the ports are 0."""

    local: Address
    """This host's end."""
    remote: Address
    """The peer's end."""

    def reverse(self) -> Path:
        """The same path as the peer sees it."""
        return Path(self.remote, self.local)


class DropReason(IntEnum):
    """One cause of a dropped packet; the numbers are stable and the same in C."""

    RUNT = 0
    RESERVED_SPI = 1
    UNKNOWN_SPI = 2
    WRONG_PROTOCOL = 3
    REPLAY = 4
    TOO_OLD = 5
    INTEGRITY = 6
    DECRYPT = 7
    PROVIDER = 8
    PADDING = 9
    NEXT_HEADER = 10
    INNER_HEADER = 11
    SELECTORS = 12
    CONGESTION = 13
    DUMMY = 14
    EXPIRED = 15
    SEQUENCE_EXHAUSTED = 16
    NO_ROOM = 17
    OVERSIZED = 18
    NOT_IP = 19
    NO_SA = 20
    REMOVED = 21
    FRAGMENT = 22
    TOO_BIG = 23
    OUTER_HEADER = 24
    NEEDS_HEADER = 25
    NOT_ESP = 26
    FRAMING = 27
    REASSEMBLY = 28
    HOP_LIMIT = 29
    NO_POLICY = 30
    POLICY_DISCARD = 31

    @property
    def text(self) -> str:
        """What was expected and which rule says so, for an operator."""
        return _TEXTS[self.value]


_TEXTS = {number: text for number, _, text in _ravelin.drop_reasons()}
