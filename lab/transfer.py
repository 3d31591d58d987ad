#!/usr/bin/env python3
"""A transfer both ways, checked octet by octet: TCP both ways at once, UDP in runs of datagrams.

usage: transfer.py serve ADDRESS PORT               prints "ready", echoes one connection, ends
       transfer.py send SOURCE ADDRESS PORT OCTETS  sends, compares the echo, prints the rate
       transfer.py serve-udp ADDRESS PORT           prints "ready", echoes datagrams until one is empty
       transfer.py send-udp SOURCE ADDRESS PORT     runs of datagrams: of one size, with a shorter last, of mixed sizes,
           larger than the path carries, without checksums (IPv4); each sent one by one and as UDP_SEGMENT has it. Each
           has to come back as it was; one that is lost is sent again
"""
import random, socket, struct, sys, threading, time

def listen(address, port):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, int(port)))
    s.listen(1)
    s.settimeout(30)
    print("ready", flush=True)
    c, _ = s.accept()
    c.settimeout(30)
    while data := c.recv(65536):
        c.sendall(data)
    c.close()

def send(source, address, port, octets):
    data = random.Random(1).randbytes(int(octets))
    s = socket.create_connection((address, int(port)), timeout=30, source_address=(source, 0))
    t = time.monotonic()
    def push():
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
    sender = threading.Thread(target=push, daemon=True)
    sender.start()
    back = bytearray()
    while part := s.recv(65536):
        back += part
    sender.join(5)
    if back != data:
        sys.exit(f"sent {len(data)} octets, {len(back)} came back" + ("" if len(back) != len(data) else ", changed"))
    print(f"{len(data)} octets there and back, {len(data) * 16 / (time.monotonic() - t) / 1e6:.0f} Mbit/s")

SO_NO_CHECK, SOL_UDP, UDP_SEGMENT = 11, 17, 103

def udp(address, port):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, int(port)))
    s.settimeout(30)
    return s

def listen_udp(address, port):
    s = udp(address, port)
    print("ready", flush=True)
    waiting = []
    while True:
        data, peer = s.recvfrom(65536)
        if not data:
            return
        waiting.append(data)
        if data[:1] == b"!":  # the run ends: all at once, so that there is something to join on the way back too
            for d in waiting:
                s.sendto(d, peer)
            waiting = []

def runs(seed):
    r = random.Random(seed)
    for size in (1, 100, 1300, 1372):
        yield [size] * 30
        yield [size] * 20 + [max(1, size // 2)]
    yield [r.choice((1300, 1300, 1300, 700, 1)) for _ in range(40)]
    yield [r.randrange(1, 1373) for _ in range(40)]
    yield [r.randrange(1373, 5000) for _ in range(8)]  # fragments

def send_udp(source, address, port):
    s = udp(source, 0)
    s.connect((address, int(port)))
    count = again = 0
    ever = {b"!"}
    for check in (True, False):
        if not check and ":" in address:
            continue
        s.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, int(not check))
        for segment in (False, True):
            for sizes in runs(2 * check + segment):
                r = random.Random(count)
                # "!", which ends the run, and a number tell the datagrams of a run apart where there is room
                sent = [(b"!" if i == len(sizes) - 1 else b".") + bytes([i]) + r.randbytes(n) for i, n in enumerate(sizes)]
                sent = [d[:n] for d, n in zip(sent, sizes)]
                missing = list(sent)
                ever.update(sent)
                for attempt in range(20):
                    one_by_one = not segment or attempt or max(sizes) > 1372 or not check
                    if one_by_one or len(set(sizes[:-1])) > 1:
                        for d in missing if attempt == 0 else missing + [b"!"]:
                            s.send(d)
                    else:
                        s.sendmsg([b"".join(sent)], [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", sizes[0]))])
                    s.settimeout(5 if attempt == 0 else 1)
                    try:
                        while missing:
                            back = s.recv(65536)
                            if back in missing:
                                missing.remove(back)
                            elif back not in ever:  # one that was sent twice may come twice
                                sys.exit(f"{len(back)} octets came that were not sent so")
                    except TimeoutError:
                        again += len(missing)
                    if not missing:
                        break
                else:
                    sys.exit(f"{len(missing)} of {len(sent)} datagrams of {sizes[:3]} octets never came back")
                count += len(sent)
    for _ in range(5):
        s.send(b"")
    print(f"{count} datagrams there and back, {again} sent again")

if len(sys.argv) == 4 and sys.argv[1] == "serve":
    listen(*sys.argv[2:])
elif len(sys.argv) == 6 and sys.argv[1] == "send":
    send(*sys.argv[2:])
elif len(sys.argv) == 4 and sys.argv[1] == "serve-udp":
    listen_udp(*sys.argv[2:])
elif len(sys.argv) == 5 and sys.argv[1] == "send-udp":
    send_udp(*sys.argv[2:])
else:
    sys.exit(__doc__)
