"""Real clients, each through the same job: connect, list, call all six tools, meet an error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clients import CLIENTS, MODULES, NODE, PYTHON_V1, PYTHON_V2, run_well
from daemon import Daemon, expect_no_children

pytestmark = pytest.mark.clients

TOOLS = ["read_file", "write_file", "list_directory", "run_command", "search_files", "search_text"]


@dataclass
class Call:
    """A tool call, and of its answer the text, members of the structured part, and a word that
    a model must find in whichever of the two its client hands on."""

    tool: str
    arguments: dict[str, Any]
    word: str
    text: str | None = None
    structured: dict[str, Any] | None = None
    is_error: bool = False


CALLS = [
    Call(
        "write_file",
        {"path": "notes/hello.txt", "content": "hello wörld\n"},
        "13",
        "Successfully wrote 13 bytes to notes/hello.txt",
        {"bytes": 13, "created": True},
    ),
    Call("read_file", {"path": "notes/hello.txt"}, "hello wörld", "hello wörld\n"),
    Call("list_directory", {"path": "notes"}, "hello.txt", "hello.txt", {"truncated": False}),
    Call(
        "run_command",
        {"command": "echo out; echo err >&2; exit 3"},
        "3",
        "[Exit code: 3]\nout\nerr\n",
        {"stdout": "out\n", "stderr": "err\n", "exit_code": 3, "timed_out": False},
    ),
    Call(
        "search_files",
        {"pattern": "*.txt"},
        "notes/hello.txt",
        "notes/hello.txt",
        {"files": ["notes/hello.txt"], "truncated": False},
    ),
    Call("search_text", {"pattern": "w.rld"}, "wörld", None, {"truncated": False}),
    Call("read_file", {"path": "missing.txt"}, "missing.txt", is_error=True),
]


def judge(report: dict[str, Any], workspace: Path) -> None:
    assert report["tools"] == TOOLS
    assert len(report["results"]) == len(CALLS)
    for call, result in zip(CALLS, report["results"], strict=True):
        assert result["is_error"] is call.is_error, (call, result)
        assert call.word in result["text"], (call, result)
        if call.text is not None:
            assert result["text"].rstrip("\n") == call.text.rstrip("\n"), (call, result)
        structured = result["structured"]
        assert (structured is None) == (call.structured is None), (call, result)
        for member, value in (call.structured or {}).items():
            assert structured[member] == value, (call, result)
    assert (workspace / "notes" / "hello.txt").read_text() == "hello wörld\n"


@pytest.fixture
def stdio(tmp_path: Path) -> Iterator[Daemon]:
    """A server for a client to start by itself; nothing of it may be left afterwards."""
    yield Daemon(tmp_path / "stdio", with_token=False)
    expect_no_children()


def drive(driver: list[str], server: Daemon, transport: str, mode: str = "auto") -> dict[str, Any]:
    job = {
        "transport": transport,
        "url": server.url + ("/sse" if transport == "sse" else "/mcp"),
        "token": server.token,
        "command": [*server.command, "--stdio"],
        "mode": mode,
        "calls": [(call.tool, call.arguments) for call in CALLS],
    }
    program, script = driver
    home = server.directory / "home"
    return json.loads(run_well([program, str(CLIENTS / script), json.dumps(job)], home))


DRIVERS = {
    "python-v1": [PYTHON_V1, "python_v1.py"],
    "python-v2": [PYTHON_V2, "python_v2.py"],
    "fastmcp": [PYTHON_V2, "fastmcp_client.py"],
    "langchain": [PYTHON_V1, "langchain_agent.py"],
    "typescript-v1": [NODE, "typescript_v1.mjs"],
    "typescript-v2": [NODE, "typescript_v2.mjs"],
}


@pytest.mark.parametrize(
    ("client", "mode", "protocol"),
    [
        ("python-v1", "auto", "2025-11-25"),
        ("python-v2", "auto", "2026-07-28"),
        ("python-v2", "legacy", "2025-11-25"),
        ("fastmcp", "auto", "2026-07-28"),
        ("fastmcp", "legacy", "2025-11-25"),
        ("langchain", "auto", "2025-11-25"),
        ("typescript-v1", "auto", "2025-11-25"),
        ("typescript-v2", "auto", "2026-07-28"),
        ("typescript-v2", "legacy", "2025-11-25"),
    ],
)
def test_over_http(server: Daemon, client: str, mode: str, protocol: str) -> None:
    report = drive(DRIVERS[client], server, "http", mode)
    judge(report, server.workspace)
    assert (report["server"], report["protocol"]) == ("sandbox-mcp", protocol)


@pytest.mark.parametrize("client", DRIVERS)
def test_over_sse(server: Daemon, client: str) -> None:
    judge(drive(DRIVERS[client], server, "sse", "legacy"), server.workspace)


@pytest.mark.parametrize("client", DRIVERS)
def test_over_stdio(stdio: Daemon, client: str) -> None:
    judge(drive(DRIVERS[client], stdio, "stdio"), stdio.workspace)


def inspect(server: Daemon, era: str, *options: str, status: int = 0) -> Any:
    launcher = MODULES / "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
    command = [NODE, str(launcher), "--cli", server.url + "/mcp", "--transport", "http"]
    command += ["--header", f"Authorization: Bearer {server.token}", "--protocol-era", era]
    return json.loads(run_well([*command, *options], server.directory / "home", status))


IS_ERROR = 5  # the Inspector's exit status for a result with isError


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_inspector(server: Daemon, era: str) -> None:
    listed = inspect(server, era, "--method", "tools/list", "--strict")
    results = []
    for call in CALLS:
        pairs = [f"{name}={value}" for name, value in call.arguments.items()]
        options = ["--tool-name", call.tool, *(o for p in pairs for o in ("--tool-arg", p))]
        status = IS_ERROR if call.is_error else 0
        result = inspect(server, era, "--method", "tools/call", *options, status=status)
        text = "".join(item.get("text", "") for item in result["content"])
        structured, is_error = result.get("structuredContent"), result.get("isError", False)
        results.append({"text": text, "structured": structured, "is_error": is_error})
    judge(
        {"tools": [tool["name"] for tool in listed["tools"]], "results": results}, server.workspace
    )
