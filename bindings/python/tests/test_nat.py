"""NAT boxes of the simulated network: ports translated, mappings that expire or are lost, several hosts behind one, boxes behind boxes."""

from __future__ import annotations

import pytest

from ravelin import Child, Config, Peer, events
from ravelin.testing import Host, Network, Pair, is_esp, packets

PUBLIC = "203.0.113.1"


def behind(p: Pair, **kind):
    return p.network.nat(PUBLIC, p.a, **kind)


def test_ports_are_translated_and_both_sides_know(ravelin_pair):
    p: Pair = ravelin_pair()
    nat = behind(p)
    p.up()
    assert p.a.saw(events.Established).nat == (True, False) and p.b.saw(events.Established).nat == (False, True)
    path = p.b.saw(events.Established).path
    assert path.remote[0] == PUBLIC and path.remote[1] >= 10_000 and path.local == ("192.0.2.2", 4500)
    assert sorted(nat.mappings().values()) == [("192.0.2.1", 500), ("192.0.2.1", 4500)]
    assert p.ping() and p.ping(back=True)
    esp = [d for d in p.network.sent if is_esp(d)]
    assert len(esp) == 2 and not any(d.bare for d in esp)
    assert {d.path.remote for d in esp if d.sender == "b"} == {path.remote}


def test_after_a_rebinding_the_peer_follows_the_first_packet(ravelin_pair):
    p = ravelin_pair()
    nat = behind(p)
    p.up()
    before = p.b.saw(events.Established).path.remote
    nat.rebind()
    with pytest.raises(AssertionError):
        p.ping(back=True)                       # the old port leads nowhere
    assert nat.blocked >= 1
    p.ping()
    assert p.network.run(5, until=lambda: p.b.saw(events.Moved))
    after = p.b.saw(events.Moved).path.remote
    assert after[0] == PUBLIC and after[1] not in (before[1], 500, 4500)
    assert p.ping(back=True)
    p.network.run(60)
    nat.rebind("203.0.113.77")                  # and another address
    p.ping()
    assert p.network.run(5, until=lambda: p.b.saw(events.Moved).path.remote[0] == "203.0.113.77")
    assert p.ping(back=True)


@pytest.mark.parametrize(("keepalive", "open_"), [(20.0, True), (0.0, False)])
def test_a_mapping_lives_by_keepalives(ravelin_pair, keepalive, open_):
    p = ravelin_pair(peer={"keepalive": keepalive, "dpd": 0.0})
    nat = behind(p, timeout=30)
    p.up()
    p.network.run(200)
    if open_:
        assert p.ping(back=True) and nat.blocked == 0
        return
    with pytest.raises(AssertionError):
        p.ping(back=True)
    assert nat.blocked == 1 and nat.mappings() == {}


def gateway(network: Network) -> Host:
    config = Config()
    config.add_pool("inner", ["10.3.0.0/28"])
    config.add_peer(Peer(
        name="guests", local_id="gw.test", remote_id="*.guest.test", psk=b"x", local="192.0.2.2", pools=["inner"],
        children=[Child(name="all", local_ts=["10.2.0.0/24"], remote_ts=[], start="none")],
    ))
    return network.host("gw", ["192.0.2.2"], config)


def guest(network: Network, name: str, address: str) -> Host:
    config = Config()
    config.add_peer(Peer(
        name="gw", local_id=f"{name}.guest.test", remote_id="gw.test", psk=b"x", local=address, remote="192.0.2.2", request_v4=True,
        children=[Child(name="all", local_ts=[], remote_ts=["10.2.0.0/24"], start="start")],
    ))
    return network.host(name, [address], config)


@pytest.mark.parametrize("symmetric", [False, True])
def test_two_hosts_behind_one_box_get_ports_of_their_own(ravelin_network, symmetric):
    network = ravelin_network()
    gw = gateway(network)
    guests = [guest(network, "one", "10.0.0.1"), guest(network, "two", "10.0.0.2")]
    network.nat(PUBLIC, *guests, symmetric=symmetric)
    for host in guests:
        host.node.start(host.now)
        network.drain(host)
    assert network.run(30, until=lambda: all(h.saw(events.ChildEstablished) for h in guests))
    paths = {e.path.remote for e in gw.events(events.Established)}
    assert len(paths) == 2 and {address for address, _ in paths} == {PUBLIC}
    inner = [h.saw(events.Assigned).settings.addresses[0].split("/")[0] for h in guests]
    for address in inner:
        gw.send(packets.echo("10.2.0.1", address))
    network.run(1)
    assert [packets.addresses(h.received()[0])[1] for h in guests] == inner


def test_a_box_behind_a_box(ravelin_pair):
    p = ravelin_pair()
    inner = p.network.nat("100.64.0.9", p.a)
    outer = p.network.nat(PUBLIC, "100.64.0.9")
    p.up()
    assert p.b.saw(events.Established).path.remote[0] == PUBLIC
    assert set(outer.mappings().values()) == {("100.64.0.9", port) for port in inner.mappings()}
    outer.rebind()
    p.ping()
    assert p.network.run(5, until=lambda: p.b.saw(events.Moved)) and p.ping(back=True)


def test_the_world_comes_in_by_a_forwarded_port_only(ravelin_two):
    p = ravelin_two({"remote": PUBLIC}, {"local": "10.9.9.9"})
    nat = p.network.nat(PUBLIC, p.b)
    p.initiate()
    assert p.network.run(300, until=lambda: p.a.saw(events.Closed)) and nat.blocked > 0
    nat.forward(500, ("10.9.9.9", 500))
    nat.forward(4500, ("10.9.9.9", 4500))
    p.up()
    assert p.a.saw(events.Established).nat == (False, True) and p.ping() and p.ping(back=True)


def test_inside_addresses_are_not_reached_and_bare_esp_does_not_pass(ravelin_pair):
    p = ravelin_pair(peer={"nat_traversal": "never"})
    nat = behind(p)
    nat.forward(500, ("192.0.2.1", 500))
    p.up()
    with pytest.raises(AssertionError):
        p.ping()
    assert nat.blocked >= 1
    before = len(p.a.outputs)
    p.network.inject(bytes(40), events.Transmit(p.b.saw(events.Established).path, b"").path._replace(remote=("192.0.2.1", 500)))
    p.network.run(1)
    assert len(p.a.outputs) == before and p.a.node.counters().malformed == 0
