"""What a node wants done or has to tell: frozen classes for `match`.

```python
for output in node.outputs():
    match output:
        case events.Transmit(path, data):
            sockets[path.local].sendto(data, path.remote)
        case events.Closed(sa, peer, reason):
            print(f"IKE SA {sa} ended: {reason}")
```
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from . import _ravelin, errors
from .asks import Ask
from .changes import Change, SaParams
from .errors import Fault
from .values import ChildId, IkeSaId, Mode, Path, PeerId, PolicyId, Role

__all__ = [
    "Alive", "Assigned", "ChildClosed", "ChildEstablished", "ChildKeys", "ChildRefused", "ChildRekeyed", "Closed",
    "Established", "Event", "HandshakeKeys", "IkeKeys", "Leased", "Moved", "Noted", "Output", "Reason", "Rekeyed", "Settings",
    "Suggested", "Transmit", "Unknown",
]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something ended or was refused."""

    kind: str
    """In a word, such as "NoProposal"."""
    fault: Fault
    """Whose fault it is."""
    text: str
    """For an operator: what was expected, what came, which RFC says so."""

    def __str__(self) -> str:
        return self.text

    def error(self) -> errors.ProtocolError:
        """The exception for it."""
        return errors.from_fault(self.fault, self.text)


def make_reason(kind: str, fault: str, text: str) -> Reason:
    """For the native half."""
    return Reason(kind, Fault(fault), text)


@dataclass(frozen=True, slots=True)
class Transmit:
    """A datagram to send: IKE, or a NAT keepalive."""

    code: ClassVar[int] = 1
    path: Path
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Established:
    """An IKE SA is authenticated both ways."""

    code: ClassVar[int] = 32
    sa: IkeSaId
    peer: PeerId
    role: Role
    path: Path
    local_id: str
    remote_id: str
    spis: tuple[int, int]
    """The initiator's and the responder's."""
    proposal: str
    nat: tuple[bool, bool]
    """A NAT stands before us, before the peer."""


@dataclass(frozen=True, slots=True)
class ChildEstablished:
    """A Child SA pair is installed."""

    code: ClassVar[int] = 33
    sa: IkeSaId
    child: ChildId
    policy: PolicyId
    spi_in: int
    spi_out: int
    proposal: str
    mode: Mode
    local_ts: tuple[str, ...]
    remote_ts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChildClosed:
    """A Child SA is gone, both directions."""

    code: ClassVar[int] = 34
    sa: IkeSaId
    child: ChildId
    reason: Reason


@dataclass(frozen=True, slots=True)
class ChildRefused:
    """A Child SA could not be made; the IKE SA lives on."""

    code: ClassVar[int] = 35
    sa: IkeSaId
    policy: PolicyId | None
    reason: Reason


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """An IKE SA was replaced by a rekeyed one; its Child SAs live on in it."""

    code: ClassVar[int] = 36
    old: IkeSaId
    new: IkeSaId


@dataclass(frozen=True, slots=True)
class ChildRekeyed:
    """A Child SA was replaced by a rekeyed one."""

    code: ClassVar[int] = 37
    sa: IkeSaId
    old: ChildId
    new: ChildId


@dataclass(frozen=True, slots=True)
class Moved:
    """The addresses of an IKE SA and its Child SAs changed."""

    code: ClassVar[int] = 38
    sa: IkeSaId
    path: Path


@dataclass(frozen=True, slots=True)
class Alive:
    """The peer answered a probe."""

    code: ClassVar[int] = 39
    sa: IkeSaId


@dataclass(frozen=True, slots=True)
class Closed:
    """An attempt or an IKE SA ended; the id never appears again."""

    code: ClassVar[int] = 40
    sa: IkeSaId
    peer: PeerId | None
    reason: Reason


@dataclass(frozen=True, slots=True)
class Noted:
    """Something of note that ended nothing."""

    code: ClassVar[int] = 41
    sa: IkeSaId | None
    path: Path
    reason: Reason


@dataclass(frozen=True, slots=True)
class IkeKeys:
    """Keys of an IKE SA, only when the configuration exports them."""

    code: ClassVar[int] = 42
    sa: IkeSaId
    spis: tuple[int, int]
    encr: int
    key_bits: int | None
    integ: int
    sk_ei: bytes = field(repr=False)
    """Of the initiator, with its salt."""
    sk_er: bytes = field(repr=False)
    sk_ai: bytes = field(repr=False)
    sk_ar: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class HandshakeKeys(IkeKeys):
    """Keys of an IKE SA that is not authenticated yet, only when the configuration exports them: each time they change,
    before a message is sent under them."""

    code: ClassVar[int] = 47


@dataclass(frozen=True, slots=True)
class ChildKeys:
    """Keys of a Child SA, only when the configuration exports them."""

    code: ClassVar[int] = 43
    inbound: SaParams
    outbound: SaParams


@dataclass(frozen=True, slots=True)
class Settings:
    """What a peer told us about our inside: addresses, DNS servers, networks."""

    addresses: tuple[str, ...]
    """With prefix lengths."""
    dns: tuple[str, ...]
    subnets: tuple[str, ...]
    domains: tuple[str, ...]
    application_version: str | None
    other: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Assigned:
    """The peer told us our inner addresses and more; before its first Child SA."""

    sa: IkeSaId
    settings: Settings


@dataclass(frozen=True, slots=True)
class Leased:
    """The peer was given inner addresses."""

    sa: IkeSaId
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suggested:
    """The peer suggests settings; none of them is taken."""

    sa: IkeSaId
    settings: Settings


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something newer than these bindings, in words."""

    text: str


Event: TypeAlias = (
    Established | ChildEstablished | ChildClosed | ChildRefused | Rekeyed | ChildRekeyed | Moved | Assigned | Leased
    | Suggested | Alive | Closed | Noted | IkeKeys | HandshakeKeys | ChildKeys | Unknown
)
"""Something that happened."""

Output: TypeAlias = Transmit | _ravelin.Sealed | Change | Ask | Event
"""One thing that the node wants done or known."""
