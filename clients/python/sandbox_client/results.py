"""What the calls return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Sandbox(str):
    """A sandbox's id, which every call takes, with the reply that told it.

    The reply's fields are items and attributes: `sandbox["mcp_url"]`, `sandbox.mcp_token`.
    """

    fields: Mapping[str, Any]

    def __new__(cls, fields: Mapping[str, Any]) -> Sandbox:
        sandbox = super().__new__(cls, fields["sandbox_id"])
        sandbox.fields = fields
        return sandbox

    def __getitem__(self, key: Any) -> Any:
        return self.fields[key] if isinstance(key, str) else super().__getitem__(key)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["fields"][name]
        except KeyError:
            raise AttributeError(f"a sandbox's reply has no {name!r}") from None

    def __reduce__(self) -> tuple[type[Sandbox], tuple[Mapping[str, Any]]]:
        return Sandbox, (self.fields,)


@dataclass(frozen=True)
class CommandResult:
    """How a command ended; `exit_code` is None for one in the background, which has a `pid`."""

    output: str
    stdout: str
    stderr: str
    exit_code: int | None
    timed_out: bool
    truncated: bool
    pid: int | None

    @classmethod
    def of(cls, reply: Mapping[str, Any]) -> CommandResult:
        return cls(
            output=reply["output"],
            stdout=reply.get("stdout") or "",
            stderr=reply.get("stderr") or "",
            exit_code=reply.get("exit_code"),
            timed_out=bool(reply.get("timed_out")),
            truncated=bool(reply.get("truncated")),
            pid=reply.get("pid"),
        )


@dataclass(frozen=True)
class Event:
    """A piece of a running command: `kind` is "stdout" or "stderr" with `text`, and at last
    "end" with `exit_code` and `timed_out`."""

    kind: str
    text: str = ""
    exit_code: int | None = None
    timed_out: bool = False
