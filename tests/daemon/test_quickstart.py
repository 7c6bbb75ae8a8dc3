"""quickstart.sh as a new user meets it: with a port that is taken, and until --stop."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon import ROOT, environment, expect_no_children
from manager import cgroups, loops

START_SECONDS = 300

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * START_SECONDS)]


def quickstart(directory: Path, *options: str) -> str:
    """What it prints; progress goes to standard error."""
    done = subprocess.run(
        [str(ROOT / "quickstart.sh"), "--dir", str(directory), *options],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[  " in done.stderr
    return done.stdout


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """Stopped at the end, whatever happened; then nothing may be left."""
    path = tmp_path / "quick start"
    before = set(cgroups())
    yield path
    quickstart(path, "--stop")
    expect_no_children()
    assert not loops(str(path))
    assert str(path) not in Path("/proc/self/mountinfo").read_text()
    assert set(cgroups()) <= before


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_starts_shows_and_stops(directory: Path, taken: int) -> None:
    shown = quickstart(directory, "--port", str(taken))
    manager = re.search(r"The manager is at (http://127\.0\.0\.1:(\d+)),", shown)
    mcp_url = re.search(r"mcp_url +(http://127\.83\.\S+)", shown)
    token = re.search(r"mcp_token +(\S{43})\n", shown)
    assert manager and int(manager[2]) != taken and mcp_url and token
    for hint in ("claude mcp add", "[mcp_servers.sandbox]", '"servers"', "MultiServerMCPClient"):
        assert hint in shown
    assert shown.count(mcp_url[1] + "/mcp") == 4 and "127.0.0.1:6060" not in shown
    assert f"SANDBOX_TOKEN={token[1]}" in shown

    request = urllib.request.Request(mcp_url[1] + "/health")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer) == {"status": "ok"}
    again = quickstart(directory, "--port", str(taken))
    assert manager[1] in again
    with urllib.request.urlopen(manager[1] + "/sandboxes", timeout=10) as answer:
        assert len(json.load(answer)["sandboxes"]) == 2
    quickstart(directory, "--stop")
    with pytest.raises(OSError):
        urllib.request.urlopen(manager[1] + "/health", timeout=10)
    kept = list((directory / "data" / "sandboxes").iterdir())
    assert len(kept) == 2, "the files of the sandboxes are kept"


def test_check_leaves_nothing(directory: Path, taken: int) -> None:
    shown = quickstart(directory, "--check", "--port", str(taken))
    assert "mcp_url" in shown and not (directory / "manager.pid").exists()
    assert not list((directory / "data" / "sandboxes").iterdir())
