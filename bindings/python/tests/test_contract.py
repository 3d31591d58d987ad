"""What both bindings share: numbers, names, the list of public calls."""

from __future__ import annotations

import importlib
import inspect
import os
from pathlib import Path as File

import ravelin
from ravelin import DropReason, _ravelin, errors, events

ROOT = File(os.environ.get("RAVELIN_ROOT") or File(__file__).parents[3])
SURFACE = ROOT / "bindings/surface.txt"


def test_every_status_has_its_exception():
    # Done, null pointer, nothing there, busy, internal error and no handle do not happen in Python.
    apart = {0, 1, 5, 6, 7, 8}
    numbers = {number for number, _ in _ravelin.statuses()} - apart
    assert numbers == set(errors._BY_CODE)
    for number in numbers:
        assert type(errors.from_code(number, "x")).code == number


def test_every_fault_has_its_exception():
    assert set(errors._BY_FAULT) == set(errors.Fault)
    for fault, error in errors._BY_FAULT.items():
        assert error.fault is fault


def test_drop_reasons_are_those_of_the_core():
    assert [(r.value, r.name.lower().replace("_", "-"), r.text) for r in DropReason] == _ravelin.drop_reasons()


def test_events_are_frozen_and_can_be_matched():
    for module in (events, ravelin.asks, ravelin.changes, ravelin.show):
        for name, item in vars(module).items():
            if inspect.isclass(item) and item.__module__ == module.__name__:
                assert item.__dataclass_params__.frozen and item.__match_args__ is not None, name
    for item in (ravelin.Deliver, ravelin.Dropped, ravelin.Sent, ravelin.Sealed, ravelin.Bypass, ravelin.TooBig):
        assert isinstance(item.__match_args__, tuple)


def test_everything_exported_is_documented():
    for name in ravelin.__all__:
        item = getattr(ravelin, name)
        if inspect.isclass(item) or inspect.isfunction(item):
            assert item.__doc__, name


def listed() -> set[str]:
    lines = [line for line in SURFACE.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return {line.split()[2] for line in lines} - {"-"}


def resolves(name: str) -> bool:
    item: object = ravelin
    for part in name.split("."):
        found = getattr(item, part, None)
        if found is None and item is ravelin:
            found = importlib.import_module(f"ravelin.{part}")
        if found is None:
            return part in getattr(item, "__dataclass_fields__", ())
        item = found
    return True


def test_the_surface_names_what_is_here():
    """The third column of `bindings/surface.txt`; "-": freeing and the like, which Python does by itself."""
    names = listed()
    assert names and not [n for n in names if not resolves(n)]


# What Python has on top: twins that write into buffers, comfort.
ONLY_HERE = {
    "Config.add_pool", "Config.peer", "Config.from_toml", "Config.add_policy", "Config.add_child", "Node.answer", "Node.counters",
    "Node.deadline_reason", "Node.delete_child", "Node.explain", "Node.handle_datagram_into", "Node.handle_datagrams_into",
    "Node.handle_esp", "Node.handle_packet_into", "Node.handle_packets_into", "Node.handle_report", "Node.outputs", "Node.peer",
    "Node.plane", "Node.policy", "Node.probe", "Node.reauth", "Node.rekey", "Node.rekey_child", "Node.roam",
    "Node.set_addresses", "Node.snapshot", "Node.stats", "Plane.apply", "Plane.deadline", "Plane.drops", "Plane.egress",
    "Plane.egress_burst_into", "Plane.egress_into", "Plane.handle_timeout", "Plane.ingress", "Plane.ingress_burst_into",
    "Plane.ingress_into", "Plane.poll_report", "Plane.set_path_mtu", "Plane.stats",
}


def test_what_is_here_stands_in_the_surface():
    here = {f"{c.__name__}.{m}" for c in (ravelin.Config, ravelin.Node, ravelin.Plane) for m in vars(c) if not m.startswith("_")}
    assert here <= listed() | ONLY_HERE, "new calls belong into bindings/surface.txt"
