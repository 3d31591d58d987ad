"""An IPsec stack in one object: IKEv2, the databases of RFC 4301 and ESP, without I/O.

`Node` swallows what the world brings (datagrams, packets, time, answers) and hands out, in one ordered queue, what it wants
from the world. It owns no socket, clock, thread or randomness of the operating system: the same seed and the same calls
give the same bytes. `ravelin.aio` gives it sockets and a clock, `ravelin.testing` a simulated network.

```python
import ravelin

config = ravelin.Config()
peer = config.add_peer(ravelin.Peer(
    name="office", local_id="gw.example.org", remote_id="office.example.org", psk=b"a long and random secret",
    local="192.0.2.1", remote="192.0.2.2",
    children=[ravelin.Child(name="net", local_ts=["10.1.0.0/24"], remote_ts=["10.2.0.0/24"])],
))
node = ravelin.Node(config)
node.initiate(peer, node.policy("office/net"), now=ravelin.Now.read())
for output in node.outputs():
    print(output)
```
"""

from . import asks, changes, errors, events, show
from ._ravelin import (
    VERSION as __version__,
    Acquiring,
    Bypass,
    Config,
    Consumed,
    Deliver,
    Discard,
    Dropped,
    IkeCipher,
    Node,
    NoSa,
    Plane,
    Sealed,
    Sent,
    Ticket,
    TooBig,
)
from .config import Child, Peer
from .errors import ConfigError, Fault, MisuseError, ProtocolError, RavelinError
from .events import Event, Output
from .values import Address, ChildId, DropReason, IkeSaId, Now, Path, PeerId, PolicyId

Ingress = Consumed | Deliver | Dropped
"""What became of what came in."""
Egress = Sent | Bypass | Discard | TooBig | Acquiring
"""What became of a packet that wants to go out."""

__all__ = [
    "Acquiring", "Address", "Bypass", "Child", "ChildId", "Config", "ConfigError", "Consumed", "Deliver", "Discard",
    "DropReason", "Dropped", "Egress", "Event", "Fault", "IkeCipher", "IkeSaId", "Ingress", "MisuseError", "NoSa",
    "Node", "Now", "Output", "Path", "Peer", "PeerId", "Plane", "PolicyId", "ProtocolError", "RavelinError", "Sealed",
    "Sent", "Ticket", "TooBig", "__version__", "asks", "changes", "errors", "events", "show",
]
