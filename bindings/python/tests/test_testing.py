"""The harness: hooks, scripted peers, key logs, captures."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path as File

import pytest

from ravelin import Child, Config, Node, Path, Peer, capture, events, keylog, wire
from ravelin.testing import (
    Fate, Network, ScriptedPeer, corrupt, delay, drop, duplicate, is_esp, is_request, is_response, on, replay, rewrite, scripts,
)


def test_dropped_messages_are_sent_again(ravelin_pair):
    p = ravelin_pair()
    p.network.hook(drop(is_response("IKE_AUTH"), times=2))
    p.up(60)
    requests = [d for d in p.network.sent if is_request("IKE_AUTH")(d)]
    assert len(requests) == 3 and len({d.data for d in requests}) == 1


def test_duplicates_and_replays_are_delivered_once(ravelin_pair):
    p = ravelin_pair()
    p.network.hook(duplicate(is_esp))
    p.network.hook(replay(is_request(), 0.5))
    p.up()
    p.ping()
    p.network.run(3)
    assert len(p.b.delivered) == 1 and p.b.dropped == [4]
    assert p.b.node.counters().repeated >= 1


def test_corrupt_and_delayed(ravelin_pair):
    p = ravelin_pair()
    p.network.hook(corrupt(is_request("IKE_AUTH"), times=1))
    p.network.hook(delay(is_response("IKE_AUTH"), 1.5, times=1))
    p.up(60)
    assert p.b.node.counters().not_authentic == 1


def test_a_decrypted_message_is_rewritten(ravelin_pair):
    seen = []

    def change(message: wire.Message) -> wire.Message:
        seen.append(message.find(wire.IDI).fields["data"])
        message.payloads.append(wire.Payload.notify(40_000, b"from the hook"))
        return message

    p = ravelin_pair()
    p.network.hook(rewrite(change, is_request("IKE_AUTH", sender="a")))
    p.up()
    assert seen == [b"a.test"] and p.ping()


def test_a_hook_may_put_other_messages_in_its_place(ravelin_pair):
    p = ravelin_pair()

    def twice(datagram):
        message, cipher = datagram.opened()
        message.payloads = [x for x in message.payloads if x.kind != wire.AUTH]
        forged = datagram.with_ike(message.encode(cipher))
        return Fate.only(forged)

    p.network.hook(on(is_request("IKE_AUTH"), twice))
    p.initiate()
    assert p.network.run(200, until=lambda: p.a.saw(events.Closed))
    assert not p.b.saw(events.Established)


def responder(network: Network, cookies="never"):
    config = Config(cookies=cookies)
    config.add_peer(Peer(name="any", local_id="b.test", remote_id="%any", psk=b"x", local="192.0.2.2", children=[Child(name="net", local_ts=["10.2.0.0/24"], remote_ts=["10.1.0.0/24"])]))
    return network.host("responder", ["192.0.2.2"], config)


def attacker() -> Config:
    config = Config(export_keys=True, retransmit_timeout=1)
    config.add_peer(Peer(name="b", local_id="m.test", remote_id="b.test", psk=b"x", local="192.0.2.66", remote="192.0.2.2", fragmentation=False,
        children=[Child(name="net", local_ts=["10.1.0.0/24"], remote_ts=["10.2.0.0/24"])]))
    return config


@pytest.mark.parametrize("script", scripts.SCRIPTS, ids=str)
def test_scripted_peers_find_our_responder_sound(script, ravelin_network):
    network = ravelin_network()
    responder(network)
    peer = ScriptedPeer.simulated(network, "m", "192.0.2.66", attacker)
    script(peer)


def test_scripts_notice_a_responder_that_is_not_sound(ravelin_network):
    network = ravelin_network()
    host = responder(network)
    found = {s.name: s for s in scripts.SCRIPTS}
    peer = ScriptedPeer.simulated(network, "m", "192.0.2.66", attacker)
    host.node.shutdown(host.now)
    with pytest.raises(AssertionError):
        found["unknown_payload"](peer)


def test_a_capture_and_its_keys_are_read_back(ravelin_pair, tmp_path: File):
    p = ravelin_pair(peer={"ike": "aes128gcm16-prfsha256-x25519"}, child={"esp": "aes128-sha256"})
    p.up()
    p.ping()
    p.network.save(tmp_path)
    keys = keylog.read(tmp_path)
    assert keys.ike[0].sk_ei == p.a.saw(events.IkeKeys).sk_ei and len(keys.esp) == 4
    cipher = wire.IkeCipher(keys.ike[0])
    opened = [wire.open(c.data[4:], cipher) for c in capture.read(tmp_path / "capture.pcap") if not c.bare and c.path.local[1] == 4500]
    assert any(m.find(wire.IDR) for m in opened)
    assert (tmp_path / keylog.IKE_TABLE).stat().st_mode & 0o77 == 0


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_wireshark_decrypts_a_capture_with_the_key_log(ravelin_pair, tmp_path: File):
    p = ravelin_pair(peer={"ike": "aes128gcm16-prfsha256-x25519"})
    p.up()
    p.network.save(tmp_path)
    out = subprocess.run(
        ["tshark", "-r", str(tmp_path / "capture.pcap"), "-V"], env={"WIRESHARK_CONFIG_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout
    assert "Identification - Initiator" in out and "a.test" in out


def test_a_node_without_a_seed_draws_one():
    config = Config()
    config.add_peer(Peer(name="b", local_id="a", psk=b"x", local="192.0.2.1", remote="192.0.2.2"))
    spis = set()
    for _ in range(4):
        node = Node(config)
        node.initiate(1, now=0)
        spis.add(node.outputs()[0].data[:8])
    assert len(spis) == 4
    assert Path(("a", 1), ("b", 2)).reverse() == Path(("b", 2), ("a", 1))
