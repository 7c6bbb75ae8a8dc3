"""The plain doors: files up and down, commands with their output as it comes, activity."""

from __future__ import annotations

import getpass
import http.client
import json
import os
import resource
import select
import socket
import struct
import tempfile
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest
from conftest import Launch
from daemon import Daemon, expect_no_children, wait_until
from wire import Exchange, Mcp, Reply, exchange

JSON = {"Content-Type": "application/json"}
MB = 1 << 20


def get(server: Daemon, path: object, **headers: str) -> Reply:
    return exchange(server, "GET", f"/files?path={quote(str(path))}", headers=headers)


def put(server: Daemon, path: object, body: object) -> Reply:
    return exchange(server, "PUT", f"/files?path={quote(str(path))}", body)


def run(server: Daemon, command: str, **members: object) -> tuple[bytes, bytes, dict]:
    reply = exchange(server, path="/exec", body=json.dumps({"command": command} | members), headers=JSON)
    assert reply.status == 200, reply.body
    streams, rest = {1: b"", 2: b"", 3: b""}, reply.body
    while rest:
        stream, size = struct.unpack(">B3xI", rest[:8])
        streams[stream] += rest[8 : 8 + size]
        rest = rest[8 + size :]
    return streams[1], streams[2], json.loads(streams[3])


def test_files_go_up_and_down_as_they_are(server: Daemon, tmp_path: Path) -> None:
    for name, content in (
        ("a.bin", bytes(range(256))),
        ("empty", b""),
        ("made/on/the way/ü.bin", os.urandom(3 * MB + 1)),
        (tmp_path / "outside the workspace", b"x"),
    ):
        reply = put(server, name, content)
        assert reply.status == 201 and reply.json["bytes"] == len(content)
        assert get(server, name).body == content
        reply = put(server, name, b"new")
        assert reply.status == 200 and reply.json["created"] is False
        assert get(server, name).body == b"new"
    assert (server.workspace / "made/on/the way/ü.bin").read_bytes() == b"new"


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-0", 206, slice(0, 1)),
        ("bytes=2-5", 206, slice(2, 6)),
        ("bytes=7-", 206, slice(7, None)),
        ("bytes=-3", 206, slice(-3, None)),
        ("bytes=-99", 206, slice(None)),
        ("bytes=5-99", 206, slice(5, None)),
        ("bytes=10-", 416, None),
        ("bytes=10-12", 416, None),
        ("bytes=5-2", 200, slice(None)),
        ("bytes=0-1,3-4", 200, slice(None)),
        ("bytes=x", 200, slice(None)),
        ("bytes=1-x", 200, slice(None)),
        ("lines=1-2", 200, slice(None)),
        ("bytes=99999999999999999999-", 200, slice(None)),
    ],
)
def test_ranges(server: Daemon, asked: str, status: int, part: slice | None) -> None:
    content = b"0123456789"
    (server.workspace / "digits").write_bytes(content)
    reply = get(server, "digits", Range=asked)
    assert reply.status == status
    if part:
        assert reply.body == content[part]
    if status == 206:
        start = content.index(reply.body)
        assert reply.headers["Content-Range"] == f"bytes {start}-{start + len(reply.body) - 1}/10"


def test_what_is_no_file_is_refused_with_a_sentence(server: Daemon) -> None:
    os.mkfifo(server.workspace / "fifo")
    (server.workspace / "dir").mkdir()
    for path, status in (("missing", 404), ("dir", 400), ("fifo", 400), ("", 400), ("a\0b", 400),
                         ("x" * 5000, 400), ("/proc/self/mem/x", 404)):
        reply = get(server, path)
        assert reply.status == status, path
        assert reply.json["success"] is False and reply.json["detail"]
    for path in ("dir", "dir/", "", "a\0b", "fifo/x"):
        assert put(server, path, b"x").status >= 400, path
    assert exchange(server, "GET", "/files").status == 400
    assert put(server, "missing/..", b"x").status == 400


def test_a_broken_upload_leaves_the_old_file(server: Daemon) -> None:
    target = server.workspace / "kept"
    target.write_text("old")
    host, port = server.host.split(":")
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(
            f"PUT /files?path=kept HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MB}\r\n"
            f"Authorization: Bearer {server.token}\r\n\r\n".encode() + b"x" * (MB // 2)
        )
    assert put(server, "another", b"y").status == 201
    assert target.read_text() == "old"


@pytest.mark.long
def test_large_files_pass_in_constant_memory(launch: Launch) -> None:
    server = launch()
    big = server.workspace / "big"
    with big.open("wb") as file:
        file.truncate(600 * MB)
        file.seek(300 * MB)
        file.write(b"here")

    def peak() -> int:
        status = Path(f"/proc/{server.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) // 1024

    before = peak()
    connection = http.client.HTTPConnection(server.host, timeout=60)
    connection.request("GET", "/files?path=big", headers={"Authorization": f"Bearer {server.token}"})
    with connection.getresponse() as down:
        size = 0
        while piece := down.read(MB):
            size += len(piece)
    assert size == 600 * MB
    with big.open("rb") as file:
        assert put(server, "copy", file).json["bytes"] == 600 * MB
    connection.close()
    with (server.workspace / "copy").open("rb") as copy:
        copy.seek(300 * MB)
        assert copy.read(4) == b"here"
    if server.directory and "asan" not in os.environ.get("SANDBOX_BUILD", "") and "tsan" not in os.environ.get("SANDBOX_BUILD", ""):
        assert peak() - before < 16


def test_commands_stream_their_output_and_their_end(server: Daemon) -> None:
    out, err, end = run(server, "echo out; echo err >&2; exit 3")
    assert (out, err, end["exit_code"], end["signal"]) == (b"out\n", b"err\n", 3, None)
    out, _, _ = run(server, "pwd; echo $A; cat", envs={"A": "b c"}, stdin="fed")
    assert out.decode().splitlines() == [str(server.workspace), "b c", "fed"]
    out, _, _ = run(server, "pwd", cwd="/")
    assert out == b"/\n"
    out, _, end = run(server, "head -c 20000000 /dev/zero")
    assert len(out) == 20_000_000 and end["exit_code"] == 0
    _, _, end = run(server, "kill -9 $$")
    assert end["signal"] == "SIGKILL"
    _, _, end = run(server, "sleep 600", timeout=1)
    assert end["timed_out"] is True


def test_output_comes_while_the_command_runs(server: Daemon) -> None:
    fifo = server.workspace / "fifo"
    os.mkfifo(fifo)
    connection = http.client.HTTPConnection(server.host, timeout=30)
    body = json.dumps({"command": "echo first; read line < fifo; echo $line"})
    connection.request("POST", "/exec", body, JSON | {"Authorization": f"Bearer {server.token}"})
    reply = connection.getresponse()
    assert reply.read(8 + 6)[8:] == b"first\n"
    fifo.write_text("second\n")
    assert b"second\n" in reply.read()
    connection.close()


def test_a_command_ends_with_its_listener(server: Daemon) -> None:
    fifo = server.workspace / "fifo"
    os.mkfifo(fifo)
    connection = http.client.HTTPConnection(server.host, timeout=30)
    body = json.dumps({"command": "exec 3> fifo; echo go; sleep 600"})
    connection.request("POST", "/exec", body, JSON | {"Authorization": f"Bearer {server.token}"})
    with fifo.open() as open_while_it_runs:
        connection.getresponse().read(8)
        connection.sock and connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        assert open_while_it_runs.read() == ""  # its end: the command's processes are gone


def test_bad_commands_are_refused(server: Daemon) -> None:
    for body, status in (({}, 400), ({"command": 5}, 400), ({"command": "true", "cwd": "/nowhere"}, 404),
                         ({"command": "true", "user": "nobody-there"}, 400), ({"command": "true", "x": 1}, 400),
                         ({"command": "true", "timeout": 0}, 400), ({"command": "a\0b"}, 400), ({"command": "true", "envs": {"A=B": "c"}}, 400)):
        reply = exchange(server, path="/exec", body=json.dumps(body), headers=JSON)
        assert reply.status == status and reply.json["detail"], body
    out, _, _ = run(server, "id -un", user=getpass.getuser())
    assert out.decode().strip() == getpass.getuser()


ENVS = {"SECRET": "it's \n \"$HOME\" `x`", "LD_LIBRARY_PATH": "/none", "TMPDIR": "/t", "HOME": "/h", "EMPTY": ""}
SAY = """printf '%s|' "$SECRET" "$LD_LIBRARY_PATH" "$TMPDIR" "$HOME" "${EMPTY-unset}" "$SANDBOX_EXPORTS" """
SAID = "it's \n \"$HOME\" `x`|/none|/t|/h|||"


def test_root_s_commands_run_as_another_user_with_an_environment_of_its_own(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET_OF_ROOT", "x")
    server = launch()
    if os.geteuid() != 0:  # sudo's answer
        _, err, end = run(server, "id -un", user="nobody", cwd="/")
        assert end["exit_code"] == 0 or b"sudo" in err
        return
    out, err, end = run(server, "id -un; id -Gn; echo $HOME $USER $A_SECRET_OF_ROOT; pwd", user="nobody", cwd="/")
    assert out.decode().splitlines() == ["nobody", "nogroup", "/nonexistent nobody", "/"], err
    out, _, _ = run(server, SAY, user="nobody", envs=ENVS, cwd="/")
    assert out.decode() == SAID
    out, _, end = run(server, "kill -0 1 || echo no >/dev/stdout; cat /proc/self/status", user="nobody", stdin="x")
    assert out.startswith(b"no\n") and b"\nCapEff:\t0000000000000000\n" in out
    _, _, end = run(server, "sleep 600", user="nobody", timeout=1)
    assert end["timed_out"] is True and end["signal"] == "SIGTERM"


# As sudo does: another environment, but for what it is told to keep.
SUDO = """#!/bin/sh
printf '%s\\n' "$*" >>{log}
while [ "$1" != -- ]; do
	case $1 in --preserve-env=*) keep=${{1#*=}} ;; esac
	shift
done
shift
exec env -i PATH=/usr/bin:/bin ${{keep:+"$keep=$(printenv "$keep")"}} "$@"
"""


class Ordinary(Daemon):
    """A server of an ordinary user, whoever runs the tests."""

    @property
    def command(self) -> list[str]:
        become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]
        return (become if os.geteuid() == 0 else []) + super().command


def test_sudo_hands_variables_to_another_user_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as name, ExitStack() as ends:
        directory = Path(name)
        monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
        (directory / "sudo").write_text(SUDO.format(log=directory / "seen"))
        (directory / "sudo").chmod(0o755)
        server = Ordinary(directory / "server")
        if os.geteuid() == 0:
            for path in [directory, *directory.rglob("*")]:
                os.chown(path, 65534, 65534)
        ends.callback(expect_no_children)
        ends.callback(server.stop)
        server.start()
        assert run(server, SAY, user="root", envs=ENVS)[0].decode() == SAID
        assert run(server, "echo $0 'a  b'", user="root")[0] == b"/bin/sh a  b\n"
        seen = (directory / "seen").read_text()
        assert seen.count("-n ") == 2 and seen.count("-u root -- /bin/sh -c ") == 2
        assert "/none" not in seen and "it's" not in seen
        reply = exchange(server, path="/exec", body=json.dumps({"command": "true", "user": "root", "envs": {"a.b": "c"}}), headers=JSON)
        assert reply.status == 400 and "a.b" in reply.json["detail"]


def test_activity_tells_who_is_at_work(server: Daemon) -> None:
    def activity() -> dict:
        return exchange(server, "GET", "/activity").json

    before = activity()
    assert before["busy"] is False and before["commands"] == 0 and before["editor"] is False
    fifo = server.workspace / "fifo"
    os.mkfifo(fifo)
    connection = http.client.HTTPConnection(server.host, timeout=30)
    body = json.dumps({"command": "echo; read line < fifo"})
    connection.request("POST", "/exec", body, JSON | {"Authorization": f"Bearer {server.token}"})
    reply = connection.getresponse()
    reply.read(9)
    during = activity()
    assert during["busy"] is True and during["commands"] == 1
    assert during["last_activity_at"] >= before["last_activity_at"]
    fifo.write_text("go\n")
    reply.read()
    connection.close()
    assert activity()["busy"] is False


def test_tools_at_work_are_activity(launch: Launch) -> None:
    server = launch("--workers", "1")
    (server.workspace / "large").write_text("abcdefgh ijklmnop\n" * 200_000)
    client = Mcp(server)
    search = {"name": "search_text", "arguments": {"pattern": "(a|b)*c.*zz$"}}
    with ExitStack() as calls:
        begun = [calls.enter_context(client.begin("tools/call", search)) for _ in range(30)]
        during = exchange(server, "GET", "/activity").json
        assert during["busy"] is True and during["commands"] == 0
        assert all(call.reply.status == 200 for call in begun)
    assert exchange(server, "GET", "/activity").json["busy"] is False


def test_what_may_take_long_waits_for_a_worker(launch: Launch) -> None:
    """One worker, which has searches to do: a large body is parsed after them, not on the loop;
    and a command's directory is looked at after them, whatever the size."""
    server = launch("--workers", "1")
    (server.workspace / "large").write_text("needle in hay\n" * 3_000_000)
    padding = "x" * 100_000
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"padding": padding}}
    search = {"name": "search_text", "arguments": {"pattern": "(x+x+)+y|haystack"}}
    with ExitStack() as stack:
        stream = stack.enter_context(Exchange(server, "GET", "/sse", headers={"Accept": "text/event-stream"}))
        endpoint = next(line for line in stream.lines() if line.startswith("data: "))[6:]
        large, small = {"command": "true", "stdin": padding}, {"command": "true"}
        for path, body in (("/exec", large), ("/exec", small), (endpoint, ping)):
            first = stack.enter_context(Mcp(server).begin("tools/call", search))
            wait_until(lambda: at_work(server), "no search began")
            later = stack.enter_context(Exchange(server, "POST", path, json.dumps(body), JSON))
            socks = [first.connection.sock, later.connection.sock]
            assert select.select(socks, [], [], 60)[0][0] is socks[0]
            assert first.reply.status == 200
            assert later.reply.status in (200, 202)


def at_work(server: Daemon) -> bool:
    return exchange(server, "GET", "/activity").json["busy"]
