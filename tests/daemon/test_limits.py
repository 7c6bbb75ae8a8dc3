"""Limits on what is going on at once, each at its edge."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack

import pytest
from conftest import Launch
from daemon import Daemon, wait_for, wait_until
from wire import LEGACY, TIMEOUT, Exchange, Mcp, exchange

pytestmark = pytest.mark.threads


def sleep_until(daemon: Daemon, name: str) -> dict[str, object]:
    """A command that says NAME is there, and ends when NAME.end is."""
    command = f"touch {name}; until [ -e {name}.end ]; do sleep 0.02; done; echo ended"
    return {"name": "run_command", "arguments": {"command": command}}


def test_streams(launch: Launch) -> None:
    daemon = launch("--max-streams", "2")
    headers = {"Accept": "text/event-stream"}
    session, other = Mcp(daemon, LEGACY[0]), Mcp(daemon, LEGACY[0])
    with session.listen() as first, Exchange(daemon, "GET", "/sse", headers=headers) as second:
        assert (first.response.status, second.response.status) == (200, 200)
        assert exchange(daemon, "GET", "/sse", headers=headers).status == 503
        with other.listen() as third:
            assert third.response.status == 503
        # A call that would stream does without.
        params = {"name": "run_command", "arguments": {"command": "sleep 1.2"}}
        reply = Mcp(daemon).request("tools/call", params | {"_meta": {"progressToken": 1}})
        assert reply.headers.get_content_type() == "application/json"
        # A session that ends takes its stream along.
        exchange(daemon, "DELETE", headers={"Mcp-Session-Id": session.session})
        with other.listen() as again:
            assert again.response.status == 200


def test_calls(launch: Launch) -> None:
    daemon = launch("--max-calls", "1")
    modern = Mcp(daemon)
    with modern.begin("tools/call", sleep_until(daemon, "one")) as first:
        wait_for(daemon.workspace / "one")
        reply = modern.request("tools/call", sleep_until(daemon, "two"))
        assert reply.status == 503 and "error" in reply.json
        assert exchange(daemon, "GET", "/health").status == 200
        (daemon.workspace / "one.end").touch()
        assert "ended" in first.reply.result["content"][0]["text"]
    assert modern.request("tools/list").status == 200
    assert not (daemon.workspace / "two").exists()


def test_commands(launch: Launch) -> None:
    daemon = launch("--max-commands", "1")
    modern = Mcp(daemon)
    with modern.begin("tools/call", sleep_until(daemon, "one")) as first:
        wait_for(daemon.workspace / "one")
        result = modern.call("run_command", command="touch two")
        assert result["isError"] is True and "1" in result["content"][0]["text"]
        assert "isError" not in modern.request("tools/list").result
        (daemon.workspace / "one.end").touch()
        assert "ended" in first.reply.result["content"][0]["text"]
    assert not (daemon.workspace / "two").exists()
    assert modern.text("run_command", command="echo three") == "three\n"


def test_sessions_beyond_the_limit_still_work(launch: Launch) -> None:
    daemon = launch("--max-sessions", "2")
    sessions = [Mcp(daemon, LEGACY[0]) for _ in range(5)]
    for session in sessions:
        assert session.request("tools/list").status == 200


def is_healthy(daemon: Daemon) -> bool:
    try:
        return exchange(daemon, "GET", "/health").status == 200
    except ConnectionError:
        return False


def test_connections(launch: Launch) -> None:
    daemon = launch("--max-connections", "20")
    host, port = daemon.host.split(":")
    for _ in range(100):
        with ExitStack() as stack:
            for _ in range(40):
                stack.enter_context(socket.create_connection((host, int(port))))
        wait_until(lambda: is_healthy(daemon), "it does not let anybody in again")


def test_results(launch: Launch) -> None:
    daemon = launch("--max-result-bytes", "100000")
    (daemon.workspace / "large").write_text("line\n" * 40000)
    for mcp in (Mcp(daemon), Mcp(daemon, LEGACY[0])):
        reply = mcp.request(
            "tools/call", {"name": "read_file", "arguments": {"path": "large", "limit": 40000}}
        )
        assert len(reply.body) <= 100000
        assert mcp.request("tools/list").status == 200


def test_a_slow_reader_is_cut_off(launch: Launch) -> None:
    daemon = launch("--max-queue-bytes", "100000")
    host, port = daemon.host.split(":")
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(TIMEOUT)
        slow.connect((host, int(port)))
        lines = ["GET /sse HTTP/1.1", f"Host: {daemon.host}", "Accept: text/event-stream"]
        lines += [f"Authorization: Bearer {daemon.token}", "", ""]
        slow.sendall("\r\n".join(lines).encode())
        said = b""
        while b"\n\n" not in said.partition(b"data: ")[2]:
            said += slow.recv(4096)
        endpoint = said.decode().split("data: ")[1].split("\n")[0]
        body = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
        headers = {"Content-Type": "application/json"}
        statuses = [exchange(daemon, "POST", endpoint, body, headers).status for _ in range(2000)]
        assert statuses[0] == 202 and statuses[-1] == 404
    assert exchange(daemon, "GET", "/health").status == 200


def trickle(daemon: Daemon, request: str, body: str = "", seconds: float = 4) -> int:
    """Asks, takes a byte now and then for a while, then the rest: how many there were."""
    host, port = daemon.host.split(":")
    got = 0
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(TIMEOUT)
        slow.connect((host, int(port)))
        lines = [request, f"Host: {daemon.host}", f"Authorization: Bearer {daemon.token}"]
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close"]
        slow.sendall("\r\n".join([*lines, "", body]).encode())
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            got += len(slow.recv(1))
            time.sleep(0.1)
        try:
            while rest := slow.recv(1 << 20):
                got += len(rest)
        except ConnectionResetError:
            pass
    return got


@pytest.mark.long
def test_who_dawdles_over_an_answer_is_cut_off(launch: Launch) -> None:
    rate = 16 << 20
    daemon = launch("--max-answer-seconds", "1", "--min-answer-rate", str(rate))
    (daemon.workspace / "large").write_text(("x" * 1023 + "\n") * (8 << 10))
    params = {"name": "read_file", "arguments": {"path": "large", "limit": 8000}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    for accept in ("application/json", "text/event-stream"):
        headers = {"Content-Type": "application/json", "Accept": accept}
        whole = len(exchange(daemon, body=body, headers=headers).body)
        assert 7 << 20 < whole < rate  # more than the kernel keeps for a connection
        assert trickle(daemon, f"POST /mcp HTTP/1.1\r\nAccept: {accept}", body) < whole
    assert trickle(daemon, "GET /files?path=large HTTP/1.1") > 8 << 20  # as slow as its reader


@pytest.mark.long
def test_an_answer_s_time_grows_with_its_size(launch: Launch) -> None:
    daemon = launch("--max-answer-seconds", "1", "--min-answer-rate", str(1 << 20))
    (daemon.workspace / "large").write_text(("x" * 1023 + "\n") * (8 << 10))
    params = {"name": "read_file", "arguments": {"path": "large", "limit": 8000}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    assert trickle(daemon, "POST /mcp HTTP/1.1\r\nAccept: application/json", body) > 7 << 20
