"""Clients that leave, and a manager that ends, while calls are under way."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from asking import Answer, ask, form, get, leave, post, receive, sandbox, send
from daemon import SLOWER, wait_until
from manager import ALICE, KEYS, Manager

Launch = Callable[..., Manager]
BIG = "head -c 300000000 /dev/zero > big"


@pytest.fixture
def box(manager: Manager) -> Iterator[str]:
    with sandbox(manager) as box:
        yield box


def start_upload(manager: Manager, box: str, path: str) -> http.client.HTTPConnection:
    """Sends the first part of a file, and announces more."""
    body, kind = form({"sandbox_id": box, "path": path}, b"x" * 3_000_000)
    headers = {"Content-Type": kind, "Content-Length": str(len(body))}
    connection = send(manager, "POST", "/sandboxes/upload-file", None, headers)
    connection.send(body[:2_000_000])
    return connection


def run(manager: Manager, box: str, command: str, **headers: str) -> http.client.HTTPConnection:
    body = {"sandbox_id": box, "command": command}
    return send(manager, "POST", "/sandboxes/run-command", body, headers)


EVENTS = {"Accept": "text/event-stream"}


def count(manager: Manager, box: str, what: str) -> int:
    found = manager.run(box, f"pgrep -cf '^sleep {what}$'")
    return int(found["stdout"])


@pytest.mark.parametrize("headers", [{}, EVENTS], ids=["whole", "stream"])
def test_a_client_that_leaves_ends_its_command(manager: Manager, box: str, headers: dict) -> None:
    for second in (False, True):
        connection = run(manager, box, "sleep 1234", **headers)
        if headers and second:  # of a stream both before and after its head was read
            assert connection.getresponse().status == 200
        wait_until(lambda: count(manager, box, "1234") == 1, "the command did not start")
        leave(connection)
        wait_until(lambda: count(manager, box, "1234") == 0, "the command goes on", 20)


def test_a_command_that_prints_ends_when_nobody_reads(manager: Manager, box: str) -> None:
    connection = run(manager, box, "yes & exec -a sleep sleep 4321", **EVENTS)
    assert connection.getresponse().readline() == b"event: stdout\n"
    leave(connection)
    wait_until(lambda: count(manager, box, "4321") == 0, "the command goes on", 20)


def test_what_was_uploaded_in_part_is_not_there(manager: Manager, box: str) -> None:
    manager.run(box, "echo old > part")
    for _ in range(3):
        leave(start_upload(manager, box, "part"))
    uploads = "ls -A | grep -v part | wc -l"
    wait_until(lambda: manager.run(box, uploads)["stdout"] == "0\n", "pieces are left")
    assert manager.run(box, "cat part")["stdout"] == "old\n"


def test_a_download_may_be_left(manager: Manager, box: str) -> None:
    manager.run(box, BIG)
    for read in (0, 1, 5_000_000):
        body = {"sandbox_id": box, "path": "big"}
        connection = send(manager, "POST", "/sandboxes/download-file", body)
        if read:
            assert len(connection.getresponse().read(read)) == read
        leave(connection)
    assert manager.run(box, "echo fine")["stdout"] == "fine\n"


def calls(manager: Manager, box: str) -> Iterator[Callable[[], http.client.HTTPConnection]]:
    """One of each kind, none of which has ended when it was sent."""
    about = {"sandbox_id": box}
    yield lambda: run(manager, box, "sleep 0.05")
    yield lambda: run(manager, box, "seq 100000", **EVENTS)
    yield lambda: send(manager, "POST", "/sandboxes/connect", about)
    yield lambda: send(manager, "GET", f"/sandboxes/{box}/status")
    yield lambda: send(manager, "POST", "/sandboxes/read-file", about | {"path": "/etc/passwd"})
    yield lambda: send(manager, "POST", "/sandboxes/download-file", about | {"path": "/etc/passwd"})
    content = {"path": "w", "content": "x" * 1_000_000}
    yield lambda: send(manager, "POST", "/sandboxes/write-file", about | content)
    yield lambda: start_upload(manager, box, "u")
    yield lambda: send(
        manager, "POST", "/sandboxes/run-command", about | {"command": "true", "background": True}
    )


def test_clients_may_leave_at_any_moment(launch_manager: Launch) -> None:
    manager = launch_manager(settings=KEYS, key=ALICE)
    box = manager.create(timeout=1, auto_resume=True)["sandbox_id"]
    for resume in (False, True):
        for call in calls(manager, box):
            for delay_ms in (0, 0, 1, 3, 10):
                if resume:
                    ask(manager, "POST", f"/sandboxes/{box}/pause").fine()
                connection = call()
                time.sleep(delay_ms / 1000)  # a moment of its life, whichever
                leave(connection)
    status = lambda: get(manager, "/sandboxes?status=paused").fine()["sandboxes"]  # noqa: E731
    wait_until(lambda: len(status()) == 1, "a call holds the sandbox, which never pauses", 20)


def test_a_create_whose_client_left_can_be_found(manager: Manager) -> None:
    headers = {"Idempotency-Key": "left"}
    leave(send(manager, "POST", "/sandboxes/create", {"user_id": "x"}, headers))
    for _ in range(2):
        found = post(manager, "/sandboxes/create", {"user_id": "x"}, headers=headers).fine()
    listed = get(manager, "/sandboxes").fine()["sandboxes"]
    assert [one["sandbox_id"] for one in listed] == [found["sandbox_id"]]


def outcome(connection: http.client.HTTPConnection) -> int:
    """The status, or 0 where the connection was cut."""
    try:
        return receive(connection).status
    except (http.client.HTTPException, ConnectionError):
        return 0


@pytest.mark.long
def test_the_manager_ends_in_time_whatever_is_under_way(
    launch_manager: Launch, tmp_path: Path
) -> None:
    manager = launch_manager("--workers", "2", settings=KEYS, key=ALICE)
    box = manager.create()["sandbox_id"]
    manager.run(box, BIG)
    paused = manager.create(auto_resume=True)["sandbox_id"]
    ask(manager, "POST", f"/sandboxes/{paused}/pause").fine()
    download = {"sandbox_id": box, "path": "big"}
    slow = [
        run(manager, box, "sleep 1000"),
        run(manager, box, "sleep 1000", **EVENTS),
        run(manager, box, "yes", **EVENTS),
        run(manager, box, "yes > /dev/null"),
        send(manager, "POST", "/sandboxes/download-file", download),
        start_upload(manager, box, "u"),
    ]
    wait_until(lambda: count(manager, box, "1000") == 2, "the commands did not start")
    login = "/api/v1/auth/login/swagger?username=nobody%d&password=x"
    soon = [
        *(send(manager, "POST", "/sandboxes/create", {"user_id": "x"}) for _ in range(4)),
        *(send(manager, "POST", login % i) for i in range(8)),
        run(manager, paused, "sleep 1000"),
        start_upload(manager, paused, "u"),
    ]
    get(manager, "/health").fine()  # what was sent before was read
    manager.leave()
    for connection in slow[:1] + slow[3:4]:
        assert outcome(connection) == 502, "it had begun"
    for connection in [*slow[1:3], *slow[4:]]:
        assert outcome(connection) in (0, 200, 502, 503), "a stream had begun"
    for connection in soon:
        assert outcome(connection) in (0, 200, 401, 502, 503)
    manager.start()
    for one in get(manager, "/sandboxes").fine()["sandboxes"]:
        assert one["status"] in ("running", "paused"), one
        assert manager.call("POST", "/sandboxes/connect", {"sandbox_id": one["sandbox_id"]})
        assert manager.run(one["sandbox_id"], "echo fine")["stdout"] == "fine\n"


def test_who_waits_for_a_command_is_answered_when_the_manager_ends(
    manager: Manager, box: str
) -> None:
    whole, stream = run(manager, box, "sleep 6"), run(manager, box, "sleep 6", **EVENTS)
    wait_until(lambda: count(manager, box, "6") == 2, "the commands did not start")
    manager.leave()
    answer = receive(whole)
    assert "look before you try again" in answer.refused(502, "provider_failed")
    assert answer.headers["Retry-After"] is None
    assert b"event: error\n" in receive(stream).body, "the stream was cut, not ended"
    manager.start()


def test_a_second_signal_ends_it_at_once(manager: Manager, box: str) -> None:
    assert manager.process
    connection = run(manager, box, "sleep 1000")
    wait_until(lambda: count(manager, box, "1000") == 1, "the command did not start")
    before = time.monotonic()
    manager.process.terminate()
    wait_until(lambda: "stopping" in manager.read_log(), "it does not stop")
    manager.process.terminate()
    printed, _ = manager.process.communicate(timeout=10)
    assert time.monotonic() - before < 1.2 * SLOWER
    assert manager.process.returncode == 0 and printed == ""
    assert outcome(connection) == 502
    manager.process = None
    manager.start()


def test_the_manager_waits_for_no_long_job(launch_manager: Launch, tmp_path: Path) -> None:
    """A runtime that takes half a minute, the first time it is to create."""
    runtime, began = tmp_path / "runc", tmp_path / "began"
    real = shutil.which("runc") or shutil.which("crun")
    runtime.write_text(
        "#!/bin/sh\n"
        f'case " $* " in *" create "*) [ -e {began} ] || {{ echo $$ > {began}; exec sleep 30; }};; esac\n'
        f'exec {real} "$@"\n'
    )
    runtime.chmod(0o755)
    manager = launch_manager("--oci-runtime", str(runtime), settings=KEYS, key=ALICE)
    creating = send(manager, "POST", "/sandboxes/create", {"user_id": "x"})
    wait_until(lambda: began.exists() and began.read_text() != "", "the runtime was not called")
    try:
        manager.leave()  # in time, with status 0
        assert receive(creating).status == 503
    finally:
        with suppress(ProcessLookupError):
            os.kill(int(began.read_text()), signal.SIGKILL)
    manager.start()
    box = manager.create()["sandbox_id"]
    assert manager.run(box, "echo fine")["stdout"] == "fine\n"


def test_who_waits_for_a_change_is_answered(manager: Manager, box: str) -> None:
    """Many changes of one sandbox at once: each is made, or was not needed."""
    waiting = []
    for _ in range(30):
        waiting.append(send(manager, "POST", f"/sandboxes/{box}/pause"))
        waiting.append(send(manager, "POST", "/sandboxes/connect", {"sandbox_id": box}))
    answers: list[Answer] = [receive(connection) for connection in waiting]
    for answer in answers:
        assert answer.status == 200, answer
    assert json.loads(answers[-1].body)["status"] in ("running", "paused")
