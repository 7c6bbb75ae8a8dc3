"""The official suite, each of its scenarios a test, against the server with the suite's fixtures.

Required are the scenarios that the suite froze for a revision; beside them run those that it does
not score, but for the tasks extension, which the server does not declare. A warning is a failure
here, and so is a check that was skipped.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from clients import MODULES, NODE
from daemon import Daemon, adopt_orphans, expect_no_children

SUITE = MODULES / "@modelcontextprotocol" / "conformance"
SECONDS = 120

Checks = dict[str, list[dict[str, Any]]]

# How many there are, so that a suite which lost some does not pass for it.
SCENARIOS = {"2025-11-25": 30 + 3, "2026-07-28": 37 + 3}


def scenarios(revision: str) -> list[str]:
    text = (SUITE / "requirements" / f"{revision}.yaml").read_text()
    required = re.search(r"^server:\n((?:  - .*\n)+)", text, re.M)
    assert required
    unscored = re.findall(r"- scenario: (\S+)\n +leg: server\n", text)
    names = re.findall(r"- (\S+)", required[1])
    names += [name for name in unscored if not name.startswith("tasks-")]
    assert len(names) == SCENARIOS[revision], names
    return names


@pytest.fixture(scope="module")
def fixture_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    adopt_orphans()
    directory = tmp_path_factory.mktemp("conformance") / "server"
    daemon = Daemon(directory, program="sandbox-mcp-fixture", with_token=False).start()
    yield daemon
    daemon.stop()
    expect_no_children()


@pytest.fixture(scope="module")
def checks_of(fixture_server: Daemon) -> Callable[[str], Checks]:
    """Runs the suite for a revision, once, and gives its checks by scenario."""

    @cache
    def run(revision: str) -> Checks:
        results = fixture_server.directory / revision
        command = [NODE, SUITE / "dist" / "index.js", "server"]
        command += ["--url", fixture_server.url + "/mcp", "--requirements", revision]
        command += ["--output-dir", results]
        subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
        return {
            scenario_of(path.parent): json.loads(path.read_text())
            for path in results.glob("*/checks.json")
        }

    return run


def scenario_of(folder: Path) -> str:
    """The suite names a folder of results server-SCENARIO-TIME."""
    return re.sub(r"^server-(.*)-\d{4}-\d\d-\d\dT.*$", r"\1", folder.name)


@pytest.mark.parametrize(
    ("revision", "scenario"),
    [(revision, name) for revision in SCENARIOS for name in scenarios(revision)],
)
def test_scenario(checks_of: Callable[[str], Checks], revision: str, scenario: str) -> None:
    assert scenario in checks_of(revision), "the suite did not run it"
    checks = checks_of(revision)[scenario]
    wrong = [
        f"{check['id']}: {check['status']} {check.get('errorMessage', '')}"
        for check in checks
        if check["status"] not in ("SUCCESS", "INFO")
    ]
    assert not wrong, "\n".join(wrong)
    shown = {check["id"] for check in checks if check["status"] == "SUCCESS"}
    assert shown - {"wire-schema-valid"}, "nothing was shown"
