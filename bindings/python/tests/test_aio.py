"""The asyncio host, on loopback with ports of its own."""

from __future__ import annotations

import asyncio
import socket

import pytest

from ravelin import Child, Config, Peer, aio, asks, errors, events
from ravelin.testing import packets


def ports(count: int) -> list[int]:
    """Free UDP ports."""
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for s in socks:
        s.bind(("127.0.0.1", 0))
    found = [s.getsockname()[1] for s in socks]
    for s in socks:
        s.close()
    return found


def host(mine, theirs, me: str, you: str, inside: str, beyond: str, **more) -> aio.Host:
    config = Config(ike_port=mine[0], nat_port=mine[1], remote_nat_port=theirs[1], retransmit_timeout=0.3, retransmit_tries=2, asks=True)
    child = Child(name="net", local_ts=[inside], remote_ts=[beyond])
    config.add_peer(Peer(**{
        "name": you, "local_id": f"{me}.test", "remote_id": f"{you}.test", "psk": b"x", "local": "127.0.0.1",
        "remote": "127.0.0.1", "remote_port": theirs[0], "children": [child], "nat_traversal": "force", **more,
    }))
    return aio.Host(config, local="127.0.0.1", ike_port=mine[0], nat_port=mine[1])


async def both(**more):
    free = ports(4)
    a = host(free[:2], free[2:], "a", "b", "10.1.0.0/24", "10.2.0.0/24")
    b = host(free[2:], free[:2], "b", "a", "10.2.0.0/24", "10.1.0.0/24", **more)
    await a.open()
    await b.open()
    return a, b


def test_a_tunnel_is_awaited_and_carries_packets():
    async def main():
        a, b = await both()
        seen = []

        async def watch():
            async for event in b.events():
                seen.append(type(event).__name__)

        watching = asyncio.create_task(watch())
        await asyncio.sleep(0)
        tunnel = await a.initiate("b", "b/net", timeout=10)
        assert tunnel.child is not None and tunnel.established.remote_id == "b.test"
        packet = packets.echo("10.1.0.1", "10.2.0.1")
        assert await a.send(packet)
        assert await asyncio.wait_for(b.receive(), 5) == packet
        await a.delete(tunnel.sa)
        await a.close()
        await b.close()
        await watching
        assert seen[:2] == ["Established", "ChildEstablished"] and "Closed" in seen

    asyncio.run(main())


def test_faults_are_raised():
    async def main():
        a, b = await both(psk=b"other")
        with pytest.raises(errors.RefusedError, match="AUTHENTICATION_FAILED"):
            await a.initiate("b", "b/net", timeout=10)
        with pytest.raises(errors.UnknownPeerError):
            await a.initiate("nobody")
        await b.close()
        with pytest.raises(errors.TimedOutError):
            await a.initiate("b", timeout=20)
        await a.close()

    asyncio.run(main())


def test_asks_are_answered_by_a_coroutine():
    async def main():
        a, b = await both(psk=None)

        async def answer(ask: asks.Ask) -> asks.Answer:
            await asyncio.sleep(0.05)
            return asks.Secret(b"x") if isinstance(ask, asks.SharedSecret) else asks.Refused("not here")

        b.on_ask = answer
        tunnel = await a.initiate("b", timeout=10)
        assert isinstance(tunnel.established, events.Established)
        await a.close()
        await b.close()

    asyncio.run(main())
