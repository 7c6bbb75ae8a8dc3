"""HTTP beneath MCP, byte by byte: pipelines, chunks, half-closed and slow connections."""

from __future__ import annotations

import json
import re
import socket
from contextlib import suppress

import pytest
from daemon import Daemon
from wire import ACCEPT, TIMEOUT, Mcp

pytestmark = pytest.mark.threads

HEAD = ["Content-Type: application/json", f"Accept: {ACCEPT}"]
LAST = [*HEAD, "Connection: close"]
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


def connect(server: Daemon) -> socket.socket:
    host, port = server.host.split(":")
    return socket.create_connection((host, int(port)), TIMEOUT)


def read_all(connection: socket.socket) -> bytes:
    answer = b""
    while more := connection.recv(65536):
        answer += more
    return answer


def head(server: Daemon, *lines: str, request: str = "POST /mcp HTTP/1.1") -> bytes:
    every = [request, f"Host: {server.host}", f"Authorization: Bearer {server.token}", *lines]
    return ("\r\n".join(every) + "\r\n\r\n").encode("latin-1")


def talk(server: Daemon, raw: bytes, half_close: bool = False) -> bytes:
    """Sends bytes as they are, and returns all that comes until the server closes."""
    with connect(server) as connection:
        connection.sendall(raw)
        if half_close:
            with suppress(OSError):  # it may have been refused and reset already
                connection.shutdown(socket.SHUT_WR)
        return read_all(connection)


def refused(answer: bytes) -> bool:
    return answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4", b"HTTP/1.1 505"))


@pytest.mark.parametrize(
    "raw",
    [
        b"GET\r\n\r\n",
        b"GET /health HTTP/9.9\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\xff" * 100 + b"\r\n\r\n",
        b"G" * 100000,
    ],
    ids=lambda raw: repr(raw[:12]),
)
def test_what_is_no_http_is_refused_or_dropped(server: Daemon, raw: bytes) -> None:
    try:
        assert refused(talk(server, raw, half_close=True))
    except ConnectionError:
        pass
    assert Mcp(server).request("tools/list").status == 200


@pytest.mark.parametrize("length", ["-1", "4x", "+40", "0x28", "99999999999999999999999", "1 1"])
def test_a_length_is_a_plain_number(server: Daemon, length: str) -> None:
    raw = head(server, *LAST, f"Content-Length: {length}") + PING
    assert refused(talk(server, raw, half_close=True))


@pytest.mark.parametrize(
    "line", ["Host: {host}", "Host: evil.example", "Authorization: Bearer x", "Content-Length: 9"]
)
def test_what_may_come_once_comes_once(server: Daemon, line: str) -> None:
    lines = [*LAST, f"Content-Length: {len(PING)}", line.format(host=server.host)]
    assert refused(talk(server, head(server, *lines) + PING, half_close=True))


def test_a_body_may_come_in_chunks(server: Daemon) -> None:
    chunks = [b"1\r\n" + PING[i : i + 1] + b"\r\n" for i in range(len(PING))]
    raw = head(server, *LAST, "Transfer-Encoding: chunked") + b"".join(chunks) + b"0\r\n\r\n"
    assert b'"result":{}' in talk(server, raw)


@pytest.mark.parametrize(
    "body", [b"zz\r\n", b"-1\r\nx\r\n", b"fffffffffffffffffff\r\nx\r\n", b"1\r\nxy\r\n"]
)
def test_a_broken_chunk_is_refused(server: Daemon, body: bytes) -> None:
    raw = head(server, *LAST, "Transfer-Encoding: chunked") + body + b"0\r\n\r\n"
    assert refused(talk(server, raw, half_close=True))


def test_a_request_that_stops_halfway_does_nothing(server: Daemon) -> None:
    body = json.dumps(Mcp(server).message("tools/call", {"name": "run_command"}, id=1)).encode()
    raw = head(server, *LAST, f"Content-Length: {len(body)}") + body
    for length in range(1, len(raw), 7):
        with connect(server) as connection:
            connection.sendall(raw[:length])
    assert Mcp(server).request("tools/list").status == 200


def test_a_half_closed_connection_still_gets_its_answer(server: Daemon) -> None:
    raw = head(server, *LAST, f"Content-Length: {len(PING)}") + PING
    assert b'"result":{}' in talk(server, raw, half_close=True)


def test_requests_in_one_go_are_answered_in_turn(server: Daemon) -> None:
    raw = b""
    for number in range(20):
        body = json.dumps({"jsonrpc": "2.0", "id": number, "method": "ping"}).encode()
        raw += head(server, *HEAD, f"Content-Length: {len(body)}") + body
    answer = talk(server, raw + head(server, "Connection: close", request="GET /health HTTP/1.1"))
    assert [int(n) for n in re.findall(rb'"id":(\d+)', answer)] == list(range(20))
    assert answer.endswith(b'{"status":"ok"}')


def test_a_connection_serves_many_requests(server: Daemon) -> None:
    with connect(server) as connection:
        for _ in range(50):
            connection.sendall(head(server, *HEAD, f"Content-Length: {len(PING)}") + PING)
            assert b'"result":{}' in connection.recv(65536)


def test_head_and_body_of_a_small_answer_leave_together(server: Daemon) -> None:
    with connect(server) as connection:
        for _ in range(20):
            connection.sendall(head(server, *HEAD, f"Content-Length: {len(PING)}") + PING)
            assert connection.recv(65536).endswith(b'"result":{}}')


def test_a_slow_request_is_waited_for(server: Daemon) -> None:
    raw = head(server, *LAST, f"Content-Length: {len(PING)}") + PING
    with connect(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(raw)):
            connection.sendall(raw[i : i + 1])
        assert b'"result":{}' in read_all(connection)


def test_halves_of_requests_keep_nobody_waiting(server: Daemon) -> None:
    halves = [b"", b"\r\n", b"\0" * 100, head(server, *HEAD, "Content-Length: 100")[:-9]]
    waiting = [connect(server) for _ in range(200)]
    for number, connection in enumerate(waiting):
        connection.sendall(halves[number % len(halves)])
    assert Mcp(server).request("tools/list").status == 200
    for connection in waiting:
        connection.close()


def test_a_body_is_asked_for_where_the_client_waits_for_that(server: Daemon) -> None:
    with connect(server) as connection:
        lines = [*LAST, "Expect: 100-continue", f"Content-Length: {len(PING)}"]
        connection.sendall(head(server, *lines))
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(PING)
        assert b'"result":{}' in read_all(connection)


def test_no_body_is_asked_for_without_a_token(server: Daemon) -> None:
    lines = ["POST /mcp HTTP/1.1", f"Host: {server.host}", *LAST]
    lines += ["Expect: 100-continue", "Content-Length: 1000000"]
    with connect(server) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 401 ")


def test_an_old_client_is_answered_and_closed(server: Daemon) -> None:
    answer = talk(server, head(server, request="GET /health HTTP/1.0"))
    assert answer.startswith(b"HTTP/1.") and answer.endswith(b'{"status":"ok"}')


@pytest.mark.parametrize("path", ["/mcp/x", "/MCP", "//mcp", "/mcp/../mcp", "/%", "/x" * 2000])
def test_other_paths_are_not_found(server: Daemon, path: str) -> None:
    lines = [*LAST, f"Content-Length: {len(PING)}"]
    answer = talk(server, head(server, *lines, request=f"POST {path} HTTP/1.1") + PING)
    assert answer.startswith(b"HTTP/1.1 404 "), answer
