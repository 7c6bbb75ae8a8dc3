"""Tools that ask the client back, in the way of each era; the tools are the conformance suite's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from daemon import Daemon
from talk import Talk
from wire import LEGACY, MODERN, Json, Mcp, exchange

ALL = {"sampling": {}, "elicitation": {}, "roots": {}}
NAME = "test_input_required_result_elicitation"
STATE = "test_input_required_result_request_state"
ROUNDS = "test_input_required_result_multi_round"

INVALID_PARAMS = -32602
MISSING_CAPABILITY = -32021


def form(**content: object) -> Json:
    return {"action": "accept", "content": content}


def text(result: Json) -> str:
    return result["content"][0]["text"]


@pytest.fixture
def fixture(launch: Callable[..., Daemon]) -> Daemon:
    return launch(program="sandbox-mcp-fixture")


# 2026-07-28: the client sends the request again.


@pytest.fixture
def again(fixture: Daemon) -> Callable[..., Any]:
    mcp = Mcp(fixture, MODERN, ALL)

    def call(tool: str, answers: object = None, state: object = None, **arguments: object) -> Any:
        params: Json = {"name": tool, "arguments": arguments}
        if answers is not None:
            params["inputResponses"] = answers
        if state is not None:
            params["requestState"] = state
        return mcp.request("tools/call", params)

    return call


def test_asks_until_it_has_the_answer(again: Callable[..., Any]) -> None:
    asked = again(NAME).result
    assert asked["resultType"] == "input_required"
    assert asked["inputRequests"]["user_name"]["method"] == "elicitation/create"
    assert again(NAME, {"other": form(name="Ann")}).result == asked
    assert text(again(NAME, {"user_name": form(name="Ann")}).result) == "Hello, Ann!"


@pytest.mark.parametrize("answers", [12, [], "text", {"user_name": 12}, {"user_name": None}])
def test_refuses_answers_that_are_none(again: Callable[..., Any], answers: object) -> None:
    assert again(NAME, answers).error["code"] == INVALID_PARAMS


def test_refuses_null_for_answers(fixture: Daemon) -> None:
    mcp = Mcp(fixture, MODERN, ALL)
    params = {"name": NAME, "arguments": {}, "inputResponses": None}
    assert mcp.request("tools/call", params).error["code"] == INVALID_PARAMS


def test_takes_its_state_back_whole(again: Callable[..., Any]) -> None:
    state = again(STATE).result["requestState"]
    answers = {"confirm": form(ok=True)}
    assert text(again(STATE, answers, state).result) == "state-ok"
    assert again(STATE, answers).result["resultType"] == "input_required"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state + "-TAMPERED",
        lambda state: state[:-1],
        lambda state: ("A" if state[0] != "A" else "B") + state[1:],
        lambda state: state[:-2] + ("AA" if state[-2:] != "AA" else "BA"),
        lambda state: "",
        lambda state: [state],
        lambda state: "A" * 200_000,
    ],
)
def test_refuses_a_changed_state(again: Callable[..., Any], spoil: Callable[[str], Any]) -> None:
    state = spoil(again(STATE).result["requestState"])
    assert again(STATE, {"confirm": form(ok=True)}, state).error["code"] == INVALID_PARAMS


def test_refuses_the_state_of_another_request(again: Callable[..., Any]) -> None:
    state = again(STATE).result["requestState"]
    answers = {"confirm": form(ok=True)}
    other = again("test_input_required_result_tampered_state", answers, state)
    assert other.error["code"] == INVALID_PARAMS
    state = again("test_x_mcp_header", state=state)
    assert state.error["code"] == INVALID_PARAMS


def test_keeps_what_it_learnt_in_the_state(again: Callable[..., Any]) -> None:
    first = again(ROUNDS).result
    second = again(ROUNDS, {"step1": form(name="Ann")}, first["requestState"]).result
    assert list(second["inputRequests"]) == ["step2"]
    assert second["requestState"] != first["requestState"]
    third = again(ROUNDS, {"step2": form(color="red")}, second["requestState"]).result
    assert text(third) == "Ann likes red"


@pytest.mark.parametrize("elicitation", [None, {"url": {}}, 1])
def test_names_the_capability_that_is_missing(fixture: Daemon, elicitation: object) -> None:
    caps = {"sampling": {}} | ({"elicitation": elicitation} if elicitation else {})
    reply = Mcp(fixture, MODERN, caps).request("tools/call", {"name": NAME})
    assert (reply.status, reply.error["code"]) == (400, MISSING_CAPABILITY)
    assert reply.error["data"] == {"requiredCapabilities": {"elicitation": {}}}


@pytest.mark.parametrize("elicitation", [{}, {"form": {}}, {"form": {}, "url": {}}])
def test_asks_a_client_that_has_forms(fixture: Daemon, elicitation: Json) -> None:
    reply = Mcp(fixture, MODERN, {"elicitation": elicitation}).request("tools/call", {"name": NAME})
    assert reply.result["resultType"] == "input_required"


# The older eras: the server sends requests of its own.


Begin = Callable[..., Talk]


@pytest.fixture(params=LEGACY)
def legacy(fixture: Daemon, request: pytest.FixtureRequest) -> Mcp:
    return Mcp(fixture, request.param, ALL)


@pytest.fixture
def begin(legacy: Mcp) -> Iterator[Begin]:
    with ExitStack() as ends:

        def start(tool: str, **arguments: object) -> Talk:
            return ends.enter_context(Talk(legacy, tool, **arguments))

        yield start


def test_asks_on_the_stream_of_the_call(begin: Begin) -> None:
    talk = begin("test_sampling", prompt="Why?")
    asked = talk.next()
    assert asked["method"] == "sampling/createMessage"
    assert asked["params"]["messages"][0]["content"]["text"] == "Why?"
    answer = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "So."}}
    assert talk.answer(asked, result=answer) == 202
    last = talk.next()
    assert last["id"] == talk.id
    assert text(last["result"]) == "LLM response: So."


def test_waits_for_all_answers_and_goes_on_with_its_state(begin: Begin) -> None:
    talk = begin("test_input_required_result_multiple_inputs")
    asked = {request["method"]: request for request in (talk.next(), talk.next(), talk.next())}
    assert len({request["id"] for request in asked.values()}) == 3
    greeting = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "Hi"}}
    talk.answer(asked["roots/list"], result={"roots": []})
    talk.answer(asked["sampling/createMessage"], result=greeting)
    talk.answer(asked["elicitation/create"], result=form(name="Ann"))
    assert text(talk.next()["result"]) == "Hi, Ann! 0 roots"


def test_asks_a_second_time_with_another_id(begin: Begin) -> None:
    talk = begin(ROUNDS)
    first = talk.next()
    talk.answer(first, result=form(name="Ann"))
    second = talk.next()
    assert second["id"] != first["id"]
    talk.answer(first, result=form(color="blue"))  # too late: nobody asks for that any more
    talk.answer(second, result=form(color="red"))
    assert text(talk.next()["result"]) == "Ann likes red"


@pytest.mark.parametrize(
    "members", [{"error": {"code": -1, "message": "User said no"}}, {"result": 5}]
)
def test_a_refusal_fails_the_call(begin: Begin, members: Json) -> None:
    talk = begin("test_sampling", prompt="Why?")
    assert talk.answer(talk.next(), **members) == 202
    result = talk.next()["result"]
    assert result["isError"]
    assert "The client refused sampling/createMessage" in text(result)


def test_another_session_cannot_answer(begin: Begin, legacy: Mcp, fixture: Daemon) -> None:
    talk = begin(NAME)
    asked = talk.next()
    other = Mcp(fixture, legacy.version, ALL)
    other.post({"jsonrpc": "2.0", "id": asked["id"], "result": form(name="Eve")})
    talk.answer(asked, result=form(name="Ann"))
    assert text(talk.next()["result"]) == "Hello, Ann!"


def test_a_cancelled_call_waits_no_longer(begin: Begin, legacy: Mcp) -> None:
    talk = begin(NAME)
    asked = talk.next()
    notification = legacy.message("notifications/cancelled", {"requestId": talk.id})
    assert legacy.post(notification).status == 202
    assert list(talk.messages()) == []
    assert talk.answer(asked, result=form(name="Ann")) == 202


def test_the_end_of_the_session_ends_the_call(begin: Begin, legacy: Mcp, fixture: Daemon) -> None:
    talk = begin(NAME)
    talk.next()
    headers = {"Mcp-Session-Id": str(legacy.session)}
    assert exchange(fixture, "DELETE", headers=headers).status == 204
    assert list(talk.messages()) == []


def test_fails_where_no_question_can_be_sent(legacy: Mcp, fixture: Daemon) -> None:
    message = legacy.message("tools/call", {"name": NAME}, id=1)
    reply = legacy.post(message, {"Accept": "application/json"})
    assert reply.result["isError"]
    assert "Accept: text/event-stream" in text(reply.result)
    legacy.session = None
    assert legacy.request("tools/call", {"name": NAME}).result["isError"]
    mute = Mcp(fixture, legacy.version).request("tools/call", {"name": NAME})
    assert text(mute.result) == "This needs a client that can do elicitation"


def test_a_batch_asks_nothing(fixture: Daemon) -> None:
    mcp = Mcp(fixture, "2025-03-26", ALL)
    batch = [mcp.message("tools/call", {"name": NAME}, id=1)]
    reply = exchange(fixture, body=json.dumps(batch), headers=mcp.headers(batch[0]))
    assert reply.json[0]["result"]["isError"]


def test_nothing_waits_for_a_client_that_closed_standard_input(tmp_path: Path) -> None:
    command = Daemon(tmp_path / "server", program="sandbox-mcp-fixture").command
    call = {"name": NAME, "arguments": {}}
    with subprocess.Popen(
        [*command, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout
        start = {"protocolVersion": LEGACY[0], "capabilities": ALL, "clientInfo": {}}
        for number, (method, params) in enumerate((("initialize", start), ("tools/call", call))):
            line = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            print(json.dumps(line), file=process.stdin, flush=True)
        assert json.loads(process.stdout.readline())["id"] == 0
        assert json.loads(process.stdout.readline())["method"] == "elicitation/create"
        process.stdin.close()
        last = json.loads(process.stdout.readline())
        assert last["id"] == 1 and last["result"]["isError"]
        assert process.wait(30) == 0
