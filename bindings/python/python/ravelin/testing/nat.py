"""NAT boxes of a simulated network, in the words of RFC 4787 (mapping and filtering).

```python
nat = net.nat("203.0.113.1", a)              # host a is behind it from now on
nat.rebind()                                 # new ports, as after a reboot of the box
nat.forward(4500, ("192.0.2.1", 4500))       # the world may begin
```

A mapping lives as long as something goes outward, and `timeout` seconds longer; what comes inward does not keep it. Bare ESP
(protocol 50) does not pass. Boxes may stand behind boxes: `net.nat("203.0.113.1", "100.64.0.1")` around the one whose public address
that is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..values import Address

__all__ = ["Nat"]


@dataclass
class _Mapping:
    inside: Address
    only: Address | None
    """Symmetric: the one peer that may use it."""
    used: int
    forever: bool = False


class Nat:
    """A box with one public address, made by `Network.nat`."""

    def __init__(self, public: str, inside: Iterable[str], *, symmetric: bool = False, timeout: float = 60.0) -> None:
        self.public = public
        """The address that the world sees."""
        self.inside = set(inside)
        """Addresses behind it; the world does not reach them but by mappings."""
        self.symmetric = symmetric
        """True: a port for each inside socket and destination, open for that destination only. False: a port for each inside
        socket, open for all (full cone)."""
        self.timeout = timeout
        """Seconds that a mapping without outward traffic lives."""
        self.blocked = 0
        """Datagrams that did not pass: no mapping, or bare ESP."""
        self._mappings: dict[int, _Mapping] = {}
        self._next = 10_000

    def forward(self, port: int, inside: Address) -> None:
        """Everything to this public port goes to this inside socket, for ever; its own datagrams leave from there."""
        self._mappings[port] = _Mapping(inside, None, 0, True)

    def rebind(self, public: str | None = None) -> None:
        """Forgets all mappings but the forwards: the next ones have other ports, and another address if one is given (the network
        routes it from then on)."""
        self._mappings = {p: m for p, m in self._mappings.items() if m.forever}
        self._next += 1000
        self.public = public or self.public

    def mappings(self) -> dict[int, Address]:
        """Public port to inside socket, those that have run out but were not asked for included."""
        return {port: m.inside for port, m in self._mappings.items()}

    def outward(self, clock: int, source: Address, to: Address) -> Address:
        """A datagram leaves at this microsecond: its source as the world sees it."""
        self._expire(clock)
        only = to if self.symmetric else None
        for port, m in self._mappings.items():
            if m.inside == source and (m.forever or m.only == only):
                m.used = clock
                return (self.public, port)
        while self._next in self._mappings:
            self._next += 1
        port, self._next = self._next, self._next + 1
        self._mappings[port] = _Mapping(source, only, clock)
        return (self.public, port)

    def inward(self, clock: int, source: Address, port: int) -> Address | None:
        """A datagram comes: where it goes inside; None when it does not pass."""
        self._expire(clock)
        m = self._mappings.get(port)
        if m is None or (m.only is not None and m.only != source):
            self.blocked += 1
            return None
        return m.inside

    def _expire(self, clock: int) -> None:
        life = int(self.timeout * 1_000_000)
        self._mappings = {p: m for p, m in self._mappings.items() if m.forever or m.used + life > clock}

    def __repr__(self) -> str:
        kind = "symmetric" if self.symmetric else "cone"
        return f"<Nat {self.public}, {kind}, before {sorted(self.inside)}, {len(self._mappings)} mappings>"
