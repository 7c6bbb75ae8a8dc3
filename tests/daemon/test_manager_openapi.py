"""The API's description is true: what it says is served, and nothing else is answered."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from asking import get
from daemon import BUILD, ROOT
from manager import ALICE, KEYS, Manager

DOCUMENT = ROOT / "docs" / "openapi.json"
EXAMPLES = 10  # of each operation, beside the covering ones


def test_the_document_in_docs_is_this_binarys() -> None:
    program = str(BUILD / "bin" / "sandbox-manager")
    printed = subprocess.run([program, "openapi"], capture_output=True, text=True, check=True)
    assert printed.stdout == DOCUMENT.read_text(), "sandbox-manager openapi > docs/openapi.json"


def test_the_document_is_served(launch_manager: Callable[..., Manager]) -> None:
    manager = launch_manager(settings=KEYS, key=ALICE)
    assert get(manager, "/openapi.json", key="").fine() == json.loads(DOCUMENT.read_text())


@pytest.mark.long
def test_schemathesis_finds_nothing(launch_manager: Callable[..., Manager], tmp_path: Path) -> None:
    manager = launch_manager("--max-sandboxes", "5", settings=KEYS, key=ALICE)
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        "--config-file", str(ROOT / "tests" / "schemathesis.toml"),
        "run", manager.url + "/openapi.json",
        "--header", "Authorization: Bearer " + ALICE,
        "--checks", "all", "--phases", "examples,coverage,fuzzing",
        "--max-examples", str(EXAMPLES), "--continue-on-failure", "--seed", "1", "--no-color",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
