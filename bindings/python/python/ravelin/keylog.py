"""Key logs in the formats of Wireshark's user tables, and what reads them back.

`WIRESHARK_CONFIG_DIR=folder tshark -r capture.pcap` decrypts a capture with what `KeyLog` wrote; `read` gives the same
keys to `ravelin.wire` and `ravelin.Plane`. Whoever holds these files reads the traffic. Nodes tell their keys only with
`Config(export_keys=True)`.
"""

from __future__ import annotations

import csv
import os
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path as File

from . import _ravelin, events
from .changes import SaParams
from .values import ChildId, IkeSaId, Path

__all__ = ["ESP_TABLE", "IKE_TABLE", "KeyLog", "Keys", "ip_packet", "read", "write"]

IKE_TABLE = "ikev2_decryption_table"
ESP_TABLE = "esp_sa"


class KeyLog:
    """Two files in a folder that only their owner may read."""

    def __init__(self, folder: File | str) -> None:
        self.folder = File(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def _add(self, table: str, line: str | None) -> None:
        if line is not None:
            handle = os.open(self.folder / table, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(handle, "a") as file:
                file.write(line)

    def write(self, output: events.Output) -> None:
        """Takes the keys of an event; anything else is passed over."""
        match output:
            case events.HandshakeKeys():
                pass
            case events.IkeKeys():
                self._add(IKE_TABLE, _ravelin.ike_line(output))
            case events.ChildKeys(inbound, outbound):
                self._add(ESP_TABLE, _ravelin.esp_line(inbound))
                self._add(ESP_TABLE, _ravelin.esp_line(outbound))


def write(folder: File | str, outputs: Iterable[events.Output]) -> None:
    """Writes the keys among these outputs."""
    log = KeyLog(folder)
    for output in outputs:
        log.write(output)


@dataclass
class Keys:
    """What a key log holds."""

    ike: list[events.IkeKeys] = field(default_factory=list)
    esp: list[SaParams] = field(default_factory=list)
    """As inbound SAs."""


_ENCR = {"AES-CBC": 12, "AES-CTR": 13, "AES-GCM": 20, "AES-CCM": 16, "NULL": 11}
_INTEG = {
    "NONE": 0, "NULL": 0, "HMAC_SHA1_96": 2, "HMAC_SHA2_256_128": 12, "HMAC_SHA2_384_192": 13, "HMAC_SHA2_512_256": 14,
}


def _encr(text: str) -> tuple[int, int | None]:
    found = re.match(r"(AES-[A-Z]+|NULL)(?:-(\d+))?", text)
    if found is None or found[1] not in _ENCR:
        raise ValueError(f"expected an encryption algorithm of Wireshark's tables, found {text!r}")
    return _ENCR[found[1]], int(found[2]) if found[2] else None


def _integ(text: str) -> int:
    word = text.split(" ")[0].replace("-", "_").replace("HMAC_SHA_", "HMAC_SHA_").replace("SHA_1_96", "SHA1_96")
    word = re.sub(r"HMAC_SHA_(256|384|512)_", r"HMAC_SHA2_\1_", word)
    if word not in _INTEG:
        raise ValueError(f"expected an integrity algorithm of Wireshark's tables, found {text!r}")
    return _INTEG[word]


def _rows(file: File) -> Iterable[list[str]]:
    if file.exists():
        with file.open() as lines:
            yield from csv.reader(line for line in lines if not line.startswith("#"))


def read(folder: File | str) -> Keys:
    """Reads the tables of a folder."""
    keys, folder = Keys(), File(folder)
    for row in _rows(folder / IKE_TABLE):
        spi_i, spi_r, ei, er, encr, ai, ar, integ = row
        number, bits = _encr(encr)
        octets = [bytes.fromhex(k) for k in (ei, er, ai, ar)]
        spis = int(spi_i, 16), int(spi_r, 16)
        keys.ike.append(events.IkeKeys(IkeSaId(0), spis, number, bits, _integ(integ), *octets))
    for at, row in enumerate(_rows(folder / ESP_TABLE), 1):
        _, source, destination, spi, encr, encr_key, integ, integ_key = row
        number, _ = _encr(encr)
        key, auth = bytes.fromhex(encr_key.removeprefix("0x")), bytes.fromhex(integ_key.removeprefix("0x"))
        salt = 4 if number in (13, 16, 20) else 0
        keys.esp.append(SaParams(
            child=ChildId(at), spi=int(spi, 16), direction="in", path=Path((destination, 0), (source, 0)), encr=number,
            key_bits=None if number == 11 else (len(key) - salt) * 8, integ=_integ(integ), encr_key=key,
            integ_key=auth, replay_window=0,
        ))
    return keys


def ip_packet(path: Path, data: bytes, *, bare: bool = False) -> bytes:
    """The IP packet that carries a datagram from `path.local` to `path.remote`, for captures."""
    source, destination = ip_address(path.local[0]), ip_address(path.remote[0])
    protocol = 50 if bare else 17
    if not bare:
        data = struct.pack("!HHHH", path.local[1], path.remote[1], 8 + len(data), 0) + data
    if source.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(data), protocol, 64) + source.packed + destination.packed + data
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 0, 0, 64, protocol, 0) + source.packed + destination.packed
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return head[:10] + struct.pack("!H", total) + head[12:] + data
