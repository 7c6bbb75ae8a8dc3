"""Starting, refusing to start, and leaving."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from conftest import Launch
from daemon import BUILD, STOP_SECONDS, Daemon, environment, wait_for, wait_until
from wire import LEGACY, Mcp, exchange

PROGRAM = str(BUILD / "bin" / "sandbox-mcp")
TOKEN = "A" * 43


def run(*options: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *options],
        env=environment() | extra,
        capture_output=True,
        text=True,
        timeout=STOP_SECONDS * 5,
    )


def refusal(*options: str, **extra: str) -> str:
    """Standard error of a start that was refused."""
    done = run(*options, **extra)
    assert done.returncode == 1, done
    assert done.stdout == ""
    return done.stderr


def test_help_names_every_option_with_its_variable() -> None:
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("--workspace", "WORKSPACE_DIR", "--port", "SANDBOX_MCP_PORT", "--stdio"):
        assert word in done.stdout


def test_version_is_one_line() -> None:
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1 and done.stdout.startswith("sandbox-mcp ")


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["--prot", "1"], "--port"),
        (["--port"], "--port"),
        (["--port", "x"], "--port"),
        (["--port", "65536"], "--port"),
        (["--port", "-1"], "--port"),
        (["left", "over"], "left"),
        (["--log-level", "loud"], "--log-level"),
        (["--workspace", "/nowhere/at/all"], "--workspace"),
        (["--token-file", "F", "--token", TOKEN], "--token"),
    ],
)
def test_refuses_options_with_a_hint(tmp_path: Path, options: list[str], hint: str) -> None:
    state = ["--state-dir", str(tmp_path / "state")]
    workspace = [] if "--workspace" in options else ["--workspace", str(tmp_path)]
    assert hint in refusal(*workspace, *state, *options)


def test_root_has_to_name_a_workspace(tmp_path: Path) -> None:
    as_root = os.geteuid() == 0
    # Others get as far as the port, which nobody can have.
    options = ["--state-dir", str(tmp_path / "state"), "--host", "192.0.2.1", "--token", TOKEN]
    assert ("--workspace" in refusal(*options)) is as_root


def test_listens_beyond_loopback_only_with_a_token(launch: Launch, tmp_path: Path) -> None:
    options = ["--workspace", str(tmp_path), "--state-dir", str(tmp_path / "state")]
    assert "token" in refusal(*options, "--host", "0.0.0.0", "--port", "0")
    daemon = launch("--host", "0.0.0.0")
    assert exchange(daemon, "GET", "/health").status == 200


def test_a_taken_port_is_refused_and_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        options = ["--workspace", str(tmp_path), "--state-dir", str(tmp_path / "state")]
        assert port in refusal(*options, "--port", port)


def test_a_variable_stands_for_an_option(tmp_path: Path) -> None:
    variables = {"WORKSPACE_DIR": str(tmp_path), "SANDBOX_MCP_PORT": "far"}
    assert "far" in refusal("--state-dir", str(tmp_path / "state"), **variables)


def test_an_option_comes_before_its_variable(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = {"SANDBOX_MCP_PORT": str(listener.getsockname()[1])}
        monkeypatch.setattr("daemon.environment", lambda: environment() | taken)
        assert exchange(launch(), "GET", "/health").status == 200


def test_can_be_stopped_as_soon_as_it_is_ready(launch: Launch) -> None:
    daemon = launch()
    for _ in range(10):
        daemon.stop()
        daemon.start()


def test_leaves_in_time_with_a_stream_open(launch: Launch) -> None:
    daemon = launch()
    with Mcp(daemon, LEGACY[0]).listen() as stream:
        assert stream.response.status == 200
        daemon.stop()


def test_a_second_signal_ends_it_at_once(launch: Launch) -> None:
    daemon = launch()
    with Mcp(daemon, LEGACY[0]).listen() as stream:
        assert stream.response.status == 200
        os.kill(daemon.pid, signal.SIGTERM)
        daemon.stop()


def test_leaves_in_time_while_a_command_runs(launch: Launch) -> None:
    daemon = launch()
    arguments = {"name": "run_command", "arguments": {"command": "touch started; sleep 60"}}
    with Mcp(daemon).begin("tools/call", arguments):
        wait_for(daemon.workspace / "started")
        daemon.stop()


def waiting_jobs(daemon: Daemon) -> int:
    metrics = exchange(daemon, "GET", "/metrics").body.decode()
    return int(metrics.rpartition("\nsandbox_mcp_worker_queue ")[2])


def test_a_second_signal_ends_calls_that_wait_for_a_worker(launch: Launch) -> None:
    daemon = launch("--workers", "1")
    (daemon.workspace / "large").write_text("abcdefgh ijklmnop\n" * 200_000)
    client = Mcp(daemon)
    search = {"name": "search_text", "arguments": {"pattern": "(a|b)*c.*zz$"}}
    with ExitStack() as calls:
        for _ in range(30):
            calls.enter_context(client.begin("tools/call", search))
        wait_until(lambda: waiting_jobs(daemon) > 0, "calls that wait")
        os.kill(daemon.pid, signal.SIGTERM)
        daemon.stop()


def test_clients_that_keep_asking_do_not_keep_it(launch: Launch) -> None:
    """Nor may a connection that never goes idle bring requests into the end itself."""
    daemon = launch()
    client = Mcp(daemon)
    message = client.message(
        "tools/call", {"name": "run_command", "arguments": {"command": "true"}}, id=1
    )
    asked = threading.Semaphore(0)

    def ask() -> None:
        connection = http.client.HTTPConnection(daemon.host)
        with suppress(OSError, http.client.HTTPException):
            while True:
                connection.request("POST", "/mcp", json.dumps(message), headers)
                connection.getresponse().read()
                asked.release()
        connection.close()

    headers = {k: v for k, v in client.headers(message).items() if v is not None}
    clients = [threading.Thread(target=ask) for _ in range(16)]
    for thread in clients:
        thread.start()
    for _ in range(64):
        assert asked.acquire(timeout=10)
    daemon.stop()
    for thread in clients:
        thread.join()


def test_the_same_port_can_be_taken_again_at_once(launch: Launch) -> None:
    daemon = launch()
    port = int(daemon.host.rpartition(":")[2])
    Mcp(daemon, LEGACY[0])
    daemon.stop()
    daemon.start(port=port)
    assert exchange(daemon, "GET", "/health").status == 200
