"""Scripted malicious peers against a responder that is given by address, as pytest:

    pytest examples/python/test_responder.py --responder 192.0.2.1 --from 192.0.2.9 --psk SECRET \\
        --id attacker.test --responder-id gw.example.org --local-ts 10.9.0.0/24 --remote-ts 10.1.0.0/24

Each script misbehaves in one way, says what a sound responder does, and then makes sure that a good peer still gets in. Ours must
be among the peers that the responder lets in. Without --responder the scripts run against our own responder, simulated.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ravelin import Child, Config, Peer
from ravelin.testing import Network, ScriptedPeer, scripts


@pytest.fixture
def peer(request: pytest.FixtureRequest) -> Iterator[ScriptedPeer]:
    option = request.config.getoption
    ours, theirs = option("--from"), option("--responder")

    def make() -> Config:
        config = Config(
            export_keys=True, retransmit_timeout=1, retransmit_tries=3, ike_port=option("--from-port"),
            nat_port=option("--from-nat-port"), remote_nat_port=option("--responder-nat-port"),
        )
        child = Child(name="net", local_ts=[option("--local-ts")], remote_ts=[option("--remote-ts")])
        config.add_peer(Peer(
            name="responder", local_id=option("--id"), remote_id=option("--responder-id"), psk=option("--psk").encode(),
            local=ours or "192.0.2.9", remote=theirs or "192.0.2.1", remote_port=option("--responder-port"),
            children=[child], fragmentation=False,
        ))
        return config

    if theirs:
        made = ScriptedPeer.live(make, ours, ike_port=option("--from-port"), nat_port=option("--from-nat-port"))
    else:
        network = Network(1)
        good = Config()
        child = Child(name="net", local_ts=[option("--remote-ts")], remote_ts=[option("--local-ts")])
        good.add_peer(Peer(
            name="any", local_id=option("--responder-id"), psk=option("--psk").encode(), local="192.0.2.1", children=[child],
        ))
        network.host("responder", ["192.0.2.1"], good)
        made = ScriptedPeer.simulated(network, "attacker", "192.0.2.9", make)
    yield made
    made.close()


@pytest.mark.parametrize("script", scripts.SCRIPTS, ids=str)
def test_a_sound_responder(script: scripts.Script, peer: ScriptedPeer) -> None:
    script(peer)
