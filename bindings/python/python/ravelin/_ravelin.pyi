"""The native half of `ravelin`."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, final

from typing_extensions import Buffer

from .asks import Answer
from .changes import Change, Report, SaParams
from .config import Child, Peer
from .events import IkeKeys, Output
from .show import ChildStats, Counters, IkeSa, Reload
from .values import Address, ChildId, DropReason, Encapsulation, IkeSaId, Path, PeerId, PolicyId

__all__ = [
    "VERSION", "Acquiring", "Bypass", "Config", "Consumed", "Deliver", "Discard", "Dropped", "IkeCipher", "NoSa", "Node",
    "Plane", "Sealed", "Sent", "Ticket", "TooBig", "algorithms", "describe", "drop_reasons", "esp_line", "fields",
    "ike_line", "names", "statuses", "walk",
]

VERSION: str

_Now: TypeAlias = tuple[int, int] | int
_Path: TypeAlias = tuple[Address, Address]
_Provider: TypeAlias = Literal["fast", "portable", "fast+legacy", "portable+legacy"]

@final
class Config:
    """What a node is told: settings by keyword, then peers, policies and pools. Nodes take a copy.

    Times are seconds. `provider`: "fast" is aws-lc over the portable one; "+legacy" adds what old peers need.
    `asks`: the program answers what the configuration does not hold (`ravelin.asks`).
    """

    def __new__(
        cls,
        *,
        ike_port: int = 500,
        nat_port: int = 4500,
        remote_nat_port: int = 4500,
        export_keys: bool = False,
        asks: bool = False,
        ask_timeout: float = 20,
        cookies: int | Literal["never", "always"] = 64,
        retransmit_timeout: float = 4,
        retransmit_tries: int = 5,
        retransmit_base: float = 1.8,
        half_open_max: int = 4096,
        half_open_per_source: int = 64,
        half_open_lifetime: float = 30,
        max_sas: int = 1_000_000,
        max_children: int = 64,
        fragment_size: int = 1280,
        window: int = 1,
        prefer_own: bool = True,
        make_before_break: bool = True,
        application_version: str = "",
        data_plane: Literal["inline", "external"] = "inline",
        tfc_min: int = 0,
        mss_clamp: int = 0,
        provider: _Provider = "fast",
    ) -> Config: ...
    @staticmethod
    def from_toml(text: str, *, folder: str = ".", name: str = "config.toml", **settings: Any) -> Config:
        """Reads a configuration in TOML, in the form of the gateway's (docs/gateway.md). Files that it names are relative
        to `folder`; `name` is what errors call it. Settings by keyword come on top. Raises ConfigError with line, key,
        what was expected and what was found."""
    @staticmethod
    def restore(text: str, **settings: Any) -> Config:
        """Takes the databases that `Node.save` wrote, with the same ids and leases; settings are by keyword. Private keys come
        not back: signatures are asked for (`asks.Sign`). Raises ConfigError when something does not fit."""
    def peer(self, name: str) -> PeerId | None:
        """The id of a peer by its name."""
    def add_peer(self, peer: Peer) -> PeerId:
        """Adds a peer with its children. Raises ConfigError and adds nothing when something is not acceptable."""
    def add_child(self, peer: int, child: Child) -> PolicyId:
        """Adds a child of a peer; gives the id of its policy."""
    def add_policy(
        self,
        name: str,
        local: Sequence[str],
        remote: Sequence[str],
        action: Literal["bypass", "discard"],
        *,
        priority: int | None = None,
    ) -> PolicyId:
        """Adds a policy that lets traffic pass in the clear or drops it. Lower priorities come first; None: the more
        specific first."""
    def add_pool(self, name: str, ranges: Sequence[str], *, dns: Sequence[str] = ...) -> None:
        """Adds a pool of inner addresses for peers that ask, from ranges such as "10.3.0.0/24"."""

@final
class Node:
    """An IPsec host without I/O. Any thread may call; calls take turns and do not hold the interpreter lock while the
    node works. `seed`: 32 octets; the same seed and the same calls give the same bytes. None: from the system.

    `now` is a `Now`, or microseconds alone when wall time does not matter.
    """

    def __new__(cls, config: Config, seed: Buffer | None = None) -> Node: ...
    def handle_datagram(self, data: Buffer, path: _Path, now: _Now) -> Consumed | Deliver | Dropped:
        """Takes a UDP payload that came on `path`: IKE, ESP or a keepalive."""
    def handle_datagram_into(self, data: Buffer, path: _Path, now: _Now, out: Buffer) -> int:
        """As `handle_datagram`; an inner packet goes to `out`. Gives its length; 0: consumed; below 0: -1 minus the
        number of the drop reason."""
    def handle_datagrams_into(
        self, data: Buffer, lengths: Buffer, path: _Path, now: _Now, out: Buffer, out_lengths: Buffer
    ) -> int:
        """Takes many UDP payloads that came on one path and lie one after another in `data`, their lengths in
        `lengths` (array("I")). Inner packets go to `out` in the same form, 0 in `out_lengths` where there is none.
        Gives the octets written."""
    def handle_esp(
        self, data: Buffer, path: _Path, now: _Now, traffic_class: int = 0, hop_limit: int = 0
    ) -> Consumed | Deliver | Dropped:
        """Takes an ESP packet from a raw socket, from the SPI on, with what the outer header said."""
    def handle_packet(self, packet: Buffer, now: _Now) -> Sent | Bypass | Discard | TooBig | Acquiring:
        """Takes an IP packet that wants to go out: the SPD says what happens to it."""
    def handle_packet_into(self, packet: Buffer, now: _Now, out: Buffer) -> int:
        """As `handle_packet`; what is to be sent goes to `out`. Gives its length, 0 when there is nothing to send."""
    def handle_packets_into(
        self, data: Buffer, lengths: Buffer, now: _Now, out: Buffer, out_lengths: Buffer
    ) -> int:
        """Takes many IP packets, in the form of `handle_datagrams_into`."""
    def handle_timeout(self, now: _Now) -> None:
        """Does everything whose time has come."""
    def handle_report(self, report: Report, now: _Now) -> None:
        """Takes what an external data plane saw."""
    def answer(self, ticket: Ticket, answer: Answer, now: _Now) -> None:
        """Takes the answer to a question. Raises UnknownTicketError or NotAllowedError."""
    def initiate(self, peer: int, policy: int | None = None, *, now: _Now) -> IkeSaId:
        """Brings up an IKE SA with a peer, and a Child SA for `policy` if given."""
    def delete(self, sa: int, now: _Now) -> None:
        """Deletes an IKE SA with its Child SAs, telling the peer."""
    def delete_child(self, child: int, now: _Now) -> None:
        """Deletes a Child SA, telling the peer."""
    def rekey(self, sa: int, now: _Now) -> None:
        """Rekeys an IKE SA; its Child SAs live on in the new one."""
    def rekey_child(self, child: int, now: _Now) -> None:
        """Rekeys a Child SA."""
    def reauth(self, sa: int, now: _Now) -> None:
        """Authenticates anew: a new IKE SA with the same Child SAs takes the place of this one."""
    def probe(self, sa: int, now: _Now) -> None:
        """Asks whether a peer is alive; the answer is `events.Alive`, or `events.Closed`."""
    def start(self, now: _Now) -> None:
        """Begins everything whose policy says so (`Child(start="start")`)."""
    def roam(self, sa: int, path: _Path, now: _Now) -> None:
        """Moves an IKE SA and its Child SAs to another path (MOBIKE)."""
    def set_addresses(self, addresses: Sequence[str], now: _Now) -> None:
        """Says which addresses this host has, the best first."""
    def shutdown(self, now: _Now) -> None:
        """Deletes everything and takes nothing new; done when `is_idle`."""
    def is_idle(self) -> bool:
        """True when no IKE SA is left."""
    def poll_output(self) -> Output | None:
        """The oldest output, or None."""
    def outputs(self) -> list[Output]:
        """All outputs that wait, oldest first."""
    def deadline(self) -> int | None:
        """When to call `handle_timeout` next, in microseconds; 0 while output waits; None: nothing to do."""
    def deadline_reason(self) -> str | None:
        """Why there is a deadline, in a word such as "retransmit"."""
    def snapshot(self, now: _Now) -> list[IkeSa]:
        """Every IKE SA with its Child SAs, oldest first."""
    def save(self, *, secrets: bool = False) -> str:
        """The databases as they are now (peers, policies, pools with their leases) as JSON for `Config.restore`. With
        `secrets` also pre-shared keys and passwords: to be kept like them. Never private keys, never SAs."""
    def reload(self, config: Config, now: _Now) -> Reload:
        """Makes the databases of this node those of `config`: what is new is added, what is gone is deleted with its SAs,
        what changed holds for SAs to come. Peers, policies and pools are told apart by name and keep ids and leases;
        ports and other settings stay. `start` begins what is to be up at once."""
    def stats(self, child: int) -> ChildStats | None:
        """Counters of a Child SA in the inline plane."""
    def counters(self) -> Counters:
        """Counters of what came in."""
    @property
    def plane(self) -> Plane:
        """The inline data plane."""
    def peer(self, name: str) -> PeerId | None:
        """The id of a peer by its name."""
    def policy(self, name: str) -> PolicyId | None:
        """The id of a policy by its name; that of a child is PEER/CHILD."""
    def explain(self, packet: Buffer) -> str:
        """What the SPD does with an outbound packet, and why, in words."""

@final
class Plane:
    """The ESP plane alone: SAs with manual keys, no IKE. Any number of threads may use it at once; bursts do not hold
    the interpreter lock. `seed`: 32 secret octets, mixed into unpredictable IVs."""

    def __new__(cls, seed: Buffer | None = None, *, provider: _Provider = "fast") -> Plane: ...
    def apply(self, change: Change, now: _Now) -> None:
        """Takes one change (`ravelin.changes`). Raises PlaneError, UnknownChildError or NotAllowedError when the
        plane refuses it."""
    def ingress(self, data: Buffer, path: _Path, now: _Now) -> Deliver | Dropped:
        """Opens one ESP packet, from the SPI on."""
    def egress(self, packet: Buffer, child: int, now: _Now) -> Sent | Discard | TooBig | NoSa:
        """Seals one IP packet on a Child SA."""
    def ingress_into(self, data: Buffer, path: _Path, now: _Now, out: Buffer) -> int:
        """Opens one ESP packet into `out`; gives the length of the inner packet, 0 when it was dropped."""
    def egress_into(self, packet: Buffer, child: int, now: _Now, out: Buffer) -> int:
        """Seals one IP packet into `out`; gives the length of what is to be sent, 0 when there is nothing."""
    def ingress_burst_into(
        self, data: Buffer, lengths: Buffer, path: _Path, now: _Now, out: Buffer, out_lengths: Buffer
    ) -> int:
        """Opens many ESP packets that came on one path and lie one after another in `data`, their lengths in
        `lengths` (array("I")). Inner packets go to `out` in the same form, 0 in `out_lengths` for what was dropped.
        Gives the octets written."""
    def egress_burst_into(
        self, data: Buffer, lengths: Buffer, child: int, now: _Now, out: Buffer, out_lengths: Buffer
    ) -> int:
        """Seals many IP packets on a Child SA, in the same form."""
    def poll_report(self) -> Report | None:
        """The oldest report, or None."""
    def stats(self, child: int) -> ChildStats | None:
        """Counters of a Child SA."""
    def drops(self) -> dict[DropReason, int]:
        """Drops of the whole plane by cause."""
    def handle_timeout(self, now: _Now) -> None:
        """Reports SAs that have been idle for their limit."""
    def deadline(self) -> int | None:
        """The earliest idle limit in microseconds."""
    def set_path_mtu(self, child: int, mtu: int) -> None:
        """Sets the path MTU towards the peer of a Child SA, in octets."""

@final
class Ticket:
    """Names one question of one IKE SA. Good for one answer."""

    @property
    def sa(self) -> IkeSaId: ...
    @property
    def number(self) -> int: ...
    def __hash__(self) -> int: ...

@final
class Consumed:
    """It was IKE or a keepalive; look at the outputs."""

    __match_args__: tuple[()]
    def __hash__(self) -> int: ...

@final
class Deliver:
    """An inner IP packet that came out of a tunnel."""

    __match_args__: tuple[Literal["child"], Literal["packet"]]
    @property
    def child(self) -> ChildId: ...
    @property
    def packet(self) -> bytes: ...
    @property
    def length(self) -> int: ...

@final
class Dropped:
    """Came in, dropped and counted."""

    __match_args__: tuple[Literal["reason"]]
    @property
    def reason(self) -> DropReason: ...
    def __hash__(self) -> int: ...

@final
class Sealed:
    """One sealed packet: where it goes and what. As an output: a packet that had waited for its SA."""

    __match_args__: tuple[Literal["path"], Literal["data"]]
    @property
    def child(self) -> ChildId: ...
    @property
    def path(self) -> Path: ...
    @property
    def encapsulation(self) -> Encapsulation: ...
    @property
    def protocol(self) -> int: ...
    @property
    def data(self) -> bytes: ...
    @property
    def length(self) -> int: ...

@final
class Sent:
    """Sealed: one packet, or several when it was fragmented before."""

    __match_args__: tuple[Literal["packets"]]
    @property
    def packets(self) -> tuple[Sealed, ...]: ...

@final
class Bypass:
    """The policy lets it pass in the clear; the caller forwards it."""

    __match_args__: tuple[()]
    def __hash__(self) -> int: ...

@final
class Discard:
    """Wanted to go out, dropped and counted."""

    __match_args__: tuple[Literal["reason"]]
    @property
    def reason(self) -> DropReason: ...
    def __hash__(self) -> int: ...

@final
class TooBig:
    """Larger than the path carries and not to be fragmented; the sender is to be told."""

    __match_args__: tuple[Literal["mtu"]]
    @property
    def mtu(self) -> int: ...
    def __hash__(self) -> int: ...

@final
class Acquiring:
    """It waits for the SA that is being made."""

    __match_args__: tuple[()]
    def __hash__(self) -> int: ...

@final
class NoSa:
    """No sending SA covers it (the ESP plane alone)."""

    __match_args__: tuple[()]
    def __hash__(self) -> int: ...

@final
class IkeCipher:
    """Protection of the messages of one IKE SA by its exported keys. `ravelin.wire` is the comfortable way."""

    def __new__(cls, keys: IkeKeys) -> IkeCipher: ...
    def open(self, message: Buffer, prefix: int, of_initiator: bool) -> bytes:
        """Opens what stands behind `prefix` octets of a message. Raises AuthenticationError."""
    def seal(self, prefix: Buffer, plain: Buffer, of_initiator: bool, iv: Buffer) -> bytes:
        """Appends IV, ciphertext and integrity data to `prefix`."""
    def body_len(self, plain: int) -> int:
        """Octets of IV, ciphertext, padding and integrity data for a plaintext of this length."""
    @property
    def iv_len(self) -> int: ...

def statuses() -> list[tuple[int, str]]: ...
def drop_reasons() -> list[tuple[int, str, str]]: ...
def walk(first: int, data: Buffer) -> list[tuple[int, int, int, bytes]]: ...
def describe(data: Buffer) -> str: ...
def fields(kind: int, flags: int, next: int, body: Buffer) -> tuple[str, dict[str, Any]]: ...
def names(registry: str) -> list[tuple[int, str]]: ...
def algorithms(words: str, *, ike: bool = False) -> tuple[int, int | None, int, int, int]: ...
def ike_line(keys: IkeKeys) -> str | None: ...
def esp_line(sa: SaParams) -> str | None: ...
