"""Scripted peers: an initiator that misbehaves in one way per script, and what a sound responder does about it. The same
scripts run against a simulated host and against a real responder that is given by address.

To add a script: a function with `@script`, that drives a `ScriptedPeer` and raises AssertionError with what was expected.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .. import events, wire
from .._ravelin import Config
from ..errors import UnknownPolicyError
from ..values import Path
from .hooks import Hook, corrupt, is_request, replay, rewrite
from .live import Live
from .network import Host, Network

__all__ = ["SCRIPTS", "Script", "ScriptedPeer", "script"]


class ScriptedPeer:
    """An initiator under a script's control. `make` gives a fresh one: a simulated host or a `Live`; the responder is
    where its only peer says."""

    def __init__(self, make: Callable[[], Live | Host]) -> None:
        self._make = make
        self.end: Live | Host = make()
        self._peer = 1

    @classmethod
    def live(cls, make_config: Callable[[], Config], local: str, *, ike_port: int = 500, nat_port: int = 4500) -> ScriptedPeer:
        """Against a responder by address, from `local`."""
        return cls(lambda: Live(make_config(), local, ike_port=ike_port, nat_port=nat_port))

    @classmethod
    def simulated(cls, network: Network, name: str, address: str, make_config: Callable[[], Config]) -> ScriptedPeer:
        """Against a host of a simulated network."""

        def make() -> Host:
            network.hooks.clear()
            return network.host(name, [address], make_config())

        return cls(make)

    def fresh(self) -> None:
        """Forgets everything and begins anew, as another initiator."""
        if isinstance(self.end, Live):
            self.end.close()
        self.end = self._make()

    def close(self) -> None:
        """Ends it."""
        if isinstance(self.end, Live):
            self.end.close()

    def hook(self, hook: Hook) -> None:
        """Adds a hook on what goes both ways."""
        (self.end if isinstance(self.end, Live) else self.end.network).hook(hook)

    def initiate(self, policy: int | None = None) -> None:
        """Begins an IKE SA with the first peer of the configuration."""
        self.end.node.initiate(self._peer, policy, now=self.end.now)

    def run(self, seconds: float, until: Callable[[], object] | None = None) -> bool:
        """Lets time pass."""
        if isinstance(self.end, Live):
            return self.end.run(seconds, until=until)
        return self.end.network.run(seconds, until=until)

    def ended(self) -> events.Established | events.Closed | None:
        """How the attempt ended, if it did."""
        return self.end.saw(events.Closed) or self.end.saw(events.Established)

    def attempt(self, seconds: float = 20) -> events.Established | events.Closed | None:
        """Begins and waits for the end."""
        try:
            self.initiate(1)
        except UnknownPolicyError:
            self.initiate()
        self.run(seconds, self.ended)
        return self.ended()

    def received(self) -> list[wire.Message]:
        """IKE messages that came from the responder, opened where the keys are known."""
        if isinstance(self.end, Live):
            seen = [d for d in self.end.datagrams if d.sender == "peer"]
        else:
            ours = set(self.end.addresses)
            seen = [d for d in self.end.network.sent if d.path.remote[0] in ours]
        return [m for m in (d.message() for d in seen) if m is not None]

    def first_request(self) -> bytes:
        """Our IKE_SA_INIT request, which is not sent."""
        caught: list[bytes] = []

        def catch(message: wire.Message) -> None:
            caught.append(message.encode())

        self.hook(rewrite(catch, is_request("IKE_SA_INIT")))
        self.initiate()
        self.run(0.2, lambda: caught)
        self.fresh()
        assert caught, "no IKE_SA_INIT request was made"
        return caught[0]

    def ask(self, data: bytes, seconds: float = 1.5) -> list[wire.Message]:
        """Sends octets of our own to the responder's IKE port; gives the answers that read as IKE."""
        before = len(self.received())
        path = self._path()
        if isinstance(self.end, Live):
            self.end.ask(data, path.remote, seconds=seconds)
        else:
            self.end.network.inject(data, path)
            self.end.network.run(seconds)
        return self.received()[before:]

    def _path(self) -> Path:
        """Where requests go, learnt from one."""
        node, now = self.end.node, self.end.now
        sa = node.initiate(self._peer, None, now=now)
        first = next(o for o in node.outputs() if isinstance(o, events.Transmit))
        node.delete(sa, now)
        node.outputs()
        return first.path

    def assert_alive(self) -> None:
        """A well-behaved attempt succeeds: the responder survived."""
        self.fresh()
        ended = self.attempt()
        assert isinstance(ended, events.Established), f"after the script a good attempt ended as {ended}"
        self.end.node.delete(ended.sa, self.end.now)
        self.run(2, lambda: self.end.saw(events.Closed))


@dataclass(frozen=True)
class Script:
    """One way to misbehave."""

    name: str
    about: str
    play: Callable[[ScriptedPeer], None]

    def __call__(self, peer: ScriptedPeer) -> None:
        """Plays it, then makes sure that the responder still works."""
        peer.fresh()
        self.play(peer)
        peer.assert_alive()

    def __str__(self) -> str:
        return self.name


SCRIPTS: list[Script] = []
"""All scripts of this module."""


def script(play: Callable[[ScriptedPeer], None]) -> Callable[[ScriptedPeer], None]:
    """Registers a script under the name of its function."""
    SCRIPTS.append(Script(play.__name__, " ".join((play.__doc__ or "").split()), play))
    return play


def _said(answers: list[wire.Message]) -> str:
    return "answered by " + ("; ".join(map(str, answers)) or "nothing")


def _refused(ended: Any, word: str) -> None:
    assert isinstance(ended, events.Closed), f"expected a refusal, the attempt ended as {ended}"
    assert word in ended.reason.text, f"expected {word}, the attempt ended by: {ended.reason}"


@script
def noise(peer: ScriptedPeer) -> None:
    """Random octets of many lengths get no answer, except that their version may be refused (RFC 7296 §2.5)."""
    draw = random.Random(1)
    for length in (0, 1, 3, 27, 28, 64, 600, 1400):
        answers = peer.ask(draw.randbytes(length), 0.1)
        strange = [m for m in answers if m.notify("INVALID_MAJOR_VERSION") is None]
        assert not strange, f"{length} random octets were answered by {strange[0]}"


@script
def length_lies(peer: ScriptedPeer) -> None:
    """An IKE_SA_INIT request whose header says more octets than there are gets no IKE_SA_INIT answer with an SA."""
    data = bytearray(peer.first_request())
    data[24:28] = (len(data) + 100).to_bytes(4, "big")
    assert not [m for m in peer.ask(bytes(data), 0.5) if m.find(wire.SA)], "it was answered with an SA"


@script
def payload_overruns(peer: ScriptedPeer) -> None:
    """A payload that claims to be longer than the message gets no answer with an SA."""
    data = bytearray(peer.first_request())
    data[30:32] = (0xFFFF).to_bytes(2, "big")
    assert not [m for m in peer.ask(bytes(data), 0.5) if m.find(wire.SA)], "it was answered with an SA"


@script
def unknown_major_version(peer: ScriptedPeer) -> None:
    """Version 3 is answered with INVALID_MAJOR_VERSION or not at all (RFC 7296 §2.5)."""
    data = bytearray(peer.first_request())
    data[17] = 0x30
    for answer in peer.ask(bytes(data), 0.5):
        assert answer.notify("INVALID_MAJOR_VERSION") is not None, f"answered by {answer}"


@script
def unknown_critical_payload(peer: ScriptedPeer) -> None:
    """An unknown payload with the critical bit is refused with UNSUPPORTED_CRITICAL_PAYLOAD (RFC 7296 §2.5)."""
    message = wire.decode(peer.first_request())
    message.payloads.append(wire.Payload(200, b"x", 0x80))
    answers = peer.ask(message.encode())
    assert answers and answers[0].notify("UNSUPPORTED_CRITICAL_PAYLOAD") is not None, _said(answers)


@script
def unknown_payload(peer: ScriptedPeer) -> None:
    """An unknown payload without the critical bit is passed over (RFC 7296 §2.5)."""
    message = wire.decode(peer.first_request())
    message.payloads.append(wire.Payload(200, b"x"))
    answers = peer.ask(message.encode())
    passed = bool(answers) and any(answers[0].notify(n) for n in ("COOKIE", "INVALID_KE_PAYLOAD"))
    assert passed or (answers and answers[0].find(wire.SA)), _said(answers)


@script
def no_common_proposal(peer: ScriptedPeer) -> None:
    """A proposal of nothing known is refused with NO_PROPOSAL_CHOSEN (RFC 7296 §2.7)."""
    message = wire.decode(peer.first_request())
    weird = wire.Payload.sa([(1, b"", [(1, 1023, 256), (2, 1023, None), (4, 1023, None)])])
    message.payloads = [weird if p.kind == wire.SA else p for p in message.payloads]
    answers = peer.ask(message.encode())
    wanted = [m.notify("NO_PROPOSAL_CHOSEN") or m.notify("INVALID_KE_PAYLOAD") for m in answers]
    assert wanted and wanted[0] is not None, _said(answers)


@script
def short_nonce(peer: ScriptedPeer) -> None:
    """A nonce of 8 octets is not taken: 16 is the least (RFC 7296 §2.10)."""
    message = wire.decode(peer.first_request())
    message.payloads = [wire.Payload.nonce(os.urandom(8)) if p.kind == wire.NONCE else p for p in message.payloads]
    assert not [m for m in peer.ask(message.encode(), 0.5) if m.find(wire.SA)], "it was answered with an SA"


@script
def wrong_auth(peer: ScriptedPeer) -> None:
    """An AUTH payload with one bit wrong is refused with AUTHENTICATION_FAILED (RFC 7296 §2.21.2)."""

    def spoil(message: wire.Message) -> wire.Message:
        auth = message.find(wire.AUTH)
        if auth is not None:
            auth.body = auth.body[:-1] + bytes([auth.body[-1] ^ 1])
        return message

    peer.hook(rewrite(spoil, is_request("IKE_AUTH")))
    _refused(peer.attempt(), "AUTHENTICATION_FAILED")


@script
def critical_payload_inside(peer: ScriptedPeer) -> None:
    """The same unknown critical payload inside IKE_AUTH, encrypted, is refused."""

    def add(message: wire.Message) -> wire.Message:
        message.payloads.append(wire.Payload(201, b"x", 0x80))
        return message

    peer.hook(rewrite(add, is_request("IKE_AUTH")))
    ended = peer.attempt()
    assert isinstance(ended, events.Closed), f"the attempt ended as {ended}"


@script
def no_auth(peer: ScriptedPeer) -> None:
    """IKE_AUTH without an AUTH payload (and without EAP on offer) does not bring up an SA."""

    def strip(message: wire.Message) -> wire.Message:
        message.payloads = [p for p in message.payloads if p.kind != wire.AUTH]
        return message

    peer.hook(rewrite(strip, is_request("IKE_AUTH")))
    ended = peer.attempt()
    assert not isinstance(ended, events.Established), f"the attempt ended as {ended}"


@script
def broken_seal(peer: ScriptedPeer) -> None:
    """An IKE_AUTH request that fails its integrity check gets no answer; the good one after it does."""
    peer.hook(corrupt(is_request("IKE_AUTH"), times=1))
    ended = peer.attempt(30)
    assert isinstance(ended, events.Established), f"the attempt ended as {ended}"


@script
def repeated_requests(peer: ScriptedPeer) -> None:
    """Each request comes twice: the answer is the same octets again (RFC 7296 §2.1)."""
    peer.hook(replay(is_request(), 0.3))
    ended = peer.attempt()
    assert isinstance(ended, events.Established), f"the attempt ended as {ended}"
    peer.run(1)


@script
def message_id_from_nowhere(peer: ScriptedPeer) -> None:
    """A protected request with a message id far outside the window is dropped, and the SA lives on (RFC 7296 §2.3)."""

    def far(message: wire.Message) -> wire.Message:
        message.header = replace(message.header, message_id=message.header.message_id + 1000)
        return message

    peer.hook(rewrite(far, is_request("INFORMATIONAL"), times=1))
    ended = peer.attempt()
    assert isinstance(ended, events.Established), f"the attempt ended as {ended}"
    peer.end.node.probe(ended.sa, peer.end.now)
    assert peer.run(20, lambda: peer.end.saw(events.Alive)), "the SA did not live on"


@script
def spi_of_nobody(peer: ScriptedPeer) -> None:
    """A protected message for an SPI that nobody has gets at most an unprotected INVALID_IKE_SPI (RFC 7296 §1.5)."""
    header = wire.Header(random.getrandbits(64) | 1, random.getrandbits(64) | 1, 37, wire.INITIATOR, 5)
    body = wire.Payload(wire.SK, os.urandom(64))
    for answer in peer.ask(wire.Message(header, [body]).encode(), 0.5):
        assert answer.notify("INVALID_IKE_SPI") is not None, f"answered by {answer}"
