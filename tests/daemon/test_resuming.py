"""Streams of 2025-11-25 that the client comes back to; the tools are the conformance suite's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from daemon import Daemon
from talk import Talk
from wire import LEGACY, Exchange, Json, Mcp

CAPABILITIES = {"elicitation": {}}
ASKS = "test_input_required_result_elicitation"
LEAVES = "test_reconnection"

ANSWER: Json = {"action": "accept", "content": {"name": "Ann"}}


def next_event(stream: Exchange) -> dict[str, str]:
    """The fields of the next event."""
    event: dict[str, str] = {}
    for line in stream.lines():
        if not line:
            return event
        name, _, value = line.partition(": ")
        event[name] = value
    raise AssertionError("the stream ended")


@pytest.fixture
def fixture(launch: Callable[..., Daemon]) -> Daemon:
    return launch(program="sandbox-mcp-fixture")


@pytest.fixture
def mcp(fixture: Daemon) -> Mcp:
    return Mcp(fixture, "2025-11-25", CAPABILITIES)


@pytest.fixture
def ends() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


Resume = Callable[..., Exchange]


@pytest.fixture
def resume(mcp: Mcp, ends: ExitStack) -> Resume:
    def start(event_id: str, session: str | None = None) -> Exchange:
        headers: dict[str, str | None] = {
            "Accept": "text/event-stream",
            "Mcp-Session-Id": session or mcp.session,
            "Last-Event-ID": event_id,
        }
        return ends.enter_context(Exchange(mcp.daemon, "GET", headers=headers))

    return start


@pytest.fixture
def begin(mcp: Mcp, ends: ExitStack) -> Callable[[str], tuple[Talk, str]]:
    def start(tool: str) -> tuple[Talk, str]:
        talk = ends.enter_context(Talk(mcp, tool))
        first = next_event(talk)
        assert first["data"] == "" and int(first["retry"]) > 0
        return talk, first["id"]

    return start


Begin = Callable[[str], tuple[Talk, str]]


def test_a_stream_that_the_server_ended_goes_on(begin: Begin, resume: Resume) -> None:
    talk, event_id = begin(LEAVES)
    assert list(talk.messages()) == []
    last = next(resume(event_id).messages())
    assert last["id"] == talk.id
    assert last["result"]["content"][0]["text"].startswith("Reconnection test completed")


def test_a_stream_that_broke_goes_on(begin: Begin, resume: Resume) -> None:
    talk, event_id = begin(ASKS)
    asked = talk.next()
    talk.connection.close()
    rest = resume(event_id)
    assert talk.answer(asked, result=ANSWER) == 202
    assert [message["id"] for message in rest.messages()] == [talk.id]


def test_the_space_around_an_event_s_id_is_no_part_of_it(begin: Begin, resume: Resume) -> None:
    talk, event_id = begin(LEAVES)
    assert list(talk.messages()) == []
    assert next(resume(f"\t{event_id} ").messages())["id"] == talk.id


def test_the_client_may_notice_first_and_come_back_again(begin: Begin, resume: Resume) -> None:
    talk, event_id = begin(ASKS)
    asked = talk.next()
    second = resume(event_id)
    assert list(talk.messages()) == []
    again = next_event(second)
    assert again["id"] == event_id
    third = resume(again["id"])
    assert list(second.messages()) == []
    talk.answer(asked, result=ANSWER)
    assert next(third.messages())["result"]["content"][0]["text"] == "Hello, Ann!"


def test_what_was_sent_is_not_sent_again(begin: Begin, resume: Resume) -> None:
    talk, event_id = begin(LEAVES)
    assert list(talk.messages()) == []
    assert len(list(resume(event_id).messages())) == 1
    assert resume(event_id).response.status == 405


def test_nothing_is_left_of_a_call_that_was_cancelled(begin: Begin, resume: Resume, mcp: Mcp) -> None:
    talk, event_id = begin(ASKS)
    talk.next()
    rest = resume(event_id)
    talk.mcp.post(mcp.message("notifications/cancelled", {"requestId": talk.id}))
    assert list(rest.messages()) == []
    assert resume(event_id).response.status == 405


def test_strangers_get_nothing(begin: Begin, resume: Resume, fixture: Daemon) -> None:
    talk, event_id = begin(ASKS)
    asked = talk.next()
    other = Mcp(fixture, "2025-11-25").session
    assert resume(event_id, session=other).response.status == 405
    assert resume(event_id + "0").response.status == 405
    talk.answer(asked, result=ANSWER)
    assert talk.next()["id"] == talk.id


@pytest.mark.parametrize("version", [version for version in LEGACY if version != "2025-11-25"])
def test_older_clients_get_no_ids(fixture: Daemon, ends: ExitStack, version: str) -> None:
    talk = ends.enter_context(Talk(Mcp(fixture, version, CAPABILITIES), ASKS))
    assert set(next_event(talk)) == {"event", "data"}
