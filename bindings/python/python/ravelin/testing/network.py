"""A simulated network of nodes: links that lose, duplicate, delay and reorder, NAT boxes; virtual time; everything drawn from
one seed, so that a failing run can be run again."""

from __future__ import annotations

import heapq
import random
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path as File
from typing import TypeVar

from .. import changes, events, keylog
from .._ravelin import Config, Consumed, Deliver, Dropped, Node, Sealed, Sent
from ..values import Address, DropReason, Now, Path
from .hooks import Datagram, Fate, Hook
from .keys import KeyRing
from .nat import Nat

__all__ = ["Host", "Network"]

T = TypeVar("T")
START = 1_000_000


@dataclass
class _Delivered:
    at: int
    child: int
    packet: bytes


class Host:
    """One host of a network: a node and addresses. `outputs` holds every event and ask, with its time."""

    def __init__(self, network: Network, name: str, addresses: Sequence[str], node: Node) -> None:
        self.network, self.name, self.addresses, self.node = network, name, tuple(addresses), node
        self.outputs: list[tuple[int, events.Output]] = []
        self.delivered: list[_Delivered] = []
        self.dropped: list[DropReason] = []
        self.keys = KeyRing()
        self.on_output: Callable[[events.Output], None] | None = None
        """Called for each ask, change and event as it comes; may call the node."""

    @property
    def now(self) -> Now:
        """The time of the network."""
        return self.network.now

    def events(self, kind: type[T]) -> list[T]:
        """Outputs of this class so far."""
        return [o for _, o in self.outputs if isinstance(o, kind)]

    def saw(self, kind: type[T]) -> T | None:
        """The last output of this class."""
        found = self.events(kind)
        return found[-1] if found else None

    def send(self, packet: bytes) -> str:
        """An inner packet wants out; gives the name of what became of it ("Sent", "Acquiring", …)."""
        result = self.node.handle_packet(packet, self.now)
        if isinstance(result, Sent):
            for sealed in result.packets:
                self.network.put(self, sealed)
        self.network.drain(self)
        return type(result).__name__

    def received(self) -> list[bytes]:
        """Inner packets that came out of tunnels."""
        return [d.packet for d in self.delivered]

    def __repr__(self) -> str:
        return f"<Host {self.name} {self.addresses[0]}>"


class Network:
    """Hosts and the links between them. Times are seconds, chances 0 to 1."""

    def __init__(
        self,
        seed: int = 1,
        *,
        latency: float = 0.01,
        jitter: float = 0.0,
        loss: float = 0.0,
        duplicates: float = 0.0,
        wall: int = 1_700_000_000,
    ) -> None:
        self.seed, self.random = seed, random.Random(seed)
        self.latency, self.jitter, self.loss, self.duplicates = latency, jitter, loss, duplicates
        self.wall = wall
        self.clock = START
        self.hosts: dict[str, Host] = {}
        self.by_address: dict[str, Host] = {}
        self.nats: list[Nat] = []
        self.hooks: list[Hook] = []
        self.sent: list[Datagram] = []
        """Every datagram as its sender wrote it."""
        self.keys = KeyRing()
        self._queue: list[tuple[int, int, Datagram, Address]] = []
        self._number = 0
        self._made = 0

    @property
    def now(self) -> Now:
        """Virtual time."""
        return Now(self.clock, self.wall + self.clock // 1_000_000)

    def host(self, name: str, addresses: Sequence[str], config: Config) -> Host:
        """Adds a host; its node's seed follows from the network's."""
        self._made += 1
        seed = random.Random(f"{self.seed}/{name}/{self._made}").randbytes(32)
        host = Host(self, name, addresses, Node(config, seed))
        self.hosts[name] = host
        self.by_address.update({a: host for a in addresses})
        return host

    def nat(self, public: str, *behind: Host | str, symmetric: bool = False, timeout: float = 60.0) -> Nat:
        """Puts a NAT box with this public address before hosts (or addresses); see `ravelin.testing.nat`."""
        inside = [a for b in behind for a in ((b,) if isinstance(b, str) else b.addresses)]
        box = Nat(public, inside, symmetric=symmetric, timeout=timeout)
        self.nats.append(box)
        return box

    def hook(self, hook: Hook) -> None:
        """Adds a hook; the first that decides wins."""
        self.hooks.append(hook)

    def inject(self, data: bytes, path: Path, *, bare: bool = False) -> None:
        """Puts a datagram on the network; `path` as its sender would see it."""
        self._number += 1
        datagram = Datagram(self._number, self.clock, "", path, data, bare, self.keys)
        self._at(self.clock + int(self.latency * 1_000_000), datagram)

    def put(self, host: Host, output: events.Transmit | Sealed) -> None:
        """Sends what a node wants sent."""
        bare = isinstance(output, Sealed) and output.encapsulation == "none"
        self._number += 1
        datagram = Datagram(self._number, self.clock, host.name, output.path, output.data, bare, self.keys)
        self.sent.append(datagram)
        fate = next((f for f in (hook(datagram) for hook in self.hooks) if f is not None), None)
        for extra, copy in self._natural(datagram) if fate is None else self._certain(fate):
            self._at(self.clock + extra, copy)

    def _certain(self, fate: Fate) -> Iterator[tuple[int, Datagram]]:
        for extra, datagram in fate.copies:
            yield int(self.latency * 1_000_000) + extra, datagram

    def _natural(self, datagram: Datagram) -> Iterator[tuple[int, Datagram]]:
        copies = 2 if self.random.random() < self.duplicates else 1
        for _ in range(copies):
            if self.random.random() >= self.loss:
                yield int((self.latency + self.random.random() * self.jitter) * 1_000_000), datagram

    def _at(self, when: int, datagram: Datagram) -> None:
        source = self._leave(datagram)
        if source is not None:
            self._number += 1
            heapq.heappush(self._queue, (when, self._number, datagram, source))

    def _leave(self, datagram: Datagram) -> Address | None:
        """The source as the receiver sees it, behind all boxes on the way out; None when one of them keeps it."""
        source, to = datagram.path
        left: set[int] = set()
        while box := next((n for n in self.nats if source[0] in n.inside and to[0] not in n.inside and id(n) not in left), None):
            left.add(id(box))
            if datagram.bare:
                box.blocked += 1
                return None
            source = box.outward(self.clock, source, to)
        return source

    def _enter(self, datagram: Datagram, source: Address) -> Address | None:
        """Where it goes behind all boxes on the way in; None when it does not pass."""
        (sender, _), to = datagram.path
        entered: list[Nat] = []
        while box := next((n for n in self.nats if n.public == to[0] and n not in entered), None):
            if datagram.bare:
                box.blocked += 1
                return None
            inside = box.inward(self.clock, source, to[1])
            if inside is None:
                return None
            entered.append(box)
            to = inside
        hidden = any(to[0] in n.inside and sender not in n.inside and n not in entered for n in self.nats)
        return None if hidden else to

    def drain(self, host: Host) -> None:
        """Takes all outputs of a node."""
        while True:
            outputs = host.node.outputs()
            if not outputs:
                return
            for output in outputs:
                if isinstance(output, (events.Transmit, Sealed)):
                    self.put(host, output)
                    continue
                self.keys.learn(output)
                host.keys.learn(output)
                host.outputs.append((self.clock, output))
                if host.on_output is not None:
                    host.on_output(output)

    def _arrive(self, datagram: Datagram, source: Address) -> None:
        to = self._enter(datagram, source)
        host = self.by_address.get(to[0]) if to is not None else None
        if host is None or to is None:
            return
        path = Path(to, source)
        if datagram.bare:
            result = host.node.handle_esp(datagram.data, path, self.now)
        else:
            result = host.node.handle_datagram(datagram.data, path, self.now)
        match result:
            case Deliver(child, packet):
                host.delivered.append(_Delivered(self.clock, child, packet))
            case Dropped(reason):
                host.dropped.append(reason)
            case Consumed():
                pass
        self.drain(host)

    def _next_timer(self) -> int | None:
        due = [at for h in self.hosts.values() if (at := h.node.deadline()) is not None]
        return min(due, default=None)

    def step(self) -> bool:
        """Does the next thing, whenever it is; False when nothing is left to do."""
        for host in self.hosts.values():
            self.drain(host)
        timer = self._next_timer()
        arrival = self._queue[0][0] if self._queue else None
        if timer is None and arrival is None:
            return False
        if arrival is not None and (timer is None or arrival <= timer):
            when, _, datagram, source = heapq.heappop(self._queue)
            self.clock = max(self.clock, when)
            self._arrive(datagram, source)
            return True
        assert timer is not None
        self.clock = max(self.clock, timer)
        for host in self.hosts.values():
            at = host.node.deadline()
            if at is not None and at <= self.clock:
                host.node.handle_timeout(self.now)
                self.drain(host)
        return True

    def run(self, seconds: float | None = None, *, until: Callable[[], object] | None = None, limit: int = 100_000) -> bool:
        """Runs for so many virtual seconds, or until `until` holds; True when it does (or always without `until`)."""
        end = None if seconds is None else self.clock + int(seconds * 1_000_000)
        for host in self.hosts.values():
            self.drain(host)
        for _ in range(limit):
            if until is not None and until():
                return True
            nearest = [t for t in (self._next_timer(), self._queue[0][0] if self._queue else None) if t is not None]
            if not nearest or (end is not None and min(nearest) > end):
                break
            self.step()
        if end is not None:
            self.clock = max(self.clock, end)
        return until is None or bool(until())

    def save(self, folder: File | str) -> None:
        """Writes `capture.pcap` and the keys that opened it, for Wireshark: `WIRESHARK_CONFIG_DIR=folder tshark -r …`."""
        folder = File(folder)
        folder.mkdir(parents=True, exist_ok=True)
        keylog.write(folder, [o for h in self.hosts.values() for _, o in h.outputs])
        with open(folder / "capture.pcap", "wb") as out:
            out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
            for d in self.sent:
                packet = keylog.ip_packet(d.path, d.data, bare=d.bare)
                out.write(struct.pack("<IIII", d.at // 1_000_000, d.at % 1_000_000, len(packet), len(packet)) + packet)

    def __repr__(self) -> str:
        return f"<Network seed={self.seed} at {self.clock / 1e6:.3f} s, {len(self.hosts)} hosts>"
