"""The ESP plane alone, with manual keys."""

from __future__ import annotations

from array import array

import pytest

import ravelin
from ravelin import Path, Plane, changes, errors
from ravelin.testing import packets

A, B = ("192.0.2.1", 0), ("192.0.2.2", 0)
SUITES = [("aes256gcm16", 36, 0), ("aes128-sha256", 16, 32), ("chacha20poly1305", 36, 0), ("aes192ctr-sha512", 28, 64)]


def couple(suite="aes256gcm16", key=36, integ=0, **more):
    planes = Plane(bytes(32)), Plane(bytes(32))
    keys = {"key": bytes(range(key)), "integ_key": bytes(range(integ))}
    for plane, here, there, spis in ((planes[0], A, B, (256, 257)), (planes[1], B, A, (257, 256))):
        path = Path(here, there)
        sa = lambda spi, direction: changes.SaParams.manual(suite, child=1, spi=spi, direction=direction, path=path, **keys, **more)
        plane.apply(changes.InstallInbound(sa(spis[0], "in")), 0)
        plane.apply(changes.InstallOutbound(sa(spis[1], "out")), 0)
    return planes


@pytest.mark.parametrize(("suite", "key", "integ"), SUITES)
def test_what_one_plane_seals_the_other_opens(suite, key, integ):
    a, b = couple(suite, key, integ)
    packet = packets.udp("10.1.0.1", "10.2.0.1", b"hello")
    match a.egress(packet, 1, 0):
        case ravelin.Sent((ravelin.Sealed(path, data),)):
            assert path == Path(A, B) and data[:4] == (257).to_bytes(4, "big")
        case other:
            raise AssertionError(other)
    match b.ingress(data, Path(B, A), 0):
        case ravelin.Deliver(1, inner):
            assert inner == packet
        case other:
            raise AssertionError(other)
    assert b.ingress(data, Path(B, A), 0).reason is ravelin.DropReason.REPLAY
    broken = data[:-1] + bytes([data[-1] ^ 1])
    assert b.ingress(bytearray(broken), Path(B, A), 0).reason in (ravelin.DropReason.INTEGRITY, ravelin.DropReason.REPLAY)
    assert b.drops()[ravelin.DropReason.REPLAY] >= 1


def test_bursts_are_the_single_calls():
    a, b = couple()
    inner = [packets.udp("10.1.0.1", "10.2.0.1", bytes(n)) for n in range(1, 400, 13)]
    inner.insert(3, b"no packet")
    lengths, out, out_lengths = array("I", map(len, inner)), bytearray(60_000), array("I", [7] * (len(inner) + 1))
    wrote = a.egress_burst_into(b"".join(inner), lengths, 1, 0, out, out_lengths)
    assert out_lengths[3] == 0 and out_lengths[-1] == 7 and sum(out_lengths[:-1]) == wrote
    opened, opened_lengths = bytearray(60_000), array("I", bytes(4 * len(inner)))
    sealed = memoryview(out)[:wrote]
    wrote = b.ingress_burst_into(sealed, out_lengths[:-1], Path(B, A), 0, opened, opened_lengths)
    expected = [p for p in inner if p != b"no packet"]
    assert bytes(opened[:wrote]) == b"".join(expected)
    assert [n for n in opened_lengths if n] == [len(p) for p in expected]
    assert b.stats(1).inbound.packets == len(expected)
    single = bytearray(2000)
    for packet in expected:
        wrote = a.egress_into(packet, 1, 0, single)
        assert b.ingress_into(bytes(single[:wrote]), Path(B, A), 0, single) == len(packet)
        assert single[:len(packet)] == packet


def test_lengths_and_buffers_are_checked():
    a, _ = couple()
    packet = packets.udp("10.1.0.1", "10.2.0.1", b"x")
    one = array("I", [len(packet)])
    with pytest.raises(errors.InvalidArgumentError):
        a.egress_burst_into(packet, array("I", [len(packet) + 1]), 1, 0, bytearray(200), one)
    with pytest.raises(errors.InvalidArgumentError):
        a.egress_burst_into(packet, array("I", [0xFFFFFFFF] * 3), 1, 0, bytearray(200), array("I", [0] * 3))
    with pytest.raises(errors.InvalidArgumentError):
        a.egress_burst_into(packet, one, 1, 0, bytearray(200), array("I"))
    with pytest.raises(errors.BufferTooSmallError):
        a.egress_burst_into(packet, one, 1, 0, bytearray(20), array("I", [0]))
    with pytest.raises((errors.InvalidArgumentError, BufferError)):
        a.egress_burst_into(packet, one, 1, 0, bytes(200), array("I", [0]))
    with pytest.raises(BufferError):
        a.egress_burst_into(packet, array("H", [len(packet)]), 1, 0, bytearray(200), array("I", [0]))


def test_limits_are_reported():
    plane = Plane()
    sa = changes.SaParams.manual("aes128gcm16", child=9, spi=300, direction="out", path=Path(A, B), key=bytes(20))
    from dataclasses import replace

    plane.apply(changes.InstallOutbound(replace(sa, soft_packets=2, hard_packets=4)), 0)
    packet = packets.udp("10.1.0.1", "10.2.0.1", b"x")
    results = [type(plane.egress(packet, 9, 0)).__name__ for _ in range(6)]
    assert results.count("Sent") == 4
    reports = []
    while (report := plane.poll_report()) is not None:
        reports.append(report)
    assert changes.SoftExpired(9) in reports and changes.HardExpired(9) in reports


def test_what_a_plane_refuses():
    plane, path = Plane(), Path(A, B)
    with pytest.raises(ValueError, match="expected keys of 36 and 0 octets, found 3 and 0"):
        changes.SaParams.manual("aes256gcm16", child=1, spi=300, direction="out", path=path, key=b"abc")
    sa = changes.SaParams.manual("aes256gcm16", child=1, spi=3, direction="in", path=path, key=bytes(36))
    with pytest.raises(errors.SpiTakenError):
        plane.apply(changes.InstallInbound(sa), 0)
    assert "encr_key" not in repr(sa)
    assert isinstance(plane.egress(packets.udp("10.1.0.1", "10.2.0.1"), 5, 0), ravelin.NoSa)


def test_scapy_reads_what_we_seal_and_we_open_what_scapy_seals():
    ipsec = pytest.importorskip("scapy.layers.ipsec")
    inet = pytest.importorskip("scapy.layers.inet")
    a, b = couple()
    key = bytes(range(36))
    theirs = ipsec.SecurityAssociation(
        ipsec.ESP, spi=257, crypt_algo="AES-GCM", crypt_key=key, tunnel_header=inet.IP(src=A[0], dst=B[0])
    )
    packet = inet.IP(src="10.1.0.1", dst="10.2.0.1") / inet.UDP(sport=1, dport=2) / b"scapy"
    (sealed,) = a.egress(bytes(packet), 1, 0).packets
    outer = inet.IP(src=A[0], dst=B[0], proto=50) / sealed.data
    opened = theirs.decrypt(inet.IP(bytes(outer)))
    assert bytes(opened[inet.UDP].payload) == b"scapy"
    theirs.seq_num = 100
    from_scapy = theirs.encrypt(packet)
    assert b.ingress(bytes(from_scapy.payload), Path(B, A), 0).packet == bytes(packet)


def test_bursts_run_without_the_interpreter_lock():
    import threading

    a, _ = couple()
    packet = packets.udp("10.1.0.1", "10.2.0.1", bytes(1300))
    count = 3000
    data, lengths = packet * count, array("I", [len(packet)] * count)
    out, out_lengths = bytearray(len(data) * 2), array("I", bytes(4 * count))
    ticks, stop = 0, threading.Event()

    def burst():
        a.egress_burst_into(data, lengths, 1, 0, out, out_lengths)
        stop.set()

    thread = threading.Thread(target=burst)
    thread.start()
    while not stop.is_set():
        ticks += 1
    thread.join()
    # With the lock held the loop would not turn until the call returned.
    assert ticks > 100, ticks
    assert all(out_lengths)
