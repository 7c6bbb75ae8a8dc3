"""sandboxctl against a real manager."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from daemon import BUILD, ROOT, environment
from manager import ALICE, BOB, Manager

PROGRAM = str(BUILD / "bin" / "sandboxctl")
OWN_FAILURE, TIMED_OUT = 125, 124


class Ctl:
    """The program with a manager's address and Alice's key in its environment."""

    def __init__(self, manager: Manager, **extra: str):
        own = {"SANDBOX_MANAGER_URL": manager.url, "SANDBOX_API_KEY": ALICE}
        self.env = environment() | own | extra

    def run(self, *words: str, stdin: bytes = b"", status: int = 0) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [PROGRAM, *words], env=self.env, input=stdin, capture_output=True, timeout=60
        )
        assert done.returncode == status, (done.returncode, done.stdout[:500], done.stderr)
        return done

    def __call__(self, *words: str, **more: bytes) -> str:
        done = self.run(*words, **more)
        assert done.stderr == b""
        return done.stdout.decode()

    def refused(self, *words: str, status: int = 1) -> str:
        """What it complains with, having printed nothing else."""
        done = self.run(*words, status=status)
        assert done.stdout == b"" and done.stderr.startswith(b"sandboxctl: ")
        assert done.stderr.count(b"\n") == 1
        return done.stderr.decode()

    def start(self, *words: str) -> subprocess.Popen:
        return subprocess.Popen(
            [PROGRAM, *words], env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


@pytest.fixture
def ctl(manager: Manager) -> Ctl:
    return Ctl(manager)


@pytest.fixture
def sandbox(ctl: Ctl) -> str:
    return ctl("create").strip()


def test_help_and_version() -> None:
    def run(*words: str) -> str:
        return subprocess.run([PROGRAM, *words], capture_output=True, text=True, check=True).stdout

    commands = re.findall(r"^  ([a-z]+) ", run("--help").split("Commands:")[1].split("\n\n")[0], re.M)
    assert set(commands) == set("create ls info exec cp url timeout pause resume rm".split())
    assert re.fullmatch(r"sandboxctl \d+\.\d+\.\d+\n", run("--version"))
    for command in commands:
        assert run(command, "--help").startswith(f"Usage: sandboxctl {command} [option …]")
    assert subprocess.run([PROGRAM], capture_output=True).returncode == 1


def test_the_page_names_every_command_and_option() -> None:
    page = (ROOT / "docs" / "sandboxctl.md").read_text()
    shown = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True).stdout
    for command in re.findall(r"^  ([a-z]+) ", shown.split("Commands:")[1].split("\n\n")[0], re.M):
        assert f"sandboxctl {command}" in page, command
        help = subprocess.run([PROGRAM, command, "--help"], capture_output=True, text=True).stdout
        options = set(re.findall(r"^  (--[a-z-]+)", help, re.M)) - {"--help", "--version", "--url"}
        assert all(option in page for option in options), (command, options)


def test_create_takes_what_the_api_takes(ctl: Ctl, manager: Manager) -> None:
    made = json.loads(
        ctl("create", "--json", "--timeout", "600", "--on-timeout", "delete", "--auto-resume",
            "--user-id", "someone", "--label", "a=b=c", "--label", "x=", "--env", "GREETING=hi there",
            "--memory-mb", "256", "--cpu-millis", "500", "--pids", "100", "--disk-mb", "64",
            "--network", "none")
    )  # fmt: skip
    info = json.loads(ctl("info", made["sandbox_id"], "--json"))
    assert (info["user_id"], info["metadata"]) == ("someone", {"a": "b=c", "x": ""})
    assert ctl("exec", made["sandbox_id"], "echo $GREETING") == "hi there\n"
    assert ctl("exec", made["sandbox_id"], "ls", "/sys/class/net") == "lo\n"
    assert "NAME=VALUE" in ctl.refused("create", "--label", "novalue")


def test_create_once(ctl: Ctl) -> None:
    assert ctl("create", "--once", "k") == ctl("create", "--once", "k")


def test_ls_is_a_table(ctl: Ctl, sandbox: str) -> None:
    other = ctl("create", "--user-id", "evil\x1b[2Jname").strip()
    lines = ctl("ls").splitlines()
    assert lines[0].split()[:3] == ["SANDBOX", "ID", "STATUS"] and len(lines) == 3
    assert lines[1].startswith(sandbox + "  running") and lines[2].startswith(other)
    assert "evil?[2Jname" in lines[2]
    assert lines[1].index("running") == lines[0].index("STATUS")
    listed = json.loads(ctl("ls", "--json"))
    assert [s["sandbox_id"] for s in listed] == [sandbox, other]
    assert ctl("ls", "--status", "paused").count("\n") == 1


def test_info(ctl: Ctl, sandbox: str) -> None:
    lines = dict(line.split(None, 1) for line in ctl("info", sandbox).splitlines())
    assert (lines["sandbox_id"], lines["status"], lines["provider"]) == (sandbox, "running", "local")
    assert "success" not in lines


def test_exec_hands_on_everything(ctl: Ctl, sandbox: str) -> None:
    done = ctl.run("exec", sandbox, "printf 'ü\\n'; echo bad >&2; exit 7", status=7)
    assert (done.stdout, done.stderr) == ("ü\n".encode(), b"bad\n")
    ctl.run("exec", sandbox, "kill -TERM $$", status=128 + signal.SIGTERM)
    assert ctl("exec", sandbox, "printf", "%s|", "a b", "c'd", "$HOME", "-n", "--") == "a b|c'd|$HOME|-n|--|"
    assert ctl("exec", sandbox, "--", "ls", "-d", "/") == "/\n"
    assert ctl("exec", "--cwd", "/tmp", "--env", "A=1", sandbox, "echo $PWD $A") == "/tmp 1\n"
    assert ctl("exec", sandbox, "--user", "root", "--", "id", "-u") == "0\n"


def test_exec_comes_as_it_is_printed(ctl: Ctl, sandbox: str) -> None:
    process = ctl.start("exec", sandbox, "echo first; while [ ! -e go ]; do sleep 0.01; done; echo last")
    assert process.stdout.readline() == b"first\n"
    ctl("cp", "-", f"{sandbox}:go")
    assert process.communicate(timeout=30) == (b"last\n", b"")
    assert process.returncode == 0


def test_exec_of_much_output(ctl: Ctl, sandbox: str) -> None:
    out = ctl.run("exec", sandbox, "seq 1 3000000").stdout
    assert hashlib.sha256(out).digest() == hashlib.sha256(
        b"".join(b"%d\n" % n for n in range(1, 3000001))
    ).digest()


def test_ctrl_c_ends_the_command(ctl: Ctl, sandbox: str) -> None:
    process = ctl.start("exec", sandbox, "echo $$; exec sleep 600")
    pid = process.stdout.readline().decode().strip()
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == -signal.SIGINT
    process.communicate()
    gone = f"while [ -e /proc/{pid} ]; do sleep 0.01; done; echo gone"
    assert ctl("exec", "--timeout", "10", sandbox, gone) == "gone\n"


def test_exec_timeout_and_background(ctl: Ctl, sandbox: str) -> None:
    done = ctl.run("exec", "--timeout", "1", sandbox, "echo a; sleep 60", status=TIMED_OUT)
    assert done.stdout == b"a\n" and b"1 seconds" in done.stderr
    pid = ctl("exec", "--background", sandbox, "sleep 600").strip()
    assert ctl("exec", sandbox, f"kill {pid} && echo ended") == "ended\n"


def test_cp_both_ways(ctl: Ctl, sandbox: str, tmp_path: Path) -> None:
    content = os.urandom(5_000_000)
    (tmp_path / "räum").write_bytes(content)
    ctl("cp", str(tmp_path / "räum"), f"{sandbox}:sub/dir/")
    ctl("cp", f"{sandbox}:/workspace/sub/dir/räum", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content
    ctl("cp", f"{sandbox}:sub/dir/räum", str(tmp_path))
    done = ctl.run("cp", f"{sandbox}:sub/dir/räum", "-")
    assert done.stdout == content
    ctl("cp", "-", f"{sandbox}:from stdin", stdin=content)
    assert ctl.run("cp", f"{sandbox}:from stdin", "-").stdout == content
    ctl("cp", "-", f"{sandbox}:empty")
    assert ctl("exec", sandbox, "wc -c < empty") == "0\n"


def test_cp_that_fails_leaves_the_old_file(ctl: Ctl, sandbox: str, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    assert "none" in ctl.refused("cp", f"{sandbox}:none", str(tmp_path / "old"))
    assert (tmp_path / "old").read_text() == "old"
    assert [path.name for path in tmp_path.glob("old*")] == ["old"]
    assert "directory" in ctl.refused("cp", str(tmp_path), f"{sandbox}:x")
    assert "ID:PATH" in ctl.refused("cp", "a", "b")
    assert "No such file" in ctl.refused("cp", str(tmp_path / "none"), f"{sandbox}:x")
    assert ctl.refused("cp", str(tmp_path / "old"), "a" * 20 + ":x")


def test_url(ctl: Ctl, sandbox: str, manager: Manager) -> None:
    lines = dict(line.split(None, 1) for line in ctl("url", sandbox).splitlines())
    urls = manager.call("GET", f"/sandboxes/{sandbox}/urls")
    assert (lines["mcp_url"], lines["mcp_token"]) == (urls["mcp_url"], urls["mcp_token"])
    assert ctl("url", sandbox, "8000").startswith("http://")
    assert "65535" in ctl.refused("url", sandbox, "70000")


def test_states(ctl: Ctl, sandbox: str) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\S+Z\n", ctl("timeout", sandbox, "900"))
    other = ctl("create").strip()
    assert ctl("pause", sandbox, other) == f"{sandbox}\n{other}\n"
    assert ctl("ls", "--status", "paused").count("\n") == 3
    assert "paused" in ctl.refused("exec", sandbox, "true", status=OWN_FAILURE)
    assert ctl("resume", sandbox) == sandbox + "\n"
    assert ctl("exec", sandbox, "echo on") == "on\n"
    assert ctl("rm", sandbox) == sandbox + "\n"
    assert ctl("rm", "--all") == other + "\n"
    assert ctl("rm", "--all") == "" and ctl("ls").count("\n") == 1


def test_one_that_fails_stops_no_other(ctl: Ctl, sandbox: str) -> None:
    done = ctl.run("rm", "a" * 20, "not-an-id", sandbox, status=1)
    assert done.stdout.decode() == sandbox + "\n" and done.stderr.count(b"sandboxctl: ") == 2


def test_refusals_say_what_to_do(ctl: Ctl, sandbox: str, manager: Manager) -> None:
    assert "sandboxctl --help" in ctl.refused("frobnicate")
    assert "--status" in ctl.refused("ls", "--statsu", "x")
    assert "takes ID" in ctl.refused("info")
    assert "sandboxctl ls" in ctl.refused("info", "../health")
    assert "--all alone" in ctl.refused("rm")
    assert "number" in ctl.refused("timeout", sandbox, "soon")
    assert "SANDBOX_API_KEY" in Ctl(manager, SANDBOX_API_KEY="").refused("ls")
    assert Ctl(manager, SANDBOX_API_KEY="wrong").refused("ls")
    assert Ctl(manager, SANDBOX_API_KEY=BOB).refused("info", sandbox)
    assert "process list" in ctl.refused("ls", "--api-key", "x")
    assert "http://127.0.0.1:1" in ctl.refused("ls", "--url", "http://127.0.0.1:1")
    assert "--url takes" in ctl.refused("ls", "--url", "file:///etc/passwd")
    assert ctl.refused("exec", "a" * 20, "true", status=OWN_FAILURE)


def test_a_full_disk_is_told(ctl: Ctl, sandbox: str) -> None:
    with open("/dev/full", "wb") as full:
        for words in (["ls"], ["exec", sandbox, "echo a"], ["cp", f"{sandbox}:/etc/passwd", "-"]):
            done = subprocess.run(
                [PROGRAM, *words], env=ctl.env, stdout=full, stderr=subprocess.PIPE, timeout=30
            )
            assert done.returncode in (1, OWN_FAILURE) and b"No space left" in done.stderr
