"""Tokens that somebody else signs, whose keys are fetched from SANDBOX_JWKS_URL."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from asking import Answer, Json, get, leave, receive, send
from manager import ALICE, KEYS, Manager, token

Launch = Callable[..., Manager]


class Issuer(ThreadingHTTPServer):
    """Serves the keys of `names`; where `gate` is not set, an asker waits for it."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.asked = 0
        self.gate = threading.Event()
        self.gate.set()
        super().__init__(("127.0.0.1", 0), Keys)
        self.url = f"http://127.0.0.1:{self.server_port}/keys"

    @staticmethod
    def secret(name: str) -> str:
        return f"the-issuers-own-secret-of-the-key-{name}"

    def token(self, name: str, **more: object) -> str:
        return token(self.secret(name), {"kid": name}, sub="carol", exp=int(time.time()) + 600, **more)


class Keys(BaseHTTPRequestHandler):
    server: Issuer

    def do_GET(self) -> None:
        self.server.asked += 1
        self.server.gate.wait(60)
        keys = []
        for name in self.server.names:
            secret = base64.urlsafe_b64encode(Issuer.secret(name).encode()).rstrip(b"=").decode()
            keys.append({"kty": "oct", "alg": "HS256", "kid": name, "k": secret})
        body = json.dumps({"keys": keys}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):  # it did not wait that long
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        thread = threading.Thread(target=issuer.serve_forever)
        thread.start()
        yield issuer
        issuer.gate.set()
        issuer.shutdown()
        thread.join()


def refused(answer: Answer) -> None:
    answer.refused(401, "unauthorized")


def trusting(issuer: Issuer) -> Json:
    return KEYS | {
        "SANDBOX_JWKS_URL": issuer.url,
        "SANDBOX_JWT_AUDIENCE": "sandbox",
        "SANDBOX_JWT_ISSUER": "https://id.example",
    }


ABOUT_US: Json = {"aud": ["other", "sandbox"], "iss": "https://id.example"}


def test_who_else_signs_tokens_names_us_and_makes_no_admin(
    launch_manager: Launch, issuer: Issuer
) -> None:
    issuer.names = ["a"]
    manager = launch_manager(settings=trusting(issuer), key=ALICE)
    made = manager.create()["sandbox_id"]
    for wrong in ({}, ABOUT_US | {"aud": "other"}, ABOUT_US | {"iss": "https://evil.example"}):
        refused(get(manager, "/sandboxes", key=issuer.token("a", **wrong)))
    admin = issuer.token("a", **ABOUT_US, admin=True, role="admin", roles=["admin"])
    assert get(manager, "/sandboxes", key=admin).fine()["sandboxes"] == []
    get(manager, f"/sandboxes/{made}/info", key=admin).refused(403, "forbidden")


def test_a_token_waits_for_its_key(
    launch_manager: Launch, issuer: Issuer
) -> None:
    """At the start the keys are still being fetched; a body is sent or not."""
    issuer.gate.clear()
    manager = launch_manager(settings=trusting(issuer), key=ALICE)
    key = issuer.token("a", **ABOUT_US)
    waiting = [
        send(manager, "GET", "/sandboxes", key=key),
        send(manager, "POST", "/sandboxes/create", {"user_id": "x" * 100_000}, key=key),
        send(manager, "POST", "/sandboxes/create", {"user_id": "x"}, key=key),
        send(manager, "DELETE", "/sandboxes/none", key=key),
    ]
    unknown = send(manager, "GET", "/sandboxes", key=issuer.token("b", **ABOUT_US))
    leave(send(manager, "GET", "/sandboxes", key=key))
    gone = send(manager, "POST", "/sandboxes/create", None, {"Content-Length": "9"}, key)
    get(manager, "/sandboxes").fine()  # what was sent before was read
    leave(gone)
    issuer.names = ["a"]
    issuer.gate.set()
    listed, long, created, none = (receive(connection) for connection in waiting)
    assert listed.fine()["sandboxes"] == []
    long.refused(422, "invalid_fields")
    assert created.fine()["sandbox_id"]
    none.refused(404, "not_found")
    refused(receive(unknown))
    before = time.monotonic()
    refused(get(manager, "/sandboxes", key=issuer.token("b", **ABOUT_US)))
    assert time.monotonic() - before < 2, "nothing is under way: there is nothing to wait for"
    assert issuer.asked == 1


@pytest.mark.long
def test_nobody_waits_for_long(launch_manager: Launch, issuer: Issuer) -> None:
    issuer.gate.clear()
    manager = launch_manager(settings=trusting(issuer), key=ALICE)
    before = time.monotonic()
    refused(get(manager, "/sandboxes", key=issuer.token("a", **ABOUT_US)))
    assert 1 < time.monotonic() - before < 7
    asking = send(manager, "GET", "/sandboxes", key=issuer.token("a", **ABOUT_US))
    refused(receive(asking))
