"""Client of sandbox-manager. `SandboxClient` has every call; the README shows them."""

from .client import SandboxClient
from .errors import (
    CommandTimeout,
    Conflict,
    Denied,
    Invalid,
    NotFound,
    QuotaExceeded,
    SandboxError,
    Unavailable,
)
from .results import CommandResult, Event, Sandbox

__all__ = [
    "CommandResult",
    "CommandTimeout",
    "Conflict",
    "Denied",
    "Event",
    "Invalid",
    "NotFound",
    "QuotaExceeded",
    "Sandbox",
    "SandboxClient",
    "SandboxError",
    "Unavailable",
]
