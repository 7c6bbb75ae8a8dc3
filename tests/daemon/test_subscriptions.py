"""Who hears of changes: subscriptions of both eras, over every transport."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from conftest import Launch
from daemon import STOP_SECONDS, Daemon, environment
from stream import Stream, listen, session_stream
from wire import LEGACY, META, MODERN, Json, Mcp, exchange

ID = META + "subscriptionId"
ACK = "notifications/subscriptions/acknowledged"
UPDATED = "notifications/resources/updated"
LISTED = "notifications/resources/list_changed"


def uri_of(path: Path) -> str:
    return f"file://{path}"


def acknowledged(stream: Stream) -> Json:
    message = stream.next()
    assert message and message["method"] == ACK, message
    return message["params"]["notifications"]


def expect(stream: Stream, method: str, **params: object) -> None:
    message = stream.next()
    assert message and message["method"] == method, message
    assert {k: v for k, v in message.get("params", {}).items() if k != "_meta"} == params


@pytest.fixture
def legacy(server: Daemon) -> Mcp:
    return Mcp(server, LEGACY[0])


# ---- subscriptions/listen ----


def test_every_message_bears_the_id_and_the_first_says_what_is_honoured(modern: Mcp) -> None:
    path = modern.daemon.workspace / "a"
    path.write_text("1")
    for id in (7, "seven"):
        wanted = [uri_of(path), "nope://x", "file:///etc/passwd?", uri_of(path)]
        with listen(
            modern, id, resourceSubscriptions=wanted, resourcesListChanged=True,
            toolsListChanged=True, promptsListChanged=False, unknown=True,
        ) as stream:
            first = stream.next()
            assert first["method"] == ACK and first["params"]["_meta"] == {ID: id}
            assert first["params"]["notifications"] == {
                "resourcesListChanged": True, "resourceSubscriptions": [uri_of(path)],
            }
            path.write_text(f"{id}")
            second = stream.next()
            assert second["method"] == UPDATED
            assert second["params"] == {"_meta": {ID: id}, "uri": uri_of(path)}


def test_nothing_comes_that_was_not_asked_for(modern: Mcp) -> None:
    workspace = modern.daemon.workspace
    (workspace / "a").write_text("")
    (workspace / "b").write_text("")
    with (
        listen(modern, 1) as nothing,
        listen(modern, 2, resourceSubscriptions=[uri_of(workspace / "b")]) as b,
        listen(modern, 3, resourcesListChanged=True) as lists,
    ):
        assert acknowledged(nothing) == {}
        acknowledged(b)
        acknowledged(lists)
        (workspace / "a").write_text("changed")
        (workspace / "c").write_text("new")
        expect(lists, LISTED)
        (workspace / "b").write_text("changed")
        expect(b, UPDATED, uri=uri_of(workspace / "b"))
        assert nothing.silent(0.3) and lists.silent(0.3)


def test_a_subscription_needs_an_event_stream(modern: Mcp) -> None:
    message = modern.message("subscriptions/listen", {"notifications": {}}, id=1)
    reply = modern.post(message, {"Accept": "application/json"})
    assert reply.status == 400 and reply.error["code"] == -32600
    assert "text/event-stream" in reply.error["message"]


@pytest.mark.parametrize(
    "filter",
    [
        None, [], "x", {"toolsListChanged": 1}, {"resourceSubscriptions": "file:///a"},
        {"resourceSubscriptions": [1]}, {"resourceSubscriptions": ["file:///a"] * 1025},
    ],
)
def test_a_wrong_filter_is_refused(modern: Mcp, filter: object) -> None:
    params = {} if filter is None else {"notifications": filter}
    assert modern.request("subscriptions/listen", params).error["code"] == -32602


def test_methods_belong_to_their_era(modern: Mcp, legacy: Mcp) -> None:
    reply = modern.request("resources/subscribe", {"uri": "file:///a"})
    assert reply.status == 404 and reply.error["code"] == -32601
    reply = legacy.request("subscriptions/listen", {"notifications": {}})
    assert reply.error["code"] == -32601


def gauge(daemon: Daemon, name: str) -> int:
    text = exchange(daemon, "GET", "/metrics").body.decode()
    return int(text.split(f"\nsandbox_mcp_{name} ")[1].split("\n")[0])


def test_closing_the_stream_ends_the_subscription(modern: Mcp) -> None:
    path = modern.daemon.workspace / "a"
    path.write_text("")
    uris = [uri_of(modern.daemon.workspace / f"f{i}") for i in range(50)]
    watches = inotify_watches(modern.daemon.pid)
    with listen(modern, resourceSubscriptions=uris, resourcesListChanged=True) as stream:
        acknowledged(stream)
        assert gauge(modern.daemon, "streams") == 1
        assert inotify_watches(modern.daemon.pid) > watches
    wait_until(lambda: gauge(modern.daemon, "streams") == 0)
    path.unlink()  # tells the server that nobody listens to the list any more
    wait_until(lambda: inotify_watches(modern.daemon.pid) == watches)


def test_open_subscriptions_do_not_count_as_calls(launch: Launch) -> None:
    server = launch("--max-calls", "2")
    modern = Mcp(server, MODERN)
    streams = [listen(modern, i) for i in range(5)]
    for stream in streams:
        acknowledged(stream)
    assert modern.request("tools/list").result["tools"]
    for stream in streams:
        stream.close()


def test_too_many_streams_are_refused(launch: Launch) -> None:
    modern = Mcp(launch("--max-streams", "1"), MODERN)
    with listen(modern, 1) as stream:
        acknowledged(stream)
        reply = modern.request("subscriptions/listen", {"notifications": {}})
        assert reply.error["code"] == -32600 and "streams" in reply.error["message"]


def test_the_end_of_the_server_ends_streams_in_order(launch: Launch) -> None:
    server = launch()
    modern, legacy = Mcp(server, MODERN), Mcp(server, LEGACY[0])
    with listen(modern, 5, resourcesListChanged=True) as stream, session_stream(legacy) as session:
        acknowledged(stream)
        begin = time.monotonic()
        server.stop()
        assert time.monotonic() - begin < STOP_SECONDS / 2
        last = stream.next()
        assert last["id"] == 5 and last["result"]["resultType"] == "complete"
        assert last["result"]["_meta"][ID] == 5
        assert stream.next() is None
        assert session.next() is None


# ---- what counts as a change ----


@pytest.fixture
def workspace(modern: Mcp) -> Path:
    return modern.daemon.workspace


def write(path: Path) -> None:
    path.write_text(os.urandom(4).hex())


def replace(path: Path) -> None:
    other = path.with_name("temporary")
    write(other)
    other.rename(path)


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write("more")


@pytest.mark.parametrize("change", [write, replace, append, Path.unlink, Path.touch])
def test_changes_of_a_file_are_seen(modern: Mcp, workspace: Path, change) -> None:
    path = workspace / "d" / "a"
    path.parent.mkdir()
    path.write_text("1")
    with listen(modern, resourceSubscriptions=[uri_of(path)]) as stream:
        acknowledged(stream)
        for _ in range(1 if change is Path.unlink else 3):
            change(path)
            expect(stream, UPDATED, uri=uri_of(path))


def test_a_file_may_come_later_go_and_come_again(modern: Mcp, workspace: Path) -> None:
    path = workspace / "x" / "y" / "z" / "a"
    with listen(modern, resourceSubscriptions=[uri_of(path)]) as stream:
        acknowledged(stream)
        for _ in range(2):
            path.parent.mkdir(parents=True)
            path.write_text("1")
            expect(stream, UPDATED, uri=uri_of(path))
            path.write_text("2")
            expect(stream, UPDATED, uri=uri_of(path))
            (workspace / "x").rename(workspace / "gone")
            expect(stream, UPDATED, uri=uri_of(path))
            (workspace / "gone").rename(workspace / f"gone{time.monotonic_ns()}")


def test_a_directory_moved_into_place_brings_the_file(modern: Mcp, workspace: Path) -> None:
    (workspace / "ready").mkdir()
    (workspace / "ready" / "a").write_text("1")
    with listen(modern, resourceSubscriptions=[uri_of(workspace / "now" / "a")]) as stream:
        acknowledged(stream)
        (workspace / "ready").rename(workspace / "now")
        expect(stream, UPDATED, uri=uri_of(workspace / "now" / "a"))


def test_a_file_behind_symlinks_is_watched_where_it_is(modern: Mcp, workspace: Path) -> None:
    (workspace / "real").mkdir()
    (workspace / "real" / "a").write_text("1")
    (workspace / "other").mkdir()
    (workspace / "link").symlink_to("real")
    (workspace / "file").symlink_to("link/a")
    uri = uri_of(workspace / "file")
    with listen(modern, resourceSubscriptions=[uri]) as stream:
        acknowledged(stream)
        write(workspace / "real" / "a")
        expect(stream, UPDATED, uri=uri)
        (workspace / "file").unlink()
        (workspace / "file").symlink_to("other/b")
        expect(stream, UPDATED, uri=uri)


def test_names_in_a_directory_are_its_content(modern: Mcp, workspace: Path) -> None:
    (workspace / "d").mkdir()
    with listen(modern, resourceSubscriptions=[uri_of(workspace / "d")]) as stream:
        acknowledged(stream)
        (workspace / "d" / "new").write_text("")
        expect(stream, UPDATED, uri=uri_of(workspace / "d"))


def test_a_burst_is_few_messages(modern: Mcp, workspace: Path) -> None:
    path = workspace / "a"
    path.write_text("")
    with listen(modern, resourceSubscriptions=[uri_of(path)]) as stream:
        acknowledged(stream)
        begin = time.monotonic()
        for _ in range(5000):
            append(path)
        seconds = time.monotonic() - begin
        expect(stream, UPDATED, uri=uri_of(path))
        count = 1
        try:
            while stream.next(0.5):
                count += 1
        except TimeoutError:
            pass
        assert count <= 3 + seconds / 0.2


def test_the_list_changes_at_most_once_a_second(modern: Mcp, workspace: Path) -> None:
    (workspace / "d" / "e").mkdir(parents=True)
    with listen(modern, resourcesListChanged=True) as stream:
        acknowledged(stream)
        (workspace / ".hidden").write_text("")
        (workspace / "d" / "e" / "new").write_text("")
        expect(stream, LISTED)
        at = time.monotonic()
        for i in range(100):
            (workspace / f"f{i}").write_text("")
        expect(stream, LISTED)
        assert time.monotonic() - at > 0.9
        (workspace / "late").mkdir()
        expect(stream, LISTED)
        (workspace / "late" / "file").write_text("")
        expect(stream, LISTED)


def test_hidden_names_are_no_change_of_the_list(modern: Mcp, workspace: Path) -> None:
    (workspace / ".git").mkdir()
    (workspace / "a").write_text("")
    with listen(modern, resourcesListChanged=True) as stream:
        acknowledged(stream)
        (workspace / ".git" / "index").write_text("")
        (workspace / ".swp").write_text("")
        (workspace / "a").write_text("content only")
        assert stream.silent(1.5)


def test_many_subscriptions_of_one_client(modern: Mcp, workspace: Path) -> None:
    uris = [uri_of(workspace / f"f{i:04}") for i in range(1024)]
    with listen(modern, resourceSubscriptions=uris) as stream:
        assert acknowledged(stream)["resourceSubscriptions"] == uris
        (workspace / "f0777").write_text("")
        expect(stream, UPDATED, uri=uris[777])


# ---- sessions of the older eras ----


@pytest.mark.parametrize("version", LEGACY)
def test_a_session_subscribes_and_hears_on_its_stream(server: Daemon, version: str) -> None:
    mcp = Mcp(server, version)
    path = server.workspace / "a"
    path.write_text("")
    with session_stream(mcp) as stream:
        for _ in range(2):
            assert mcp.request("resources/subscribe", {"uri": uri_of(path)}).result == {}
        write(path)
        message = stream.next()
        assert message == {"jsonrpc": "2.0", "method": UPDATED, "params": {"uri": uri_of(path)}}
        assert mcp.request("resources/unsubscribe", {"uri": uri_of(path)}).result == {}
        assert mcp.request("resources/unsubscribe", {"uri": uri_of(path)}).result == {}
        write(path)
        (server.workspace / "b").write_text("")
        assert stream.next() == {"jsonrpc": "2.0", "method": LISTED}


def test_a_session_hears_of_names_from_the_opening_of_its_stream_on(legacy: Mcp) -> None:
    with session_stream(legacy) as stream:
        write(legacy.daemon.workspace / "a")
        expect(stream, LISTED)


def test_each_session_hears_of_its_own_resources(server: Daemon) -> None:
    one, two = Mcp(server, LEGACY[0]), Mcp(server, LEGACY[0])
    a, b = server.workspace / "a", server.workspace / "b"
    write(a)
    write(b)
    with session_stream(one) as first, session_stream(two) as second:
        assert one.request("resources/subscribe", {"uri": uri_of(a)}).result == {}
        assert two.request("resources/subscribe", {"uri": uri_of(b)}).result == {}
        write(a)
        expect(first, UPDATED, uri=uri_of(a))
        write(b)
        expect(second, UPDATED, uri=uri_of(b))


def test_a_subscription_outlives_the_stream_but_not_the_session(server: Daemon) -> None:
    mcp = Mcp(server, LEGACY[0])
    path = server.workspace / "a"
    write(path)
    assert mcp.request("resources/subscribe", {"uri": uri_of(path)}).result == {}
    for _ in range(2):
        with session_stream(mcp) as stream:
            write(path)
            expect(stream, UPDATED, uri=uri_of(path))
    headers = {"Mcp-Session-Id": mcp.session or ""}
    assert exchange(server, "DELETE", headers=headers).status == 204
    wait_until(lambda: inotify_watches(server.pid) <= 1)


def test_what_cannot_be_subscribed_to_is_refused(legacy: Mcp) -> None:
    for uri, code in (
        ("nope://x", -32002), ("file:///a?b", -32602), ("file:///" + "d/" * 100, -32602),
        (5, -32602), (None, -32602), ("file:///" + "a" * 20000, -32602),
    ):
        error = legacy.request("resources/subscribe", {"uri": uri}).error
        assert error["code"] == code, uri
    without = Mcp.__new__(Mcp)
    without.__dict__ |= legacy.__dict__ | {"session": None}
    reply = without.request("resources/subscribe", {"uri": uri_of(legacy.daemon.workspace)})
    assert reply.error["code"] == -32600


def test_a_session_watches_a_bounded_number_of_resources(legacy: Mcp) -> None:
    workspace = legacy.daemon.workspace
    codes = [
        legacy.request("resources/subscribe", {"uri": uri_of(workspace / f"{i}")}).messages[0]
        for i in range(1025)
    ]
    assert all("result" in c for c in codes[:1024])
    assert codes[1024]["error"]["code"] == -32602 and "1024" in codes[1024]["error"]["message"]


# ---- standard input and output ----


class Pipe:
    """A server on standard input and output."""

    def __init__(self, directory: Path):
        daemon = Daemon(directory)
        self.workspace = daemon.workspace
        self.process = subprocess.Popen(
            [*daemon.command, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env=environment(), bufsize=1,
        )

    def send(self, method: str, id: object = None, **params: object) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        self.process.stdin.write(json.dumps(message | ({"id": id} if id else {})) + "\n")

    def next(self) -> Json:
        return json.loads(self.process.stdout.readline())

    def end(self) -> str:
        rest, _ = self.process.communicate(timeout=STOP_SECONDS * 2)
        assert self.process.returncode == 0
        return rest


@pytest.fixture
def pipe(tmp_path: Path):
    pipe = Pipe(tmp_path / "stdio")
    yield pipe
    pipe.process.kill()
    pipe.process.communicate()


META_MODERN = {META + "protocolVersion": MODERN, META + "clientCapabilities": {}}


def test_stdio_carries_several_subscriptions(pipe: Pipe) -> None:
    a, b = (uri_of(pipe.workspace / n) for n in "ab")
    for id, uri in ((1, a), (2, b)):
        notifications = {"resourceSubscriptions": [uri]}
        pipe.send("subscriptions/listen", id, _meta=META_MODERN, notifications=notifications)
        assert pipe.next()["params"]["_meta"] == {ID: id}
    write(pipe.workspace / "b")
    assert pipe.next()["params"] == {"_meta": {ID: 2}, "uri": b}
    pipe.send("notifications/cancelled", requestId=2, _meta=META_MODERN)
    write(pipe.workspace / "b")
    write(pipe.workspace / "a")
    assert pipe.next()["params"] == {"_meta": {ID: 1}, "uri": a}
    rest = [json.loads(line) for line in pipe.end().splitlines()]
    assert [m["id"] for m in rest] == [1]
    assert rest[0]["result"]["_meta"][ID] == 1


def test_stdio_of_the_older_eras_hears_of_everything(pipe: Pipe) -> None:
    pipe.send("initialize", 1, protocolVersion=LEGACY[0], capabilities={}, clientInfo={})
    assert pipe.next()["id"] == 1
    uri = uri_of(pipe.workspace / "a")
    pipe.send("resources/subscribe", 2, uri=uri)
    assert pipe.next() == {"jsonrpc": "2.0", "id": 2, "result": {}}
    write(pipe.workspace / "a")
    heard = [pipe.next(), pipe.next()]
    assert {m["method"] for m in heard} == {UPDATED, LISTED}
    assert pipe.end() == ""


def test_stdio_hears_of_names_from_the_handshake_on(pipe: Pipe) -> None:
    pipe.send("initialize", 1, protocolVersion=LEGACY[0], capabilities={}, clientInfo={})
    assert pipe.next()["id"] == 1
    write(pipe.workspace / "a")
    assert pipe.next() == {"jsonrpc": "2.0", "method": LISTED}
    assert pipe.end() == ""


# ---- the kernel's side ----


def inotify_watches(pid: int) -> int:
    """What the server has the kernel watch."""
    count = 0
    for fd in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            count += fd.read_text().count("inotify wd:")
        except FileNotFoundError:
            pass
    return count


def wait_until(true, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.01)
