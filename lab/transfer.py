#!/usr/bin/env python3
"""A TCP transfer both ways at once, checked octet by octet.

usage: transfer.py serve ADDRESS PORT               prints "ready", echoes one connection, ends
       transfer.py send SOURCE ADDRESS PORT OCTETS  sends, compares the echo, prints the rate
"""
import random, socket, sys, threading, time

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

if len(sys.argv) == 4 and sys.argv[1] == "serve":
    listen(*sys.argv[2:])
elif len(sys.argv) == 6 and sys.argv[1] == "send":
    send(*sys.argv[2:])
else:
    sys.exit(__doc__)
