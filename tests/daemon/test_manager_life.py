"""What time, use and the manager's own end bring to sandboxes."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timezone

import pytest
from asking import Json, ask, get, post, send
from daemon import SLOWER, wait_until
from manager import ALICE, KEYS, Manager, Refused

Launch = Callable[..., Manager]
SOON = 10 * SLOWER
WAIT = "until : 2>/dev/null </dev/tcp/127.0.0.1/8000; do sleep 0.05; done"


@pytest.fixture
def manager(launch_manager: Launch) -> Manager:
    return launch_manager(settings=KEYS, key=ALICE)


def state(manager: Manager, box: str) -> str:
    """From the list, which is no use of the sandbox."""
    listed = get(manager, "/sandboxes?limit=1000").fine()["sandboxes"]
    found = [one["status"] for one in listed if one["sandbox_id"] == box]
    return found[0] if found else "gone"


def expect(manager: Manager, box: str, wanted: str, seconds: float = SOON) -> None:
    wait_until(lambda: state(manager, box) == wanted, f"not {wanted}: {state(manager, box)}", seconds)


def listed(manager: Manager, box: str) -> Json:
    everything = get(manager, "/sandboxes?limit=1000").fine()["sandboxes"]
    return next(one for one in everything if one["sandbox_id"] == box)


def left(sandbox: Json) -> float:
    """Seconds until its deadline."""
    expires = datetime.fromisoformat(sandbox["expires_at"])
    return (expires - datetime.now(timezone.utc)).total_seconds()


# ---- idle ----


def test_an_idle_sandbox_is_paused_and_goes_on_where_it_was(manager: Manager) -> None:
    box = manager.create(timeout=1)["sandbox_id"]
    pid = manager.run(box, "setsid sleep 1000 >/dev/null 2>&1 & echo $!")["stdout"].strip()
    expect(manager, box, "paused")
    assert left(listed(manager, box)) > 29 * 86400, "a paused one is kept for thirty days"
    wait_until(lambda: "deadline" in manager.read_log(), "the log tells why")
    connected = post(manager, "/sandboxes/connect", {"sandbox_id": box}).fine()
    assert connected["status"] == "running" and left(connected) <= 1
    assert manager.run(box, f"kill -0 {pid} && echo there")["stdout"] == "there\n"
    assert get(manager, f"/sandboxes/{box}/info").fine()["restarted"] is False


def test_an_idle_sandbox_is_deleted_where_asked(manager: Manager) -> None:
    box = manager.create(timeout=1, on_timeout="delete")["sandbox_id"]
    later = manager.create(timeout=1000)["sandbox_id"]
    expect(manager, box, "gone")
    get(manager, f"/sandboxes/{box}/info").refused(404, "not_found")
    body = {"sandbox_id": later, "timeout": 1, "on_timeout": "delete"}
    assert left(post(manager, "/sandboxes/timeout", body).fine()) <= 1
    expect(manager, later, "gone")


def test_each_call_moves_the_deadline(manager: Manager) -> None:
    box = manager.create(timeout=100)["sandbox_id"]
    body = {"sandbox_id": box}
    post(manager, "/sandboxes/timeout", body | {"timeout": 50}).fine()
    first = listed(manager, box)["expires_at"]
    time.sleep(0.01)  # so that the clock has moved on
    manager.run(box, "true")
    second = listed(manager, box)["expires_at"]
    assert second > first
    longer = post(manager, "/sandboxes/timeout", body | {"timeout": 5000}).fine()
    assert 4900 < left(longer) <= 5000
    shorter = post(manager, "/sandboxes/timeout", body | {"timeout": 1}).fine()
    assert left(shorter) <= 1
    expect(manager, box, "paused")
    while_paused = post(manager, "/sandboxes/timeout", body | {"timeout": 70}).fine()
    assert left(while_paused) > 29 * 86400, "the deadline is that of the pause"
    assert 60 < left(post(manager, "/sandboxes/connect", body).fine()) <= 70


# ---- in use ----


def call_tool(urls: Json, tool: str, **arguments: object) -> Json:
    """As an MCP client, straight to the sandbox."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {
        "Authorization": f"Bearer {urls['mcp_token']}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": tool,
    }
    request = urllib.request.Request(
        urls["mcp_url"] + "/mcp", json.dumps(message).encode(), headers
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read().decode()
    if not text.startswith("{"):
        text = re.findall("^data: (.+)$", text, re.M)[-1]
    return json.loads(text)["result"]


@pytest.mark.long
def test_a_sandbox_in_use_is_not_paused(manager: Manager) -> None:
    """Four at once: a call of the manager's, a job, an MCP call, and bytes through the gate."""
    called, job, mcp, bytes_ = (manager.create(timeout=2) for _ in range(4))
    ids = [one["sandbox_id"] for one in (called, job, mcp, bytes_)]
    connection = send(
        manager, "POST", "/sandboxes/run-command", {"sandbox_id": ids[0], "command": "sleep 6"}
    )
    manager.run(ids[1], "sleep 6", background=True)
    results: list[Json] = []
    tool = threading.Thread(
        target=lambda: results.append(call_tool(mcp, "run_command", command="sleep 6; echo hi"))
    )
    tool.start()
    manager.run(ids[3], "python3 -m http.server 8000 >/dev/null 2>&1", background=True)
    url = post(manager, "/sandboxes/expose-port", {"sandbox_id": ids[3], "port": 8000}).fine()["url"]
    manager.run(ids[3], f"bash -c '{WAIT}'")
    end = time.monotonic() + 5
    while time.monotonic() < end:
        states = [state(manager, box) for box in ids]
        assert states == ["running"] * 4, states
        with socket.create_connection(url.removeprefix("http://").split(":"), 5) as client:
            client.sendall(b"GET /nothing HTTP/1.0\r\n\r\n")
        time.sleep(0.2)
    assert json.loads(connection.getresponse().read())["exit_code"] == 0
    connection.close()
    tool.join()
    assert "hi" in json.dumps(results)
    for box in ids[:3]:
        expect(manager, box, "paused")
    ask(manager, "POST", f"/sandboxes/{ids[3]}/pause").fine()


def test_an_open_connection_alone_is_no_use(manager: Manager) -> None:
    made = manager.create(timeout=1)
    host, port = made["mcp_url"].removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 5) as idle:
        expect(manager, made["sandbox_id"], "paused")
        assert idle.fileno() >= 0


@pytest.mark.long
def test_no_use_lasts_longer_than_it_may(launch_manager: Launch) -> None:
    manager = launch_manager(
        "--max-timeout", "3", "--default-timeout", "2", settings=KEYS, key=ALICE
    )
    box = manager.create()["sandbox_id"]
    started = time.monotonic()
    manager.run(box, "sleep 1000", background=True)
    connection = send(
        manager, "POST", "/sandboxes/run-command", {"sandbox_id": box, "command": "sleep 1000"}
    )
    expect(manager, box, "paused")
    assert time.monotonic() - started < 4.5 * SLOWER
    connection.close()


# ---- paused ----


def test_traffic_resumes_a_sandbox_that_wants_it(manager: Manager) -> None:
    box = manager.create(timeout=1000, auto_resume=True)
    other = manager.create(timeout=1000)
    for one in (box, other):
        ask(manager, "POST", f"/sandboxes/{one['sandbox_id']}/pause").fine()
    address = box["mcp_url"].removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1])), 5) as client:
        client.settimeout(SOON)
        for _ in range(20):  # connecting alone does not
            assert state(manager, box["sandbox_id"]) == "paused"
        client.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        assert state(manager, box["sandbox_id"]) == "running"
    address = other["mcp_url"].removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1])), 5) as client:
        client.settimeout(SOON)
        client.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        for _ in range(20):
            assert state(manager, other["sandbox_id"]) == "paused"
        post(manager, "/sandboxes/connect", {"sandbox_id": other["sandbox_id"]}).fine()
        assert client.recv(100).startswith(b"HTTP/1.1 200"), "its bytes were kept"


def test_a_paused_sandbox_is_deleted_in_the_end(launch_manager: Launch) -> None:
    manager = launch_manager("--paused-retention", "2", settings=KEYS, key=ALICE)
    box = manager.create()["sandbox_id"]
    ask(manager, "POST", f"/sandboxes/{box}/pause").fine()
    expect(manager, box, "gone")
    get(manager, f"/sandboxes/{box}/info").refused(404, "not_found")


def test_a_frozen_sandbox_gives_its_memory_back(launch_manager: Launch) -> None:
    manager = launch_manager("--freeze-seconds", "1", settings=KEYS, key=ALICE)
    box = manager.create()["sandbox_id"]
    manager.run(box, "echo kept > file; setsid sleep 1000 >/dev/null 2>&1 &")
    ask(manager, "POST", f"/sandboxes/{box}/pause").fine()
    cold = lambda: get(manager, f"/sandboxes/{box}/info").fine()["cold"]  # noqa: E731
    wait_until(cold, "it stays in memory", SOON)
    assert state(manager, box) == "paused"
    connected = post(manager, "/sandboxes/connect", {"sandbox_id": box}).fine()
    assert connected["status"] == "running"
    info = get(manager, f"/sandboxes/{box}/info").fine()
    assert info["restarted"] is True and info["cold"] is False
    assert manager.run(box, "cat file; pgrep -c sleep")["stdout"] == "kept\n0\n"


# ---- the manager's end ----


def crash(manager: Manager) -> None:
    manager.seen |= {path.name for path in manager.kept()}
    manager.kill()


@pytest.mark.parametrize("end", [Manager.leave, crash], ids=["SIGTERM", "SIGKILL"])
def test_sandboxes_outlive_the_manager(
    launch_manager: Launch, end: Callable[[Manager], None]
) -> None:
    manager = launch_manager(settings=KEYS, key=ALICE)
    headers = {"Idempotency-Key": "mine"}
    body = {"user_id": "u", "timeout": 500, "metadata": {"a": "b"}, "envs": {"A": "1"}}
    made = post(manager, "/sandboxes/create", body, headers=headers).fine()
    box = made["sandbox_id"]
    paused = manager.create(timeout=600)["sandbox_id"]
    deleted = manager.create()["sandbox_id"]
    late = manager.create(timeout=1, on_timeout="delete")["sandbox_id"]
    pid = manager.run(box, "setsid sleep 1000 >/dev/null 2>&1 & echo $!")["stdout"].strip()
    url = post(manager, "/sandboxes/expose-port", {"sandbox_id": box, "port": 8000}).fine()["url"]
    ask(manager, "POST", f"/sandboxes/{paused}/pause").fine()
    ask(manager, "DELETE", f"/sandboxes/{deleted}").fine()
    ask(manager, "POST", f"/sandboxes/{paused}/pause").fine()
    before = {one: listed(manager, one) for one in (box, paused)}
    end(manager)
    manager.start()
    for one, was in before.items():
        now = listed(manager, one)
        for name in now.keys() - {"last_activity_at", "expires_at"}:
            assert now[name] == was[name], name
        moved = datetime.fromisoformat(now["expires_at"]) - datetime.fromisoformat(was["expires_at"])
        assert abs(moved.total_seconds()) < 6, "a deadline is stored every five seconds"
    expect(manager, late, "gone")
    again = get(manager, f"/sandboxes/{box}/urls").fine()
    assert again["mcp_url"] == made["mcp_url"] and again["mcp_token"] == made["mcp_token"]
    exposed = post(manager, "/sandboxes/expose-port", {"sandbox_id": box, "port": 8000}).fine()
    assert exposed["url"] == url
    assert call_tool(again, "run_command", command=f"kill -0 {pid} && echo the same; echo $A")
    assert manager.run(box, f"kill -0 {pid} && echo there; echo $A")["stdout"] == "there\n1\n"
    repeated = post(manager, "/sandboxes/create", body, headers=headers).fine()
    assert repeated["sandbox_id"] == box
    get(manager, f"/sandboxes/{deleted}/info").refused(404, "not_found")
    ask(manager, "DELETE", f"/sandboxes/{deleted}").fine()
    assert post(manager, "/sandboxes/connect", {"sandbox_id": paused}).fine()["status"] == "running"
    assert manager.run(paused, "echo back")["stdout"] == "back\n"


def test_what_was_answered_outlives_a_crash(manager: Manager) -> None:
    box = manager.create()["sandbox_id"]
    url = manager.call("POST", "/sandboxes/expose-port", {"sandbox_id": box, "port": 7777})["url"]
    manager.call("POST", "/sandboxes/timeout", {"sandbox_id": box, "timeout": 20000})
    manager.kill()
    with closing(sqlite3.connect(manager.data / "sandboxes.db")) as rows:
        row = rows.execute("SELECT ports, timeout_ms FROM sandboxes WHERE id = ?", [box])
        assert row.fetchone() == ("[7777]", 20_000_000)
    manager.start()
    again = {"sandbox_id": box, "port": 7777}
    assert manager.call("POST", "/sandboxes/expose-port", again)["url"] == url


def test_what_could_not_be_stored_is_told_and_tried_again(manager: Manager) -> None:
    box = manager.create()["sandbox_id"]
    rows = sqlite3.connect(manager.data / "sandboxes.db", isolation_level=None)
    with closing(rows):
        rows.execute("BEGIN IMMEDIATE")
        body = {"sandbox_id": box, "timeout": 20000}
        with pytest.raises(Refused) as refused:
            manager.call("POST", "/sandboxes/timeout", body)
        assert refused.value.status == 409 and "row not stored" in manager.read_log()
        rows.execute("ROLLBACK")
        manager.leave()
        row = rows.execute("SELECT timeout_ms FROM sandboxes WHERE id = ?", [box])
        assert row.fetchone() == (20_000_000,)
    manager.start()


def test_a_crash_in_the_middle_loses_and_leaves_nothing(launch_manager: Launch) -> None:
    """Creates under way: with a key the client asks again, without one nothing stays."""
    manager = launch_manager(settings=KEYS, key=ALICE)
    manager.create()  # the first one makes the template
    for delay_ms in (0, 2, 20, 60, 120):
        body = {"user_id": f"u{delay_ms}"}
        headers = {"Idempotency-Key": f"crash-{delay_ms}"}
        connections = [
            send(manager, "POST", "/sandboxes/create", body, headers),
            send(manager, "POST", "/sandboxes/create", body),
        ]
        time.sleep(delay_ms / 1000)  # any moment will do
        crash(manager)
        manager.start()
        for connection in connections:
            connection.close()
        made = post(manager, "/sandboxes/create", body, headers=headers).fine()["sandbox_id"]
        assert manager.run(made, "echo works")["stdout"] == "works\n"
        mine = get(manager, f"/sandboxes?user_id=u{delay_ms}").fine()["sandboxes"]
        assert made in [one["sandbox_id"] for one in mine]
        for one in mine:
            assert one["status"] == "running"
        kept = {path.name for path in manager.kept()}
        everything = get(manager, "/sandboxes").fine()["sandboxes"]
        assert kept == {one["sandbox_id"] for one in everything}, "an orphan, or a row of nothing"
