"""Fixtures for pytest, there as soon as the package is installed: `ravelin_network`, `ravelin_pair`.

A test that fails says the seed of its network, and with `--ravelin-artifacts=DIR` leaves a capture and its keys there.
`--ravelin-seed=N` runs all networks with another seed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path as File
from typing import Any

import pytest

from .network import Network
from .pair import Pair, pair

__all__ = ["ravelin_network", "ravelin_pair", "ravelin_seed"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("ravelin")
    group.addoption("--ravelin-seed", type=int, default=1, help="seed of simulated networks")
    group.addoption("--ravelin-artifacts", default=None, help="folder for captures and keys of failed tests")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Says the seed and saves the capture when a test failed."""
    report = yield
    networks: list[Network] = getattr(item, "_ravelin_networks", [])
    if report.when == "call" and report.failed:
        for at, network in enumerate(networks):
            text = f"{network!r}; run again with --ravelin-seed={network.seed}"
            folder = item.config.getoption("--ravelin-artifacts")
            if folder:
                place = File(folder) / f"{item.name}-{at}"
                network.save(place)
                text += f"; capture and keys are in {place}"
            report.sections.append(("ravelin", text))
    return report


def _remember(request: pytest.FixtureRequest, network: Network) -> None:
    known: list[Network] = getattr(request.node, "_ravelin_networks", [])
    request.node._ravelin_networks = [*known, network]


@pytest.fixture
def ravelin_seed(request: pytest.FixtureRequest) -> int:
    """The seed of this run."""
    seed: int = request.config.getoption("--ravelin-seed")
    return seed


@pytest.fixture
def ravelin_network(request: pytest.FixtureRequest, ravelin_seed: int) -> Callable[..., Network]:
    """Makes networks: `ravelin_network(loss=0.1)`."""

    def make(**settings: Any) -> Network:
        network = Network(ravelin_seed, **settings)
        _remember(request, network)
        return network

    return make


@pytest.fixture
def ravelin_pair(request: pytest.FixtureRequest, ravelin_seed: int) -> Callable[..., Pair]:
    """Makes pairs of hosts: `ravelin_pair(peer={"ike": "aes128-sha256-x25519"}, loss=0.2)`."""

    def make(**settings: Any) -> Pair:
        made = pair(ravelin_seed, **settings)
        _remember(request, made.network)
        return made

    return make
