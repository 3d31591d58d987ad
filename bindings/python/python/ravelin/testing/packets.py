"""Inner packets for tests, without a packet library: IPv4 and IPv6 with UDP or ICMP echo. For more there is scapy: every
call here takes and gives plain octets."""

from __future__ import annotations

import struct
from ipaddress import ip_address

__all__ = ["addresses", "echo", "udp"]


def _sum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _ip(source: str, destination: str, protocol: int, payload: bytes) -> bytes:
    src, dst = ip_address(source), ip_address(destination)
    if src.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + src.packed + dst.packed + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0) + src.packed + dst.packed
    return head[:10] + struct.pack("!H", _sum(head)) + head[12:] + payload


def _pseudo(source: str, destination: str, protocol: int, length: int) -> bytes:
    return ip_address(source).packed + ip_address(destination).packed + struct.pack("!IHBB", length, 0, 0, protocol)


def udp(source: str, destination: str, data: bytes = b"", *, sport: int = 4000, dport: int = 4001) -> bytes:
    """A UDP datagram."""
    length = 8 + len(data)
    head = struct.pack("!HHHH", sport, dport, length, 0)
    checksum = _sum(_pseudo(source, destination, 17, length) + head + data) or 0xFFFF
    return _ip(source, destination, 17, head[:6] + struct.pack("!H", checksum) + data)


def echo(source: str, destination: str, data: bytes = b"ravelin", *, ident: int = 1, sequence: int = 1, reply: bool = False) -> bytes:
    """An ICMP or ICMPv6 echo request, or its reply."""
    v6 = ip_address(source).version == 6
    kind = (129 if reply else 128) if v6 else (0 if reply else 8)
    body = struct.pack("!BBHHH", kind, 0, 0, ident, sequence) + data
    checksum = _sum(_pseudo(source, destination, 58, len(body)) + body if v6 else body)
    return _ip(source, destination, 58 if v6 else 1, body[:2] + struct.pack("!H", checksum) + body[4:])


def addresses(packet: bytes) -> tuple[str, str]:
    """Source and destination."""
    if packet[0] >> 4 == 6:
        return str(ip_address(packet[8:24])), str(ip_address(packet[24:40]))
    return str(ip_address(packet[12:16])), str(ip_address(packet[16:20]))
