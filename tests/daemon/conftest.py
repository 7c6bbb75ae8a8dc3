"""A server for each test; after the test it must end well and leave no process behind."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from daemon import Daemon, adopt_orphans, expect_no_children
from manager import ALICE, KEYS, Manager, managers
from wire import ERAS, MODERN, Mcp

Launch = Callable[..., Daemon]
CLONE_NEWNET = 0x40000000


@pytest.fixture(scope="session", autouse=True)
def _orphans_are_seen() -> None:
    adopt_orphans()


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Starts servers: launch("--option", "value", …, with_token=False)."""
    with ExitStack() as ends:
        ends.callback(expect_no_children)

        def start(*options: str, **fields: object) -> Daemon:
            directory = tmp_path / f"server{len(list(tmp_path.iterdir()))}"
            daemon = Daemon(directory, list(options), **fields)
            ends.callback(daemon.stop)
            return daemon.start()

        yield start


@pytest.fixture
def own_network() -> Iterator[None]:
    """This thread, and what it starts, in a network namespace with nothing but loopback."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    assert libc.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    try:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield
    finally:
        assert libc.setns(before, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        os.close(before)


@pytest.fixture
def launch_manager(tmp_path: Path) -> Iterator[Callable[..., Manager]]:
    """Starts managers: launch_manager("--option", "value", …, settings={…}, key=…)."""
    with managers(tmp_path) as start:
        yield start


@pytest.fixture
def manager(launch_manager: Callable[..., Manager]) -> Manager:
    """One with keys (manager.KEYS), whom Alice calls."""
    return launch_manager(settings=KEYS, key=ALICE)


@pytest.fixture
def server(launch: Launch) -> Daemon:
    return launch()


@pytest.fixture(params=ERAS)
def mcp(server: Daemon, request: pytest.FixtureRequest) -> Mcp:
    """A client of each era in turn."""
    return Mcp(server, request.param)


@pytest.fixture
def modern(server: Daemon) -> Mcp:
    return Mcp(server, MODERN)
