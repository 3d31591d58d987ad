"""Runs inside a network namespace of the lab: a Python-driven node against strongSwan. Says what it saw, one JSON object per
line. Not a test by itself; `test_live.py` starts it."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from ravelin import Child, Config, Peer, aio, events
from ravelin.testing import packets


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def config() -> Config:
    made = Config()
    made.add_peer(Peer(
        name="b", local_id="a.lab.test", remote_id="b.lab.test", psk=b"labsecret-psk-0123456789", local="10.9.0.1",
        remote="10.9.0.2", children=[Child(name="net", local_ts=["10.10.1.0/24"], remote_ts=["10.10.2.0/24"])],
    ))
    return made


async def ping(host: aio.Host, count: int) -> int:
    """Echo requests to strongSwan's inner address; gives the number of replies."""
    good = 0
    for sequence in range(1, count + 1):
        await host.send(packets.echo("10.10.1.1", "10.10.2.1", bytes(sequence * 20), sequence=sequence))
        try:
            reply = await asyncio.wait_for(host.receive(), 5)
        except TimeoutError:
            continue
        good += packets.addresses(reply) == ("10.10.2.1", "10.10.1.1") and reply[20] == 0
    return good


async def initiator() -> None:
    async with aio.Host(config(), local="10.9.0.1") as host:
        tunnel = await host.initiate("b", "b/net", timeout=30)
        assert tunnel.child is not None
        say(up=tunnel.established.remote_id, proposal=tunnel.established.proposal, esp=tunnel.child.proposal)
        say(replies=await ping(host, 5))
        host.node.rekey_child(tunnel.child.child, host.now)
        host.node.rekey(tunnel.sa, host.now)
        seen = set()

        async def watch() -> None:
            async for event in host.events():
                seen.add(type(event).__name__)
                if {"ChildRekeyed", "Rekeyed"} <= seen:
                    return

        watching = asyncio.create_task(watch())
        host.poke()
        await asyncio.wait_for(watching, 20)
        say(rekeyed=sorted(seen & {"ChildRekeyed", "Rekeyed"}), replies=await ping(host, 3))
        (sa,) = [s for s in host.node.snapshot(host.now) if s.state == "established"]
        stats = host.node.stats(sa.children[0].child)
        assert stats is not None and stats.inbound is not None
        say(inbound=stats.inbound.packets)
    say(closed=host.node.is_idle())


async def responder() -> None:
    """Answers echo requests that come out of the tunnel, until the peer deletes it."""
    async with aio.Host(config(), local="10.9.0.1") as host:
        say(ready=True)

        async def answer() -> None:
            while True:
                packet = await host.receive()
                source, destination = packets.addresses(packet)
                ident, sequence = int.from_bytes(packet[24:26], "big"), int.from_bytes(packet[26:28], "big")
                await host.send(packets.echo(destination, source, packet[28:], ident=ident, sequence=sequence, reply=True))

        task = asyncio.create_task(answer())
        async for event in host.events():
            match event:
                case events.Established(remote_id=who, role=role):
                    say(up=who, role=role)
                case events.Closed(reason=reason):
                    say(closed=reason.kind)
                    break
        task.cancel()


asyncio.run({"initiator": initiator, "responder": responder}[sys.argv[1]]())
