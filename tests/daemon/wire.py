"""As little of MCP's client side as the tests need: raw requests in each era."""

from __future__ import annotations

import http.client
import itertools
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from daemon import Daemon

MODERN = "2026-07-28"
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26")
ERAS = (MODERN, *LEGACY)

META = "io.modelcontextprotocol/"
ACCEPT = "application/json, text/event-stream"
TIMEOUT = 30

Json = dict[str, Any]


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def messages(self) -> list[Json]:
        """The JSON-RPC messages, whether they came as JSON or as events."""
        if self.headers.get_content_type() != "text/event-stream":
            return [self.json]
        blocks = self.body.decode().split("\n\n")
        data = [re.findall(r"^data: (.*)$", block, re.M) for block in blocks]
        return [json.loads("".join(lines)) for lines in data if any(lines)]

    @property
    def result(self) -> Json:
        last = self.messages[-1]
        assert "result" in last, last
        return last["result"]

    @property
    def error(self) -> Json:
        last = self.messages[-1]
        assert "error" in last, last
        return last["error"]


class Exchange:
    """One HTTP request on a connection of its own, sent; the answer is read when asked for."""

    def __init__(
        self,
        daemon: Daemon,
        method: str = "POST",
        path: str = "/mcp",
        body: bytes | str | None = None,
        headers: dict[str, str | None] | None = None,
    ):
        token = {"Authorization": f"Bearer {daemon.token}"} if daemon.token else {}
        every = token | (headers or {})
        self.connection = http.client.HTTPConnection(daemon.host, timeout=TIMEOUT)
        self.connection.request(method, path, body, {k: v for k, v in every.items() if v})

    def __enter__(self) -> Exchange:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        if "response" in self.__dict__:
            self.response.close()  # it holds the socket, too

    def half_close(self) -> None:
        """Says that nothing more will be sent."""
        self.connection.sock.shutdown(socket.SHUT_WR)

    @cached_property
    def response(self) -> http.client.HTTPResponse:
        return self.connection.getresponse()

    @property
    def reply(self) -> Reply:
        return Reply(self.response.status, self.response.headers, self.response.read())

    def lines(self) -> Iterator[str]:
        """The lines of an event stream, comments too."""
        assert self.response.headers.get_content_type() == "text/event-stream", self.reply
        while line := self.response.readline():
            yield line.decode().rstrip("\n")

    def messages(self) -> Iterator[Json]:
        """The JSON-RPC messages of an event stream, as they come."""
        for line in self.lines():
            if line.startswith("data: ") and len(line) > len("data: "):
                yield json.loads(line.removeprefix("data: "))


def exchange(*arguments: Any, **options: Any) -> Reply:
    """One HTTP request and its whole answer; with the token unless told otherwise."""
    with Exchange(*arguments, **options) as done:
        return done.reply


class Mcp:
    """A client of one era; initialises where the era has sessions."""

    def __init__(self, daemon: Daemon, version: str = MODERN, capabilities: Json | None = None):
        self.daemon = daemon
        self.version = version
        self.capabilities = capabilities or {}
        self.session: str | None = None
        self.ids = itertools.count(1)
        if not self.modern:
            self.initialize()

    @property
    def modern(self) -> bool:
        return self.version == MODERN

    def initialize(self) -> None:
        params = {
            "protocolVersion": self.version,
            "capabilities": self.capabilities,
            "clientInfo": {"name": "tests", "version": "1"},
        }
        reply = self.request("initialize", params)
        assert reply.result["protocolVersion"] == self.version
        self.session = reply.headers["Mcp-Session-Id"]
        assert self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}).status == 202

    def headers(self, message: Json) -> dict[str, str | None]:
        headers: dict[str, str | None] = {"Content-Type": "application/json", "Accept": ACCEPT}
        if self.session:
            headers["Mcp-Session-Id"] = self.session
        if self.modern:
            params = message.get("params", {})
            headers["Mcp-Method"] = message["method"]
            name = params.get("name") or params.get("uri")
            headers["Mcp-Name"] = name if isinstance(name, str) else None
        if self.modern or message.get("method") != "initialize":
            headers["MCP-Protocol-Version"] = self.version
        return headers

    def message(self, method: str, params: Json | None = None, **members: Any) -> Json:
        params = dict(params or {})
        if self.modern:
            meta = {
                META + "protocolVersion": self.version,
                META + "clientCapabilities": self.capabilities,
                META + "clientInfo": {"name": "tests", "version": "1"},
            }
            params["_meta"] = meta | params.get("_meta", {})
        return {"jsonrpc": "2.0", "method": method, "params": params, **members}

    def open(self, message: Json, headers: dict[str, str | None] | None = None) -> Exchange:
        """Sends a message, whose answer may take its time."""
        every = self.headers(message) | (headers or {})
        return Exchange(self.daemon, body=json.dumps(message), headers=every)

    def post(self, message: Json, headers: dict[str, str | None] | None = None) -> Reply:
        with self.open(message, headers) as done:
            return done.reply

    def begin(self, method: str, params: Json | None = None, **headers: str | None) -> Exchange:
        return self.open(self.message(method, params, id=next(self.ids)), headers)

    def request(self, method: str, params: Json | None = None, **headers: str | None) -> Reply:
        with self.begin(method, params, **headers) as done:
            return done.reply

    def listen(self) -> Exchange:
        """The GET stream of a session."""
        headers = {"Accept": "text/event-stream", "Mcp-Session-Id": self.session}
        return Exchange(self.daemon, "GET", headers=headers)

    def call(self, tool: str, **arguments: Any) -> Json:
        return self.request("tools/call", {"name": tool, "arguments": arguments}).result

    def text(self, tool: str, **arguments: Any) -> str:
        """The text of a call that went well."""
        result = self.call(tool, **arguments)
        text = "".join(c["text"] for c in result["content"] if c["type"] == "text")
        assert not result.get("isError"), text
        return text
