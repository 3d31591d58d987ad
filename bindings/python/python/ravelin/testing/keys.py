"""The exported keys of IKE SAs, to open and seal their messages."""

from __future__ import annotations

from collections.abc import Iterable

from .. import events, wire
from .._ravelin import IkeCipher

__all__ = ["KeyRing"]


class KeyRing:
    """Ciphers by SPIs, fed with the key events of nodes (`Config(export_keys=True)`)."""

    def __init__(self) -> None:
        self._ciphers: dict[tuple[int, int], list[IkeCipher]] = {}
        self.children: list[events.ChildKeys] = []

    def learn(self, output: events.Output) -> None:
        """Takes the keys of an event; anything else is passed over."""
        match output:
            case events.IkeKeys():
                known = self._ciphers.setdefault(output.spis, [])
                known.insert(0, IkeCipher(output))
                # The last keys, and those before: a message may still be on its way (RFC 9242).
                del known[4:]
            case events.ChildKeys():
                self.children.append(output)

    def learn_all(self, outputs: Iterable[events.Output]) -> None:
        """Takes the keys of all these."""
        for output in outputs:
            self.learn(output)

    def cipher(self, spi_i: int, spi_r: int) -> IkeCipher | None:
        """The newest cipher of an IKE SA."""
        known = self._ciphers.get((spi_i, spi_r))
        return known[0] if known else None

    def open(self, datagram: bytes) -> tuple[wire.Message, IkeCipher | None]:
        """The message, opened when its keys are known, and the cipher that opened it. Raises MalformedError."""
        message = wire.decode(datagram)
        if not any(p.kind in (wire.SK, wire.SKF) for p in message.payloads):
            return message, None
        for cipher in self._ciphers.get((message.header.spi_i, message.header.spi_r), ()):
            try:
                return wire.open(datagram, cipher), cipher
            except wire.AuthenticationError:
                continue
        return message, None
