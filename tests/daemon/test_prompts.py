"""Prompts: listed, filled in, completed; their arguments are checked."""

from __future__ import annotations

import pytest
from wire import Json, Mcp


def text_of(result: Json) -> str:
    (message,) = result["messages"]
    assert message["role"] == "user" and message["content"]["type"] == "text"
    return message["content"]["text"]


def get(mcp: Mcp, name: str, **arguments: str) -> str:
    return text_of(mcp.request("prompts/get", {"name": name, "arguments": arguments}).result)


def test_lists_prompts_with_their_arguments(mcp: Mcp) -> None:
    result = mcp.request("prompts/list").result
    prompts = {p["name"]: p for p in result["prompts"]}
    assert set(prompts) == {"explore_workspace", "fix_command"}
    for prompt in prompts.values():
        assert prompt["title"] and prompt["description"]
        assert all(a["description"] for a in prompt["arguments"])
    arguments = [(a["name"], a["required"]) for a in prompts["fix_command"]["arguments"]]
    assert arguments == [("command", True), ("cwd", False)]
    assert ("ttlMs" in result) == mcp.modern
    assert mcp.request("prompts/list", {"cursor": "x"}).error["code"] == -32602


def test_fills_arguments_in_as_they_are(mcp: Mcp) -> None:
    command = "make %s \"ä\" 'x'\n# 100%"
    text = get(mcp, "fix_command", command=command, cwd="sub dir")
    assert command in text and "in sub dir" in text
    assert str(mcp.daemon.workspace) in get(mcp, "fix_command", command="make")
    assert str(mcp.daemon.workspace) in text_of(
        mcp.request("prompts/get", {"name": "explore_workspace"}).result
    )
    assert "special attention to: security." in get(mcp, "explore_workspace", focus="security")


@pytest.mark.parametrize(
    "params",
    [
        {"name": "nope"},
        {"name": "fix_command"},
        {"name": "fix_command", "arguments": {}},
        {"name": "fix_command", "arguments": {"command": ""}},
        {"name": "fix_command", "arguments": {"command": 5}},
        {"name": "fix_command", "arguments": {"command": "a\0b"}},
        {"name": "fix_command", "arguments": {"command": "x", "other": "y"}},
        {"name": "fix_command", "arguments": ["x"]},
        {"name": "fix_command", "arguments": "x"},
    ],
)
def test_wrong_arguments_are_errors(mcp: Mcp, params: Json) -> None:
    reply = mcp.request("prompts/get", params)
    assert reply.error["code"] == -32602 and reply.status == 200


def test_a_prompt_without_a_name_is_an_error(mcp: Mcp) -> None:
    assert mcp.request("prompts/get").error["code"] == -32602


def complete(mcp: Mcp, prompt: str, name: str, value: str) -> list[str]:
    params = {
        "ref": {"type": "ref/prompt", "name": prompt},
        "argument": {"name": name, "value": value},
    }
    return mcp.request("completion/complete", params).result["completion"]["values"]


def test_completes_choices_and_paths(mcp: Mcp) -> None:
    (mcp.daemon.workspace / "src" / "main").mkdir(parents=True)
    (mcp.daemon.workspace / "setup.py").write_text("")
    assert complete(mcp, "explore_workspace", "focus", "") == [
        "architecture", "build", "dependencies", "performance", "security", "tests",
    ]
    assert complete(mcp, "explore_workspace", "focus", "Te") == ["tests"]
    assert complete(mcp, "explore_workspace", "focus", "zzz") == []
    assert complete(mcp, "explore_workspace", "path", "s") == ["setup.py", "src/"]
    assert complete(mcp, "fix_command", "cwd", "src/") == ["src/main/"]
    assert complete(mcp, "fix_command", "cwd", f"{mcp.daemon.workspace}/sr") == [
        f"{mcp.daemon.workspace}/src/"
    ]
    assert complete(mcp, "fix_command", "command", "ma") == []


def test_an_unknown_argument_cannot_be_completed(mcp: Mcp) -> None:
    params = {
        "ref": {"type": "ref/prompt", "name": "fix_command"},
        "argument": {"name": "nope", "value": ""},
    }
    assert mcp.request("completion/complete", params).error["code"] == -32602
