"""The examples of the README and other pages: fenced blocks that a comment names."""

from __future__ import annotations

import re

from daemon import ROOT, Daemon

ADDRESS = "http://127.0.0.1:6060"


def examples(page: str = "README.md") -> dict[str, str]:
    text = (ROOT / page).read_text()
    return dict(re.findall(r"<!-- example: (\S+) -->\n```\w+\n(.*?)```\n", text, re.S))


def example(name: str, server: Daemon) -> str:
    """An example as a reader would use it, but for the port."""
    return examples()[name].replace(ADDRESS, server.url)
