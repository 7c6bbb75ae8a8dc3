"""Event streams of a server: each message as it comes, and how the stream ends."""

from __future__ import annotations

import json
import socket
import time

from wire import TIMEOUT, Exchange, Json, Mcp


class Stream(Exchange):
    """A request whose answer is a stream of events, with the patience of each test."""

    def __init__(self, *arguments: object, **options: object):
        super().__init__(*arguments, **options)
        self.socket = self.connection.sock
        assert self.response.headers.get_content_type() == "text/event-stream", self.reply

    def close(self) -> None:
        self.response.close()
        self.connection.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def next(self, timeout: float = TIMEOUT) -> Json | None:
        """The next message; None where the stream ended. TimeoutError where none comes."""
        end = time.monotonic() + timeout
        while True:
            self.socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                line = self.response.readline()
            except socket.timeout:
                raise TimeoutError("no message came") from None
            if not line:
                return None
            if line.startswith(b"data: "):
                return json.loads(line[6:])

    def silent(self, seconds: float) -> bool:
        """Whether nothing comes for so long. The stream cannot be used afterwards."""
        try:
            self.next(seconds)
        except TimeoutError:
            return True
        return False


def listen(mcp: Mcp, id: int | str = "sub", **notifications: object) -> Stream:
    """A subscription of 2026-07-28; its acknowledgement is the first message."""
    message = mcp.message("subscriptions/listen", {"notifications": notifications}, id=id)
    return Stream(mcp.daemon, body=json.dumps(message), headers=mcp.headers(message))


def session_stream(mcp: Mcp) -> Stream:
    """The stream of a session of the older eras."""
    headers = {"Accept": "text/event-stream", "MCP-Protocol-Version": mcp.version}
    headers["Mcp-Session-Id"] = mcp.session or ""
    return Stream(mcp.daemon, "GET", headers=headers)
