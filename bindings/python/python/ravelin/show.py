"""What there is, as values for `show` commands and assertions."""

from __future__ import annotations

from dataclasses import dataclass

from .events import Settings
from .values import ChildId, DropReason, Encapsulation, IkeSaId, Mode, Path, PeerId, PolicyId, Role

__all__ = ["ChildSa", "ChildStats", "Counters", "IkeSa", "Reload", "Traffic"]


@dataclass(frozen=True, slots=True)
class ChildSa:
    """One Child SA pair."""

    child: ChildId
    policy: PolicyId
    spi_in: int
    spi_out: int
    proposal: str
    mode: Mode
    encapsulation: Encapsulation
    local_ts: tuple[str, ...]
    remote_ts: tuple[str, ...]
    age: float
    """Seconds since it was installed."""


@dataclass(frozen=True, slots=True)
class IkeSa:
    """One IKE SA."""

    sa: IkeSaId
    peer: PeerId | None
    peer_name: str
    state: str
    """"opening", "established", "replaced", "closing"."""
    role: Role
    path: Path
    local_id: str | None
    remote_id: str | None
    spis: tuple[int, int]
    proposal: str
    nat: tuple[bool, bool]
    age: float
    """Seconds since the attempt began."""
    established: float | None
    """Seconds since it was established."""
    next: tuple[int, str]
    """Its next event: when, in microseconds, and why."""
    leased: tuple[str, ...]
    settings: Settings | None
    children: tuple[ChildSa, ...]


@dataclass(frozen=True, slots=True)
class Traffic:
    """One direction of one Child SA."""

    spi: int
    packets: int
    bytes: int
    last: int
    """When the last packet was, in microseconds."""
    sequence: int
    path: Path
    encapsulation: Encapsulation
    drops: dict[DropReason, int]


@dataclass(frozen=True, slots=True)
class ChildStats:
    """Counters of a Child SA."""

    child: ChildId
    policy: PolicyId
    mode: Mode
    inbound: Traffic | None
    outbound: Traffic | None
    active: bool
    """True when its policy's packets are sent on it."""


@dataclass(frozen=True, slots=True)
class Reload:
    """What `Node.reload` changed: names of peers, policies and pools."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    """They hold for SAs to come."""
    removed: tuple[str, ...]
    """Their SAs are being deleted."""
    notes: tuple[str, ...]
    """What could not be done; the rest was."""
    deleting: tuple[ChildId, ...]
    """Child SAs that go although their policy stays, for its traffic selectors changed."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What came in, by what became of it."""

    malformed: int
    wrong_version: int
    unknown_spi: int
    unexpected: int
    not_authentic: int
    handled: int
    repeated: int
    cookies_demanded: int
    cookies_wrong: int
    puzzles_set: int
    over_limit: int
    refused: int
