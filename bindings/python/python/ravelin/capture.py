"""Reads capture files (classic pcap) as far as IKE and ESP need: UDP payloads and bare ESP with their paths."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path as File
from typing import NamedTuple

from .values import Path

__all__ = ["Captured", "datagram", "read"]


class Captured(NamedTuple):
    """One datagram of a capture."""

    at: float
    """Seconds since 1970."""
    path: Path
    """From the sender's side."""
    data: bytes
    """UDP payload, or from the ESP header on."""
    bare: bool
    """IP protocol 50."""


_LINK = {1: 14, 101: 0, 12: 0, 14: 0, 228: 0, 229: 0, 113: 16, 276: 20, 0: 4, 108: 4}


def datagram(packet: bytes, at: float = 0.0) -> Captured | None:
    """The datagram in an IP packet; None when it is neither UDP nor ESP, or a fragment."""
    if len(packet) < 20:
        return None
    if packet[0] >> 4 == 4:
        head, total, protocol = (packet[0] & 15) * 4, int.from_bytes(packet[2:4], "big"), packet[9]
        if int.from_bytes(packet[6:8], "big") & 0x3FFF:
            return None
        source, destination, body = packet[12:16], packet[16:20], packet[head:total]
    elif packet[0] >> 4 == 6 and len(packet) >= 40:
        protocol, source, destination = packet[6], packet[8:24], packet[24:40]
        body = packet[40:40 + int.from_bytes(packet[4:6], "big")]
    else:
        return None
    hosts = str(ip_address(source)), str(ip_address(destination))
    if protocol == 50:
        return Captured(at, Path((hosts[0], 0), (hosts[1], 0)), body, True)
    if protocol != 17 or len(body) < 8:
        return None
    sport, dport = struct.unpack_from("!HH", body)
    return Captured(at, Path((hosts[0], sport), (hosts[1], dport)), body[8:], False)


def read(file: File | str) -> Iterator[Captured]:
    """Every UDP datagram and bare ESP packet of a capture. Raises ValueError when it is no pcap file."""
    data = File(file).read_bytes()
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">"}.get(data[:4])
    if order is None or len(data) < 24:
        raise ValueError(f"{file}: expected a pcap file (pcapng: convert it with `editcap -F pcap`)")
    fraction = 1e9 if 0x4D in (data[0], data[3]) else 1e6
    link = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    if link not in _LINK:
        raise ValueError(f"{file}: link type {link} is not known here")
    at = 24
    while at + 16 <= len(data):
        seconds, part, kept, _ = struct.unpack_from(order + "IIII", data, at)
        frame = data[at + 16:at + 16 + kept]
        at += 16 + kept
        start = _LINK[link]
        if link == 1 and frame[12:14] == b"\x81\x00":
            start += 4
        found = datagram(frame[start:], seconds + part / fraction)
        if found is not None:
            yield found
