"""Calls to a manager with everything that an answer says: status, headers, body."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from manager import Manager

Json = dict[str, Any]
SECONDS = 60


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Json:
        return json.loads(self.body)

    def refused(self, status: int, code: str) -> str:
        """The sentence of a refusal that has to be this one."""
        assert self.status == status, (self.status, self.body)
        assert self.headers["Content-Type"] == "application/json"
        answer = self.json
        assert answer.keys() == {"success", "detail", "error"}, answer
        assert answer["success"] is False
        assert answer["error"] == code, answer
        return answer["detail"]

    def fine(self) -> Json:
        assert self.status == 200, (self.status, self.body)
        return self.json


def send(
    manager: Manager,
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str | None] | None = None,
    key: str | None = None,
) -> http.client.HTTPConnection:
    """Sends one request: a body that is no bytes goes as JSON; a header of None is left out."""
    all_headers: dict[str, str | None] = {}
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        all_headers["Content-Type"] = "application/json"
    credential = manager.key if key is None else key
    if credential:
        all_headers["Authorization"] = f"Bearer {credential}"
    all_headers |= headers or {}
    connection = http.client.HTTPConnection(manager.host, timeout=SECONDS)
    connection.putrequest(method, path, skip_host="Host" in all_headers)
    for name, value in all_headers.items():
        if value is not None:
            connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    return connection


def receive(connection: http.client.HTTPConnection) -> Answer:
    try:
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def ask(manager: Manager, method: str, path: str, *args: Any, **more: Any) -> Answer:
    return receive(send(manager, method, path, *args, **more))


def post(manager: Manager, path: str, body: Any = None, **more: Any) -> Answer:
    return ask(manager, "POST", path, body, **more)


def get(manager: Manager, path: str, **more: Any) -> Answer:
    return ask(manager, "GET", path, **more)


def leave(connection: http.client.HTTPConnection) -> None:
    """As a client that is killed: nobody reads any more."""
    assert connection.sock
    connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextmanager
def sandbox(manager: Manager, **fields: Any) -> Iterator[str]:
    """The id of a new sandbox that is deleted afterwards."""
    created = post(manager, "/sandboxes/create", {"user_id": "test"} | fields).fine()
    try:
        yield created["sandbox_id"]
    finally:
        ask(manager, "DELETE", "/sandboxes/" + created["sandbox_id"]).fine()


def form(fields: dict[str, str], file: bytes | None = None, name: str = "file") -> tuple[bytes, str]:
    """A multipart body and its type."""
    boundary = secrets.token_hex(16)
    parts = []
    for field, value in fields.items():
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n'
        parts.append(head.encode() + value.encode() + b"\r\n")
    if file is not None:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="f"\r\n'
        parts.append(head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + file)
        parts.append(b"\r\n")
    parts.append(f"--{boundary}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def upload(manager: Manager, fields: dict[str, str], file: bytes | None, **more: Any) -> Answer:
    body, kind = form(fields, file)
    headers = {"Content-Type": kind} | more.pop("headers", {})
    return post(manager, "/sandboxes/upload-file", body, headers=headers, **more)
