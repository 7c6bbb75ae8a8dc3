"""What the manager refuses, by kind. Each is an httpx.HTTPStatusError, too.

No answer at all (no connection, a time-out of the client's own) stays httpx.TransportError.
"""

from __future__ import annotations

import httpx


class SandboxError(httpx.HTTPStatusError):
    """`status` is HTTP's, `code` a stable word, `detail` a sentence that says what to do."""

    def __init__(self, response: httpx.Response):
        try:
            body = response.json()
        except ValueError:
            body = None
        self.body: dict[str, object] = body if isinstance(body, dict) else {}
        self.status = response.status_code
        self.code = str(self.body.get("error", ""))
        self.detail = str(self.body.get("detail") or response.text[:500] or response.reason_phrase)
        after = response.headers.get("Retry-After", "")
        self.retry_after = int(after) if after.isdigit() else None
        super().__init__(
            f"{self.status} {self.detail}", request=response.request, response=response
        )


class Invalid(SandboxError):
    """The request is malformed, too large, or has a field that cannot be."""


class Denied(SandboxError):
    """No credential, a bad one, or another owner's sandbox."""


class NotFound(SandboxError):
    """No such sandbox or file."""


class CommandTimeout(SandboxError):
    """A command outlived its timeout; `body` has what it printed until then."""


class Conflict(SandboxError):
    """The sandbox is in a state that does not allow this."""


class QuotaExceeded(SandboxError):
    """Too many sandboxes or tries; `retry_after` seconds may help."""


class Unavailable(SandboxError):
    """The manager is not ready, or what makes its sandboxes failed."""


KINDS = {
    400: Invalid,
    401: Denied,
    403: Denied,
    404: NotFound,
    408: CommandTimeout,
    409: Conflict,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    429: QuotaExceeded,
    502: Unavailable,
    503: Unavailable,
}


def error_of(response: httpx.Response) -> SandboxError:
    return KINDS.get(response.status_code, SandboxError)(response)
