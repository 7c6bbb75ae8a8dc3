"""A call that asks back, while its stream is read message by message."""

from __future__ import annotations

import json

from wire import Exchange, Json, Mcp


class Talk(Exchange):
    """A tools/call, and the client's side of what follows."""

    def __init__(self, mcp: Mcp, tool: str, **arguments: object):
        params = {"name": tool, "arguments": arguments}
        message = mcp.message("tools/call", params, id=next(mcp.ids))
        super().__init__(mcp.daemon, body=json.dumps(message), headers=mcp.headers(message))
        self.mcp = mcp
        self.id = message["id"]

    def next(self) -> Json:
        return next(self.messages())

    def answer(self, request: Json, **members: object) -> int:
        message = {"jsonrpc": "2.0", "id": request["id"], **members}
        return self.mcp.post(message).status
