"""Each example of the README, run as it stands there."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from clients import CLAUDE, CLIENTS, NODE, PYTHON_V1, PYTHON_V2, ScriptedModel, run_well
from daemon import BUILD, Daemon
from readme import example, examples
from wire import LEGACY, Mcp

pytestmark = pytest.mark.clients

PYTHON = {"python": PYTHON_V2, "python-v1": PYTHON_V1, "fastmcp": PYTHON_V2}
OTHERS = {
    "claude-code",
    "claude-code-stdio",
    "codex",  # test_agents.py puts it into Codex's configuration
    "curl",
    "inspector",
    "langchain",
    "typescript",
    "typescript-v1",
    "vscode",
}


def test_every_example_has_a_test() -> None:
    assert set(examples()) == set(PYTHON) | OTHERS


def run_example(server: Daemon, command: list[str], cwd: Path | None = None, **extra: str) -> str:
    home = server.directory / "home"
    return run_well(command, home, cwd=cwd, SANDBOX_TOKEN=server.token or "", **extra)


@pytest.mark.parametrize("name", PYTHON)
def test_python(server: Daemon, name: str) -> None:
    assert run_example(server, [PYTHON[name], "-c", example(name, server)]) == "Hello\n\n"


def test_langchain(server: Daemon) -> None:
    (server.workspace / "here.txt").touch()
    with ScriptedModel([("list_directory", {})]) as model:
        printed = run_example(
            server,
            [PYTHON_V1, "-c", example("langchain", server)],
            ANTHROPIC_BASE_URL=model.url,
            ANTHROPIC_API_KEY="none",
        )
    assert printed == "done\n"
    assert "here.txt" in model.results[0]["text"]


def test_typescript(server: Daemon) -> None:
    assert run_module(server, example("typescript", server)) == "Hello\n\n"


def test_typescript_v1(server: Daemon) -> None:
    _, rest = example("typescript", server).split("\n", 1)
    assert run_module(server, example("typescript-v1", server) + rest) == "Hello\n\n"


def run_module(server: Daemon, text: str) -> str:
    return run_example(server, [NODE, "--input-type=module", "--eval", text], cwd=CLIENTS)


def test_curl(server: Daemon) -> None:
    answer = json.loads(run_example(server, ["sh", "-ec", example("curl", server)]))
    assert answer["result"]["content"][0]["text"] == "Hello\n"


def test_inspector(server: Daemon) -> None:
    path = f"{Path(NODE).parent}:{os.environ['PATH']}"
    command = ["sh", "-ec", example("inspector", server)]
    answer = json.loads(run_example(server, command, cwd=CLIENTS, PATH=path))
    assert answer["content"][0]["text"] == "Hello\n"


def connected(server: Daemon, command: str, **extra: str) -> None:
    """Claude Code says that it reaches what `command` made known to it."""
    bin_dir = server.directory / "bin"
    bin_dir.mkdir()
    (bin_dir / "claude").symlink_to(CLAUDE)
    (bin_dir / "sandbox-mcp").symlink_to(BUILD / "bin" / "sandbox-mcp")
    path = f"{bin_dir}:{os.environ['PATH']}"
    listed = run_example(server, ["sh", "-ec", command + "\nclaude mcp list"], PATH=path)
    assert re.search(r"^sandbox: .*Connected$", listed, re.M), listed


def test_claude_code(server: Daemon) -> None:
    connected(server, example("claude-code", server))


def test_claude_code_stdio(server: Daemon) -> None:
    connected(server, example("claude-code-stdio", server))


def test_vscode(server: Daemon) -> None:
    text = example("vscode", server).replace("${env:SANDBOX_TOKEN}", server.token or "")
    settings = json.loads(text)["servers"]["sandbox"]
    assert (settings["type"], settings["url"]) == ("http", server.url + "/mcp")
    assert settings["headers"] == {"Authorization": f"Bearer {server.token}"}
    Mcp(server, LEGACY[0])
