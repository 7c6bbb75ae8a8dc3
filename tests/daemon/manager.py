"""A real sandbox-manager on a data directory of its own, and what must be gone after it.

The manager's own end leaves sandboxes running, as it promises; so `stop` deletes them through
the API first, and then nothing of them may be left: no process (orphans become children of the
tests), mount, loop device, control group or directory. A network namespace lives as long as
a process or a mount of it.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemon import BUILD, Daemon, environment, expect_no_children, wait_until

Json = dict[str, Any]
ALICE, BOB = "alice-key-0123456789", "bob-key-0123456789"
KEYS = {"SANDBOX_API_KEYS": f"alice:{ALICE},bob:{BOB}"}
CREATE_SECONDS = 30
OTHERS = "(E2B|DAYTONA|REDIS|DATABASE)_|(HOST|PORT|MCP_PORT|VSCODE_PORT|(DEFAULT|MAX)_TIMEOUT)$"


class Refused(AssertionError):
    """An answer that is no success."""

    def __init__(self, status: int, body: Json):
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body


@dataclass
class Manager(Daemon):
    """`settings` are its environment; without keys there is one owner, who needs none."""

    program: str = "sandbox-manager"
    with_token: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    from_settings: bool = False  # the port is theirs or the manager's own, 8080
    key: str = ""  # sent where a call names no other
    seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__post_init__()
        assert os.geteuid() == 0, "the manager's tests make sandboxes: run them as root"
        self.data = self.directory / "data"

    @property
    def command(self) -> list[str]:
        """No sandboxes are kept ready, unless a test says --pool N: each belongs to somebody."""
        return [str(BUILD / "bin" / self.program), "--data-dir", str(self.data), "--pool", "0"]

    def start(self, *options: str, port: int = 0) -> Manager:
        super().start(*self.options, *options, port=port)
        return self

    def environment(self) -> dict[str, str]:
        clean = {k: v for k, v in environment().items() if not re.match(OTHERS, k)}
        return clean | {"SANDBOX_DATA_DIR": str(self.data)} | self.settings

    def listen(self, port: int) -> list[str]:
        """Before the options, which may say another."""
        return [] if self.from_settings else super().listen(port)

    def call(self, method: str, path: str, body: Json | None = None, **headers: str) -> Json:
        """The answer to one call; Refused where it is no 200."""
        if self.key:
            headers = {"Authorization": f"Bearer {self.key}"} | headers
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers = {"Content-Type": "application/json"} | headers
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=CREATE_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refusal:
            with refusal:
                raise Refused(refusal.code, json.load(refusal)) from None

    def create(self, **fields: Any) -> Json:
        return self.call("POST", "/sandboxes/create", {"user_id": "test"} | fields)

    def run(self, sandbox_id: str, command: str, **fields: Any) -> Json:
        body = {"sandbox_id": sandbox_id, "command": command} | fields
        return self.call("POST", "/sandboxes/run-command", body)

    def admin_token(self) -> str:
        """A token as the manager's own login makes them, for an administrator."""
        secret = (self.data / "jwt.secret").read_text().strip()
        return token(secret, sub="tests", admin=True, exp=int(time.time()) + 600)

    def delete_all(self) -> None:
        """As an administrator, where nobody is let in without a credential."""
        admin = {}
        if (self.data / "jwt.secret").exists():
            admin["Authorization"] = f"Bearer {self.admin_token()}"
        cursor = ""
        while cursor is not None:
            page = self.call("GET", "/sandboxes?limit=1000" + cursor, None, **admin)
            for sandbox in page["sandboxes"]:
                if sandbox["status"] != "deleted":
                    self.call("DELETE", "/sandboxes/" + sandbox["sandbox_id"], None, **admin)
            cursor = page["next_cursor"] and "&cursor=" + page["next_cursor"]

    def kept(self) -> list[Path]:
        boxes = self.data / "sandboxes"
        return list(boxes.iterdir()) if boxes.exists() else []

    def stop(self) -> None:
        """Deletes every sandbox, then ends as a daemon has to."""
        if not self.process:
            return
        self.seen |= {path.name for path in self.kept()}
        try:
            self.delete_all()
        finally:
            super().stop()

    def leave(self) -> None:
        """SIGTERM alone: sandboxes go on, for the next start to find."""
        self.seen |= {path.name for path in self.kept()}
        super().stop()

    def expect_nothing_left(self) -> None:
        """To be called when it has stopped, and expect_no_children() found no process."""
        assert not self.kept(), f"directories left: {self.kept()}"
        ids = self.seen | set(re.findall(r"\bsandbox=([a-z0-9]{20})\b", self.read_log()))
        groups = [path for path in cgroups() if path.name in ids]
        assert not groups, f"control groups left: {groups}"
        data = str(self.data)
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        assert not (left := [line for line in mounts if data in line]), f"mounted: {left}"
        wait_until(lambda: not loops(data), f"loop devices are left: {loops(data)}")


def token(secret: str, header: Json | None = None, /, **claims: Any) -> str:
    """A JSON Web Token, signed by HS256."""

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    parts = [part(json.dumps(value).encode()) for value in ({"alg": "HS256"} | (header or {}), claims)]
    signature = hmac.digest(secret.encode(), ".".join(parts).encode(), "sha256")
    return ".".join([*parts, part(signature)])


def cgroups() -> list[Path]:
    """Every sandbox's control groups of this machine, in each hierarchy."""
    root = Path("/sys/fs/cgroup")
    return [*root.glob("sandbox/*/"), *root.glob("*/sandbox/*/")]


def loops(data: str) -> list[str]:
    """The files below `data` that are attached to a loop device."""
    files = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            files.append(backing.read_text().strip())
        except OSError:  # detached since
            continue
    return [name for name in files if name.startswith(data)]


@contextmanager
def managers(directory: Path) -> Iterator[Any]:
    """Yields start(*options, **fields) -> Manager; all that were started end, and leave nothing."""
    with ExitStack() as ends:

        def start(*options: str, **fields: Any) -> Manager:
            name = f"manager{len(list(directory.iterdir()))}"
            manager = Manager(directory / name, list(options), **fields)
            ends.callback(manager.expect_nothing_left)
            ends.callback(expect_no_children)
            ends.callback(manager.stop)
            return manager.start()

        yield start
