"""docs/settings.md has what --help says, and the other names that config.c takes."""

from __future__ import annotations

import re
import subprocess

from daemon import BUILD, ROOT

PAGE = ROOT / "docs" / "settings.md"
OPTION = re.compile(r"  (--\S+(?: \S+)?) +(.*?)(?: \[([A-Z0-9_]+)\])?")
VARIABLE = re.compile(r"  ([A-Z0-9_]+) +(.*)")
ALIAS = re.compile(r'\t\{ "([A-Z0-9_]+)", "([A-Z0-9_]+)" \},')


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def options() -> list[str]:
    done = subprocess.run(
        [str(BUILD / "bin" / "sandbox-manager"), "--help"],
        capture_output=True, text=True, check=True, cwd="/",
    )  # fmt: skip
    rows = []
    for line in done.stdout.split("Options:\n")[1].splitlines():
        if match := OPTION.fullmatch(line):
            name = f"`{match[3]}`" if match[3] else ""
            rows.append(f"| `{match[1]}` | {name} | {cell(match[2])} |")
        elif match := VARIABLE.fullmatch(line):
            rows.append(f"| | `{match[1]}` | {cell(match[2])} |")
        else:
            assert line == "" or line.startswith("In brackets:"), line
    return rows


def aliases() -> list[str]:
    found = ALIAS.findall((ROOT / "manager" / "config.c").read_text())
    assert len(found) > 5
    return [f"| `{name}` | `{canonical}` |" for name, canonical in found]


def test_the_page_has_every_setting_as_help_tells_it() -> None:
    written = [line for line in PAGE.read_text().splitlines() if "`" in line and line[0] == "|"]
    expected = options() + aliases()
    assert len(expected) > 45
    assert written == expected
