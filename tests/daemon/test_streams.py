"""Event streams: subscriptions, cancellation, keep-alives, HTTP+SSE."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from daemon import Daemon, wait_for
from wire import ACCEPT, LEGACY, META, Exchange, Json, Mcp, exchange

SUBSCRIPTION = META + "subscriptionId"


@pytest.fixture(params=LEGACY)
def legacy(server: Daemon, request: pytest.FixtureRequest) -> Mcp:
    return Mcp(server, request.param)


def running(mark: Path) -> Json:
    """A call that makes `mark` when it begins, and takes it away when it is ended."""
    command = f"trap 'rm {mark}; exit' TERM; touch {mark}; while :; do sleep 0.05; done"
    return {"name": "run_command", "arguments": {"command": command}}


def wait_until(true: Callable[[], bool], what: str, seconds: float = 10) -> None:
    """For what has no event to wait for."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def uri(path: Path) -> str:
    return path.resolve().as_uri()


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


# ---- subscriptions/listen ----


def listen(modern: Mcp, **notifications: object) -> Exchange:
    return modern.begin("subscriptions/listen", {"notifications": notifications})


def test_the_first_word_of_a_subscription_is_what_it_got(modern: Mcp) -> None:
    with listen(modern, toolsListChanged=True, unknown=True) as stream:
        first = next(stream.messages())
        assert first["method"] == "notifications/subscriptions/acknowledged"
        assert first["params"]["notifications"] == {"toolsListChanged": True}
        assert isinstance(first["params"]["_meta"][SUBSCRIPTION], int)


@pytest.mark.parametrize("params", [{}, {"notifications": []}, {"notifications": {"resourceSubscriptions": 1}}])
def test_a_subscription_to_nonsense_is_refused(modern: Mcp, params: Json) -> None:
    assert modern.request("subscriptions/listen", params).error["code"] == -32602


def test_a_subscription_tells_of_a_changed_file(server: Daemon, modern: Mcp) -> None:
    file = server.workspace / "watched.txt"
    file.write_text("one")
    with listen(modern, resourceSubscriptions=[uri(file)]) as stream:
        messages = stream.messages()
        assert next(messages)["params"]["notifications"] == {"resourceSubscriptions": [uri(file)]}
        file.write_text("two")
        update = next(messages)
        assert update["method"] == "notifications/resources/updated"
        assert update["params"]["uri"] == uri(file)
        assert SUBSCRIPTION in update["params"]["_meta"]


def test_a_session_is_told_of_a_changed_file(server: Daemon, legacy: Mcp) -> None:
    file = server.workspace / "watched.txt"
    file.write_text("one")
    with legacy.listen() as stream:
        assert stream.response.status == 200
        assert legacy.request("resources/subscribe", {"uri": uri(file)}).result == {}
        file.write_text("two")
        update = next(stream.messages())
        assert update["method"] == "notifications/resources/updated"
        assert update["params"]["uri"] == uri(file)
        assert legacy.request("resources/unsubscribe", {"uri": uri(file)}).result == {}


def test_a_subscription_ends_with_a_result_when_the_server_stops(server: Daemon, modern: Mcp) -> None:
    with listen(modern, toolsListChanged=True) as stream:
        messages = stream.messages()
        acknowledged = next(messages)
        server.stop()
        last = list(messages)[-1]
        assert last["result"]["resultType"] == "complete"
        subscription = acknowledged["params"]["_meta"][SUBSCRIPTION]
        assert last["result"]["_meta"][SUBSCRIPTION] == subscription


@pytest.mark.slow
def test_a_quiet_stream_is_kept_alive(modern: Mcp) -> None:
    with listen(modern, toolsListChanged=True) as stream:
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
