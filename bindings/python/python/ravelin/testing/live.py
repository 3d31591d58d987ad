"""A node on real sockets with the hooks of the simulator: to test an implementation that answers at an address."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from .. import events
from .._ravelin import Config, Deliver, Node, Sealed, Sent
from ..values import Address, Now, Path
from .hooks import Datagram, Hook
from .keys import KeyRing

__all__ = ["Live"]

T = TypeVar("T")


class Live:
    """A node with a socket for IKE and one for the NAT port. Hooks see what goes out and what comes in (`sender` is
    "us" or "peer"). Synchronous: `run` does the work."""

    def __init__(self, config: Config, local: str, *, ike_port: int = 500, nat_port: int = 4500) -> None:
        self.node = Node(config)
        self.local = local
        self.outputs: list[tuple[int, events.Output]] = []
        self.delivered: list[bytes] = []
        self.datagrams: list[Datagram] = []
        """Everything that was sent or came, as it was before hooks."""
        self.hooks: list[Hook] = []
        self.keys = KeyRing()
        self._number = 0
        self._sockets: dict[int, socket.socket] = {}
        self._later: list[tuple[float, Callable[[], None]]] = []
        family = socket.AF_INET6 if ":" in local else socket.AF_INET
        for port in (ike_port, nat_port):
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.bind((local, port))
            sock.setblocking(False)
            self._sockets[port] = sock

    def close(self) -> None:
        """Closes the sockets; nobody is told."""
        for sock in self._sockets.values():
            sock.close()

    def __enter__(self) -> Live:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def now(self) -> Now:
        """The system's time."""
        return Now.read()

    def hook(self, hook: Hook) -> None:
        """Adds a hook; the first that decides wins."""
        self.hooks.append(hook)

    def saw(self, kind: type[T]) -> T | None:
        """The last output of this class."""
        found = [o for _, o in self.outputs if isinstance(o, kind)]
        return found[-1] if found else None

    def _through(self, sender: str, path: Path, data: bytes) -> list[tuple[int, Datagram]]:
        self._number += 1
        datagram = Datagram(self._number, self.now.mono, sender, path, data, False, self.keys)
        self.datagrams.append(datagram)
        fate = next((f for f in (hook(datagram) for hook in self.hooks) if f is not None), None)
        return [(0, datagram)] if fate is None else list(fate.copies)

    def _soon(self, delay: int, act: Callable[[], None]) -> None:
        if delay <= 0:
            act()
        else:
            self._later.append((time.monotonic() + delay / 1e6, act))

    def transmit(self, data: bytes, path: Path) -> None:
        """Sends a datagram as it is, past the hooks."""
        self._sockets[path.local[1]].sendto(data, path.remote)

    def drain(self) -> None:
        """Takes all outputs of the node."""
        while outputs := self.node.outputs():
            for output in outputs:
                if isinstance(output, (events.Transmit, Sealed)):
                    for delay, d in self._through("us", output.path, output.data):
                        self._soon(delay, lambda d=d: self.transmit(d.data, d.path))  # type: ignore[misc]
                    continue
                self.keys.learn(output)
                self.outputs.append((self.now.mono, output))

    def send(self, packet: bytes) -> str:
        """An inner packet wants out."""
        result = self.node.handle_packet(packet, self.now)
        if isinstance(result, Sent):
            for sealed in result.packets:
                for delay, d in self._through("us", sealed.path, sealed.data):
                    self._soon(delay, lambda d=d: self.transmit(d.data, d.path))  # type: ignore[misc]
        self.drain()
        return type(result).__name__

    def _arrived(self, datagram: Datagram) -> None:
        result = self.node.handle_datagram(datagram.data, datagram.path.reverse(), self.now)
        if isinstance(result, Deliver):
            self.delivered.append(result.packet)
        self.drain()

    def _receive(self, wait: float) -> None:
        ready, _, _ = select.select(list(self._sockets.values()), [], [], wait)
        for sock in ready:
            try:
                data, remote = sock.recvfrom(65535)
            except OSError:
                continue
            path = Path((remote[0], remote[1]), (self.local, sock.getsockname()[1]))
            for delay, d in self._through("peer", path, data):
                self._soon(delay, lambda d=d: self._arrived(d))  # type: ignore[misc]

    def run(self, seconds: float, *, until: Callable[[], object] | None = None) -> bool:
        """Runs for so long, or until `until` holds; True when it does (or always without `until`)."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.drain()
            if until is not None and until():
                return True
            deadline, now = self.node.deadline(), self.now
            if deadline is not None and deadline <= now.mono:
                self.node.handle_timeout(now)
                continue
            waits = [left, 0.5] + ([(deadline - now.mono) / 1e6] if deadline is not None else [])
            waits += [at - time.monotonic() for at, _ in self._later]
            self._receive(max(0.0, min(waits)))
            due = [act for at, act in self._later if at <= time.monotonic()]
            self._later = [(at, act) for at, act in self._later if at > time.monotonic()]
            for act in due:
                act()
        return until is None or bool(until())

    def ask(self, data: bytes, remote: Address, *, seconds: float = 1.0) -> list[bytes]:
        """Sends octets of a test's own from the IKE port and gives what came back within that time."""
        before = len(self.datagrams)
        port = next(iter(self._sockets))
        self.transmit(data, Path((self.local, port), remote))
        self.run(seconds, until=lambda: any(d.sender == "peer" for d in self.datagrams[before:]))
        return [d.data for d in self.datagrams[before:] if d.sender == "peer"]
