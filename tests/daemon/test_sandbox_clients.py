"""docs/clients.md, run as it stands: sandboxes made by the manager, and worked in by real clients."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from clients import CLAUDE, PYTHON_V1, PYTHON_V2, ScriptedModel, run_well
from daemon import BUILD, ROOT
from manager import ALICE, KEYS, Manager
from readme import examples

pytestmark = pytest.mark.clients

MANAGER = "http://127.0.0.1:8080"
PACKAGE = str(ROOT / "clients" / "python")
PRIMES = """
found = []
number = 2
while len(found) < 10:
    if all(number % p for p in found):
        found.append(number)
    number += 1
with open("primes.txt", "w") as file:
    print(*found, file=file)
print("written")
"""


@pytest.fixture
def manager(own_network: None, launch_manager: Callable[..., Manager]) -> Manager:
    return launch_manager(settings=KEYS, key=ALICE)


def example(name: str, manager: Manager) -> str:
    return examples("docs/clients.md")[name].replace(MANAGER, manager.url)


def run_example(manager: Manager, command: list[str], home: Path, **extra: str) -> str:
    """There is no way out of this network, so no proxy has to be one into nowhere."""
    extra |= {"NO_PROXY": "*", "HTTP_PROXY": "", "HTTPS_PROXY": ""}
    own = {"PYTHONPATH": PACKAGE, "SANDBOX_API_KEY": ALICE, "SANDBOX_MANAGER_URL": manager.url}
    return run_well(command, home, **own, **extra)


def test_every_example_has_a_test() -> None:
    names = {"langchain-sandbox", "python-sandbox", "claude-code-sandbox", "curl-sandbox"}
    assert set(examples("docs/clients.md")) == names


def test_langchain(manager: Manager, tmp_path: Path) -> None:
    """The agent writes a program, runs it and reads what it wrote; then all is gone."""
    calls = [
        ("write_file", {"path": "primes.py", "content": PRIMES}),
        ("run_command", {"command": "python3 primes.py"}),
        ("read_file", {"path": "primes.txt"}),
    ]
    with ScriptedModel(calls) as model:
        printed = run_example(
            manager,
            [PYTHON_V1, "-c", example("langchain-sandbox", manager)],
            tmp_path / "home",
            ANTHROPIC_BASE_URL=model.url,
            ANTHROPIC_API_KEY="none",
        )
    assert printed == "done\n"
    assert {"write_file", "run_command", "read_file"} <= set(model.tools)
    assert not any(result["is_error"] for result in model.results)
    written, ran, read = (result["text"] for result in model.results)
    assert "primes.py" in written and "written" in ran
    assert "2 3 5 7 11 13 17 19 23 29" in read
    assert manager.call("GET", "/sandboxes")["sandboxes"] == []


def test_python(manager: Manager, tmp_path: Path) -> None:
    command = [PYTHON_V2, "-c", example("python-sandbox", manager)]
    assert "Hello from the sandbox" in run_example(manager, command, tmp_path / "home")


def test_claude_code(manager: Manager, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "claude").symlink_to(CLAUDE)
    (programs / "sandboxctl").symlink_to(BUILD / "bin" / "sandboxctl")
    text = example("claude-code-sandbox", manager) + "claude mcp list"
    path = f"{programs}:{os.environ['PATH']}"
    listed = run_example(manager, ["sh", "-ec", text], tmp_path / "home", PATH=path)
    assert "Connected" in listed, listed


def test_curl(manager: Manager, tmp_path: Path) -> None:
    command = ["sh", "-ec", example("curl-sandbox", manager)]
    made = json.loads(run_example(manager, command, tmp_path / "home"))
    assert made["status"] == "running" and made["mcp_url"] and made["mcp_token"]
