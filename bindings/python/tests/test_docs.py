"""The examples of docs/python.md, in one namespace and in order."""

from __future__ import annotations

import os
import re
from pathlib import Path as File
from typing import Any

import pytest

ROOT = File(os.environ.get("RAVELIN_ROOT") or File(__file__).parents[3])
BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/python.md").read_text(), re.S | re.M)


def test_the_examples_run(tmp_path: File, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("scapy")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "docs"}
    assert len(BLOCKS) >= 9
    for number, block in enumerate(BLOCKS, 1):
        exec(compile(block, f"docs/python.md, example {number}", "exec"), names)
    assert (tmp_path / "target-of-this-test/capture.pcap").exists()
