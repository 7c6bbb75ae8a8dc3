"""Event streams: subscriptions, cancellation, keep-alives, HTTP+SSE."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from daemon import Daemon, wait_for, wait_until
from wire import ACCEPT, LEGACY, Exchange, Json, Mcp, exchange

pytestmark = pytest.mark.threads


@pytest.fixture(params=LEGACY)
def legacy(server: Daemon, request: pytest.FixtureRequest) -> Mcp:
    return Mcp(server, request.param)


def running(mark: Path) -> Json:
    """A call that makes `mark` when it begins, and takes it away when it is ended."""
    command = f"trap 'rm {mark}; exit' TERM; touch {mark}; while :; do sleep 0.05; done"
    return {"name": "run_command", "arguments": {"command": command}}


# ---- cancellation ----


def test_a_modern_client_that_leaves_cancels(server: Daemon, modern: Mcp) -> None:
    mark = server.workspace / "running"
    with modern.begin("tools/call", running(mark)):
        wait_for(mark)
    wait_until(lambda: not mark.exists(), "the command went on")


def test_a_modern_client_that_leaves_its_stream_cancels(server: Daemon, modern: Mcp) -> None:
    mark = server.workspace / "running"
    params = running(mark) | {"_meta": {"progressToken": 1}}
    with modern.begin("tools/call", params) as call:
        assert next(call.messages())["method"] == "notifications/progress"
    wait_until(lambda: not mark.exists(), "the command went on")


def test_a_legacy_client_cancels_by_saying_so(server: Daemon, legacy: Mcp) -> None:
    mark = server.workspace / "running"
    message = legacy.message("tools/call", running(mark), id="mine")
    with legacy.open(message):
        wait_for(mark)
        cancel = legacy.message("notifications/cancelled", {"requestId": "mine", "reason": "x"})
        assert legacy.post(cancel).status == 202
        wait_until(lambda: not mark.exists(), "the command went on")


def test_one_session_cannot_cancel_what_another_asked(server: Daemon, legacy: Mcp) -> None:
    mark = server.workspace / "running"
    other = Mcp(server, legacy.version)
    with legacy.open(legacy.message("tools/call", running(mark), id=77)):
        wait_for(mark)
        for stranger in (other, Mcp(server)):
            cancel = stranger.message("notifications/cancelled", {"requestId": 77})
            assert stranger.post(cancel).status == 202
        assert legacy.request("tools/list").status == 200
        assert mark.exists()
        legacy.post(legacy.message("notifications/cancelled", {"requestId": 77}))
        wait_until(lambda: not mark.exists(), "the command went on")


def test_a_half_closed_connection_is_no_cancellation_in_a_session(legacy: Mcp) -> None:
    arguments = {"name": "run_command", "arguments": {"command": "sleep 0.3; echo done"}}
    with legacy.begin("tools/call", arguments) as call:
        call.half_close()
        assert "done" in call.reply.result["content"][0]["text"]


def test_a_half_closed_connection_cancels_in_the_modern_era(server: Daemon, modern: Mcp) -> None:
    mark = server.workspace / "running"
    with modern.begin("tools/call", running(mark)) as call:
        wait_for(mark)
        call.half_close()
        wait_until(lambda: not mark.exists(), "the command went on")


# ---- keep-alive ----


@pytest.mark.slow
def test_a_quiet_stream_is_kept_alive(server: Daemon) -> None:
    with Mcp(server, LEGACY[0]).listen() as stream:
        lines = stream.lines()
        began = time.monotonic()
        while not next(lines).startswith(":"):
            pass
        assert 10 < time.monotonic() - began < 20


# ---- HTTP+SSE of 2024-11-05 ----


def test_http_and_sse(server: Daemon) -> None:
    with Exchange(server, "GET", "/sse", headers={"Accept": "text/event-stream"}) as stream:
        lines = stream.lines()
        assert next(lines) == "event: endpoint"
        endpoint = next(lines).removeprefix("data: ")
        assert endpoint.startswith("/"), "absolute: a proxy in front would break it"
        assert next(lines) == ""
        headers = {"Content-Type": "application/json"}

        def ask(method: str, **members: object) -> None:
            body = json.dumps({"jsonrpc": "2.0", "method": method, **members})
            assert exchange(server, "POST", endpoint, body, headers).status == 202

        client = {"name": "tests", "version": "1"}
        version = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": client}
        ask("initialize", id=1, params=version)
        messages = stream.messages()
        assert next(messages)["result"]["protocolVersion"] == "2024-11-05"
        ask("notifications/initialized")
        ask("tools/list", id=2)
        assert next(messages)["result"]["tools"]
        call = {"name": "run_command", "arguments": {"command": "echo hello"}}
        ask("tools/call", id=3, params=call)
        assert next(messages)["result"]["content"][0]["text"] == "hello\n"


def test_a_post_to_the_stream_s_address_lets_clients_fall_back(server: Daemon) -> None:
    headers = {"Content-Type": "application/json", "Accept": ACCEPT}
    assert exchange(server, "POST", "/sse", "{}", headers).status in (404, 405)


def test_messages_for_a_stream_that_is_gone_are_not_found(server: Daemon) -> None:
    headers = {"Content-Type": "application/json"}
    for name in ("x", "", "A" * 43):
        reply = exchange(server, "POST", "/messages?session=" + name, "{}", headers)
        assert reply.status == 404
