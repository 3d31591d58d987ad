"""Databases that outlive the program."""

from __future__ import annotations

import json

import pytest

from ravelin import Child, Config, Node, Peer, errors, events
from ravelin.testing import Pair


def again(p: Pair, **kind) -> Config:
    return Config.restore(p.b.node.save(**kind), export_keys=True)


def test_a_saved_node_comes_back_with_its_peers_secrets_and_leases(ravelin_two):
    p = ravelin_two(
        {"request_v4": True, "children": [Child(name="net", local_ts=[], remote_ts=["10.2.0.0/24"], start="none")]},
        {"pools": ["guests"], "children": [Child(name="net", local_ts=["10.2.0.0/24"], remote_ts=[], start="none")]},
        pools={"b": ("guests", ["10.3.0.0/24"], [])},
    )
    p.up()
    (leased,) = p.b.saw(events.Leased).addresses
    config = again(p, secrets=True)
    assert config.peer("a") == p.b.node.peer("a")
    # Both in place of those before, which are gone without a word.
    a = p.network.host("a", ["192.0.2.1"], Config.restore(p.a.node.save(secrets=True)))
    back = p.network.host("b", ["192.0.2.2"], config)
    assert back.node.policy("a/net") == p.b.node.policy("a/net")
    a.node.initiate(a.node.peer("b"), a.node.policy("b/net"), now=a.now)
    assert p.network.run(30, until=lambda: back.saw(events.ChildEstablished))
    assert back.saw(events.Leased).addresses == (leased,)


def test_secrets_are_saved_on_request_only(ravelin_pair):
    p = ravelin_pair(peer={"psk": b"Tr0ub4dor"})
    public, all_ = p.b.node.save(), p.b.node.save(secrets=True)
    assert json.loads(public)["pad"]["secrets"] is None and json.loads(all_)["pad"]["secrets"]["psks"]
    for word in (b"Tr0ub4dor".decode(), b"Tr0ub4dor".hex()):
        assert word not in public
    p.network.host("b", ["192.0.2.2"], again(p))
    p.initiate()
    assert p.network.run(300, until=lambda: p.a.saw(events.Closed)) and not p.a.saw(events.Established)


def test_what_does_not_fit_is_refused(ravelin_pair):
    text = ravelin_pair().a.node.save()
    for wrong in ("", "{}", text[:-1], text.replace('"version":1', '"version":999')):
        with pytest.raises(errors.ConfigError) as caught:
            Config.restore(wrong)
        assert str(caught.value)
    with pytest.raises(TypeError):
        Config.restore(text, no_such_setting=1)
    config = Config.restore(text)
    config.add_peer(Peer(name="new", local_id="a", psk=b"x"))
    assert Node(config).peer("new") not in (None, Node(config).peer("b"))


def test_a_running_node_takes_another_configuration(ravelin_pair):
    p = ravelin_pair()
    p.up()
    same = again(p, secrets=True)
    done = p.b.node.reload(same, p.b.now)
    assert (done.added, done.changed, done.removed, done.notes, done.deleting) == ((), (), (), (), ())
    same.add_peer(Peer(
        name="c", local_id="b", local="192.0.2.2", remote="192.0.2.3", psk=b"of c", children=[Child(name="more", local_ts=["10.2.0.0/16"], remote_ts=["10.9.0.0/16"])],
    ))
    done = p.b.node.reload(same, p.b.now)
    assert done.added == ("c", "c/more") and p.b.node.peer("c") is not None and not done.removed
    assert len(p.b.node.snapshot(p.b.now)) == 1
    done = p.b.node.reload(Config(), p.b.now)
    assert set(done.removed) >= {"a", "c"} and p.b.node.peer("a") is None
    assert p.network.run(30, until=lambda: p.a.saw(events.Closed))
