"""The message codec alone."""

from __future__ import annotations

import os

import pytest

from ravelin import errors, events, wire
from ravelin.testing import Pair, packets


def first_message(ravelin_pair) -> bytes:
    p: Pair = ravelin_pair()
    p.initiate()
    return p.network.sent[0].data


def test_a_message_becomes_a_readable_tree(ravelin_pair):
    data = first_message(ravelin_pair)
    message = wire.decode(data)
    assert message.header.name == "IKE_SA_INIT" and not message.header.is_response
    names = [p.name for p in message.payloads]
    assert names[:3] == ["SA", "KE", "NONCE"], names
    proposal = message.find(wire.SA).fields["proposals"][0]
    assert proposal["protocol"] == 1 and {t["kind"] for t in proposal["transforms"]} >= {"ENCR", "PRF", "KE"}
    assert message.notify("NAT_DETECTION_SOURCE_IP")["data"]
    text = str(message)
    assert "IKE_SA_INIT request 0 of the initiator" in text and "proposal 1" in text
    assert message.encode() == data, "byte-exact"


def test_what_is_built_reads_back():
    payloads = [
        wire.Payload.sa([(1, b"", [(1, 20, 256), (2, 6, None), (4, 31, None)]), (1, b"12345678", [(1, 12, 128)])]),
        wire.Payload.ke(31, bytes(32)),
        wire.Payload.nonce(bytes(32)),
        wire.Payload.identity(wire.IDI, 2, b"host.test"),
        wire.Payload.auth(2, b"x" * 32),
        wire.Payload.selectors(wire.TSI, [(17, (53, 53), "10.0.0.0", "10.0.0.255"), (0, (0, 65535), "fd00::", "fd00::ff")]),
        wire.Payload.delete(3, [b"\0\0\1\2", b"\0\0\1\3"]),
        wire.Payload.notify("COOKIE", b"yum"),
        wire.Payload.vendor(b"ravelin"),
        wire.Payload(200, b"unknown", 0x80),
    ]
    message = wire.Message(wire.Header(1, 2, 35, wire.RESPONSE, 7), payloads)
    again = wire.decode(message.encode())
    assert again == message and again.encode() == message.encode()
    fields = [p.fields for p in again.payloads]
    assert [len(p["transforms"]) for p in fields[0]["proposals"]] == [3, 1]
    assert fields[0]["proposals"][0]["transforms"][0]["name"] == "AES_GCM_16-256"
    assert fields[3]["data"] == b"host.test" and "host.test" in str(again.payloads[3])
    assert fields[5]["selectors"][0]["addresses"] == ("10.0.0.0", "10.0.0.255")
    assert fields[6]["spis"] == [b"\0\0\1\2", b"\0\0\1\3"]
    assert again.payloads[-1].critical and "not understood" in str(again.payloads[-1])


def test_what_is_no_message_says_why():
    good = wire.Message(wire.Header(1, 0), [wire.Payload.nonce(bytes(16))]).encode()
    for bad in (b"", good[:27], good[:-1], good + b"x", good[:17] + b"\x10" + good[18:], good[:30] + b"\xff\xff" + good[32:]):
        with pytest.raises(errors.MalformedError) as caught:
            wire.decode(bad)
        assert str(caught.value)
    short = wire.Payload.nonce(bytes(3))
    assert "malformed" in str(short)
    with pytest.raises(errors.MalformedError):
        _ = short.fields


@pytest.mark.parametrize("suite", ["aes256gcm16-prfsha384-x25519", "aes128-sha256-x25519", "chacha20poly1305-prfsha256-x25519"])
def test_protected_messages_open_and_seal_with_exported_keys(ravelin_pair, suite):
    p: Pair = ravelin_pair(peer={"ike": suite})
    p.up()
    cipher = wire.IkeCipher(p.a.saw(events.IkeKeys))
    auth = next(d for d in p.network.sent if d.is_ike and d.ike[18] == 35)
    message = wire.open(auth.ike, cipher)
    assert message.protected and message.find(wire.IDI).fields["data"] == b"a.test"
    assert wire.open(message.encode(cipher), cipher) == message
    pieces = wire.seal(message, cipher, fragment=60)
    joiner, whole = wire.Reassembler(), None
    for piece in reversed(pieces):
        assert whole is None
        whole = joiner.add(wire.open(piece, cipher))
    assert len(pieces) > 2 and whole == message
    broken = bytearray(auth.ike)
    broken[-1] ^= 1
    with pytest.raises(errors.AuthenticationError):
        wire.open(bytes(broken), cipher)
    with pytest.raises(errors.InvalidArgumentError):
        message.encode()


def test_nothing_that_is_decoded_crashes():
    import random

    draw = random.Random(5)
    good = wire.Message(
        wire.Header(1, 2), [wire.Payload.sa([(1, b"", [(1, 20, 256)])]), wire.Payload.notify(5, b"x"), wire.Payload.nonce(os.urandom(20))]
    ).encode()
    for _ in range(2000):
        data = bytearray(good)
        for _ in range(draw.randrange(1, 4)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        try:
            str(wire.decode(bytes(data)))
        except errors.MalformedError:
            pass


def test_names_are_ianas():
    assert wire.name("notify", 14) == "NO_PROPOSAL_CHOSEN" and wire.number("exchange", "IKE_AUTH") == 35
    assert wire.name("ke", 65000) == "65000"
    with pytest.raises(KeyError):
        wire.number("notify", "NO_SUCH_THING")
    assert packets.addresses(packets.echo("fd00::1", "fd00::2")) == ("fd00::1", "fd00::2")
