"""The documents say what the server does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from daemon import BUILD, ROOT

BINARY = BUILD / "bin" / "sandbox-mcp"


def test_tools_md_is_what_the_descriptors_say() -> None:
    made = subprocess.run([sys.executable, ROOT / "tests/docs/tools_md.py", BINARY],
                          capture_output=True, text=True, check=True).stdout
    assert Path(ROOT / "docs/tools.md").read_text() == made


def test_limits_md_names_every_limit_with_its_default() -> None:
    help = subprocess.run([BINARY, "--help"], capture_output=True, text=True, check=True).stdout
    options = dict(re.findall(r"--((?:max-[a-z-]+|min-[a-z-]+|workers)) N\s.*\((\d+)\)", help))
    table = dict(re.findall(r"^\| `--([a-z-]+)` \| (\d+) \|", Path(ROOT / "docs/limits.md").read_text(), re.M))
    assert options == table and len(table) > 10


def test_every_folder_says_what_lives_in_it() -> None:
    for folder in ("lib", "mcp-server", "mcp-server/tools", "mcp-server/eras", "mcp-server/keeper", "sandboxctl", "tests"):
        lines = Path(ROOT / folder / "README.md").read_text().splitlines()
        assert 3 <= len(lines) <= 20, folder
