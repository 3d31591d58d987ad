"""The node: configuration, negotiation, packets, events, errors."""

from __future__ import annotations

import pytest

import ravelin
from ravelin import Child, Config, Node, Now, Path, Peer, asks, changes, errors, events
from ravelin.testing import Network, Pair, drop, is_response, packets

PATH = Path(("192.0.2.1", 500), ("192.0.2.2", 500))


def test_a_tunnel_carries_packets_both_ways(ravelin_pair):
    p: Pair = ravelin_pair()
    p.up()
    up = p.a.saw(events.Established)
    assert (up.local_id, up.remote_id, up.role) == ("a.test", "b.test", "initiator")
    child = p.a.saw(events.ChildEstablished)
    assert child.local_ts == ("10.1.0.0/24",) and child.remote_ts == ("10.2.0.0/24",)
    assert packets.addresses(p.ping()) == ("10.1.0.1", "10.2.0.1")
    assert packets.addresses(p.ping(back=True)) == ("10.2.0.1", "10.1.0.1")
    stats = p.a.node.stats(child.child)
    assert stats.outbound.packets == 1 and stats.inbound.packets == 1
    assert "IKE" not in repr(child) and repr(p.a.saw(events.IkeKeys)).count("sk_") == 0


def test_a_packet_brings_the_tunnel_up_and_is_not_lost(ravelin_pair):
    p = ravelin_pair()
    packet = packets.udp("10.1.0.7", "10.2.0.9", b"first")
    assert p.a.send(packet) == "Acquiring"
    assert p.network.run(10, until=lambda: p.b.delivered)
    assert p.b.received() == [packet]


def test_same_seed_and_same_calls_give_the_same_bytes(ravelin_pair):
    def run():
        p = ravelin_pair(loss=0.2, duplicates=0.1)
        p.up(200)
        p.a.send(packets.echo("10.1.0.1", "10.2.0.1"))
        p.network.run(60)
        return [(d.at, d.path, d.data) for d in p.network.sent]

    assert run() == run()


def test_match_statements_read_events(ravelin_pair):
    p = ravelin_pair()
    p.up()
    seen = []
    for _, output in p.a.outputs:
        match output:
            case events.Established(sa, peer, "initiator", Path((address, 500 | 4500), _)):
                seen.append((sa, address))
            case events.ChildEstablished(sa=sa, mode="tunnel"):
                seen.append(sa)
    assert seen == [(1, "192.0.2.1"), 1]
    with pytest.raises(AttributeError):
        p.a.saw(events.Established).sa = 7


def test_rekey_delete_probe_and_snapshot(ravelin_pair):
    p = ravelin_pair()
    p.up()
    node, sa = p.a.node, p.a.saw(events.Established).sa
    node.probe(sa, p.a.now)
    assert p.network.run(5, until=lambda: p.a.saw(events.Alive))
    node.rekey_child(p.a.saw(events.ChildEstablished).child, p.a.now)
    assert p.network.run(5, until=lambda: p.a.saw(events.ChildRekeyed))
    node.rekey(sa, p.a.now)
    assert p.network.run(5, until=lambda: p.a.saw(events.Rekeyed))
    new = p.a.saw(events.Rekeyed).new
    p.network.run(5)
    (shown,) = node.snapshot(p.a.now)
    assert (shown.sa, shown.state, shown.peer_name, len(shown.children)) == (new, "established", "b", 1)
    assert p.ping()
    node.delete(new, p.a.now)
    assert p.network.run(5, until=lambda: p.b.node.is_idle())
    assert p.b.saw(events.Closed).reason.kind == "PeerDeleted"
    assert node.counters().handled > 4


@pytest.mark.parametrize(
    ("change", "fault", "error"),
    [
        ({"psk": b"other"}, errors.Fault.REFUSED, errors.RefusedError),
        ({"ike": "aes128gcm16-prfsha256-ecp256"}, errors.Fault.REFUSED, errors.RefusedError),
    ],
)
def test_what_does_not_fit_ends_with_a_reason(change, fault, error):
    network = Network(3)
    hosts = {}
    for name, other, address, far, fields in (
        ("a", "b", "192.0.2.1", "192.0.2.2", {"ike": "aes256gcm16-prfsha384-x25519"}),
        ("b", "a", "192.0.2.2", "192.0.2.1", {"ike": "aes256gcm16-prfsha384-x25519", **change}),
    ):
        config = Config()
        config.add_peer(Peer(**{
            "name": other, "local_id": f"{name}.test", "remote_id": f"{other}.test", "psk": b"one", "local": address,
            "remote": far, **fields,
        }))
        hosts[name] = network.host(name, [address], config)
    hosts["a"].node.initiate(hosts["a"].node.peer("b"), now=network.now)
    # An unauthenticated refusal ends nothing at once: the tries go on (RFC 7296 section 2.21.1).
    assert network.run(200, until=lambda: hosts["a"].saw(events.Closed))
    reason = hosts["a"].saw(events.Closed).reason
    assert reason.fault is fault and reason.text
    assert isinstance(reason.error(), error) and str(reason.error()) == reason.text


def test_silence_ends_in_a_timeout(ravelin_pair):
    p = ravelin_pair()
    p.network.hook(drop(is_response("IKE_SA_INIT")))
    p.initiate()
    assert p.network.run(1000, until=lambda: p.a.saw(events.Closed))
    assert isinstance(p.a.saw(events.Closed).reason.error(), TimeoutError)


def test_misuse_is_an_exception_with_the_number_that_c_has():
    config = Config()
    peer = config.add_peer(Peer(name="x", local_id="a", psk=b"x"))
    node = Node(config)
    cases = [
        (lambda: node.initiate(99, now=0), errors.UnknownPeerError, 18),
        (lambda: node.initiate(peer, 5, now=0), errors.UnknownPolicyError, 19),
        (lambda: node.initiate(peer, now=0), errors.NoRemoteAddressError, 20),
        (lambda: node.delete(1, 0), errors.UnknownSaError, 16),
        (lambda: node.delete_child(1, 0), errors.UnknownChildError, 17),
        (lambda: node.handle_datagram(b"", (("x", 1), ("192.0.2.1", 1)), 0), errors.InvalidArgumentError, 2),
        (lambda: Node(config, b"short"), errors.InvalidArgumentError, 2),
        (lambda: config.add_peer(Peer(name="y", local_id="a", psk=b"")), errors.ConfigError, 3),
        (lambda: config.add_peer(Peer(name="y", local_id="a", psk=b"x", ike="rot13")), errors.ConfigError, 3),
        (lambda: config.add_peer(Peer(name="x", local_id="a", psk=b"x")), errors.ConfigError, 3),
    ]
    for call, error, code in cases:
        with pytest.raises(error) as caught:
            call()
        assert caught.value.code == code and str(caught.value)
        assert isinstance(caught.value, errors.RavelinError)
    with pytest.raises(TypeError):
        Config(no_such_setting=1)


TOML = """
[[peer]]
name = "b"
local = "192.0.2.1"
remote = "192.0.2.2"
local_id = "a.test"
remote_id = "b.test"
psk = "secret"

[[peer.child]]
name = "net"
local_ts = "10.1.0.0/24"
remote_ts = "10.2.0.0/24"
"""


def test_a_configuration_in_toml_meets_one_of_builders(ravelin_pair):
    p = ravelin_pair()
    a = p.network.host("toml", ["192.0.2.1"], Config.from_toml(TOML, export_keys=True))
    a.node.initiate(a.node.peer("b"), a.node.policy("b/net"), now=a.now)
    assert p.network.run(10, until=lambda: a.saw(events.ChildEstablished))
    assert a.saw(events.IkeKeys)
    with pytest.raises(errors.ConfigError, match=r"x.toml:8:7: peer\[0\].psk: expected a secret"):
        Config.from_toml(TOML.replace('"secret"', "17"), name="x.toml")


def test_what_is_refused_half_way_leaves_nothing_behind():
    config = Config()
    bad = Child(name="bad", local_ts=["10.0.0.0/99"], remote_ts=["10.2.0.0/24"])
    with pytest.raises(errors.InvalidArgumentError):
        config.add_peer(Peer(name="x", local_id="a", psk=b"x", children=[bad]))
    assert "0 peers and 0 policies" in repr(config)


def test_network_input_never_raises():
    node = Node(Config(), bytes(32))
    for length in range(0, 600, 7):
        for port in (500, 4500):
            path = Path(("192.0.2.1", port), ("192.0.2.2", port))
            node.handle_datagram(bytes(i * 37 & 255 for i in range(length)), path, Now(1))
    assert all(isinstance(o, events.Transmit) for o in node.outputs())


def test_any_buffer_is_taken_and_into_twins_write_where_they_are_told(ravelin_pair):
    p = ravelin_pair()
    p.up()
    packet = packets.udp("10.1.0.1", "10.2.0.1", b"x" * 500)
    sealed = bytearray(2000)
    sent = p.a.node.handle_packet_into(memoryview(packet), p.a.now, memoryview(sealed)[100:])
    assert sent > len(packet) and sealed[:100] == bytes(100)
    path = p.network.sent[-1].path if p.network.sent[-1].bare else Path(("192.0.2.1", 4500), ("192.0.2.2", 4500))
    opened = bytearray(2000)
    esp = sealed[100:100 + sent]
    result = p.b.node.handle_datagram_into(bytes(esp), Path(("192.0.2.2", 4500), ("192.0.2.1", 4500)), p.b.now, opened)
    assert bytes(opened[:result]) == packet, path
    again = p.b.node.handle_datagram_into(esp, Path(("192.0.2.2", 4500), ("192.0.2.1", 4500)), p.b.now, opened)
    assert ravelin.DropReason(-1 - again) is ravelin.DropReason.REPLAY
    with pytest.raises(errors.BufferTooSmallError):
        p.a.node.handle_packet_into(packet, p.a.now, bytearray(10))
    with pytest.raises((errors.InvalidArgumentError, BufferError)):
        p.a.node.handle_packet_into(packet, p.a.now, bytes(2000))


def test_secrets_are_asked_for(ravelin_pair):
    p = ravelin_pair(a={"asks": True}, b={"asks": True}, peer={"psk": None})
    asked = []
    for host in (p.a, p.b):
        def answer(output, host=host):
            if isinstance(output, asks.SharedSecret):
                asked.append((output.local, output.remote))
                host.node.answer(output.ticket, asks.Secret(b"from elsewhere"), host.now)
                with pytest.raises(errors.UnknownTicketError):
                    host.node.answer(output.ticket, asks.Secret(b"again"), host.now)
        host.on_output = answer
    p.up()
    assert ("a.test", "b.test") in asked and ("b.test", "a.test") in asked
    assert p.ping()


def test_a_refused_ask_ends_the_attempt(ravelin_pair):
    p = ravelin_pair(a={"asks": True}, peer={"psk": None})

    def answer(output):
        if isinstance(output, asks.SharedSecret):
            p.a.node.answer(output.ticket, asks.Refused("the vault is closed"), p.a.now)

    p.a.on_output = answer
    p.initiate()
    assert p.network.run(60, until=lambda: p.a.saw(events.Closed))
    assert "the vault is closed" in p.a.saw(events.Closed).reason.text


def test_an_external_plane_is_programmed_and_reports(ravelin_pair):
    p = ravelin_pair(a={"data_plane": "external"})
    plane, order = ravelin.Plane(bytes(32)), []

    def carry_out(output):
        if isinstance(output, (changes.InstallInbound, changes.InstallOutbound, changes.Switch, changes.Remove)):
            order.append(type(output).__name__)
            plane.apply(output, p.a.now)

    p.a.on_output = carry_out
    p.up()
    assert order[:2] == ["InstallInbound", "InstallOutbound"]
    child = p.a.saw(events.ChildEstablished).child
    sent = plane.egress(packets.echo("10.1.0.1", "10.2.0.1"), child, p.a.now)
    (sealed,) = sent.packets
    p.network.put(p.a, sealed)
    assert p.network.run(2, until=lambda: p.b.delivered)
    p.a.node.handle_report(changes.SoftExpired(child), p.a.now)
    assert p.network.run(5, until=lambda: p.a.saw(events.ChildRekeyed)), "a soft limit leads to a rekey"
    with pytest.raises(errors.InvalidArgumentError):
        p.a.node.handle_report(object(), p.a.now)


def test_policies_besides_children():
    config = Config()
    config.add_policy("dns", ["0.0.0.0/0"], ["192.0.2.53[udp/53]"], "bypass")
    config.add_policy("rest", ["0.0.0.0/0"], ["0.0.0.0/0"], "discard")
    node = Node(config, bytes(32))
    assert isinstance(node.handle_packet(packets.udp("10.0.0.1", "192.0.2.53", dport=53), 0), ravelin.Bypass)
    match node.handle_packet(packets.udp("10.0.0.1", "192.0.2.54", dport=53), 0):
        case ravelin.Discard(reason):
            assert reason is ravelin.DropReason.POLICY_DISCARD and reason.text
        case other:
            raise AssertionError(other)
    assert "dns" in node.explain(packets.udp("10.0.0.1", "192.0.2.53", dport=53))


def test_threads_take_turns(ravelin_pair):
    from concurrent.futures import ThreadPoolExecutor

    p = ravelin_pair()
    p.up()
    packet = packets.udp("10.1.0.1", "10.2.0.1", b"x")
    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(lambda _: p.a.node.handle_packet(packet, p.a.now).packets[0].data, range(200)))
    assert len({int.from_bytes(s[4:8], "big") for s in sent}) == 200, "sequence numbers are unique"
