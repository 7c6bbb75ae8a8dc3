"""quickstart.sh as a new user meets it: with a port that is taken, and until Ctrl-C."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from daemon import ROOT, environment, expect_no_children

BUILD_SECONDS = 300

pytestmark = [pytest.mark.slow, pytest.mark.timeout(BUILD_SECONDS)]


@pytest.fixture
def taken():
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener
        client = socket.create_connection(listener.getsockname())
        listener.accept()[0].close()
        client.close()
    expect_no_children()


def command(taken: socket.socket, workspace: Path, *options: str) -> list[str]:
    port = taken.getsockname()[1]
    script = str(ROOT / "quickstart.sh")
    return [script, "--port", str(port), "--workspace", str(workspace), *options]


def test_shows_how_to_connect_and_ends_after_a_call(taken: socket.socket, tmp_path: Path) -> None:
    workspace = tmp_path / "work space"
    done = subprocess.run(
        command(taken, workspace),
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    url = re.search(r"The server is ready: (http://127\.0\.0\.1:\d+),", done.stdout)
    assert url and not url[1].endswith(f":{taken.getsockname()[1]}")
    assert f"Hello from {workspace}" in done.stdout
    for hint in ("claude mcp add", "[mcp_servers.sandbox]", '"servers"', "MultiServerMCPClient"):
        assert hint in done.stdout
    assert done.stdout.count(url[1] + "/mcp") == 4


def test_stays_until_ctrl_c(taken: socket.socket, tmp_path: Path) -> None:
    terminal, side = pty.openpty()
    process = subprocess.Popen(
        command(taken, tmp_path),
        env=environment(),
        stdin=side,
        stdout=side,
        stderr=side,
        start_new_session=True,
    )
    os.close(side)
    shown = b""
    while b"Ctrl-C ends" not in shown and (more := os.read(terminal, 4096)):
        shown += more
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(10) == 130
    os.close(terminal)
