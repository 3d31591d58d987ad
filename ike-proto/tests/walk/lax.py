#!/usr/bin/env python3
"""Makes lax.txt: an RSA public key (DER) and signatures over b"octets" by its private key, whose encoded messages are
wrong in the ways that lax verifiers have taken (CVE-2018-16151, 2018-16152, 2026-50721, 2026-50722). Run it once; the
private key is thrown away."""
import hashlib, random, secrets

def prime(bits):
    while True:
        p = secrets.randbits(bits) | (3 << (bits - 2)) | 1
        if p % 65537 != 1 and all(pow(a, p - 1, p) == 1 for a in (2, 3, 5, 7, 11, 13)) and all(
                pow(random.randrange(2, p), p - 1, p) == 1 for _ in range(20)):
            return p

def der(tag, *parts):
    body = b"".join(parts)
    n = len(body)
    size = bytes([n]) if n < 128 else (lambda s: bytes([0x80 | len(s)]) + s)(n.to_bytes((n.bit_length() + 7) // 8, "big"))
    return bytes([tag]) + size + body

def integer(n):
    return der(2, n.to_bytes(n.bit_length() // 8 + 1, "big"))

p, q = prime(1024), prime(1024)
n, e = p * q, 65537
d = pow(e, -1, (p - 1) * (q - 1))
oid = bytes.fromhex("0609608648016503040201")
null = bytes.fromhex("0500")
spki = der(0x30, der(0x30, bytes.fromhex("06092a864886f70d010101"), null), der(3, b"\0", der(0x30, integer(n), integer(e))))
h = hashlib.sha256(b"octets").digest()
good = der(0x30, der(0x30, oid, null), der(4, h))

def em(info, pad=None, tail=b"", head=b"\0\1"):
    pad = b"\xff" * (256 - 3 - len(info) - len(tail)) if pad is None else pad
    return head + pad + b"\0" + info + tail

short = lambda m: der(0x30, der(0x30, oid, null), der(4, m))
cases = {
    "good": em(good),
    "garbage after the hash": em(good, b"\xff" * 8, secrets.token_bytes(256 - 11 - len(good))),
    "garbage in the parameters": em(der(0x30, der(0x30, oid, der(4, secrets.token_bytes(100))), der(4, h))),
    "no parameters": em(der(0x30, der(0x30, oid), der(4, h))),
    "a shorter hash": em(short(h[:20])),
    "a hash of one octet": em(short(h[:1])),
    "an empty hash": em(short(b"")),
    "a longer hash": em(short(h + b"\0")),
    "only the hash": em(h),
    "length in its long form": em(b"\x30\x81" + good[1:]),
    "octets after the sequence": em(good + b"\0"),
    "another algorithm": em(der(0x30, der(0x30, bytes.fromhex("0609608648016503040202"), null), der(4, h))),
    "padding that is not FF": em(good, b"\xff" * 100 + b"\xfe" + b"\xff" * (256 - 3 - len(good) - 101)),
    "no padding": em(good, b"", b"\0" * (256 - 3 - len(good))),
    "block type 2": em(good, None, b"", b"\0\2"),
    "block type 0": em(good, None, b"", b"\0\0"),
}
with open("lax.txt", "w") as out:
    out.write(f"key {spki.hex()}\n")
    for name, m in cases.items():
        assert len(m) == 256, (name, len(m))
        out.write(f"{pow(int.from_bytes(m, 'big'), d, n).to_bytes(256, 'big').hex()} {name}\n")
