#!/usr/bin/env python3
"""An independent oracle of IKEv2's key schedule: nothing but Python's standard library.

It is given what a wiretap saw, the pre-shared keys, and the raw secret of every key exchange; never a derived key. From
these it computes SK_* for every IKE SA (RFC 7296 2.14, 2.18; RFC 9370; RFC 8784; RFC 9867), opens every message with
them, computes both AUTH payloads (with IntAuth of RFC 9242 and the full transcript) and KEYMAT of every Child SA
(2.17), and compares AUTH with the wire and KEYMAT with what the two data planes were given.

    oracle.py < run.json        prints {"ok": true, "sas": .., "messages": .., "auths": .., "children": ..}
"""
import hashlib
import hmac
import json
import sys

SA, KE, IDi, IDr, AUTH, NONCE, NOTIFY, SK, SKF = 33, 34, 35, 36, 39, 40, 41, 46, 53
INIT, IKE_AUTH, CREATE, INFO, INTERMEDIATE, FOLLOWUP = 34, 35, 36, 37, 43, 44
REKEY_SA, PPK_IDENTITY, NO_PPK_AUTH, ADDITIONAL_KE = 16393, 16436, 16437, 16441
USE_PPK, USE_PPK_INT, PPK_IDENTITY_KEY, TRANSCRIPT = 16435, 16445, 16446, 16447
PRFS = {2: ("sha1", 20), 5: ("sha256", 32), 6: ("sha384", 48), 7: ("sha512", 64)}
INTEGS = {12: ("sha256", 32, 16), 13: ("sha384", 48, 24), 14: ("sha512", 64, 32)}
CTR, GCM = 13, 20


class Wrong(Exception):
    pass


def check(what, came, expected):
    if came != expected:
        raise Wrong(f"{what}: expected {expected.hex()}, the run has {came.hex()}")


# AES (FIPS 197), encryption only, by the book. GCM (SP 800-38D) and CTR need no more.
def _sbox():
    p = q = 1
    box = [0x63] * 256
    while True:
        p ^= (p << 1) & 255 ^ (0x1B if p & 0x80 else 0)
        for s in (1, 2, 4):
            q ^= q << s & 255
        q ^= 0x09 if q & 0x80 else 0
        rot = lambda n: (q << n | q >> 8 - n) & 255
        box[p] = q ^ rot(1) ^ rot(2) ^ rot(3) ^ rot(4) ^ 0x63
        if p == 1:
            return box


SBOX = _sbox()
TWO = [(x << 1) & 255 ^ (0x1B if x & 0x80 else 0) for x in range(256)]


class Aes:
    def __init__(self, key):
        n = len(key) // 4
        w = [list(key[i : i + 4]) for i in range(0, len(key), 4)]
        rcon = 1
        for i in range(n, 4 * (n + 7)):
            t = w[-1]
            if i % n == 0:
                t = [SBOX[b] for b in t[1:] + t[:1]]
                t[0] ^= rcon
                rcon = TWO[rcon]
            elif n > 6 and i % n == 4:
                t = [SBOX[b] for b in t]
            w.append([a ^ b for a, b in zip(w[i - n], t)])
        flat = [b for word in w for b in word]
        self.round_keys = [flat[i : i + 16] for i in range(0, len(flat), 16)]

    def block(self, data):
        s = [a ^ b for a, b in zip(data, self.round_keys[0])]
        last = len(self.round_keys) - 1
        for r in range(1, last + 1):
            s = [SBOX[s[(i + 4 * (i % 4)) % 16]] for i in range(16)]
            if r != last:
                mixed = []
                for c in range(0, 16, 4):
                    a = s[c : c + 4]
                    x = a[0] ^ a[1] ^ a[2] ^ a[3]
                    mixed += [a[i] ^ x ^ TWO[a[i] ^ a[(i + 1) % 4]] for i in range(4)]
                s = mixed
            s = [a ^ b for a, b in zip(s, self.round_keys[r])]
        return bytes(s)

    def ctr(self, prefix, first, data):
        out = bytearray()
        for n, at in enumerate(range(0, len(data), 16)):
            pad = self.block(prefix + (first + n).to_bytes(4, "big"))
            out += bytes(a ^ b for a, b in zip(data[at : at + 16], pad))
        return bytes(out)

    def ghash(self, aad, text):
        h, y = int.from_bytes(self.block(bytes(16)), "big"), 0
        pad = lambda x: x + bytes(-len(x) % 16)
        data = pad(aad) + pad(text) + (8 * len(aad)).to_bytes(8, "big") + (8 * len(text)).to_bytes(8, "big")
        for at in range(0, len(data), 16):
            y ^= int.from_bytes(data[at : at + 16], "big")
            z, v = 0, h
            for bit in range(127, -1, -1):
                if y >> bit & 1:
                    z ^= v
                v = v >> 1 ^ (0xE1 << 120 if v & 1 else 0)
            y = z
        return y.to_bytes(16, "big")


class Prf:
    def __init__(self, number):
        self.name, self.len = PRFS[number]

    def __call__(self, key, data):
        return hmac.new(key, data, self.name).digest()

    def plus(self, key, seed, length):
        out = last = b""
        for n in range(1, 256):
            if len(out) >= length:
                return out[:length]
            last = self(key, last + seed + bytes([n]))
            out += last
        raise Wrong("prf+ beyond 255 blocks")


class Suite:
    """One chosen proposal."""

    def __init__(self, proposal):
        n, self.protocol, spi_size, count = proposal[4:8]
        self.spi = proposal[8 : 8 + spi_size]
        at, self.prf, self.integ, self.ke, self.more = 8 + spi_size, None, 0, 0, []
        for _ in range(count):
            length = int.from_bytes(proposal[at + 2 : at + 4], "big")
            kind, number = proposal[at + 4], int.from_bytes(proposal[at + 6 : at + 8], "big")
            bits = 0
            if length > 8 and proposal[at + 8 : at + 10] == b"\x80\x0e":
                bits = int.from_bytes(proposal[at + 10 : at + 12], "big")
            if kind == 1:
                self.encr, self.bits = number, bits
            elif kind == 2:
                self.prf = Prf(number)
            elif kind == 3:
                self.integ = number
            elif kind == 4:
                self.ke = number
            elif 6 <= kind <= 12 and number:
                self.more.append((kind, number))
            at += length
        self.more = [number for _, number in sorted(self.more)]
        self.encr_len = self.bits // 8 + (4 if self.encr in (CTR, GCM) else 0)  # key and salt
        self.integ_len = INTEGS[self.integ][1] if self.integ else 0


class Keys:
    def __init__(self, suite, prf, seed, ni, nr, spi_i, spi_r):
        s, p = suite, suite.prf.len
        lengths = [p, s.integ_len, s.integ_len, s.encr_len, s.encr_len, p, p]
        stream = prf.plus(seed, ni + nr + spi_i + spi_r, sum(lengths))
        cut = []
        for n in lengths:
            cut.append(stream[:n])
            stream = stream[n:]
        self.d, self.ai, self.ar, self.ei, self.er, self.pi, self.pr = cut


def chain(first, data):
    """Payloads: (type, body)."""
    out = []
    while first:
        following, length = data[0], int.from_bytes(data[2:4], "big")
        if length < 4 or length > len(data):
            raise Wrong("a payload of impossible length: the message did not open")
        out.append((first, data[4:length]))
        first, data = following, data[length:]
    if data:
        raise Wrong("octets after the last payload: the message did not open")
    return out


class Payloads(list):
    def one(self, kind):
        return next((body for k, body in self if k == kind), None)

    def notifies(self, kind):
        return [b[4 + b[1] :] for k, b in self if k == NOTIFY and int.from_bytes(b[2:4], "big") == kind]


class Ike:
    """One IKE SA as a wiretap with the secrets sees it."""

    def __init__(self, run, spi_i, spi_r):
        self.run, self.spi_i, self.spi_r = run, spi_i, spi_r
        self.int_auth = {True: b"", False: b""}
        self.intermediates = 0
        self.asked, self.pieces, self.chains = {}, {}, {}
        self.ppk_id = None
        run.count["sas"] += 1

    # --- opening
    def open(self, data):
        """(first payload type, inner payloads in clear) or None while fragments are missing."""
        flags, exchange, kind = data[19], data[18], data[16]
        initiator = bool(flags & 8)
        ident = (initiator, bool(flags & 32), data[20:24])
        length = int.from_bytes(data[30:32], "big")
        body, first = data[32 : 28 + length], data[28]
        number = total = 1
        head = data[:32]
        if kind == SKF:
            number, total = int.from_bytes(body[:2], "big"), int.from_bytes(body[2:4], "big")
            head, body = data[:36], body[4:]
        key, mac = (self.keys.ei, self.keys.ai) if initiator else (self.keys.er, self.keys.ar)
        aes, salt, s = Aes(key[:-4]), key[-4:], self.suite
        iv, text = body[:8], body[8:]
        if s.encr == GCM:
            text, tag = text[:-16], text[-16:]
            expected = int.from_bytes(aes.ghash(head, text), "big")
            expected ^= int.from_bytes(aes.block(salt + iv + b"\0\0\0\1"), "big")
            check("ICV of a message", tag, expected.to_bytes(16, "big"))
            plain = aes.ctr(salt + iv, 2, text)
        else:
            name, _, cut = INTEGS[s.integ]
            text, tag = text[:-cut], text[-cut:]
            check("ICV of a message", tag, hmac.new(mac, data[:-cut], name).digest()[:cut])
            plain = aes.ctr(salt + iv, 1, text)
        plain = plain[: len(plain) - 1 - plain[-1]]
        self.run.count["messages"] += 1
        if kind == SKF:
            pieces = self.pieces.setdefault(ident, {})
            pieces[number] = (first, plain)
            if len(pieces) < total:
                return None
            first, plain = pieces[1][0], b"".join(pieces[n][1] for n in sorted(pieces))
        if exchange == INTERMEDIATE:
            # As if sent whole: SK, and lengths of the plaintext (RFC 9242 3.3.2).
            a = data[:16] + bytes([SK]) + data[17:24] + (32 + len(plain)).to_bytes(4, "big")
            a += bytes([first, 0]) + (4 + len(plain)).to_bytes(2, "big")
            key = self.keys.pi if initiator else self.keys.pr
            self.int_auth[initiator] = s.prf(key, self.int_auth[initiator] + a + plain)
            self.intermediates += initiator
        return first, plain

    # --- exchanges
    def protected(self, data):
        opened = self.open(data)
        if opened is None:
            return
        payloads = Payloads(chain(*opened))
        exchange, response = data[18], bool(data[19] & 32)
        ident = (bool(data[19] & 8) != response, data[20:24])  # who asked, which id
        if not response:
            self.asked[ident] = payloads
            return
        request = self.asked.pop(ident, None)
        if request is None:
            return  # a repeated answer
        if exchange == INTERMEDIATE:
            self.intermediate(request, payloads)
        elif exchange == IKE_AUTH:
            self.auth(request, payloads)
        elif exchange == CREATE and payloads.one(SA):
            self.create(request, payloads)
        elif exchange == FOLLOWUP and payloads.one(KE):
            self.follow_up(request, payloads)

    def again(self, seed):
        self.keys = Keys(self.suite, self.suite.prf, seed, self.ni, self.nr, self.spi_i, self.spi_r)

    def intermediate(self, request, response):
        prf = self.suite.prf
        if request.one(KE):
            shared = self.run.shared(request.one(KE), response.one(KE))
            self.again(prf(self.keys.d, shared + self.ni + self.nr))
        for chosen in response.notifies(PPK_IDENTITY):
            ppk = self.run.ppks[chosen]
            seen = [d for d in request.notifies(PPK_IDENTITY_KEY) if d[:-8] == chosen]
            mac = prf(ppk, self.ni + self.nr + self.spi_i + self.spi_r)
            check("PPK confirmation", seen[0][-8:], mac[:8])
            self.again(prf.plus(ppk, self.keys.d, prf.len))

    def octets(self, initiator, ident, sk_p):
        message = {True: self.message1, False: self.message2}
        nonce = self.nr if initiator else self.ni
        mac = self.suite.prf(sk_p, ident)
        if self.transcript:
            out = bytes(8) + message[not initiator] + message[initiator] + nonce + mac
        else:
            out = message[initiator] + nonce + mac
        if self.intermediates:
            last = (self.intermediates + 1).to_bytes(4, "big")
            out += self.int_auth[True] + self.int_auth[False] + last
        return out

    def psk(self, octets):
        prf = self.suite.prf
        return prf(prf(self.run.psk, b"Key Pad for IKEv2"), octets)

    def auth(self, request, response):
        if not response.one(AUTH):
            return
        prf, k = self.suite.prf, self.keys
        plain = (k.pi, k.pr)
        named = request.notifies(PPK_IDENTITY)
        used = bool(named) and bool(response.notifies(PPK_IDENTITY))
        if named:
            ppk = self.run.ppks[named[0]]
            mixed = [prf.plus(ppk, x, prf.len) for x in (k.d, k.pi, k.pr)]
            for spare in request.notifies(NO_PPK_AUTH):
                check("NO_PPK_AUTH", spare, self.psk(self.octets(True, request.one(IDi), k.pi)))
                self.run.count["auths"] += 1
            # The initiator's AUTH is made with the PPK, whether the responder has it or not.
            plain = (mixed[1], k.pr)
            if used:
                k.d, k.pi, k.pr = mixed
                plain = (k.pi, k.pr)
        for initiator, ident, message in ((True, IDi, request), (False, IDr, response)):
            body = message.one(AUTH)
            if body[0] != 2:
                raise Wrong(f"authentication method {body[0]}: this oracle knows shared keys")
            sk_p = plain[0] if initiator else plain[1]
            check(f"AUTH of {'initiator' if initiator else 'responder'}", body[4:], self.psk(self.octets(initiator, message.one(ident), sk_p)))
            self.run.count["auths"] += 1
        if response.one(SA):
            self.child(Suite(response.one(SA)), request, response, self.ni, self.nr, [], k.d)

    def create(self, request, response):
        suite = Suite(response.one(SA))
        ni, nr = request.one(NONCE), response.one(NONCE)
        shared = [self.run.shared(request.one(KE), response.one(KE))] if response.one(KE) else []
        d = self.keys.d
        for chosen in response.notifies(PPK_IDENTITY):
            ppk = self.run.ppks[chosen]
            seen = [x for x in request.notifies(PPK_IDENTITY_KEY) if x[:-8] == chosen]
            check("PPK confirmation", seen[0][-8:], self.suite.prf(ppk, ni + self.spi_i + self.spi_r)[:8])
            d = self.suite.prf.plus(ppk, d, self.suite.prf.len)
            self.run.count["fresh_ppks"] += 1
        self.made((suite, request, response, ni, nr, shared, d))

    def follow_up(self, request, response):
        link = request.notifies(ADDITIONAL_KE)[0]
        suite, first, second, ni, nr, shared, d = self.chains.pop(link)
        shared = shared + [self.run.shared(request.one(KE), response.one(KE))]
        self.run.count["follow_ups"] += 1
        # What is still due is told by the links; the CREATE_CHILD_SA messages stay what they were.
        self.made((suite, first, second, ni, nr, shared, d), response)

    def made(self, state, last=None):
        suite, request, response, ni, nr, shared, d = state
        link = (last or response).notifies(ADDITIONAL_KE)
        if link:
            self.chains[link[0]] = state
            return
        if len(shared) != (1 if suite.ke else 0) + len(suite.more):
            raise Wrong(f"{len(shared)} key exchanges were made, {suite.more} agreed on")
        if suite.protocol == 1:
            offered = Suite(request.one(SA)).spi
            new = Ike(self.run, offered, suite.spi)
            new.suite, new.ni, new.nr, new.transcript = suite, ni, nr, self.transcript
            seed = self.suite.prf(d, shared[0] + ni + nr + b"".join(shared[1:]))
            new.keys = Keys(suite, suite.prf, seed, ni, nr, new.spi_i, new.spi_r)
            self.run.ikes[(new.spi_i, new.spi_r)] = new
        else:
            self.child(suite, request, response, ni, nr, shared, d)

    def child(self, suite, request, response, ni, nr, shared, d):
        e, a = suite.encr_len, suite.integ_len
        seed = (shared[0] if shared else b"") + ni + nr + b"".join(shared[1:])
        keymat = self.suite.prf.plus(d, seed, 2 * (e + a))
        there, back = keymat[: e + a], keymat[e + a :]
        # Who asked sends to the SPI of the answer.
        for spi, keys in ((suite.spi, there), (Suite(request.one(SA)).spi, back)):
            for encr, integ in self.run.installed.get(spi, []):
                check(f"encryption key of SPI {spi.hex()}", encr, keys[:e])
                check(f"integrity key of SPI {spi.hex()}", integ, keys[e:])
                self.run.count["halves"] += 1
            if len(self.run.installed.get(spi, [])) != 2:
                raise Wrong(f"SPI {spi.hex()} is not installed on both sides")
        self.run.count["children"] += 1


class Run:
    def __init__(self, record):
        h = bytes.fromhex
        self.psk = h(record["psk"])
        self.ppks = {h(k): h(v) for k, v in record["ppks"].items()}
        self.secrets = {(m, h(a), h(b)): h(s) for m, a, b, s in record["shared"]}
        self.installed = {}
        for spi, encr, integ in record["installed"]:
            self.installed.setdefault(h(spi), []).append((h(encr), h(integ)))
        self.wire = [h(d) for d in record["wire"]]
        self.ikes, self.inits = {}, {}
        self.count = dict.fromkeys(("sas", "messages", "auths", "children", "halves", "follow_ups", "fresh_ppks"), 0)

    def shared(self, request, response):
        method = int.from_bytes(request[:2], "big")
        if request[:4] != response[:4]:
            raise Wrong("two methods in one key exchange")
        return self.secrets[(method, request[4:], response[4:])]

    def init(self, data):
        spis, response = (data[:8], data[8:16]), bool(data[19] & 32)
        payloads = Payloads(chain(data[16], data[28:]))
        if not response:
            self.inits[data[:8]] = (data, payloads)
            return
        if not payloads.one(KE):
            return  # a cookie, or another group is wanted
        first, request = self.inits[data[:8]]
        ike = Ike(self, *spis)
        ike.message1, ike.message2 = first, data
        ike.suite = Suite(payloads.one(SA))
        ike.ni, ike.nr = request.one(NONCE), payloads.one(NONCE)
        ike.transcript = bool(request.notifies(TRANSCRIPT)) and bool(payloads.notifies(TRANSCRIPT))
        ike.again(ike.suite.prf(ike.ni + ike.nr, self.shared(request.one(KE), payloads.one(KE))))
        self.ikes[spis] = ike

    def play(self):
        for data in self.wire:
            if data[18] == INIT:
                self.init(data)
            else:
                self.ikes[(data[:8], data[8:16])].protected(data)
        return self.count


def main():
    try:
        print(json.dumps({"ok": True, **Run(json.load(sys.stdin)).play()}))
    except (Wrong, KeyError, IndexError) as wrong:
        print(json.dumps({"ok": False, "why": f"{type(wrong).__name__}: {wrong}"}))


if __name__ == "__main__":
    main()
