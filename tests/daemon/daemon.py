"""The real binary as a child process of the tests, held to its word when it ends."""

from __future__ import annotations

import ctypes
import os
import re
import secrets
import select
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("SANDBOX_BUILD", ROOT / "build" / "dev")).resolve()

# Sanitized binaries start and stop more slowly; the promises hold for the others.
SLOWER = 10 if BUILD.name in ("asan", "tsan") else 1
START_SECONDS = 5 * SLOWER
STOP_SECONDS = 2 * SLOWER

PR_SET_CHILD_SUBREAPER = 36
IN_CREATE, IN_MOVED_TO = 0x100, 0x80


def adopt_orphans() -> None:
    """What a server leaves behind becomes a child of the tests, so that it is seen."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def children() -> dict[int, str]:
    """The live children of this process with their command lines; the dead are reaped."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        for pid in map(int, (task / "children").read_text().split()):
            try:
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    found[pid] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
            except (ChildProcessError, FileNotFoundError):
                pass
    return found


def environment() -> dict[str, str]:
    """This process's environment without what would configure the server."""
    return {k: v for k, v in os.environ.items() if not re.match("SANDBOX_|WORKSPACE_DIR", k)}


@dataclass
class Daemon:
    """One server on a port of its own; `start` may be called again after it ended."""

    directory: Path
    options: list[str] = field(default_factory=list)
    program: str = "sandbox-mcp"
    with_token: bool = True
    url: str = ""
    process: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        self.workspace = self.directory / "workspace"
        self.state = self.directory / "state"
        self.log = self.directory / "log"
        self.token = secrets.token_urlsafe(32) if self.with_token else None
        self.workspace.mkdir(parents=True)
        if self.token:
            self.token_file = self.directory / "token"
            self.token_file.write_text(self.token + "\n")
            self.token_file.chmod(0o600)

    @property
    def command(self) -> list[str]:
        """The command line without what says where to listen."""
        line = [str(BUILD / "bin" / self.program), "--workspace", str(self.workspace)]
        return line + ["--state-dir", str(self.state), *self.options]

    def environment(self) -> dict[str, str]:
        return environment()

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def listen(self, port: int) -> list[str]:
        return ["--port", str(port)]

    def start(self, *options: str, port: int = 0) -> Daemon:
        token = ["--token-file", str(self.token_file)] if self.token else []
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*self.command, *self.listen(port), *token, *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self.environment(),
            )
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], START_SECONDS)
        line = self.process.stdout.readline() if ready else ""
        match = re.fullmatch(r"listening on (http://\S+)\n", line)
        if not match:
            self.kill()
            raise AssertionError(f"not ready, printed {line!r}; {self.read_log()}")
        self.url = match[1]
        return self

    def read_log(self) -> str:
        return "log:\n" + self.log.read_text(errors="replace")

    def kill(self) -> None:
        """Ends the server as a crash would."""
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def stop(self) -> None:
        """SIGTERM: leaves with status 0, in time, having printed nothing more, alone."""
        if not self.process:
            return
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            printed, _ = process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise AssertionError(f"still there after SIGTERM; {self.read_log()}") from None
        assert process.returncode == 0, f"exit status {process.returncode}; {self.read_log()}"
        assert printed == "", f"more on standard output than its line: {printed!r}"


def expect_no_children(seconds: float = STOP_SECONDS) -> None:
    """No process is left; what is, is ended and named."""
    end = time.monotonic() + seconds
    while (left := children()) and (rest := end - time.monotonic()) > 0:
        try:
            ended = os.pidfd_open(next(iter(left)))
        except ProcessLookupError:
            continue
        select.select([ended], [], [], rest)
        os.close(ended)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert not left, f"left behind: {left}"


def wait_for(path: Path, seconds: float = 10) -> None:
    """Returns once the path is there, as the directory's events tell."""
    libc = ctypes.CDLL(None, use_errno=True)
    events = libc.inotify_init1(os.O_CLOEXEC)
    try:
        libc.inotify_add_watch(events, os.fsencode(path.parent), IN_CREATE | IN_MOVED_TO)
        end = time.monotonic() + seconds
        while not path.exists():
            ready, _, _ = select.select([events], [], [], max(0, end - time.monotonic()))
            assert ready, f"{path} did not come"
            os.read(events, 65536)
    finally:
        os.close(events)


def wait_until(true: Callable[[], bool], what: str, seconds: float = 10) -> None:
    """For what has no event to wait for."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.01)
