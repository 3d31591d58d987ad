"""Options of `test_responder.py`."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("responder under test")
    group.addoption("--responder", help="its address; without it our own, simulated")
    group.addoption("--responder-port", type=int, default=500)
    group.addoption("--responder-nat-port", type=int, default=4500)
    group.addoption("--from", help="our address")
    group.addoption("--from-port", type=int, default=500)
    group.addoption("--from-nat-port", type=int, default=4500)
    group.addoption("--id", default="attacker.test", help="our identity")
    group.addoption("--responder-id", default="gw.test")
    group.addoption("--psk", default="secret")
    group.addoption("--local-ts", default="10.9.0.0/24")
    group.addoption("--remote-ts", default="10.1.0.0/24")
