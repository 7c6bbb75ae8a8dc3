"""A model API on loopback that plays a script: the Anthropic and OpenAI dialects, streamed.

It stands in for the model alone. Whoever talks to it has real tools, which it asks for one after
the other; what the client then sends back as results is kept for the test to judge.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]


class ScriptedModel:
    """Serves while used as a context manager; `namespace` is what the client calls the server."""

    def __init__(self, calls: list[tuple[str, Json]], namespace: str = ""):
        self.namespace = namespace
        self.calls = calls
        self.tools: list[str] = []
        self.results: list[Json] = []
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                model.answer(self, json.loads(body or b"{}"))

            def do_GET(self) -> None:
                send(self, "application/json", '{"data":[],"models":[]}')

            do_HEAD = do_GET

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> ScriptedModel:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, request: BaseHTTPRequestHandler, body: Json) -> None:
        path = request.path.partition("?")[0]
        if path.endswith("/messages"):
            self.play(request, body, anthropic_tools, anthropic_results, anthropic_events)
        elif path.endswith("/responses"):
            self.play(request, body, openai_tools, openai_results, openai_events)
        else:
            send(request, "application/json", "{}", 404)

    def play(
        self,
        request: BaseHTTPRequestHandler,
        body: Json,
        tools_of: Callable[[Json, str], list[str]],
        results_of: Callable[[Json], list[Json]],
        events_of: Callable[[Json, str, Json | None], list[Json]],
    ) -> None:
        """Asks for the next call where the server's tools are offered, and is done otherwise."""
        call = None
        if tools := tools_of(body, self.namespace):
            self.tools = tools
            self.results = results_of(body)
            if len(self.results) < len(self.calls):
                name, arguments = self.calls[len(self.results)]
                call = {"namespace": self.namespace, "name": name, "arguments": arguments}
        events = events_of(body, f"call_{len(self.results)}", call)
        if body.get("stream"):
            send_events(request, events)
        else:
            send(request, "application/json", json.dumps(anthropic_whole(events)))


def send_events(request: BaseHTTPRequestHandler, events: list[Json]) -> None:
    text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    send(request, "text/event-stream", text)


def send(request: BaseHTTPRequestHandler, kind: str, text: str, status: int = 200) -> None:
    body = text.encode()
    request.send_response(status)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body)


# ---- Anthropic: POST /v1/messages ----


def anthropic_tools(body: Json, namespace: str) -> list[str]:
    names = [tool["name"] for tool in body.get("tools", [])]
    prefix = namespace and namespace + "__"
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


def anthropic_results(body: Json) -> list[Json]:
    found = []
    for message in body["messages"]:
        blocks = message["content"] if isinstance(message["content"], list) else []
        for block in blocks:
            if block["type"] == "tool_result":
                found.append(
                    {"text": text_of(block["content"]), "is_error": block.get("is_error", False)}
                )
    return found


def text_of(content: str | list[Json]) -> str:
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content)


def anthropic_events(body: Json, call_id: str, call: Json | None) -> list[Json]:
    if call:
        block = {"type": "tool_use", "id": "toolu_" + call_id, "name": "", "input": {}}
        block["name"] = "__".join(filter(None, (call["namespace"], call["name"])))
        delta = {"type": "input_json_delta", "partial_json": json.dumps(call["arguments"])}
    else:
        block = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": "done"}
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {
        "id": "msg_" + call_id,
        "type": "message",
        "role": "assistant",
        "model": body.get("model"),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    stop = {"stop_reason": "tool_use" if call else "end_turn", "stop_sequence": None}
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": stop, "usage": usage},
        {"type": "message_stop"},
    ]


def anthropic_whole(events: list[Json]) -> Json:
    """The message that the events tell, for a client that did not ask for a stream."""
    message, block = events[0]["message"], events[1]["content_block"]
    delta, end = events[2]["delta"], events[4]["delta"]
    if block["type"] == "tool_use":
        block["input"] = json.loads(delta["partial_json"])
    else:
        block["text"] = delta["text"]
    return message | end | {"content": [block]}


# ---- OpenAI: POST /v1/responses ----


def openai_tools(body: Json, namespace: str) -> list[str]:
    spaces = [tool for tool in body.get("tools", []) if tool.get("name") == namespace]
    return [tool["name"] for space in spaces for tool in space["tools"]]


def openai_results(body: Json) -> list[Json]:
    outputs = [item for item in body["input"] if item.get("type") == "function_call_output"]
    return [{"text": text_of(item["output"]), "is_error": None} for item in outputs]


def openai_events(body: Json, call_id: str, call: Json | None) -> list[Json]:
    response = {"id": "resp_" + call_id, "object": "response", "model": body.get("model")}
    if call:
        item = {
            "type": "function_call",
            "id": "fc_" + call_id,
            "call_id": call_id,
            "namespace": call["namespace"],
            "name": call["name"],
            "arguments": json.dumps(call["arguments"]),
            "status": "completed",
        }
    else:
        content = [{"type": "output_text", "text": "done", "annotations": []}]
        item = {"type": "message", "id": "msg_" + call_id, "role": "assistant", "content": content}
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    ended = response | {"status": "completed", "output": [item], "usage": usage}
    return [
        {"type": "response.created", "response": response | {"status": "in_progress"}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": ended},
    ]
