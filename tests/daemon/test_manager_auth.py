"""Who may ask: keys, tokens, users, the enveloped face, and one who tries passwords."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from asking import Answer, Json, ask, get, post, receive, sandbox, send
from manager import ALICE, BOB, KEYS, Manager, managers, token

SECRET = "a-secret-of-at-least-32-bytes-length"
BASE = "/agent/sandboxes/sandboxes"
LOGIN = "/api/v1/auth/login/swagger"


def add_user(manager: Manager, name: str, password: str, *options: str) -> None:
    file = manager.directory / "password"
    file.write_text(password + "\n")
    subprocess.run(
        [*manager.command[:1], "user", "add", name, "--password-file", str(file), *options],
        env=manager.environment(), check=True, capture_output=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    settings = KEYS | {"SANDBOX_JWT_SECRET": SECRET}
    with managers(tmp_path_factory.mktemp("managers")) as start:
        manager = start(settings=settings, key=ALICE)
        add_user(manager, "sandbox_test", "test-password")
        add_user(manager, "boss", "boss-password", "--admin")
        yield manager


def claims(sub: str = "carol", **more: object) -> Json:
    return {"sub": sub, "exp": int(time.time()) + 600} | more


def expect_unauthorized(answer: Answer, code: str = "unauthorized") -> None:
    answer.refused(401, code)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_without_a_credential_nothing_is_done(manager: Manager) -> None:
    for method, path in [
        ("POST", "/sandboxes/create"), ("POST", "/sandboxes/connect"), ("GET", "/sandboxes"),
        ("GET", "/sandboxes/x/status"), ("GET", "/sandboxes/x/info"), ("GET", "/sandboxes/x/urls"),
        ("POST", "/sandboxes/run-command"), ("POST", "/sandboxes/write-file"),
        ("POST", "/sandboxes/read-file"), ("POST", "/sandboxes/upload-file"),
        ("POST", "/sandboxes/download-file"), ("POST", "/sandboxes/expose-port"),
        ("POST", "/sandboxes/timeout"), ("POST", "/sandboxes/x/pause"), ("DELETE", "/sandboxes/x"),
        ("GET", "/metrics"), ("GET", "/sandboxes/status?sandbox_id=x"),
    ]:  # fmt: skip
        expect_unauthorized(ask(manager, method, path, key=""))
    for path in ("/health", "/openapi.json"):
        assert get(manager, path, key="").fine()


def test_wrong_credentials_are_401(manager: Manager) -> None:
    for value in (
        "Bearer wrong", "Bearer " + ALICE[:-1], "Bearer " + ALICE + "x", "Bearer", "Bearer ",
        "Basic " + base64.b64encode(f"alice:{ALICE}".encode()).decode(), ALICE, "bearer  x",
        "Bearer " + "x" * 8000,
    ):  # fmt: skip
        expect_unauthorized(get(manager, "/sandboxes", headers={"Authorization": value}))
    none = {"Authorization": None}
    expect_unauthorized(get(manager, "/sandboxes", headers=none | {"X-API-Key": "wrong"}))
    get(manager, "/sandboxes", headers=none | {"X-API-Key": ALICE}).fine()
    get(manager, "/sandboxes", headers={"Authorization": "bearer " + ALICE}).fine()


def test_tokens(manager: Manager) -> None:
    good = token(SECRET, **claims())
    get(manager, "/sandboxes", key=good).fine()
    head, body, signature = good.split(".")

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    for bad in (
        token("another-secret-of-at-least-32-bytes!", **claims()),
        token(SECRET, **claims(exp=int(time.time()) - 120)),
        token(SECRET, **claims(nbf=int(time.time()) + 600)),
        token(SECRET, sub="carol"),
        token(SECRET, exp=int(time.time()) + 600),
        f"{part({'alg': 'none'})}.{body}.",
        f"{part({'alg': 'none'})}.{body}.{signature}",
        f"{part({'alg': 'HS512'})}.{body}.{signature}",
        f"{head}.{part(claims('admin'))}.{signature}",
        f"{head}.{body}", f"{head}.{body}.", f"{head}.{body}.{signature}.x", "a.b.c", "..",
    ):  # fmt: skip
        expect_unauthorized(get(manager, "/sandboxes", key=bad))


def test_a_tokens_owner_is_its_subject(manager: Manager) -> None:
    carol, eve = token(SECRET, **claims("carol")), token(SECRET, **claims("eve"))
    made = post(manager, "/sandboxes/create", {"user_id": "eve"}, key=carol).fine()
    box = made["sandbox_id"]
    path = f"/sandboxes/{box}/info"
    assert get(manager, path, key=carol).fine()["owner"] == "carol"
    for other in (eve, ALICE, token(SECRET, **claims("carol "))):
        get(manager, path, key=other).refused(403, "forbidden")
    renewed = token(SECRET, **claims("carol", exp=int(time.time()) + 60))
    ask(manager, "DELETE", f"/sandboxes/{box}", key=renewed).fine()


def test_an_admin_sees_all(manager: Manager) -> None:
    admin = token(SECRET, **claims("root", admin=True))
    for not_one in ("yes", 1, "true", None):
        weak = token(SECRET, **claims("weak", admin=not_one))
        assert get(manager, "/sandboxes", key=weak).fine()["sandboxes"] == []
    with sandbox(manager) as box:
        listed = get(manager, "/sandboxes", key=admin).fine()["sandboxes"]
        assert box in [one["sandbox_id"] for one in listed]
        body = {"sandbox_id": box, "command": "echo hi"}
        assert post(manager, "/sandboxes/run-command", body, key=admin).fine()["stdout"] == "hi\n"
        assert get(manager, f"/sandboxes/{box}/info", key=admin).fine()["owner"] == "alice"
        get(manager, f"/sandboxes/{box}/info", key=BOB).refused(403, "forbidden")


# ---- the enveloped face ----


def login(manager: Manager, name: str, password: str, **more: object) -> Answer:
    query = f"?username={name}&password={password}"
    return ask(manager, "POST", LOGIN + query, key="", **more)


def test_the_enveloped_form(manager: Manager) -> None:
    answer = login(manager, "sandbox_test", "test-password").fine()
    assert answer["token_type"] == "bearer"
    key = answer["access_token"]
    headers = {"X-Request-ID": "5e0c9d40-0000-4000-8000-000000000000"}
    created = post(
        manager, BASE + "/create", {"user_id": "demo"}, key=key, headers=headers
    )
    assert created.headers["X-Request-ID"] == headers["X-Request-ID"]
    envelope = created.fine()
    assert envelope.keys() == {"code", "msg", "data"} and envelope["code"] == 200
    box = envelope["data"]["sandbox_id"]
    about = {"sandbox_id": box}

    def data(answer: Answer) -> Json:
        envelope = answer.fine()
        assert envelope.keys() == {"code", "msg", "data"} and envelope["code"] == 200
        assert isinstance(envelope["msg"], str) and envelope["data"]["sandbox_id"] == box
        return envelope["data"]

    def call(name: str, **body: object) -> Json:
        return data(post(manager, f"{BASE}/{name}", about | body, key=key))

    assert call("connect")["mcp_token"] == envelope["data"]["mcp_token"]
    assert call("run-cmd", command="echo hi")["output"] == "hi\n"
    assert call("run-command", command="exit 3")["exit_code"] == 3
    assert call("write-file", path="a", content="x")["bytes"] == 1
    assert call("read-file", path="a")["content"] == "x"
    assert call("expose-port", port=8080)["url"].startswith("http://")
    assert call("schedule-timeout", timeout_seconds=60)["expires_at"]
    got = post(manager, f"{BASE}/download-file", about | {"path": "a"}, key=key)
    assert got.status == 200 and got.body == b"x"
    assert data(get(manager, f"{BASE}/status?sandbox_id={box}", key=key))["status"] == "running"
    assert data(get(manager, f"{BASE}/{box}/info", key=key))["owner"] == "sandbox_test"
    listed = get(manager, BASE, key=key).fine()
    assert [one["sandbox_id"] for one in listed["data"]["sandboxes"]] == [box]
    assert data(ask(manager, "POST", f"{BASE}/{box}/pause", key=key))["status"] == "paused"

    def refused(answer: Answer, status: int) -> None:
        assert answer.status == status, answer
        told = answer.json
        assert told.keys() == {"code", "msg", "data"}
        assert told["code"] == status and told["data"] is None and told["msg"]

    refused(post(manager, BASE + "/run-cmd", about | {"command": "true"}, key=key), 409)
    refused(post(manager, BASE + "/run-cmd", about, key=key), 422)
    refused(post(manager, BASE + "/run-cmd", b"{", key=key,
                 headers={"Content-Type": "application/json"}), 400)  # fmt: skip
    refused(post(manager, BASE + "/run-cmd", b"{}", key=key), 415)
    refused(get(manager, BASE + "/no-such/call", key=key), 404)
    refused(get(manager, BASE + "/create", key=key), 405)
    refused(get(manager, f"{BASE}/{'a' * 20}/info", key=key), 404)
    refused(get(manager, f"{BASE}/{box}/info", key=token(SECRET, **claims())), 403)
    refused(get(manager, BASE, key=""), 401)
    call("connect")
    timed_out = post(manager, BASE + "/run-cmd", about | {"command": "sleep 60", "timeout": 1}, key=key)
    assert timed_out.status == 408 and timed_out.json["data"]["timed_out"] is True
    data(ask(manager, "DELETE", f"{BASE}/{box}", key=key))


# ---- login ----


def test_wrong_logins_are_401(manager: Manager) -> None:
    wrong = login(manager, "sandbox_test", "x").refused(401, "unauthorized")
    unknown = login(manager, "no-such-user", "x").refused(401, "unauthorized")
    assert wrong == unknown, "nobody learns who there is"
    login(manager, "sandbox_test", "test-password%00").refused(422, "invalid_fields")
    key = login(manager, "boss", "boss-password").fine()["access_token"]
    with sandbox(manager) as box:
        assert get(manager, f"/sandboxes/{box}/info", key=key).fine()["owner"] == "alice"


def test_who_tries_passwords_has_to_wait(manager: Manager) -> None:
    for _ in range(5):
        login(manager, "victim", "guess").refused(401, "unauthorized")
    answer = login(manager, "victim", "guess")
    answer.refused(429, "too_many_tries")
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    login(manager, "sandbox_test", "test-password").fine()


def test_a_login_needs_no_body_and_takes_no_form(manager: Manager) -> None:
    query = "?username=sandbox_test&password=test-password"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = post(manager, LOGIN + query, b"a=b", key="", headers=kind)
    answer.refused(415, "unsupported_media_type")


def test_many_logins_hold_up_nobody(manager: Manager) -> None:
    tries = [
        send(manager, "POST", f"{LOGIN}?username=crowd{i}&password=x", key="") for i in range(30)
    ]
    before = time.monotonic()
    for _ in range(10):
        get(manager, "/sandboxes").fine()
    assert time.monotonic() - before < 5
    for connection in tries:
        assert receive(connection).status in (401, 429, 503)


# ---- a web page ----


@pytest.fixture(scope="module")
def open_manager(tmp_path_factory: pytest.TempPathFactory, manager: Manager) -> Iterator[Manager]:
    """Without credentials, which is what a page would find at home."""
    allowed = ("--allow-origin", "https://app.example", "--allow-host", "*.lan.example")
    launched = Manager(tmp_path_factory.mktemp("open"), list(allowed))
    launched.start()
    yield launched
    launched.stop()


CREATE = {"user_id": "page"}


def nothing_was_made(manager: Manager) -> None:
    assert get(manager, "/sandboxes").fine()["sandboxes"] == []


def test_a_foreign_page_gets_nowhere(open_manager: Manager) -> None:
    for origin in ("https://evil.example", "null", "http://localhost.evil.example", "",
                   "https://app.example.evil.example", "http://app.example"):  # fmt: skip
        headers = {"Origin": origin}
        answer = post(open_manager, "/sandboxes/create", CREATE, headers=headers)
        answer.refused(403, "origin_not_allowed")
        assert answer.headers["Access-Control-Allow-Origin"] is None
        get(open_manager, "/sandboxes", headers=headers).refused(403, "origin_not_allowed")
    site = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    post(open_manager, "/sandboxes/create", CREATE, headers=site).refused(403, "origin_not_allowed")
    nothing_was_made(open_manager)


def test_a_rebound_name_gets_nowhere(open_manager: Manager) -> None:
    port = open_manager.host.split(":")[1]
    for host in (f"evil.example:{port}", "evil.example", f"127.0.0.1.evil.example:{port}",
                 "[::ffff:7f00:1].evil", "", f"localhost:{port}@evil.example"):  # fmt: skip
        answer = post(open_manager, "/sandboxes/create", CREATE, headers={"Host": host})
        assert answer.status in (400, 403), (host, answer)
        same = {"Host": host, "Origin": f"http://{host}"}
        assert post(open_manager, "/sandboxes/create", CREATE, headers=same).status in (400, 403)
    nothing_was_made(open_manager)
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"box.lan.example:{port}"):
        get(open_manager, "/sandboxes", headers={"Host": host}).fine()


def test_a_plain_form_gets_nowhere(open_manager: Manager) -> None:
    body = b'{"user_id":"page","x":"="}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
                 "text/plain; application/json", None, "application/jsonx"):  # fmt: skip
        answer = post(open_manager, "/sandboxes/create", body, headers={"Content-Type": kind})
        answer.refused(415, "unsupported_media_type")
    nothing_was_made(open_manager)


def test_preflights(open_manager: Manager) -> None:
    def preflight(origin: str) -> Answer:
        headers = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,authorization",
        }
        return ask(open_manager, "OPTIONS", "/sandboxes/create", headers=headers)

    fine = preflight("https://app.example")
    assert fine.status in (200, 204)
    assert fine.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert "POST" in fine.headers["Access-Control-Allow-Methods"]
    allowed = fine.headers["Access-Control-Allow-Headers"].lower()
    for header in ("content-type", "authorization", "idempotency-key", "x-request-id"):
        assert header in allowed
    assert "Origin" in (fine.headers["Vary"] or "")
    refused = preflight("https://evil.example")
    assert refused.status == 403
    assert refused.headers["Access-Control-Allow-Origin"] is None
    used = get(open_manager, "/sandboxes", headers={"Origin": "https://app.example"})
    assert used.fine() is not None
    assert used.headers["Access-Control-Allow-Origin"] == "https://app.example"
    bad = post(open_manager, "/sandboxes/create", {}, headers={"Origin": "https://app.example"})
    assert bad.status == 422
    assert bad.headers["Access-Control-Allow-Origin"] == "https://app.example"


def test_the_managers_own_page_is_its_own_origin(open_manager: Manager) -> None:
    own = {"Origin": f"http://{open_manager.host}"}
    get(open_manager, "/sandboxes", headers=own).fine()


def test_an_open_manager_has_its_envelope_locked(open_manager: Manager) -> None:
    answer = get(open_manager, BASE)
    assert answer.status == 401 and answer.json["data"] is None
    add_user(open_manager, "dora", "doras-password")
    key = login(open_manager, "dora", "doras-password").fine()["access_token"]
    assert get(open_manager, BASE, key=key).fine()["data"]["sandboxes"] == []
    open_manager.leave()
    open_manager.start(port=int(open_manager.host.split(":")[1]))
    assert get(open_manager, BASE, key=key).fine(), "a token outlives the manager that made it"


def test_everybodys_is_one_owner_when_open(open_manager: Manager) -> None:
    made: Callable[[], Json] = lambda: post(open_manager, "/sandboxes/create", CREATE).fine()  # noqa: E731
    box = made()["sandbox_id"]
    assert get(open_manager, f"/sandboxes/{box}/info").fine()["owner"] == "local"
    ask(open_manager, "DELETE", f"/sandboxes/{box}").fine()
