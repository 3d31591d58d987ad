"""The message codec alone: datagrams to messages and back, with or without the keys of their IKE SA.

```python
message = wire.decode(datagram)
print(message)                                   # one line per payload
for payload in message.payloads:
    print(payload.name, payload.fields)          # a tree of plain values
message.payloads.append(wire.Payload.notify(16384, b""))
datagram = message.encode()
```

Decoding checks every length. Writing checks nothing: a test may write whatever it likes. What was decoded encodes to
the same octets.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from . import _ravelin
from ._ravelin import IkeCipher
from .errors import AuthenticationError, InvalidArgumentError, MalformedError

__all__ = ["AuthenticationError", "Header", "IkeCipher", "Message", "Payload", "Reassembler", "decode", "name", "number", "open", "seal"]

HEADER = struct.Struct("!8s8sBBBBII")
INITIATOR, VERSION, RESPONSE = 0x08, 0x10, 0x20
SA, KE, IDI, IDR, CERT, CERTREQ, AUTH, NONCE, N, D, V, TSI, TSR, SK, CP, EAP = range(33, 49)
SKF = 53

_NAMES: dict[str, dict[int, str]] = {}


def _registry(registry: str) -> dict[int, str]:
    if registry not in _NAMES:
        _NAMES[registry] = dict(_ravelin.names(registry))
    return _NAMES[registry]


def name(registry: str, value: int) -> str:
    """IANA's name, or the number: `name("notify", 14)` is "NO_PROPOSAL_CHOSEN". Registries: exchange, payload, notify,
    id, auth, cert, config, attribute, protocol, transform, encr, prf, integ, ke, sn, eap, hash."""
    return _registry(registry).get(value, str(value))


def number(registry: str, word: str) -> int:
    """The number of one of IANA's names. Raises KeyError."""
    for value, known in _registry(registry).items():
        if known == word:
            return value
    raise KeyError(word)


@dataclass
class Header:
    """The IKE header; `next_payload` and `length` are set when a message is encoded."""

    spi_i: int = 0
    spi_r: int = 0
    exchange: int = 34
    flags: int = INITIATOR
    message_id: int = 0
    version: int = 0x20

    @property
    def is_response(self) -> bool:
        """True for an answer."""
        return bool(self.flags & RESPONSE)

    @property
    def of_initiator(self) -> bool:
        """True when the original initiator of the IKE SA sent it."""
        return bool(self.flags & INITIATOR)

    @property
    def name(self) -> str:
        """The exchange's name."""
        return name("exchange", self.exchange)


@dataclass
class Payload:
    """One payload: its kind and octets. `fields` reads them."""

    kind: int
    body: bytes = field(default=b"", repr=False)
    flags: int = 0
    """0x80 is the critical bit."""
    next: int = 0
    """Of SK and SKF: the first payload inside."""

    @property
    def name(self) -> str:
        """Such as "SA", "KE", "N"."""
        return name("payload", self.kind)

    @property
    def critical(self) -> bool:
        """The critical bit."""
        return bool(self.flags & 0x80)

    @property
    def fields(self) -> dict[str, Any]:
        """What the octets say, as plain values. Raises MalformedError."""
        return _ravelin.fields(self.kind, self.flags, self.next, self.body)[1]

    def __str__(self) -> str:
        try:
            return _ravelin.fields(self.kind, self.flags, self.next, self.body)[0]
        except MalformedError as e:
            return f"{self.name} malformed: {e}"

    @classmethod
    def notify(cls, notify: int | str, data: bytes = b"", *, protocol: int = 0, spi: bytes = b"") -> Payload:
        """N: a notify by number or name."""
        value = number("notify", notify) if isinstance(notify, str) else notify
        return cls(N, struct.pack("!BBH", protocol, len(spi), value) + spi + data)

    @classmethod
    def nonce(cls, data: bytes) -> Payload:
        """Ni or Nr."""
        return cls(NONCE, data)

    @classmethod
    def ke(cls, method: int, data: bytes) -> Payload:
        """KE."""
        return cls(KE, struct.pack("!HH", method, 0) + data)

    @classmethod
    def vendor(cls, data: bytes) -> Payload:
        """V."""
        return cls(V, data)

    @classmethod
    def delete(cls, protocol: int, spis: Sequence[bytes] = ()) -> Payload:
        """D: an IKE SA (protocol 1, no SPI) or Child SAs (protocol 3, SPIs of four octets)."""
        size = len(spis[0]) if spis else 0
        return cls(D, struct.pack("!BBH", protocol, size, len(spis)) + b"".join(spis))

    @classmethod
    def identity(cls, kind: int, id_type: int, data: bytes) -> Payload:
        """IDi (35) or IDr (36)."""
        return cls(kind, struct.pack("!B3x", id_type) + data)

    @classmethod
    def auth(cls, method: int, data: bytes) -> Payload:
        """AUTH."""
        return cls(AUTH, struct.pack("!B3x", method) + data)

    @classmethod
    def sa(cls, proposals: Iterable[tuple[int, bytes, Iterable[tuple[int, int, int | None]]]]) -> Payload:
        """SA of proposals: protocol (1 IKE, 3 ESP), SPI, and transforms of type, id and key length in bits."""
        out, listed = b"", list(proposals)
        for at, (protocol, spi, transforms) in enumerate(listed, 1):
            inner, each = b"", list(transforms)
            for left, (kind, ident, bits) in zip(range(len(each) - 1, -1, -1), each):
                attribute = b"" if bits is None else struct.pack("!HH", 0x8000 | 14, bits)
                inner += struct.pack("!BxHBxH", 3 if left else 0, 8 + len(attribute), kind, ident) + attribute
            head = struct.pack(
                "!BxHBBBB", 2 if at < len(listed) else 0, 8 + len(spi) + len(inner), at, protocol, len(spi), len(each)
            )
            out += head + spi + inner
        return cls(SA, out)

    @classmethod
    def selectors(cls, kind: int, ranges: Iterable[tuple[int, tuple[int, int], str, str]]) -> Payload:
        """TSi (44) or TSr (45) of ranges: protocol, first and last port, first and last address."""
        out, listed = b"", list(ranges)
        for protocol, (first_port, last_port), first, last in listed:
            addresses = ip_address(first).packed + ip_address(last).packed
            ts_type = 7 if len(addresses) == 8 else 8
            out += struct.pack("!BBHHH", ts_type, protocol, 8 + len(addresses), first_port, last_port) + addresses
        return cls(kind, struct.pack("!B3x", len(listed)) + out)


def _chain(payloads: Sequence[Payload], after: int = 0) -> tuple[int, bytes]:
    out = b""
    for at, payload in enumerate(payloads):
        following = payloads[at + 1].kind if at + 1 < len(payloads) else after
        next_kind = payload.next if payload.kind in (SK, SKF) else following
        out += struct.pack("!BBH", next_kind, payload.flags, 4 + len(payload.body)) + payload.body
    return (payloads[0].kind if payloads else after), out


def _payloads(first: int, data: bytes) -> list[Payload]:
    return [Payload(kind, body, flags, next if kind in (SK, SKF) else 0)
            for kind, flags, next, body in _ravelin.walk(first, data)]


@dataclass
class Message:
    """One message. A protected one that was opened holds its inner payloads here, and `protected` is set."""

    header: Header
    payloads: list[Payload] = field(default_factory=list)
    protected: bool = False
    """True: SK stands around the payloads; `encode` needs a cipher."""
    fragment: tuple[int, int] | None = None
    """Of a fragment that was opened: its number and how many there are; `plain` is its part."""
    plain: bytes = field(default=b"", repr=False)
    first: int = 0

    def find(self, kind: int) -> Payload | None:
        """The first payload of this kind."""
        return next((p for p in self.payloads if p.kind == kind), None)

    def notify(self, notify: int | str) -> dict[str, Any] | None:
        """The fields of a notify by number or name."""
        value = number("notify", notify) if isinstance(notify, str) else notify
        for payload in self.payloads:
            if payload.kind == N and (found := payload.fields)["notify"] == value:
                return found
        return None

    def encode(self, cipher: IkeCipher | None = None, iv: bytes | None = None) -> bytes:
        """The datagram. A protected message needs the cipher of its IKE SA; `iv`: random without."""
        if not self.protected:
            first, body = _chain(self.payloads)
            return self._header(first, len(body)) + body
        if cipher is None:
            raise InvalidArgumentError("a protected message needs the cipher of its IKE SA")
        if self.fragment is not None:
            first, plain, skf = self.first, self.plain, struct.pack("!HH", *self.fragment)
        else:
            (first, plain), skf = _chain(self.payloads), b""
        sealed = cipher.body_len(len(plain))
        generic = struct.pack("!BBH", first, 0, 4 + len(skf) + sealed) + skf
        prefix = self._header(SKF if skf else SK, len(generic) + sealed) + generic
        return cipher.seal(prefix, plain, self.header.of_initiator, os.urandom(cipher.iv_len) if iv is None else iv)

    def _header(self, first: int, body: int) -> bytes:
        h = self.header
        spis = (h.spi_i.to_bytes(8, "big"), h.spi_r.to_bytes(8, "big"))
        return HEADER.pack(*spis, first, h.version, h.exchange, h.flags, h.message_id, HEADER.size + body)

    def __str__(self) -> str:
        h = self.header
        way = "response" if h.is_response else "request"
        who = "initiator" if h.of_initiator else "responder"
        lines = [f"{h.name} {way} {h.message_id} of the {who}, SPIs {h.spi_i:016x} {h.spi_r:016x}"]
        if self.fragment is not None:
            lines.append("  SKF {} of {}, opened: {} octets".format(*self.fragment, len(self.plain)))
        return "\n".join(lines + [f"  {p}" for p in self.payloads])


def _header(datagram: bytes) -> tuple[Header, int]:
    if len(datagram) < HEADER.size:
        raise MalformedError(f"expected an IKE header of 28 octets, found {len(datagram)} octets (RFC 7296 §3.1)")
    spi_i, spi_r, first, version, exchange, flags, message_id, length = HEADER.unpack_from(datagram)
    if length != len(datagram):
        raise MalformedError(f"the IKE header says {length} octets, there are {len(datagram)} (RFC 7296 §3.1)")
    if version >> 4 != 2:
        raise MalformedError(f"expected IKE version 2, found {version >> 4} (RFC 7296 §3.1)")
    spis = int.from_bytes(spi_i, "big"), int.from_bytes(spi_r, "big")
    return Header(*spis, exchange, flags, message_id, version), first


def decode(datagram: bytes) -> Message:
    """Reads a datagram without the non-ESP marker. SK and SKF stay closed; see `open`. Raises MalformedError."""
    header, first = _header(datagram)
    return Message(header, _payloads(first, datagram[HEADER.size:]))


def open(datagram: bytes, cipher: IkeCipher) -> Message:
    """Reads a protected datagram with the cipher of its IKE SA. What has no SK comes as from `decode`; a fragment comes
    with its part of the plaintext (`Reassembler` joins them). Raises MalformedError or AuthenticationError."""
    message = decode(datagram)
    last = message.payloads[-1] if message.payloads else None
    if last is None or last.kind not in (SK, SKF):
        return message
    skf = 4 if last.kind == SKF else 0
    prefix = len(datagram) - len(last.body) + skf
    plain = cipher.open(datagram, prefix, message.header.of_initiator)
    if skf:
        fragment = struct.unpack_from("!HH", last.body)
        return Message(message.header, [], True, (fragment[0], fragment[1]), plain, last.next)
    return Message(message.header, _payloads(last.next, plain), True)


def seal(message: Message, cipher: IkeCipher, *, fragment: int | None = None) -> list[bytes]:
    """The datagrams of a protected message; with `fragment`, pieces of so many octets of plaintext (RFC 7383)."""
    if fragment is None:
        return [message.encode(cipher)]
    first, plain = _chain(message.payloads)
    pieces = [plain[at:at + fragment] for at in range(0, len(plain), fragment)] or [b""]
    out = []
    for at, piece in enumerate(pieces, 1):
        one = Message(message.header, [], True, (at, len(pieces)), piece, first if at == 1 else 0)
        out.append(one.encode(cipher))
    return out


class Reassembler:
    """Joins opened fragments (RFC 7383)."""

    def __init__(self) -> None:
        self._parts: dict[tuple[int, int, int, int], dict[int, Message]] = {}

    def add(self, message: Message) -> Message | None:
        """The whole message when this was the last missing part; what is no fragment comes back as it is."""
        if message.fragment is None:
            return message
        h, (at, total) = message.header, message.fragment
        key = (h.spi_i, h.spi_r, h.message_id, h.flags)
        parts = self._parts.setdefault(key, {})
        parts[at] = message
        if len(parts) < total:
            return None
        del self._parts[key]
        plain = b"".join(parts[n].plain for n in range(1, total + 1))
        return Message(h, _payloads(parts[1].first, plain), True)


Rewrite = Callable[[Message], Message | None]
"""Changes a message, or drops it by None."""
