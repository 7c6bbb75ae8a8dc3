"""Claude Code and Codex as they are shipped, with a model that plays a script."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

import pytest
from daemon import Daemon
from test_clients import CALLS, CLIENTS, MODULES, NODE, TOOLS, run_well

sys.path.append(str(CLIENTS))
from scripted_model import ScriptedModel  # noqa: E402

pytestmark = pytest.mark.clients

MACHINE = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]


def script() -> ScriptedModel:
    return ScriptedModel("sandbox", [(call.tool, call.arguments) for call in CALLS])


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
    program = MODULES / f"@anthropic-ai/claude-code-linux-{MACHINE}" / "claude"
    headers = {"Authorization": f"Bearer {server.token}"}
    sandbox = {"type": "http", "url": server.url + "/mcp", "headers": headers}
    with script() as model:
        printed = run_well(
            [
                str(program),
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
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
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

[mcp_servers.sandbox]
url = "{server}/mcp"
bearer_token_env_var = "SANDBOX_TOKEN"
"""


@pytest.mark.parametrize("modern", ["false", "true"])
def test_codex(server: Daemon, modern: str) -> None:
    home = server.directory / "home"
    home.mkdir()
    with script() as model:
        config = CODEX.format(modern=modern, model=model.url, server=server.url)
        (home / "config.toml").write_text(config)
        run_well(
            [NODE, str(MODULES / ".bin" / "codex"), "exec", "--skip-git-repo-check", "go"],
            home,
            CODEX_HOME=str(home),
            SANDBOX_TOKEN=server.token or "",
        )
    judge(model, server.workspace, tells_errors=False)
