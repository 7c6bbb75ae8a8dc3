"""What the Python drivers share: the job they get and the report they print; see README.md."""

import json
import sys
from collections.abc import Iterable
from typing import Any

job = json.loads(sys.argv[1])
headers = {"Authorization": f"Bearer {job['token']}"}


def result(content: Iterable[Any], structured: Any, is_error: bool | None) -> dict[str, Any]:
    text = "".join(item.text for item in content if item.type == "text")
    return {"text": text, "structured": structured, "is_error": bool(is_error)}


def report(server: str, protocol: str, tools: Iterable[Any], results: list[Any]) -> None:
    names = [tool.name for tool in tools]
    report = {"server": server, "protocol": protocol, "tools": names, "results": results}
    print(json.dumps(report))
