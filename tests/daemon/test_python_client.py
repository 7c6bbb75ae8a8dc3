"""clients/python against a real manager."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import pickle
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from daemon import ROOT, wait_until
from manager import ALICE, BOB, KEYS, Manager

PACKAGE = ROOT / "clients" / "python"
sys.path.append(str(PACKAGE))
from sandbox_client import (  # noqa: E402
    CommandTimeout,
    Conflict,
    Denied,
    Invalid,
    NotFound,
    Sandbox,
    SandboxClient,
    SandboxError,
    Unavailable,
)

Use = Callable[[SandboxClient, Sandbox], Awaitable[None]]


def use(manager: Manager, work: Use, **fields: Any) -> None:
    """Runs `work` with a client of Alice's and a sandbox."""

    async def main() -> None:
        async with SandboxClient(manager.url, api_key=ALICE) as client:
            await work(client, await client.create_sandbox("me", **fields))

    asyncio.run(main())


def test_the_readmes_example(manager: Manager) -> None:
    text = (PACKAGE / "README.md").read_text()
    example = re.search(r"```python\n(.*?)```", text, re.S)
    assert example
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example[1].replace("http://127.0.0.1:8080", manager.url)],
        env=os.environ | {"PYTHONPATH": str(PACKAGE), "SANDBOX_API_KEY": ALICE},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "Hello from /workspace/hello.py"
    assert lines[1].startswith("2 ls: ")
    assert {"stdout ['1',", "end 0", "1000 bytes", "1000"} & set(lines) >= {"end 0", "1000 bytes", "1000"}


def test_a_sandbox_is_its_id_and_its_reply(manager: Manager) -> None:
    async def work(client: SandboxClient, sandbox: Sandbox) -> None:
        assert isinstance(sandbox, str) and sandbox == sandbox["sandbox_id"] == sandbox.sandbox_id
        assert sandbox.mcp_url.startswith("http://127.83.") and len(sandbox.mcp_token) == 43
        assert sandbox[0] == str(sandbox)[0]
        assert pickle.loads(pickle.dumps(sandbox)).mcp_url == sandbox.mcp_url
        with pytest.raises(AttributeError):
            sandbox.nothing

    use(manager, work)


def test_what_the_manager_knows(manager: Manager) -> None:
    async def work(client: SandboxClient, sandbox: Sandbox) -> None:
        assert await client.get_status(sandbox) == "running"
        info = await client.get_info(sandbox)
        assert (info["user_id"], info["metadata"]) == ("me", {"a": "b"})
        urls = await client.get_urls(sandbox)
        assert (urls["mcp_url"], urls["mcp_token"]) == (sandbox.mcp_url, sandbox.mcp_token)
        other = await client.create_sandbox("you")
        assert [s async for s in client.list_sandboxes()] == [sandbox, other]
        assert [s async for s in client.list_sandboxes(user_id="you")] == [other]
        assert [s async for s in client.list_sandboxes(status="paused")] == []
        assert await client.schedule_timeout(sandbox, 5000) > info["expires_at"]
        assert await client.expose_port(sandbox, 8000)

    use(manager, work, metadata={"a": "b"}, timeout=600)


def test_pausing_and_deleting(manager: Manager) -> None:
    async def work(client: SandboxClient, sandbox: Sandbox) -> None:
        assert await client.pause_sandbox(sandbox) == "paused"
        with pytest.raises(Conflict) as conflict:
            await client.run(sandbox, "true")
        assert (conflict.value.status, conflict.value.response.status_code) == (409, 409)
        assert (await client.connect_sandbox(sandbox)).status == "running"
        assert await client.run_command(sandbox, "echo $A", envs={"A": "1"}) == "1\n"
        await client.delete_sandbox(sandbox)
        await client.delete_sandbox(sandbox)

    use(manager, work)


def test_commands(manager: Manager) -> None:
    async def work(client: SandboxClient, sandbox: Sandbox) -> None:
        result = await client.run(sandbox, "pwd; echo bad >&2; exit 3", cwd="/tmp")
        assert (result.stdout, result.stderr, result.exit_code) == ("/tmp\n", "bad\n", 3)
        assert result.output == "/tmp\nbad\n" and not result.timed_out and result.pid is None
        late = await client.run(sandbox, "echo first; sleep 60", timeout=1)
        assert late.timed_out and late.stdout == "first\n"
        with pytest.raises(CommandTimeout):
            await client.run_command(sandbox, "sleep 60", timeout=1)
        behind = await client.run(sandbox, "sleep 60", background=True)
        assert behind.pid and behind.exit_code is None
        assert await client.run_command(sandbox, f"kill {behind.pid} && echo ended") == "ended\n"

    use(manager, work)


def test_a_stream_comes_as_it_is_printed(manager: Manager) -> None:
    async def work(client: SandboxClient, sandbox: Sandbox) -> None:
        command = "echo first; while [ ! -e go ]; do sleep 0.01; done; echo wörld >&2; exit 4"
        events = []
        async for event in client.stream(sandbox, command):
            events.append(event)
            if event.text == "first\n":
                await client.write_file(sandbox, "go", "")
        assert [(e.kind, e.text) for e in events[:-1]] == [("stdout", "first\n"), ("stderr", "wörld\n")]
        assert (events[-1].kind, events[-1].exit_code) == ("end", 4)

    use(manager, work)


def test_leaving_a_stream_ends_the_command(manager: Manager) -> None:
    async def work(client: SandboxClient, sandbox: Sandbox) -> None:
        async with aclosing(client.stream(sandbox, "echo $$; exec sleep 60")) as events:
            pid = (await anext(events)).text.strip()
        ended = f"while [ -e /proc/{pid} ]; do sleep 0.01; done; echo ended"
        assert await client.run_command(sandbox, ended, timeout=10) == "ended\n"

    use(manager, work)


def test_files_go_both_ways_in_pieces(manager: Manager, tmp_path: Path) -> None:
    content = os.urandom(1 << 20) * 20
    local = tmp_path / "random"
    local.write_bytes(content)

    async def work(client: SandboxClient, sandbox: Sandbox) -> None:
        for source in (local, str(local), content, io.BytesIO(content)):
            assert await client.upload_file(sandbox, "~/räum.bin", source) == len(content)
        pieces = [piece async for piece in client.download_file(sandbox, "/home/user/räum.bin")]
        assert len(pieces) > 10
        assert hashlib.sha256(b"".join(pieces)).digest() == hashlib.sha256(content).digest()
        await client.write_file(sandbox, "empty", "")
        assert await client.read_file(sandbox, "empty") == ""
        with pytest.raises(NotFound):
            await client.read_file(sandbox, "none")
        with pytest.raises(NotFound):
            [piece async for piece in client.download_file(sandbox, "none")]

    use(manager, work)


def test_errors_say_what_to_do(manager: Manager) -> None:
    async def work(client: SandboxClient, sandbox: Sandbox) -> None:
        async with SandboxClient(manager.url, api_key=BOB) as bob:
            with pytest.raises(Denied) as denied:
                await bob.get_info(sandbox)
        assert denied.value.status == 403 and denied.value.code and denied.value.detail
        with pytest.raises(Denied) as nobody:
            await SandboxClient(manager.url).get_info(sandbox)
        assert nobody.value.status == 401
        with pytest.raises(NotFound):
            await client.get_info("a" * 20)
        with pytest.raises(Invalid) as invalid:
            await client.schedule_timeout(sandbox, -1)
        assert invalid.value.status == 422 and "timeout" in invalid.value.detail
        assert isinstance(invalid.value, SandboxError) and isinstance(
            invalid.value, httpx.HTTPStatusError
        )

    use(manager, work)


def test_one_key_makes_one_sandbox(manager: Manager) -> None:
    async def work(client: SandboxClient, sandbox: Sandbox) -> None:
        twins = [await client.create_sandbox("me", idempotency_key="k") for _ in range(2)]
        assert twins[0] == twins[1] != sandbox
        with pytest.raises(Invalid):
            await client.create_sandbox("you", idempotency_key="k")

    use(manager, work)


class Flaky:
    """Stands before the manager and cuts the first connections: before or after the request."""

    def __init__(self, manager: Manager, cuts: int):
        host, port = manager.host.rsplit(":", 1)
        self.upstream = (host, int(port))
        self.cuts = cuts
        self.requests: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        while True:
            client, _ = self.listener.accept()
            with client, socket.create_connection(self.upstream) as upstream:
                request = client.recv(65536)
                if not request:
                    return
                while not whole(request):
                    request += client.recv(65536)
                self.requests.append(request)
                local = b"Host: " + self.url.removeprefix("http://").encode()
                there = "Host: {}:{}".format(*self.upstream).encode()
                closing = request.replace(local, there).replace(b"keep-alive", b"close")
                upstream.sendall(closing)
                answer = b""
                while more := upstream.recv(65536):
                    answer += more
                if len(self.requests) > self.cuts:
                    client.sendall(answer)

    def end(self) -> None:
        with socket.create_connection(self.listener.getsockname()):
            pass
        self.thread.join()
        self.listener.close()


def whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    return bool(end) and len(body) >= int(length[1] if length else 0)


def test_a_lost_answer_to_create_makes_no_second_sandbox(manager: Manager) -> None:
    flaky = Flaky(manager, cuts=2)
    try:
        sandbox = asyncio.run(SandboxClient(flaky.url, api_key=ALICE).create_sandbox("me"))
    finally:
        flaky.end()
    assert len(flaky.requests) == 3
    listed = manager.call("GET", "/sandboxes")["sandboxes"]
    assert [s["sandbox_id"] for s in listed] == [sandbox]


def test_a_command_is_never_run_again(manager: Manager) -> None:
    sandbox_id = manager.create()["sandbox_id"]
    flaky = Flaky(manager, cuts=1)
    try:
        with pytest.raises(httpx.RemoteProtocolError):
            asyncio.run(
                SandboxClient(flaky.url, api_key=ALICE).run_command(sandbox_id, "echo x >> ran")
            )
    finally:
        flaky.end()
    assert len(flaky.requests) == 1
    assert manager.run(sandbox_id, "cat ran")["output"] == "x\n"


@pytest.mark.parametrize(
    ("status", "code", "asked"),
    [(503, "not_ready", 2), (503, "cancelled", 2), (503, "", 1), (502, "provider_failed", 1)],
)
def test_a_command_is_sent_again_only_where_nothing_was_begun(
    status: int, code: str, asked: int
) -> None:
    """Whatever else the answer says, such as when to come again."""
    requests = []

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            requests.append(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps({"success": False, "detail": "no", "error": code}).encode()
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = "http://127.0.0.1:%d" % server.server_port
        with pytest.raises(Unavailable):
            asyncio.run(SandboxClient(url, retries=1).run_command("x" * 20, "true"))
        server.shutdown()
        thread.join()
    assert len(requests) == asked


def test_a_manager_that_ends_makes_no_command_run_twice(manager: Manager) -> None:
    sandbox_id = manager.create()["sandbox_id"]
    port = int(manager.url.rsplit(":", 1)[1])

    async def main() -> None:
        client = SandboxClient(manager.url, api_key=ALICE, retries=50)
        running = asyncio.create_task(client.run_command(sandbox_id, "echo x >> ran; sleep 6"))
        while "x" not in manager.run(sandbox_id, "cat ran; true")["stdout"]:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(manager.leave)
        await asyncio.to_thread(manager.start, port=port)
        with pytest.raises(Unavailable, match="look before you try again"):
            await running

    asyncio.run(main())
    assert manager.run(sandbox_id, "cat ran")["stdout"] == "x\n"


def test_waits_for_a_manager_that_is_not_there_yet(manager: Manager) -> None:
    """A connection that was refused is tried again; nothing had been sent."""
    port = int(manager.url.rsplit(":", 1)[1])
    manager.leave()
    again = threading.Timer(0.1, lambda: manager.start(port=port))

    async def main() -> list[Sandbox]:
        client = SandboxClient(manager.url, api_key=ALICE, retries=50)
        return [s async for s in client.list_sandboxes()]

    again.start()
    try:
        assert asyncio.run(main()) == []
    finally:
        again.join()
    wait_until(lambda: manager.process is not None, "the manager did not start")
