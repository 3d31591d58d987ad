"""A node on asyncio: sockets, clock and timers, so that a program awaits tunnels and reads events.

```python
async with aio.Host(config, local="192.0.2.1") as host:
    tunnel = await host.initiate("office", "office/net")
    await host.send(packet)                     # an inner IP packet
    inner = await host.receive()                # one that came out of a tunnel
    async for event in host.events():
        ...
```

Pure Python; everything it does is a call on `Node`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from . import asks, changes, errors, events
from ._ravelin import Acquiring, Config, Deliver, Node, Sealed, Sent
from .events import Event, Output, Transmit
from .values import IkeSaId, Now, Path

__all__ = ["Host", "Tunnel"]


@dataclass(frozen=True)
class Tunnel:
    """What an attempt came to."""

    established: events.Established
    child: events.ChildEstablished | None

    @property
    def sa(self) -> IkeSaId:
        """The IKE SA."""
        return self.established.sa


class _Port(asyncio.DatagramProtocol):
    def __init__(self, host: Host, local: tuple[str, int]) -> None:
        self.host, self.local = host, local

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self.host._arrived(data, Path(self.local, (addr[0], addr[1])))

    def error_received(self, exc: Exception) -> None:
        self.host.last_error = exc


class Host:
    """A node with UDP sockets on one local address. `ike_port` and `nat_port` must be those of its configuration.

    `on_ask`: a coroutine that answers questions (`ravelin.asks`); without it they are refused. `on_change`: called for
    each change of an external data plane, in order. `packets`: how many inner packets wait for `receive`; more are
    dropped.
    """

    def __init__(
        self,
        config: Config,
        *,
        local: str,
        ike_port: int = 500,
        nat_port: int = 4500,
        seed: bytes | None = None,
        on_ask: Callable[[asks.Ask], Awaitable[asks.Answer]] | None = None,
        on_change: Callable[[changes.Change], None] | None = None,
        packets: int = 1024,
    ) -> None:
        self.node = Node(config, seed)
        self.local, self.ports = local, (ike_port, nat_port)
        self.on_ask, self.on_change = on_ask, on_change
        self.last_error: Exception | None = None
        """The last error of a socket, such as an unreachable destination."""
        self._transports: dict[int, asyncio.DatagramTransport] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._inner: asyncio.Queue[bytes] = asyncio.Queue(packets)
        self._listeners: set[asyncio.Queue[Event | None]] = set()
        self._waiting: dict[IkeSaId, list[tuple[bool, asyncio.Future[Tunnel]]]] = {}
        self._up: dict[IkeSaId, events.Established] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Opens the sockets."""
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in self.local else socket.AF_INET
        for port in self.ports:
            at = (self.local, port)
            transport, _ = await loop.create_datagram_endpoint(lambda at=at: _Port(self, at), at, family=family)  # type: ignore[misc]
            self._transports[port] = transport
        self._drain()

    async def close(self, timeout: float = 2.0) -> None:
        """Deletes all SAs, telling the peers, waits a little for their answers, and closes the sockets."""
        if self._closed:
            return
        self.node.shutdown(self.now)
        self._drain()
        end = asyncio.get_running_loop().time() + timeout
        while not self.node.is_idle() and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.01)
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        for transport in self._transports.values():
            transport.close()
        for listener in self._listeners:
            listener.put_nowait(None)

    @property
    def now(self) -> Now:
        """The time of the node."""
        return Now.read()

    async def initiate(self, peer: str, policy: str | None = None, *, timeout: float = 60.0) -> Tunnel:
        """Brings up an IKE SA, and a Child SA for `policy`. Raises a `ProtocolError` by fault when it cannot be."""
        ident = self.node.peer(peer)
        if ident is None:
            raise errors.UnknownPeerError(f"no peer is called {peer!r}")
        wanted = None if policy is None else self.node.policy(policy)
        if policy is not None and wanted is None:
            raise errors.UnknownPolicyError(f"no policy is called {policy!r}")
        sa = self.node.initiate(ident, wanted, now=self.now)
        future: asyncio.Future[Tunnel] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(sa, []).append((policy is not None, future))
        self._drain()
        async with asyncio.timeout(timeout):
            return await future

    async def delete(self, sa: IkeSaId) -> None:
        """Deletes an IKE SA and returns when it is gone."""
        listener = self._listen()
        try:
            self.node.delete(sa, self.now)
            self._drain()
            while (event := await listener.get()) is not None:
                if isinstance(event, events.Closed) and event.sa == sa:
                    return
        finally:
            self._listeners.discard(listener)

    async def send(self, packet: bytes) -> bool:
        """An inner IP packet wants out; True when it left or waits for its SA."""
        result = self.node.handle_packet(packet, self.now)
        if isinstance(result, Sent):
            for sealed in result.packets:
                self._transmit(sealed)
        self._drain()
        return isinstance(result, (Sent, Acquiring))

    async def receive(self) -> bytes:
        """The next inner packet that came out of a tunnel."""
        return await self._inner.get()

    async def events(self) -> AsyncIterator[Event]:
        """Events from now on, until the host is closed."""
        listener = self._listen()
        try:
            while (event := await listener.get()) is not None:
                yield event
        finally:
            self._listeners.discard(listener)

    def poke(self) -> None:
        """Carries out what calls on `node` led to; to be called after any of them."""
        self._drain()

    def _listen(self) -> asyncio.Queue[Event | None]:
        listener: asyncio.Queue[Event | None] = asyncio.Queue()
        self._listeners.add(listener)
        return listener

    def _arrived(self, data: bytes, path: Path) -> None:
        if self._closed:
            return
        result = self.node.handle_datagram(data, path, self.now)
        if isinstance(result, Deliver):
            try:
                self._inner.put_nowait(result.packet)
            except asyncio.QueueFull:
                pass
        self._drain()

    def _transmit(self, output: Transmit | Sealed) -> None:
        transport = self._transports.get(output.path.local[1])
        if transport is not None and not transport.is_closing():
            transport.sendto(output.data, output.path.remote)

    def _drain(self) -> None:
        while outputs := self.node.outputs():
            for output in outputs:
                self._handle(output)
        self._arm()

    def _handle(self, output: Output) -> None:
        match output:
            case events.Transmit() | Sealed():
                self._transmit(output)
            case asks.Sign() | asks.VerifyChain() | asks.SharedSecret() | asks.Ppk() | asks.NextPpk() | asks.Eap():
                task = asyncio.get_running_loop().create_task(self._answer(output))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case (
                changes.InstallInbound() | changes.InstallOutbound() | changes.Switch() | changes.Move()
                | changes.Remove() | changes.AddPolicy() | changes.RemovePolicy()
            ):
                if self.on_change is not None:
                    self.on_change(output)
            case event:
                self._happened(event)

    async def _answer(self, ask: asks.Ask) -> None:
        try:
            answer = asks.Refused("nobody answers here") if self.on_ask is None else await self.on_ask(ask)
        except Exception as e:  # whatever the program's coroutine raises is a no
            answer = asks.Refused(f"{type(e).__name__}: {e}")
        try:
            self.node.answer(ask.ticket, answer, self.now)
        except errors.UnknownTicketError:
            return
        self._drain()

    def _happened(self, event: Event) -> None:
        for listener in self._listeners:
            listener.put_nowait(event)
        match event:
            case events.Established():
                self._up[event.sa] = event
                self._done(event.sa, lambda child: None if child else Tunnel(event, None))
            case events.ChildEstablished():
                up = self._up.get(event.sa)
                if up is not None:
                    self._done(event.sa, lambda _: Tunnel(up, event))
            case events.ChildRefused(sa, _, reason) | events.Closed(sa, _, reason):
                if isinstance(event, events.Closed):
                    self._up.pop(sa, None)
                for _, future in self._waiting.pop(sa, []):
                    if not future.done():
                        future.set_exception(reason.error())

    def _done(self, sa: IkeSaId, result: Callable[[bool], Tunnel | None]) -> None:
        left = []
        for child, future in self._waiting.pop(sa, []):
            made = result(child)
            if made is None:
                left.append((child, future))
            elif not future.done():
                future.set_result(made)
        if left:
            self._waiting[sa] = left

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.node.deadline()
        if deadline is None or self._closed:
            return
        wait = max(0.0, (deadline - self.now.mono) / 1_000_000)
        self._timer = asyncio.get_running_loop().call_later(min(wait, 3600.0), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.node.handle_timeout(self.now)
        self._drain()
