#!/usr/bin/env python3
"""An IKE responder on asyncio: lets peers in that know the secret, and answers pings that come out of the tunnels.

    responder.py --local 192.0.2.1 --id gw.example.org --psk SECRET --net 10.1.0.0/24
    responder.py --local 192.0.2.1 --config gateway.toml
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

from ravelin import Child, Config, Peer, aio, events, keylog
from ravelin.testing import packets


def arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(description="An IKE responder that answers pings inside the tunnel.")
    p.add_argument("--local", required=True, help="our address")
    p.add_argument("--ike-port", type=int, default=500)
    p.add_argument("--nat-port", type=int, default=4500)
    p.add_argument("--config", type=Path, help="configuration in TOML instead of the following")
    p.add_argument("--id", default="responder.test", help="our identity")
    p.add_argument("--remote-id", default="%any", help="who may come")
    p.add_argument("--psk", default="secret")
    p.add_argument("--net", default="0.0.0.0/0", help="our inner network")
    p.add_argument("--beyond", default="0.0.0.0/0", help="the peers' inner networks")
    p.add_argument("--keylog", help="folder for keys that Wireshark reads")
    return p.parse_args()


def configuration(args: argparse.Namespace) -> Config:
    if args.config:
        return Config.from_toml(
            args.config.read_text(), folder=str(args.config.parent), name=args.config.name, ike_port=args.ike_port,
            nat_port=args.nat_port, export_keys=args.keylog is not None,
        )
    config = Config(ike_port=args.ike_port, nat_port=args.nat_port, export_keys=args.keylog is not None)
    child = Child(name="net", local_ts=[args.net], remote_ts=[args.beyond])
    config.add_peer(Peer(
        name="anyone", local_id=args.id, remote_id=args.remote_id, psk=args.psk.encode(), local=args.local, children=[child],
    ))
    return config


async def answer_pings(host: aio.Host) -> None:
    while True:
        packet = await host.receive()
        if packet[0] >> 4 != 4 or packet[9] != 1 or packet[20] != 8:
            print(f"an inner packet of {len(packet)} octets, not a ping")
            continue
        source, destination = packets.addresses(packet)
        ident, sequence = int.from_bytes(packet[24:26], "big"), int.from_bytes(packet[26:28], "big")
        await host.send(packets.echo(destination, source, packet[28:], ident=ident, sequence=sequence, reply=True))


async def tell(host: aio.Host, log: keylog.KeyLog | None) -> None:
    async for event in host.events():
        if log is not None:
            log.write(event)
        match event:
            case events.Established(sa, remote_id=who, path=path, proposal=proposal):
                print(f"IKE SA {sa} with {who} at {path.remote[0]}: {proposal}", flush=True)
            case events.ChildEstablished(sa, child, local_ts=ours, remote_ts=theirs, proposal=proposal):
                print(f"Child SA {child} of {sa}, {ours} <-> {theirs}: {proposal}", flush=True)
            case events.Closed(sa, _, reason):
                print(f"IKE SA {sa} ended: {reason}", flush=True)
            case events.Noted(path=path, reason=reason):
                print(f"{path.remote[0]}: {reason}", flush=True)


async def main() -> None:
    args = arguments()
    log = keylog.KeyLog(args.keylog) if args.keylog else None
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with aio.Host(configuration(args), local=args.local, ike_port=args.ike_port, nat_port=args.nat_port) as host:
        tasks = [asyncio.create_task(answer_pings(host)), asyncio.create_task(tell(host, log))]
        print(f"listening on {args.local}, ports {args.ike_port} and {args.nat_port}", flush=True)
        await stop.wait()
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
