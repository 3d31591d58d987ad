"""What both bindings share: numbers, names, the list of public calls."""

from __future__ import annotations

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


def test_the_surface_is_complete():
    """The third column of `bindings/surface.txt` names what is here; "-" would be a gap."""
    for line in SURFACE.read_text().splitlines():
        if line.startswith("#") or not line.strip():
            continue
        python = line.split()[2]
        if python == "-":
            continue
        item = ravelin
        for part in python.split("."):
            item = getattr(item, part, None) or __import__(f"ravelin.{part}", fromlist=[part])
        assert item is not None, python
