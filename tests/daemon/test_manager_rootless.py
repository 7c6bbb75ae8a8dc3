"""The manager of an ordinary user, in a user namespace: what works, and what it says is missing."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import pytest
from daemon import BUILD, expect_no_children, wait_until
from manager import Manager

pytestmark = pytest.mark.slow  # they change who may open /dev/net/tun

PROGRAMS = ("sandbox-manager", "sandbox-mcp", "sandbox-keeper", "sandbox-init")
TUN = Path("/dev/net/tun")


@dataclass
class User:
    """Made for one test. Its home has the programs, which it may not reach where they are built."""

    name: str

    @property
    def home(self) -> Path:
        return Path(pwd.getpwnam(self.name).pw_dir)

    def command(self, *words: str) -> list[str]:
        become = ["setpriv", "--reuid", self.name, "--regid", self.name, "--init-groups"]
        return [*become, str(self.home / "sandbox-manager"), *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        line = self.command("--data-dir", str(self.home / "data"), *words)
        return subprocess.run(line, capture_output=True, text=True, timeout=60)

    def doctor(self) -> subprocess.CompletedProcess[str]:
        env = os.environ | {"SANDBOX_DATA_DIR": str(self.home / "data")}
        line = self.command("doctor")
        return subprocess.run(line, capture_output=True, text=True, timeout=60, env=env)


@dataclass
class Ordinary(Manager):
    user: User | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        assert self.user
        self.data = self.user.home / "data"

    @property
    def command(self) -> list[str]:
        assert self.user
        return self.user.command("--data-dir", str(self.data), "--pool", "0")


@contextmanager
def made(*options: str) -> Iterator[User]:
    user = User(f"sandbox-test-{os.getpid()}")
    subprocess.run(["useradd", "--create-home", *options, user.name], check=True)
    try:
        for program in PROGRAMS:
            shutil.copy(BUILD / "bin" / program, user.home)
        yield user
    finally:
        subprocess.run(["userdel", "--remove", user.name], check=True, capture_output=True)


@pytest.fixture
def user() -> Iterator[User]:
    with made() as user:
        yield user


@pytest.fixture
def open_tun() -> Iterator[None]:
    """As Debian has it; in bare virtual machines it is for root alone. One test at a time."""
    with TUN.open("rb", buffering=0) as device:
        fcntl.flock(device, fcntl.LOCK_EX)
        before = TUN.stat().st_mode & 0o7777
        TUN.chmod(0o666)
        try:
            yield
        finally:
            TUN.chmod(before)


@pytest.fixture
def ordinary(tmp_path: Path, user: User, open_tun: None) -> Iterator[Ordinary]:
    manager = Ordinary(tmp_path / "manager", user=user)
    try:
        yield manager.start()
    finally:
        manager.stop()
        expect_no_children()
        manager.expect_nothing_left()


def test_a_sandbox_lives_through_its_whole_life(ordinary: Ordinary, user: User) -> None:
    box = ordinary.create()
    name = box["sandbox_id"]
    assert ordinary.run(name, "id -un; sudo id -un; echo one > f")["stdout"] == "user\nroot\n"
    assert ordinary.run(name, "sudo touch /etc/x /usr/local/x /opt/x")["exit_code"] == 0
    before = ordinary.run(name, "nohup sleep 1000 >/dev/null 2>&1 & echo $!")["stdout"]

    ordinary.leave()
    ordinary.start()
    assert ordinary.run(name, "cat f")["stdout"] == "one\n"
    assert ordinary.run(name, f"ps -o args= {before}")["stdout"] == "sleep 1000\n"
    assert ordinary.call("GET", f"/sandboxes/{name}/info")["status"] == "running"

    ordinary.call("POST", f"/sandboxes/{name}/pause", {})
    info = ordinary.call("GET", f"/sandboxes/{name}/info")
    assert (info["status"], info["cold"]) == ("paused", True)  # it has no freezer
    ordinary.call("POST", "/sandboxes/connect", {"sandbox_id": name})
    assert ordinary.run(name, "cat f; ls /etc/x")["stdout"] == "one\n/etc/x\n"
    ordinary.call("DELETE", f"/sandboxes/{name}")
    assert ordinary.kept() == []


def test_it_says_what_is_lost(ordinary: Ordinary) -> None:
    name = ordinary.create()["sandbox_id"]
    isolation = ordinary.call("GET", f"/sandboxes/{name}/info")["isolation"]["isolation"]
    assert isolation["ids_shared"] is True
    assert set(isolation["limits_not_set"]) >= {"memory", "cpus", "pids", "disk"}


def test_the_user_and_its_files_are_out_of_reach(ordinary: Ordinary, user: User) -> None:
    name = ordinary.create()["sandbox_id"]
    secret = user.home / "secret"
    secret.write_text("x")
    assert ordinary.run(name, f"sudo test -e {secret} -o -e {user.home}")["exit_code"] == 1
    ids = ordinary.run(name, "awk '{ print $2 }' /proc/self/uid_map")["stdout"]
    assert ids == "1\n"  # of the user's range, of which 0 is the user
    port = ordinary.url.rsplit(":", 1)[1]
    for address in ("10.0.2.2", "127.0.0.1"):
        command = f"timeout 5 bash -c '</dev/tcp/{address}/{port}'"
        assert ordinary.run(name, command)["exit_code"] != 0
    for refused in ("mount -t tmpfs none /mnt", "nft flush ruleset", "unshare -U true"):
        assert ordinary.run(name, f"sudo {refused}")["exit_code"] != 0, refused


def test_neighbours_of_one_range_do_not_see_each_other(ordinary: Ordinary) -> None:
    one, two = (ordinary.create()["sandbox_id"] for _ in range(2))
    ordinary.run(one, "echo x > /tmp/mine; nohup sleep 4321 >/dev/null 2>&1 &")
    assert ordinary.run(two, "sudo ls /tmp/mine")["exit_code"] != 0
    assert ordinary.run(two, "sudo pkill sleep")["exit_code"] == 1
    assert ordinary.run(one, "pgrep -c sleep")["stdout"] == "1\n"


def test_a_tree_of_any_depth_is_removed(ordinary: Ordinary) -> None:
    name = ordinary.create()["sandbox_id"]
    deep = "for i in $(seq 400); do mkdir d; cd d; touch f; done; pwd | wc -c"
    assert int(ordinary.run(name, deep)["stdout"]) > 800
    assert ordinary.run(name, "chmod 0 d/d/d")["exit_code"] == 0
    ordinary.call("DELETE", f"/sandboxes/{name}")
    assert ordinary.kept() == []


def test_a_killed_manager_is_followed_by_one_that_finds_all(ordinary: Ordinary) -> None:
    name = ordinary.create()["sandbox_id"]
    ordinary.run(name, "echo kept > f")
    ordinary.kill()
    ordinary.start()
    assert ordinary.run(name, "cat f")["stdout"] == "kept\n"


@pytest.mark.parametrize("moment", ["config.json", "runtime.log", "pid", "init"])
def test_what_was_being_made_when_it_was_killed_is_found(ordinary: Ordinary, moment: str) -> None:
    """Its processes are in the killed manager's namespace, which nobody else may be in."""
    for _ in range(3):
        with ThreadPoolExecutor(1) as calls:
            made = calls.submit(ordinary.create)
            wait_until(lambda: bool(list(ordinary.data.glob(f"sandboxes/*/{moment}"))), "no box")
            ordinary.kill()
            assert isinstance(made.exception(), (OSError, HTTPException, type(None)))
        ordinary.seen |= {path.name for path in ordinary.kept()}
        ordinary.start()
        ordinary.delete_all()
        wait_until(lambda: not ordinary.kept(), "it stays")
    ordinary.leave()
    expect_no_children()


def test_doctor_finds_what_an_ordinary_user_needs(user: User, open_tun: None) -> None:
    found = user.doctor()
    assert found.returncode == 0, found.stdout
    assert "share one range of ids" in found.stdout
    TUN.chmod(0o600)
    found = user.doctor()
    assert found.returncode == 1
    assert "NO  /dev/net/tun" in found.stdout


def test_a_user_without_ids_is_told_how_to_get_them() -> None:
    with made("--system", "--user-group") as user:
        refused = user.run()
        assert refused.returncode == 1
        assert "usermod --add-subuids" in refused.stderr
        assert "NO  65536 ids in /etc/subuid" in user.doctor().stdout
