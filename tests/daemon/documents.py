"""The requirement documents, which are not in this repository: SANDBOX_SHARED or ../shared."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from daemon import ROOT

SHARED = Path(os.environ.get("SANDBOX_SHARED", ROOT.parent / "shared"))


def document(number: str) -> str:
    """The text of one; its absence is a failure that says what to do."""
    found = list((SHARED / "requirements").glob(f"{number}_*.txt"))
    if len(found) != 1:
        pytest.fail(
            f"no requirements/{number}_*.txt in {SHARED}: put the shared folder beside the checkout, "
            "or name it in SANDBOX_SHARED",
            pytrace=False,
        )
    return found[0].read_text()


def block(text: str, after: str, language: str = "python") -> str:
    """The first fenced block of a language behind a line that begins so."""
    line = re.search(rf"^{re.escape(after)}.*\n", text, re.M)
    assert line, f"no line begins with {after!r}"
    fenced = re.search(rf"^ *```{language}\n(.*?)^ *```$", text[line.end() :], re.M | re.S)
    assert fenced, f"no {language} behind {after!r}"
    return fenced[1]


def endpoints(text: str, pattern: str, base: str = "") -> list[tuple[str, str]]:
    """Each method and path that the pattern finds, as "POST", "/sandboxes/create"."""
    found = re.findall(pattern, text, re.M)
    assert len(found) > 5, found
    return [(method.upper(), base + path.replace("{sandbox_id}", "{id}")) for method, path in found]
