"""Pairs whose sides differ."""

from __future__ import annotations

import pytest

from ravelin import Child, Config, Peer
from ravelin.testing import Pair


@pytest.fixture
def ravelin_two(ravelin_network):
    """`ravelin_two(a, b)`: as `ravelin_pair`, with fields of the peer for each side; `settings` for both, `pools` by side."""

    def make(a, b, *, settings=None, pools=None) -> Pair:
        network = ravelin_network()
        sides = {"a": ("192.0.2.1", "10.1.0.0/24", a), "b": ("192.0.2.2", "10.2.0.0/24", b)}
        hosts = {}
        for name, other in (("a", "b"), ("b", "a")):
            (address, inside, fields), (far, beyond, _) = sides[name], sides[other]
            config = Config(export_keys=True, **(settings or {}))
            if name in (pools or {}):
                pool, ranges, dns = pools[name]
                config.add_pool(pool, ranges, dns=dns)
            net = Child(name="net", local_ts=[inside], remote_ts=[beyond])
            identity = {"local_id": f"{name}.test", "remote_id": f"{other}.test", "psk": b"secret"}
            config.add_peer(Peer(**{"name": other, **identity, "local": address, "remote": far, "children": [net], **fields}))
            hosts[name] = network.host(name, [fields.get("local", address)], config)
        return Pair(network, hosts["a"], hosts["b"], hosts["a"].node.policy("b/net"))

    return make
