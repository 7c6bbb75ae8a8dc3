"""Much at once, and ends that nobody planned."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from daemon import Daemon, children, wait_for, wait_until
from wire import LEGACY, Exchange, Json, Mcp, exchange

pytestmark = pytest.mark.slow


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pids_in(path: Path, count: int) -> list[int]:
    wait_until(lambda: path.exists() and len(path.read_text().split()) == count, f"{path}")
    return [int(word) for word in path.read_text().split()]


@pytest.fixture
def descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= 12000, "needs ulimit -n of 12000"
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def test_ten_thousand_idle_streams(descriptors: None, server: Daemon) -> None:
    host, port = server.host.split(":")
    session = Mcp(server, LEGACY[0]).session
    lines = ["GET /mcp HTTP/1.1", f"Host: {server.host}", "Accept: text/event-stream"]
    lines += [f"Authorization: Bearer {server.token}", f"Mcp-Session-Id: {session}", "", ""]
    head = "\r\n".join(lines).encode()
    before = resident_bytes(server.pid)
    with ExitStack() as stack:
        for _ in range(10000):
            stream = stack.enter_context(socket.create_connection((host, int(port))))
            stream.sendall(head)
            assert stream.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert (resident_bytes(server.pid) - before) / 10000 <= 16 * 1024
        began = time.monotonic()
        assert exchange(server, "GET", "/health").status == 200
        assert Mcp(server).request("tools/list").status == 200
        assert time.monotonic() - began < 1
    assert Mcp(server).request("tools/list").status == 200


def test_a_thousand_commands_at_once(descriptors: None, server: Daemon) -> None:
    modern = Mcp(server)
    command = "echo here >>count; read -r _ <gate; echo $0 done"
    count, gate = server.workspace / "count", server.workspace / "gate"
    os.mkfifo(gate)
    with ExitStack() as stack:
        params: Json = {"name": "run_command", "arguments": {"command": command}}
        calls = [stack.enter_context(modern.begin("tools/call", params)) for _ in range(1000)]
        wait_until(lambda: count.exists() and count.read_text().count("here") == 1000, "1000", 60)
        assert exchange(server, "GET", "/health").status == 200
        with gate.open("w") as go:
            go.write("\n" * len(calls))
            go.flush()
            for call in calls:
                assert "done" in call.reply.result["content"][0]["text"]


def test_health_answers_while_every_worker_is_busy(server: Daemon) -> None:
    modern = Mcp(server)
    (server.workspace / "large").write_text("needle in hay\n" * 3_000_000)
    params = {"name": "search_text", "arguments": {"pattern": "(x+x+)+y|haystack"}}
    with ExitStack() as stack:
        calls = [stack.enter_context(modern.begin("tools/call", params)) for _ in range(32)]
        times = []
        for _ in range(50):
            began = time.monotonic()
            assert exchange(server, "GET", "/health").status == 200
            times.append(time.monotonic() - began)
        assert max(times) < 1
        for call in calls:
            assert call.reply.status == 200


CHILDREN = "sleep 300 & echo $! >>pids; setsid sleep 300 & echo $! >>pids; wait"
TREE = f"sh -c '{CHILDREN}' & echo $$ >>pids; wait"


def die(call: Exchange) -> None:
    """An abortive close, as a crash or a lost machine makes it."""
    linger = b"\1\0\0\0\0\0\0\0"
    call.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    call.connection.close()


@pytest.mark.parametrize("version", ["2026-07-28", LEGACY[0]])
def test_a_client_that_dies_leaves_no_process(server: Daemon, version: str) -> None:
    mcp = Mcp(server, version)
    call = mcp.begin("tools/call", {"name": "run_command", "arguments": {"command": TREE}})
    pids = pids_in(server.workspace / "pids", 3)
    die(call)
    wait_until(lambda: not any(map(alive, pids)), "processes are left", 20)


def test_nor_does_one_that_sent_a_batch(server: Daemon) -> None:
    mcp = Mcp(server, "2025-03-26")
    run = {"name": "run_command", "arguments": {"command": TREE}}
    message = mcp.message("tools/call", run, id=1)
    call = Exchange(server, body=json.dumps([message]), headers=mcp.headers(message))
    pids = pids_in(server.workspace / "pids", 3)
    die(call)
    wait_until(lambda: not any(map(alive, pids)), "processes are left", 20)


def test_a_killed_server_leaves_no_foreground_command(server: Daemon) -> None:
    with Mcp(server).begin("tools/call", {"name": "run_command", "arguments": {"command": TREE}}):
        pids = pids_in(server.workspace / "pids", 3)
        server.kill()
        wait_until(lambda: not any(map(alive, pids)), "processes are left")


def status_of(log: Path) -> Json:
    return json.loads((log / "status").read_text())


def test_background_commands_go_on_and_are_found_again(server: Daemon) -> None:
    command = "touch started; until [ -e end ]; do sleep 0.05; done; echo the end; exit 7"
    result = Mcp(server).call("run_command", command=command, background=True)
    assert result["content"][0]["text"].startswith("Started background process: ")
    log = Path(result["structuredContent"]["log"])
    wait_for(server.workspace / "started")
    server.kill()
    assert alive(result["structuredContent"]["pid"])
    server.start()
    assert alive(result["structuredContent"]["pid"])
    (server.workspace / "end").touch()
    wait_until(lambda: status_of(log)["exit_code"] == 7, "no exit code")
    assert Mcp(server).text("read_file", path=str(log / "stdout")) == "the end\n"


def test_a_server_that_is_killed_again_and_again_loses_nothing(server: Daemon) -> None:
    session = Mcp(server, LEGACY[0])
    session.text("write_file", path="kept", content="kept")
    for _ in range(10):
        server.kill()
        server.start()
        assert session.text("read_file", path="kept") == "kept"
        assert session.text("run_command", command="echo back") == "back\n"


def test_a_write_is_there_in_full_or_not_at_all(server: Daemon) -> None:
    modern = Mcp(server)
    old, new = "o" * 3_000_000, "n" * 3_000_000
    modern.text("write_file", path="whole", content=old)
    for delay in range(8):
        params = {"name": "write_file", "arguments": {"path": "whole", "content": new}}
        with modern.begin("tools/call", params):
            time.sleep(delay / 200)
            server.kill()
        assert (server.workspace / "whole").read_text() in (old, new)
        server.start()
        modern.text("write_file", path="whole", content=old)


@pytest.mark.threads
def test_many_clients_at_once_get_their_own_answers(server: Daemon) -> None:
    def work(number: int) -> None:
        mcp = Mcp(server, ("2026-07-28", *LEGACY)[number % 4])
        for turn in range(10):
            text = f"{number}-{turn}\n"
            mcp.text("write_file", path=f"{number}.txt", content=text)
            assert mcp.text("read_file", path=f"{number}.txt") == text
            assert mcp.text("run_command", command=f"cat {number}.txt") == text

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(32)))


def test_the_keeper_s_end_is_survived(server: Daemon) -> None:
    modern = Mcp(server)
    assert modern.text("run_command", command="echo one") == "one\n"
    keeper = keepers(server)
    assert len(keeper) == 1
    os.kill(keeper[0], signal.SIGKILL)
    wait_until(lambda: not alive(keeper[0]), "the keeper is there")
    wait_until(
        lambda: not modern.call("run_command", command="echo two").get("isError"), "no way back"
    )
    children()


def keepers(server: Daemon) -> list[int]:
    found = []
    for task in Path(f"/proc/{server.pid}/task").iterdir():
        found += [int(pid) for pid in (task / "children").read_text().split()]
    return found


def test_garbage_in_the_state_directory_is_survived(server: Daemon) -> None:
    server.stop()
    for number, path in enumerate(sorted(server.state.rglob("*"))):
        if path.is_file() and not path.is_symlink():
            path.write_bytes(json.dumps(number).encode() * 100)
    server.start()
    assert Mcp(server, LEGACY[0]).text("run_command", command="echo up") == "up\n"
