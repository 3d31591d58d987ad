#!/usr/bin/env python3
"""What crossing the boundary costs: the same packets sealed and opened one call at a time, one `_into` call at a time, and in
`_into` bursts. Medians of interleaved rounds, packets per second.

    burst.py [--size 1300] [--burst 64] [--rounds 15] [--packets 20000]
"""

from __future__ import annotations

import argparse
import statistics
import time
from array import array
from collections.abc import Callable

from ravelin import Path, Plane, changes
from ravelin.testing import packets

A, B = ("192.0.2.1", 0), ("192.0.2.2", 0)


def plane(here: tuple[str, int], there: tuple[str, int]) -> Plane:
    made = Plane(bytes(32))
    for direction, change in (("in", changes.InstallInbound), ("out", changes.InstallOutbound)):
        path = Path(here, there)
        made.apply(change(changes.SaParams.manual(
            "aes128gcm16", child=1, spi=256, direction=direction, path=path, key=bytes(20), replay_window=0,  # type: ignore[arg-type]
        )), 0)
    return made


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("--size", type=int, default=1300, help="octets of payload")
    p.add_argument("--burst", type=int, default=64)
    p.add_argument("--rounds", type=int, default=15)
    p.add_argument("--packets", type=int, default=20_000)
    args = p.parse_args()
    seal, open_ = plane(A, B), plane(B, A)
    packet = packets.udp("10.1.0.1", "10.2.0.1", bytes(args.size))
    count = args.packets // args.burst * args.burst
    data, lengths = packet * args.burst, array("I", [len(packet)] * args.burst)
    out, out_lengths = bytearray(len(data) * 2 + 8192), array("I", bytes(4 * args.burst))
    room, back = bytearray(4096), Path(B, A)
    one = seal.egress(packet, 1, 0).packets[0].data  # type: ignore[union-attr]
    many, many_lengths = one * args.burst, array("I", [len(one)] * args.burst)

    def single_seal() -> None:
        for _ in range(count):
            seal.egress(packet, 1, 0)

    def into_seal() -> None:
        for _ in range(count):
            seal.egress_into(packet, 1, 0, room)

    def burst_seal() -> None:
        for _ in range(count // args.burst):
            seal.egress_burst_into(data, lengths, 1, 0, out, out_lengths)

    def single_open() -> None:
        for _ in range(count):
            open_.ingress(one, back, 0)

    def into_open() -> None:
        for _ in range(count):
            open_.ingress_into(one, back, 0, room)

    def burst_open() -> None:
        for _ in range(count // args.burst):
            open_.ingress_burst_into(many, many_lengths, back, 0, out, out_lengths)

    runs: dict[str, Callable[[], None]] = {
        "seal, one packet a call": single_seal, "seal, one packet a call, _into": into_seal,
        f"seal, bursts of {args.burst}, _into": burst_seal, "open, one packet a call": single_open,
        "open, one packet a call, _into": into_open, f"open, bursts of {args.burst}, _into": burst_open,
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(args.rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - start) / count)
    print(f"AES-128-GCM-16, {len(packet)} octets, {count} packets a round, medians of {args.rounds} interleaved rounds")
    base = 0.0
    for name, seconds in times.items():
        median = statistics.median(seconds)
        base = median if name.endswith("a call") else base
        print(f"  {name:34} {median * 1e9:8.0f} ns a packet {1 / median:12.0f} packets/s  x{base / median:.2f}")


if __name__ == "__main__":
    main()
