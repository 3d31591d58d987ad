"""A whole tunnel between a Python-driven node and strongSwan, in network namespaces (`lab/`).

RAVELIN_LIVE: `off` passes over it, `required` makes it fail where it cannot run; else it says why it is skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path as File

import pytest

HERE = File(__file__).parent
LAB = File(os.environ.get("RAVELIN_ROOT") or HERE.parents[2]) / "lab"


class Lab:
    def __init__(self, name: str) -> None:
        self.name = f"rv{os.getpid()}-py{name}"
        self.state = File("/tmp") / self.name
        cache = os.environ.get("LAB_CACHE", "/tmp/ravelin-lab-cache")
        self.env = {**os.environ, "LAB": self.name, "LAB_STATE": str(self.state), "LAB_CACHE": cache}

    def run(self, script: str, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(LAB / script), *args], env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
        )

    def ok(self, script: str, *args: str) -> str:
        done = self.run(script, *args)
        assert done.returncode == 0, f"{script} {args}: {done.stdout}{done.stderr}{self.log()}"
        return done.stdout

    def inside(self, side: str, *args: str) -> subprocess.Popen[str]:
        command = ["ip", "netns", "exec", f"{self.name}-{side}", *args]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def log(self) -> str:
        file = self.state / "strongswan-b/charon.log"
        return file.read_text() if file.exists() else ""


def obstacle() -> str | None:
    if os.geteuid() != 0:
        return "not root"
    if not File("/dev/net/tun").exists():
        return "no /dev/net/tun"
    missing = subprocess.run([str(LAB / "packages.sh"), "missing", "core"], capture_output=True, text=True)
    return None if missing.returncode == 0 else f"packages are missing: {missing.stdout.strip()}"


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    live = os.environ.get("RAVELIN_LIVE", "")
    if live == "off":
        pytest.skip("RAVELIN_LIVE=off")
    lab = Lab(request.node.name.rsplit("_", 1)[-1])
    why = obstacle()
    if why is None:
        up = lab.run("net.sh", "up", "direct")
        why = None if up.returncode == 0 else f"no network namespaces: {up.stdout}{up.stderr}"
    if why is not None:
        assert live != "required", why
        pytest.skip(why)
    yield lab
    lab.run("strongswan-peer.sh", "down")
    lab.run("net.sh", "down")


def said(process: subprocess.Popen[str], lab: Lab) -> list[dict[str, object]]:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, f"{out}\n{lab.log()}"
    return [json.loads(line) for line in out.splitlines()]


def test_a_python_driven_node_initiates(lab: Lab) -> None:
    lab.ok("strongswan-peer.sh", "up", "psk", "b")
    lines = said(lab.inside("a", sys.executable, str(HERE / "live_peer.py"), "initiator"), lab)
    assert lines[0]["up"] == "b.lab.test", lines
    assert lines[1] == {"replies": 5}
    assert lines[2] == {"rekeyed": ["ChildRekeyed", "Rekeyed"], "replies": 3}
    assert lines[3]["inbound"] == 3 and lines[4] == {"closed": True}, lines
    assert "established between 10.9.0.2[b.lab.test]...10.9.0.1[a.lab.test]" in lab.log()


EXAMPLES = File(os.environ.get("RAVELIN_ROOT") or HERE.parents[2]) / "examples/python"


def test_a_probe_says_what_strongswan_supports(lab: Lab) -> None:
    lab.ok("strongswan-peer.sh", "up", "psk", "b")
    probe = lab.inside("a", sys.executable, str(EXAMPLES / "probe.py"), "10.9.0.2", "--gap", "0", "--timeout", "1", "--json")
    out, _ = probe.communicate(timeout=120)
    found = json.loads(out)
    assert found["answers"] and found["encr"] and found["ke"] and found["prf"], found
    assert "NAT traversal" in found["extensions"], found


def test_scripted_peers_against_strongswan(lab: Lab) -> None:
    lab.ok("strongswan-peer.sh", "up", "psk", "b")
    harness = lab.inside(
        "a", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLES / "test_responder.py"),
        "--responder", "10.9.0.2", "--from", "10.9.0.1", "--id", "a.lab.test", "--responder-id", "b.lab.test",
        "--psk", "labsecret-psk-0123456789", "--local-ts", "10.10.1.0/24", "--remote-ts", "10.10.2.0/24",
    )
    out, _ = harness.communicate(timeout=300)
    assert harness.returncode == 0, out


def test_a_python_driven_node_responds(lab: Lab) -> None:
    node = lab.inside("a", sys.executable, str(HERE / "live_peer.py"), "responder")
    try:
        assert node.stdout is not None and json.loads(node.stdout.readline()) == {"ready": True}
        lab.ok("strongswan-peer.sh", "up", "psk", "b")
        lab.ok("strongswan-peer.sh", "initiate", "b")
        ping = lab.inside("b", "ping", "-c", "3", "-i", "0.2", "-W", "5", "-I", "10.10.2.1", "10.10.1.1")
        text, _ = ping.communicate(timeout=60)
        assert " 0% packet loss" in text, f"{text}\n{lab.log()}"
        lab.ok("strongswan-peer.sh", "ctl", "b", "--terminate", "--ike", "t")
        lines = said(node, lab)
        assert lines == [{"up": "b.lab.test", "role": "responder"}, {"closed": "PeerDeleted"}], lines
    finally:
        node.kill()
        time.sleep(0)
