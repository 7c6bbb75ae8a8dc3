"""docs/api.md: its examples run, in their order, and print what stands there."""

from __future__ import annotations

import re
import subprocess

from daemon import ROOT
from manager import Manager

PAGE = ROOT / "docs" / "api.md"
BLOCK = re.compile(r"<!-- run -->\n```sh\n(.*?)```\n(?:```\w+\n(.*?)```\n)?", re.S)
END = "---- end of an example ----"


def pattern(expected: str) -> str:
    """… stands for anything within a line."""
    return re.escape(expected).replace("…", ".*") + "\n*"


def test_the_examples_of_the_api_print_what_they_say(manager: Manager) -> None:
    blocks = BLOCK.findall(PAGE.read_text())
    assert len(blocks) == PAGE.read_text().count("```sh") > 6
    script = f"echo '{END}'\n".join(code for code, _ in blocks)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("http://127.0.0.1:8080", manager.url)],
        env={"SANDBOX_API_KEY": manager.key, "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == "", done
    printed = done.stdout.split(END + "\n")
    assert len(printed) == len(blocks)
    for (code, expected), output in zip(blocks, printed, strict=True):
        assert re.fullmatch(pattern(expected), output), f"{code}\n{output}"


def test_the_page_names_every_error() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "manager" / "api").glob("*.c"))
    codes = set(re.findall(r'[45]\d\d,\s*"([a-z_]+)"', sources))
    codes |= set(re.findall(r'\{ [45]\d\d, "([a-z_]+)" \}', sources)) - {"internal"}
    assert len(codes) > 15
    assert [code for code in codes - {"internal"} if f"`{code}`" not in PAGE.read_text()] == []
