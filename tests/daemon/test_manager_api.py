"""Each call of the API, by its canonical names and by every other one, and its refusals."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from asking import Answer, Json, ask, form, get, post, sandbox, upload
from manager import ALICE, BOB, KEYS, Manager, managers

STRANGER = "a" * 20


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    limits = ("--max-sandboxes-owner", "6", "--max-sandboxes", "9", "--max-timeout", "7200")
    with managers(tmp_path_factory.mktemp("managers")) as start:
        yield start(*limits, settings=KEYS, key=ALICE)


@pytest.fixture(scope="module")
def box(manager: Manager) -> Iterator[str]:
    with sandbox(manager) as box:
        yield box


def ago(text: str) -> timedelta:
    return datetime.now(timezone.utc) - datetime.fromisoformat(text)


# ---- each call ----


def test_health_needs_no_credential(manager: Manager) -> None:
    assert get(manager, "/health", key="").fine() == {"status": "ok"}


ACCESS = {
    "success", "sandbox_id", "provider", "provider_sandbox_id", "status", "mcp_url", "mcp_token",
    "vscode_url", "expires_at",
}  # fmt: skip


def test_create_says_where_the_sandbox_is_reached(manager: Manager) -> None:
    answer = manager.create(
        user_id="demo",
        timeout=600,
        metadata={"project": "x"},
        envs={"GREETING": "hi there"},
        limits={"memory_mb": 512, "cpus": 1.5, "pids": 200, "disk_mb": 512},
        network="none",
        on_timeout="delete",
        auto_resume=True,
    )
    box = answer["sandbox_id"]
    try:
        assert answer.keys() == ACCESS
        assert re.fullmatch("[a-z0-9]{20}", box)
        assert answer["provider"] == "local" and answer["status"] == "running"
        assert re.fullmatch(r"http://127\.83\.\d+\.\d+:\d+", answer["mcp_url"])
        assert re.fullmatch("[A-Za-z0-9_-]{43}", answer["mcp_token"])
        assert re.fullmatch(r"http://127\.83\.[\d.]+:\d+/\?ticket=\S+", answer["vscode_url"])
        assert abs(ago(answer["expires_at"]) + timedelta(seconds=600)) < timedelta(seconds=10)
        assert manager.run(box, 'echo "$GREETING"')["stdout"] == "hi there\n"
        info = get(manager, f"/sandboxes/{box}/info").fine()
        assert info["user_id"] == "demo" and info["metadata"] == {"project": "x"}
        assert info["owner"] == "alice"
        assert info["isolation"]["limits"]["memory_mb"] == 512
        assert abs(ago(info["created_at"])) < timedelta(seconds=30)
        assert info["created_at"] <= info["started_at"] <= info["last_activity_at"]
    finally:
        post(manager, "/sandboxes/delete", {"sandbox_id": box}).fine()


def test_connect_answers_as_create_does(manager: Manager, box: str) -> None:
    answer = post(manager, "/sandboxes/connect", {"sandbox_id": box}).fine()
    assert answer.keys() == ACCESS
    again = get(manager, f"/sandboxes/{box}/urls").fine()
    assert again.keys() == {"success", "sandbox_id", "mcp_url", "mcp_token", "vscode_url"}
    assert again["mcp_url"] == answer["mcp_url"] and again["mcp_token"] == answer["mcp_token"]
    assert again["vscode_url"] != answer["vscode_url"], "each reply has a ticket of its own"


def test_status_is_asked_by_path_and_by_query(manager: Manager, box: str) -> None:
    by_path = get(manager, f"/sandboxes/{box}/status").fine()
    assert by_path == get(manager, f"/sandboxes/status?sandbox_id={box}").fine()
    assert by_path == {
        "success": True, "sandbox_id": box, "status": "running", "provider_sandbox_id": box,
    }  # fmt: skip
    assert get(manager, f"/sandboxes/{box}/status/").fine() == by_path


def test_other_names_do_the_same(manager: Manager, box: str) -> None:
    run = post(manager, "/sandboxes/run-cmd", {"sandbox_id": box, "cmd": "echo ok"}).fine()
    assert run["output"] == "ok\n"
    written = {"sandbox_id": box, "file_path": "other.txt", "content": "x"}
    assert post(manager, "/sandboxes/write-file", written).fine()["bytes"] == 1
    asked = {"sandbox_id": box, "file_path": "other.txt"}
    assert post(manager, "/sandboxes/read-file", asked).fine()["content"] == "x"
    assert post(manager, "/sandboxes/download-file", asked).body == b"x"
    assert upload(manager, asked, b"yz").fine()["bytes"] == 2
    for path, name in [("timeout", "timeout"), ("schedule-timeout", "timeout_seconds")]:
        answer = post(manager, "/sandboxes/" + path, {"sandbox_id": box, name: 1800}).fine()
        assert abs(ago(answer["expires_at"]) + timedelta(seconds=1800)) < timedelta(seconds=10)
    with sandbox(manager, sandbox_template_id="host", timeout_seconds=60) as other:
        info = get(manager, f"/sandboxes/{other}/info").fine()
        assert info["template_id"] == "host"


def test_no_sandbox_lives_longer_than_it_may(manager: Manager, box: str) -> None:
    answer = post(manager, "/sandboxes/timeout", {"sandbox_id": box, "timeout": 86400}).fine()
    assert ago(answer["expires_at"]) > timedelta(seconds=-7200)


def test_a_port_is_exposed(manager: Manager, box: str) -> None:
    serve = "python3 -m http.server 8000 >/dev/null 2>&1"
    manager.run(box, serve, background=True)
    answer = post(manager, "/sandboxes/expose-port", {"sandbox_id": box, "port": 8000}).fine()
    assert re.fullmatch(r"http://127\.83\.\d+\.\d+:\d+", answer["url"])
    manager.run(box, "until python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", "
                     "8000))' 2>/dev/null; do sleep 0.05; done")  # fmt: skip
    import urllib.request

    with urllib.request.urlopen(answer["url"] + "/", timeout=10) as page:
        assert page.status == 200
    assert post(manager, "/sandboxes/expose-port", {"sandbox_id": box, "port": 8000}).fine() == answer


def test_ports_are_limited(manager: Manager) -> None:
    with sandbox(manager) as box:
        for port in range(2000, 2064):
            post(manager, "/sandboxes/expose-port", {"sandbox_id": box, "port": port}).fine()
        one_more = post(manager, "/sandboxes/expose-port", {"sandbox_id": box, "port": 2064})
        assert "64 ports" in one_more.refused(409, "conflict")


def test_pause_and_connect(manager: Manager) -> None:
    with sandbox(manager) as box:
        assert ask(manager, "POST", f"/sandboxes/{box}/pause").fine()["status"] == "paused"
        assert ask(manager, "POST", f"/sandboxes/{box}/pause").fine()["status"] == "paused"
        assert get(manager, f"/sandboxes/{box}/status").fine()["status"] == "paused"
        for path, body in [
            ("run-command", {"command": "true"}),
            ("write-file", {"path": "a", "content": ""}),
            ("read-file", {"path": "a"}),
            ("download-file", {"path": "a"}),
        ]:
            refusal = post(manager, "/sandboxes/" + path, {"sandbox_id": box} | body)
            assert "connect" in refusal.refused(409, "paused")
        refusal = upload(manager, {"sandbox_id": box, "path": "a"}, b"")
        assert "connect" in refusal.refused(409, "paused")
        connected = post(manager, "/sandboxes/connect", {"sandbox_id": box}).fine()
        assert connected["status"] == "running"
        assert manager.run(box, "echo back")["stdout"] == "back\n"


def test_a_sandbox_resumes_by_itself_where_it_may(manager: Manager) -> None:
    with sandbox(manager, auto_resume=True) as box:
        ask(manager, "POST", f"/sandboxes/{box}/pause").fine()
        assert manager.run(box, "echo back")["stdout"] == "back\n"
        ask(manager, "POST", f"/sandboxes/{box}/pause").fine()
        assert upload(manager, {"sandbox_id": box, "path": "u"}, b"u" * 300_000).fine()
        ask(manager, "POST", f"/sandboxes/{box}/pause").fine()
        read = post(manager, "/sandboxes/read-file", {"sandbox_id": box, "path": "u"}).fine()
        assert read["content"] == "u" * 300_000


def test_deleting_twice_is_no_error(manager: Manager) -> None:
    box = manager.create()["sandbox_id"]
    answer = ask(manager, "DELETE", f"/sandboxes/{box}").fine()
    assert answer["success"] is True and answer["sandbox_id"] == box
    ask(manager, "DELETE", f"/sandboxes/{box}").fine()
    post(manager, "/sandboxes/delete", {"sandbox_id": box}).fine()
    for answer in everything_about(manager, box):
        answer.refused(404, "not_found")
    listed = get(manager, "/sandboxes?limit=1000").fine()["sandboxes"]
    assert box not in [one["sandbox_id"] for one in listed]


def everything_about(manager: Manager, box: str, **more: str) -> Iterator[Answer]:
    """Every call about one sandbox but delete."""
    for path in ("status", "info", "urls"):
        yield get(manager, f"/sandboxes/{box}/{path}", **more)
    yield get(manager, f"/sandboxes/status?sandbox_id={box}", **more)
    yield ask(manager, "POST", f"/sandboxes/{box}/pause", **more)
    for path, body in [
        ("connect", {}),
        ("run-command", {"command": "true"}),
        ("run-cmd", {"command": "true"}),
        ("write-file", {"path": "a", "content": ""}),
        ("read-file", {"path": "a"}),
        ("download-file", {"path": "a"}),
        ("expose-port", {"port": 80}),
        ("timeout", {"timeout": 60}),
        ("schedule-timeout", {"timeout": 60}),
    ]:
        yield post(manager, "/sandboxes/" + path, {"sandbox_id": box} | body, **more)
    yield upload(manager, {"sandbox_id": box, "path": "a"}, b"x", **more)


# ---- refusals ----


def test_an_unknown_sandbox_is_404(manager: Manager) -> None:
    for box in (STRANGER, "x", "y" * 64):
        for answer in everything_about(manager, box):
            answer.refused(404, "not_found")
    ask(manager, "DELETE", "/sandboxes/" + STRANGER).refused(404, "not_found")
    get(manager, f"/sandboxes/{'z' * 21}/info").refused(404, "not_found")


def test_anothers_sandbox_is_403(manager: Manager, box: str) -> None:
    for answer in everything_about(manager, box, key=BOB):
        answer.refused(403, "forbidden")
    ask(manager, "DELETE", f"/sandboxes/{box}", key=BOB).refused(403, "forbidden")
    post(manager, "/sandboxes/delete", {"sandbox_id": box}, key=BOB).refused(403, "forbidden")
    assert get(manager, "/sandboxes", key=BOB).fine()["sandboxes"] == []
    get(manager, f"/sandboxes?cursor={box}", key=BOB).refused(404, "not_found")
    assert get(manager, f"/sandboxes/{box}/status").fine()["status"] == "running"


ID = {"sandbox_id": STRANGER}
REQUIRED = {
    "create": {"user_id": "u"},
    "connect": ID,
    "run-command": ID | {"command": "true"},
    "write-file": ID | {"path": "a", "content": "x"},
    "read-file": ID | {"path": "a"},
    "download-file": ID | {"path": "a"},
    "expose-port": ID | {"port": 80},
    "timeout": ID | {"timeout": 60},
    "delete": ID,
}


def test_each_missing_field_is_named(manager: Manager) -> None:
    for path, body in REQUIRED.items():
        detail = post(manager, "/sandboxes/" + path, {}).refused(422, "invalid_fields")
        for name in body:
            assert f"'{name}' is required" in detail, (path, detail)
        nulls = dict.fromkeys(body)
        assert detail == post(manager, "/sandboxes/" + path, nulls).refused(422, "invalid_fields")
    detail = upload(manager, {}, b"x").refused(422, "invalid_fields")
    assert "'sandbox_id' is required" in detail and "'path' is required" in detail
    detail = upload(manager, {"sandbox_id": STRANGER, "path": "a"}, None)
    assert "'file' is required" in detail.refused(422, "invalid_fields")
    detail = get(manager, "/sandboxes/status").refused(422, "invalid_fields")
    assert "'sandbox_id' is required" in detail
    detail = ask(manager, "POST", "/api/v1/auth/login/swagger").refused(422, "invalid_fields")
    assert "'username' is required" in detail and "'password' is required" in detail


@pytest.mark.parametrize(
    ("path", "name", "values"),
    [
        ("create", "user_id", ["", 1, [], {}, True, "x" * 257, "a\0b"]),
        ("create", "template_id", [7, "x" * 257]),
        ("create", "provider", [7, "nobody"]),
        ("create", "timeout", [0, -1, 1.5, "60", True, 10**18]),
        ("create", "on_timeout", ["explode", 1]),
        ("create", "auto_resume", ["true", 1]),
        ("create", "metadata", ["x", [], {"a": 1}, {"a": None}, {"a": "x" * 70_000}]),
        ("create", "metadata", [{str(i): "" for i in range(201)}, {"a": "\0"}]),
        ("create", "envs", [{"A B": "x"}, {"": "x"}, {"1A": "x"}, {"A=": "x"}, {"A": "\0"}, 1]),
        ("create", "network", ["lan", 1, [], {}, {"allow": "x"}, {"allow": [1]}, {"deny": []}]),
        ("create", "network", [{"allow": ["a b"]}, {"allow": [""]}, {"allow": ["x" * 256]}]),
        ("create", "network", [{"allow": ["x"] * 257}, {"allow": ["x"], "more": 1}]),
        ("create", "limits", [1, {"memory_mb": "1"}, {"memory_mb": 1}, {"cpus": 0}, {"cpu": 1}]),
        ("create", "limits", [{"pids": 1.5}, {"disk_mb": 10**12}, {"memory_mb": None}]),
        ("run-command", "command", ["", 1, "a\0b"]),
        ("run-command", "background", ["yes", 1]),
        ("run-command", "timeout", [0, -1, "1", 1.5, 86401]),
        ("run-command", "cwd", [1, "x" * 4097]),
        ("run-command", "envs", [{"A": 1}, {"A-B": ""}, []]),
        ("run-command", "user", [1, "x" * 65]),
        ("write-file", "path", ["", 1, "x" * 4097, "a\0b"]),
        ("write-file", "content", [1, {}]),
        ("expose-port", "port", [0, 65536, -1, "80", 80.5]),
        ("timeout", "timeout", [0, "60", 1.5]),
        ("timeout", "on_timeout", ["never"]),
        ("connect", "sandbox_id", ["", 1, "x" * 65, "a\0b"]),
    ],
)
def test_each_wrong_field_is_named(manager: Manager, path: str, name: str, values: list) -> None:
    for value in values:
        answer = post(manager, "/sandboxes/" + path, REQUIRED[path] | {name: value})
        detail = answer.refused(422, "invalid_fields")
        assert detail.startswith(f"'{name}' "), (value, detail)
        assert detail.count("'") == 2, "no other field is blamed"


def test_wrong_fields_of_a_form_are_named(manager: Manager) -> None:
    for length in (4097, 8193, 70_000):
        answer = upload(manager, {"sandbox_id": STRANGER, "path": "x" * length}, b"x")
        assert "'path' is too long" in answer.refused(422, "invalid_fields")
    body, kind = form({"sandbox_id": STRANGER, "path": "@"}, b"x")
    answer = post(
        manager, "/sandboxes/upload-file", body.replace(b"@", b"\xff\xfe"),
        headers={"Content-Type": kind},
    )  # fmt: skip
    assert "'path' must be a text" in answer.refused(422, "invalid_fields")


def test_wrong_fields_of_a_query_are_named(manager: Manager) -> None:
    for query in ("limit=0", "limit=1001", "limit=x", "limit=1e3", "limit=", "limit=" + "9" * 40):
        detail = get(manager, "/sandboxes?" + query).refused(422, "invalid_fields")
        assert detail.startswith("'limit' "), (query, detail)
    for query in ("status=odd", "user_id=" + "x" * 257, "user_id=%ff", "user_id=a%00b"):
        detail = get(manager, "/sandboxes?" + query).refused(422, "invalid_fields")
        assert detail.startswith(f"'{query.split('=')[0]}' "), (query, detail)
    get(manager, "/sandboxes?cursor=" + STRANGER).refused(404, "not_found")


def test_what_is_too_much_is_left_out(manager: Manager, box: str) -> None:
    answer = post(manager, "/sandboxes/run-command", {"sandbox_id": box, "command": "echo hi", "x": 1})
    assert answer.fine()["stdout"] == "hi\n"


def test_a_body_that_is_no_json_object_is_400(manager: Manager) -> None:
    headers = {"Content-Type": "application/json"}
    for body in (b"{", b"[]", b'"x"', b"1", b"{}x", b"\xff", b"null", b'{"a":"\xc3"}', b"{'a':1}"):
        answer = post(manager, "/sandboxes/create", body, headers=headers)
        answer.refused(400, "malformed")
    deep = b'{"metadata":' + b"[" * 5000 + b"]" * 5000 + b"}"
    assert post(manager, "/sandboxes/create", deep, headers=headers).status in (400, 413)
    post(manager, "/sandboxes/create", b"", headers=headers).refused(422, "invalid_fields")


def test_a_body_that_is_too_large_is_413(manager: Manager) -> None:
    headers = {"Content-Type": "application/json"}
    size = 32 * 1024 * 1024 + 1
    announced = ask(
        manager, "POST", "/sandboxes/write-file", headers=headers | {"Content-Length": str(size)}
    )
    announced.refused(413, "too_large")
    body = b"%x\r\n" % size + b" " * size + b"\r\n0\r\n\r\n"
    chunked = headers | {"Transfer-Encoding": "chunked"}
    import http.client

    connection = http.client.HTTPConnection(manager.host, timeout=30)
    connection.putrequest("POST", "/sandboxes/write-file")
    for name, value in (chunked | {"Authorization": f"Bearer {ALICE}"}).items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(body)
    response = connection.getresponse()
    Answer(response.status, response.headers, response.read()).refused(413, "too_large")
    connection.close()


def test_other_types_are_415(manager: Manager) -> None:
    for kind in (None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = post(manager, "/sandboxes/create", b'{"user_id":"x"}', headers={"Content-Type": kind})
        answer.refused(415, "unsupported_media_type")
    answer = post(manager, "/sandboxes/upload-file", b"{}", headers={"Content-Type": "application/json"})
    answer.refused(415, "unsupported_media_type")
    answer = post(
        manager, "/sandboxes/upload-file", b"x", headers={"Content-Type": "multipart/form-data"}
    )
    answer.refused(400, "malformed")
    kind = {"Content-Type": "application/json; charset=utf-8"}
    post(manager, "/sandboxes/connect", b"{}", headers=kind).refused(422, "invalid_fields")


def test_unknown_paths_and_methods(manager: Manager, box: str) -> None:
    for path in ("/", "/sandbox", "/sandboxesx", f"/sandboxes/{box}/x", "/sandboxes/a/b/c"):
        get(manager, path).refused(404, "not_found")
    for method, path, allowed in [
        ("GET", "/sandboxes/create", {"POST"}),
        ("PUT", "/sandboxes", {"GET"}),
        ("PATCH", f"/sandboxes/{box}", {"DELETE"}),
        ("DELETE", "/health", {"GET"}),
        ("POST", f"/sandboxes/{box}/info", {"GET"}),
    ]:
        answer = ask(manager, method, path)
        answer.refused(405, "method_not_allowed")
        listed = set(re.split(", *", answer.headers["Allow"]))
        assert allowed <= listed and method not in listed, listed


def test_head_is_a_get_without_a_body(manager: Manager, box: str) -> None:
    for path in ("/health", f"/sandboxes/{box}/status", "/sandboxes"):
        answer = ask(manager, "HEAD", path)
        assert answer.status == 200 and answer.body == b""
        assert int(answer.headers["Content-Length"]) == len(get(manager, path).body)


def test_a_request_id_comes_back(manager: Manager) -> None:
    answer = get(manager, "/health", headers={"X-Request-ID": "req-1:a_b.c"})
    assert answer.headers["X-Request-ID"] == "req-1:a_b.c"
    assert "id=req-1:a_b.c" in manager.read_log()
    for odd in ("a b", "x" * 129, 'a"b', "<script>"):
        assert get(manager, "/health", headers={"X-Request-ID": odd}).headers["X-Request-ID"] is None


# ---- quotas, keys, lists ----


def test_an_owner_may_have_so_many(manager: Manager, box: str) -> None:
    made = [manager.create()["sandbox_id"] for _ in range(5)]
    try:
        answer = post(manager, "/sandboxes/create", {"user_id": "someone else"})
        assert "delete some" in answer.refused(429, "quota")
        assert int(answer.headers["Retry-After"]) > 0
        made_by_bob = [
            post(manager, "/sandboxes/create", {"user_id": "x"}, key=BOB).fine()["sandbox_id"]
            for _ in range(3)
        ]
        answer = post(manager, "/sandboxes/create", {"user_id": "x"}, key=BOB)
        assert "--max-sandboxes" in answer.refused(429, "quota")
        for one in made_by_bob:
            ask(manager, "DELETE", f"/sandboxes/{one}", key=BOB).fine()
    finally:
        for one in made:
            ask(manager, "DELETE", f"/sandboxes/{one}").fine()
    with sandbox(manager):
        pass


def test_a_list_has_pages_and_filters(manager: Manager, box: str) -> None:
    made = [manager.create(user_id=f"list-{i % 2}")["sandbox_id"] for i in range(4)]
    try:
        ask(manager, "POST", f"/sandboxes/{made[0]}/pause").fine()
        seen: list[str] = []
        cursor, pages = "", 0
        while cursor is not None:
            page = get(manager, f"/sandboxes?limit=2{cursor and '&cursor=' + cursor}").fine()
            assert page.keys() == {"success", "sandboxes", "next_cursor"}
            seen += [one["sandbox_id"] for one in page["sandboxes"]]
            cursor, pages = page["next_cursor"], pages + 1
        assert seen == [box, *made] and pages == 3

        def ids(query: str) -> list[str]:
            return [one["sandbox_id"] for one in get(manager, "/sandboxes?" + query).fine()["sandboxes"]]

        assert ids("user_id=list-0") == [made[0], made[2]]
        assert ids("status=paused") == [made[0]]
        assert ids("status=paused&user_id=list-1") == []
        assert ids("status=error") == []
        cursor = get(manager, "/sandboxes?limit=3").fine()["next_cursor"]
        ask(manager, "DELETE", f"/sandboxes/{cursor}").fine()
        assert ids(f"cursor={cursor}") == [made[3]], "a cursor outlives its sandbox"
    finally:
        for one in made:
            ask(manager, "DELETE", f"/sandboxes/{one}").fine()


def create_with(manager: Manager, name: str, body: Json, **more: str) -> Answer:
    return post(manager, "/sandboxes/create", body, headers={"Idempotency-Key": name}, **more)


def test_the_same_key_makes_one_sandbox(manager: Manager) -> None:
    body = {"user_id": "k", "metadata": {"a": "1", "b": "2"}}
    first = create_with(manager, "key-1", body).fine()
    box = first["sandbox_id"]
    try:
        again = create_with(manager, "key-1", {"metadata": {"b": "2", "a": "1"}, "user_id": "k"})
        assert again.fine()["sandbox_id"] == box
        assert again.fine()["mcp_token"] == first["mcp_token"]
        other = create_with(manager, "key-1", body | {"user_id": "other"})
        other.refused(422, "idempotency_key_reused")
        bobs = create_with(manager, "key-1", body, key=BOB).fine()["sandbox_id"]
        assert bobs != box, "keys are each owner's own"
        ask(manager, "DELETE", f"/sandboxes/{bobs}", key=BOB).fine()
    finally:
        ask(manager, "DELETE", f"/sandboxes/{box}").fine()
    gone = create_with(manager, "key-1", body)
    assert "Idempotency-Key" in gone.refused(404, "not_found"), "says that another key is needed"


def test_one_key_at_once_makes_one_sandbox(manager: Manager) -> None:
    answers: list[Answer] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(create_with(manager, "at-once", {"user_id": "k"}))
        )
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = {answer.fine()["sandbox_id"] for answer in answers}
    assert len(answers) == 12 and len(made) == 1
    ask(manager, "DELETE", f"/sandboxes/{made.pop()}").fine()


def test_a_create_that_failed_leaves_its_key_free(manager: Manager) -> None:
    wrong = create_with(manager, "fails", {"user_id": "k", "template_id": "no-such-template"})
    assert "'template_id'" in wrong.refused(422, "invalid_fields")
    fine = create_with(manager, "fails", {"user_id": "k"}).fine()
    ask(manager, "DELETE", f"/sandboxes/{fine['sandbox_id']}").fine()


def test_a_key_is_visible_ascii(manager: Manager) -> None:
    for key in ("x" * 256, "a b", "\xe4"):
        create_with(manager, key, {"user_id": "k"}).refused(400, "malformed")


def test_metrics_need_a_credential(manager: Manager) -> None:
    get(manager, "/metrics", key="").refused(401, "unauthorized")
    text = get(manager, "/metrics").body.decode()
    assert 'sandbox_manager_sandboxes{state="running"} ' in text
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) .+|[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? \S+', line)
