"""Messages as odd clients and attackers send them: the right status and code, and it goes on."""

from __future__ import annotations

import json
import socket

import pytest
from conftest import Launch
from daemon import Daemon
from wire import ACCEPT, LEGACY, META, MODERN, Mcp, exchange

JSON = {"Content-Type": "application/json", "Accept": ACCEPT}


def post(server: Daemon, body: object, **headers: str | None):
    text = body if isinstance(body, (str, bytes)) else json.dumps(body)
    return exchange(server, body=text, headers=JSON | {k.replace("_", "-"): v for k, v in headers.items()})


def request(method: str = "ping", **members: object) -> dict:
    return {"jsonrpc": "2.0", "id": 1, "method": method} | members


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{", -32700),
        ("", -32700),
        ("nonsense", -32700),
        ('{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', -32700),
        ('{"jsonrpc":"2.0","id":"\\ud800","method":"ping"}', -32700),
        (b'{"jsonrpc":"2.0","id":"\xff","method":"ping"}', -32700),
        ('{"jsonrpc":"2.0","id":1,"method":"ping"} tail', -32700),
        ('{"jsonrpc":"2.0","id":99999999999999999999,"method":"ping"}', -32700),
        ("1", -32700),
        ("[]", -32600),
        ("[1]", -32600),
        ('{"id":1,"method":"ping"}', -32600),
        ('{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600),
        ('{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
        ('{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600),
        ('{"jsonrpc":"2.0","id":[1],"method":"ping"}', -32600),
        ('{"jsonrpc":"2.0","id":1,"method":7}', -32600),
        ('{"jsonrpc":"2.0","id":1,"method":"pi\\u0000ng"}', -32600),
        ('{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}', -32600),
        ('{"jsonrpc":"2.0","id":1}', -32600),
        ("[" * 100 + "]" * 100, -32600),
        ('{"jsonrpc":"2.0","id":1' + "0" * 100 + ',"method":"ping"}', -32600),
    ],
)
def test_malformed_messages_are_refused(server: Daemon, body: str | bytes, code: int) -> None:
    reply = post(server, body)
    answer = reply.json[0] if isinstance(reply.json, list) else reply.json
    assert answer["error"]["code"] == code, answer
    assert reply.status == (200 if isinstance(reply.json, list) else 400)
    assert exchange(server, "GET", "/health").status == 200


def test_the_wrong_call_of_the_older_system_is_shown_the_right_one(server: Daemon) -> None:
    reply = post(server, {"tool": "read_file", "args": {"path": "a"}})
    assert reply.status == 400
    assert "tools/call" in reply.json["error"]["message"]


def test_unknown_methods_and_tools(mcp: Mcp) -> None:
    reply = mcp.request("no/such")
    assert reply.error["code"] == -32601
    assert reply.status == (404 if mcp.modern else 200)
    reply = mcp.request("tools/call", {"name": "no_such_tool", "arguments": {}})
    assert reply.error["code"] == -32602 and reply.status == 200


def test_bad_arguments_are_results_that_say_what_to_do(mcp: Mcp) -> None:
    for arguments in ({}, {"path": 5}, {"path": "a", "ofset": 1}, {"path": "a", "offset": "1"}, []):
        reply = mcp.request("tools/call", {"name": "read_file", "arguments": arguments})
        assert reply.result["isError"] is True, arguments
        text = reply.result["content"][0]["text"]
        assert "path" in text or "offset" in text or "object" in text


def test_null_stands_for_an_absent_optional_argument(mcp: Mcp) -> None:
    (mcp.daemon.workspace / "a.txt").write_text("here\n")
    assert "here" in mcp.text("read_file", path="a.txt", offset=None, limit=None)


def test_ids_come_back_as_they_were(mcp: Mcp) -> None:
    for id in (0, -1, 2**53, "", "x", "ä\u0000\U0001f600", '"\\'):
        reply = mcp.post(mcp.message("tools/list", id=id))
        assert reply.json["id"] == id


@pytest.mark.parametrize("path", ["/", "/mcp", "/mcp/"])
def test_the_endpoint_has_three_names_and_no_redirect(server: Daemon, path: str) -> None:
    reply = exchange(server, path=path, body=json.dumps(request()), headers=JSON)
    assert reply.status == 200 and reply.json["result"] == {}


def test_initialize_negotiates_and_never_fails_for_a_version(server: Daemon) -> None:
    for asked, given in [(v, v) for v in (*LEGACY, "2024-11-05")] + [
        (MODERN, "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
        (None, "2025-11-25"),
    ]:
        reply = post(server, request("initialize", params={"protocolVersion": asked}))
        assert reply.result["protocolVersion"] == given
        assert reply.headers["Mcp-Session-Id"]


def test_batches_exist_in_one_revision_only(server: Daemon) -> None:
    batch = [request(), {"jsonrpc": "2.0", "method": "notifications/initialized"}, request("nope", id="b")]
    reply = post(server, batch, MCP_Protocol_Version="2025-03-26")
    answers = {answer["id"]: answer for answer in reply.json}
    assert answers[1]["result"] == {} and answers["b"]["error"]["code"] == -32601
    assert post(server, batch[1:2], MCP_Protocol_Version="2025-03-26").status == 202
    for version in ("2025-06-18", "2025-11-25", MODERN):
        reply = post(server, batch, MCP_Protocol_Version=version)
        assert reply.status == 400 and reply.json["error"]["code"] == -32600
    many = post(server, [request()] * 101, MCP_Protocol_Version="2025-03-26")
    assert many.status == 400
    inside = post(server, [request("initialize")], MCP_Protocol_Version="2025-03-26")
    assert inside.json[0]["error"]["code"] == -32600


def test_unsupported_versions_are_named(server: Daemon) -> None:
    reply = post(server, request(), MCP_Protocol_Version="1900-01-01")
    assert reply.status == 400
    meta = {META + "protocolVersion": "1900-01-01", META + "clientCapabilities": {}}
    reply = post(
        server, request("tools/list", params={"_meta": meta}),
        MCP_Protocol_Version="1900-01-01", Mcp_Method="tools/list",
    )
    assert reply.status == 400 and reply.json["error"]["code"] == -32022
    assert MODERN in reply.json["error"]["data"]["supported"]


def test_modern_headers_have_to_agree_with_the_body(modern: Mcp) -> None:
    message = modern.message("tools/call", {"name": "list_directory", "arguments": {}}, id=1)
    assert modern.post(message).status == 200
    encoded = {"Mcp-Name": "=?base64?bGlzdF9kaXJlY3Rvcnk=?="}
    assert modern.post(message, encoded).status == 200
    for wrong in (
        {"Mcp-Name": "read_file"},
        {"Mcp-Name": "LIST_DIRECTORY"},
        {"Mcp-Name": None},
        {"Mcp-Name": "=?base64?bGlzdF9kaXJlY3Rvcnk?="},
        {"Mcp-Name": "=?base64?!!!!?="},
        {"Mcp-Name": "list_directory\x01"},
        {"Mcp-Method": "tools/list"},
        {"Mcp-Method": None},
        {"MCP-Protocol-Version": None},
        {"MCP-Protocol-Version": "2025-11-25"},
    ):
        reply = modern.post(message, wrong)
        assert reply.status == 400 and reply.json["error"]["code"] == -32020, wrong
        assert reply.json["id"] == 1


def test_modern_requests_need_their_meta(modern: Mcp) -> None:
    version = {META + "protocolVersion": MODERN}
    caps = {META + "clientCapabilities": {}}
    for meta, code in ((version, -32602), (caps, -32602), ({}, -32602)):
        message = {"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {"_meta": meta}}
        reply = modern.post(message)
        assert reply.status == 400 and reply.json["error"]["code"] == code
        assert reply.json["id"] == 7


def test_sessions_end_when_told_and_outlive_the_server(launch: Launch) -> None:
    server = launch()
    kept, ended = Mcp(server, "2025-06-18"), Mcp(server, "2025-06-18")
    headers = {"Mcp-Session-Id": ended.session}
    assert exchange(server, "DELETE", headers=headers).status == 204
    assert exchange(server, "DELETE", headers=headers).status == 404
    assert ended.request("ping").status == 404
    for end in (server.kill, server.stop):
        end()
        server.start()
        assert kept.request("ping").result == {}
        reply = ended.request("ping")
        assert reply.status == 404 and reply.json["error"]["code"] == -32001
    forged = kept.session[:-1] + ("A" if kept.session[-1] != "A" else "E")
    assert exchange(server, body=json.dumps(request()), headers=JSON | {"Mcp-Session-Id": forged}).status == 404
    again = exchange(server, body=json.dumps(request("initialize")), headers=JSON | headers)
    assert again.status == 200 and again.headers["Mcp-Session-Id"] != ended.session


def test_a_new_token_ends_the_sessions_of_the_old(launch: Launch) -> None:
    server = launch()
    mcp = Mcp(server, "2025-06-18")
    server.token_file.unlink()
    assert mcp.request("ping").status == 503
    for half in ("", "A" * 20, "A" * 43, "A" * 42 + "\n", "A" * 43 + "\r\n", "A" * 44 + "\n"):
        server.token_file.write_text(half)
        assert exchange(server, headers={"Authorization": "Bearer " + half.strip()}).status == 503, half
    assert exchange(server, "GET", "/health").status == 200
    server.token = "B" * 43
    server.token_file.write_text(server.token + "\n")
    assert mcp.request("ping").status == 404
    assert Mcp(server, "2025-06-18").request("ping").result == {}


def test_the_token_is_asked_for(server: Daemon) -> None:
    for given in (None, "", "Bearer", "Bearer ", "Bearer x", f"Basic {server.token}", f"Bearer {server.token} "
                  "x", f"Bearer {server.token[:-1]}"):
        for method, path in (("POST", "/mcp"), ("GET", "/mcp"), ("DELETE", "/"), ("GET", "/metrics"),
                             ("GET", "/sse"), ("GET", "/nothing")):
            reply = exchange(server, method, path, headers={"Authorization": given, **JSON})
            assert reply.status == 401, (given, method, path)
            assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert exchange(server, "GET", "/health", headers={"Authorization": None}).json == {"status": "ok"}
    page = exchange(server, "GET", "/", headers={"Authorization": None, "Accept": "text/html"})
    assert page.status == 200 and b"<title>" in page.body
    probe = exchange(server, "GET", "/.well-known/oauth-protected-resource", headers={"Authorization": None})
    assert probe.status == 404


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("localhost", None, 200),
        ("localhost:1234", None, 200),
        ("127.9.9.9", None, 200),
        ("[::1]:80", None, 200),
        ("evil.example.com", None, 403),
        ("localhost.evil.example.com", None, 403),
        ("evil.example.com:127.0.0.1", None, 403),
        ("127.0.0.1.evil.example.com", None, 403),
        ("box.good.example", None, 200),
        ("good.example", None, 403),
        ("localhost", "http://localhost", 200),
        ("localhost:81", "http://localhost:81", 200),
        ("localhost:81", "http://localhost:82", 403),
        ("localhost", "http://evil.example.com", 403),
        ("localhost", "null", 403),
        ("localhost", "https://app.example", 200),
        ("localhost", "https://app.example.evil", 403),
        ("box.good.example", "https://box.good.example", 200),
        ("box.good.example", "https://other.good.example", 403),
    ],
)
def test_host_and_origin_are_checked(launch: Launch, host: str, origin: str | None, status: int) -> None:
    server = launch("--allow-host", "*.good.example", "--allow-origin", "https://app.example")
    for path in ("/mcp", "/health"):
        method, body = ("POST", json.dumps(request())) if path == "/mcp" else ("GET", None)
        reply = exchange(server, method, path, body, JSON | {"Host": host, "Origin": origin})
        assert reply.status == status, path
    if origin == "https://app.example":
        assert reply.headers["Access-Control-Allow-Origin"] == origin


@pytest.mark.parametrize(
    ("site", "mode", "status"),
    [
        ("cross-site", "no-cors", 403),
        ("same-site", "no-cors", 403),
        ("cross-site", "navigate", 200),
        ("same-origin", "cors", 200),
        ("none", "navigate", 200),
    ],
)
def test_pages_of_others_load_no_script_from_here(
    launch: Launch, site: str, mode: str, status: int
) -> None:
    server = launch(with_token=False)
    (server.workspace / "data.js").write_text("secret()")
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
    assert exchange(server, "GET", "/files?path=data.js", headers=headers).status == status


def test_preflight_is_answered_for_allowed_origins(launch: Launch) -> None:
    server = launch("--allow-origin", "https://app.example")
    asks = {"Access-Control-Request-Method": "POST", "Authorization": None}
    reply = exchange(server, "OPTIONS", headers=asks | {"Origin": "https://app.example"})
    assert reply.status == 204
    assert "Authorization" in reply.headers["Access-Control-Allow-Headers"]
    assert exchange(server, "OPTIONS", headers=asks | {"Origin": "https://evil.example"}).status == 403


def test_only_json_is_taken(server: Daemon) -> None:
    body = json.dumps(request())
    for kind, status in (("application/json; charset=utf-8", 200), ("APPLICATION/JSON", 200),
                         ("text/plain", 415), ("application/x-www-form-urlencoded", 415),
                         ("application/jsonp", 415), (None, 415)):
        headers = {"Content-Type": kind, "Accept": ACCEPT}
        for path in ("/mcp", "/messages"):
            got = exchange(server, path=path, body=body, headers=headers).status
            assert got == (status if path == "/mcp" or status == 415 else 404), (kind, path)


def test_answers_come_in_a_form_that_the_client_takes(server: Daemon) -> None:
    body = json.dumps(request())
    for accept, kind in ((None, "application/json"), ("*/*", "application/json"),
                         ("application/json", "application/json"), ("text/event-stream", "text/event-stream"),
                         ("application/*", "application/json"), (ACCEPT, "application/json")):
        reply = exchange(server, body=body, headers=JSON | {"Accept": accept})
        assert reply.headers.get_content_type() == kind and reply.result == {}
    for refused in ("text/html", "application/json;q=0", "application/json; q=0.0, text/html"):
        assert exchange(server, body=body, headers=JSON | {"Accept": refused}).status == 406
    for taken in ("application/json;q=0.5", "application/json; q=0.01", "text/html;q=0, */*;q=0.1"):
        assert exchange(server, body=body, headers=JSON | {"Accept": taken}).result == {}


def test_methods_that_the_endpoint_lacks(server: Daemon) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE", "HEAD"):
        reply = exchange(server, method, headers={"Accept": ACCEPT})
        assert reply.status == 405, method
    assert exchange(server, "GET", "/nothing").status == 404
    assert exchange(server, "GET", headers={"Accept": ACCEPT, "Mcp-Session-Id": "x" * 43}).status == 404


def test_limits_at_their_edges(launch: Launch) -> None:
    server = launch("--max-body-bytes", "2000", "--max-json-depth", "5", "--max-string-bytes", "500",
                    "--max-number-digits", "10")
    def padded(size: int) -> str:
        text = json.dumps(request())
        return text + " " * (size - len(text))
    assert post(server, padded(2000)).status == 200
    assert post(server, padded(2001)).status == 413
    def nested(depth: int) -> dict:
        value: object = 1
        for _ in range(depth):
            value = [value]
        return request(params={"x": value})
    assert post(server, nested(3)).status == 200
    assert post(server, nested(4)).status == 400
    assert post(server, request(params={"x": "y" * 500})).status == 200
    assert post(server, request(params={"x": "y" * 501})).status == 400
    assert post(server, request(params={"x": 1234567890})).status == 200
    assert post(server, request(params={"x": 12345678901})).status == 400


def test_chunked_bodies_are_limited_too(launch: Launch) -> None:
    server = launch("--max-body-bytes", "2000")
    body = json.dumps(request()).encode()
    chunked = exchange(server, body=iter([body[:9], body[9:]]), headers=JSON)
    assert chunked.result == {}
    assert exchange(server, body=iter([b" " * 1000] * 50), headers=JSON).status == 413


def test_long_heads_are_refused(launch: Launch) -> None:
    server = launch("--max-header-bytes", "4096")
    assert exchange(server, "GET", "/health", headers={"X": "y" * 2000}).status == 200
    assert exchange(server, "GET", "/health", headers={"X": "y" * 5000}).status in (413, 431)


@pytest.mark.parametrize(
    "head",
    [
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"GET /health HTTP/1.1\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
    ],
)
def test_ambiguous_heads_end_the_connection(server: Daemon, head: bytes) -> None:
    host, port = server.host.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as sock:
        sock.sendall(head)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := sock.recv(4096):
            answer += piece
    assert not answer or b" 400 " in answer.splitlines()[0], answer
    assert exchange(server, "GET", "/health").status == 200


def test_answers_to_nothing_are_accepted(mcp: Mcp) -> None:
    if not mcp.modern:
        answer = {"jsonrpc": "2.0", "id": "ask-1", "result": {}}
        assert exchange(mcp.daemon, body=json.dumps(answer), headers=JSON | {"Mcp-Session-Id": mcp.session}).status == 202
    assert mcp.post(mcp.message("notifications/cancelled", {"requestId": 99})).status == 202


def test_large_messages_are_parsed_elsewhere_and_answered_alike(mcp: Mcp) -> None:
    filler = {"filler": ["x" * 1000] * 300}
    message = mcp.message("tools/list", {"_meta": filler}, id="big")
    assert mcp.post(message).json["id"] == "big"


def test_messages_of_the_stateless_era_are_no_part_of_a_batch(server: Daemon) -> None:
    meta = {META + "protocolVersion": MODERN, META + "clientCapabilities": {}}
    listen = request("subscriptions/listen", params={"_meta": meta, "notifications": {}})
    reply = post(server, [request(), listen], MCP_Protocol_Version="2025-03-26")
    assert [answer.get("error", {}).get("code") for answer in reply.json] == [None, -32600]
