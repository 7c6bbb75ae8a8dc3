"""Where the real clients are, and how one is run: at home nowhere, and with no way out."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

from daemon import ROOT, environment

CLIENTS = ROOT / "tests" / "clients"
MODULES = CLIENTS / "node_modules"
PYTHON_V1 = str(ROOT / "tests" / ".cache" / "client-v1" / "bin" / "python")
PYTHON_V2 = str(ROOT / "tests" / ".cache" / "client-v2" / "bin" / "python")
MACHINE = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
NODE = str(MODULES / f"node-linux-{MACHINE}" / "bin" / "node")
CLAUDE = str(MODULES / f"@anthropic-ai/claude-code-linux-{MACHINE}" / "claude")
SECONDS = 60

sys.path.append(str(CLIENTS))
from scripted_model import ScriptedModel  # noqa: E402, F401

NOWHERE = "http://127.0.0.1:9"
QUIET = {
    "HTTP_PROXY": NOWHERE,
    "HTTPS_PROXY": NOWHERE,
    "NO_PROXY": "127.0.0.1,localhost",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "LANGSMITH_TRACING": "false",
}


def run_well(
    command: list[str], home: Path, status: int = 0, cwd: Path | None = None, **extra: str
) -> str:
    """Runs a client, which must end with `status`, and returns what it printed."""
    home.mkdir(exist_ok=True)
    done = subprocess.run(
        command,
        env=environment() | QUIET | {"HOME": str(home)} | extra,
        cwd=cwd or home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout
