"""Every revision on one endpoint, chosen by each request."""

from __future__ import annotations

import json

import pytest
from daemon import Daemon
from wire import ACCEPT, ERAS, LEGACY, META, MODERN, Json, Mcp, exchange

BARE = {"Content-Type": "application/json", "Accept": ACCEPT}


def initialize(version: str, **members: object) -> Json:
    client = {"name": "tests", "version": "1"}
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": client}
    return {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params, **members}


def post(server: Daemon, message: object, **headers: str | None):
    return exchange(server, body=json.dumps(message), headers=BARE | headers)


# ---- what every era has ----


@pytest.mark.parametrize("path", ["/", "/mcp", "/mcp/"])
@pytest.mark.parametrize("version", ERAS)
def test_each_spelling_of_the_endpoint_serves(server: Daemon, path: str, version: str) -> None:
    mcp = Mcp(server, version)
    message = mcp.message("tools/list", id=7)
    reply = exchange(server, path=path, body=json.dumps(message), headers=mcp.headers(message))
    assert reply.status == 200
    assert reply.json["id"] == 7


def test_lists_its_tools_in_the_same_order(mcp: Mcp) -> None:
    names = [[t["name"] for t in mcp.request("tools/list").result["tools"]] for _ in range(2)]
    assert names[0] == names[1]
    assert names[0][0] == "read_file"


def test_a_tool_has_what_clients_need(mcp: Mcp) -> None:
    for tool in mcp.request("tools/list").result["tools"]:
        assert tool["title"] and tool["description"]
        assert tool["inputSchema"]["type"] == "object"
        hints = {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
        assert hints <= set(tool["annotations"])
        for name, parameter in tool["inputSchema"]["properties"].items():
            assert parameter["description"], name
        text = json.dumps(tool)
        assert "$ref" not in text and "anyOf" not in text and "oneOf" not in text


def test_a_failure_is_a_result_with_an_error(mcp: Mcp) -> None:
    result = mcp.call("read_file", path="missing.txt")
    assert result["isError"] is True
    assert "missing.txt" in result["content"][0]["text"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({}, "path"),
        ({"path": 7}, "path"),
        ({"path": ["a"]}, "path"),
        ({"path": "a", "ofset": 1}, "ofset"),
        ({"path": "a", "offset": 0}, "offset"),
        ({"path": "a", "offset": "1"}, "offset"),
        ({"path": "a", "offset": 1.5}, "offset"),
        ({"path": "a\0b"}, "path"),
    ],
)
def test_wrong_arguments_are_results_that_name_them(
    modern: Mcp, arguments: Json, named: str
) -> None:
    result = modern.call("read_file", **arguments)
    assert result["isError"] is True
    assert named in result["content"][0]["text"]


def test_an_unknown_tool_is_an_error_of_the_protocol(mcp: Mcp) -> None:
    error = mcp.request("tools/call", {"name": "read_fil", "arguments": {}}).error
    assert error["code"] == -32602
    assert "read_fil" in error["message"]


@pytest.mark.parametrize("params", [{}, {"name": 7}, {"name": None}])
def test_a_call_of_nothing_is_refused(mcp: Mcp, params: Json) -> None:
    assert mcp.request("tools/call", params).error["code"] == -32602


@pytest.mark.parametrize("arguments", [[], "path", 7])
def test_arguments_are_an_object(mcp: Mcp, arguments: object) -> None:
    result = mcp.request("tools/call", {"name": "read_file", "arguments": arguments}).result
    assert result["isError"] is True and "arguments" in result["content"][0]["text"]


def test_an_unknown_method_is_none(mcp: Mcp) -> None:
    reply = mcp.request("tools/lists")
    assert reply.error["code"] == -32601
    assert reply.status == (404 if mcp.modern else 200)


@pytest.mark.parametrize("id", [0, -1, 2**53, "", "a-b", "ü", "x" * 1000])
def test_an_answer_bears_the_id_as_it_was(mcp: Mcp, id: object) -> None:
    assert mcp.post(mcp.message("tools/list", id=id)).json["id"] == id


@pytest.mark.parametrize("id", [None, 1.5, True, [], {}])
def test_an_id_is_a_string_or_a_whole_number(mcp: Mcp, id: object) -> None:
    reply = mcp.post(mcp.message("tools/list", id=id))
    assert reply.error["code"] == -32600
    assert reply.status == 400


def test_a_notification_is_taken_without_a_word(mcp: Mcp) -> None:
    reply = mcp.post(mcp.message("notifications/cancelled", {"requestId": 99}))
    assert (reply.status, reply.body) == (202, b"")


def test_an_event_stream_is_given_where_nothing_else_is_accepted(mcp: Mcp) -> None:
    reply = mcp.post(mcp.message("tools/list", id=3), {"Accept": "text/event-stream"})
    assert reply.headers.get_content_type() == "text/event-stream"
    assert reply.headers["X-Accel-Buffering"] == "no"
    assert "no-cache" in reply.headers["Cache-Control"]
    assert reply.messages[-1]["id"] == 3


@pytest.mark.parametrize("accept", ["*/*", "application/*", "application/json", None, ACCEPT])
def test_json_is_given_where_it_is_accepted(mcp: Mcp, accept: str | None) -> None:
    reply = mcp.post(mcp.message("tools/list", id=3), {"Accept": accept})
    assert reply.headers.get_content_type() == "application/json"
    assert reply.json["id"] == 3


def test_other_types_are_not_to_be_had(mcp: Mcp) -> None:
    assert mcp.post(mcp.message("tools/list", id=3), {"Accept": "text/html"}).status == 406


def test_progress_rises_before_the_result(mcp: Mcp) -> None:
    params = {
        "name": "run_command",
        "arguments": {"command": "for i in 1 2 3; do echo $i; sleep 0.4; done"},
        "_meta": {"progressToken": "token-1"},
    }
    messages = mcp.request("tools/call", params).messages
    steps = [m["params"] for m in messages if m.get("method") == "notifications/progress"]
    assert steps and all(step["progressToken"] == "token-1" for step in steps)
    values = [step["progress"] for step in steps]
    assert values == sorted(set(values))
    assert messages[-1]["result"]["content"]


# ---- 2026-07-28 ----


def test_modern_results_say_that_they_are_complete(modern: Mcp) -> None:
    for method in ("server/discover", "tools/list"):
        result = modern.request(method).result
        assert result["resultType"] == "complete"
        assert result["ttlMs"] >= 0 and result["cacheScope"] in ("public", "private")
        assert result["_meta"][META + "serverInfo"]["name"] == "sandbox-mcp"
    assert modern.call("read_file", path="x")["resultType"] == "complete"


def test_discover_names_every_revision(modern: Mcp) -> None:
    result = modern.request("server/discover").result
    assert result["supportedVersions"][0] == MODERN
    assert len(result["instructions"]) > 0


@pytest.mark.parametrize("missing", ["protocolVersion", "clientCapabilities"])
def test_a_modern_request_must_say_what_its_client_is(modern: Mcp, missing: str) -> None:
    message = modern.message("tools/list", id=5)
    del message["params"]["_meta"][META + missing]
    reply = modern.post(message)
    assert (reply.status, reply.error["code"], reply.json["id"]) == (400, -32602, 5)


def test_a_modern_client_need_not_name_itself(modern: Mcp) -> None:
    message = modern.message("tools/list", id=5)
    del message["params"]["_meta"][META + "clientInfo"]
    assert modern.post(message).status == 200


def test_an_unknown_revision_is_told_those_there_are(modern: Mcp) -> None:
    message = modern.message("tools/list", id=5)
    message["params"]["_meta"][META + "protocolVersion"] = "2030-01-01"
    reply = modern.post(message, {"MCP-Protocol-Version": "2030-01-01"})
    assert (reply.status, reply.error["code"]) == (400, -32022)
    assert reply.error["data"]["requested"] == "2030-01-01"
    assert MODERN in reply.error["data"]["supported"]


MISMATCHES = [
    {"MCP-Protocol-Version": "2025-11-25"},
    {"MCP-Protocol-Version": None},
    {"Mcp-Method": "tools/list"},
    {"Mcp-Method": "TOOLS/CALL"},
    {"Mcp-Method": None},
    {"Mcp-Name": "write_file"},
    {"Mcp-Name": None},
    {"Mcp-Name": "=?base64?cmVhZF9maWxlCg==?="},
    {"Mcp-Name": "=?base64?!!!?="},
]


@pytest.mark.parametrize("headers", MISMATCHES, ids=str)
def test_headers_must_say_what_the_body_says(modern: Mcp, headers: dict[str, str | None]) -> None:
    message = modern.message("tools/call", {"name": "read_file", "arguments": {"path": "x"}}, id=6)
    reply = modern.post(message, headers)
    assert (reply.status, reply.error["code"], reply.json["id"]) == (400, -32020, 6)


@pytest.mark.parametrize("name", ["read_file", "  read_file\t", "=?base64?cmVhZF9maWxl?="])
def test_a_name_may_be_padded_or_encoded(modern: Mcp, name: str) -> None:
    message = modern.message("tools/call", {"name": "read_file", "arguments": {"path": "x"}}, id=6)
    assert modern.post(message, {"Mcp-Name": name}).status == 200


@pytest.mark.parametrize(
    "method", ["initialize", "ping", "logging/setLevel", "resources/subscribe", "tools/lists"]
)
def test_what_the_modern_era_dropped_is_gone(modern: Mcp, method: str) -> None:
    reply = modern.request(method)
    assert (reply.status, reply.error["code"]) == (404, -32601)


def test_a_modern_request_ignores_a_session(modern: Mcp) -> None:
    message = modern.message("tools/list", id=5)
    assert modern.post(message, {"Mcp-Session-Id": "what?"}).status == 200
    assert "Mcp-Session-Id" not in modern.post(message).headers


def test_a_modern_batch_is_refused(modern: Mcp) -> None:
    message = modern.message("tools/list", id=5)
    reply = exchange(modern.daemon, body=json.dumps([message]), headers=modern.headers(message))
    assert (reply.status, reply.error["code"]) == (400, -32600)


# ---- the eras with sessions ----


@pytest.fixture(params=LEGACY)
def legacy(server: Daemon, request: pytest.FixtureRequest) -> Mcp:
    return Mcp(server, request.param)


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        *((version, version) for version in LEGACY),
        ("2024-11-05", "2024-11-05"),
        (MODERN, "2025-11-25"),
        ("2030-01-01", "2025-11-25"),
        ("latest", "2025-11-25"),
    ],
)
def test_initialize_settles_on_a_revision(server: Daemon, asked: str, given: str) -> None:
    result = post(server, initialize(asked)).result
    assert result["protocolVersion"] == given
    assert result["serverInfo"]["name"] == "sandbox-mcp"
    assert "tools" in result["capabilities"]
    assert "resultType" not in result


def test_legacy_results_bear_nothing_modern(legacy: Mcp) -> None:
    result = legacy.request("tools/list").result
    assert not {"resultType", "ttlMs", "cacheScope"} & set(result)
    assert legacy.request("ping").result == {}


def test_session_ids_are_visible_ascii_and_unlike(server: Daemon) -> None:
    ids = {Mcp(server, LEGACY[0]).session or "" for _ in range(20)}
    assert len(ids) == 20
    assert all(0x21 <= ord(c) <= 0x7E for id in ids for c in id)


def test_a_client_that_lost_its_session_is_still_served(legacy: Mcp) -> None:
    reply = legacy.post(legacy.message("tools/list", id=1), {"Mcp-Session-Id": None})
    assert reply.status == 200


@pytest.mark.parametrize("id", ["x", "A" * 43, "A" * 5000])
def test_a_session_that_never_was_is_not_found(legacy: Mcp, id: str) -> None:
    reply = legacy.post(legacy.message("tools/list", id=1), {"Mcp-Session-Id": id})
    assert reply.status == 404


@pytest.mark.parametrize("around", ["  {}", "{} ", "\t {}\t \t"])
def test_the_space_around_a_header_is_no_part_of_it(legacy: Mcp, around: str) -> None:
    headers = {
        "Mcp-Session-Id": around.format(legacy.session),
        "MCP-Protocol-Version": around.format(legacy.version),
    }
    assert legacy.request("tools/list", **headers).result["tools"]
    headers["Mcp-Session-Id"] = around.format(legacy.session[:20] + " " + legacy.session[20:])
    assert legacy.request("tools/list", **headers).status == 404


def test_a_changed_session_id_is_not_found(legacy: Mcp) -> None:
    assert legacy.session
    last = "A" if legacy.session[-1] != "A" else "Q"
    for id in (legacy.session[:-1] + last, legacy.session[:-1], legacy.session + "A"):
        reply = legacy.post(legacy.message("tools/list", id=1), {"Mcp-Session-Id": id})
        assert reply.status == 404, id


def test_a_deleted_session_is_gone_and_the_others_stay(server: Daemon, legacy: Mcp) -> None:
    other = Mcp(server, legacy.version)
    headers = {"Mcp-Session-Id": legacy.session}
    assert exchange(server, "DELETE", headers=headers).status in (200, 204)
    assert exchange(server, "DELETE", headers=headers).status == 404
    assert legacy.request("tools/list").status == 404
    assert exchange(server, "GET", headers=headers | {"Accept": "text/event-stream"}).status == 404
    assert other.request("tools/list").status == 200


def test_a_new_session_may_begin_with_an_old_one_s_id(server: Daemon, legacy: Mcp) -> None:
    reply = post(server, initialize(legacy.version), **{"Mcp-Session-Id": "gone"})
    assert reply.status == 200
    assert reply.headers["Mcp-Session-Id"] not in (None, "gone")


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "stopped"])
def test_sessions_outlive_the_server(server: Daemon, legacy: Mcp, kill: bool) -> None:
    gone = Mcp(server, legacy.version)
    exchange(server, "DELETE", headers={"Mcp-Session-Id": gone.session})
    server.kill() if kill else server.stop()
    server.start()
    assert legacy.request("tools/list").status == 200
    assert gone.request("tools/list").status == 404


@pytest.mark.parametrize("version", ["2030-01-01", "x", ""])
def test_an_unknown_revision_in_a_session_is_refused(legacy: Mcp, version: str) -> None:
    message = legacy.message("tools/list", id=1)
    assert legacy.post(message, {"MCP-Protocol-Version": version or " "}).status in (
        (400,) if version else (200, 400)
    )


def test_an_old_client_need_not_name_the_revision(legacy: Mcp) -> None:
    message = legacy.message("tools/list", id=1)
    assert legacy.post(message, {"MCP-Protocol-Version": None}).status == 200


def test_batches_are_for_the_revision_that_has_them(legacy: Mcp) -> None:
    batch = [
        legacy.message("ping", id=1),
        legacy.message("notifications/cancelled", {"requestId": 9}),
        legacy.message("nope", id="two"),
        {"jsonrpc": "2.0"},
    ]
    headers = legacy.headers(batch[0])
    reply = exchange(legacy.daemon, body=json.dumps(batch), headers=headers)
    if legacy.version != "2025-03-26":
        assert (reply.status, reply.error["code"]) == (400, -32600)
        return
    answers = {answer.get("id"): answer for answer in reply.json}
    assert answers[1]["result"] == {}
    assert answers["two"]["error"]["code"] == -32601
    assert answers[None]["error"]["code"] == -32600
    assert len(reply.json) == 3


def test_a_batch_of_notifications_is_taken(server: Daemon) -> None:
    mcp = Mcp(server, "2025-03-26")
    batch = [mcp.message("notifications/cancelled", {"requestId": 9})] * 2
    reply = exchange(server, body=json.dumps(batch), headers=mcp.headers(batch[0]))
    assert (reply.status, reply.body) == (202, b"")


def test_an_empty_batch_is_refused(server: Daemon) -> None:
    mcp = Mcp(server, "2025-03-26")
    reply = exchange(server, body="[]", headers=mcp.headers({"method": "ping"}))
    assert (reply.status, reply.error["code"]) == (400, -32600)


def test_responses_are_taken_where_there_are_sessions(legacy: Mcp) -> None:
    response = {"jsonrpc": "2.0", "id": "never-asked", "result": {}}
    assert legacy.post(response).status in (202, 400)


def test_other_methods_are_told_which_there_are(server: Daemon) -> None:
    for method in ("PUT", "PATCH", "TRACE", "WHAT"):
        reply = exchange(server, method)
        assert reply.status == 405
        assert "POST" in reply.headers["Allow"]
