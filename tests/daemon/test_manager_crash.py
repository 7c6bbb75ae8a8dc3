"""The manager is killed at each system call that changes something, in every operation: the next
start neither leaks nor loses. strace(1) kills it as the call is entered; programs that the manager
started go on, as they would."""

from __future__ import annotations

import re
import secrets
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from manager import Manager, Refused, cgroups, loops

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CHANGING = (
    "mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat "
    "mount umount2 open_tree move_mount mount_setattr fchown fchownat chown ftruncate ioctl "
    "clone clone3 vfork kill pidfd_send_signal fdatasync fsync write writev pwrite64 sendmsg"
).split()
POINTS_MAX = 60  # of one system call in one operation: more would be a loop without an end

Operation = Callable[[Manager, dict[str, Any]], object]


def create(manager: Manager, sandbox: dict[str, Any]) -> object:
    return manager.create(metadata={"made": "here"})


def create_again(manager: Manager, sandbox: dict[str, Any]) -> object:
    key = {"Idempotency-Key": sandbox["key"]}
    return manager.call("POST", "/sandboxes/create", {"user_id": "test"}, **key)


def pause(manager: Manager, sandbox: dict[str, Any]) -> object:
    return manager.call("POST", f"/sandboxes/{sandbox['sandbox_id']}/pause", {})


def resume(manager: Manager, sandbox: dict[str, Any]) -> object:
    return connect(manager, sandbox["sandbox_id"])


def delete(manager: Manager, sandbox: dict[str, Any]) -> object:
    return manager.call("DELETE", f"/sandboxes/{sandbox['sandbox_id']}")


def connect(manager: Manager, sandbox_id: str) -> dict[str, Any]:
    return manager.call("POST", "/sandboxes/connect", {"sandbox_id": sandbox_id})


@contextmanager
def killed_at(manager: Manager, syscall: str, when: int) -> Iterator[None]:
    """The manager's `when`th such call from now on is its end; its children are not followed."""
    inject = f"inject={syscall}:signal=KILL:when={when}"
    command = ["strace", "-f", "-b", "execve", "-o", "/dev/null", "-e", f"trace={syscall}"]
    tracer = subprocess.Popen(
        [*command, "-e", inject, "-p", str(manager.pid)], stderr=subprocess.PIPE, text=True
    )
    assert tracer.stderr
    line = tracer.stderr.readline()
    assert "attached" in line, line
    rest = threading.Thread(target=tracer.stderr.read)
    rest.start()
    try:
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
        rest.join()
        tracer.stderr.close()


def try_to(manager: Manager, operation: Operation, sandbox: dict[str, Any]) -> bool:
    """Whether nothing was hit: the call may also be one of a child that has not run its program
    yet, and then the manager answers that it could not do it."""
    try:
        operation(manager, sandbox)
        done = True
    except (OSError, ValueError):
        done = False
    except Refused as refusal:
        assert refusal.status == 502, refusal
        return False
    process = manager.process
    assert process
    try:
        process.wait(0 if done else 5)
    except subprocess.TimeoutExpired:
        return done
    manager.kill()
    manager.start()
    return False


def all_sandboxes(manager: Manager) -> list[dict[str, Any]]:
    return manager.call("GET", "/sandboxes?limit=1000")["sandboxes"]


def expect_all_work(manager: Manager) -> list[str]:
    """What is listed can be used, and is as it was."""
    ids = [sandbox["sandbox_id"] for sandbox in all_sandboxes(manager)]
    for sandbox_id in ids:
        assert connect(manager, sandbox_id)["status"] == "running"
        answer = manager.run(sandbox_id, "cat kept 2>/dev/null; echo fine")
        assert answer["output"].endswith("fine\n"), answer
    return ids


def expect_nothing_of(manager: Manager, known: list[str]) -> None:
    """Directories, control groups, mounts, loop devices and processes are of known ones alone."""
    assert {path.name for path in manager.kept()} == set(known)
    data = str(manager.data)
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    owners = {m[1] for p in mounts if (m := re.match(data + r"/sandboxes/([^/]+)", p))}
    assert owners <= set(known), owners
    assert all(any(name in path for name in known) for path in loops(data) if "/disks/" not in path)
    log = manager.read_log()
    groups = {path.name for path in cgroups() if path.name in log}
    assert groups <= set(known), groups
    helpers = [line for line in helper_processes() if any(i in line for i in manager.seen)]
    assert len(helpers) <= len(known), helpers


def helper_processes() -> list[str]:
    lines = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                lines.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
    return [line for line in lines if line.startswith("slirp4netns")]


def make_ready(manager: Manager, operation: Operation) -> dict[str, Any]:
    """What the operation is tried on."""
    if operation in (create, create_again):
        return {"key": secrets.token_hex(8)}
    sandbox = manager.create()
    manager.run(sandbox["sandbox_id"], "echo kept > kept")
    if operation is resume:
        pause(manager, sandbox)
    return sandbox


def look_after(manager: Manager, operation: Operation, sandbox: dict[str, Any], untouched: bool) -> None:
    if operation is create_again:
        first = create_again(manager, sandbox)
        assert create_again(manager, sandbox)["sandbox_id"] == first["sandbox_id"]
    ids = expect_all_work(manager)
    if operation in (pause, resume):
        assert ids == [sandbox["sandbox_id"]]
        assert manager.run(ids[0], "cat kept")["output"] == "kept\n"
    elif operation is delete:
        assert ids == [] or (ids == [sandbox["sandbox_id"]] and not untouched)
    else:
        assert len(ids) <= 1
    expect_nothing_of(manager, ids)


def one_point(manager: Manager, operation: Operation, syscall: str, when: int) -> bool:
    """Whether there is such a point in the operation."""
    sandbox = make_ready(manager, operation)
    with killed_at(manager, syscall, when):
        untouched = try_to(manager, operation, sandbox)
    look_after(manager, operation, sandbox, untouched)
    manager.seen |= {path.name for path in manager.kept()}
    manager.delete_all()
    expect_nothing_of(manager, [])
    return not untouched


@pytest.mark.parametrize("operation", [create, create_again, pause, resume, delete])
def test_killed_at_any_call_it_neither_leaks_nor_loses(
    launch_manager: Callable[..., Manager], operation: Operation
) -> None:
    manager = launch_manager("--workers", "1")
    points = 0
    for syscall in CHANGING:
        for when in range(1, POINTS_MAX):
            try:
                if not one_point(manager, operation, syscall, when):
                    break
            except (AssertionError, Refused) as error:
                raise AssertionError(f"killed at {syscall} number {when}: {error}") from error
            points += 1
        else:
            raise AssertionError(f"{syscall} has no end")
    print(f"{operation.__name__}: killed at {points} points")
    assert points >= 2
