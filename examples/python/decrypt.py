#!/usr/bin/env python3
"""Decrypts a capture with a key log and prints it: IKE messages payload by payload, ESP with its inner packets.

    decrypt.py capture.pcap FOLDER-OF-KEYS
    decrypt.py capture.pcap FOLDER --inner inner.pcap        also writes the inner packets to a capture of their own

The folder holds Wireshark's tables `ikev2_decryption_table` and `esp_sa`, as `gateway --keylog`, `ravelin.keylog` and others
write them. With scapy installed, inner packets are shown in its words.
"""

from __future__ import annotations

import argparse
import struct
from dataclasses import replace

from ravelin import Deliver, IkeCipher, Path, Plane, capture, changes, errors, keylog, wire

try:
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6

    SCAPY = True
except ImportError:
    SCAPY = False


def inner_text(packet: bytes) -> str:
    if not SCAPY:
        return f"{len(packet)} octets: {packet[:24].hex()}…"
    # Octets in, octets out: bytes(IP(packet)) is the packet again.
    return str((IPv6 if packet[0] >> 4 == 6 else IP)(packet).summary())


class Reader:
    """The keys, and what has been seen."""

    def __init__(self, folder: str) -> None:
        keys = keylog.read(folder)
        self.ciphers: dict[tuple[int, int], list[IkeCipher]] = {}
        for k in keys.ike:
            self.ciphers.setdefault(k.spis, []).append(IkeCipher(k))
        self.joiner = wire.Reassembler()
        # The tables do not say whether sequence numbers are extended (RFC 4303 §2.2.1): one of the two will do.
        self.planes = Plane(), Plane()
        known = set()
        for sa in keys.esp:
            if sa.spi not in known:
                known.add(sa.spi)
                for plane, esn in zip(self.planes, (False, True)):
                    plane.apply(changes.InstallInbound(replace(sa, esn=esn)), 0)
        self.opened = 0

    def ike(self, data: bytes) -> str:
        try:
            message = wire.decode(data)
        except errors.MalformedError as e:
            return f"no IKE message: {e}"
        if not any(p.kind in (wire.SK, wire.SKF) for p in message.payloads):
            return str(message)
        for cipher in self.ciphers.get((message.header.spi_i, message.header.spi_r), []):
            try:
                opened = wire.open(data, cipher)
            except errors.AuthenticationError:
                continue
            whole = self.joiner.add(opened)
            self.opened += whole is not None
            return str(opened) if whole is None else str(whole)
        return f"{message}\n  (no key)"

    def esp(self, data: bytes, path: Path) -> tuple[str, bytes | None]:
        spi, sequence = struct.unpack_from("!II", data)
        why = ""
        for plane in self.planes:
            match plane.ingress(data, path.reverse(), 0):
                case Deliver(_, packet):
                    self.opened += 1
                    return f"ESP {spi:08x} #{sequence}: {inner_text(packet)}", packet
                case dropped:
                    why = dropped.reason.text
        return f"ESP {spi:08x} #{sequence}: {why}", None


def main() -> None:
    p = argparse.ArgumentParser(description="Decrypts a capture of IKE and ESP.")
    p.add_argument("capture")
    p.add_argument("keys", help="folder with Wireshark's tables")
    p.add_argument("--inner", help="where to write the inner packets, as a capture")
    args = p.parse_args()
    reader, inner, count, start = Reader(args.keys), [], 0, None
    for at, path, data, bare in capture.read(args.capture):
        nat = 4500 in (path.local[1], path.remote[1])
        if not bare and not nat and 500 not in (path.local[1], path.remote[1]):
            continue
        count, start = count + 1, at if start is None else start
        print(f"{at - start:10.6f}  {path.local[0]}:{path.local[1]} > {path.remote[0]}:{path.remote[1]}  ", end="")
        if not bare and data == b"\xff":
            print("keepalive")
        elif bare or (nat and data[:4] != bytes(4)):
            text, packet = reader.esp(data, path)
            print(text)
            if packet is not None:
                inner.append((at, packet))
        else:
            print(reader.ike(data[4:] if nat else data).replace("\n", "\n" + " " * 12))
    print(f"{count} datagrams, {reader.opened} opened")
    if args.inner:
        with open(args.inner, "wb") as out:
            out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
            for at, packet in inner:
                out.write(struct.pack("<IIII", int(at), int(at % 1 * 1e6), len(packet), len(packet)) + packet)


if __name__ == "__main__":
    main()
