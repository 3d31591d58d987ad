"""Two hosts with a tunnel between their networks: what most tests start from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import events
from .._ravelin import Config
from ..config import Child, Peer
from ..values import IkeSaId, PolicyId
from . import packets
from .network import Host, Network

__all__ = ["Pair", "pair"]


class Pair:
    """Host `a` (192.0.2.1, 10.1.0.0/24 behind it) initiates to `b` (192.0.2.2, 10.2.0.0/24)."""

    def __init__(self, network: Network, a: Host, b: Host, policy: PolicyId) -> None:
        self.network, self.a, self.b, self.policy = network, a, b, policy

    def initiate(self) -> IkeSaId:
        """Begins; `network.run` goes on."""
        peer = self.a.node.peer("b")
        assert peer is not None
        sa = self.a.node.initiate(peer, self.policy, now=self.a.now)
        self.network.drain(self.a)
        return sa

    def up(self, seconds: float = 30) -> None:
        """Brings the tunnel up; fails when it does not come."""
        self.initiate()
        both = lambda: self.a.saw(events.ChildEstablished) and self.b.saw(events.ChildEstablished)  # noqa: E731
        if not self.network.run(seconds, until=both):
            said = [o for h in (self.a, self.b) for _, o in h.outputs]
            raise AssertionError(f"no tunnel in {self.network!r}: {said}")

    def ping(self, *, back: bool = False) -> bytes:
        """Sends one inner packet and gives it as it came out on the other side; fails when it does not."""
        ends = [(self.a, "10.1.0.1"), (self.b, "10.2.0.1")]
        (host, source), (other, destination) = reversed(ends) if back else ends
        packet, before = packets.echo(source, destination), len(other.delivered)
        host.send(packet)
        if not self.network.run(5, until=lambda: len(other.delivered) > before):
            raise AssertionError(f"the packet was lost in {self.network!r}")
        return other.delivered[-1].packet


def pair(
    seed: int = 1,
    *,
    a: Mapping[str, Any] | None = None,
    b: Mapping[str, Any] | None = None,
    peer: Mapping[str, Any] | None = None,
    child: Mapping[str, Any] | None = None,
    **network: Any,
) -> Pair:
    """Two hosts. `a`, `b`: settings of each side's `Config`; `peer`, `child`: fields for both sides; the rest is for the
    `Network`. Keys are exported."""
    net = Network(seed, **network)
    sides = {"a": ("192.0.2.1", "10.1.0.0/24", a), "b": ("192.0.2.2", "10.2.0.0/24", b)}
    hosts, policy = {}, PolicyId(0)
    for name, other in (("a", "b"), ("b", "a")):
        (address, inside, settings), (far, beyond, _) = sides[name], sides[other]
        config = Config(**{"export_keys": True, **(settings or {})})
        tunnel = Child(**{"name": "net", "local_ts": [inside], "remote_ts": [beyond], **(child or {})})
        identity: dict[str, Any] = {"local_id": f"{name}.test", "remote_id": f"{other}.test", "psk": b"secret"}
        places = {"local": address, "remote": far, "children": [tunnel]}
        config.add_peer(Peer(**{"name": other, **identity, **places, **(peer or {})}))
        hosts[name] = net.host(name, [address], config)
        if name == "a":
            found = hosts[name].node.policy("b/net")
            assert found is not None
            policy = found
    return Pair(net, hosts["a"], hosts["b"], policy)
