"""Hooks: what a test does to a datagram on its way. A hook gets a `Datagram` and says what becomes of it.

```python
net.hook(drop(is_response("IKE_AUTH"), times=2))          # lost twice
net.hook(duplicate(is_esp))
net.hook(corrupt(is_request("IKE_SA_INIT"), octet=40))
net.hook(rewrite(change, is_request("IKE_AUTH")))         # the decrypted message, sealed again afterwards
```
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from .. import wire
from .._ravelin import IkeCipher
from ..errors import MalformedError
from ..values import Path
from .keys import KeyRing

__all__ = [
    "Datagram", "Fate", "Hook", "Predicate", "corrupt", "delay", "drop", "duplicate", "is_esp", "is_ike",
    "is_request", "is_response", "on", "replay", "rewrite",
]


@dataclass
class Datagram:
    """One datagram on its way."""

    number: int
    """Counts the datagrams of the run, from 1."""
    at: int
    """When it left, in microseconds."""
    sender: str
    """The host's name; empty for what a test injected."""
    path: Path
    """As the sender sees it."""
    data: bytes = field(repr=False)
    """From the non-ESP marker, the IKE header or the ESP header on."""
    bare: bool = False
    """IP protocol 50, not UDP."""
    keys: KeyRing = field(default_factory=KeyRing, repr=False)

    @property
    def marker(self) -> int:
        """Octets of the non-ESP marker in front (4 on the NAT port, whatever its number)."""
        return 4 if self.data[:4] == bytes(4) and len(self.data) >= 32 and self.data[21] >> 4 == 2 else 0

    @property
    def is_ike(self) -> bool:
        """True when it looks like IKE."""
        if self.bare or len(self.data) < 28:
            return False
        ports = (self.path.local[1], self.path.remote[1])
        if self.marker == 4 or 500 in ports:
            return True
        return 4500 not in ports and self.data[17] >> 4 == 2 and int.from_bytes(self.data[24:28], "big") == len(self.data)

    @property
    def is_esp(self) -> bool:
        """True when it looks like ESP."""
        return self.bare or (not self.is_ike and len(self.data) > 8)

    @property
    def ike(self) -> bytes:
        """From the IKE header on."""
        return self.data[self.marker:]

    def message(self) -> wire.Message | None:
        """The IKE message, opened when its keys are known; None when it is no IKE."""
        return self.opened()[0]

    def opened(self) -> tuple[wire.Message | None, IkeCipher | None]:
        """The message and the cipher that opened it."""
        if not self.is_ike:
            return None, None
        try:
            return self.keys.open(self.ike)
        except MalformedError:
            return None, None

    def with_ike(self, data: bytes) -> Datagram:
        """The same with another IKE message in it."""
        return replace(self, data=self.data[:self.marker] + data)

    def __str__(self) -> str:
        what = f"ESP, {len(self.data)} octets" if self.is_esp else f"{len(self.data)} octets"
        message = self.message()
        if message is not None:
            way = "response" if message.header.is_response else "request"
            what = f"{message.header.name} {way} {message.header.message_id}"
        return f"#{self.number} {self.sender}: {what}"


@dataclass(frozen=True)
class Fate:
    """What becomes of a datagram: copies with their extra delays in microseconds. None left: it is lost."""

    copies: tuple[tuple[int, Datagram], ...]
    certain: bool = True
    """True: the network's own losses do not touch it."""

    @classmethod
    def lost(cls) -> Fate:
        """It is lost."""
        return cls(())

    @classmethod
    def only(cls, *datagrams: Datagram, delay: int = 0) -> Fate:
        """These arrive instead."""
        return cls(tuple((delay, d) for d in datagrams))


Hook: TypeAlias = Callable[[Datagram], "Fate | None"]
"""None: the next hook decides, and at last the network."""
Predicate: TypeAlias = Callable[[Datagram], bool]


def is_ike(datagram: Datagram) -> bool:
    """Any IKE message."""
    return datagram.is_ike


def is_esp(datagram: Datagram) -> bool:
    """Any ESP packet."""
    return datagram.is_esp


def _exchange(exchange: int | str | None, response: bool, sender: str | None) -> Predicate:
    wanted = wire.number("exchange", exchange) if isinstance(exchange, str) else exchange

    def check(datagram: Datagram) -> bool:
        if not datagram.is_ike or (sender is not None and datagram.sender != sender):
            return False
        data = datagram.ike
        return (wanted is None or data[18] == wanted) and bool(data[19] & wire.RESPONSE) == response

    return check


def is_request(exchange: int | str | None = None, *, sender: str | None = None) -> Predicate:
    """A request of this exchange, such as "IKE_AUTH"."""
    return _exchange(exchange, False, sender)


def is_response(exchange: int | str | None = None, *, sender: str | None = None) -> Predicate:
    """A response of this exchange."""
    return _exchange(exchange, True, sender)


def on(when: Predicate, act: Callable[[Datagram], Fate | None], *, times: int | None = None, skip: int = 0) -> Hook:
    """Acts on datagrams for which `when` holds: not on the first `skip`, then at most `times`."""
    seen = 0

    def hook(datagram: Datagram) -> Fate | None:
        nonlocal seen
        if not when(datagram):
            return None
        seen += 1
        if seen <= skip or (times is not None and seen > skip + times):
            return None
        return act(datagram)

    return hook


def drop(when: Predicate, *, times: int | None = None, skip: int = 0) -> Hook:
    """Loses them."""
    return on(when, lambda _: Fate.lost(), times=times, skip=skip)


def duplicate(when: Predicate, *, copies: int = 2, times: int | None = None, skip: int = 0) -> Hook:
    """They arrive more than once."""
    return on(when, lambda d: Fate.only(*[d] * copies), times=times, skip=skip)


def delay(when: Predicate, seconds: float, *, times: int | None = None, skip: int = 0) -> Hook:
    """They arrive later."""
    return on(when, lambda d: Fate.only(d, delay=int(seconds * 1_000_000)), times=times, skip=skip)


def replay(when: Predicate, after: float, *, times: int | None = None, skip: int = 0) -> Hook:
    """They arrive, and again later."""
    return on(when, lambda d: Fate(((0, d), (int(after * 1_000_000), d))), times=times, skip=skip)


def corrupt(when: Predicate, *, octet: int = -1, mask: int = 0x01, times: int | None = None, skip: int = 0) -> Hook:
    """Flips bits of one octet."""

    def act(datagram: Datagram) -> Fate:
        data = bytearray(datagram.data)
        data[octet] ^= mask
        return Fate.only(replace(datagram, data=bytes(data)))

    return on(when, act, times=times, skip=skip)


def rewrite(
    change: Callable[[wire.Message], wire.Message | None],
    when: Predicate = is_ike,
    *,
    times: int | None = None,
    skip: int = 0,
) -> Hook:
    """Changes the message: `change` gets it opened (when its keys are known), and what it returns is sealed again under
    the same keys. None: it is lost. Fragments come one by one; turn fragmentation off to see whole messages."""

    def act(datagram: Datagram) -> Fate | None:
        message, cipher = datagram.opened()
        if message is None:
            return None
        changed = change(message)
        if changed is None:
            return Fate.lost()
        return Fate.only(datagram.with_ike(changed.encode(cipher)))

    return on(when, act, times=times, skip=skip)
