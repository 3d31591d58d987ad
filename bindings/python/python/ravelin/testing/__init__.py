"""For test harnesses: a simulated network with virtual time and NAT boxes, hooks on every message (also a decrypted one), scripted
peers.

```python
net = testing.Network(seed=7)
a = net.host("a", ["192.0.2.1"], config_a)
b = net.host("b", ["192.0.2.2"], config_b)
net.hook(testing.rewrite(b"...", when=testing.is_request("IKE_AUTH")))
a.node.initiate(peer, policy, now=a.now)
net.run(seconds=10)
assert a.saw(events.Established)
```

Nothing here reads a clock or owns a socket, except `Live`, which drives a real peer by UDP.
"""

from .hooks import (
    Datagram,
    Fate,
    Hook,
    corrupt,
    delay,
    drop,
    duplicate,
    is_esp,
    is_ike,
    is_request,
    is_response,
    on,
    replay,
    rewrite,
)
from .keys import KeyRing
from .live import Live
from .nat import Nat
from .network import Host, Network
from .pair import Pair, pair
from .scripts import Script, ScriptedPeer
from . import packets, scripts

__all__ = [
    "Datagram", "Fate", "Hook", "Host", "KeyRing", "Live", "Nat", "Network", "Pair", "Script", "ScriptedPeer", "corrupt",
    "delay", "drop", "duplicate", "is_esp", "is_ike", "is_request", "is_response", "on", "packets", "pair", "replay",
    "rewrite", "scripts",
]
