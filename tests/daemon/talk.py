"""A call whose stream is read message by message, while the client does other things."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

from wire import TIMEOUT, Json, Mcp


class Stream:
    """The events that answer one HTTP request."""

    def __init__(self, mcp: Mcp, method: str, headers: dict[str, str], message: Json | None = None):
        headers = headers | {"Authorization": f"Bearer {mcp.daemon.token}"}
        self.connection = http.client.HTTPConnection(mcp.daemon.host, timeout=TIMEOUT)
        self.connection.request(method, "/mcp", json.dumps(message) if message else None, headers)
        self.response = self.connection.getresponse()
        self.status = self.response.status

    def close(self) -> None:
        self.response.close()
        self.connection.close()

    def events(self) -> Iterator[dict[str, str]]:
        """The fields of each event, without comments."""
        event: dict[str, str] = {}
        for line in self.response:
            name, colon, value = line.decode().rstrip("\n").partition(":")
            if name:
                event[name] = value.removeprefix(" ")
            elif event and not colon:
                yield event
                event = {}

    def messages(self) -> Iterator[Json]:
        return (json.loads(event["data"]) for event in self.events() if event.get("data"))

    def next(self) -> Json:
        return next(self.messages())


class Talk(Stream):
    """A tools/call, and the client's side of what follows."""

    def __init__(self, mcp: Mcp, tool: str, **arguments: object):
        params = {"name": tool, "arguments": arguments}
        message = mcp.message("tools/call", params, id=next(mcp.ids))
        super().__init__(mcp, "POST", mcp.headers(message), message)
        self.mcp = mcp
        self.id = message["id"]

    def answer(self, request: Json, **members: object) -> int:
        message = {"jsonrpc": "2.0", "id": request["id"], **members}
        return self.mcp.post(message).status
