"""The manager's calls, one method each."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import httpx

from .errors import Conflict, SandboxError, Unavailable, error_of
from .results import CommandResult, Event, Sandbox

Json = dict[str, Any]
PATIENCE = 5.0  # seconds that a Retry-After may ask for until it is the caller's matter
NOT_BEGUN = {"not_ready", "cancelled"}  # the manager's word for it that nothing was done
EVENT_MAX = 1 << 24  # characters of one event


class SandboxClient:
    """Talks to one manager.

    `timeout` is how many seconds an answer may take; a command's own time comes on top. With
    `async with` the connections are kept for the next call, otherwise each call has its own.
    `api_key` (or SANDBOX_API_KEY) and `token`, a JWT, are two ways to say who asks.

    A call is made again, up to `retries` times, only where the first cannot have done anything,
    or where doing it twice is doing it once: reading, deleting, and creating, which has a key
    of its own for that.
    """

    def __init__(
        self,
        server_url: str,
        timeout: float = 60,
        *,
        api_key: str | None = None,
        token: str | None = None,
        retries: int = 2,
    ):
        self.server_url = server_url.rstrip("/")
        self.timeout = timeout
        self.retries = retries
        credential = token or api_key or os.environ.get("SANDBOX_API_KEY")
        self._headers = {"Authorization": f"Bearer {credential}"} if credential else {}
        self._kept: httpx.AsyncClient | None = None

    async def __aenter__(self) -> SandboxClient:
        self._kept = self._connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        kept, self._kept = self._kept, None
        if kept:
            await kept.aclose()

    async def login(self, username: str, password: str) -> None:
        """Takes a name and a password for a token, which later calls send."""
        params = {"username": username, "password": password}
        reply = await self._call("POST", "/api/v1/auth/login/swagger", params=params)
        self._headers = {"Authorization": f"Bearer {reply['access_token']}"}

    # ---- sandboxes ----

    async def create_sandbox(
        self,
        user_id: str,
        template_id: str | None = None,
        *,
        timeout: int | None = None,
        metadata: Mapping[str, str] | None = None,
        envs: Mapping[str, str] | None = None,
        network: str | Mapping[str, Sequence[str]] | None = None,
        limits: Mapping[str, float] | None = None,
        auto_resume: bool | None = None,
        on_timeout: str | None = None,
        idempotency_key: str | None = None,
    ) -> Sandbox:
        """Creates a sandbox. The same `idempotency_key` gives the same one again for a day."""
        body = _without_none(
            user_id=user_id,
            template_id=template_id,
            timeout=timeout,
            metadata=metadata,
            envs=envs,
            network=network,
            limits=limits,
            auto_resume=auto_resume,
            on_timeout=on_timeout,
        )
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        path = "/sandboxes/create"
        return Sandbox(await self._call("POST", path, body, headers=headers, again=True))

    async def connect_sandbox(self, sandbox_id: str) -> Sandbox:
        """Resumes a paused sandbox, and restarts the clock of its timeout."""
        body = {"sandbox_id": sandbox_id}
        return Sandbox(await self._call("POST", "/sandboxes/connect", body, again=True))

    async def list_sandboxes(
        self, user_id: str | None = None, status: str | None = None
    ) -> AsyncIterator[Sandbox]:
        """Every sandbox of the caller, page by page."""
        params = _without_none(user_id=user_id, status=status)
        while True:
            page = await self._call("GET", "/sandboxes", params=params)
            for fields in page["sandboxes"]:
                yield Sandbox(fields)
            if page.get("next_cursor") is None:
                return
            params["cursor"] = page["next_cursor"]

    async def get_status(self, sandbox_id: str) -> str:
        return (await self._call("GET", f"/sandboxes/{sandbox_id}/status"))["status"]

    async def get_info(self, sandbox_id: str) -> Json:
        return await self._call("GET", f"/sandboxes/{sandbox_id}/info")

    async def get_urls(self, sandbox_id: str) -> Json:
        """`mcp_url`, `mcp_token`, and `vscode_url` with a fresh ticket."""
        return await self._call("GET", f"/sandboxes/{sandbox_id}/urls")

    async def schedule_timeout(
        self, sandbox_id: str, timeout: int, on_timeout: str | None = None
    ) -> str:
        """Sets the idle time in seconds; returns when it would be over."""
        body = _without_none(sandbox_id=sandbox_id, timeout=timeout, on_timeout=on_timeout)
        return (await self._call("POST", "/sandboxes/timeout", body, again=True))["expires_at"]

    async def pause_sandbox(self, sandbox_id: str) -> str:
        path = f"/sandboxes/{sandbox_id}/pause"
        return (await self._call("POST", path, {}, again=True))["status"]

    async def delete_sandbox(self, sandbox_id: str) -> None:
        await self._call("DELETE", f"/sandboxes/{sandbox_id}")

    # ---- inside ----

    async def run_command(
        self, sandbox_id: str, command: str, background: bool = False, **options: Any
    ) -> str:
        """What the command printed; CommandTimeout where it outlived options["timeout"]."""
        body = {"sandbox_id": sandbox_id, "command": command, "background": background}
        return (await self._run(body | _without_none(**options)))["output"]

    async def run(
        self,
        sandbox_id: str,
        command: str,
        *,
        background: bool = False,
        timeout: int | None = None,
        cwd: str | None = None,
        envs: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> CommandResult:
        """Everything about how the command ended, also where it outlived its `timeout`."""
        body = _without_none(
            sandbox_id=sandbox_id,
            command=command,
            background=background,
            timeout=timeout,
            cwd=cwd,
            envs=envs,
            user=user,
        )
        try:
            return CommandResult.of(await self._run(body))
        except SandboxError as error:
            if error.body.get("timed_out") is not True:
                raise
            return CommandResult.of(error.body)

    async def stream(
        self, sandbox_id: str, command: str, **options: Any
    ) -> AsyncIterator[Event]:
        """What the command prints, as it prints it. Leaving the loop early ends the command
        (when the iterator is closed: contextlib.aclosing)."""
        body = {"sandbox_id": sandbox_id, "command": command} | _without_none(**options)
        headers = {"Accept": "text/event-stream"}
        path = "/sandboxes/run-command"
        async with self._open("POST", path, None, json=body, headers=headers) as response:
            async for kind, data in _events(response):
                if kind == "error":
                    raise RuntimeError(f"the command's stream broke off: {data.get('detail')}")
                yield Event(kind, **{k: v for k, v in data.items() if k in _EVENT_FIELDS})
                if kind == "end":
                    return
        raise RuntimeError("the command's stream ended before the command")

    async def write_file(self, sandbox_id: str, path: str, content: str) -> None:
        body = {"sandbox_id": sandbox_id, "path": path, "content": content}
        await self._call("POST", "/sandboxes/write-file", body, again=True)

    async def read_file(self, sandbox_id: str, path: str) -> str:
        body = {"sandbox_id": sandbox_id, "path": path}
        return (await self._call("POST", "/sandboxes/read-file", body, again=True))["content"]

    async def upload_file(
        self, sandbox_id: str, path: str, source: str | os.PathLike[str] | bytes | BinaryIO
    ) -> int:
        """Sends a file (its name, its bytes, or open for reading), in pieces. Its size."""
        if isinstance(source, (str, os.PathLike)):
            with Path(source).open("rb") as opened:
                return await self.upload_file(sandbox_id, path, opened)
        form = {"sandbox_id": sandbox_id, "path": path}
        files = {"file": ("file", source, "application/octet-stream")}
        url = "/sandboxes/upload-file"
        async with self._open("POST", url, None, data=form, files=files) as response:
            await response.aread()
            return response.json()["bytes"]

    async def download_file(self, sandbox_id: str, path: str) -> AsyncIterator[bytes]:
        """A file of any size, piece by piece."""
        body = {"sandbox_id": sandbox_id, "path": path}
        url = "/sandboxes/download-file"
        async with self._open("POST", url, self.timeout, json=body) as response:
            async for piece in response.aiter_bytes():
                yield piece

    async def expose_port(self, sandbox_id: str, port: int) -> str:
        """The URL at which a port inside is reached."""
        body = {"sandbox_id": sandbox_id, "port": port}
        return (await self._call("POST", "/sandboxes/expose-port", body, again=True))["url"]

    # ---- HTTP ----

    def _connect(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(timeout=self.timeout)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        if self._kept:
            yield self._kept
            return
        async with self._connect() as client:
            yield client

    @asynccontextmanager
    async def _open(
        self, method: str, path: str, read_timeout: float | None, **request: Any
    ) -> AsyncIterator[httpx.Response]:
        """A good answer's head; its body is still to be read."""
        request["headers"] = self._headers | request.get("headers", {})
        limits = httpx.Timeout(self.timeout, read=read_timeout)
        async with self._client() as client:
            url = self.server_url + path
            async with client.stream(method, url, timeout=limits, **request) as response:
                if not response.is_success:
                    await response.aread()
                    raise error_of(response)
                yield response

    async def _run(self, body: Json) -> Json:
        wait = self.timeout + body.get("timeout", 0)
        return await self._call("POST", "/sandboxes/run-command", body, wait=wait)

    async def _call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        params: Json | None = None,
        headers: Json | None = None,
        wait: float | None = None,
        again: bool = False,
    ) -> Json:
        """`again`: doing it twice is doing it once."""
        request: Json = {"params": params, "headers": headers or {}}
        if body is not None:
            request["json"] = body
        for left in range(self.retries, -1, -1):
            try:
                async with self._open(method, path, wait or self.timeout, **request) as response:
                    await response.aread()
                    return response.json()
            except (httpx.TransportError, SandboxError) as error:
                pause = _pause(error, again or method != "POST")
                if left == 0 or pause is None:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError("retries is negative")


_EVENT_FIELDS = {"text", "exit_code", "timed_out"}


def _without_none(**fields: Any) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


def _pause(error: Exception, again: bool) -> float | None:
    """How long to wait before the same call is made again; None: it must not be."""
    if isinstance(error, (Conflict, Unavailable)):
        after = error.retry_after
        if after is None or after > PATIENCE or not (again or error.code in NOT_BEGUN):
            return None
        return after
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        return 0.2  # nothing was sent
    if isinstance(error, (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)):
        return 0.2 if again else None
    return None


async def _events(response: httpx.Response) -> AsyncIterator[tuple[str, Json]]:
    """The events of a text/event-stream whose data are JSON."""
    kind, data, size = "message", [], 0
    async for line in response.aiter_lines():
        if not line:
            if data:
                yield kind, json.loads("\n".join(data))
            kind, data, size = "message", [], 0
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)
            size += len(value)
            if size > EVENT_MAX:
                raise RuntimeError(f"an event of more than {EVENT_MAX} characters")
