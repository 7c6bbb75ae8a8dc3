"""Claude Code and Codex as they are shipped, with a model that plays a script."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from clients import CLAUDE, MODULES, NODE, ScriptedModel, run_well
from daemon import Daemon
from readme import example
from test_clients import CALLS, TOOLS

pytestmark = pytest.mark.clients


def script() -> ScriptedModel:
    return ScriptedModel([(call.tool, call.arguments) for call in CALLS], "mcp__sandbox")


def judge(model: ScriptedModel, workspace: Path, tells_errors: bool) -> None:
    """What the model was offered, and what it was told when it asked."""
    assert sorted(model.tools) == sorted(TOOLS)
    assert len(model.results) == len(CALLS)
    for call, result in zip(CALLS, model.results, strict=True):
        assert call.word in result["text"], (call, result)
        if tells_errors:
            assert result["is_error"] is call.is_error, (call, result)
    assert (workspace / "notes" / "hello.txt").read_text() == "hello wörld\n"


def test_claude_code(server: Daemon) -> None:
    headers = {"Authorization": f"Bearer {server.token}"}
    sandbox = {"type": "http", "url": server.url + "/mcp", "headers": headers}
    with script() as model:
        printed = run_well(
            [
                CLAUDE,
                "--print",
                "go",
                "--mcp-config",
                json.dumps({"mcpServers": {"sandbox": sandbox}}),
                "--strict-mcp-config",
                "--allowedTools",
                "mcp__sandbox",
                "--output-format",
                "stream-json",
                "--verbose",
            ],
            server.directory / "home",
            ANTHROPIC_BASE_URL=model.url,
            ANTHROPIC_API_KEY="none",
            ENABLE_TOOL_SEARCH="false",
        )
    hello = json.loads(printed.splitlines()[0])
    assert [s["status"] for s in hello["mcp_servers"] if s["name"] == "sandbox"] == ["connected"]
    judge(model, server.workspace, tells_errors=True)


CODEX = """
model = "scripted"
model_provider = "scripted"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false

[analytics]
enabled = false

[features]
apps = false
plugins = false
mcp_2026_07_28 = {modern}

[model_providers.scripted]
name = "scripted"
base_url = "{model}/v1"
wire_api = "responses"

{sandbox}
"""


@pytest.mark.parametrize("modern", ["false", "true"])
def test_codex(server: Daemon, modern: str) -> None:
    home = server.directory / "home"
    home.mkdir()
    with script() as model:
        sandbox = example("codex", server)
        config = CODEX.format(modern=modern, model=model.url, sandbox=sandbox)
        (home / "config.toml").write_text(config)
        run_well(
            [NODE, str(MODULES / ".bin" / "codex"), "exec", "--skip-git-repo-check", "go"],
            home,
            CODEX_HOME=str(home),
            SANDBOX_TOKEN=server.token or "",
        )
    judge(model, server.workspace, tells_errors=False)
