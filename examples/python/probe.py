#!/usr/bin/env python3
"""Says what a remote IKE responder supports, by real negotiation: each algorithm is offered alone and an answer is an answer;
nothing is guessed from fingerprints. Only IKE_SA_INIT is exchanged, so no secret is needed and no SA comes to be.

    probe.py 192.0.2.1
    probe.py 192.0.2.1 --port 500 --local 192.0.2.9 --gap 0.2
    probe.py 192.0.2.1 --json

The responder keeps a half-open SA per success; `--gap` spaces the attempts. Use it on responders that are yours to probe.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import socket
import time
from dataclasses import dataclass, field

from ravelin import errors, wire

ENCR, PRF, INTEG, KE = 1, 2, 3, 4
# Lengths of public values in octets. The value itself need not be a good one to learn that the method is taken: a
# responder that chooses the method and dislikes the value says so otherwise than by INVALID_KE_PAYLOAD.
PUBLIC = {
    2: 128, 5: 192, 14: 256, 15: 384, 16: 512, 17: 768, 18: 1024, 19: 64, 20: 96, 21: 132, 28: 64, 29: 96, 30: 128,
    31: 32, 32: 56,
}
GENERATORS = {
    # Base points of the NIST curves are good public values for which nobody needs a private key.
    19: "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
    20: "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7"
        "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
}
CIPHERS = [(20, 256), (20, 128), (18, 256), (28, None), (16, 256), (12, 256), (12, 128), (13, 256), (3, None)]
INTEGRITY = [(12, 5), (13, 6), (14, 7), (2, 2), (5, 4)]


@dataclass
class Findings:
    """What was learnt."""

    address: str
    answers: bool = False
    cookies: bool = False
    encr: list[str] = field(default_factory=list)
    prf: list[str] = field(default_factory=list)
    integ: list[str] = field(default_factory=list)
    ke: list[str] = field(default_factory=list)
    prefers: str | None = None
    extensions: list[str] = field(default_factory=list)
    vendors: list[str] = field(default_factory=list)
    asked: int = 0


class Probe:
    """One socket to one responder."""

    def __init__(self, remote: tuple[str, int], local: tuple[str, int] | None, gap: float, timeout: float) -> None:
        family = socket.AF_INET6 if ":" in remote[0] else socket.AF_INET
        self.socket, self.remote, self.gap, self.timeout = socket.socket(family, socket.SOCK_DGRAM), remote, gap, timeout
        if local:
            self.socket.bind(local)
        self.socket.connect(remote)
        self.found = Findings(f"{remote[0]}:{remote[1]}")

    def once(self, request: bytes) -> wire.Message | None:
        for _ in range(2):
            self.found.asked += 1
            self.socket.send(request)
            end = time.monotonic() + self.timeout
            while (left := end - time.monotonic()) > 0:
                self.socket.settimeout(left)
                try:
                    answer = wire.decode(self.socket.recv(65535))
                except (TimeoutError, ConnectionError):
                    break
                except errors.MalformedError:
                    continue
                if answer.header.spi_i == int.from_bytes(request[:8], "big") and answer.header.is_response:
                    return answer
        return None

    def ask(self, transforms: list[tuple[int, int, int | None]], method: int) -> wire.Message | None:
        """An IKE_SA_INIT request with this one proposal; cookies are returned."""
        time.sleep(self.gap)
        public = bytes.fromhex(GENERATORS[method]) if method in GENERATORS else b"\x02" + os.urandom(PUBLIC[method] - 1)
        if method in PUBLIC and 14 <= method <= 18 or method in (2, 5):
            public = bytes(1) + public[1:]  # below the prime
        spi, nonce = int.from_bytes(os.urandom(8), "big") | 1, os.urandom(32)
        detection = hashlib.sha1(os.urandom(20)).digest()
        payloads = [
            wire.Payload.sa([(1, b"", transforms)]),
            wire.Payload.ke(method, public),
            wire.Payload.nonce(nonce),
            wire.Payload.notify("NAT_DETECTION_SOURCE_IP", detection),
            wire.Payload.notify("NAT_DETECTION_DESTINATION_IP", detection),
            wire.Payload.notify("IKEV2_FRAGMENTATION_SUPPORTED"),
            wire.Payload.notify("SIGNATURE_HASH_ALGORITHMS", bytes([0, 2, 0, 3, 0, 4, 0, 5])),
            wire.Payload.notify("REDIRECT_SUPPORTED"),
            wire.Payload.notify("INTERMEDIATE_EXCHANGE_SUPPORTED"),
            wire.Payload.notify("USE_PPK"),
        ]
        header = wire.Header(spi)
        answer = self.once(wire.Message(header, payloads).encode())
        cookie = answer.notify("COOKIE") if answer else None
        if cookie is not None:
            self.found.cookies = True
            answer = self.once(wire.Message(header, [wire.Payload.notify("COOKIE", cookie["data"]), *payloads]).encode())
        self.found.answers |= answer is not None
        return answer


def accepted(answer: wire.Message | None) -> bool:
    """True when the proposal was chosen; a wish for another public value means that algorithms were."""
    return answer is not None and answer.find(wire.SA) is not None


def word(kind: int, ident: int, bits: int | None = None) -> str:
    name = wire.name({ENCR: "encr", PRF: "prf", INTEG: "integ", KE: "ke"}[kind], ident)
    return f"{name}-{bits}" if bits else name


def probe(p: Probe) -> Findings:
    found = p.found
    everything = [(ENCR, e, b) for e, b in CIPHERS if e != 3] + [(PRF, n, None) for n in (5, 6, 7, 2, 4)]
    everything += [(KE, m, None) for m in PUBLIC]
    base: list[tuple[int, int, int | None]] = []
    # First which key exchange: with all ciphers of one kind on offer, AEADs and others apart (RFC 5282 §8).
    aeads = [(ENCR, e, b) for e, b in CIPHERS if e in (16, 18, 20, 28)]
    others = [(ENCR, e, b) for e, b in CIPHERS if e in (3, 12, 13)] + [(INTEG, i, None) for i, _ in INTEGRITY]
    prfs = [(PRF, n, None) for n in (5, 6, 7, 2, 4)]
    kind = None
    for name, ciphers in (("AEAD", aeads), ("cipher and integrity", others)):
        answer = p.ask([*ciphers, *prfs, *((KE, m, None) for m in PUBLIC)], 31)
        wish = answer.notify("INVALID_KE_PAYLOAD") if answer else None
        if accepted(answer) or wish is not None:
            kind, base = kind or name, base or [*ciphers, *prfs]
            method = int.from_bytes(wish["data"][:2], "big") if wish else 31
            found.prefers = found.prefers or word(KE, method)
            if accepted(answer) and answer is not None:
                describe(found, answer)
    if not base:
        return found
    good = None
    for method in PUBLIC:
        answer = p.ask([*base, (KE, method, None)], method)
        if accepted(answer) or (answer is not None and answer.notify("INVALID_SYNTAX") is not None):
            found.ke.append(word(KE, method))
            if accepted(answer) and answer is not None:
                good = good or method
                describe(found, answer)
    if good is None:
        return found
    for ident, bits in CIPHERS:
        integ = [] if ident in (16, 18, 20, 28) else [(INTEG, i, None) for i, _ in INTEGRITY]
        if accepted(p.ask([(ENCR, ident, bits), *integ, *prfs, (KE, good, None)], good)):
            found.encr.append(word(ENCR, ident, bits))
    for _, ident, _ in prfs:
        if accepted(p.ask([*[t for t in base if t[0] != PRF], (PRF, ident, None), (KE, good, None)], good)):
            found.prf.append(word(PRF, ident))
    for ident, _ in INTEGRITY:
        plain = [t for t in others if t[0] == ENCR]
        if accepted(p.ask([*plain, (INTEG, ident, None), *prfs, (KE, good, None)], good)):
            found.integ.append(word(INTEG, ident))
    return found


def describe(found: Findings, answer: wire.Message) -> None:
    """Extensions that the responder announces."""
    for payload in answer.payloads:
        if payload.kind == wire.N:
            name = payload.fields["name"]
            if name not in found.extensions and not name.startswith("NAT_DETECTION"):
                found.extensions.append(name)
            if name.startswith("NAT_DETECTION") and "NAT traversal" not in found.extensions:
                found.extensions.append("NAT traversal")
        if payload.kind == wire.V and (text := payload.body.hex()) not in found.vendors:
            found.vendors.append(text)
        if payload.kind == wire.CERTREQ and "certificate request" not in found.extensions:
            found.extensions.append("certificate request")


def main() -> None:
    a = argparse.ArgumentParser(description="Says what a remote IKE responder supports, by real negotiation.")
    a.add_argument("address")
    a.add_argument("--port", type=int, default=500)
    a.add_argument("--local", help="our address")
    a.add_argument("--local-port", type=int, default=0)
    a.add_argument("--gap", type=float, default=0.05, help="seconds between attempts")
    a.add_argument("--timeout", type=float, default=1.5, help="seconds to wait for an answer")
    a.add_argument("--json", action="store_true")
    args = a.parse_args()
    local = (args.local, args.local_port) if args.local else None
    found = probe(Probe((args.address, args.port), local, args.gap, args.timeout))
    if args.json:
        print(json.dumps(vars(found)))
        return
    if not found.answers:
        print(f"{found.address}: no answer to IKE_SA_INIT")
        return
    print(f"{found.address} answers IKEv2 ({found.asked} datagrams sent)")
    for name, values in (
        ("key exchange", found.ke), ("encryption", found.encr), ("PRF", found.prf), ("integrity", found.integ),
        ("extensions", found.extensions), ("vendor ids", found.vendors),
    ):
        print(f"  {name:13} {', '.join(values) or '-'}")
    print(f"  {'prefers':13} {found.prefers or '-'}")
    print(f"  {'cookies':13} {'demanded' if found.cookies else 'not demanded now'}")


if __name__ == "__main__":
    main()
